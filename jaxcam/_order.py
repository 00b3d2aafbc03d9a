"""Selection and ranks without a sort where a sort is the slower way."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam import _numerics
from jaxcam._types import Array

_SIGN = 1 << 31
_DIGIT_BITS = 8
_RUN = 32


def ordered_bits(x: Array) -> Array:
    """uint32 keys in the order of the float32 values `x` (-0.0 counts as 0.0)."""
    bits = jax.lax.bitcast_convert_type(jnp.where(x == 0, 0.0, x), jnp.uint32)
    sign = jnp.uint32(_SIGN)
    return jnp.where(bits >= sign, ~bits, bits | sign)


def _from_ordered_bits(key: Array) -> Array:
    sign = jnp.uint32(_SIGN)
    bits = jnp.where(key >= sign, key ^ sign, ~key)
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


def largest_value_where(x: Array, holds: Callable[[Array], Array]) -> Array:
    """The largest float32 v for which `holds(x >= v)`, true for every smaller v.

    Finds the answer's bits from the top down: 32 passes over the map and no sort.
    """
    keys = ordered_bits(x)

    def add_bit(i, key):
        candidate = key | (jnp.uint32(_SIGN) >> i)
        return jnp.where(holds(keys >= candidate), candidate, key)

    key = jax.lax.fori_loop(jnp.uint32(0), jnp.uint32(32), add_bit, jnp.uint32(0))
    return _from_ordered_bits(key)


@jax.jit
def kth_largest(x: Array, k: Array, *, where: Array) -> Array:
    """The k-th largest valid value of `x`, for a traced `k` in [1, where.sum()].

    Exact for every finite float32. Outside its range `k` acts as clipped to it. Four
    histograms, one of each byte among the values that share the bytes before it.
    """
    size = 1 << _DIGIT_BITS
    k = jnp.clip(k, 1, jnp.maximum(jnp.sum(where, dtype=jnp.int32), 1))
    keys = ordered_bits(x).ravel()
    alike = where.ravel()
    key = jnp.uint32(0)
    for shift in range(32 - _DIGIT_BITS, -1, -_DIGIT_BITS):
        digit = ((keys >> shift) & (size - 1)).astype(jnp.int32)
        held = jnp.zeros(size, jnp.int32).at[digit].add(alike.astype(jnp.int32))
        reached = jnp.cumsum(held[::-1])[::-1]  # Values with this digit or a larger.
        found = jnp.maximum(jnp.sum(reached >= k, dtype=jnp.int32) - 1, 0)
        k = k - (reached[found] - held[found])
        alike = alike & (digit == found)
        key = key | (found.astype(jnp.uint32) << shift)
    return jnp.where(jnp.any(where), _from_ordered_bits(key), -jnp.inf)


def top(x: Array, k: Array, *, where: Array) -> tuple[Array, Array, Array]:
    """The k largest valid values, for a whole float32 `k` in [1, where.sum()].

    Returns:
      bool[...], values above the k-th largest; bool[...], values equal to it;
      float32[], the share of these that fit: each one's chance in a random order.
    """
    kth = kth_largest(x, k.astype(jnp.int32), where=where)
    above = where & (x > kth)
    tied = where & (x == kth)
    slots_left = k - _numerics.count(above)
    return above, tied, _numerics.ratio(slots_left, _numerics.count(tied))


class Order(NamedTuple):
    """The descending order of all values of an array, equals grouped.

    It does not depend on which elements count, so that one program sorts a map once
    for all metrics and regions. Place p of the order is kept at [p % R, p // R] of
    tables int32[R, L], because running sums then add rows that are contiguous.

    Attributes:
      values: float32[R, L], the values in descending order, padded by anything.
      group: int32[n], for each element of the array, the flat index into a table of
        the first place of its group of equals.
    """

    values: Array
    group: Array


@jax.jit
def descending(x: Array) -> Order:
    """The order of the values of `x`: a sort of integers and a binary search."""
    keys = ~ordered_bits(x).ravel()
    ordered = jax.lax.sort(keys, is_stable=False)
    place = jnp.searchsorted(ordered, keys, side="left").astype(jnp.int32)
    values = jnp.pad(_from_ordered_bits(~ordered), (0, -keys.size % _RUN))
    values = values.reshape(-1, _RUN).T
    return Order(values, place % _RUN * values.shape[1] + place // _RUN)


def counts(order: Order, chosen: Array) -> Array:
    """int32[R, L]: how many chosen elements each group of equals holds."""
    table = jnp.zeros(order.values.size, jnp.int32)
    table = table.at[order.group].add(chosen.ravel().astype(jnp.int32))
    return table.reshape(order.values.shape)


def running_sum(table: Array) -> Array:
    """Sums of int32[R, L] up to and with each place of the order."""

    def add(total, row):
        total = total + row
        return total, total

    totals, within = jax.lax.scan(add, jnp.zeros_like(table[0]), table)
    return within + (jnp.cumsum(totals) - totals)[None]


@jax.jit
def average_ranks(x: Array, *, where: Array) -> Array:
    """Ascending ranks from 1 of the valid values, ties averaged; shape of `x`.

    What lies outside of `where` has no meaning.
    """
    order = descending(x)
    equal = counts(order, where)
    through = running_sum(equal)
    below = jnp.sum(where, dtype=jnp.int32) - through
    ranks = below.astype(jnp.float32) + (equal + 1).astype(jnp.float32) / 2
    return ranks.ravel()[order.group].reshape(x.shape)
