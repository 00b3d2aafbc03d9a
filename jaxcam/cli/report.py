"""The command `jaxcam report`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from jaxcam.cli import console, conventions


@dataclasses.dataclass(frozen=True)
class Report:
    """Write one HTML file that shows what runs found; it opens without a network.

    Summary with floors and intervals, paired comparisons, boxes against masks, curves,
    distributions, whether the metrics agree, a gallery of good, bad and misinterpreted
    images, invalid rows, the manifests. Several runs over the same data share a report:

        jaxcam report runs/a runs/b --out both.html
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories."""
    out: Path | None = None
    """The file; by default report.html in the first run directory."""
    data: str | None = None
    """Where the images are, as given to evaluate; by default where the run found
    them."""
    labels: Literal["coarse", "exact"] = "coarse"
    """As given to evaluate."""
    pictures: int = 4
    """Images of each kind in the gallery; 0 leaves it out."""
    by: str | None = None
    """Metric that tells good images from bad ones; energy_pointing_game by default."""
    size: int | None = None
    """Side of the model's grid, where the run does not tell."""
    debug: conventions.Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        import jaxcam
        from jaxcam import comparison

        dataset = None
        if self.data is None and self.labels != "coarse":
            raise ValueError(
                f"--labels {self.labels} says how --data is read; give both or neither."
            )
        if self.data is not None:
            dataset = jaxcam.data.open_dataset(self.data, labels=self.labels)
        out = jaxcam.report(
            comparison.opened(list(self.runs)),
            self.out or (self.runs[0] / "report.html"),
            dataset=dataset,
            pictures=self.pictures,
            by=self.by,
            size=None if self.size is None else (self.size, self.size),
        )
        console.say(f"The report is {out}; open it in a browser.")
        return conventions.EXIT_OK
