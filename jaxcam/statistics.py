"""Intervals and comparisons: bootstrap over images, paired tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

RESAMPLES = 2000
CHUNK = 100

Reduce = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From values `[n, ...]` and weights `[R, n]` to a number for each row of weights."""


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the rows that are not NaN; NaN where none has weight.

    Args:
      values: float[n] or float[n, k], every column with rows of its own undefined.
      weights: float[R, n].

    Returns:
      float64[R] or float64[R, k].
    """
    defined = ~np.isnan(values)
    sums = weights @ np.where(defined, values, 0.0).astype(np.float64)
    total = weights @ defined.astype(np.float64)
    return np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)


def resampled_weights(
    clusters: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[np.ndarray]:
    """How often each row is drawn in each resample of whole clusters.

    The draws depend on the number of clusters and the seed alone, so that methods and
    metrics over the same images are resampled alike.

    Args:
      clusters: int[n], the cluster of each row, 0 ... k - 1.
      resamples: Number of resamples.
      seed: Of the draws.

    Yields:
      float64[r, n] in chunks that add up to `resamples`.
    """
    count = int(clusters.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        drawn = rng.integers(0, count, (size, count))
        offset = drawn + count * np.arange(size)[:, None]
        times = np.bincount(offset.ravel(), minlength=size * count)
        yield times.reshape(size, count)[:, clusters].astype(np.float64)


def bootstrap(
    values: np.ndarray,
    clusters: np.ndarray,
    *,
    reduce: Reduce = weighted_mean,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An estimate with its percentile bootstrap interval.

    Percentiles, because they hold for any reduction (a maximum over thresholds of a
    mean, say) and never leave its range.

    Args:
      values: float[n, ...], one row an image and target.
      clusters: int[n], rows that are resampled together.
      reduce: From rows and weights to one quantity, or to several at once.
      level: Probability that the interval is to cover.
      resamples: Number of resamples.
      seed: Of the draws.

    Returns:
      Estimate, lower and upper end: one number each, or as many as `reduce` gives; NaN
      where no row is defined.
    """
    estimate = reduce(values, np.ones((1, len(values))))[0]
    chunks = resampled_weights(clusters, resamples=resamples, seed=seed)
    drawn = np.concatenate([reduce(values, weights) for weights in chunks])
    drawn = np.where(np.isnan(estimate), 0.0, drawn)
    tail = (1 - level) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    undefined = np.isnan(estimate)
    return estimate, np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def sign_flip_test(
    differences: np.ndarray, *, permutations: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p-value of paired differences under random signs.

    Args:
      differences: float[n]; NaN rows are left out.
      permutations: Number of random sign vectors.
      seed: Of the signs.

    Returns:
      The p-value, at least 1 / (permutations + 1); NaN without a row.
    """
    kept = differences[~np.isnan(differences)].astype(np.float64)
    if not len(kept):
        return np.nan
    observed = abs(kept.sum())
    rng = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, permutations, CHUNK):
        size = min(CHUNK, permutations - start)
        signs = rng.integers(0, 2, (size, len(kept))) * 2 - 1
        extreme += int(np.sum(np.abs(signs @ kept) >= observed * (1 - 1e-12)))
    return (extreme + 1) / (permutations + 1)


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values corrected for their number by Holm's step-down procedure."""
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.minimum(p_values[order] * factors, 1.0))
    corrected = np.empty(len(p_values))
    corrected[order] = stepped
    return corrected


def paired_effect_size(differences: np.ndarray) -> float:
    """Mean of paired differences over their standard deviation; NaN below two rows."""
    kept = differences[~np.isnan(differences)].astype(np.float64)
    if len(kept) < 2:
        return np.nan
    spread = kept.std(ddof=1)
    return float(kept.mean() / spread) if spread > 0 else np.nan


def win_rate(differences: np.ndarray) -> float:
    """Share of rows with a positive difference, ties counted half."""
    kept = differences[~np.isnan(differences)]
    if not len(kept):
        return np.nan
    return float(np.mean((kept > 0) + 0.5 * (kept == 0)))
