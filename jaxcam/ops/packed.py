"""Boolean images as words of 32 pixels: counts and positions without a long scan.

A 224 x 224 image has 50,176 pixels but 1,568 words, so a running count over words,
finished inside a word by `population_count`, costs a fraction of one over pixels. A
word holds 32 pixels of one column, so that the words of all columns are made at once:
bit `i` of word `k` of column `x` is the pixel `(32 * k + i, x)`; rows beyond the image
are 0. A *position* is `x * padded_height + y`, with the height padded to whole words:
positions run down the columns.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam._types import Array

WORD = 32
_SHIFT = 5
INT32_MAX = 2**31 - 1


class Marks(NamedTuple):
    """Marked pixels of an image, ready to be counted and found.

    Attributes:
      words: uint32[W, K], the marks.
      before: int32[W, K], marks at positions before the word.
      count: int32[], all marks.
    """

    words: Array
    before: Array
    count: Array


def padded_height(shape: tuple[int, ...]) -> int:
    """Rows of an image of `shape` rounded up to words; refuses int32 overflow."""
    height, width = shape
    padded = -(-height // WORD) * WORD
    if padded * width > INT32_MAX:
        raise ValueError(
            f"An image of shape {shape} has more pixels than int32 can number; cut it "
            "into tiles, or resize it with jaxcam.ops.resize."
        )
    return padded


def pack(mask: Array) -> Array:
    """bool[H, W] as uint32[W, K]."""
    return pack_many((mask,))[0]


def pack_many(masks: tuple[Array, ...]) -> Array:
    """Up to 32 masks bool[H, W] as uint32[len(masks), W, K], in one pass."""
    height, width = masks[0].shape
    flags = masks[0].astype(jnp.uint32)
    for i, mask in enumerate(masks[1:], start=1):
        flags |= mask.astype(jnp.uint32) << i
    flags = jnp.pad(flags, ((0, padded_height(masks[0].shape) - height), (0, 0)))
    flags = flags.reshape(-1, WORD, width)
    plane = jnp.arange(len(masks), dtype=jnp.uint32)[:, None, None]

    def add_row(i, words):
        row = jax.lax.dynamic_index_in_dim(flags, i, axis=1, keepdims=False)
        return words | (((row[None] >> plane) & 1) << i.astype(jnp.uint32))

    # On CPU a loop keeps XLA from working the masks out anew for every bit that is
    # taken from them, and the words for every use of them. It starts from the data, as
    # shard_map asks of a loop's state.
    words = jnp.zeros((len(masks), 1, 1), jnp.uint32) & flags[None, :, 0]
    unroll = jax.default_backend() != "cpu"
    words = jax.lax.fori_loop(0, WORD, add_row, words, unroll=unroll)
    return words.swapaxes(1, 2)


def unpack(words: Array, height: int) -> Array:
    """uint32[W, K] as bool[height, W]."""
    bits = words.T[:, None, :] >> jnp.arange(WORD, dtype=jnp.uint32)[None, :, None]
    return (bits & 1).astype(jnp.bool_).reshape(-1, words.shape[0])[:height]


def down(words: Array, filling: int = 0) -> Array:
    """The image moved down by one row; `filling` is what enters at the top."""
    carry = jnp.pad(words >> 31, ((0, 0), (1, 0)), constant_values=filling)[:, :-1]
    return (words << 1) | carry


def up(words: Array) -> Array:
    """The image moved up by one row."""
    carry = jnp.pad(words << 31, ((0, 0), (0, 1)))[:, 1:]
    return (words >> 1) | carry


def marks(words: Array) -> Marks:
    """Running counts of the set bits of `words`."""
    counts = jax.lax.population_count(words).astype(jnp.int32)
    in_column = jnp.cumsum(counts, axis=1)
    columns = jnp.cumsum(in_column[:, -1])
    before = in_column - counts + (columns - in_column[:, -1])[:, None]
    return Marks(words, before, columns[-1])


def take(x: Array, index: Array) -> Array:
    """`x[index]` for indices known to lie within a one-dimensional `x`."""
    return x.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def split(position: Array, size: int) -> tuple[Array, Array]:
    """Quotient and remainder of integers >= 0, without what the sign would cost."""
    size = jnp.full_like(position, size)
    return jax.lax.div(position, size), jax.lax.rem(position, size)


def word_of(position: Array) -> Array:
    """Number of the word that holds `position`."""
    return position >> _SHIFT


def bit(position: Array) -> Array:
    """uint32 with the bit of `position` within its word."""
    return jnp.uint32(1) << (position & (WORD - 1)).astype(jnp.uint32)


def is_set(words: Array, position: Array) -> Array:
    """Whether the pixel at `position` is set; positions must lie in the image."""
    return (take(words.reshape(-1), word_of(position)) & bit(position)) != 0


def rank(m: Marks, position: Array) -> Array:
    """Number of marks at positions up to and including `position`."""
    word = word_of(position)
    up_to = bit(position) | (bit(position) - 1)
    inside = jax.lax.population_count(take(m.words.reshape(-1), word) & up_to)
    return take(m.before.reshape(-1), word) + inside.astype(jnp.int32)


def rank_of_pixels(m: Marks, height: int) -> Array:
    """`rank` of every pixel, int32[height, W], without a gather."""
    up_to = (jnp.uint32(2) << jnp.arange(WORD, dtype=jnp.uint32)) - 1
    inside = jax.lax.population_count(m.words.T[:, None, :] & up_to[None, :, None])
    ranks = m.before.T[:, None, :] + inside.astype(jnp.int32)
    return ranks.reshape(-1, m.words.shape[0])[:height]


def select(m: Marks, capacity: int) -> Array:
    """Positions of the marks in ascending order, int32[capacity].

    Entries from `m.count` on hold the int32 maximum.
    """
    before, words = m.before.reshape(-1), m.words.reshape(-1)
    # Each word is entered at its first mark, and spreads over its at most 32 marks.
    first = jnp.where(words != 0, before, capacity)
    numbers = jnp.arange(words.shape[0], dtype=jnp.int32)
    word = jnp.zeros(capacity, jnp.int32).at[first].max(numbers, mode="drop")
    word = _spread(word, WORD)

    k = jnp.arange(capacity, dtype=jnp.int32)
    left = k - take(before, word)
    value = take(words, word)
    inside = jnp.zeros_like(k)
    for width in (16, 8, 4, 2, 1):
        window = (value >> inside.astype(jnp.uint32)) & jnp.uint32((1 << width) - 1)
        skipped = jax.lax.population_count(window).astype(jnp.int32)
        beyond = left >= skipped
        left = jnp.where(beyond, left - skipped, left)
        inside = jnp.where(beyond, inside + width, inside)
    return jnp.where(k < m.count, word * WORD + inside, INT32_MAX)


def _spread(x: Array, reach: int) -> Array:
    """Largest of the `reach` entries that end at each; `reach` is a power of two."""

    def double(i, x):
        padded = jnp.pad(x, (reach // 2, 0))
        begin = reach // 2 - (jnp.int32(1) << i)
        return jnp.maximum(x, jax.lax.dynamic_slice_in_dim(padded, begin, x.shape[0]))

    return jax.lax.fori_loop(0, reach.bit_length() - 1, double, x)
