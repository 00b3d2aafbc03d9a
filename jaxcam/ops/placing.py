"""Bringing a map from its layer's grid onto the part of a canvas that is image."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from jaxcam import _checks
from jaxcam._types import Array
from jaxcam.ops import resizing


def place(
    saliency: Array,
    extent: Array,
    shape: tuple[int, int],
    *,
    source: Array | None = None,
    method: Literal["bilinear", "cubic"] = "bilinear",
) -> Array:
    """A map resized onto the top left `extent` of a canvas, zero elsewhere.

    Half-pixel centres and no antialiasing, edges repeated: where `extent` is the whole
    canvas this is `resize(saliency, shape)`. Because the sizes are traced, maps and
    images of different sizes share one compiled program.

    Args:
      saliency: float32[h, w], any scale.
      extent: int[2], rows and columns of the canvas that are image.
      shape: Rows and columns of the canvas, H and W.
      source: int[2], rows and columns of `saliency` that are the map, the rest being
        padding. `None` takes all of it.
      method: "bilinear" or "cubic", as in `resize`.

    Returns:
      float32[H, W], within the range of the map and 0; `cubic` overshoots at edges. A
      NaN makes the whole canvas NaN.

    Raises:
      TypeError: `saliency` is not floating point.
      ValueError: `saliency` is not (h, w), or the method is unknown.

    Cost: two matrix products, O(H h w + H W w).

    Source: interpolation as in `torch.nn.functional.interpolate` with
    `align_corners=False`.

    >>> print(place(jnp.array([[1., 3.]]), jnp.array([1, 4]), (2, 5)))
    [[1.  1.5 2.5 3.  0. ]
     [0.  0.  0.  0.  0. ]]
    """
    _checks.choice("method", method, ("bilinear", "cubic"))
    saliency = _checks.saliency_map(saliency)
    if source is None:
        source = jnp.array(saliency.shape, jnp.int32)
    sizes = zip(saliency.shape, source, extent, shape, strict=True)
    rows, columns = (_weights(*size, method) for size in sizes)
    product = jax.lax.Precision.HIGHEST
    return jnp.einsum("ih,hw,jw->ij", rows, saliency, columns, precision=product)


def _weights(
    padded: int, source: Array, extent: Array, canvas: int, method: str
) -> Array:
    """float32[canvas, padded]: row i holds the weights of canvas pixel i."""
    reach, kernel = resizing.KERNELS[method]
    at = jnp.arange(canvas, dtype=jnp.float32)
    scale = source.astype(jnp.float32) / jnp.maximum(extent, 1).astype(jnp.float32)
    position = (at + 0.5) * scale - 0.5
    first = jnp.floor(position)
    last = jnp.maximum(source - 1, 0).astype(jnp.float32)
    nodes = jnp.arange(padded, dtype=jnp.float32)
    weights = jnp.zeros((canvas, padded), jnp.float32)
    for tap in range(1 - reach, reach + 1):
        share = kernel(jnp.abs(position - (first + tap)))
        node = jnp.clip(first + tap, 0.0, last)
        hit = node[:, None] == nodes[None, :]
        weights = weights + jnp.where(hit, share[:, None], 0.0)
    inside = at < extent.astype(jnp.float32)
    return jnp.where(inside[:, None], weights, 0.0)
