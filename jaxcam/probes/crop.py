"""What the model says of the part of the image that the explanation points out."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcam import _numerics, _spec
from jaxcam._types import Array
from jaxcam.probes import inputs


def crop_score(
    predict: Callable[[Array], Array],
    x: Array,
    salient_box: Array,
    frame: Array,
    target: Array,
) -> dict[str, Array]:
    """Probability of the target on the crop of the image to a box, resized back.

    The crop is bilinear with half-pixel centres and never reads a pixel outside of the
    box, as if it had been cut out first and resized then.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      salient_box: [B, 4], `[y0, x0, y1, x1]`, half-open, in pixels of the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      target: int32[B], explained class.

    Returns:
      `crop_probability`: float32[B], in [0, 1]; NaN where the box is empty.
    """
    size = jnp.array(x.shape[1:3], jnp.float32)
    extent = inputs.extent_of(frame)
    scale = size / jnp.maximum(extent, 1).astype(jnp.float32)
    box = salient_box.astype(jnp.float32) * jnp.tile(scale, (1, 2))
    crops = jax.vmap(_crop_and_resize)(x, box)
    probability = _numerics.class_probability(predict(crops), target)
    empty = (box[:, 2] <= box[:, 0]) | (box[:, 3] <= box[:, 1])
    return {"crop_probability": _numerics.undefined_if(empty, probability)}


def _crop_and_resize(image: Array, box: Array) -> Array:
    height, width, _ = image.shape
    rows = _interpolation(height, box[0], box[2])
    columns = _interpolation(width, box[1], box[3])
    return jnp.einsum("ih,hwc,jw->ijc", rows, image, columns)


def _interpolation(size: int, start: Array, stop: Array) -> Array:
    """float32[size, size]: row i holds the weights of the i-th resized pixel."""
    step = (stop - start) / size
    at = start + (jnp.arange(size, dtype=jnp.float32) + 0.5) * step - 0.5
    at = jnp.clip(at, jnp.ceil(start - 0.5), jnp.maximum(jnp.floor(stop - 0.5), 0.0))
    pixels = jnp.arange(size, dtype=jnp.float32)
    return jnp.maximum(0.0, 1.0 - jnp.abs(at[:, None] - pixels[None, :]))


SPECS = (
    _spec.ProbeSpec(
        fn=crop_score,
        inputs=("x", "salient_box", "frame", "target"),
        outputs=("crop_probability",),
        cost="one forward pass",
    ),
)
