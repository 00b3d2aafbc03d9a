"""Map against region, the map read as a ranking of pixels."""

from __future__ import annotations

import math

import jax.numpy as jnp

from jaxcam import _checks, _numerics, _order, _spec
from jaxcam._types import Array

REGIONS = ("mask", "box")


def relevance_rank_accuracy(
    saliency: Array, mask: Array, *, where: Array | None = None
) -> Array:
    r"""Share of the K most salient pixels that lie on the object, K its area.

    .. math::
      \mathrm{RRA}(s, m) = \frac{|\mathrm{top}_K(s) \cap m|}{K}, \qquad K = |m|

    Only the order of the saliency values matters. Pixels tied at the K-th value count
    at their expectation under a random order, so a constant map scores exactly chance.
    One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], any scale and sign; larger means more relevant.
      mask: bool[H, W], true on the object.
      where: bool[H, W], true on pixels that count. Pixels outside it are neither
        ranked nor part of the object. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; higher is better, 1 is perfect. NaN if the object has no
      valid pixel or a valid saliency value is NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW) time and memory, no sort.

    Source: L. Arras, A. Osman and W. Samek, "CLEVR-XAI: a benchmark dataset for the
    ground truth evaluation of neural network explanations", Information Fusion 81,
    2022 (arXiv:2003.07258); the rule for ties is ours.

    >>> s = jnp.array([[4., 3.], [2., 1.]])
    >>> m = jnp.array([[True, False], [True, False]])
    >>> print(relevance_rank_accuracy(s, m))
    0.5
    """
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    area = _numerics.count(mask)
    return _numerics.ratio(_expected_hits(saliency, mask, where, area), area)


def top_k_intersection(
    saliency: Array,
    mask: Array,
    *,
    where: Array | None = None,
    k: int | Array = 1000,
) -> Array:
    r"""Share of the k most salient pixels that lie on the object.

    .. math::
      \mathrm{TKI}(s, m) = \frac{|\mathrm{top}_k(s) \cap m|}{\min(k, |m|)}

    Only the order of the saliency values matters. Pixels tied at the k-th value count
    at their expectation under a random order. One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], any scale and sign; larger means more relevant.
      mask: bool[H, W], true on the object.
      where: bool[H, W], true on pixels that count. `None` counts every pixel.
      k: How many pixels, a whole number; kept between 1 and all that count.

    Returns:
      float32[], in [0, 1]; higher is better, 1 is perfect. NaN if the object has no
      valid pixel or a valid saliency value is NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW) time and memory, no sort.

    Source: J. Theiner, E. Müller-Budack and R. Ewerth, "Interpretable semantic photo
    geolocation", WACV 2022 (arXiv:2104.14995). Divided by k alone, no map could reach 1
    on an object of fewer than k pixels. The rule for ties is ours.

    >>> s = jnp.array([[4., 3.], [2., 1.]])
    >>> m = jnp.array([[True, False], [True, False]])
    >>> print(top_k_intersection(s, m, k=3))
    1.0
    """
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    k, area = _possible(k, where), _numerics.count(mask)
    hits = _expected_hits(saliency, mask, where, k)
    return _numerics.ratio(hits, jnp.minimum(k, area))


def concept_influence(
    saliency: Array,
    mask: Array,
    *,
    where: Array | None = None,
    k: int | Array = 1000,
) -> Array:
    r"""How many times denser than by chance the k most salient pixels hit the object.

    .. math::
      \mathrm{CI}(s, m) = \frac{|\mathrm{top}_k(s) \cap m|}{k} \cdot \frac{N}{|m|}

    A constant map scores 1. Only the order of the saliency values matters; ties count
    as in `top_k_intersection`. One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], any scale and sign; larger means more relevant.
      mask: bool[H, W], true on the object.
      where: bool[H, W], true on the N pixels that count. `None` counts every pixel.
      k: How many pixels, a whole number; kept between 1 and all that count.

    Returns:
      float32[], at least 0; higher is better, 1 is chance. NaN if the object has no
      valid pixel or a valid saliency value is NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW) time and memory, no sort.

    Source: as `top_k_intersection`, where it is averaged over the images of a concept.

    >>> s = jnp.array([[4., 3.], [2., 1.]])
    >>> m = jnp.array([[True, False], [False, False]])
    >>> print(concept_influence(s, m, k=2))
    2.0
    """
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    k = _possible(k, where)
    dense = _numerics.ratio(_expected_hits(saliency, mask, where, k), k)
    return dense * _numerics.ratio(_numerics.count(where), _numerics.count(mask))


