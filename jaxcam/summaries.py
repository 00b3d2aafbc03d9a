"""From rows to estimates with intervals: what a summary of results computes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcam import _spec, columns, statistics

SKILL = ".skill"

_KEYS = ("estimate", "low", "high", "n", "n_undefined", "n_invalid")


def summarize(
    result: Any,
    metrics: Sequence[str],
    clusters: np.ndarray,
    *,
    level: float,
    resamples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """One record a method and metric; see `results.Result.summary`.

    Args:
      result: The results.
      metrics: Metrics and skills that are numbers.
      clusters: int[rows], rows that are drawn together.
      level: Probability that the intervals are to cover.
      resamples: Of the bootstrap.
      seed: Of the bootstrap.
    """
    count = int(clusters.max(initial=-1)) + 1
    options = {"level": level, "resamples": resamples, "seed": seed}
    plain = [(method, m) for m in metrics for method in result.methods]
    plain = [pair for pair in plain if reduction(result, pair[1]) is None]
    found = _means(result, plain, clusters, count, options)
    for metric in metrics:
        reduce = reduction(result, metric)
        for method in result.methods if reduce is not None else ():
            values, kept, counts = defined(result, metric, method)
            ends = statistics.bootstrap(
                values, clusters[kept], count=count, reduce=reduce, **options
            )
            found[method, metric] = (*map(float, ends), *counts)
    return [
        {
            "method": method,
            "metric": metric,
            **dict(zip(_KEYS, found[method, metric], strict=True)),
            "direction": result.direction(metric),
            "is_floor": result.is_floor(method),
        }
        for method in result.methods
        for metric in metrics
    ]


def _means(
    result: Any,
    pairs: Sequence[tuple[str, str]],
    clusters: np.ndarray,
    count: int,
    options: dict[str, Any],
) -> dict[tuple[str, str], tuple]:
    """Metrics that are means over rows, as many at once as memory allows."""
    # Every group of columns draws anew, which costs more than the groups' products.
    width = max(1, 2 * statistics.BLOCK_BYTES // max(16 * count, 1))
    found = {}
    for start in range(0, len(pairs), width):
        some = pairs[start : start + width]
        sums, held = np.empty((2, count, len(some)))
        counted = []
        for column, (method, metric) in enumerate(some):
            values, kept, counts = defined(result, metric, method)
            sums[:, column], held[:, column] = statistics.cluster_sums(
                values, clusters[kept], count
            )
            counted.append(counts)
        ends = statistics.bootstrap_means(sums, held, **options)
        for pair, *numbers, counts in zip(some, *ends, counted, strict=True):
            found[pair] = (*map(float, numbers), *counts)
    return found


def defined(
    result: Any, metric: str, method: str
) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int]]:
    """Values of the valid rows, their positions, and how many rows count or do not.

    Returns:
      Values, positions, and the numbers of defined, undefined and invalid rows.
    """
    rows, values = result.rows_of(method), result.values(metric, method)
    valid = result.valid[rows]
    undefined = np.isnan(values).reshape(len(values), -1).any(axis=1)
    counts = (valid & ~undefined, valid & undefined, ~valid)
    return values[valid], rows[valid], tuple(int(np.sum(c)) for c in counts)


def reduction(result: Any, metric: str) -> statistics.Reduce | None:
    """How the data set's value comes from the rows; `None` for their mean."""
    spec = result.spec(metric)
    if metric.endswith(SKILL) or spec is None or spec.reduce is None:
        return None
    options = {**spec.default_options, **dict(_spec.parse(metric).options)}
    taken = inspect.signature(spec.reduce).parameters
    return functools.partial(
        spec.reduce, **{k: v for k, v in options.items() if k in taken}
    )


def is_number(result: Any, metric: str) -> bool:
    """Whether a metric of the data set is one number: no curve, no text."""
    if metric.endswith(SKILL) or reduction(result, metric) is not None:
        return True
    return columns.is_scalar(result.columns, metric)
