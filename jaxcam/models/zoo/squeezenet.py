"""SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360), as torchvision names it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers


class Fire(nnx.Module):
    """A squeeze to few channels, expanded by 1 x 1 and 3 x 3 convolutions."""

    def __init__(
        self, inputs: int, squeezed: int, expanded: int, *, rngs: nnx.Rngs
    ) -> None:
        self.squeeze = layers.conv(inputs, squeezed, 1, bias=True, rngs=rngs)
        self.expand1x1 = layers.conv(squeezed, expanded, 1, bias=True, rngs=rngs)
        self.expand3x3 = layers.conv(squeezed, expanded, 3, bias=True, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, 2 * expanded]."""
        x = jax.nn.relu(self.squeeze(x))
        parts = [self.expand1x1(x), self.expand3x3(x)]
        return jax.nn.relu(jnp.concatenate(parts, axis=-1))


class SqueezeNet(nnx.Module):
    """Logits are the mean of a rectified class map, so they are never negative."""

    def __init__(self, outputs: int = 1000, *, rngs: nnx.Rngs) -> None:
        def pool() -> layers.MaxPool:
            return layers.MaxPool(3, 2, ceil=True)

        def fire(inputs: int, squeezed: int, expanded: int) -> Fire:
            return Fire(inputs, squeezed, expanded, rngs=rngs)

        self.features = layers.sequential(
            layers.conv(3, 64, 3, stride=2, padding=0, bias=True, rngs=rngs),
            layers.relu(),
            pool(),
            fire(64, 16, 64),
            fire(128, 16, 64),
            pool(),
            fire(128, 32, 128),
            fire(256, 32, 128),
            pool(),
            fire(256, 48, 192),
            fire(384, 48, 192),
            fire(384, 64, 256),
            fire(512, 64, 256),
        )
        self.classifier = layers.Sequential(
            {1: layers.conv(512, outputs, 1, bias=True, rngs=rngs), 2: layers.relu()}
        )

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        return layers.spatial_mean(self.classifier(self.features(x)))
