"""Boxes `[y0, x0, y1, x1]`, half-open, in pixels; the empty box is all zeros."""

from __future__ import annotations

import jax.numpy as jnp

from jaxcam import _checks, _numerics
from jaxcam._types import Array


def bounding_box(mask: Array) -> Array:
    """The smallest box around a region.

    Args:
      mask: bool[H, W].

    Returns:
      int32[4], `[y0, x0, y1, x1]`, half-open, in pixels; all zeros if the region is
      empty.

    Raises:
      TypeError: `mask` is not boolean.
      ValueError: `mask` is not (H, W).

    Cost: O(HW).

    Source: elementary.

    >>> mask = jnp.zeros((4, 5), bool).at[1, 2].set(True).at[2, 3].set(True)
    >>> print(bounding_box(mask))
    [1 2 3 4]
    """
    mask = _checks.mask(mask)
    y0, y1 = _span(jnp.any(mask, axis=1))
    x0, x1 = _span(jnp.any(mask, axis=0))
    return jnp.stack([y0, x0, y1, x1])


def _span(occupied: Array) -> tuple[Array, Array]:
    """First true position and one past the last; zeros if there is none."""
    size = occupied.shape[0]
    some = jnp.any(occupied)
    first = jnp.argmax(occupied).astype(jnp.int32)
    last = size - jnp.argmax(occupied[::-1]).astype(jnp.int32)
    zero = jnp.int32(0)
    return jnp.where(some, first, zero), jnp.where(some, last, zero)


def box_mask(box: Array, shape: tuple[int, int]) -> Array:
    """The raster of a box: the pixels whose centres it contains.

    Args:
      box: int or float[4], `[y0, x0, y1, x1]`, half-open, in pixels.
      shape: Rows and columns of the raster, H and W.

    Returns:
      bool[H, W], true inside the box; all false for an empty one.

    Raises:
      ValueError: `box` does not have shape (4,).

    Cost: O(HW).

    Source: elementary.

    >>> print(box_mask(jnp.array([0, 1, 1, 3]), (2, 3)))
    [[False  True  True]
     [False False False]]
    """
    box = _box("box", box)
    rows = jnp.arange(shape[0], dtype=jnp.float32) + 0.5
    columns = jnp.arange(shape[1], dtype=jnp.float32) + 0.5
    inside_rows = (rows >= box[0]) & (rows < box[2])
    inside_columns = (columns >= box[1]) & (columns < box[3])
    return inside_rows[:, None] & inside_columns[None, :]


def box_area(box: Array) -> Array:
    """Area of a box in pixels; 0 if it is empty or turned inside out.

    Args:
      box: int or float[4], `[y0, x0, y1, x1]`, half-open, in pixels.

    Returns:
      float32[], at least 0, in square pixels.

    Raises:
      ValueError: `box` does not have shape (4,).

    Cost: O(1).

    Source: elementary.

    >>> print(box_area(jnp.array([1, 1, 3, 4])))
    6.0
    """
    box = _box("box", box)
    return jnp.maximum(box[2] - box[0], 0.0) * jnp.maximum(box[3] - box[1], 0.0)


def box_iou(a: Array, b: Array) -> Array:
    r"""Intersection over union of two boxes, from their corners.

    .. math:: \frac{|a \cap b|}{|a \cup b|}

    Args:
      a: int or float[4], `[y0, x0, y1, x1]`, half-open, in pixels.
      b: As `a`.

    Returns:
      float32[], in [0, 1]; NaN if both are empty.

    Raises:
      ValueError: A box does not have shape (4,).

    Cost: O(1).

    Source: elementary; equal to the overlap of the rasters where corners are whole.

    >>> print(box_iou(jnp.array([0, 0, 2, 2]), jnp.array([0, 1, 2, 3])))
    0.33333334
    """
    a, b = _box("a", a), _box("b", b)
    low = jnp.maximum(a[:2], b[:2])
    high = jnp.minimum(a[2:], b[2:])
    overlap = box_area(jnp.concatenate([low, high]))
    return _numerics.ratio(overlap, box_area(a) + box_area(b) - overlap)


def _box(name: str, box: Array) -> Array:
    box = jnp.asarray(box)
    if box.shape != (4,):
        raise ValueError(
            f"{name} must have shape (4,), [y0, x0, y1, x1], but has shape "
            f"{box.shape}; batch with jax.vmap."
        )
    return box.astype(jnp.float32)
