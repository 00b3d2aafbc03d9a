"""What commands write: results and answers to stdout, complaints to stderr."""

from __future__ import annotations

import sys


def show(result) -> None:
    """Writes the table of a result, and what is to be said about it."""
    from jaxcam import tables

    for line in tables.report(result):
        render(line)


def render(renderable) -> None:
    """Writes text or a table of rich, as wide as the terminal."""
    from rich import console

    width = None if sys.stdout.isatty() else 100
    console.Console(width=width, highlight=False).print(renderable)


def say(text: str) -> None:
    """Writes a line as it is."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """Writes a line to stderr."""
    sys.stderr.write(text + "\n")
