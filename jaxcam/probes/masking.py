"""What the model says of an image multiplied by its saliency map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxcam import _checks, _numerics, _order, _spec
from jaxcam._types import Array
from jaxcam.probes import inputs


def masked_score(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    saliency: Array,
    frame: Array,
    target: Array,
    *,
    masking_space: Literal["normalised", "pixel"] = "normalised",
    top_fraction: float | None = None,
) -> dict[str, Array]:
    r"""What the model says of the image multiplied by its saliency map.

    .. math::
      o = p_c(x \odot S + b \odot (1 - S))

    with `b = 0` in the normalised space (a hidden pixel becomes the data set's mean
    colour) and `b` the preprocessed black pixel in the pixel space.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      saliency: float32[B, h, w], in [0, 1], on the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      target: int32[B], explained class.
      masking_space: Where the product is taken.
      top_fraction: Keeps this share of the pixels, the most salient ones (at least
        one; ties at the limit are all kept), and hides the others, before the product
        is taken. `None` keeps all.

    Returns:
      `masked_probability`: float32[B], in [0, 1]; `masked_logit`: float32[B].

    Raises:
      ValueError: `masking_space` is another word, or `top_fraction` lies outside of
        (0, 1].
    """
    masked = masked_images(
        x,
        black,
        inputs.on_input(saliency, frame, x.shape[1:3]),
        masking_space=masking_space,
        top_fraction=top_fraction,
    )
    logits = predict(masked)
    return {
        "masked_probability": _numerics.class_probability(logits, target),
        "masked_logit": _numerics.class_logit(logits, target),
    }


def masked_images(
    x: Array,
    black: Array,
    saliency: Array,
    *,
    masking_space: str,
    top_fraction: float | None,
) -> Array:
    """Images multiplied by their maps; arguments as `masked_score` has them."""
    _checks.choice("masking_space", masking_space, ("normalised", "pixel"))
    if top_fraction is not None:
        saliency = jax.vmap(lambda s: _keep_top(s, top_fraction))(saliency)
    shown = saliency[..., None]
    masked = x * shown
    if masking_space == "pixel":
        masked = masked + black[:, None, None, :] * (1.0 - shown)
    return masked


def _keep_top(saliency: Array, fraction: float) -> Array:
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f"top_fraction={fraction} must lie in (0, 1].")
    k = max(1, round(fraction * saliency.size))
    valid = jnp.ones(saliency.shape, jnp.bool_)
    limit = _order.kth_largest(saliency, jnp.int32(k), where=valid)
    return jnp.where(saliency >= limit, saliency, 0.0)


SPECS = (
    _spec.ProbeSpec(
        fn=masked_score,
        inputs=("x", "black", "saliency", "frame", "target"),
        outputs=("masked_probability", "masked_logit"),
        cost="one forward pass",
        static=("masking_space", "top_fraction"),
    ),
)
