"""The metrics of the comparison: each on boxes and on masks, and what lies between."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jaxcam import results

REGION_METRICS = (
    "localization_error",
    "dice",
    "precision",
    "recall",
    "localization_hit",
)
"""Compare a predicted region with the truth: box or component, box or mask."""

MAP_METRICS = (
    "energy_pointing_game",
    "pointing_game",
    "soft_recall",
    "soft_f_score",
    "mean_absolute_error",
    "roc_auc",
    "average_precision",
)
"""Compare the map with the truth, box or mask."""

METRICS = (*REGION_METRICS, *MAP_METRICS)

CELLS = (("box", "box"), ("box", "mask"), ("mask", "box"), ("mask", "mask"))
"""Predicted region and truth; the first is the box version, the last the mask's."""

METHODS = (
    "cam",
    "grad_cam",
    "grad_cam_plus_plus",
    "layer_cam",
    "hires_cam",
    "xgrad_cam",
    "gradient",
)

FLOORS = ("uniform", "centre", "random", "sobel")

REFERENCE = "centre"
"""The floor that knows most of photographs without having seen the network."""

Pairs = tuple[np.ndarray, np.ndarray]
"""Differences float64[n, P, K] of the box versions and of the mask versions."""


def column(metric: str, predicted: str, truth: str) -> str:
    """The request of one cell.

    >>> column("dice", "mask", "box"), column("roc_auc", "box", "box")
    ('dice[predicted=mask,truth=box]', 'roc_auc[truth=box]')
    """
    if metric in MAP_METRICS:
        return f"{metric}[truth={truth}]"
    return f"{metric}[predicted={predicted},truth={truth}]"


def columns() -> tuple[str, ...]:
    """Requests of all cells of all metrics, each once."""
    found = (column(metric, *cell) for metric in METRICS for cell in CELLS)
    return tuple(dict.fromkeys(found))


def version(kind: str) -> list[str]:
    """Requests of all metrics on "box" or "mask", in the order of `METRICS`."""
    return [column(metric, kind, kind) for metric in METRICS]


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """What the metrics say of the methods' maps of one network, image by image.

    Attributes:
      values: float64[n, M, K], larger is better; NaN where undefined.
      skill: float64[n, M, K], over the uniform map; NaN where a metric has none.
      methods: The M methods, floors among them.
      columns: The K requests.
      ids: The n images.
    """

    values: np.ndarray
    skill: np.ndarray
    methods: tuple[str, ...]
    columns: tuple[str, ...]
    ids: tuple[str, ...]

    def of(self, method: str, requests: list[str], *, skill: bool = False):
        """float64[n, len(requests)] of one method."""
        where = [self.columns.index(request) for request in requests]
        values = self.skill if skill else self.values
        return values[:, self.methods.index(method)][:, where]

    def stacked(self, methods: Sequence[str], kind: str) -> np.ndarray:
        """float64[n, M, K] of the metrics' version "box" or "mask"."""
        requests = version(kind)
        return np.stack([self.of(method, requests) for method in methods], axis=1)


def scores(parts: Mapping[str, results.Result]) -> Scores:
    """Collects the scores of methods.

    Args:
      parts: For each method, floors among them, the results that hold its rows.

    Raises:
      ValueError: The methods' rows are not of the same images.
    """
    requests = columns()
    values, skills, ids = [], [], []
    for method, result in parts.items():
        rows = result.rows_of(method)
        valid = result.valid[rows]
        ids.append(tuple(result.columns["id"][rows]))
        raw = [_turned(result, request, method) for request in requests]
        over = [
            result.values(f"{request}.skill", method)
            if f"{request}.skill" in result.skills
            else np.full(len(valid), np.nan)
            for request in requests
        ]
        for found, kept in ((raw, values), (over, skills)):
            kept.append(np.where(valid[:, None], np.stack(found, axis=1), np.nan))
    same_images(*ids)
    return Scores(
        np.stack(values, axis=1),
        np.stack(skills, axis=1),
        tuple(parts),
        requests,
        ids[0],
    )


def same_images(*ids: Sequence[str]) -> None:
    """Refuses rows that are to be paired by their position but are of other images.

    Raises:
      ValueError: The images differ, or their order.
    """
    if any(tuple(other) != tuple(ids[0]) for other in ids[1:]):
        raise ValueError(
            "Runs to be compared hold different images; remove them and run again."
        )


def _turned(result: results.Result, request: str, method: str) -> np.ndarray:
    return result.direction(request) * result.values(request, method).astype(float)


def above_floor(
    scores: Mapping[str, Scores], methods: Sequence[str], *, skill: bool = False
) -> Pairs:
    """Every explanation less the centre floor on the same image."""

    def one(kind: str) -> np.ndarray:
        requests = version(kind)
        columns = [
            s.of(method, requests, skill=skill) - s.of(REFERENCE, requests, skill=skill)
            for s in scores.values()
            for method in methods
        ]
        return np.stack(columns, axis=1)

    return one("box"), one("mask")