def roc_auc(saliency: Array, mask: Array, *, where: Array | None = None) -> Array:
    r"""Probability that a pixel of the object is more salient than one off it.

    .. math::
      \mathrm{AUC}(s, m) = \mathrm{P}(s_p > s_q) + \tfrac12 \mathrm{P}(s_p = s_q),
      \qquad p \in m, \; q \notin m

    The area under the curve of true against false positive rates over all thresholds.
    Only the order of the saliency values matters; a constant map scores 1/2. One image;
    batch with `jax.vmap`.

    Args:
      saliency: float[H, W], any scale and sign; larger means more relevant.
      mask: bool[H, W], true on the object.
      where: bool[H, W], true on pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; higher is better, 1 is perfect. NaN if no valid pixel is on
      the object, none is off it, or a valid saliency value is NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW log HW), a sort that metrics of one map share.

    Source: T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters
    27, 2006.

    >>> s = jnp.array([[4., 3.], [2., 1.]])
    >>> m = jnp.array([[True, False], [True, False]])
    >>> print(roc_auc(s, m))
    0.75
    """
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    order = _order.descending(saliency)
    on = _order.counts(order, mask)
    off = _order.counts(order, where) - on
    better = (_order.running_sum(on) - on).astype(jnp.float32)
    equal = on.astype(jnp.float32)
    won = jnp.sum(off.astype(jnp.float32) * (better + equal / 2))
    objects = _numerics.count(mask)
    score = _numerics.ratio(won, objects * (_numerics.count(where) - objects))
    return _numerics.undefined_if(_numerics.any_nan(saliency, where), score)


def average_precision(
    saliency: Array, mask: Array, *, where: Array | None = None
) -> Array:
    r"""Mean precision of the pixels above each pixel of the object.

    .. math::
      \mathrm{AP}(s, m) = \frac{1}{|m|} \sum_{p \in m}
      \frac{|\{q \in m : s_q \ge s_p\}|}{|\{q : s_q \ge s_p\}|}

    The area in steps under the curve of precision against recall over all thresholds,
    without interpolation. Only the order of the saliency values matters; a constant map
    scores the object's share of the pixels. One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], any scale and sign; larger means more relevant.
      mask: bool[H, W], true on the object.
      where: bool[H, W], true on pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; higher is better, 1 is perfect. NaN if no valid pixel is on
      the object, none is off it, or a valid saliency value is NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW log HW), a sort that metrics of one map share.

    Source: the step-wise definition of the retrieval literature, as scikit-learn
    computes it. `pixel_average_precision` pools the pixels of all images instead.

    >>> s = jnp.array([[4., 3.], [2., 1.]])
    >>> m = jnp.array([[True, False], [True, False]])
    >>> print(f"{average_precision(s, m):.4f}")  # (1/1 + 2/3) / 2
    0.8333
    """
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    order = _order.descending(saliency)
    on = _order.counts(order, mask)
    hits = _order.running_sum(on).astype(jnp.float32)
    seen = _order.running_sum(_order.counts(order, where)).astype(jnp.float32)
    precision = hits / jnp.maximum(seen, 1.0)
    objects = _numerics.count(mask)
    score = _numerics.ratio(jnp.sum(on.astype(jnp.float32) * precision), objects)
    one_class = (objects == 0) | (objects == _numerics.count(where))
    nan_in = _numerics.any_nan(saliency, where)
    return _numerics.undefined_if(one_class | nan_in, score)


def _possible(k: int | Array, where: Array) -> Array:
    """`k` as float32, at least 1 and at most the number of pixels that count."""
    return jnp.clip(jnp.asarray(k, jnp.float32), 1.0, _numerics.count(where))


def _expected_hits(saliency: Array, mask: Array, where: Array, k: Array) -> Array:
    """Pixels of the mask among the k most salient ones, ties at their expectation."""
    above, tied, share_of_ties = _order.top(saliency, k, where=where)
    hits = _numerics.count(mask & above) + share_of_ties * _numerics.count(mask & tied)
    return _numerics.undefined_if(_numerics.any_nan(saliency, where), hits)


def _ranking(fn, formula, undefined, cost, source, *, best=1.0, skill=True):
    return _spec.MetricSpec(
        fn=fn,
        inputs=("saliency", "truth"),
        family="map against region",
        formula=formula,
        range=(0.0, best),
        direction=1,
        undefined=undefined,
        cost=cost,
        source=source,
        skill=skill,
        regions=REGIONS,
    )


_NO_OBJECT = "the object is empty"
_ONE_CLASS = "no pixel is on the object, or none is off it"

SPECS = (
    _ranking(
        relevance_rank_accuracy,
        "|top_|M|(S) and M| / |M|",
        _NO_OBJECT,
        "O(HW)",
        "Arras et al. 2022",
    ),
    _ranking(
        top_k_intersection,
        "|top_k(S) and M| / min(k, |M|), k = 1000",
        _NO_OBJECT,
        "O(HW)",
        "Theiner et al. 2022",
    ),
    _ranking(
        concept_influence,
        "|top_k(S) and M| / k * N / |M|, k = 1000",
        _NO_OBJECT,
        "O(HW)",
        "Theiner et al. 2022",
        best=math.inf,
        skill=False,
    ),
    _ranking(
        roc_auc,
        "P(S on M > S off M) + P(equal) / 2",
        _ONE_CLASS,
        "one sort",
        "Fawcett 2006",
    ),
    _ranking(
        average_precision,
        "mean over M of the precision at each pixel",
        _ONE_CLASS,
        "one sort",
        "standard, as in scikit-learn",
    ),
)
