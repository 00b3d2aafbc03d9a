"""Levels of a map: how many of the thresholds each value reaches."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam._types import Array
from jaxcam.ops import packed

_CELLS_PER_THRESHOLD = 4


class Levels(NamedTuple):
    """Sorted thresholds, and a table that finds a value's place among them at once.

    The range of the thresholds is cut into equal cells. If no cell holds two
    thresholds, the number that a value reaches is the number in the cells before its
    own, plus one comparison. That is exact whatever the rounding, since the same
    non-decreasing function puts values and thresholds into cells.

    Attributes:
      thresholds: float32[T], ascending, NaN last.
      low: float32[], where the first cell begins.
      scale: float32[], cells per unit.
      before: int32[G], thresholds in the cells before.
      inside: float32[G], the threshold in the cell, or NaN.
      regular: bool[], whether no cell holds two thresholds.
    """

    thresholds: Array
    low: Array
    scale: Array
    before: Array
    inside: Array
    regular: Array


def prepare(thresholds: Array) -> tuple[Levels, Array]:
    """The table, and the level int32[T] that stands for each threshold as given."""
    number = thresholds.shape[0]
    order = jnp.argsort(thresholds)
    position = jnp.arange(1, number + 1, dtype=jnp.int32)
    level = jnp.zeros(number, jnp.int32).at[order].set(position)

    ascending = thresholds[order]
    cells = _CELLS_PER_THRESHOLD * number
    low = ascending[0]
    scale = (cells - 1) / jnp.maximum(ascending[-1] - low, jnp.finfo("float32").tiny)
    cell = _cell(ascending, low, scale, cells)
    counts = jnp.zeros(cells, jnp.int32).at[cell].add(1)
    inside = jnp.full(cells, jnp.nan).at[cell].set(ascending)
    usable = jnp.isfinite(low) & jnp.isfinite(ascending[-1]) & jnp.isfinite(scale)
    regular = usable & (jnp.max(counts) <= 1)
    before = jnp.cumsum(counts) - counts
    return Levels(ascending, low, scale, before, inside, regular), level


def level_of(values: Array, levels: Levels, *, strict: bool) -> Array:
    """Number of thresholds t with `value >= t` (`> t` if strict); 0 for NaN."""

    def look_up(values):
        cell = _cell(values, levels.low, levels.scale, levels.before.shape[0])
        inside = packed.take(levels.inside, cell)
        before = packed.take(levels.before, cell)
        reached = values > inside if strict else values >= inside
        return before + reached.astype(jnp.int32)

    def search(values):
        side = "left" if strict else "right"
        found = jnp.searchsorted(levels.thresholds, values, side=side)
        return found.astype(jnp.int32)

    level = jax.lax.cond(levels.regular, look_up, search, values)
    return jnp.where(jnp.isnan(values), 0, level)


def _cell(values: Array, low: Array, scale: Array, cells: int) -> Array:
    """A non-decreasing function of the value; any cell for NaN."""
    place = jnp.clip((values - low) * scale, 0, cells - 1)
    return jnp.where(jnp.isnan(place), 0, place).astype(jnp.int32)
