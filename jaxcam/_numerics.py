"""Small numerical pieces: the rule for x / 0, counts, masked moments, areas."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _checks
from jaxcam._types import Array


def ratio(numerator: Array, denominator: Array) -> Array:
    """`numerator / denominator`, and NaN (not inf, not 0) where that is x / 0.

    The division itself never sees a zero, so gradients stay finite wherever the
    ratio is defined.
    """
    defined = denominator != 0
    safe = jnp.where(defined, denominator, jnp.ones_like(denominator))
    return jnp.where(defined, numerator / safe, jnp.nan)


def count(mask: Array) -> Array:
    """Number of true elements, as float32; exact up to 2**24 pixels (4096 x 4096)."""
    return jnp.sum(mask, dtype=jnp.int32).astype(jnp.float32)


def masked_sum(x: Array, where: Array) -> Array:
    """Sum of `x` over `where`; what lies outside may be anything, NaN included."""
    return jnp.sum(jnp.where(where, x, 0.0))


def masked_mean(x: Array, where: Array) -> Array:
    """Mean of `x` over `where`; NaN where that is empty."""
    return ratio(masked_sum(x, where), count(where))


def any_nan(x: Array, where: Array) -> Array:
    """Whether a valid element is NaN."""
    return jnp.any(where & jnp.isnan(x))


def undefined_if(condition: Array, value: Array) -> Array:
    """NaN where `condition` holds, else `value`."""
    return jnp.where(condition, jnp.nan, value)


def trapezoid(y: Array) -> Array:
    """Area under `y` sampled at equal steps over [0, 1], ends included, last axis."""
    inner = jnp.sum(y[..., 1:-1], axis=-1)
    ends = (y[..., 0] + y[..., -1]) / 2
    return (inner + ends) / (y.shape[-1] - 1)


def class_probability(logits: Array, target: Array) -> Array:
    """Softmax probability of one class a row: logits float[B, K], target int[B]."""
    if logits.shape[-1] < 2:
        raise ValueError(
            "A softmax over a single output is 1 for every image; give the model two "
            "outputs, or wrap it so that its logits are [0, logit]."
        )
    return class_logit(jax.nn.softmax(logits.astype(jnp.float32), axis=-1), target)


def class_logit(logits: Array, target: Array) -> Array:
    """The logit of one class a row: logits float[B, K], target int[B]."""
    chosen = jnp.take_along_axis(logits, target[:, None], axis=-1)[:, 0]
    return chosen.astype(jnp.float32)


SCORES = ("probability", "logit")
"""What a score of the model may be: a class's softmax probability, or its logit."""


def class_score(logits: Array, target: Array, score: str) -> Array:
    """The probability or the logit of one class a row, by its name in `SCORES`."""
    _checks.choice("score", score, SCORES)
    read = class_probability if score == "probability" else class_logit
    return read(logits, target)
