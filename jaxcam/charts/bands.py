"""Mean curves with their bands, line by line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcam import comparison, statistics
from jaxcam.charts import lines

if TYPE_CHECKING:
    from matplotlib import axes as mpl_axes

BAND_WORK = 2e9
"""Products that the bands of one line may cost; resamples fall to stay below."""


def band(
    side: comparison.Side,
    metric: str,
    found: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    level: float,
    resamples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A data set's curve, and the ends of its band at each point."""
    values, clusters = side.values(metric), side.clusters()
    kept = ~np.isnan(values).any(axis=1)
    values, clusters = values[kept], clusters[kept]
    width = values.shape[1]
    if not len(values):
        nothing = np.full(width, np.nan)
        return nothing, nothing, nothing
    affordable = int(BAND_WORK / max(values.size, 1))
    draws = min(resamples, max(100, affordable))
    drawn = statistics.drawn(
        functools.partial(found, values),
        np.unique(clusters, return_inverse=True)[1],
        resamples=draws,
        seed=seed,
    )
    low, high = statistics.percentiles(drawn[1:], level)
    return drawn[0], low, high


def banded(
    axes: mpl_axes.Axes,
    at: np.ndarray,
    band: tuple[np.ndarray, np.ndarray, np.ndarray],
    line: lines.Line,
) -> None:
    """A line with its band, of at most 251 points: more would only fill the file."""
    points = np.unique(np.linspace(0, len(at) - 1, min(len(at), 251)).astype(int))
    middle, low, high = (part[points] for part in band)
    wide = 1.2 if line.is_floor else 1.8
    axes.plot(
        at[points],
        middle,
        color=line.colour,
        linestyle=line.dash,
        lw=wide,
        label=line.name,
    )
    if not line.is_floor:
        axes.fill_between(
            at[points], low, high, color=line.colour, alpha=0.18, linewidth=0
        )


def finish(axes: mpl_axes.Axes, result: Any, metric: str) -> None:
    """Grid, limits, title and legend of a field of curves."""
    axes.grid()
    axes.set_xlim(0, 1)
    axes.set_title(lines.titled(result, metric), loc="left")
    axes.legend(fontsize=8, handlelength=2.4)
