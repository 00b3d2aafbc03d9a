"""What probes share: maps on the model's grid, many questions in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcam import ops
from jaxcam._types import Array, PyTree

VALUES_AT_A_TIME = 1 << 22
"""Altered inputs in memory at a time hold so many numbers, or one batch if more."""


def on_input(saliency: Array, frame: Array, shape: tuple[int, int]) -> Array:
    """Maps on the model's grid, to the bit where they lie on it already.

    Args:
      saliency: float32[B, h, w], on the truth's grid.
      frame: bool[B, h, w], the part of that grid which the model's input covers.
      shape: Rows and columns of the model's input.

    Returns:
      float32[B, *shape], bilinear with half-pixel centres.
    """
    whole = jnp.array(shape, jnp.int32)

    def place(saliency: Array, extent: Array) -> Array:
        return ops.place(saliency, whole, shape, source=extent)

    return jax.vmap(place)(saliency, extent_of(frame))


def extent_of(frame: Array) -> Array:
    """int32[B, 2], rows and columns of bool[B, h, w] that are image."""
    rows, columns = jnp.any(frame, axis=2), jnp.any(frame, axis=1)
    sums = [jnp.sum(lines, axis=1, dtype=jnp.int32) for lines in (rows, columns)]
    return jnp.stack(sums, axis=1)


def many(question: Callable[[Array], PyTree], samples: int, x: Array) -> PyTree:
    """Answers of many samples, as many at a time as memory allows.

    What a sample is answered does not depend on how many are asked at a time.

    Args:
      question: From the number of a sample, int32[], to answers, arrays [B, ...].
      samples: How many samples.
      x: float[B, H, W, C], of the size of the inputs that a sample alters.

    Returns:
      Arrays [B, samples, ...].
    """
    at_a_time = max(1, min(samples, VALUES_AT_A_TIME // max(x.size, 1)))
    steps = -(-samples // at_a_time)
    numbers = jnp.arange(steps * at_a_time, dtype=jnp.int32).reshape(steps, at_a_time)
    answers = jax.lax.map(jax.vmap(question), jnp.minimum(numbers, samples - 1))

    def by_image(answer: Array) -> Array:
        flat = answer.reshape(steps * at_a_time, *answer.shape[2:])[:samples]
        return jnp.moveaxis(flat, 0, 1)

    return jax.tree.map(by_image, answers)
