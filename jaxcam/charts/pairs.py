"""One metric on masks and on boxes, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcam import boxes_and_masks, comparison, tables
from jaxcam.charts import appearance, lines

if TYPE_CHECKING:
    from matplotlib import figure


def box_against_mask(
    runs: comparison.Runs,
    pair: tuple[str, str],
    *,
    floors: Sequence[str] | None = None,
    records: Sequence[Mapping[str, Any]] | None = None,
) -> figure.Figure:
    """One metric on masks and on boxes, method by method, with 95 % intervals.

    Args:
      runs: As in `jaxcam.compare`.
      pair: The metric on masks and on boxes, as `boxes_and_masks.pairs` finds them.
      floors: Which floors are shown; all by default.
      records: As in `distribution`.

    Returns:
      A matplotlib figure: filled squares are boxes, rings are masks.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.
      ValueError: The runs lack one of the two, or cannot be compared.

    >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
    >>> rows |= {"dice": [0.2, 0.4], "dice[region=box]": [0.6, 0.8]}
    >>> run = jaxcam.results.Result.from_columns(rows)
    >>> made = box_against_mask(run, ("dice", "dice[region=box]"))
    >>> print(made.axes[0].lines[0].get_xdata().round(2))  # From mask to box.
    [0.3 0.7]
    """
    drawn = lines.lines(runs, floors=floors)
    mask, box = pair
    found = [lines.intervals(drawn, metric, records) for metric in pair]
    with appearance.style():
        made, axes = lines.by_method(drawn, 0.27)
        for place, line in enumerate(drawn):
            ends = [each[line.name] for each in found]
            middles = [end[0] for end in ends]
            if not np.isnan(middles).any():
                axes.plot(middles, [-place] * 2, color=line.colour, lw=1, alpha=0.6)
            for (middle, low, high), marker in zip(ends, "os", strict=True):
                filled = line.colour if marker == "s" else "none"
                axes.plot([low, high], [-place] * 2, color=line.colour, lw=2.2)
                axes.plot(
                    middle, -place, marker, color=line.colour, mfc=filled, ms=5, mew=1.3
                )
        axes.set_yticks([-i for i in range(len(drawn))], [x.name for x in drawn])
        for tick, line in zip(axes.get_yticklabels(), drawn, strict=True):
            tick.set_color(appearance.FAINT if line.is_floor else appearance.INK)
        axes.set_ylim(-len(drawn) + 0.4, 0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        direction = drawn[0].side.result.direction(mask)
        title = boxes_and_masks.title(mask, box)
        appearance.headed(made, f"{title} {tables.ARROWS[direction]}")
    return made
