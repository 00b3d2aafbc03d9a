"""Which metrics agree: the orders in which they put methods and images."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jaxcam import correlations, results, statistics, summaries

KENDALL_ROWS = 2000
"""Above so many images Kendall's tau between metrics takes too much memory."""


def rank_agreement(
    result: results.Result,
    *,
    over: Literal["methods", "images"] = "methods",
    coefficient: Literal["kendall", "spearman"] = "kendall",
    metrics: Sequence[str] | None = None,
    floors: bool = False,
    level: float = 0.95,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
    cluster: str = "id",
) -> list[dict[str, Any]]:
    """Whether two metrics rank the same way: every pair of metrics.

    Values are turned so that larger is better; metrics without a direction are taken
    as they are. 1 means that two metrics agree, -1 that they contradict each other.

    Args:
      result: The results.
      over: "methods" compares the orders in which the metrics' means put the methods;
        "images" those in which their values put the images, method by method, and
        averages over the methods.
      coefficient: "kendall" is tau-b, "spearman" rho; ties count in both.
      metrics: Which; by default all that are means over images.
      floors: Whether floors and ceiling are ranked as well.
      level: Probability that the intervals are to cover.
      resamples: Of the bootstrap over images.
      seed: Of the bootstrap.
      cluster: Column whose equal rows are drawn together.

    Returns:
      Records with `a`, `b`, `estimate`, `low`, `high`, `n`: the methods for which both
      metrics have a mean; or the fewest images of a method for which both are defined,
      where a method with fewer than three such images is left out. NaN where fewer than
      three methods, or no method, are left, or a metric is constant.

    Raises:
      ValueError: There are fewer than three methods to rank; a metric is of the whole
        data set; or there are too many images for Kendall's tau.

    Cost: over methods, a bootstrap of means. Over images O(metrics^2 x methods x
    resamples x n) with rho, and n times that with tau.
    """
    choices = {"kendall", "spearman"}
    if coefficient not in choices or over not in ("methods", "images"):
        raise ValueError(
            f"over={over!r}, coefficient={coefficient!r} is not known; choose methods "
            "or images, kendall or spearman."
        )
    if metrics is None:
        metrics = [m for m in result.metrics if summaries.is_number(result, m)]
        metrics = [m for m in metrics if summaries.reduction(result, m) is None]
    whole = [m for m in metrics if summaries.reduction(result, m) is not None]
    if whole:
        raise ValueError(f"{whole[0]} is no mean over images; leave it out.")
    ranked = [m for m in result.methods if floors or not result.is_floor(m)]
    agree = _over_methods if over == "methods" else _over_images
    options = {"resamples": resamples, "seed": seed}
    return agree(
        result,
        metrics,
        ranked,
        coefficient,
        result.clusters_by(cluster),
        level,
        options,
    )


def _over_methods(
    result: results.Result,
    metrics: Sequence[str],
    methods: Sequence[str],
    coefficient: str,
    clusters: np.ndarray,
    level: float,
    options: Mapping[str, int],
) -> list[dict[str, Any]]:
    if len(methods) < 3:
        raise ValueError(
            f"An order of {len(methods)} methods says nothing; evaluate at least three "
            "methods, or take over='images'."
        )
    correlate = getattr(correlations, coefficient)
    count = int(clusters.max()) + 1
    means = {}
    for metric in metrics:
        sums, held = np.empty((2, count, len(methods)))
        for column, method in enumerate(methods):
            values, rows, _ = summaries.defined(result, metric, method)
            sums[:, column], held[:, column] = statistics.cluster_sums(
                values, clusters[rows], count
            )
        drawn = statistics.drawn_means(sums, held, **options)
        means[metric] = drawn * (result.direction(metric) or 1)
    records = []
    for a, b in itertools.combinations(metrics, 2):
        kept = ~np.isnan(means[a][0]) & ~np.isnan(means[b][0])
        found = np.full(2, np.nan)
        if kept.sum() > 2:
            found = correlate(means[a][:, kept], means[b][:, kept])
        low, high = statistics.percentiles(found[1:], level)
        records.append(_agreement(a, b, found[0], low, high, int(kept.sum())))
    return records


def _over_images(
    result: results.Result,
    metrics: Sequence[str],
    methods: Sequence[str],
    coefficient: str,
    clusters: np.ndarray,
    level: float,
    options: Mapping[str, int],
) -> list[dict[str, Any]]:
    if coefficient == "kendall" and len(result.rows_of(methods[0])) > KENDALL_ROWS:
        raise ValueError(
            f"Kendall's tau over more than {KENDALL_ROWS} images takes too much "
            "memory; choose coefficient='spearman'."
        )
    correlate = getattr(correlations, f"weighted_{coefficient}")
    count = int(clusters.max()) + 1
    records = []
    for a, b in itertools.combinations(metrics, 2):
        found, images = [], []
        for method in methods:
            x, y, kept = _both(result, a, b, method)
            if len(x) < 3:
                continue
            images.append(len(x))
            correlated = functools.partial(correlate, x, y)
            found.append(
                statistics.drawn(correlated, clusters[kept], count=count, **options)
            )
        if not found:
            records.append(_agreement(a, b, np.nan, np.nan, np.nan, 0))
            continue
        average = np.mean(found, axis=0)
        low, high = statistics.percentiles(average[1:], level)
        records.append(_agreement(a, b, average[0], low, high, min(images)))
    return records


def _both(
    result: results.Result, a: str, b: str, method: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of two metrics, larger is better, where both are defined; their rows."""
    rows = result.rows_of(method)
    x, y = (
        result.values(m, method).astype(np.float64) * (result.direction(m) or 1)
        for m in (a, b)
    )
    kept = result.valid[rows] & ~np.isnan(x) & ~np.isnan(y)
    return x[kept], y[kept], rows[kept]


def _agreement(
    a: str, b: str, estimate: float, low: float, high: float, n: int
) -> dict[str, Any]:
    ends = {"estimate": estimate, "low": low, "high": high}
    return {"a": a, "b": b, **{k: float(v) for k, v in ends.items()}, "n": n}
