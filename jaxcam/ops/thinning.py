"""The skeleton of a mask: thinned by simple points until only lines are left."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jaxcam import _batching, _checks
from jaxcam._types import Array, Connectivity
from jaxcam.ops import planes, simple_points

_CLASSES = 2
_PHASES = (((0, 0),), ((1, 1),), ((0, 1),), ((1, 0),))


def skeleton(mask: Array, *, connectivity: Connectivity = 8) -> Array:
    """Thins a mask to lines one pixel wide that keep its topology and its branches.

    Every round takes away the outline: object pixels that touched the background when
    the round began, are simple points when their turn comes, and do not end a line. The
    turns are the four classes of (row, column) modulo 2.

    One image. Batch with `jax.vmap(skeleton)`.

    Args:
      mask: bool[H, W]. Outside of the image lies background.
      connectivity: Of the objects, 4 or 8; the background has the other one.

    Returns:
      bool[H, W], a subset of `mask` with its topology; no simple point is left in it
      but the ends of lines.

    Raises:
      TypeError: `mask` is not boolean.
      ValueError: `mask` is not (H, W), or `connectivity` is neither 4 nor 8.

    Cost: O(HW / 32) a round; half as many rounds as the object is thick.

    Source: thinning by subfields is that of G. Bertrand and Z. Aktouf, "A
    three-dimensional thinning algorithm using subfields", Vision Geometry III, 1994;
    the end of a line is an object pixel with a single neighbour in the object.

    >>> print(skeleton(jnp.ones((3, 5), bool)).astype(int))
    [[0 0 0 0 0]
     [1 1 1 1 1]
     [0 0 0 0 0]]
    """
    mask = _checks.mask(mask)
    _checks.choice("connectivity", connectivity, (4, 8))
    if mask.size == 0:
        return mask
    return _kernel(connectivity)(mask)


@functools.cache
def _kernel(connectivity: Connectivity):
    return jax.jit(_batching.looped_on_cpu(functools.partial(_skeleton, connectivity)))


def _skeleton(connectivity, mask):
    layout = planes.Layout(*mask.shape, _CLASSES)
    margin = len(_PHASES) * layout.gap
    start = [
        jnp.pad(plane, margin)
        for plane in planes.split(planes.pack(mask, layout), layout)
    ]

    def thin(state, index, size):
        here = planes.within(state.now[index], size)
        east, _, north, _, west, _, south, _ = planes.neighbours(
            state.before, layout, index, size
        )
        around = planes.neighbours(state.now, layout, index, size)
        outline = ~(east & north & west & south)
        if connectivity == 4:
            outline = ~functools.reduce(
                jnp.bitwise_and, planes.neighbours(state.before, layout, index, size)
            )
        one = several = jnp.zeros_like(here)
        for neighbour in around:
            one, several = one | neighbour, several | (one & neighbour)
        simple = simple_points.is_simple(around, connectivity)
        return here & ~(outline & simple & several)

    thinned = planes.settle(start, layout, _PHASES, thin)
    return planes.unpack(planes.join(thinned, layout), layout)
