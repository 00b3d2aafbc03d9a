"""From a map to a small graph: its basins and the levels at which they touch.

Pixels are ordered by value, ties by position. A *segment* is a stretch of a column
that climbs to one *peak* and descends. Each peak points to a higher pixel in an
adjacent column, if it has one; following the pointers leads to a local maximum of the
map, a *root*. The segments that lead to one root form its *basin*: each pixel has a
path to the root that never descends, so whatever the threshold, what a basin has above
it is connected.

Basins touch at *saddles*: pixels whose higher neighbours are not connected to one
another among the pixel's neighbours. These alone suffice. Let `x < y` be neighbours.
Going round `x`, `y` is connected above `x` either to the pixel that `x` points to or
to one from which a saddle's edge leads; so, from the highest pixel down, any two
neighbours lie in basins that are connected at the lower one's level. A map has about
as many saddles as maxima and minima.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam._types import Array, Connectivity
from jaxcam.ops import packed

BELOW = -(2**31)

# Around a pixel, from the east, counter-clockwise.
_AROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


class Terrain(NamedTuple):
    """A map with a border of one pixel, and its landmarks.

    Attributes:
      height: int32[H' + 2, W + 2], keys in the order of the values, `BELOW` where a
        pixel is below every threshold and beyond the image.
      level: int32[H, W], number of thresholds reached.
      starts: First pixels of the segments.
      peaks: Highest pixels of the segments.
      roots: Local maxima.
      saddles: Pixels whose higher neighbours are not connected around them.
      sides: Pixels that may be in the first or last row of a component: nothing
        higher touches them on the left, on the right, and above or below.
    """

    height: Array
    level: Array
    starts: packed.Marks
    peaks: packed.Marks
    roots: packed.Marks
    saddles: packed.Marks
    sides: packed.Marks


class Graph(NamedTuple):
    """The basins of a map, in ascending order of their peaks, and their saddles.

    Attributes:
      basin: int32[S], the basin of each segment.
      summit: int32[S], the position of each segment's peak, int32's maximum beyond the
        last segment.
      peak: int32[B], level of each basin's root, 0 where there is no such basin.
      ends: int32[2, E], the basins that an edge joins.
      saddle: int32[E], its level, 0 where there is no such edge.
      count: int32[], the number of basins.
    """

    basin: Array
    summit: Array
    peak: Array
    ends: Array
    saddle: Array
    count: Array


def terrain(saliency: Array, level: Array, connectivity: Connectivity) -> Terrain:
    """Finds the landmarks of a map by comparing every pixel with its neighbours.

    Four comparisons are made and packed; the other four are the same, seen from the
    other pixel. What follows from them is worked out for 32 pixels at a time.
    """
    bits = jax.lax.bitcast_convert_type(saliency, jnp.int32)
    ordered = jnp.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    key = jnp.where(level > 0, ordered, BELOW)
    (rows, columns), padded = key.shape, packed.padded_height(key.shape)
    height = jnp.full((padded + 2, columns + 2), BELOW, jnp.int32)
    height = jax.lax.dynamic_update_slice(height, key, (1, 1))
    later = [
        height[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns] >= key
        for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1))
    ]
    planes = packed.pack_many((*later, level > 0))
    east, south_west, south, south_east, salient = planes
    west = ~_moved(east, 0, 1)
    north_east, north, north_west = (
        ~_moved(plane, 1, dx)
        for plane, dx in ((south_west, -1), (south, 0), (south_east, 1))
    )

    higher = east, north_east, north, north_west, west, south_west, south, south_east
    start = salient & (~packed.down(salient) | (north & south))
    peak = salient & ~(north | south)
    horizontal = east | west
    if connectivity == 8:
        root = peak & ~(horizontal | north_east | north_west | south_west | south_east)
        above, below = north | north_west | north_east, south | south_west | south_east
    else:
        root = peak & ~horizontal
        above, below = north, south
    a, b, c, d = _arcs(higher, connectivity)
    saddle = salient & ((a & b) | (c & d) | ((a | b) & (c | d)))
    side = salient & ~horizontal & ~(above & below)

    marked = jax.vmap(packed.marks)(jnp.stack([start, peak, root, saddle, side]))
    each = (jax.tree.map(lambda x, i=i: x[i], marked) for i in range(5))
    return Terrain(height, level, *each)


def _moved(plane: Array, rows: int, columns: int) -> Array:
    """A packed image moved down and to the right, with ones entering at its borders."""
    if rows:
        plane = packed.down(plane, filling=1)
    ones = jnp.full_like(plane[:1], 2**32 - 1)
    if columns == 1:
        return jnp.concatenate([ones, plane[:-1]])
    if columns == -1:
        return jnp.concatenate([plane[1:], ones])
    return plane


def graph(ground: Terrain, sizes: tuple[int, int, int], connectivity: Connectivity):
    """The basins and their edges; `sizes` bound the segments, basins and saddles."""
    segments, basins, saddles = sizes
    summit = packed.select(ground.peaks, segments)
    basin = _basins(ground, summit, connectivity)

    count = ground.roots.count
    there = jnp.arange(basins, dtype=jnp.int32) < count
    roots = jnp.where(there, packed.select(ground.roots, basins), 0)
    peak = jnp.where(there, level_at(ground, roots), 0)
    # What is not there sorts last; a stable sort breaks ties by position.
    order = jnp.argsort(jnp.where(there, peak, 2**31 - 1)).astype(jnp.int32)
    new = (
        jnp.zeros(basins, jnp.int32).at[order].set(jnp.arange(basins, dtype=jnp.int32))
    )
    basin = packed.take(new, basin)

    at = packed.select(ground.saddles, saddles)
    valid = jnp.arange(saddles, dtype=jnp.int32) < ground.saddles.count
    at = jnp.where(valid, at, 0)
    saddle = jnp.where(valid, level_at(ground, at), 0)
    ends, weights = _edges(ground, basin, at, saddle, connectivity)
    return Graph(basin, summit, peak[order], ends, weights, count)


def rows_and_columns(ground: Terrain, position: Array) -> tuple[Array, Array]:
    """Of packed positions."""
    x, y = packed.split(position, ground.height.shape[0] - 2)
    return y, x


def level_at(ground: Terrain, position: Array) -> Array:
    """Level of the pixels at packed positions."""
    y, x = rows_and_columns(ground, position)
    return packed.take(ground.level.reshape(-1), y * ground.level.shape[1] + x)


def segment_at(ground: Terrain, position: Array) -> Array:
    """Number of the segment that covers each of the salient pixels at `position`."""
    return packed.rank(ground.starts, position) - 1


def _arcs(higher: Sequence[Array], connectivity: Connectivity) -> list[Array]:
    """Where an arc of higher neighbours is counted, at the four side neighbours.

    An arc is a set of higher neighbours connected to one another around the pixel.
    For 8 it is counted at the gap before it, which only a side neighbour can make, and
    begins with one of the two that follow; for 4, at the last side neighbour in it.
    """
    if connectivity == 8:
        return [
            ~higher[k] & (higher[k + 1] | higher[(k + 2) % 8]) for k in (0, 2, 4, 6)
        ]
    return [higher[k] & ~(higher[k + 1] & higher[(k + 2) % 8]) for k in (0, 2, 4, 6)]


def _neighbours(ground: Terrain, position: Array) -> tuple[Array, Array]:
    """Keys int32[8, P] of the pixels around each of `position`; bool, if higher."""
    width = ground.height.shape[1]
    y, x = rows_and_columns(ground, position)
    centre = (y + 1) * width + x + 1
    steps = jnp.array([dy * width + dx for dy, dx in _AROUND], jnp.int32)[:, None]
    later = jnp.array([step > (0, 0) for step in _AROUND])[:, None]
    flat = ground.height.reshape(-1)
    key = packed.take(flat, centre)[None]
    keys = packed.take(flat, centre[None] + steps)
    return keys, (keys > key) | (later & (keys == key))


def _steps(ground: Terrain) -> Array:
    """What is added to a packed position to go one pixel in each direction."""
    padded = ground.height.shape[0] - 2
    return jnp.array([dx * padded + dy for dy, dx in _AROUND], jnp.int32)


def _basins(ground: Terrain, summit: Array, connectivity: Connectivity) -> Array:
    """The basin of each segment, basins numbered by the position of their root."""
    own = jnp.arange(summit.shape[0], dtype=jnp.int32)
    valid = own < ground.peaks.count
    peaks = jnp.where(valid, summit, 0)
    keys, higher = _neighbours(ground, peaks)
    usable = [k not in (2, 6) and (connectivity == 8 or k % 2 == 0) for k in range(8)]
    climbs = higher & valid[None] & jnp.array(usable)[:, None]
    steepest = jnp.argmax(jnp.where(climbs, keys, BELOW), axis=0)
    target = peaks + packed.take(_steps(ground), steepest.astype(jnp.int32))
    climbs = jnp.any(climbs, axis=0)
    target = segment_at(ground, jnp.where(climbs, target, peaks))
    root = jump_to_roots(jnp.where(climbs, target, own))
    return jnp.maximum(packed.rank(ground.roots, packed.take(peaks, root)) - 1, 0)


def jump_to_roots(pointer: Array) -> Array:
    """Replaces each pointer by the root it leads to, in log2(depth) rounds."""

    def jump(state):
        pointer, _ = state
        further = packed.take(pointer, pointer)
        return further, jnp.any(further != pointer)

    start = pointer, pointer[0] >= 0
    return jax.lax.while_loop(lambda state: state[1], jump, start)[0]


def _edges(
    ground: Terrain, basin: Array, at: Array, saddle: Array, connectivity: Connectivity
) -> tuple[Array, Array]:
    """Edges that connect the arcs around each saddle, one to the next, at its level."""
    _, higher = _neighbours(ground, at)
    arcs = jnp.stack(_arcs(higher, connectivity))
    sides = jnp.array([0, 2, 4, 6], jnp.int32)
    steps = _steps(ground)
    member = steps[sides][:, None]
    if connectivity == 8:
        near, far = steps[sides + 1][:, None], steps[(sides + 2) % 8][:, None]
        member = jnp.where(higher[1::2], near, far)
    segment = segment_at(ground, jnp.where(arcs, at[None] + member, at[None]))
    other = packed.take(basin, jnp.maximum(segment, 0))

    ends, weights = [], []
    previous, met = other[0], arcs[0]
    for there, basin_there in zip(arcs[1:], other[1:], strict=True):
        ends.append(jnp.stack([previous, basin_there]))
        weights.append(jnp.where(there & met, saddle, 0))
        previous = jnp.where(there, basin_there, previous)
        met = met | there
    return jnp.concatenate(ends, axis=1), jnp.concatenate(weights)
