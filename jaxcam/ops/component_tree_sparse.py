"""The tree of maps with thousands of basins: sorted pixels instead of tables.

A table of basins x levels would be large and mostly empty. Here every pixel is a
cell of its own: sorted by node and level, running sums give what the component of that
node holds at that pixel's level, which is right down to the next pixel's level.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam._types import Array
from jaxcam.ops import component_tree_basins as basins
from jaxcam.ops import component_tree_cells as cells
from jaxcam.ops import component_tree_merge as merging
from jaxcam.ops import packed


def best(
    ground: basins.Terrain,
    graph: basins.Graph,
    tree: merging.Tree,
    levels: int,
    truth_masks: Array,
    truth_boxes: Array,
) -> cells.Best:
    """The largest component at each level, and the best box IoU of any."""
    node, level, own = _elements(ground, graph, tree, truth_masks)
    number = tree.peak.shape[0]
    index = jnp.arange(node.shape[0], dtype=jnp.int32)
    node, descending, order = jax.lax.sort((node, -level, index), num_keys=2)
    level = -descending
    begins = jnp.concatenate([jnp.ones(1, jnp.bool_), node[1:] != node[:-1]])
    place = index - jax.lax.cummax(jnp.where(begins, index, 0))

    # Right from the element's level down to the next one's, or to the node's death.
    death = tree.death[jnp.minimum(node, number - 1)]
    until = jnp.where(jnp.roll(begins, -1), death, jnp.roll(level, -1))
    until = jnp.where(node < number, until, level)

    order, place, level, until = map(cells.into_rows, (order, place, level, until))
    own = cells.Contents(own.counts[:, order], own.extents[:, order])
    held = cells.running(own, place)

    # Numbered by (area, first pixel), the largest number is the best component.
    area, first = held.counts[0], held.extents[0]
    *_, ranked = jax.lax.sort((area, first, index), num_keys=2)
    rank = jnp.zeros_like(ranked).at[ranked].set(index)
    winner = _most_over_ranges(rank, until, level, levels, jnp.int32(-1))
    at = ranked[jnp.maximum(winner, 0)]

    box = cells.tight_boxes(held.extents, ground.level.shape[1])
    ious = [
        _most_over_ranges(
            cells.box_ious(box, truth), until, level, levels, jnp.float32(0)
        )
        for truth in truth_boxes
    ]
    counts = jnp.where(winner >= 0, held.counts[:, at], 0)
    return cells.Best(
        counts[0],
        jnp.where((winner >= 0)[:, None], box[at], 0),
        counts[1:].T,
        jnp.stack(ious, axis=1) if ious else jnp.zeros((levels + 1, 0), jnp.float32),
    )


def _elements(
    ground: basins.Terrain,
    graph: basins.Graph,
    tree: merging.Tree,
    truth_masks: Array,
) -> tuple[Array, Array, cells.Contents]:
    """Pixels, then nodes as they enter their parent: node, level and contents.

    The node of what does not count is the number of nodes.
    """
    number = tree.peak.shape[0]
    height, width = ground.level.shape
    level = ground.level.reshape(-1)
    segment = packed.rank_of_pixels(ground.starts, height).reshape(-1) - 1
    basin = packed.take(graph.basin, jnp.maximum(segment, 0))
    node = jnp.where(level > 0, _living_at(tree, basin, level), number)

    column = jnp.tile(jnp.arange(width, dtype=jnp.int32), height)
    row = jnp.repeat(jnp.arange(height, dtype=jnp.int32), width)
    index = jnp.arange(level.shape[0], dtype=jnp.int32)
    ones = jnp.ones((1, level.shape[0]), jnp.int32)
    masks = truth_masks.astype(jnp.int32)
    masks = masks.reshape(masks.shape[0], level.shape[0])
    pixels = cells.Contents(
        jnp.concatenate([ones, masks]),
        jnp.stack([-index, row, -column, column]),
    )
    whole = cells.with_descendants(cells.by_node(pixels, node, number), tree)
    enters = jnp.where(tree.death > 0, tree.parent, number)
    elements = (
        jnp.concatenate([node, enters]),
        jnp.concatenate([level, tree.death]),
        jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), pixels, whole),
    )
    # What fills the last block belongs to no node.
    size = elements[0].shape[0]
    missing = cells.capacity_for(size) - size
    return (
        jnp.pad(elements[0], (0, missing), constant_values=number),
        jnp.pad(elements[1], (0, missing)),
        jax.tree.map(lambda x: jnp.pad(x, ((0, 0), (0, missing))), elements[2]),
    )


def _living_at(tree: merging.Tree, node: Array, level: Array) -> Array:
    """The nodes that stand at `level` for components with the given basins."""

    def climb(state):
        node, _ = state
        gone = (level > 0) & (packed.take(tree.death, node) >= level)
        return jnp.where(gone, packed.take(tree.parent, node), node), jnp.any(gone)

    start = node, node[0] >= 0
    return jax.lax.while_loop(lambda state: state[1], climb, start)[0]


def _most_over_ranges(
    values: Array, low: Array, high: Array, levels: int, nothing: Array
) -> Array:
    """For each level 0 to `levels`, the largest value whose (low, high] covers it.

    A range is the union of two that overlap and are powers of two long. Those of each
    length are entered at their first level, and handed down to half the length.
    """
    length = high - low
    rounds = levels.bit_length()
    power = jnp.zeros_like(length)
    for k in range(1, rounds):
        power = jnp.where(length >= 1 << k, k, power)
    table = jnp.full((rounds, levels + 1), nothing)
    power = jnp.where(length > 0, power, rounds)
    table = table.at[power, low + 1].max(values, mode="drop")
    table = table.at[power, high + 1 - (1 << power)].max(values, mode="drop")

    most = table[rounds - 1]
    for k in range(rounds - 1, 0, -1):
        half = 1 << (k - 1)
        later = jnp.concatenate([jnp.full(half, nothing), most])[: levels + 1]
        most = jnp.maximum(table[k - 1], jnp.maximum(most, later))
    return most
