"""From a map to a small graph: its basins and the levels at which they touch.

Pixels are ordered by value, ties by position. A *segment* is a stretch of a row that
climbs to one *peak* and descends. Each peak points to a higher pixel in an adjacent
row, if it has one; following the pointers leads to a local maximum of the map, a
*root*. The segments that lead to one root form its *basin*: each pixel has a path to
the root that never descends, so whatever the threshold, what a basin has above it is
connected.

Basins touch at *saddles*: pixels whose higher neighbours are not connected to one
another among the pixel's neighbours. These alone suffice. Let `x < y` be neighbours.
Going round `x`, `y` is connected above `x` either to the pixel that `x` points to or
to one from which a saddle's edge leads; so, from the highest pixel down, any two
neighbours lie in basins that are connected at the lower one's level. A map has about
as many saddles as maxima and minima.
"""

from __future__ import annotations

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
      height: int32[H + 2, W + 2], keys in the order of the values, `BELOW` where a
        pixel is below every threshold.
      level: int32[H, W], number of thresholds reached.
      starts: First pixels of the segments.
      peaks: Highest pixels of the segments.
      roots: Local maxima.
      saddles: Pixels whose higher neighbours are not connected around them.
      sides: Pixels that may be the first or last column of a component: nothing
        higher touches them above, below, and on one side.
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

    The eight comparisons are packed; what follows from them is worked out for 32
    pixels at a time.
    """
    bits = jax.lax.bitcast_convert_type(saliency, jnp.int32)
    ordered = jnp.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    key = jnp.where(level > 0, ordered, BELOW)
    height = jnp.pad(key, 1, constant_values=BELOW)
    around = [
        height[1 + dy : 1 + dy + key.shape[0], 1 + dx : 1 + dx + key.shape[1]]
        for dy, dx in _AROUND
    ]
    higher = packed.pack_many(
        tuple(_is_higher(*both, key) for both in zip(_AROUND, around, strict=True))
    )
    salient = packed.pack(level > 0)

    east, north_east, north, north_west, west, south_west, south, south_east = higher
    carry = jnp.pad(salient >> 31, ((0, 0), (1, 0)))[:, :-1]
    begins = ~((salient << 1) | carry)
    start = salient & (begins | (east & west))
    peak = salient & ~(east | west)
    vertical = north | south
    if connectivity == 8:
        root = peak & ~(vertical | north_east | north_west | south_west | south_east)
        left, right = west | north_west | south_west, east | north_east | south_east
    else:
        root = peak & ~vertical
        left, right = west, east
    a, b, c, d = (found for found, _ in _arcs(higher, connectivity))
    saddle = salient & ((a & b) | (c & d) | ((a | b) & (c | d)))
    side = salient & ~vertical & ~(left & right)

    marked = jax.vmap(packed.marks)(jnp.stack([start, peak, root, saddle, side]))
    each = (jax.tree.map(lambda x, i=i: x[i], marked) for i in range(5))
    return Terrain(height, level, *each)


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


def level_at(ground: Terrain, position: Array) -> Array:
    """Level of the pixels at packed positions."""
    padded = ground.starts.words.shape[1] * packed.WORD
    width = ground.level.shape[1]
    index = position // padded * width + position % padded
    return packed.take(ground.level.reshape(-1), index)


def segment_at(ground: Terrain, position: Array) -> Array:
    """Number of the segment that covers each of the salient pixels at `position`."""
    return packed.rank(ground.starts, position) - 1


def _is_higher(step: tuple[int, int], other: Array, key: Array) -> Array:
    """Whether the neighbour at `step` is higher; of equals, the later one is."""
    return other >= key if step > (0, 0) else other > key


def _arcs(higher: list[Array], connectivity: Connectivity) -> list[tuple]:
    """Whether an arc of higher neighbours is counted at each of four directions.

    An arc is a set of higher neighbours connected to one another around the pixel.
    Comes with the two neighbours of which the first that is higher belongs to it.
    """
    found = []
    for k in (0, 2, 4, 6):
        near, far = (k + 1) % 8, (k + 2) % 8
        if connectivity == 8:
            # A gap at k, which only a side neighbour can make, and what follows it.
            found.append((~higher[k] & (higher[near] | higher[far]), (near, far)))
        else:
            # The last side neighbour before a gap.
            found.append((higher[k] & ~(higher[near] & higher[far]), (k, k)))
    return found


def _neighbours(ground: Terrain, position: Array) -> tuple[list[Array], list[Array]]:
    """Keys of the pixels around those at `position`, and whether each is higher."""
    padded = ground.starts.words.shape[1] * packed.WORD
    width = ground.height.shape[1]
    centre = (position // padded + 1) * width + position % padded + 1
    flat = ground.height.reshape(-1)
    key = packed.take(flat, centre)
    keys = [packed.take(flat, centre + dy * width + dx) for dy, dx in _AROUND]
    higher = [_is_higher(s, k, key) for s, k in zip(_AROUND, keys, strict=True)]
    return keys, higher


def _step(ground: Terrain, direction: int) -> int:
    """What is added to a packed position to go one pixel in a direction."""
    dy, dx = _AROUND[direction]
    return dy * ground.starts.words.shape[1] * packed.WORD + dx


def _basins(ground: Terrain, summit: Array, connectivity: Connectivity) -> Array:
    """The basin of each segment, basins numbered by the position of their root."""
    capacity = summit.shape[0]
    own = jnp.arange(capacity, dtype=jnp.int32)
    valid = own < ground.peaks.count
    peaks = jnp.where(valid, summit, 0)
    keys, higher = _neighbours(ground, peaks)
    best = jnp.full(capacity, BELOW, jnp.int32)
    target = peaks
    for k in (1, 2, 3, 5, 6, 7) if connectivity == 8 else (2, 6):
        climbs = higher[k] & (keys[k] >= best)
        best = jnp.where(climbs, keys[k], best)
        target = jnp.where(climbs, peaks + _step(ground, k), target)
    climbs = valid & (target != peaks)
    pointer = jnp.where(climbs, segment_at(ground, target), own)
    root = jump_to_roots(pointer)
    return jnp.maximum(packed.rank(ground.roots, packed.take(peaks, root)) - 1, 0)


def jump_to_roots(pointer: Array) -> Array:
    """Replaces each pointer by the root it leads to, in log2(depth) rounds."""

    def jump(state):
        pointer, _ = state
        further = packed.take(pointer, pointer)
        return further, jnp.any(further != pointer)

    start = pointer, pointer[0] >= 0
    return jax.lax.while_loop(lambda state: state[1], jump, start)[0]


def _edges(ground, basin, at, saddle, connectivity):
    """Edges that connect the arcs around each saddle, in sequence, at its level."""
    _, higher = _neighbours(ground, at)
    ends, weights = [], []
    previous = jnp.full(at.shape, -1, jnp.int32)
    for there, (first, second) in _arcs(higher, connectivity):
        step = jnp.where(higher[first], _step(ground, first), _step(ground, second))
        at_other = jnp.where(there, at + step, at)
        other = packed.take(basin, jnp.maximum(segment_at(ground, at_other), 0))
        joins = there & (previous >= 0)
        ends.append(jnp.stack([jnp.maximum(previous, 0), other]))
        weights.append(jnp.where(joins, saddle, 0))
        previous = jnp.where(there, other, previous)
    # The first arc has none before it.
    return jnp.concatenate(ends[1:], axis=1), jnp.concatenate(weights[1:])
