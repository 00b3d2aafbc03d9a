"""The command `jaxcam multiverse`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro

from jaxcam.cli import console, conventions


@dataclasses.dataclass(frozen=True)
class Multiverse:
    """Rank the methods of a run under every published convention at once.

    Published work thresholds, resizes, normalises and compares maps in many ways. This
    reads the stored maps in all of them, without the model, and says in how many one
    method beats another, in how many clearly, and which conventions that hangs on:

        jaxcam multiverse runs/RUN --picture curve.png

    What was found is written to multiverse.json in the run directory, which `jaxcam
    report` shows. An interrupted sweep goes on where it stopped.
    """

    run_directory: tyro.conf.Positional[Path]
    """Run directory, with maps."""
    data: str | None = None
    """The data set of the run, as it was given to `jaxcam evaluate`; by default it is
    looked for where the run found it."""
    methods: str | None = None
    """Methods, separated by commas; by default all that have maps."""
    question: str = "region"
    """What the table shows: region, energy, pointing, or model where its answers are
    stored."""
    picture: Path | None = None
    """Draw the specification curve of the most contested pair that is not one map
    (.png, .svg, .pdf)."""
    debug: conventions.Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import _spec, multiverse, plot

        if self.picture is not None:
            plot.require()
        wanted = None if self.methods is None else _spec.split_requests(self.methods)
        found = multiverse.explore(
            self.run_directory, self.data, methods=wanted, show_progress=True
        )
        console.render(found.table(self.question))
        if self.picture is not None:
            contested = found.contested(self.question)
            pair = contested.a, contested.b, self.question
            plot.save(found.specification_curve(*pair), self.picture)
            console.say(f"{contested}\nIts specification curve is in {self.picture}.")
        return conventions.EXIT_OK
