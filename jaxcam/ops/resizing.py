"""Resizing maps with half-pixel centres and no antialiasing."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _checks
from jaxcam._types import Array


def resize(
    saliency: Array,
    shape: tuple[int, int],
    *,
    method: Literal["bilinear", "cubic", "nearest"] = "bilinear",
) -> Array:
    """A map on another grid.

    Pixel centres lie at half-integers and edges are repeated, as in
    `torch.nn.functional.interpolate(align_corners=False)` and OpenCV. `cubic` has the
    parameter -0.75 of both.

    Args:
      saliency: float[h, w], any scale and sign.
      shape: Rows and columns wanted, H and W.
      method: "bilinear", "cubic" or "nearest".

    Returns:
      float32[H, W], within the range of the map; `cubic` overshoots at edges. A NaN
      makes the whole map NaN.

    Raises:
      TypeError: `saliency` is not floating point.
      ValueError: `saliency` is not (h, w), or the method is unknown.

    Cost: two matrix products, O(H h w + H W w).

    Source: elementary interpolation.

    >>> print(resize(jnp.array([[1., 3.]]), (1, 4)))
    [[1.  1.5 2.5 3. ]]
    """
    _checks.choice("method", method, ("bilinear", "cubic", "nearest"))
    saliency = _checks.saliency_map(saliency)
    if saliency.shape == tuple(shape):
        return saliency
    rows = jnp.asarray(_weights(saliency.shape[0], shape[0], method))
    columns = jnp.asarray(_weights(saliency.shape[1], shape[1], method))
    product = jax.lax.Precision.HIGHEST
    return jnp.einsum("ih,hw,jw->ij", rows, saliency, columns, precision=product)


def _weights(size: int, wanted: int, method: str) -> np.ndarray:
    """float32[wanted, size]: row i holds the weights of the i-th new pixel."""
    at = (np.arange(wanted) + 0.5) * (size / wanted) - 0.5
    if method == "nearest":
        nearest = np.clip(np.floor(at + 0.5), 0, size - 1).astype(int)
        return np.eye(size, dtype=np.float32)[nearest]
    reach, kernel = KERNELS[method]
    first = np.floor(at).astype(int)
    weights = np.zeros((wanted, size))
    for tap in range(1 - reach, reach + 1):
        position = first + tap
        np.add.at(
            weights,
            (np.arange(wanted), np.clip(position, 0, size - 1)),
            kernel(np.abs(at - position)),
        )
    return weights.astype(np.float32)


def _triangle(distance):
    """Weight of a node at a distance in [0, 1], of NumPy or JAX arrays."""
    return 1.0 - distance


def _cubic(distance, a: float = -0.75):
    """Weight of a node at a distance in [0, 2]."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    where = jnp.where if isinstance(distance, jax.Array) else np.where
    return where(distance <= 1, near, far)


KERNELS = {"bilinear": (1, _triangle), "cubic": (2, _cubic)}
"""Nodes on each side of a position, and their weight at a distance."""
