"""Are mask-based localisation metrics more accurate than box-based ones?

    python -m jaxcam.experiments.box_versus_mask --data oxford_pets:DIR \
        --weights DIR --out DIR

The design is in README.md beside this file. Runs that were stopped go on; from finished
ones everything is measured anew within minutes.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

NETWORKS = "squeezenet1_1,mobilenet_v2,darknet_tiny"


@dataclasses.dataclass(frozen=True)
class Options:
    """Compare localisation metrics on boxes and on masks; answer which are better."""

    data: str
    """Photographs with masks: oxford_pets:DIR, or what `jaxcam list data` shows."""
    out: Path
    """Folder for runs, results.json, report.md and figures."""
    weights: Path | None = None
    """Folder with NETWORK*.npz; by default the weights that come with the package."""
    networks: str = NETWORKS
    """Networks, separated by commas."""
    limit: int | None = None
    """So many images, spread evenly over the data set."""
    shapes: int = 512
    """Procedural images of the construct test; 0 leaves it out."""
    seed: int = 0
    """Of everything random."""
    resamples: int = 2000
    """Of the bootstrap."""
    batch_size: int = 16
    """Images at a time; changes no value."""


def run(options: Options) -> dict[str, Any]:
    """Makes the runs, measures, writes `results.json`, `report.md` and figures."""
    from jaxcam import data
    from jaxcam.experiments import figures, findings, runs, study

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")

    plan = runs.Plan(
        out=options.out / "runs",
        seed=options.seed,
        batch_size=options.batch_size,
        show_progress=sys.stderr.isatty(),
    )
    found = study.study(
        data.open_dataset(options.data),
        [name.strip() for name in options.networks.split(",")],
        plan,
        weights=options.weights,
        limit=options.limit,
        shapes=options.shapes,
        resamples=options.resamples,
        say=say,
    )
    options.out.mkdir(parents=True, exist_ok=True)
    found = write(options.out / "results.json", found)
    report = findings.report(found)
    (options.out / "report.md").write_text(report, encoding="utf-8")
    for name in figures.draw(found, options.out):
        say(f"wrote {name}")
    return found


def write(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    """Results as small JSON: numbers to six significant digits, undefined ones null.

    Significant digits rather than decimals, so that the end of an interval keeps its
    sign, which decides a verdict.

    Returns:
      What the file holds.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [plain(inner) for inner in value]
        if isinstance(value, float):
            return None if value != value else float(f"{value:.6g}")
        return value

    held = plain(found)
    path.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    return held


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    options = tyro.cli(
        Options, prog="python -m jaxcam.experiments.box_versus_mask", args=arguments
    )
    try:
        run(options)
    except (ValueError, LookupError, OSError) as error:
        sys.stderr.write(f"box_versus_mask: {error}\n")
        return 2
    sys.stdout.write((options.out / "report.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
