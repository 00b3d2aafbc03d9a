"""What every fit of parameters shares: optimiser, order of the images, records."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator

import jax
import numpy as np
import optax

from jaxcam._types import PyTree


def optimizer(
    learning_rate: float, weight_decay: float, *, steps: int
) -> optax.GradientTransformation:
    """AdamW whose rate rises over the first tenth of the steps and falls to zero.

    Args:
      learning_rate: The peak of the rate.
      weight_decay: Of matrices and kernels, not of vectors.
      steps: Number of steps.
    """
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=learning_rate,
        warmup_steps=max(steps // 10, 1),
        decay_steps=max(steps, 2),
    )

    def matrices(params: PyTree) -> PyTree:
        return jax.tree.map(lambda p: p.ndim > 1, params)

    return optax.adamw(schedule, weight_decay=weight_decay, mask=matrices)


def order(
    count: int, batch_size: int, *, seed: int, epoch: int
) -> Iterator[np.ndarray]:
    """Positions of the images of each batch; the last incomplete one is left out."""
    rng = np.random.default_rng([seed, epoch])
    batches = count // batch_size
    shuffled = rng.permutation(count)[: batches * batch_size]
    yield from shuffled.reshape(batches, batch_size)


def epoch_entry(epoch: int, **figures: float) -> dict[str, float]:
    """An entry of a log: the epoch, counted from one, and its figures, rounded."""
    rounded = {name: round(float(value), 5) for name, value in figures.items()}
    return {"epoch": epoch + 1, **rounded}


def versions() -> dict[str, str]:
    """Versions that decide the bits of a fit."""
    return {
        name: importlib.metadata.version(name)
        for name in ("flax", "jax", "jaxlib", "numpy", "optax")
    }
