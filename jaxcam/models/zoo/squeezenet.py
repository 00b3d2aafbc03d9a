"""SqueezeNets (Iandola et al. 2016, arXiv:1602.07360), as torchvision names them."""

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


# Squeezed and expanded channels of each fire module; `None` is a max pooling.
_FIRES = {
    "1_0": (
        (16, 64),
        (16, 64),
        (32, 128),
        None,
        (32, 128),
        (48, 192),
        (48, 192),
        (64, 256),
        None,
        (64, 256),
    ),
    "1_1": (
        (16, 64),
        (16, 64),
        None,
        (32, 128),
        (32, 128),
        None,
        (48, 192),
        (48, 192),
        (64, 256),
        (64, 256),
    ),
}
_STEM = {"1_0": (96, 7), "1_1": (64, 3)}


class SqueezeNet(nnx.Module):
    """Logits are the mean of a rectified class map, so they are never negative.

    Args:
      version: "1_0" or "1_1", which pools earlier and is cheaper.
      outputs: Number of classes.
      rngs: For random parameters.
    """

    def __init__(
        self, version: str = "1_1", outputs: int = 1000, *, rngs: nnx.Rngs
    ) -> None:
        channels, kernel = _STEM[version]
        stem = layers.conv(
            3, channels, kernel, stride=2, padding=0, bias=True, rngs=rngs
        )
        parts = [stem, layers.relu(), layers.MaxPool(3, 2, ceil=True)]
        for step in _FIRES[version]:
            if step is None:
                parts.append(layers.MaxPool(3, 2, ceil=True))
                continue
            parts.append(Fire(channels, *step, rngs=rngs))
            channels = 2 * step[1]
        self.features = layers.sequential(*parts)
        self.classifier = layers.Sequential(
            {1: layers.conv(512, outputs, 1, bias=True, rngs=rngs), 2: layers.relu()}
        )

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        return layers.spatial_mean(self.classifier(self.features(x)))
