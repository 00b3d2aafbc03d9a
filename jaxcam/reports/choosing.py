"""Which images a report shows: the best, the middle, the worst, the strange."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcam import comparison, results, summaries

KINDS = {
    "best": "Best explained",
    "median": "In the middle",
    "worst": "Worst explained",
    "contested": "Most contested between the methods",
    "wrong": "Wrong class",
    "wrong_reason": "Right class, wrong reason",
}
"""What images are shown for."""

PREFERRED = "energy_pointing_game"


@dataclasses.dataclass(frozen=True)
class Choice:
    """Images to be shown.

    Attributes:
      by: The metric that decides.
      rows: Positions among the rows that the methods share, the best explained first,
        each with what it is shown for.
      values: float64[n], the metric's mean over the methods, of every shared row.
      wrong: Number of wrong decisions; `None` where it is not known what is right.
      wrong_reason: Of the right decisions those whose maps score no better than a
        uniform map.
      right: Number of right decisions.
    """

    by: str
    rows: Mapping[int, tuple[str, ...]]
    values: np.ndarray
    wrong: int | None
    wrong_reason: int
    right: int


def choose(
    sides: Mapping[str, comparison.Side],
    floor: comparison.Side | None,
    *,
    by: str | None = None,
    count: int = 4,
) -> Choice | None:
    """Picks images by one metric, averaged over the methods.

    Args:
      sides: Methods, no floors among them.
      floor: The uniform map on the same rows, if it is there.
      by: The metric; by default the energy pointing game, or else the first that is a
        mean over images and has a direction.
      count: How many images of each kind.

    Returns:
      The choice; `None` if no metric can decide.

    Raises:
      ValueError: `by` is not among the metrics that can decide.
    """
    first = next(iter(sides.values())).result
    known = deciding(first)
    if by is not None and by not in known:
        raise ValueError(
            f"by={by!r} cannot order images; choose one of {', '.join(known)}."
        )
    if not known or count < 1:
        return None
    by = by or (PREFERRED if PREFERRED in known else known[0])
    direction = first.direction(by)
    table = direction * np.stack([side.values(by) for side in sides.values()])
    held = ~np.isnan(table)
    number = held.sum(axis=0)
    total = np.where(held, table, 0).sum(axis=0)
    values = np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0)
    defined = np.flatnonzero(number)
    order = defined[np.argsort(-values[defined], kind="stable")]
    if not len(order):
        return None

    found: dict[int, list[str]] = {}

    def add(kind: str, rows: Sequence[int], most: int = count) -> None:
        for row in rows[:most]:
            found.setdefault(int(row), []).append(kind)

    middle = np.argsort(np.abs(values[order] - np.median(values[order])), kind="stable")
    third = max(1, min(count, len(order) // 3))  # Of few images none is best and worst.
    add("best", order, third)
    add("median", order[middle], third)
    add("worst", order[::-1], third)
    spread = _spread(table, held, first, next(iter(sides.values())), known)
    add("contested", [r for r in np.argsort(-spread, kind="stable") if spread[r] > 0])
    correct, probability = _decisions(next(iter(sides.values())))
    wrong = np.flatnonzero(correct == 0)
    explained = first.manifest["scientific"].get("explained", "predicted")
    sure = probability[wrong] * (1 if explained == "label" else -1)
    add("wrong", wrong[np.argsort(sure, kind="stable")])
    right = np.flatnonzero((correct == 1) & (number > 0))
    chance = np.full(len(values), -np.inf)
    if floor is not None:
        chance = direction * floor.values(by)
    misled = [r for r in order[::-1] if correct[r] == 1 and values[r] <= chance[r]]
    add("wrong_reason", misled)
    rank = {int(row): place for place, row in enumerate(order)}
    rows = sorted(found, key=lambda row: rank.get(row, len(rank)))
    return Choice(
        by=by,
        rows={row: tuple(found[row]) for row in rows},
        values=direction * values,
        wrong=None if np.isnan(correct).all() else len(wrong),
        wrong_reason=len(misled),
        right=len(right),
    )


def deciding(result: results.Result) -> list[str]:
    """Metrics that can put images in order: means over images, with a direction."""
    return [
        metric
        for metric in result.metrics
        if summaries.is_number(result, metric)
        and summaries.reduction(result, metric) is None
        and result.direction(metric)
    ]


def _spread(
    table: np.ndarray,
    held: np.ndarray,
    result: results.Result,
    side: comparison.Side,
    metrics: Sequence[str],
) -> np.ndarray:
    """How far methods are apart on each row; of one method, how far its metrics are."""
    if len(table) > 1:
        low = np.where(held, table, np.inf).min(axis=0)
        high = np.where(held, table, -np.inf).max(axis=0)
        return np.where(held.sum(axis=0) > 1, high - low, 0.0)
    shares = [_shares(side.values(m) * result.direction(m)) for m in metrics]
    ranks = np.ma.masked_invalid(np.stack(shares))
    return np.ma.filled(ranks.max(axis=0) - ranks.min(axis=0), 0.0)


def _shares(values: np.ndarray) -> np.ndarray:
    """Of each value, the share of the others that are below; NaN stays NaN."""
    kept = np.sort(values[~np.isnan(values)])
    if not len(kept):
        return values
    below = np.searchsorted(kept, values, "left") + np.searchsorted(
        kept, values, "right"
    )
    return np.where(np.isnan(values), np.nan, below / (2 * len(kept)))


def _decisions(side: comparison.Side) -> tuple[np.ndarray, np.ndarray]:
    """Whether each row's class is right (NaN: not known), and its probability.

    The rows apart are those of `side.result.split(by="correct")`.
    """
    positions = side.result.rows_of(side.method)[side.rows]
    nothing = np.full(len(positions), np.nan)
    columns: Mapping[str, Any] = side.result.columns
    correct, probability = (
        np.asarray(columns[name][positions], float) if name in columns else nothing
        for name in ("correct", "probability")
    )
    valid = side.result.valid[positions]
    return np.where(valid, correct, np.nan), np.nan_to_num(probability)
