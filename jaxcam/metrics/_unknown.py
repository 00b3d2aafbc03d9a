"""Regions where the truth is unknown in places.

Pixels whose truth is unknown (`where` is false) are taken to agree with the prediction,
in both regions: cutting them out would part a prediction that is whole. They are never
counted.
"""

from __future__ import annotations

import jax.numpy as jnp

from jaxcam import _checks
from jaxcam._types import Array
from jaxcam.ops import warping


def completed(
    predicted: Array, truth: Array, where: Array | None
) -> tuple[Array, Array, Array]:
    """Two regions that agree where the truth is unknown, and the pixels that count."""
    predicted, truth = warping.checked(predicted, truth)
    valid = _checks.valid_pixels(where, predicted)
    return predicted, jnp.where(valid, truth, predicted), valid
