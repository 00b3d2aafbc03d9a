"""Progress of long work: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TypeAlias

Advance: TypeAlias = Callable[[float], None]

AdvanceOne: TypeAlias = Callable[[str, float], None]

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
    options = {"unit": unit, "done": done, "show": show, "stream": stream}
    with bars((description,), total, **options) as advance:
        yield functools.partial(advance, description)


@contextlib.contextmanager
def bars(
    descriptions: Sequence[str],
    total: int,
    *,
    unit: str = "images",
    done: int = 0,
    show: bool = True,
    stream: IO[str] | None = None,
) -> Iterator[AdvanceOne]:
    """Several bars of one length, for parts of the same work that advance apart.

    Args:
      descriptions: What is being done, a bar each.
      total: As in `bar`.
      unit: As in `bar`.
      done: As in `bar`.
      show: As in `bar`.
      stream: As in `bar`.

    Yields:
      A function to call with a description and the number of steps just finished, which
      may be a fraction.
    """
    stream = stream or sys.stderr
    if not show:
        yield lambda description, steps: None
    elif stream.isatty():
        with _rich_bars(descriptions, total, unit, done, stream) as advance:
            yield advance
    else:
        lines = {d: _lines(d, total, unit, done, stream) for d in descriptions}
        yield lambda description, steps: lines[description](steps)


@contextlib.contextmanager
def _rich_bars(
    descriptions: Sequence[str], total: int, unit: str, done: int, stream: IO[str]
) -> Iterator[AdvanceOne]:
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
        tasks = {
            description: shown.add_task(
                description, total=total, completed=done, rate=""
            )
            for description in descriptions
        }
        finished = dict.fromkeys(descriptions, 0.0)

        def advance(description: str, steps: float) -> None:
            finished[description] += steps
            seconds = max(time.monotonic() - started, 1e-9)
            rate = _rate(finished[description] / seconds, unit)
            completed = done + round(finished[description], 6)
            shown.update(tasks[description], completed=completed, rate=rate)

        yield advance


def _lines(
    description: str, total: int, unit: str, done: int, stream: IO[str]
) -> Advance:
    started = last = time.monotonic()
    finished = 0.0

    def advance(steps: float) -> None:
        nonlocal finished, last
        finished += steps
        now = time.monotonic()
        reached = done + round(finished, 6)
        complete = reached >= total
        if now - last < SECONDS_BETWEEN_LINES and not complete:
            return
        last = now
        rate = finished / max(now - started, 1e-9)
        left = (total - reached) / max(rate, 1e-9)
        stream.write(
            f"{description}: {int(reached)}/{total} {unit}, "
            f"{_rate(rate, unit)}, {_time(left)} left\n"
        )
        stream.flush()

    return advance


def _rate(rate: float, unit: str) -> str:
    """How fast; slow work with two digits, so that it does not seem to stand still."""
    return f"{rate:.1f} {unit}/s" if rate >= 1 else f"{rate:.2g} {unit}/s"


def _time(seconds: float) -> str:
    """A time as one says it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
