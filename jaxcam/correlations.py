"""Rank correlations, of many resamples at once."""

from __future__ import annotations

import numpy as np

from jaxcam import statistics


def kendall(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Kendall's tau-b along the last axis, ties corrected for; NaN if one is constant.

    Args:
      x: float[..., M].
      y: float[..., M].

    Returns:
      float64[...], in [-1, 1].

    Cost: O(M^2) memory; for rankings of methods, not of images.
    """
    i, j = np.triu_indices(np.shape(x)[-1], 1)
    return _correlation(_sign(x, i, j), _sign(y, i, j), centre=False)


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlation of the tie-averaged ranks along the last axis; NaN if constant.

    Args:
      x: float[..., M].
      y: float[..., M].

    Returns:
      float64[...], in [-1, 1].

    Cost: O(M^2) memory, as `kendall`.
    """
    return _correlation(_small_ranks(x), _small_ranks(y))


def weighted_spearman(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's correlation of resamples, ranked anew in each of them.

    Args:
      x: float[n].
      y: float[n].
      weights: float[R, n], how often each resample holds each row.

    Returns:
      float64[R]; NaN where a resample of `x` or `y` is constant.

    Cost: O(n log n + R n).
    """
    return _correlation(_ranks(x, weights), _ranks(y, weights), weights=weights)


def weighted_kendall(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of resamples; a row drawn twice ties with itself.

    Args:
      x: float[n].
      y: float[n].
      weights: float[R, n], how often each resample holds each row.

    Returns:
      float64[R]; NaN where a resample of `x` or `y` is constant.

    Cost: O(n^2) memory, O(R n^2) time.
    """
    a, b = (np.sign(v[:, None] - v[None, :]).astype(np.float64) for v in (x, y))

    def total(pairs: np.ndarray) -> np.ndarray:
        return np.sum(weights @ pairs * weights, axis=1)

    return statistics.ratio(total(a * b), np.sqrt(total(a * a) * total(b * b)))


def _sign(x: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return np.sign(x[..., i] - x[..., j])


def _small_ranks(x: np.ndarray) -> np.ndarray:
    """Tie-averaged ranks along the last axis, up to a constant; NaN if one is NaN."""
    x = np.asarray(x, np.float64)
    return np.sum(np.sign(x[..., :, None] - x[..., None, :]), axis=-1) / 2


def _ranks(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Tie-averaged ranks `[R, n]` of each row within each resample."""
    _, group = np.unique(x, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(int(group.max()) + 1))
    held = np.add.reduceat(weights[:, order], starts, axis=1)
    below = np.cumsum(held, axis=1) - held
    return (below + (held + 1) / 2)[:, group]


def _correlation(
    a: np.ndarray,
    b: np.ndarray,
    *,
    weights: np.ndarray | float = 1.0,
    centre: bool = True,
) -> np.ndarray:
    """Pearson's correlation along the last axis; NaN if one is constant."""
    if centre:
        total = np.sum(np.broadcast_to(weights, a.shape), axis=-1, keepdims=True)
        a = a - np.sum(weights * a, axis=-1, keepdims=True) / total
        b = b - np.sum(weights * b, axis=-1, keepdims=True) / total
    products = (np.sum(weights * x * y, axis=-1) for x, y in ((a, b), (a, a), (b, b)))
    ab, aa, bb = products
    return np.clip(statistics.ratio(ab, np.sqrt(aa * bb)), -1.0, 1.0)
