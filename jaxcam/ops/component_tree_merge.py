"""Which basin is absorbed by which, and at what level: the merge tree of a map."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam._types import Array
from jaxcam.ops import component_tree_basins as basins
from jaxcam.ops import packed


class Tree(NamedTuple):
    """The merge tree. Node i stands for the components whose highest basin is i.

    It does so at the levels in `(death[i], peak[i]]`; at `death[i]` and below, its
    pixels belong to `parent[i]`, which lives at `death[i]`.

    Attributes:
      peak: int32[B], the level of its highest pixel.
      death: int32[B], the level at which it touches a higher basin; 0 if none.
      parent: int32[B], the node that absorbs it; itself if none.
    """

    peak: Array
    death: Array
    parent: Array


def merge(graph: basins.Graph) -> Tree:
    """Absorbs basins into higher ones, all that can be at once, round by round.

    In a round each component finds its highest saddle and, if what lies beyond is a
    higher component, is absorbed at that level. This is exact: a saddle that leaves a
    component left all the components it absorbed, so none of those had joined it at a
    lower level. At least the lowest component with a saddle is absorbed in each round,
    usually more than half of them are.
    """
    number = graph.peak.shape[0]
    own = jnp.arange(number, dtype=jnp.int32)
    left, right = graph.ends

    def absorb(state):
        component, parent, death, _ = state
        a, b = packed.take(component, left), packed.take(component, right)
        level = jnp.where(a != b, graph.saddle, 0)
        highest = jnp.zeros_like(death).at[a].max(level).at[b].max(level)
        beyond = jnp.full_like(parent, -1)
        for one, other in ((a, b), (b, a)):
            best = level == packed.take(highest, one)
            beyond = beyond.at[one].max(jnp.where(best, other, -1))
        absorbed = (highest > 0) & (beyond > own)
        component = jnp.where(absorbed, beyond, component)
        return (
            basins.jump_to_roots(component),
            jnp.where(absorbed, beyond, parent),
            jnp.where(absorbed, highest, death),
            jnp.any(absorbed),
        )

    zero = 0 * graph.peak  # From the data, as shard_map asks of a loop's state.
    start = own + zero, own + zero, zero, zero[0] == 0
    state = jax.lax.while_loop(lambda state: state[3], absorb, start)
    _, parent, death, _ = state
    return Tree(graph.peak, death, _living(parent, death))


def _living(parent: Array, death: Array) -> Array:
    """The parents, each replaced by the one that its own parents have become."""

    def climb(state):
        parent, _ = state
        gone = (death > 0) & (packed.take(death, parent) >= death)
        return jnp.where(gone, packed.take(parent, parent), parent), jnp.any(gone)

    start = parent, parent[0] >= 0
    return jax.lax.while_loop(lambda state: state[1], climb, start)[0]
