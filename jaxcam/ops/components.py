"""Connected components of a mask: their labels, and the largest with its box."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcam import _batching, _checks
from jaxcam._types import Array, Connectivity, PyTree
from jaxcam.ops import packed, runs

_CAPACITIES = (1024, 4096)


@functools.partial(jax.jit, static_argnames="connectivity")
def label_components(mask: Array, *, connectivity: Connectivity = 8) -> Array:
    """Numbers the connected components of a mask in the order of their first pixel.

    Labels propagate by hooking and pointer jumping between the runs of pixels of the
    columns, in a number of rounds that grows with the logarithm of the number of runs:
    spirals and serpentines take no longer than blobs. The result is exact for every
    mask; nothing is capped.

    One image. Batch with `jax.vmap(label_components)`.

    Args:
      mask: bool[H, W].
      connectivity: 8 if pixels that share a corner touch, 4 if they must share a side.

    Returns:
      int32[H, W]: 0 on the background, 1 to n on the components, in the raster order
      (row by row, from the left) of their first pixels.

    Raises:
      TypeError: `mask` is not boolean.
      ValueError: `mask` is not (H, W), has more pixels than int32 can number, or
        `connectivity` is neither 4 nor 8.

    Cost: O(HW) for packing and painting, O(R log R) for R runs.

    Source: hooking and pointer jumping are those of Y. Shiloach and U. Vishkin, "An
    O(log n) parallel connectivity algorithm", Journal of Algorithms 3, 1982; runs as
    nodes and their two edges are ours.

    >>> mask = jnp.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]], bool)
    >>> print(label_components(mask))
    [[1 0 0 2]
     [0 1 0 2]
     [0 0 0 0]
     [3 3 0 0]]
    """
    mask = _checked(mask, connectivity)
    if mask.size == 0:
        return jnp.zeros(mask.shape, jnp.int32)
    return _batched(_label, connectivity)(mask)


def largest_component(mask: Array, *, connectivity: Connectivity = 8) -> Array:
    """The connected component with the most pixels.

    Of several that are equally large, the one whose first pixel comes first in raster
    order. An empty mask gives an empty mask.

    One image. Batch with `jax.vmap(largest_component)`.

    Args:
      mask: bool[H, W].
      connectivity: 8 if pixels that share a corner touch, 4 if they must share a side.

    Returns:
      bool[H, W], a subset of `mask`.

    Raises:
      TypeError: `mask` is not boolean.
      ValueError: `mask` is not (H, W), has more pixels than int32 can number, or
        `connectivity` is neither 4 nor 8.

    Cost: O(HW) for packing and painting, O(R log R) for R runs of pixels.

    Source: see `label_components`.

    >>> mask = jnp.array([[1, 0, 1], [0, 0, 1], [1, 0, 0]], bool)
    >>> print(largest_component(mask).astype(int))
    [[0 0 1]
     [0 0 1]
     [0 0 0]]
    """
    return largest_component_box(mask, connectivity=connectivity)[0]


@functools.partial(jax.jit, static_argnames="connectivity")
def largest_component_box(
    mask: Array, *, connectivity: Connectivity = 8
) -> tuple[Array, Array]:
    """The connected component with the most pixels, and its tight bounding box.

    The same as `largest_component` followed by `bounding_box`; the box comes from the
    runs of pixels, at next to no cost.

    One image. Batch with `jax.vmap(largest_component_box)`.

    Args:
      mask: bool[H, W].
      connectivity: 8 if pixels that share a corner touch, 4 if they must share a side.

    Returns:
      The component, bool[H, W], and its box `[y0, x0, y1, x1]`, int32[4], half-open,
      in pixels; all zeros if the mask is empty.

    Raises:
      TypeError: `mask` is not boolean.
      ValueError: `mask` is not (H, W), has more pixels than int32 can number, or
        `connectivity` is neither 4 nor 8.

    Cost: O(HW) for packing and painting, O(R log R) for R runs of pixels.

    Source: see `label_components`.

    >>> mask = jnp.array([[1, 0, 1], [0, 0, 1], [1, 0, 0]], bool)
    >>> print(largest_component_box(mask)[1])
    [0 2 2 3]
    """
    mask = _checked(mask, connectivity)
    if mask.size == 0:
        return mask, jnp.zeros(4, jnp.int32)
    return _batched(_largest, connectivity)(mask)


def _checked(mask: Array, connectivity: Connectivity) -> Array:
    mask = _checks.mask(mask)
    _checks.choice("connectivity", connectivity, (4, 8))
    packed.padded_height(mask.shape)
    return mask


@functools.cache
def _batched(kernel: Callable[..., PyTree], connectivity: Connectivity):
    """`kernel(capacity, mask, words, begin)` as a function of one or many masks."""

    def on_mask(mask):
        words = packed.pack(mask)
        begin = runs.beginnings(words)
        return _batching.with_capacity(
            begin.count,
            _capacities(mask.shape),
            functools.partial(kernel, connectivity),
            words,
            begin,
            mask,
        )

    return _batching.looped_on_cpu(on_mask)


def _capacities(shape: tuple[int, int]) -> tuple[int, ...]:
    """Numbers of runs to compile for; the last is the most that `shape` can hold."""
    worst = -(-shape[0] // 2) * shape[1]
    return (*(size for size in _CAPACITIES if size < worst), worst)


def components_of_runs(connectivity, capacity, words, begin):
    """The runs, the first run of each one's component, and the rounds it took."""
    found = runs.find(words, begin, capacity)
    before = runs.touching(words, begin, found, -1, connectivity)
    after = runs.touching(words, begin, found, +1, connectivity)
    return found, *runs.propagate(before, after)


