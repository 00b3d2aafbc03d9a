"""Data-set values from per-image vectors: NumPy, on the host.

A vector of an image is never reduced before it is stored, so that shards can be merged
and images drawn again; rows with a NaN are undefined and leave the data set.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_ROWS = 4096


def checked(
    values: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors `[n, T]` and weights float64[R, n]; undefined rows weigh nothing."""
    values = np.asarray(values)
    if values.ndim != 2:
        raise ValueError(
            f"values must have shape (images, T) but has shape {values.shape}; stack "
            "the vectors of the images."
        )
    if weights is None:
        weights = np.ones((1, len(values)))
    weights = np.asarray(weights, np.float64)
    if weights.ndim != 2 or weights.shape[1] != len(values):
        raise ValueError(
            f"weights must have shape (R, {len(values)}), one row a draw, but has "
            f"shape {weights.shape}."
        )
    undefined = np.isnan(values).any(axis=1)
    return values, np.where(undefined, 0.0, weights)


def weighted_sums(
    values: np.ndarray,
    weights: np.ndarray,
    of: Callable[[np.ndarray], np.ndarray] = lambda rows: rows,
) -> np.ndarray:
    """Sums `[R, T]` of `of(rows)` over the images, a block of images at a time."""
    total = 0.0
    for start in range(0, max(len(values), 1), _ROWS):
        rows = of(np.nan_to_num(values[start : start + _ROWS]))
        total = total + weights[:, start : start + _ROWS] @ rows.astype(np.float64)
    return total


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """`numerator / denominator`, NaN where that is x / 0."""
    nan = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    return np.divide(numerator, denominator, out=nan, where=denominator != 0)


def shares(values: np.ndarray, weights: np.ndarray | None, sigma: float) -> np.ndarray:
    """Share `[R, T]` of the images whose value is at least `sigma`, in float32."""
    values, weights = checked(values, weights)
    level = np.float32(sigma)
    hits = weighted_sums(values, weights, lambda rows: rows >= level)
    return ratio(hits, weights.sum(axis=1, keepdims=True))
