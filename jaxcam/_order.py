"""Selection and ranks without a sort where a sort is the slower way."""

from __future__ import annotations

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


@jax.jit
def kth_largest(x: Array, k: Array, *, where: Array) -> Array:
    """The k-th largest valid value of `x`, for a traced `k` in [1, where.sum()].

    Finds the answer's bits from the top down: 32 counting passes over the map and no
    sort. Exact for every finite float32. Outside its range `k` acts as clipped to it.
    """
    keys = ordered_bits(jnp.where(where, x, -jnp.inf))

    def add_bit(i, key):
        candidate = key | (jnp.uint32(_SIGN) >> i)
        return jnp.where(jnp.sum(keys >= candidate) >= k, candidate, key)

    key = jax.lax.fori_loop(jnp.uint32(0), jnp.uint32(32), add_bit, jnp.uint32(0))
    return _from_ordered_bits(key)
