"""Share of images found at every threshold of the map."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxcam import _spec, comparison
from jaxcam.charts import appearance, bands, lines

if TYPE_CHECKING:
    from matplotlib import figure


def box_accuracy(
    runs: comparison.Runs,
    metric: str = "max_box_accuracy",
    *,
    sigma: float | None = None,
    floors: Sequence[str] = ("uniform", "centre"),
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> figure.Figure:
    """Share of images found at every threshold, with bands and the best threshold.

    Args:
      runs: As in `jaxcam.compare`.
      metric: A metric that stores an image's IoU at every threshold:
        `max_box_accuracy`, `max_box_accuracy_v2`, `max_mask_accuracy` or
        `box_accuracy_curve`, with their options.
      sigma: IoU in [0, 1] that counts as found; the metric's own by default.
      floors: Which floors are shown.
      level: As in `curves`.
      resamples: As in `curves`.
      seed: As in `curves`.

    Returns:
      A matplotlib figure; the x axis is the threshold as a share of the map's maximum,
      dots are the thresholds that are best for the whole data set.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.
      ValueError: The runs hold no such vectors, or cannot be compared.

    >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
    >>> rows["max_box_accuracy"] = np.array([[0.2, 0.6], [0.5, 0.7]])
    >>> made = box_accuracy(jaxcam.results.Result.from_columns(rows))
    >>> print(made.axes[0].lines[0].get_ydata())
    [0.5 1. ]
    """
    from jaxcam.metrics import box_accuracy as accuracies

    drawn = lines.lines(runs, floors=floors)
    first = drawn[0].side.result
    lines.require_curve(first, metric)
    if sigma is None:
        sigma = float(dict(_spec.parse(metric).options).get("sigma", 0.5))
    found = functools.partial(accuracies.accuracy_curve, sigma=sigma)
    with appearance.style():
        made, axes = appearance.field(4.6, 3.2, bottom=0.5)
        for line in drawn:
            band = bands.band(
                line.side, metric, found, level=level, resamples=resamples, seed=seed
            )
            at = np.arange(len(band[0])) / len(band[0])
            bands.banded(axes, at, band, line)
            if not line.is_floor and np.isfinite(band[0]).all():
                best = int(np.argmax(band[0]))
                axes.plot(at[best], band[0][best], "o", color=line.colour, ms=5)
        axes.set_xlabel("threshold, as a share of the map's maximum")
        axes.set_ylabel(f"share of images with IoU ≥ {sigma:g}")
        bands.finish(axes, first, metric)
        axes.set_ylim(-0.02, 1.02)
    return made
