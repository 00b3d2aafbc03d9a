"""Bringing saliency maps to a common scale."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp

from jaxcam import _checks, _numerics, _order
from jaxcam._types import Array

Normalization = Literal["max", "minmax", "unit_sum", "rank", "none"]


def normalize(
    saliency: Array, *, rule: Normalization = "max", where: Array | None = None
) -> Array:
    r"""A map on a common scale.

    .. math::
      \mathrm{max}: \frac{s^+}{\max s^+}, \quad
      \mathrm{minmax}: \frac{s - \min s}{\max s - \min s}, \quad
      \mathrm{unit\_sum}: \frac{s^+}{\sum s^+}

    `rank` gives the share of valid pixels that are less salient, ties counted half,
    brought to [0, 1]; `none` leaves the map as it is. A constant map becomes ones
    under `max` if it is positive, zeros otherwise; zeros under `minmax`, and 1/2 under
    `rank`.

    Args:
      saliency: float[H, W], any scale and sign.
      rule: "max" (rectify, divide by the maximum), "minmax", "unit_sum", "rank" or
        "none".
      where: bool[H, W], pixels that count; the others become 0. `None` counts every
        pixel.

    Returns:
      float32[H, W]; in [0, 1] unless the rule is "none". A valid NaN makes the whole
      map NaN; under "rank" it counts as the largest value, and "none" leaves it.

    Raises:
      TypeError: `saliency` is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), the shapes differ, or the rule is unknown.

    Cost: O(HW); a sort under "rank".

    Source: `max` is what class activation mapping codes do; the others are common.

    >>> print(normalize(jnp.array([[-1., 1.], [2., 4.]])))
    [[0.   0.25]
     [0.5  1.  ]]
    """
    _checks.choice("rule", rule, ("max", "minmax", "unit_sum", "rank", "none"))
    saliency = _checks.saliency_map(saliency)
    where = _checks.valid_pixels(where, saliency)
    if rule == "none":
        return jnp.where(where, saliency, 0.0)
    if rule == "rank":
        count = _numerics.count(where)
        ranks = _order.average_ranks(saliency, where=where)
        scaled = (ranks - 1.0) / jnp.maximum(count - 1.0, 1.0)
        return jnp.where(where, jnp.where(count > 1, scaled, 0.5), 0.0)
    if rule == "minmax":
        low = jnp.min(saliency, where=where, initial=jnp.inf)
        shifted = jnp.where(where, saliency - low, 0.0)
        return _divided(shifted, jnp.max(shifted))
    positive = jnp.where(where, jnp.maximum(saliency, 0.0), 0.0)
    total = jnp.max(positive) if rule == "max" else jnp.sum(positive)
    return _divided(positive, total)


def _divided(saliency: Array, total: Array) -> Array:
    """`saliency / total`, zeros where `total` is zero; NaN stays NaN."""
    return saliency / jnp.where(total == 0, 1.0, total)
