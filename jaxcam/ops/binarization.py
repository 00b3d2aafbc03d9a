"""From a saliency map to the region it points out."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp

from jaxcam import _checks, _numerics, _order
from jaxcam._types import Array

Rule = Literal["mean", "max_fraction", "quantile", "energy", "otsu", "value"]

_LEVELS = 256


def binarize(
    saliency: Array,
    *,
    rule: Rule = "mean",
    fraction: float | Array | None = None,
    strict: bool = False,
    where: Array | None = None,
) -> Array:
    """The pixels whose saliency reaches a threshold.

    =============== =============================================== ================
    rule            threshold                                       fraction
    =============== =============================================== ================
    `mean`          the mean, at most the maximum                   not used
    `max_fraction`  a fraction of the maximum                       .2 by default
    `quantile`      the value that this share of pixels lies below  .5 by default
    `energy`        the smallest top set with this share of the sum .5 by default
    `otsu`          least variance within the two classes           not used
    `value`         the number itself                               must be given
    =============== =============================================== ================

    The mean of a constant map can exceed its values by rounding, which would empty the
    region; so the threshold is `min(mean, max)`.

    Args:
      saliency: float[H, W]; non-negative under "energy".
      rule: How the threshold is found.
      fraction: The rule's number; a share in [0, 1] but under "value".
      strict: Takes pixels above the threshold instead of those that reach it.
      where: bool[H, W], pixels that count: they alone decide the threshold and can be
        salient. `None` counts every pixel.

    Returns:
      bool[H, W]. Under "energy" pixels tied with the last one taken are taken too; a
      map without energy gives the empty region. A NaN is in no region; under "mean",
      "max_fraction", "energy" and "otsu" a valid NaN empties the region, "quantile"
      counts it as the largest value.

    Raises:
      TypeError: `saliency` is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), shapes differ, the rule is unknown, or
        "value" is given no `fraction`.

    Cost: O(HW); "quantile" four histograms, "energy" 32 passes, "otsu" one histogram.

    Source: mean: the protocol of Aabid and Sicre; fractions of the maximum: Zhou et
    al. 2016 and Selvaraju et al. 2017; Otsu 1979, on 256 levels between the extremes.

    >>> print(binarize(jnp.array([[1., 2.], [3., 6.]])))
    [[False False]
     [ True  True]]
    """
    saliency = _checks.saliency_map(saliency)
    where = _checks.valid_pixels(where, saliency)
    limit = threshold(saliency, rule=rule, fraction=fraction, where=where)
    above = saliency > limit if strict else saliency >= limit
    return above & where


def threshold(
    saliency: Array,
    *,
    rule: Rule = "mean",
    fraction: float | Array | None = None,
    where: Array | None = None,
) -> Array:
    """The saliency that `binarize` asks of a pixel.

    One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W]; non-negative under "energy".
      rule: How the threshold is found, see `binarize`.
      fraction: The rule's number; a share in [0, 1] but under "value".
      where: bool[H, W], pixels that count. `None` counts every pixel.

    Returns:
      float32[], in the map's unit. Infinite under "energy" for a map without energy.
      NaN where a valid value is, under "mean", "max_fraction" and "otsu".

    Raises:
      TypeError: `saliency` is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), shapes differ, the rule is unknown, or
        "value" is given no `fraction`.

    Cost: as `binarize`.

    Source: as `binarize`.

    >>> print(threshold(jnp.array([[1., 2.], [3., 6.]])))
    3.0
    """
    _checks.choice(
        "rule", rule, ("mean", "max_fraction", "quantile", "energy", "otsu", "value")
    )
    saliency = _checks.saliency_map(saliency)
    where = _checks.valid_pixels(where, saliency)
    if rule == "value":
        if fraction is None:
            raise ValueError("rule='value' needs the threshold as fraction=.")
        return jnp.asarray(fraction, jnp.float32)
    highest = jnp.max(saliency, where=where, initial=-jnp.inf)
    if rule == "mean":
        return jnp.minimum(_numerics.masked_mean(saliency, where), highest)
    if rule == "max_fraction":
        return highest * jnp.float32(0.2 if fraction is None else fraction)
    if rule == "otsu":
        return _otsu(saliency, where, highest)
    share = jnp.float32(0.5 if fraction is None else fraction)
    if rule == "quantile":
        kept = _numerics.count(where) - _whole_part(share, _numerics.count(where))
        return _order.kth_largest(saliency, kept.astype(jnp.int32), where=where)
    return _energy_threshold(saliency, share, where)


def _whole_part(share: Array, count: Array) -> Array:
    """Whole pixels in a share of `count`: .9 of 50000 is 45000, though .9 is less."""
    part = share * count
    nearest = jnp.round(part)
    return jnp.where(jnp.abs(part - nearest) < part / 2**22, nearest, jnp.floor(part))


def _energy_threshold(saliency: Array, share: Array, where: Array) -> Array:
    """The largest value v such that the pixels >= v hold the share of the sum."""
    positive = jnp.where(where, jnp.maximum(saliency, 0.0), 0.0)
    wanted = share * jnp.sum(positive)
    reached = _order.largest_value_where(
        positive, lambda above: jnp.sum(jnp.where(above, positive, 0.0)) >= wanted
    )
    return jnp.where(jnp.sum(positive) > 0, reached, jnp.inf)


def _otsu(saliency: Array, where: Array, highest: Array) -> Array:
    lowest = jnp.min(saliency, where=where, initial=jnp.inf)
    span = highest - lowest
    scaled = (saliency - lowest) / jnp.where(span > 0, span, 1.0)
    level = jnp.clip(scaled * (_LEVELS - 1), 0, _LEVELS - 1).astype(jnp.int32)
    counts = jnp.zeros(_LEVELS, jnp.float32).at[level].add(where.astype(jnp.float32))
    centres = jnp.arange(_LEVELS, dtype=jnp.float32)
    below = jnp.cumsum(counts)[:-1]
    above = jnp.sum(counts) - below
    mass = jnp.cumsum(counts * centres)
    low_mean = mass[:-1] / jnp.maximum(below, 1.0)
    high_mean = (mass[-1] - mass[:-1]) / jnp.maximum(above, 1.0)
    between = below * above * (low_mean - high_mean) ** 2
    cut = jnp.argmax(between).astype(jnp.float32) + 1.0
    return jnp.where(span > 0, lowest + cut / (_LEVELS - 1) * span, highest)
