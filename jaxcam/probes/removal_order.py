"""In which order pixels are removed: most salient first, ties by a stated rule."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _checks, _order
from jaxcam._types import Array

TIES = ("random", "raster", "reverse_raster")
"""How equally salient pixels follow each other: by the image's key, row by row, or from
the last to the first."""


def places(saliency: Array, keys: Array, ties: str) -> Array:
    """Each pixel's place in the descending order of its map, from 0.

    Args:
      saliency: float32[B, H, W].
      keys: PRNG keys [B], from the images' ids, so that the order of equally salient
        pixels depends on nothing else. Raster order would turn a constant map into a
        wipe from the top down, which is an explanation of its own.
      ties: One of `TIES`.

    Returns:
      int32[B, H, W], a permutation of 0 ... HW - 1 in each row.
    """
    _checks.choice("ties", ties, TIES)

    def one(values: Array, key: Array) -> Array:
        size = values.size
        pixels = jnp.arange(size, dtype=jnp.int32)
        last = -pixels if ties == "reverse_raster" else pixels
        by = (~_order.ordered_bits(values).ravel(), last, pixels)
        if ties == "random":
            by = (by[0], jax.random.bits(key, (size,)), pixels)
        order = jax.lax.sort(by, is_stable=False, num_keys=len(by))[-1]
        place = jnp.zeros(size, jnp.int32).at[order].set(pixels, unique_indices=True)
        return place.reshape(values.shape)

    return jax.vmap(one)(saliency, keys)


def patch_places(saliency: Array, keys: Array, ties: str, patch: int) -> Array:
    """Each pixel's patch's place, patches in the descending order of their sums.

    Args:
      saliency: float32[B, H, W].
      keys: As in `places`.
      ties: As in `places`.
      patch: Rows and columns of a patch; those at the far borders may be smaller.

    Returns:
      int32[B, H, W].
    """
    height, width = saliency.shape[1:]
    rows, columns = -(-height // patch), -(-width // patch)
    border = ((0, 0), (0, rows * patch - height), (0, columns * patch - width))
    tiled = jnp.pad(saliency, border).reshape(-1, rows, patch, columns, patch)
    of_patch = places(jnp.sum(tiled, axis=(2, 4)), keys, ties)
    spread = jnp.repeat(jnp.repeat(of_patch, patch, axis=1), patch, axis=2)
    return spread[:, :height, :width]


def patch_count(shape: tuple[int, int], patch: int) -> int:
    """Number of patches on a grid of pixels."""
    if patch < 1:
        raise ValueError(f"patch={patch} must be at least 1 pixel.")
    return -(-shape[0] // patch) * -(-shape[1] // patch)
