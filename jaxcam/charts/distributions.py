"""How a metric's values spread over the images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcam import comparison
from jaxcam.charts import appearance, lines

if TYPE_CHECKING:
    from matplotlib import axes as mpl_axes
    from matplotlib import figure

BINS = 28


def distribution(
    runs: comparison.Runs,
    metric: str,
    *,
    floors: Sequence[str] | None = None,
    records: Sequence[Mapping[str, Any]] | None = None,
) -> figure.Figure:
    """How a metric's values spread over the images, method by method.

    A ridge is a histogram of the images' values; none is drawn for a metric of yes and
    no, or of the whole data set. The dot is the mean, the bar its 95 % interval.

    Args:
      runs: As in `jaxcam.compare`.
      metric: A metric that is one number.
      floors: Which floors are shown; all by default.
      records: Of the runs' summaries, where they are at hand, each with its result
        under `of`; they are computed otherwise.

    Returns:
      A matplotlib figure; the x axis is the metric, in its own unit.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.
      ValueError: The runs lack the metric or cannot be compared, or it is a curve.

    >>> rows = {"index": [0, 1, 2], "id": ["a", "b", "c"], "method": ["cam"] * 3}
    >>> run = jaxcam.results.Result.from_columns(rows | {"dice": [0.1, 0.2, 0.6]})
    >>> print(distribution(run, "dice").axes[0].lines[-1].get_xdata().round(2))
    [0.3]
    """
    drawn = lines.lines(runs, floors=floors)
    first = drawn[0].side.result
    lines.require_number(first, metric)
    ends = lines.intervals(drawn, metric, records)
    values = {line.name: lines.scalar_values(line, metric) for line in drawn}
    shown = np.concatenate([*values.values(), np.ravel(list(ends.values()))])
    shown = shown[np.isfinite(shown)]
    with appearance.style():
        made, axes = lines.by_method(drawn, 0.31)
        low, high = _limits(shown)
        axes.set_xlim(low, high)
        for place, line in enumerate(drawn):
            _ridge(axes, -place, values[line.name], line, (low, high))
            _mean(axes, -place, ends[line.name], line)
        axes.set_yticks([-i for i in range(len(drawn))], [x.name for x in drawn])
        for tick, line in zip(axes.get_yticklabels(), drawn, strict=True):
            tick.set_color(appearance.FAINT if line.is_floor else appearance.INK)
        axes.set_ylim(-len(drawn) + 0.55, 0.95)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        appearance.headed(made, lines.titled(first, metric))
    return made


def _limits(shown: np.ndarray) -> tuple[float, float]:
    """A little more than the middle 99 % of what is shown, so that outliers fit not."""
    if not len(shown):
        return 0.0, 1.0
    low, high = np.quantile(shown, [0.005, 0.995])
    margin = 0.04 * (high - low) or 0.05 * max(abs(high), 1.0)
    return low - margin, high + margin


def _ridge(
    axes: mpl_axes.Axes,
    base: float,
    values: np.ndarray,
    line: lines.Line,
    limits: tuple[float, float],
) -> None:
    if len(np.unique(values)) < 3:
        return
    counts, edges = np.histogram(np.clip(values, *limits), BINS, limits)
    tall = 0.78 * counts / counts.max()
    axes.stairs(base + tall, edges, baseline=base, fill=True, color=line.colour, lw=0)
    axes.patches[-1].set_alpha(0.22 if line.is_floor else 0.38)


def _mean(
    axes: mpl_axes.Axes, base: float, ends: tuple[float, float, float], line: lines.Line
) -> None:
    middle, low, high = ends
    if math.isnan(middle):
        axes.text(
            0.5,
            base,
            "undefined",
            transform=axes.get_yaxis_transform(),
            ha="center",
            fontsize=8,
            color=appearance.FAINT,
        )
        return
    axes.plot([low, high], [base] * 2, color=line.colour, lw=2.4)
    axes.plot(middle, base, "o", color=line.colour, ms=4.5)
