"""Tiny Darknet (Redmon, darknet's cfg/tiny.cfg)."""

from __future__ import annotations

import jax
from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers

# Channels and kernel of each convolution; None is a max pooling.
_PLAN = (
    (16, 3),
    None,
    (32, 3),
    None,
    (16, 1),
    (128, 3),
    (16, 1),
    (128, 3),
    None,
    (32, 1),
    (256, 3),
    (32, 1),
    (256, 3),
    None,
    (64, 1),
    (512, 3),
    (64, 1),
    (512, 3),
    (128, 1),
)


class Unit(nnx.Module):
    """Convolution, batch normalisation, leaky rectifier."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, rngs) -> None:
        self.conv = layers.conv(inputs, outputs, kernel, rngs=rngs)
        self.norm = layers.batch_norm(outputs, epsilon=1e-3, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, outputs]."""
        return jax.nn.leaky_relu(self.norm(self.conv(x)), 0.1)


class TinyDarknet(nnx.Module):
    """Logits are the mean of a class map."""

    def __init__(self, outputs: int = 1000, *, rngs: nnx.Rngs) -> None:
        parts: list[nnx.Module] = []
        channels = 3
        for step in _PLAN:
            if step is None:
                parts.append(layers.MaxPool(2, 2, "SAME"))
                continue
            parts.append(Unit(channels, *step, rngs=rngs))
            channels = step[0]
        self.features = layers.sequential(*parts)
        self.classifier = layers.conv(channels, outputs, 1, bias=True, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        return layers.spatial_mean(self.classifier(self.features(x)))
