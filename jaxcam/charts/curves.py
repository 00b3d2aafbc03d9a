"""What the model says as pixels come or go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxcam import comparison, statistics
from jaxcam.charts import appearance, bands, lines

if TYPE_CHECKING:
    from matplotlib import figure


def curves(
    runs: comparison.Runs,
    metric: str = "insertion_curve",
    *,
    floors: Sequence[str] = ("uniform", "random"),
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> figure.Figure:
    """Mean curves of what the model says as pixels come or go, with bands.

    Args:
      runs: As in `jaxcam.compare`.
      metric: A stored curve: `insertion_curve`, `deletion_curve`, with their options.
      floors: Which floors are shown.
      level: Probability that the band is to cover the mean, point by point; in (0, 1).
      resamples: Of the bootstrap over images; fewer where there are many images.
      seed: Of the bootstrap.

    Returns:
      A matplotlib figure; the x axis is the share of pixels, 0 to 1, in equal steps.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.
      ValueError: The runs hold no such curve, or cannot be compared.

    >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
    >>> rows["insertion_curve"] = np.array([[0.0, 0.4, 1.0], [0.0, 0.6, 1.0]])
    >>> made = curves(jaxcam.results.Result.from_columns(rows))
    >>> print(made.axes[0].lines[0].get_ydata())
    [0.  0.5 1. ]
    """
    drawn = lines.lines(runs, floors=floors)
    first = drawn[0].side.result
    lines.require_curve(first, metric)
    goes = "removed" if metric.startswith("deletion") else "inserted"
    with appearance.style():
        made, axes = appearance.field(4.6, 3.2, bottom=0.5)
        for line in drawn:
            band = bands.band(
                line.side,
                metric,
                statistics.weighted_mean,
                level=level,
                resamples=resamples,
                seed=seed,
            )
            bands.banded(axes, np.linspace(0, 1, len(band[0])), band, line)
        axes.set_xlabel(f"share of pixels {goes}, most salient first")
        axes.set_ylabel("score of the class")
        bands.finish(axes, first, metric)
    return made
