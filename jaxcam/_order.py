"""Selection and ranks without a sort where a sort is the slower way."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcam._types import Array

_SIGN = 1 << 31


def ordered_bits(x: Array) -> Array:
    """uint32 keys in the order of the float32 values `x` (-0.0 counts as 0.0)."""
    bits = jax.lax.bitcast_convert_type(x + 0.0, jnp.uint32)
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

    Exact for every finite float32. Outside its range `k` acts as clipped to it.
    """
    k = jnp.clip(k, 1, jnp.maximum(jnp.sum(where, dtype=jnp.int32), 1))
    valid = jnp.where(where, x, -jnp.inf)
    return largest_value_where(
        valid, lambda above: jnp.sum(above, dtype=jnp.int32) >= k
    )


@jax.jit
def average_ranks(x: Array, *, where: Array) -> Array:
    """Ascending ranks from 1 of the valid values, ties averaged; shape of `x`.

    What lies outside of `where` has no meaning.
    """
    flat = jnp.where(where, x, jnp.inf).ravel()
    ordered = jnp.sort(flat)
    below = jnp.searchsorted(ordered, flat, side="left")
    through = jnp.searchsorted(ordered, flat, side="right")
    ranks = (below + through + 1).astype(jnp.float32) / 2
    return ranks.reshape(x.shape)
