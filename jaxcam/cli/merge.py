"""The command `jaxcam merge`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro

from jaxcam.cli import console, conventions


@dataclasses.dataclass(frozen=True)
class Merge:
    """Join runs of the same settings over different images into one.

    Refuses runs of different settings, missing images and images counted twice.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories."""
    out: Path
    """Directory of the joined run."""
    debug: conventions.Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import results, storage

        storage.merge(self.runs, self.out)
        console.show(results.finish_run(self.out))
        return conventions.EXIT_OK