def _first_pixels(found, root, words):
    """Raster index of the first pixel of each root's component, in raster order."""
    width, height = words.shape[0], words.shape[1] * packed.WORD
    x, y = packed.split(found.first, height)
    index = jnp.where(found.valid, y * width + x, packed.INT32_MAX)
    return jnp.full_like(index, packed.INT32_MAX).at[root].min(index)


def _label(connectivity, capacity, words, begin, mask):
    found, root, _ = components_of_runs(connectivity, capacity, words, begin)
    is_root = found.valid & (root == jnp.arange(capacity, dtype=jnp.int32))
    # One bit for each pixel of the image, in raster order, marks the first pixels.
    first = jnp.where(is_root, _first_pixels(found, root, words), 0)
    bits = jnp.zeros(mask.size // packed.WORD + 1, jnp.uint32)
    bits = bits.at[packed.word_of(first)].add(
        jnp.where(is_root, packed.bit(first), jnp.uint32(0))
    )
    label = packed.rank(packed.marks(bits[None]), first)
    run = packed.rank_of_pixels(begin, mask.shape[0]) - 1
    label = packed.take(packed.take(label, root), jnp.maximum(run, 0))
    return jnp.where(mask, label, 0)


def _largest(connectivity, capacity, words, begin, mask):
    found, root, _ = components_of_runs(connectivity, capacity, words, begin)
    length = jnp.where(found.valid, found.last - found.first + 1, 0)
    area = jnp.zeros(capacity, jnp.int32).at[root].add(length)
    first = _first_pixels(found, root, words)
    earliest = jnp.argmin(jnp.where(area == jnp.max(area), first, packed.INT32_MAX))
    chosen = found.valid & (root == earliest.astype(jnp.int32))
    component = packed.unpack(runs.flood(words, begin, found, chosen), mask.shape[0])

    def least(x):
        return jnp.min(jnp.where(chosen, x, packed.INT32_MAX))

    def most(x):
        return jnp.max(jnp.where(chosen, x, -1))

    height = words.shape[1] * packed.WORD
    x, top = packed.split(found.first, height)
    _, bottom = packed.split(found.last, height)
    box = jnp.stack([least(top), least(x), most(bottom) + 1, most(x) + 1])
    return component, jnp.where(begin.count > 0, box, 0)
