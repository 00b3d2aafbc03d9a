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
    images = f"{max((verdict.images for verdict in said), default=0):,} images"
    shown = table.Table(
        table.Column("method", overflow="fold"),
        table.Column("beats", overflow="fold"),
        "in",
        "distinct",
        "clearly in",
        "loses clearly in",
        "hangs on",
        title=f"{question.what[0].upper()}{question.what[1:]}: {universe}, {images}",
        title_justify="left",
        title_style="bold",
        caption="Clear: t-test at 5 %, images taken as independent. Distinct: how many "
        "universes give different answers.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for verdict in said:
        shares = verdict.share, verdict.share_clear, verdict.share_against
        wins, clear, against = map(verdicts.percent, shares)
        shown.add_row(
            verdict.a,
            verdict.b,
            wins,
            f"{verdict.distinct:,}",
            clear,
            against,
            "one map up to rounding" if verdict.one_map else _hangs(verdict),
        )
    return shown


def _hangs(verdict: verdicts.Verdict) -> str:
    """Conventions, and the choices under which either method wins most clearly."""
    said = []
    for axis in verdict.deciding:
        choices = " / ".join(dict.fromkeys(axis.extremes))
        said.append(f"{axis.axis} ({choices})")
    return ", ".join(said) or "nothing"
