"""MobileNetV3 (Howard et al. 2019, arXiv:1905.02244), as torchvision names it."""

from __future__ import annotations

import jax
from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import inverted, layers

# Kernel, expanded channels, channels, squeezed?, hard swish?, stride of each block.
_BLOCKS = {
    "small": (
        (3, 16, 16, True, False, 2),
        (3, 72, 24, False, False, 2),
        (3, 88, 24, False, False, 1),
        (5, 96, 40, True, True, 2),
        (5, 240, 40, True, True, 1),
        (5, 240, 40, True, True, 1),
        (5, 120, 48, True, True, 1),
        (5, 144, 48, True, True, 1),
        (5, 288, 96, True, True, 2),
        (5, 576, 96, True, True, 1),
        (5, 576, 96, True, True, 1),
    ),
    "large": (
        (3, 16, 16, False, False, 1),
        (3, 64, 24, False, False, 2),
        (3, 72, 24, False, False, 1),
        (5, 72, 40, True, False, 2),
        (5, 120, 40, True, False, 1),
        (5, 120, 40, True, False, 1),
        (3, 240, 80, False, True, 2),
        (3, 200, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 480, 112, True, True, 1),
        (3, 672, 112, True, True, 1),
        (5, 672, 160, True, True, 2),
        (5, 960, 160, True, True, 1),
        (5, 960, 160, True, True, 1),
    ),
}
_HIDDEN = {"small": 1024, "large": 1280}


class MobileNetV3(nnx.Module):
    """Width 1.

    Args:
      size: "small" or "large".
      outputs: Number of classes.
      epsilon: Of batch normalisation; 1e-5 where timm trained it.
      rngs: For random parameters.
    """

    def __init__(
        self,
        size: str,
        outputs: int = 1000,
        *,
        epsilon: float = 1e-3,
        rngs: nnx.Rngs,
    ) -> None:
        swish = {"epsilon": epsilon, "activation": jax.nn.hard_swish, "rngs": rngs}
        features: list[nnx.Module] = [inverted.unit(3, 16, 3, stride=2, **swish)]
        channels = 16
        for kernel, expanded, width, squeezed, hard, stride in _BLOCKS[size]:
            shape = inverted.Shape(
                inputs=channels,
                expanded=expanded,
                outputs=width,
                kernel=kernel,
                stride=stride,
                squeezed=inverted.divisible(expanded // 4) if squeezed else 0,
            )
            features.append(
                inverted.InvertedResidual(
                    shape,
                    activation=jax.nn.hard_swish if hard else jax.nn.relu,
                    squeeze=jax.nn.relu,
                    gate=jax.nn.hard_sigmoid,
                    epsilon=epsilon,
                    rngs=rngs,
                )
            )
            channels = width
        features.append(inverted.unit(channels, 6 * channels, 1, **swish))
        self.features = layers.sequential(*features)
        self.classifier = layers.Sequential(
            {
                0: layers.linear(6 * channels, _HIDDEN[size], rngs=rngs),
                1: layers.Activation(jax.nn.hard_swish),
                3: layers.linear(_HIDDEN[size], outputs, rngs=rngs),
            }
        )

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        return self.classifier(layers.spatial_mean(self.features(x)))
