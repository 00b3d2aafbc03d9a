"""What each pixel that still differs would do to the topology of a warped mask."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from jaxcam import _checks
from jaxcam._types import Array, Connectivity
from jaxcam.ops import components, simple_points


class Events(NamedTuple):
    """For every pixel, how often its flip alone would do each of six things.

    Attributes:
      merge: int32[H, W], objects that would be joined to another.
      split: int32[H, W], objects that would be split off.
      object_added: int32[H, W], 1 where an object would appear.
      object_deleted: int32[H, W], 1 where an object would vanish.
      hole_added: int32[H, W], holes that would appear.
      hole_deleted: int32[H, W], holes that would vanish.
    """

    merge: Array
    split: Array
    object_added: Array
    object_deleted: Array
    hole_added: Array
    hole_deleted: Array


def flip_events(mask: Array, *, connectivity: Connectivity = 8) -> Events:
    """The topological events of flipping each pixel of a mask alone.

    Exact, from the crossing number and the objects and background regions that touch
    the pixel. Where `c` branches of `n` objects meet, setting the pixel makes `n - 1`
    merges and encloses `c - n` holes; where `c` branches of `n` background regions
    meet, clearing it deletes `n - 1` holes and makes `c - n` splits.

    One image. Batch with `jax.vmap(flip_events)`.

    Args:
      mask: bool[H, W]. Outside of the image lies background.
      connectivity: Of the objects, 4 or 8; the background has the other one.

    Returns:
      The events; simple points have none.

    Raises:
      TypeError: `mask` is not boolean.
      ValueError: `mask` is not (H, W), or `connectivity` is neither 4 nor 8.

    Cost: two labelings.

    Source: V. Jain et al., "Boundary learning by optimization with topological
    constraints", CVPR 2010, names the events; the counts are ours.

    >>> events = flip_events(jnp.array([[True, False, True]]))
    >>> print(events.merge, events.object_deleted)
    [[0 1 0]] [[1 0 1]]
    """
    mask = _checks.mask(mask)
    branches = simple_points.crossing_number(mask, connectivity=connectivity)
    objects = components.label_components(mask, connectivity=connectivity)
    dual: Connectivity = 4 if connectivity == 8 else 8
    # The outside is one region, with label 1, that surrounds the image.
    surrounded = jnp.pad(~mask, 1, constant_values=True)
    regions = components.label_components(surrounded, connectivity=dual)

    near_objects = _distinct(jnp.pad(objects, 1), connectivity)
    near_regions = _distinct(regions, dual)
    branched, lone = branches > 0, branches == 0

    def count(here, number):
        return jnp.where(here, number, 0).astype(jnp.int32)

    return Events(
        merge=count(~mask & branched, near_objects - 1),
        split=count(mask & branched, branches - near_regions),
        object_added=count(~mask & lone & (near_objects == 0), 1),
        object_deleted=count(mask & lone & (near_regions > 0), 1),
        hole_added=count(~mask & branched, branches - near_objects)
        + count(mask & lone & (near_regions == 0), 1),
        hole_deleted=count(mask & branched, near_regions - 1)
        + count(~mask & lone & (near_objects > 0), 1),
    )


def _distinct(labels: Array, connectivity: Connectivity) -> Array:
    """Number of different positive labels next to each pixel within a rim of one."""
    height, width = labels.shape
    around = [
        labels[1 + dy : height - 1 + dy, 1 + dx : width - 1 + dx]
        for dy, dx in simple_points.NEIGHBOURS
        if connectivity == 8 or 0 in (dy, dx)
    ]
    number = jnp.zeros_like(around[0])
    for i, label in enumerate(around):
        new = label > 0
        for other in around[:i]:
            new = new & (label != other)
        number = number + new.astype(jnp.int32)
    return number
