"""A mask as bits of words in planes whose pixels never touch one another.

A plane holds the pixels of one row class (row modulo R) and one column class (column
modulo 2), so no two of its pixels are neighbours: they may all be flipped at once, and
that equals flipping them one by one. In a plane, a column's pixels are the bits of
`pitch` consecutive words, with at least one spare bit after the last; so the vertical
neighbour in another plane is a bit shift with a carry from the word beside, and the
horizontal one an offset of `pitch` words. Everything is flat, spare bits and the words
around a plane are zero, and zero is background: the outside needs no special case.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam._types import Array
from jaxcam.ops import simple_points

_WORD = 32


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the pixels of a (height, width) image lie.

    Attributes:
      height: Rows of the image.
      width: Columns of the image.
      classes: Row classes R, 2 or 4.
    """

    height: int
    width: int
    classes: int

    @property
    def pitch(self) -> int:
        """Words a column, spare bit included."""
        return -(-self.height // self.classes) // _WORD + 1

    @property
    def columns(self) -> int:
        """Columns of a plane."""
        return -(-self.width // 2)

    @property
    def size(self) -> int:
        """Words of a plane."""
        return self.columns * self.pitch

    @property
    def gap(self) -> int:
        """Words around a plane that a look at its neighbours can reach."""
        return self.pitch + 1

    @property
    def planes(self) -> tuple[tuple[int, int], ...]:
        """Row and column class of every plane, in the order that `split` has."""
        return tuple((r, q) for r in range(self.classes) for q in (0, 1))


def pack(mask: Array, layout: Layout) -> Array:
    """bool[H, W] as uint32[pitch, R, 2 * columns].

    Bit `i` of `[k, r, x]` is the pixel in row `R * (32 * k + i) + r`, column `x`.
    """
    rows = layout.pitch * _WORD * layout.classes
    mask = jnp.pad(
        mask, ((0, rows - layout.height), (0, 2 * layout.columns - layout.width))
    )
    bits = mask.reshape(layout.pitch, _WORD, layout.classes, 2 * layout.columns)

    def one_word(bits):
        words = bits[0].astype(jnp.uint32)
        for i in range(1, _WORD):
            words = words | (bits[i].astype(jnp.uint32) << i)
        return words

    # A loop, so that no later step is fused into this one: it would read single bytes.
    return jax.lax.map(one_word, bits)


def unpack(words: Array, layout: Layout) -> Array:
    """uint32[pitch, R, 2 * columns] as bool[H, W]."""
    bits = jnp.stack([(words >> i) & 1 for i in range(_WORD)], axis=1)
    mask = bits.astype(jnp.bool_).reshape(-1, 2 * layout.columns)
    return mask[: layout.height, : layout.width]


def split(words: Array, layout: Layout) -> tuple[Array, ...]:
    """The planes of a packed mask, each uint32[size]."""
    return tuple(words[:, r, q::2].T.reshape(-1) for r, q in layout.planes)


def join(planes: tuple[Array, ...], layout: Layout) -> Array:
    """The inverse of `split`."""
    grid = jnp.stack(planes).reshape(layout.classes, 2, layout.columns, layout.pitch)
    return jnp.transpose(grid, (3, 0, 2, 1)).reshape(
        layout.pitch, layout.classes, 2 * layout.columns
    )


def within(plane: Array, size: int, offset: int = 0) -> Array:
    """`size` words around the middle of a padded plane, `offset` words further on."""
    start = (plane.shape[0] - size) // 2 + offset
    return jax.lax.slice(plane, (start,), (start + size,))


def neighbours(
    planes: Sequence[Array], layout: Layout, index: int, size: int
) -> tuple[Array, ...]:
    """The eight neighbours of the pixels of one plane, as words; see `within`.

    Args:
      planes: All planes, each with zeros around it.
      layout: Of the image.
      index: Of the plane.
      size: Words to return; the planes must be larger by `layout.gap` on either side.

    Returns:
      Eight uint32[size] in the order of `simple_points.NEIGHBOURS`.
    """
    r, q = layout.planes[index]

    def look(dy: int, dx: int) -> Array:
        row, wraps = (r + dy) % layout.classes, (r + dy) // layout.classes
        offset = ((q + dx) // 2) * layout.pitch
        plane = planes[layout.planes.index((row, (q + dx) % 2))]
        here = within(plane, size, offset)
        if wraps == 0:
            return here
        beside = within(plane, size, offset + wraps)
        if wraps < 0:
            return (here << 1) | (beside >> (_WORD - 1))
        return (here >> 1) | (beside << (_WORD - 1))

    return tuple(look(dy, dx) for dy, dx in simple_points.NEIGHBOURS)


class Round(NamedTuple):
    """A round of phases under way.

    Attributes:
      before: The planes at the start of the round.
      now: The planes as the phases so far have left them.
      number: int32[], rounds that are done.
    """

    before: Sequence[Array]
    now: Sequence[Array]
    number: Array


def settle(
    start: Sequence[Array],
    layout: Layout,
    phases: Sequence[Sequence[tuple[int, int]]],
    update: Callable[[Round, int, int], Array],
    *,
    rounds: int = 0,
) -> tuple[Array, ...]:
    """Updates the planes phase by phase, round after round, until nothing changes.

    A phase reads its neighbours a `gap` beyond the words that it writes. So the first
    phase of a round starts from planes with as many gaps of zeros around them as there
    are phases, and each phase leaves one less; at the start of the next round what is
    left is put back into its padded plane. That keeps every phase one pass over
    contiguous words. (Several rounds in one iteration would save their bookkeeping,
    but then XLA recomputes phases inside one another.)

    Args:
      start: The planes, with `len(phases) * layout.gap` zeros on either side.
      layout: Of the image.
      phases: The planes (row and column class) that each phase updates; a round has
        all of them once.
      update: `(round, index, size) -> words`, the new middle of a plane.
      rounds: Least number of rounds.

    Returns:
      The settled planes, each uint32[layout.size].
    """

    def one_round(before, number):
        now = list(before)
        for i, phase in enumerate(phases):
            size = layout.size + 2 * (len(phases) - 1 - i) * layout.gap
            for plane in phase:
                index = layout.planes.index(plane)
                now[index] = update(Round(before, now, number), index, size)
        return now

    def iterate(state):
        before, inner, number, _ = state
        before = [
            jax.lax.dynamic_update_slice(x, y, ((x.shape[0] - y.shape[0]) // 2,))
            for x, y in zip(before, inner, strict=True)
        ]
        now = one_round(before, number)
        changed = [
            within(x, layout.size) ^ within(y, layout.size)
            for x, y in zip(before, now, strict=True)
        ]
        number = number + 1
        return before, now, number, _any_bit(changed) | (number < rounds)

    sizes = [x.shape[0] for x in jax.eval_shape(one_round, list(start), jnp.int32(0))]
    inner = [within(x, n) for x, n in zip(start, sizes, strict=True)]
    # Zero and true, made from the data: shard_map asks that of a loop's state.
    zero = 0 * start[0][0].astype(jnp.int32)
    state = (list(start), inner, zero, zero == 0)
    _, inner, _, _ = jax.lax.while_loop(lambda state: state[3], iterate, state)
    return tuple(within(x, layout.size) for x in inner)


def _any_bit(arrays: Sequence[Array]) -> Array:
    """Whether any bit is set in arrays of one shape."""
    bits = functools.reduce(jnp.bitwise_or, arrays)
    return jax.lax.reduce(bits, jnp.uint32(0), jax.lax.bitwise_or, (0,)) != 0


def dilate(words: Array, radius: float, layout: Layout) -> Array:
    """The pixels within Euclidean distance `radius` of a pixel of a packed mask.

    A disc is a row of column segments: the mask is grown upwards and downwards step by
    step, and the result is read at every horizontal offset after as many steps as the
    disc is high there. Bits below the image may be set.
    """
    reach = min(int(radius), 2 * layout.columns - 1)
    height = [math.isqrt(int(radius**2) - dx**2) for dx in range(reach + 1)]
    height = [min(h, layout.height - 1) for h in height]
    words = jnp.pad(words, ((0, 0), (0, 0), (reach, reach)))
    rows = [words[:, r] for r in range(layout.classes)]
    disc, grown = (
        [jnp.zeros_like(words[:, 0, reach : words.shape[2] - reach])] * len(rows),
        0,
    )
    for dx in reversed(range(reach + 1)):
        while grown < height[dx]:
            rows, grown = _grow(rows), grown + 1
        for start in {reach - dx, reach + dx}:
            stop = start + 2 * layout.columns
            disc = [d | row[:, start:stop] for d, row in zip(disc, rows, strict=True)]
    return jnp.stack(disc, axis=1)


def _grow(rows: list[Array]) -> list[Array]:
    """One row upwards and downwards; `rows[r]` is uint32[pitch, columns]."""
    above = (rows[-1] << 1) | jnp.pad(rows[-1] >> (_WORD - 1), ((1, 0), (0, 0)))[:-1]
    below = (rows[0] >> 1) | jnp.pad(rows[0] << (_WORD - 1), ((0, 1), (0, 0)))[1:]
    column = [above, *rows, below]
    return [column[r] | column[r + 1] | column[r + 2] for r in range(len(rows))]


def pack_constant(mask: np.ndarray, layout: Layout) -> np.ndarray:
    """`pack` of a mask that is known when the program is traced."""
    rows = layout.pitch * _WORD * layout.classes
    mask = np.pad(
        mask, ((0, rows - layout.height), (0, 2 * layout.columns - layout.width))
    )
    bits = mask.reshape(layout.pitch, _WORD, layout.classes, 2 * layout.columns)
    weights = np.uint32(1) << np.arange(_WORD, dtype=np.uint32)
    return np.einsum("kirx,i->krx", bits, weights).astype(np.uint32)
