"""Many forward passes in chunks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcam._types import Array


def live_rows(
    fn: Callable[[Array], Array], live: Array, *, chunk: int, fill: float
) -> Array:
    """`fn` of every live row, in chunks; rows that are not live cost nothing.

    Rows of all images share the chunks, so that the last chunk alone is not full.

    Args:
      fn: From row numbers int32[chunk] to values float32[chunk].
      live: bool[N].
      chunk: Rows at a time.
      fill: Value of the rows that are not live.

    Returns:
      float32[N].
    """
    order = jnp.argsort(~live, stable=True).astype(jnp.int32)
    chunk = min(chunk, live.size)
    order = jnp.pad(order, (0, -live.size % chunk), mode="edge")
    chunks = -(-jnp.sum(live, dtype=jnp.int32) // chunk)

    def step(i: Array, values: Array) -> Array:
        rows = jax.lax.dynamic_slice(order, (i * chunk,), (chunk,))
        return values.at[rows].set(fn(rows))

    start = jnp.full(live.shape, fill, jnp.float32)
    values = jax.lax.fori_loop(0, chunks, step, start)
    return jnp.where(live, values, fill)


def accumulate(
    fn: Callable[[Array], tuple[Array, Array]], rows: int, start: Array, *, chunk: int
) -> Array:
    """Sums what rows contribute to a few accumulators, in chunks.

    Args:
      fn: From row numbers int32[chunk] to the accumulators they belong to, an
        int32[chunk], and their contributions, float32[chunk, ...].
      rows: Number of rows N.
      start: float32[B, ...], the accumulators at the beginning.
      chunk: Rows at a time.

    Returns:
      float32[B, ...].
    """
    chunk = min(chunk, rows)

    def step(i: Array, total: Array) -> Array:
        numbers = i * chunk + jnp.arange(chunk, dtype=jnp.int32)
        belongs, contribution = fn(jnp.minimum(numbers, rows - 1))
        belongs = jnp.where(numbers < rows, belongs, len(total))
        return total.at[belongs].add(contribution, mode="drop")

    return jax.lax.fori_loop(0, -(-rows // chunk), step, start)
