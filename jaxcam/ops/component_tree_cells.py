"""Every component of every level set, from the merge tree, and the best at each level.

A *cell* is a node of the merge tree at one of the levels at which it lives: one
component. Cells of a node lie side by side, from its peak down, so that what a
component holds is a running sum or maximum over the cells before it.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam._types import Array
from jaxcam.ops import boxes, packed
from jaxcam.ops import component_tree_basins as basins
from jaxcam.ops import component_tree_merge as merging

_NOTHING = -(2**30)


class Contents(NamedTuple):
    """What components hold; the last axis numbers the components.

    Attributes:
      counts: int32[1 + N, ...], pixels, and pixels inside each truth mask.
      extents: int32[4, ...], largest of: minus the position of a peak, the position of
        a peak, minus a column, a column. Components at one level do not share a peak,
        and the first peak in raster order belongs to the component whose first pixel
        comes first, since what a row holds of a component has a peak in that row.
    """

    counts: Array
    extents: Array


class Best(NamedTuple):
    """The largest component at each level, 0 to T, and the best box IoU of any."""

    area: Array
    box: Array
    overlap: Array
    iou: Array


class Layout(NamedTuple):
    """Where the cells of each node lie.

    Attributes:
      offset: int32[B], the node's first cell, which is at the level of its peak.
      total: int32[], the number of cells.
    """

    offset: Array
    total: Array


def layout(tree: merging.Tree) -> Layout:
    """Gives each node as many cells as there are levels at which it lives."""
    lengths = tree.peak - tree.death
    ends = jnp.cumsum(lengths)
    return Layout(ends - lengths, ends[-1])


def cell_of_pixels(
    ground: basins.Terrain,
    graph: basins.Graph,
    tree: merging.Tree,
    where: Layout,
    levels: int,
    capacity: int,
) -> tuple[Array, Array]:
    """A table of cells, by basin and level, and each pixel's cell, int32[H, W].

    Cell `capacity` is that of the pixels below every threshold.
    """
    number = tree.peak.shape[0]
    level = jnp.arange(levels + 1, dtype=jnp.int32)

    def fill(i, table):
        node = graph.count - 1 - i  # Parents come first.
        own = where.offset[node] + tree.peak[node] - level
        inherited = table[tree.parent[node]]
        row = jnp.where(level > tree.death[node], own, inherited)
        return table.at[node].set(row)

    table = jnp.full((number, levels + 1), capacity, jnp.int32) + 0 * graph.count
    table = jax.lax.fori_loop(0, graph.count, fill, table)

    segment = packed.rank_of_pixels(ground.starts, ground.level.shape[1]) - 1
    row = graph.basin * (levels + 1)
    row = row.at[jnp.maximum(segment, 0)].get(mode="promise_in_bounds")
    cell = table.reshape(-1).at[row + ground.level].get(mode="promise_in_bounds")
    return table, jnp.where(ground.level > 0, cell, capacity)


def fill(
    ground: basins.Terrain,
    graph: basins.Graph,
    table: Array,
    cell: Array,
    truth_masks: Array,
    capacity: int,
    items: tuple[int, int],
) -> Contents:
    """What each cell holds of its own: pixels that enter the component at its level."""
    ones = jnp.ones((1, *cell.shape), jnp.int32)
    weights = jnp.concatenate([ones, truth_masks.astype(jnp.int32)])
    weights = weights.reshape(weights.shape[0], -1)
    counts = jnp.zeros((weights.shape[0], capacity), jnp.int32)
    counts = counts.at[:, cell.reshape(-1)].add(weights, mode="drop")

    def raised(extents, landmarks, size, *values):
        position = packed.select(landmarks, size)
        valid = jnp.arange(size, dtype=jnp.int32) < landmarks.count
        position = jnp.where(valid, position, 0)
        basin = graph.basin[basins.segment_at(ground, position)]
        at = table[basin, basins.level_at(ground, position)]
        at = jnp.where(valid, at, capacity)
        return [
            extent.at[at].max(value(position), mode="drop")
            for extent, value in zip(extents, values, strict=True)
        ]

    nothing = jnp.full(capacity, _NOTHING, jnp.int32)
    width = ground.starts.words.shape[1] * packed.WORD
    vertical = raised(
        [nothing, nothing], ground.peaks, items[0], lambda p: -p, lambda p: p
    )
    horizontal = raised(
        [nothing, nothing],
        ground.sides,
        items[1],
        lambda p: -(p % width),
        lambda p: p % width,
    )
    return Contents(counts, jnp.stack([*vertical, *horizontal]))


def accumulate(
    tree: merging.Tree, where: Layout, own: Contents, levels: int
) -> tuple[Contents, Array]:
    """What every component holds, and the level of every cell (0: there is no cell)."""
    capacity = own.counts.shape[1]
    cell = jnp.arange(capacity, dtype=jnp.int32)
    node = packed.last_at_most(where.offset, cell)
    begin = where.offset[node]
    level = jnp.where(cell < where.total, tree.peak[node] - (cell - begin), 0)

    # What a node holds when it is absorbed enters its parent at that level.
    number = tree.peak.shape[0]
    in_node = jnp.where(cell < where.total, node, number)
    whole = with_descendants(by_node(own, in_node, number), tree)
    entry = where.offset[tree.parent] + tree.peak[tree.parent] - tree.death
    entry = jnp.where(tree.death > 0, entry, capacity)
    entered = Contents(
        own.counts.at[:, entry].add(whole.counts, mode="drop"),
        own.extents.at[:, entry].max(whole.extents, mode="drop"),
    )
    return running(entered, cell - begin, levels), level


def by_node(contents: Contents, node: Array, number: int) -> Contents:
    """What each node holds, from the contents of things and the node of each."""
    counts = jnp.zeros((contents.counts.shape[0], number), jnp.int32)
    extents = jnp.full((4, number), _NOTHING, jnp.int32)
    return Contents(
        counts.at[:, node].add(contents.counts, mode="drop"),
        extents.at[:, node].max(contents.extents, mode="drop"),
    )


def with_descendants(own: Contents, tree: merging.Tree) -> Contents:
    """Sums and maxima over the nodes below each, in log2(depth) rounds.

    After k rounds a node holds its descendants less than 2**k steps below, and
    `ancestor` is the one 2**k steps above.
    """
    number = tree.peak.shape[0]

    def double(state):
        held, ancestor, _ = state
        held = Contents(
            held.counts.at[:, ancestor].add(held.counts, mode="drop"),
            held.extents.at[:, ancestor].max(held.extents, mode="drop"),
        )
        further = ancestor.at[ancestor].get(mode="fill", fill_value=number)
        return held, further, jnp.any(further < number)

    ancestor = jnp.where(tree.death > 0, tree.parent, number)
    start = own, ancestor, jnp.any(ancestor < number)
    return jax.lax.while_loop(lambda state: state[2], double, start)[0]


def running(own: Contents, place: Array, levels: int) -> Contents:
    """Running sums and maxima over the cells of each node; `place` counts them."""
    rounds = levels.bit_length()
    room = ((0, 0), (1 << (rounds - 1), 0))

    def double(i, held):
        step = jnp.int32(1) << i
        begins = (1 << (rounds - 1)) - step

        def shifted(x):
            return jax.lax.dynamic_slice_in_dim(jnp.pad(x, room), begins, x.shape[1], 1)

        inside = place >= step
        more = jnp.where(inside, shifted(held.counts), 0)
        beyond = jnp.where(inside, shifted(held.extents), _NOTHING)
        return Contents(held.counts + more, jnp.maximum(held.extents, beyond))

    return jax.lax.fori_loop(0, rounds, double, own)


def best(
    held: Contents, level: Array, levels: int, width: int, truth_boxes: Array
) -> Best:
    """The largest component at each level, the first in raster order among equals."""
    cell = jnp.arange(level.shape[0], dtype=jnp.int32)
    area, first = held.counts[0], held.extents[0]
    valid = level > 0

    def most(values, candidates):
        start = jnp.full(levels + 1, _NOTHING, jnp.int32)
        return start.at[level].max(jnp.where(candidates, values, _NOTHING))

    largest = valid & (area == most(area, valid)[level])
    chosen = largest & (first == most(first, largest)[level])
    winner = most(cell, chosen)
    there = winner >= 0

    box = tight_boxes(held.extents, width)
    at = jnp.maximum(winner, 0)
    counts = jnp.where(there, held.counts[:, at], 0)
    iou = jnp.zeros((levels + 1, truth_boxes.shape[0]), jnp.float32)
    if truth_boxes.shape[0]:
        pairs = jax.vmap(box_ious, (None, 0), 1)(box, truth_boxes)
        iou = iou.at[level].max(jnp.where(valid[:, None], pairs, 0))
    return Best(counts[0], jnp.where(there[:, None], box[at], 0), counts[1:].T, iou)


def tight_boxes(extents: Array, width: int) -> Array:
    """Boxes int32[L, 4] from extents int32[4, L] and the padded width."""
    first, last, left, right = extents
    return jnp.stack([-first // width, -left, last // width + 1, right + 1], axis=1)


def box_ious(box: Array, truth: Array) -> Array:
    """IoU float32[L] of int32[L, 4] with one float32[4]."""
    return jax.vmap(boxes.box_iou, (0, None))(box, truth)
