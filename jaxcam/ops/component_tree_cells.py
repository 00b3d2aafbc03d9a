"""Every component of every level set, from the merge tree, and the best at each level.

A *cell* is a node of the merge tree at one of the levels at which it lives: one
component. The cells of a node follow one another, from its peak down, so that what a
component holds is a running sum or maximum over its node's cells so far.

Cells are stored in rows and blocks: cell `c` lies in row `c % 32` of block `c // 32`,
and rows are contiguous. A running sum then goes down the rows of all blocks at once.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam._types import Array
from jaxcam.ops import boxes, packed
from jaxcam.ops import component_tree_basins as basins
from jaxcam.ops import component_tree_merge as merging

_ROWS = 32
_SHIFT = 5
_NOTHING = -(2**30)


class Contents(NamedTuple):
    """What components hold; the last axis numbers the components.

    Attributes:
      counts: int32[1 + N, ...], pixels, and pixels inside each truth mask.
      extents: int32[4, ...], largest of: minus the raster index of a side, the row of a
        side, minus the column of a peak, the column of a peak. Sides and peaks are
        such that they reach the borders of every component's box. Of the components
        at a level, the one whose first pixel comes first has the first side: what a
        component has in its first row is stretches, and each holds a side.
    """

    counts: Array
    extents: Array


class Best(NamedTuple):
    """The largest component at each level, 0 to T, and the best box IoU of any."""

    area: Array
    box: Array
    overlap: Array
    iou: Array


def nothing(levels: int, masks: int, boxes: int) -> Best:
    """The answer where no level has a component."""
    return Best(
        jnp.zeros(levels + 1, jnp.int32),
        jnp.zeros((levels + 1, 4), jnp.int32),
        jnp.zeros((levels + 1, masks), jnp.int32),
        jnp.zeros((levels + 1, boxes), jnp.float32),
    )


class Layout(NamedTuple):
    """Where the cells of each node lie.

    Attributes:
      offset: int32[B], the node's first cell, which is at the level of its peak.
      total: int32[], the number of cells.
    """

    offset: Array
    total: Array


def capacity_for(cells: int) -> int:
    """The next number of cells that fills whole blocks."""
    return -(-cells // _ROWS) * _ROWS


def layout(tree: merging.Tree) -> Layout:
    """Gives each node as many cells as there are levels at which it lives.

    Parents, which come last among the nodes, have the first cells.
    """
    lengths = tree.peak - tree.death
    ends = jnp.cumsum(lengths)
    return Layout(ends[-1] - ends, ends[-1])


def into_rows(x: Array) -> Array:
    """The last axis, in the order of cells, brought into the order of storage."""
    blocks = x.reshape(*x.shape[:-1], -1, _ROWS)
    return blocks.swapaxes(-1, -2).reshape(x.shape)


def _stored(cell: Array, capacity: int) -> Array:
    """Where a cell is stored."""
    return (cell & (_ROWS - 1)) * (capacity // _ROWS) + (cell >> _SHIFT)


def cell_table(
    graph: basins.Graph, tree: merging.Tree, where: Layout, levels: int, capacity: int
) -> tuple[Array, Array]:
    """Where the cell of a basin's pixels at a level is stored, and each cell's node.

    The table is int32[B, T + 1], and `capacity` at level 0, that of the pixels below
    every threshold; the nodes are int32[capacity], in the order of storage.
    """
    number = tree.peak.shape[0]
    level = jnp.arange(levels + 1, dtype=jnp.int32)

    def fill(i, state):
        table, nodes = state
        node = graph.count - 1 - i  # Parents come first.
        own = where.offset[node] + tree.peak[node] - level
        inherited = table[tree.parent[node]]
        row = jnp.where(level > tree.death[node], _stored(own, capacity), inherited)
        # What goes beyond the node's own cells is overwritten by the next nodes.
        run = jnp.full(levels + 1, node, jnp.int32)
        nodes = jax.lax.dynamic_update_slice(nodes, run, (where.offset[node],))
        return table.at[node].set(row), nodes

    table = jnp.full((number, levels + 1), capacity, jnp.int32) + 0 * graph.count
    nodes = jnp.zeros(capacity + levels + 1, jnp.int32) + 0 * graph.count
    table, nodes = jax.lax.fori_loop(0, graph.count, fill, (table, nodes))
    return table, into_rows(nodes[:capacity])


def own_contents(
    ground: basins.Terrain,
    graph: basins.Graph,
    table: Array,
    truth_masks: Array,
    capacity: int,
    sides: int,
) -> Contents:
    """What each cell holds of its own: pixels that enter the component at its level."""
    width = table.shape[1]
    table = table.reshape(-1)

    segment = packed.rank_of_pixels(ground.starts, ground.level.shape[0]) - 1
    row = packed.take(graph.basin * width, jnp.maximum(segment, 0).reshape(-1))
    cell = packed.take(table, row + ground.level.reshape(-1))
    cell = jnp.where(ground.level.reshape(-1) > 0, cell, capacity)

    nothing = jnp.zeros(capacity, jnp.int32)
    area = nothing.at[cell].add(1, mode="drop")
    inside = jax.vmap(lambda mask: nothing.at[cell].add(mask, mode="drop"))(
        truth_masks.astype(jnp.int32).reshape(truth_masks.shape[0], cell.size)
    )
    counts = jnp.concatenate([area[None], inside])

    def places(position, marks):
        valid = jnp.arange(position.shape[0], dtype=jnp.int32) < marks.count
        position = jnp.where(valid, position, 0)
        segment = jnp.maximum(basins.segment_at(ground, position), 0)
        row = packed.take(graph.basin, segment) * width
        at = packed.take(table, row + basins.level_at(ground, position))
        y, x = basins.rows_and_columns(ground, position)
        return jnp.where(valid, at, capacity), y, x

    def largest(at, value):
        return jnp.full(capacity, _NOTHING, jnp.int32).at[at].max(value, mode="drop")

    side, y, x = places(packed.select(ground.sides, sides), ground.sides)
    first = largest(side, -(y * ground.level.shape[1] + x))
    bottom = largest(side, y)
    peak, _, x = places(graph.summit, ground.peaks)
    extents = jnp.stack([first, bottom, largest(peak, -x), largest(peak, x)])
    return Contents(counts, extents)


def accumulate(
    tree: merging.Tree, where: Layout, node: Array, own: Contents
) -> tuple[Contents, Array]:
    """What every component holds, and the level of every cell (0: there is no cell)."""
    capacity = node.shape[0]
    number = tree.peak.shape[0]
    cell = into_rows(jnp.arange(capacity, dtype=jnp.int32))
    place = cell - packed.take(where.offset, node)
    valid = cell < where.total
    level = jnp.where(valid, packed.take(tree.peak, node) - place, 0)

    # What a node holds when it is absorbed enters its parent at that level.
    whole = with_descendants(by_node(own, jnp.where(valid, node, number), number), tree)
    entry = where.offset[tree.parent] + tree.peak[tree.parent] - tree.death
    entry = jnp.where(tree.death > 0, _stored(entry, capacity), capacity)
    entered = Contents(
        own.counts.at[:, entry].add(whole.counts, mode="drop"),
        own.extents.at[:, entry].max(whole.extents, mode="drop"),
    )
    return running(entered, place), level


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


def running(own: Contents, place: Array) -> Contents:
    """Running sums and maxima over the cells of each node, in the order of storage.

    `place` numbers the cells of a node from 0.
    """
    blocks = place.shape[0] // _ROWS
    place = place.reshape(_ROWS, blocks)
    rows = jax.tree.map(
        lambda x: x.reshape(x.shape[0], _ROWS, blocks).swapaxes(0, 1), own
    )  # [_ROWS, quantities, blocks]

    def down(held, row):
        new, first = row
        held = _where(first[None], new, _joined(held, new))
        return held, held

    # From the data, as shard_map asks of a loop's state.
    nothing = Contents(0 * rows.counts[0], 0 * rows.extents[0] + _NOTHING)
    last, within = jax.lax.scan(down, nothing, (rows, place == 0))

    # What the blocks before bring to a node that began in one of them.
    before = _doubling(last, place[-1] >> _SHIFT)
    before = Contents(
        jnp.pad(before.counts, ((0, 0), (1, 0)))[:, :-1],
        jnp.pad(before.extents, ((0, 0), (1, 0)))[:, :-1],
    )
    row = jnp.arange(_ROWS, dtype=jnp.int32)[:, None]
    goes_on = (place > row)[:, None, :]
    before = jax.tree.map(lambda x: x[None], before)
    held = _where(goes_on, _joined(within, before), within)
    return jax.tree.map(
        lambda x: x.swapaxes(0, 1).reshape(x.shape[1], place.size), held
    )


def _doubling(own: Contents, place: Array) -> Contents:
    """Running sums and maxima, each over the last `place + 1` entries."""
    size = place.shape[0]
    rounds = (size - 1).bit_length()
    if rounds == 0:
        return own
    room = 1 << (rounds - 1)

    def double(i, held):
        step = jnp.int32(1) << i

        def shifted(x):
            padded = jnp.pad(x, ((0, 0), (room, 0)))
            return jax.lax.dynamic_slice_in_dim(padded, room - step, size, 1)

        return _where(
            (place >= step)[None], _joined(held, jax.tree.map(shifted, held)), held
        )

    return jax.lax.fori_loop(0, rounds, double, own)


def _joined(a: Contents, b: Contents) -> Contents:
    return Contents(a.counts + b.counts, jnp.maximum(a.extents, b.extents))


def _where(condition: Array, a: Contents, b: Contents) -> Contents:
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)


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

    largest = valid & (area == packed.take(most(area, valid), level))
    chosen = largest & (first == packed.take(most(first, largest), level))
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
    """Boxes int32[L, 4] from extents int32[4, L] and the width of the image."""
    first, bottom, left, right = extents
    top, _ = packed.split(-first, width)
    return jnp.stack([top, -left, bottom + 1, right + 1], axis=1)


def box_ious(box: Array, truth: Array) -> Array:
    """IoU float32[L] of int32[L, 4] with one float32[4]."""
    return jax.vmap(boxes.box_iou, (0, None))(box, truth)
