"""A matrix of rank correlations between metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcam.charts import appearance

if TYPE_CHECKING:
    from matplotlib import axes as mpl_axes
    from matplotlib import figure


def correlation(records: Sequence[Mapping[str, Any]]) -> figure.Figure:
    """A matrix of rank correlations between metrics.

    Args:
      records: As `jaxcam.rank_agreement` gives them.

    Returns:
      A matplotlib figure, one half of the matrix, values in [-1, 1]. Pairs whose
      interval holds 0 are written small; metrics without any value, as constant ones,
      are left out.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.
      ValueError: There is no pair of metrics with a value.

    >>> pair = {"a": "dice", "b": "recall", "estimate": 0.8, "low": 0.6, "high": 0.9}
    >>> print(correlation([pair]).axes[0].texts[0].get_text())
    .80
    """
    records = [r for r in records if not math.isnan(r["estimate"])]
    names = list(dict.fromkeys(r[side] for r in records for side in ("a", "b")))
    if not names:
        raise ValueError("There are no two metrics to correlate.")
    place = {name: i for i, name in enumerate(names)}
    count = len(names)
    values = np.full((count, count), np.nan)
    for r in records:
        low, high = sorted((place[r["a"]], place[r["b"]]))
        values[high, low] = r["estimate"]
    with appearance.style():
        import matplotlib
        from matplotlib import cm, colors

        longest = max(map(len, names)) * 0.068
        beside = count < 10  # Too few cells to leave room for the scale among them.
        wide, tall = 0.42 * count + longest + 0.4, 0.42 * count + longest
        wide += 1.2 * beside
        around = {"left": longest + 0.1, "bottom": 0.9 * longest, "top": 0.1}
        around["right"] = 1.4 if beside else 0.1
        made, axes = appearance.field(wide, tall, **around)
        shades = matplotlib.colormaps[appearance.DIVERGING]
        # The upper half would only repeat the lower one.
        shown = np.ma.masked_invalid(values)[1:, :-1]
        axes.pcolormesh(shown, cmap=shades, vmin=-1, vmax=1)
        axes.invert_yaxis()
        for r in records:
            _number(axes, r, place, shades)
        at = np.arange(count - 1) + 0.5
        axes.set_xticks(at, names[:-1], rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(at, names[1:])
        axes.tick_params(length=0, labelsize=8)
        axes.set_aspect("equal")
        for spine in axes.spines.values():
            spine.set_visible(False)
        scale = cm.ScalarMappable(colors.Normalize(-1, 1), shades)
        place = (1.05, 0.1, 0.06, 0.8) if beside else (0.72, 0.62, 0.03, 0.36)
        inside = axes.inset_axes(place)
        bar = made.colorbar(scale, cax=inside)
        bar.set_ticks([-1, 0, 1], labels=["-1 contradict", "0", "1 agree"])
        bar.ax.tick_params(labelsize=8, length=2)
        bar.outline.set_visible(False)
    return made


def _number(
    axes: mpl_axes.Axes,
    record: Mapping[str, Any],
    place: Mapping[str, int],
    shades: Any,
) -> None:
    """A correlation on its cell, small if it cannot be told from none."""
    value = record["estimate"]
    red, green, blue, _ = shades((value + 1) / 2)
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
    sure = not record["low"] <= 0 <= record["high"]
    low, high = sorted((place[record["a"]], place[record["b"]]))
    axes.text(
        low + 0.5,
        high - 0.5,
        f"{value:.2f}".replace("0.", "."),
        ha="center",
        va="center",
        fontsize=7.5 if sure else 6,
        color="#ffffff" if dark else "#000000",
    )
