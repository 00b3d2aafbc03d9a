"""Densely connected networks (Huang et al. 2016, arXiv:1608.06993), by torchvision."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers


class DenseLayer(nnx.Module):
    """New channels from all that came before, by 1 x 1 and 3 x 3 convolutions."""

    def __init__(self, inputs: int, growth: int, *, rngs: nnx.Rngs) -> None:
        inner = 4 * growth
        self.norm1 = layers.batch_norm(inputs, rngs=rngs)
        self.relu1 = layers.relu()
        self.conv1 = layers.conv(inputs, inner, 1, rngs=rngs)
        self.norm2 = layers.batch_norm(inner, rngs=rngs)
        self.relu2 = layers.relu()
        self.conv2 = layers.conv(inner, growth, 3, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, growth], the new channels alone."""
        x = self.conv1(self.relu1(self.norm1(x)))
        return self.conv2(self.relu2(self.norm2(x)))


class DenseBlock(nnx.Module):
    """Layers whose new channels are put behind those they read."""

    def __init__(self, inputs: int, depth: int, growth: int, *, rngs: nnx.Rngs) -> None:
        self.depth = depth
        for number in range(depth):
            layer = DenseLayer(inputs + number * growth, growth, rngs=rngs)
            setattr(self, f"denselayer{number + 1}", layer)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, inputs + depth * growth]."""
        for number in range(self.depth):
            new = getattr(self, f"denselayer{number + 1}")(x)
            x = jnp.concatenate([x, new], axis=-1)
        return x


class DenseNet(nnx.Module):
    """Growth by 32 channels a layer; four blocks, channels halved in between.

    Args:
      depths: Layers in each block.
      outputs: Number of classes.
      growth: New channels of a layer.
      rngs: For random parameters.
    """

    def __init__(
        self,
        depths: Sequence[int],
        outputs: int = 1000,
        *,
        growth: int = 32,
        rngs: nnx.Rngs,
    ) -> None:
        channels = 2 * growth
        parts: dict[int | str, nnx.Module] = {
            "conv0": layers.conv(3, channels, 7, stride=2, rngs=rngs),
            "norm0": layers.batch_norm(channels, rngs=rngs),
            "relu0": layers.relu(),
            "pool0": layers.MaxPool(3, 2, 1),
        }
        for number, depth in enumerate(depths, 1):
            block = DenseBlock(channels, depth, growth, rngs=rngs)
            parts[f"denseblock{number}"] = block
            channels += depth * growth
            if number < len(depths):
                parts[f"transition{number}"] = layers.Sequential(
                    {
                        "norm": layers.batch_norm(channels, rngs=rngs),
                        "relu": layers.relu(),
                        "conv": layers.conv(channels, channels // 2, 1, rngs=rngs),
                        "pool": layers.AveragePool(2, 2),
                    }
                )
                channels //= 2
        parts[f"norm{len(depths) + 1}"] = layers.batch_norm(channels, rngs=rngs)
        self.features = layers.Sequential(parts)
        self.relu = layers.relu()
        self.classifier = layers.linear(channels, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        return self.classifier(layers.spatial_mean(self.relu(self.features(x))))
