"""Universes of stored answers of the model: curves and values under several options."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from jaxcam import _spec
from jaxcam.multiverse import universes

CURVES = ("insertion_curve", "deletion_curve")
"""Metrics whose stored value is a curve over evenly spaced shares of the pixels."""

VALUES = (
    "insertion",
    "deletion",
    "deletion_crop",
    "pixel_flipping",
    "aopc",
    "road",
    "average_drop",
    "absolute_drop",
    "average_increase",
    "average_gain",
    "saliency_metric",
)
"""Metrics of one number that ask the same: what the model says without, or with, what
the map points out. Parts and combinations of them are left out."""

_KEPT_STEPS = 112  # Group-CAM removes 448 of 224 x 224 pixels at a time.

_AREA: Mapping[str, str] = {
    "trapezoid": "Petsiuk et al. 2018",
    "mean": "Samek et al. 2017: the mean over the points",
}
_RELATIVE: Mapping[str, str] = {
    "no": "Petsiuk et al. 2018",
    "whole": "ours: divided by the score of the whole image, as average drop is",
}

Read = Callable[[np.ndarray], np.ndarray]


def question(
    widths: Mapping[str, int], directions: Mapping[str, int]
) -> tuple[universes.Question | None, list[tuple[str, Read]]]:
    """The question that stored columns answer about faithfulness to the model.

    Args:
      widths: Names of the columns and how many numbers a row of each holds.
      directions: +1, -1 or 0 for each.

    Returns:
      The question, or `None` if the columns leave nothing to choose; and for each
      universe its column and how to read it, `[n, T] -> [n]`.
    """
    described, reads, signs = [], [], []
    for column, width in widths.items():
        request = _spec.parse(column)
        options = {name: str(value) for name, value in request.options}
        direction = directions[column]
        curve = _spec.Request(f"{request.name}_curve", request.options)
        if request.name in VALUES and str(curve) not in widths:
            described.append((request.name, options))
            reads.append((column, _scalar))
            signs.append(direction)
        if request.name not in CURVES:
            continue
        points = width - 1
        thin = points % _KEPT_STEPS == 0 and points > _KEPT_STEPS
        metric = request.name.removesuffix("_curve")
        for area in _AREA:
            for relative in _RELATIVE:
                for steps in ("all", str(_KEPT_STEPS))[: 1 + thin]:
                    own = {"steps": steps, "area": area, "relative": relative}
                    described.append((metric, options | own))
                    reads.append((column, _reader(request.name, own)))
                    signs.append(direction)
    if len(described) < 2:
        return None, []
    made = universes.of_columns(described)
    what = "which map says best what the model rests on"
    metrics = tuple(dict.fromkeys(metric for metric, _ in described))
    return universes.Question("model", what, tuple(made), tuple(signs), metrics), reads


def _scalar(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values))


def _reader(curve: str, choices: Mapping[str, str]) -> Read:
    whole = 0 if curve == "deletion_curve" else -1

    def read(values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float64)
        if choices["relative"] == "whole":
            score = values[:, whole, None]
            with np.errstate(invalid="ignore", divide="ignore"):
                values = np.where(score > 0, values / score, np.nan)
        if choices["steps"] != "all":
            values = values[:, :: (values.shape[1] - 1) // int(choices["steps"])]
        if choices["area"] == "mean":
            return values.mean(axis=1)
        return (values[:, 1:] + values[:, :-1]).mean(axis=1) / 2

    return read
