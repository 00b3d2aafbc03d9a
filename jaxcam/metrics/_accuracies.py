"""What a data set scores over all thresholds, from the vectors of its images.

NumPy, on the host; the vectors of shards are stacked before.
"""

from __future__ import annotations

import numpy as np

from jaxcam.metrics import _pooled

_SIGMAS = (0.3, 0.5, 0.7)


def accuracy_curve(
    values: np.ndarray, weights: np.ndarray | None = None, *, sigma: float = 0.5
) -> np.ndarray:
    """Share of the images whose IoU is at least `sigma`, at each threshold.

    Args:
      values: float[n, T], the images' vectors; rows with a NaN are left out.
      weights: float[R, n], how often each draw holds each image; `None` is one draw
        of each image once.
      sigma: The IoU that counts as a hit, compared in float32.

    Returns:
      float64[R, T], in [0, 1]; NaN where a draw holds no image.

    Raises:
      ValueError: the shapes do not fit.

    >>> print(accuracy_curve(np.array([[0.2, 0.6], [0.5, 0.7]], np.float32)))
    [[0.5 1. ]]
    """
    return _pooled.shares(values, weights, sigma)


def best_accuracy(
    values: np.ndarray, weights: np.ndarray | None = None, *, sigma: float = 0.5
) -> np.ndarray:
    """Largest share of hits that one threshold reaches for all images.

    Args:
      values: As in `accuracy_curve`.
      weights: As in `accuracy_curve`.
      sigma: As in `accuracy_curve`.

    Returns:
      float64[R].

    >>> print(best_accuracy(np.array([[0.2, 0.6], [0.6, 0.4]], np.float32)))
    [0.5]
    """
    return accuracy_curve(values, weights, sigma=sigma).max(axis=1)


def best_accuracy_v2(
    values: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Mean of `best_accuracy` over sigma in {.3, .5, .7}, each with its threshold.

    Args:
      values: As in `accuracy_curve`.
      weights: As in `accuracy_curve`.

    Returns:
      float64[R].

    >>> print(best_accuracy_v2(np.array([[0.4, 0.6], [0.4, 0.2]], np.float32)))
    [0.5]
    """
    by_sigma = [best_accuracy(values, weights, sigma=sigma) for sigma in _SIGMAS]
    return np.mean(by_sigma, axis=0)


def best_threshold(
    values: np.ndarray, weights: np.ndarray | None = None, *, sigma: float = 0.5
) -> np.ndarray:
    """The threshold that `best_accuracy` takes; the lowest of equally good ones.

    Args:
      values: As in `accuracy_curve`.
      weights: As in `accuracy_curve`.
      sigma: As in `accuracy_curve`.

    Returns:
      float64[R], as a fraction of the maximum of the normalised map; NaN where a draw
      holds no image.

    Raises:
      ValueError: As in `accuracy_curve`.

    >>> print(best_threshold(np.array([[0.2, 0.6], [0.6, 0.7]], np.float32)))
    [0.5]
    """
    curves = accuracy_curve(values, weights, sigma=sigma)
    best = np.argmax(curves, axis=1) / curves.shape[1]
    return np.where(np.isnan(curves).any(axis=1), np.nan, best)


def accuracy_area(
    values: np.ndarray, weights: np.ndarray | None = None, *, sigma: float = 0.5
) -> np.ndarray:
    """Mean of `accuracy_curve` over the thresholds: what a threshold at random hits.

    Args:
      values: As in `accuracy_curve`.
      weights: As in `accuracy_curve`.
      sigma: As in `accuracy_curve`.

    Returns:
      float64[R].

    >>> print(accuracy_area(np.array([[0.2, 0.6], [0.5, 0.7]], np.float32)))
    [0.75]
    """
    return accuracy_curve(values, weights, sigma=sigma).mean(axis=1)
