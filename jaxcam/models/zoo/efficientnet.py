"""EfficientNet (Tan & Le 2019, arXiv:1905.11946), as torchvision names it."""

from __future__ import annotations

import jax
from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import inverted, layers

# Expansion, kernel, first stride, channels, blocks of each stage of B0.
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class EfficientNet(nnx.Module):
    """B0."""

    def __init__(self, outputs: int = 1000, *, rngs: nnx.Rngs) -> None:
        swish = {"activation": jax.nn.silu, "rngs": rngs}
        features: list[nnx.Module] = [inverted.unit(3, 32, 3, stride=2, **swish)]
        channels = 32
        for expansion, kernel, first_stride, width, blocks in _STAGES:
            stage = []
            for number in range(blocks):
                shape = inverted.Shape(
                    inputs=channels,
                    expanded=expansion * channels,
                    outputs=width,
                    kernel=kernel,
                    stride=first_stride if number == 0 else 1,
                    squeezed=channels // 4,
                )
                stage.append(
                    inverted.InvertedResidual(
                        shape, squeeze=jax.nn.silu, gate=jax.nn.sigmoid, **swish
                    )
                )
                channels = width
            features.append(layers.sequential(*stage))
        features.append(inverted.unit(channels, 4 * channels, 1, **swish))
        self.features = layers.sequential(*features)
        self.classifier = layers.Sequential(
            {1: layers.linear(4 * channels, outputs, rngs=rngs)}
        )

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        return self.classifier(layers.spatial_mean(self.features(x)))
