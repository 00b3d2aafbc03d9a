"""Connected components of a mask, with the runs of pixels in its columns as nodes.

A run is a stretch of object pixels in one column; a 224 x 224 class activation mask
has a few hundred, noise a few thousand, against 50,176 pixels. Runs are numbered by
position, down the columns. Two edges a run suffice to connect all that touch: to the
first run it touches in the column before, and to the first in the column after. For
suppose run `k` touches `j` in the column before, and `j` is not the first it touches
there. Then `j` begins below the beginning of `k`, so no run above `k` reaches it, and
`k` is the first that touches `j` from the column after.

Labels propagate along the edges by hooking and pointer jumping: each run points to an
earlier one of its component, roots hook onto smaller roots across an edge, and every
round each pointer skips four steps ahead.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam._types import Array, Connectivity
from jaxcam.ops import packed


class Runs(NamedTuple):
    """The runs of a mask in ascending order, up to a capacity.

    Attributes:
      first: int32[C], position of the run's first pixel (see `packed`), int32's
        maximum beyond the last run.
      last: int32[C], position of its last pixel, likewise.
      valid: bool[C], whether there is such a run.
    """

    first: Array
    last: Array
    valid: Array


def beginnings(words: Array) -> packed.Marks:
    """The first pixel of every run of a packed mask."""
    return packed.marks(words & ~packed.down(words))


def find(words: Array, begin: packed.Marks, capacity: int) -> Runs:
    """The runs of a packed mask; `capacity` must be at least `begin.count`."""
    # A run that began before a word and goes on in it has not ended before it.
    open_runs = (words & ~begin.words & 1).astype(jnp.int32)
    end_words = words & ~packed.up(words)
    end = packed.Marks(end_words, begin.before - open_runs, begin.count)
    return Runs(
        packed.select(begin, capacity),
        packed.select(end, capacity),
        jnp.arange(capacity, dtype=jnp.int32) < begin.count,
    )


def touching(
    words: Array,
    begin: packed.Marks,
    runs: Runs,
    columns: int,
    connectivity: Connectivity,
) -> Array:
    """For every run the first it touches `columns` further on, or itself if none."""
    width, height = words.shape[0], words.shape[1] * packed.WORD
    reach = 1 if connectivity == 8 else 0
    column, first = packed.split(runs.first, height)
    _, last = packed.split(runs.last, height)
    other = column + columns
    inside = runs.valid & (other >= 0) & (other < width)
    origin = jnp.where(inside, other, 0) * height
    top = origin + jnp.maximum(first - reach, 0)
    bottom = origin + jnp.minimum(last + reach, height - 1)
    # The run that covers `top`, else the next to begin after it.
    covered = packed.is_set(words, top).astype(jnp.int32)
    candidate = packed.rank(begin, top) - covered
    capacity = runs.first.shape[0]
    there = jnp.minimum(candidate, capacity - 1)
    begins = packed.take(runs.first, there)
    touches = inside & (candidate < capacity) & (begins <= bottom)
    return jnp.where(touches, candidate, jnp.arange(capacity, dtype=jnp.int32))


def propagate(before: Array, after: Array) -> tuple[Array, Array]:
    """The first run of each run's component, and the number of rounds it took.

    `before[k] <= k <= after[k]` are the edges. Only a root hooks, and only onto a
    smaller root, so no round undoes a connection; the loop ends when every edge joins
    runs of one root and every pointer is a root. Of two roots that touch, the larger
    hooks; one that does not is absorbed by the next round, or absorbed another. So the
    number of roots halves in a few rounds, and the rounds grow with the logarithm of
    the number of runs.
    """

    def unsettled(state):
        return state[2]

    def settle(state):
        pointer, rounds, _ = state
        root = packed.take(pointer, pointer)
        root = packed.take(root, root)
        below = packed.take(root, after)
        low, high = jnp.minimum(root, below), jnp.maximum(root, below)
        target = packed.take(root, high)
        # What does not hook writes its own value, which changes nothing.
        hooked = root.at[high].min(
            jnp.where(target == high, low, target),
            mode="promise_in_bounds",
            wrap_negative_indices=False,
        )
        return hooked, rounds + 1, jnp.any(hooked != pointer)

    moving = before[0] >= 0  # True; from the data, as shard_map asks of a loop's state.
    rounds = 0 * before[0]
    root, rounds, _ = jax.lax.while_loop(unsettled, settle, (before, rounds, moving))
    return root, rounds


def flood(words: Array, begin: packed.Marks, runs: Runs, chosen: Array) -> Array:
    """The packed mask of the runs in `chosen`, bool[C].

    Adding the lowest bit of a run to a word flips exactly the run's bits and the
    unset one after them.
    """
    word = jnp.where(chosen, packed.word_of(runs.first), words.size)
    seeds = jnp.zeros(words.size, jnp.uint32)
    seeds = seeds.at[word].add(packed.bit(runs.first), mode="drop")
    seeds = seeds.reshape(words.shape)
    goes_on = words & ~begin.words & 1
    open_run = jnp.maximum(begin.before - 1, 0)
    goes_on = jnp.where(packed.take(chosen, open_run), goes_on, jnp.uint32(0))
    return (words ^ (words + (seeds | goes_on))) & words
