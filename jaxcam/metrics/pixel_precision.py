"""Average precision of all the pixels of a data set together."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
import numpy as np

from jaxcam import _checks, _numerics, _spec, ops
from jaxcam._types import Array
from jaxcam.metrics import _pooled


def pixel_average_precision(
    saliency: Array,
    mask: Array,
    frame: Array | None = None,
    *,
    where: Array | None = None,
    thresholds: int = 1000,
    normalization: Literal["max", "minmax"] = "max",
) -> Array:
    r"""What PxAP is read from: histograms of the scores on and off the object.

    .. math::
      \mathrm{PxAP} = \sum_k \mathrm{prec}(k/T) \,
      [\mathrm{rec}(k/T) - \mathrm{rec}((k+1)/T)], \qquad k = 0, \ldots, T

    Precision and recall are those of :math:`\{s \ge t\}` over the pixels of all images
    together, :math:`s` the normalised map; so an image with a large object counts for
    more. Bin k of T + 1 holds scores in [k/T, (k+1)/T), the last one the score 1. Stack
    the vectors of the images and read `pooled_average_precision`. A constant map scores
    the share of pixels that are object.

    One image. Batch with `jax.vmap(pixel_average_precision)`.

    Args:
      saliency: float[H, W], larger means more relevant.
      mask: bool[H, W], true on the object.
      frame: bool[H, W], true on pixels of the image, on which the map is normalised
        and which count; `None` means all.
      where: bool[H, W], true on pixels that count; `None` counts every pixel.
      thresholds: Their number T.
      normalization: How the map is normalised, see `ops.normalize`; by the published
        tool with `"minmax"`.

    Returns:
      float32[2 (T + 1)]: pixels on the object in each bin, then those off it; exact
      up to 2**24 pixels. NaN if the map has a NaN on a pixel that counts.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: an argument is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods
    Right", CVPR 2020 (arXiv:2001.07437). With `normalization="minmax"` and 1000
    thresholds it is github.com/clovaai/wsolevaluation up to scores that round across
    a bin's edge (float32 here, float64 there).

    >>> s = jnp.array([[1.0, 0.6], [0.6, 0.0]])
    >>> m = jnp.array([[True, True], [False, False]])
    >>> counts = pixel_average_precision(s, m, thresholds=2)
    >>> print(counts, pooled_average_precision(counts[None]))
    [0. 1. 1. 1. 1. 0.] [0.83333333]
    """
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    frame = _checks.valid_pixels(frame, saliency)
    where = where & frame
    undefined = _numerics.any_nan(saliency, where)
    unit = ops.normalize(
        jnp.where(jnp.isnan(saliency), 0.0, saliency), rule=normalization, where=frame
    )
    bins = _bin_of(unit, thresholds) + jnp.where(mask, 0, thresholds + 1)
    counts = (
        jnp.zeros(2 * (thresholds + 1), jnp.int32).at[bins].add(where.astype(jnp.int32))
    )
    return _numerics.undefined_if(undefined, counts.astype(jnp.float32))


def _bin_of(unit: Array, thresholds: int) -> Array:
    """The largest k with `unit >= k / T`: by a product, then by the edges beside it."""
    edges = np.append(np.arange(thresholds + 1) / thresholds, np.inf)
    edges = jnp.asarray(edges, jnp.float32)
    near = jnp.clip((unit * thresholds).astype(jnp.int32), 0, thresholds)
    too_high = (unit < edges[near]) & (near > 0)
    too_low = unit >= edges[near + 1]
    return near + too_low.astype(jnp.int32) - too_high.astype(jnp.int32)


def pooled_average_precision(
    values: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Average precision of the pixels of all images together.

    Args:
      values: float[n, 2 (T + 1)], the images' histograms; rows with a NaN are left
        out.
      weights: float[R, n], how often each draw holds each image; `None` is one draw
        of each image once.

    Returns:
      float64[R], in [0, 1]; NaN where no pixel of a draw is object.

    Raises:
      ValueError: the shapes do not fit.

    >>> histograms = np.array([[0, 2, 2, 0], [0, 0, 4, 0]])  # On, on, off, off.
    >>> print(pooled_average_precision(histograms))
    [1.]
    """
    values, weights = _pooled.checked(values, weights)
    on, off = np.split(_pooled.weighted_sums(values, weights), 2, axis=1)
    on, off = on[:, ::-1], off[:, ::-1]  # From the highest score downwards.
    hits = np.cumsum(on, axis=1)
    precision = _pooled.ratio(hits, hits + np.cumsum(off, axis=1))
    recalled = _pooled.ratio(on, hits[:, -1:])
    area = np.sum(np.nan_to_num(precision) * recalled, axis=1)
    return np.where(hits[:, -1] > 0, area, np.nan)


SPECS = (
    _spec.MetricSpec(
        fn=pixel_average_precision,
        inputs=("saliency", "mask", "frame"),
        family="thresholds searched",
        formula="sum over t of precision(t) x the gain in recall at t, all pixels of "
        "the data set pooled",
        range=(0.0, 1.0),
        direction=1,
        undefined="a NaN in the map; no object in the data set",
        cost="O(HW)",
        source="Choe et al. 2020, arXiv:2001.07437",
        static=("thresholds", "normalization"),
        reduce=pooled_average_precision,
    ),
)
