"""Boolean images as rows of 32-bit words: counts and positions without a long scan.

A 224 x 224 image has 50,176 pixels but 1,568 words, so a running count over words,
finished inside a word by `population_count`, costs a fraction of one over pixels.
Bit `i` of word `k` of a row is column `32 * k + i`; columns beyond the image are 0.
A *position* is `row * padded_width + column` with the width padded to whole words.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam._types import Array

WORD = 32
_INT32_MAX = 2**31 - 1


class Marks(NamedTuple):
    """Marked pixels of an image, ready to be counted and found.

    Attributes:
      words: uint32[H, K], the marks.
      before: int32[H, K], marks at positions before the word.
      count: int32[], all marks.
    """

    words: Array
    before: Array
    count: Array


def padded_width(shape: tuple[int, ...]) -> int:
    """Columns of an image of `shape` rounded up to words; refuses int32 overflow."""
    height, width = shape
    padded = -(-width // WORD) * WORD
    if height * padded > _INT32_MAX:
        raise ValueError(
            f"An image of shape {shape} has more pixels than int32 can number; cut it "
            "into tiles, or resize it with jaxcam.ops.resize."
        )
    return padded


def pack(mask: Array) -> Array:
    """bool[H, W] as uint32[H, K]."""
    return pack_many((mask,))[0]


def pack_many(masks: tuple[Array, ...]) -> Array:
    """Up to eight masks bool[H, W] as uint32[len(masks), H, K], in one pass.

    Four pixels are read as one integer `b0 + b1 << 8 + b2 << 16 + b3 << 24`; the
    product with the constant brings the four bits together at the top.
    """
    height, width = masks[0].shape
    flags = sum(mask.astype(jnp.uint8) << i for i, mask in enumerate(masks))
    flags = jnp.pad(flags, ((0, 0), (0, padded_width(masks[0].shape) - width)))
    four = flags.reshape(height, -1, WORD // 4, 4)
    four = jax.lax.bitcast_convert_type(four, jnp.uint32)

    def word(i):
        bits = ((four >> i) & 0x01010101) * jnp.uint32(0x10204080) >> 28
        joined = bits[:, :, 0]
        for k in range(1, WORD // 4):
            joined = joined | (bits[:, :, k] << (4 * k))
        return joined

    return jnp.stack([word(i) for i in range(len(masks))])


def unpack(words: Array, width: int) -> Array:
    """uint32[H, K] as bool[H, width]."""
    bits = (words[:, :, None] >> jnp.arange(WORD, dtype=jnp.uint32)[None, None]) & 1
    return bits.astype(jnp.bool_).reshape(words.shape[0], -1)[:, :width]


def marks(words: Array) -> Marks:
    """Running counts of the set bits of `words`."""
    counts = jax.lax.population_count(words).astype(jnp.int32)
    in_row = jnp.cumsum(counts, axis=1)
    rows = jnp.cumsum(in_row[:, -1])
    before = in_row - counts + (rows - in_row[:, -1])[:, None]
    return Marks(words, before, rows[-1])


def take(x: Array, index: Array) -> Array:
    """`x[index]` for indices known to lie within a one-dimensional `x`."""
    return x.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def bit(position: Array) -> Array:
    """uint32 with the bit of `position` within its word."""
    return jnp.uint32(1) << (position % WORD).astype(jnp.uint32)


def is_set(words: Array, position: Array) -> Array:
    """Whether the pixel at `position` is set; positions must lie in the image."""
    return (take(words.reshape(-1), position // WORD) & bit(position)) != 0


def rank(m: Marks, position: Array) -> Array:
    """Number of marks at positions up to and including `position`."""
    word = position // WORD
    up_to = bit(position) | (bit(position) - 1)
    inside = jax.lax.population_count(take(m.words.reshape(-1), word) & up_to)
    return take(m.before.reshape(-1), word) + inside.astype(jnp.int32)


def rank_of_pixels(m: Marks, width: int) -> Array:
    """`rank` of every pixel, int32[H, width], without a gather."""
    up_to = (jnp.uint32(2) << jnp.arange(WORD, dtype=jnp.uint32)) - 1
    inside = jax.lax.population_count(m.words[:, :, None] & up_to[None, None])
    ranks = m.before[:, :, None] + inside.astype(jnp.int32)
    return ranks.reshape(ranks.shape[0], -1)[:, :width]


def select(m: Marks, capacity: int) -> Array:
    """Positions of the marks in raster order, int32[capacity].

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
    return jnp.where(k < m.count, word * WORD + inside, _INT32_MAX)


def _spread(x: Array, reach: int) -> Array:
    """Largest of the `reach` entries that end at each; `reach` is a power of two."""

    def double(i, x):
        padded = jnp.pad(x, (reach // 2, 0))
        begin = reach // 2 - (jnp.int32(1) << i)
        return jnp.maximum(x, jax.lax.dynamic_slice_in_dim(padded, begin, x.shape[0]))

    return jax.lax.fori_loop(0, reach.bit_length() - 1, double, x)
