"""Bringing a map from its layer's grid onto the part of a canvas that is image."""

from __future__ import annotations

import jax.numpy as jnp

from jaxcam import _checks
from jaxcam._types import Array


def place(saliency: Array, extent: Array, shape: tuple[int, int]) -> Array:
    """A map resized onto the top left `extent` of a canvas, zero elsewhere.

    Bilinear with half-pixel centres and no antialiasing, edges repeated: where `extent`
    is the whole canvas this is `resize(saliency, shape)`. Because `extent` is traced,
    images of different sizes share one compiled program.

    Args:
      saliency: float32[h, w], any scale.
      extent: int[2], rows and columns of the canvas that are image.
      shape: Rows and columns of the canvas.

    Returns:
      float32[H, W].

    Raises:
      TypeError: `saliency` is not floating point.
      ValueError: `saliency` is not (h, w).

    Cost: two matrix products, O(H h w + H W w).

    Source: bilinear interpolation as in `torch.nn.functional.interpolate` with
    `align_corners=False`.

    >>> print(place(jnp.array([[1., 3.]]), jnp.array([1, 4]), (2, 5)))
    [[1.  1.5 2.5 3.  0. ]
     [0.  0.  0.  0.  0. ]]
    """
    saliency = _checks.saliency_map(saliency)
    rows = _weights(saliency.shape[0], extent[0], shape[0])
    columns = _weights(saliency.shape[1], extent[1], shape[1])
    return rows @ saliency @ columns.T


def _weights(size: int, extent: Array, canvas: int) -> Array:
    """float32[canvas, size]: row i holds the weights of canvas pixel i."""
    at = jnp.arange(canvas, dtype=jnp.float32)
    scale = jnp.float32(size) / jnp.maximum(extent, 1).astype(jnp.float32)
    source = jnp.clip((at + 0.5) * scale - 0.5, 0.0, size - 1.0)
    nodes = jnp.arange(size, dtype=jnp.float32)
    weights = jnp.maximum(0.0, 1.0 - jnp.abs(source[:, None] - nodes[None, :]))
    inside = at < extent.astype(jnp.float32)
    return jnp.where(inside[:, None], weights, 0.0)
