"""Progress of long work: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, TypeAlias

Advance: TypeAlias = Callable[[int], None]

SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def bar(
    description: str,
    total: int,
    *,
    unit: str = "images",
    done: int = 0,
    show: bool = True,
    stream: IO[str] | None = None,
) -> Iterator[Advance]:
    """Shows how far a loop has come, how fast it goes and how long it will take.

    Args:
      description: What is being done.
      total: Number of steps.
      unit: What a step is, in the plural.
      done: Steps finished before this start; they do not count in the rate.
      show: False shows nothing.
      stream: Standard error by default.

    Yields:
      A function to call with the number of steps just finished.
    """
    stream = stream or sys.stderr
    if not show:
        yield lambda steps: None
    elif stream.isatty():
        with _rich_bar(description, total, unit, done, stream) as advance:
            yield advance
    else:
        yield _lines(description, total, unit, done, stream)


@contextlib.contextmanager
def _rich_bar(
    description: str, total: int, unit: str, done: int, stream: IO[str]
) -> Iterator[Advance]:
    from rich import console, progress

    started = time.monotonic()
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with progress.Progress(*columns, console=console.Console(file=stream)) as shown:
        task = shown.add_task(description, total=total, completed=done, rate="")
        finished = 0

        def advance(steps: int) -> None:
            nonlocal finished
            finished += steps
            rate = finished / max(time.monotonic() - started, 1e-9)
            shown.update(task, advance=steps, rate=f"{rate:.1f} {unit}/s")

        yield advance


def _lines(
    description: str, total: int, unit: str, done: int, stream: IO[str]
) -> Advance:
    started = last = time.monotonic()
    finished = 0

    def advance(steps: int) -> None:
        nonlocal finished, last
        finished += steps
        now = time.monotonic()
        complete = done + finished >= total
        if now - last < SECONDS_BETWEEN_LINES and not complete:
            return
        last = now
        rate = finished / max(now - started, 1e-9)
        left = (total - done - finished) / max(rate, 1e-9)
        stream.write(
            f"{description}: {done + finished}/{total} {unit}, "
            f"{rate:.1f} {unit}/s, {left:.0f} s left\n"
        )
        stream.flush()

    return advance
