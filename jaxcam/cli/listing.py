"""The command `jaxcam list`."""

from __future__ import annotations

import dataclasses
from typing import Literal

import tyro

from jaxcam.cli import console, conventions


@dataclasses.dataclass(frozen=True)
class List:
    """Show what can be asked for: metrics, methods, models, weights, data, presets."""

    kind: tyro.conf.Positional[
        Literal["metrics", "methods", "models", "weights", "data", "presets"]
    ]
    """What to list."""
    debug: conventions.Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from rich import table

        from jaxcam import catalogue

        columns, rows = catalogue.listing(self.kind)
        shown = table.Table(*columns, box=None, pad_edge=False)
        for row in rows:
            shown.add_row(*row)
        console.render(shown)
        return conventions.EXIT_OK
