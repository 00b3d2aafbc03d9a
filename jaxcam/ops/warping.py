"""Warping one mask towards another by flips that keep its topology.

The descent flips mismatched simple points until none is left. Its sequence of flips is
that of one pixel at a time, but pixels that are no neighbours are flipped together, in
phases over the planes of `jaxcam.ops.planes`:

- "subfields": the four classes of (row, column) modulo 2, in turn;
- "raster": sweeps down one column after the other, from the left. Pixel (y, x) of one
  sweep is flipped at time 2x + y, after the neighbours before it and before those
  behind it, and the next sweep may follow four steps behind. So at step s all pixels
  with 2x + y = s (mod 4) that the first sweep has reached are flipped together.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _batching, _checks
from jaxcam._types import Array, Connectivity
from jaxcam.ops import planes, simple_points

Order: TypeAlias = Literal["subfields", "raster"]

_CLASSES = {"subfields": 2, "raster": 4}
_PHASES = {
    "subfields": (((0, 0),), ((0, 1),), ((1, 0),), ((1, 1),)),
    "raster": tuple(((c, 0), ((c + 2) % 4, 1)) for c in range(4)),
}


def warp(
    source: Array,
    target: Array,
    *,
    may_flip: Array | None = None,
    connectivity: Connectivity = 8,
    order: Order = "subfields",
) -> Array:
    """Deforms a mask towards another without tearing, merging or filling anything.

    Flips pixels in which the two differ as long as one of them is a simple point. The
    result is a local minimum of the number of differing pixels: it depends on the
    order of the flips.

    One image. Batch with `jax.vmap(warp)`.

    Args:
      source: bool[H, W], the mask that is deformed.
      target: bool[H, W], the mask that it shall resemble.
      may_flip: bool[H, W], the pixels that may change; `None` for all of them.
      connectivity: Of the objects, 4 or 8; the background has the other one. Outside
        of the image lies background.
      order: "subfields", the fastest; "raster" visits the mismatches column by
        column, each from the top, sweep after sweep, as the Fiji plug-in does.

    Returns:
      bool[H, W], with the topology of `source`.

    Raises:
      TypeError: A mask is not boolean.
      ValueError: A mask is not (H, W), the shapes differ, or an option is unknown.

    Cost: O(HW / 32) a round of four phases; rounds grow with the distance that the
    outline has to travel.

    Source: V. Jain et al., "Boundary learning by optimization with topological
    constraints", CVPR 2010, for the descent; the phases are ours.

    >>> source = jnp.array([[False, True, True, True, False, False]])
    >>> target = jnp.array([[False, False, False, True, True, True]])
    >>> print(warp(source, target).astype(int))
    [[0 0 0 1 1 1]]
    """
    source, target = checked(source, target)
    may_flip = _checks.valid_pixels(may_flip, source)
    _check_options(connectivity, order)
    if source.size == 0:
        return source
    return _kernel(_warped, connectivity, order)(source, target, may_flip)


def flippable(
    source: Array,
    *,
    where: Array | None = None,
    radius: float | None = None,
    band: float | None = None,
) -> Array:
    """The pixels that a geometric constraint allows to flip.

    Distances are Euclidean, between the centres of pixels, and the outside of the
    image counts as background.

    One image. Batch with `jax.vmap(flippable)`.

    Args:
      source: bool[H, W], the mask that is to be deformed.
      where: bool[H, W], pixels that are not frozen. `None` freezes none.
      radius: Only pixels within this distance of the background may flip: the mask can
        grow without limit and shrink by this much. `None` sets no limit.
      band: Only pixels within this distance of a pixel of the other kind may flip,
        which bounds growth too. `None` sets no limit.

    Returns:
      bool[H, W].

    Raises:
      TypeError: A mask is not boolean.
      ValueError: A mask is not (H, W), the shapes differ, or a distance is negative.

    Cost: O(HW / 32) times the distance.

    Source: `radius` is the mask of V. Jain et al., "Boundary learning by optimization
    with topological constraints", CVPR 2010; `band` is ours.

    >>> print(flippable(jnp.ones((3, 3), bool), radius=1).astype(int))
    [[1 1 1]
     [1 0 1]
     [1 1 1]]
    """
    source = _checks.mask(source, "source")
    where = _checks.valid_pixels(where, source)
    _check_distances(radius, band)
    if source.size == 0 or (radius is None and band is None):
        return where
    layout = planes.Layout(*source.shape, _CLASSES["subfields"])
    words = _flippable(
        planes.pack(source, layout), planes.pack(where, layout), layout, radius, band
    )
    return planes.unpack(words, layout)


def mismatches(
    source: Array,
    target: Array,
    *,
    where: Array | None = None,
    radius: float | None = None,
    band: float | None = None,
    connectivity: Connectivity = 8,
    order: Order = "subfields",
    count: Literal["all", "mask"] = "all",
) -> Array:
    """The number of pixels in which a mask, once warped, still differs from another.

    The count of `warp(source, target, may_flip=flippable(source, ...)) != target`,
    without unpacking a word of it.

    One image. Batch with `jax.vmap(mismatches)`.

    Args:
      source: bool[H, W], the mask that is deformed.
      target: bool[H, W], the mask that it shall resemble.
      where: bool[H, W]; other pixels are neither flipped nor counted.
      radius: As in `flippable`.
      band: As in `flippable`.
      connectivity: As in `warp`.
      order: As in `warp`.
      count: "all" counts every valid pixel, "mask" only those that might flip.

    Returns:
      int32[].

    Raises:
      TypeError: A mask is not boolean.
      ValueError: A mask is not (H, W), the shapes differ, or an option is unknown.

    Cost: As `warp`.

    Source: As `warp`.

    >>> source = jnp.array([[True, True, False, True, True]])
    >>> print(mismatches(source, jnp.ones((1, 5), bool)))
    1
    """
    source, target = checked(source, target)
    _check_options(connectivity, order)
    _checks.choice("count", count, ("all", "mask"))
    _check_distances(radius, band)
    if source.size == 0:
        return jnp.int32(0)
    arguments = (source, target)
    if where is not None:
        arguments = (*arguments, _checks.valid_pixels(where, source))
    return _kernel(_counted, connectivity, order, radius, band, count)(*arguments)


def checked(source: Array, target: Array) -> tuple[Array, Array]:
    """Two masks of one shape."""
    source, target, _ = _checks.two_masks(source, target, None)
    return source, target


def _check_options(connectivity: object, order: object) -> None:
    _checks.choice("connectivity", connectivity, (4, 8))
    _checks.choice("order", order, tuple(_CLASSES))


def _check_distances(radius: float | None, band: float | None) -> None:
    for name, distance in (("radius", radius), ("band", band)):
        if distance is not None and not distance >= 0:
            raise ValueError(
                f"{name}={distance!r} is no distance; pass a number of pixels, or "
                "None for no limit."
            )


@functools.cache
def _kernel(kernel: Callable[..., Array], *options: object) -> Callable[..., Array]:
    """`kernel(*options, ...)` compiled, of one image or of many."""
    bound = functools.partial(kernel, *options)
    return jax.jit(_batching.looped_on_cpu(functools.wraps(kernel)(bound)))


def _warped(connectivity, order, source, target, may_flip):
    layout = planes.Layout(*source.shape, _CLASSES[order])
    packed = (planes.pack(mask, layout) for mask in (source, target, may_flip))
    warped = _descend(*packed, layout, connectivity, order)
    return planes.unpack(planes.join(warped, layout), layout)


def _counted(connectivity, order, radius, band, count, source, target, where=None):
    layout = planes.Layout(*source.shape, _CLASSES[order])
    words, aim = planes.pack(source, layout), planes.pack(target, layout)
    valid = _inside(layout) if where is None else planes.pack(where, layout)
    may_flip = _flippable(words, valid, layout, radius, band)
    warped = _descend(words, aim, may_flip, layout, connectivity, order)
    counted = planes.split(valid if count == "all" else may_flip, layout)
    left = [
        jax.lax.population_count((w ^ t) & c)
        for w, t, c in zip(warped, planes.split(aim, layout), counted, strict=True)
    ]
    return jnp.sum(sum(left[1:], left[0]).astype(jnp.int32))


def _inside(layout: planes.Layout, border: float = np.inf) -> Array:
    """The packed mask of the pixels within a distance of the outside."""
    y, x = np.indices((layout.height, layout.width))
    depth = np.minimum(
        np.minimum(y + 1, layout.height - y), np.minimum(x + 1, layout.width - x)
    )
    return jnp.asarray(planes.pack_constant(depth <= border, layout))


def _flippable(words, valid, layout, radius, band):
    """`flippable` of a packed mask; `valid` has no spare bit set."""
    background = ~words & _inside(layout)
    may_flip = valid
    if radius is not None:
        near = planes.dilate(background, radius, layout) | _inside(layout, radius)
        may_flip = may_flip & near
    if band is not None:
        near = planes.dilate(background, band, layout) | _inside(layout, band)
        beside = planes.dilate(words, band, layout)
        may_flip = may_flip & ((words & near) | (background & beside))
    return may_flip


def _descend(source, target, may_flip, layout, connectivity, order):
    """Flips mismatched simple points of packed masks until none is left: the planes."""
    margin = len(_PHASES[order]) * layout.gap
    source, target, may_flip = (
        [jnp.pad(plane, margin) for plane in planes.split(words, layout)]
        for words in (source, target, may_flip)
    )

    def flip(state, index, size):
        around = planes.neighbours(state.now, layout, index, size)
        here, aim, free = (
            planes.within(x[index], size) for x in (state.now, target, may_flip)
        )
        if order == "raster":
            free = free & _reached(layout, index, size, state.number)
        simple = simple_points.is_simple(around, connectivity)
        return here ^ (simple & (here ^ aim) & free)

    first_sweep = 0
    if order == "raster":
        first_sweep = (2 * (layout.width - 1) + layout.height - 1) // 4 + 1
    return planes.settle(source, layout, _PHASES[order], flip, rounds=first_sweep)


def _reached(layout: planes.Layout, index: int, size: int, number: Array) -> Array:
    """Which bits of a plane the first sweep of the raster order has reached.

    In round j pixel (4 m + r, 2 k + q) is reached if m + k + [r + 2 q >= 4] <= j.
    """
    r, q = layout.planes[index]
    word = np.arange(size) - (size - layout.size) // 2
    column, part = word // layout.pitch, word % layout.pitch
    late = column + 32 * part + (r + 2 * q) // 4
    bits = number + 1 - jnp.asarray(late, jnp.int32)
    some = (jnp.uint32(1) << jnp.clip(bits, 0, 31).astype(jnp.uint32)) - 1
    return jnp.where(bits > 31, jnp.uint32(0xFFFFFFFF), some)
