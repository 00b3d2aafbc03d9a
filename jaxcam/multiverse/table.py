"""Verdicts as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxcam.multiverse import universes, verdicts


def verdict_table(
    question: universes.Question, said: Sequence[verdicts.Verdict]
) -> Any:
    """A rich table, a line for each pair of methods, the most certain first.

    Args:
      question: What was asked.
      said: The verdicts.
    """
    from rich import box, table

    universe = f"{len(question.universes):,} universes"
    shown = table.Table(
        "method",
        "beats",
        "in",
        "clearly in",
        "loses clearly in",
        "hangs on",
        title=f"{question.what[0].upper()}{question.what[1:]}: {universe}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for verdict in said:
        hangs = [
            f"{axis.axis} ({', '.join(_shares(axis))})" for axis in verdict.deciding
        ]
        shown.add_row(
            verdict.a,
            verdict.b,
            verdicts.percent(verdict.share),
            verdicts.percent(verdict.share_clear),
            verdicts.percent(verdict.share_against),
            "; ".join(hangs) or "nothing",
        )
    return shown


def _shares(axis: verdicts.AxisEffect) -> list[str]:
    """The choices on both sides of one half, the extremes."""
    ordered = sorted(axis.shares, key=lambda choice: -axis.shares[choice])
    return [
        f"{choice} {verdicts.percent(axis.shares[choice])}"
        for choice in (ordered[0], ordered[-1])
    ]
