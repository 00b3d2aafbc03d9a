"""The same metric on boxes and on masks: what the choice of the truth changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcam import _spec, comparison, statistics, summaries

TWINS = {
    "max_mask_accuracy": "max_box_accuracy",
    "best_mask_iou": "best_box_iou",
}
"""Metrics on masks whose counterpart on boxes has a name of its own."""


def pairs(metrics: Sequence[str]) -> list[tuple[str, str]]:
    """Metrics that are there on masks and on boxes: pairs of names, masks first.

    >>> pairs(["dice", "dice[region=box]", "recall", "best_box_iou", "best_mask_iou"])
    [('dice', 'dice[region=box]'), ('best_mask_iou', 'best_box_iou')]
    """
    known = {_spec.parse(metric): metric for metric in metrics}
    found = []
    for request, metric in known.items():
        options = dict(request.options)
        if request.name in TWINS:
            other = _spec.Request(TWINS[request.name], request.options)
        elif options.get("region", "mask") == "mask":
            boxed = {**options, "region": "box"}
            other = _spec.Request(request.name, tuple(boxed.items()))
        else:
            continue
        if other in known:
            found.append((metric, known[other]))
    return found


def title(mask: str, box: str) -> str:
    """What a pair is called: the name both share, with what else is in brackets.

    >>> title("dice", "dice[region=box]")
    'dice'
    >>> title("best_mask_iou", "best_box_iou")
    'best_mask_iou, best_box_iou'
    """
    same = _spec.parse(mask).name == _spec.parse(box).name
    return mask if same else f"{mask}, {box}"


def against(
    runs: comparison.Runs,
    *,
    floors: Sequence[str] = (),
    level: float = 0.95,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """What each method gains or loses when boxes stand for masks.

    Args:
      runs: As in `jaxcam.compare`.
      floors: Floors to be among the methods.
      level: Probability that the intervals are to cover.
      resamples: Of the bootstrap over images.
      seed: Of the bootstrap.

    Returns:
      Records with `metric`, `box_metric`, `method`, `is_floor`, `direction`, `mask` and
      `box`, the data set's values over the images for which both are defined, `n`, and
      the `difference` box - mask with `low` and `high`, paired by image.
    """
    sides = comparison.sides(runs, floors=floors)
    names = comparison.shared_metrics([s.result for s in sides.values()], None)
    records = []
    for mask, box in pairs(names):
        for name, side in sides.items():
            records.append(
                {"metric": mask, "box_metric": box, "method": name}
                | {"is_floor": side.method in floors}
                | {"direction": side.result.direction(mask)}
                | _difference(side, mask, box, level, resamples, seed)
            )
    return records


def _difference(
    side: comparison.Side, mask: str, box: str, level: float, resamples: int, seed: int
) -> dict[str, Any]:
    columns = [_as_columns(side.values(metric)) for metric in (mask, box)]
    reduces = [
        summaries.reduction(side.result, metric) or _mean for metric in (mask, box)
    ]
    width = columns[0].shape[1]
    both = np.concatenate(columns, axis=1)
    kept = ~np.isnan(both).any(axis=1)

    def values(both: np.ndarray, weights: np.ndarray) -> np.ndarray:
        on_masks = reduces[0](both[:, :width], weights)
        on_boxes = reduces[1](both[:, width:], weights)
        return np.stack([on_masks, on_boxes, on_boxes - on_masks], axis=-1)

    clusters = side.clusters()
    if not kept.any():
        found = np.full((3, 3), np.nan)
    else:
        found = statistics.bootstrap(
            both[kept],
            clusters[kept],
            count=int(clusters.max()) + 1,
            reduce=values,
            level=level,
            resamples=resamples,
            seed=seed,
        )
    estimate, low, high = (np.asarray(part, float) for part in found)
    return {
        "mask": float(estimate[0]),
        "box": float(estimate[1]),
        "difference": float(estimate[2]),
        "low": float(low[2]),
        "high": float(high[2]),
        "n": int(kept.sum()),
    }


def _as_columns(values: np.ndarray) -> np.ndarray:
    return values[:, None] if values.ndim == 1 else values


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return statistics.weighted_mean(values, weights)[:, 0]
