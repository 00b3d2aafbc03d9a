"""The methods of runs as lines of a figure: colour, dash, values and intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcam import columns, comparison, summaries, tables
from jaxcam.charts import appearance

if TYPE_CHECKING:
    from matplotlib import figure


@dataclasses.dataclass(frozen=True)
class Line:
    """A method of a run, and how it is drawn."""

    name: str
    side: comparison.Side
    is_floor: bool
    colour: str
    dash: Any


def lines(runs: comparison.Runs, *, floors: Sequence[str] | None = None) -> list[Line]:
    """Methods of one or several runs, each with its colour, floors last.

    Args:
      runs: As in `jaxcam.compare`.
      floors: Which floors; all by default.
    """
    opened = comparison.opened(runs)
    known = sorted({m for r in opened.values() for m in r.methods if r.is_floor(m)})
    if floors is not None:
        known = [name for name in known if name in floors]
    found = comparison.sides(opened, floors=known)
    order = sorted(found.items(), key=lambda item: item[1].method in known)
    made = []
    for number, (name, side) in enumerate(order):
        if side.method in known:
            dash = (0, (1 + known.index(side.method), 1.5))
            made.append(Line(name, side, True, appearance.FAINT, dash))
        else:
            again, colour = divmod(number, len(appearance.COLOURS))
            dash = "-" if not again else (0, (4, 1 + again))
            made.append(Line(name, side, False, appearance.COLOURS[colour], dash))
    return made


def by_method(drawn: Sequence[Line], each: float) -> tuple[figure.Figure, Any]:
    """A figure with a row for each method."""
    longest = max(len(line.name) for line in drawn)
    left = min(appearance.LETTER * longest + 0.15, 1.9)
    return appearance.field(3.5, 0.62 + each * len(drawn), left=left)


def titled(result: Any, metric: str) -> str:
    """A metric's name, with the direction in which it is better."""
    return f"{metric} {tables.ARROWS[result.direction(metric)]}".strip()


def require_number(result: Any, metric: str) -> None:
    """Refuses what is not one number an image or a data set."""
    known = metric in result.metrics or metric in result.skills
    if not known or not summaries.is_number(result, metric):
        raise ValueError(f"The results have no number {metric!r} to draw.")


def require_curve(result: Any, metric: str) -> None:
    """Refuses what is not a vector an image."""
    if metric not in result.metrics or columns.is_scalar(result.columns, metric):
        raise ValueError(
            f"The results hold no curve {metric!r}; evaluate with --metrics {metric}."
        )


def scalar_values(line: Line, metric: str) -> np.ndarray:
    """Values of the images; none for a metric of the whole data set."""
    if summaries.reduction(line.side.result, metric) is not None:
        return np.zeros(0)
    values = line.side.values(metric)
    return values[np.isfinite(values)]


def intervals(
    drawn: Sequence[Line], metric: str, records: Sequence[Mapping[str, Any]] | None
) -> dict[str, tuple[float, float, float]]:
    """Estimate, lower and upper end of each line, over its method's own rows."""
    if records is None:
        records = []
        for result in {id(x.side.result): x.side.result for x in drawn}.values():
            records += [r | {"of": result} for r in result.summary(metrics=[metric])]
    found = {
        (id(r["of"]), r["method"]): (r["estimate"], r["low"], r["high"])
        for r in records
        if r["metric"] == metric
    }
    return {x.name: found[id(x.side.result), x.side.method] for x in drawn}
