"""VGG networks (Simonyan & Zisserman 2014, arXiv:1409.1556), by torchvision."""

from __future__ import annotations

from collections.abc import Sequence

from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers

_WIDTHS = (64, 128, 256, 512, 512)


class VGG(nnx.Module):
    """Five stages of 3 x 3 convolutions, each with a pooling at its end.

    Args:
      depths: Convolutions in each stage.
      outputs: Number of classes.
      normalized: Batch normalisation after each convolution.
      rngs: For random parameters.
    """

    def __init__(
        self,
        depths: Sequence[int],
        outputs: int = 1000,
        *,
        normalized: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        parts: list[nnx.Module] = []
        channels = 3
        for width, depth in zip(_WIDTHS, depths, strict=True):
            for _ in range(depth):
                parts.append(layers.conv(channels, width, 3, bias=True, rngs=rngs))
                if normalized:
                    parts.append(layers.batch_norm(width, rngs=rngs))
                parts.append(layers.relu())
                channels = width
            parts.append(layers.MaxPool(2, 2))
        self.features = layers.sequential(*parts)
        self.classifier = layers.Sequential(
            {
                0: layers.linear(channels * 7 * 7, 4096, rngs=rngs),
                1: layers.relu(),
                3: layers.linear(4096, 4096, rngs=rngs),
                4: layers.relu(),
                6: layers.linear(4096, outputs, rngs=rngs),
            }
        )

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        x = layers.adaptive_mean(self.features(x), 7)
        # The first linear map reads channel after channel.
        return self.classifier(x.transpose(0, 3, 1, 2).reshape(len(x), -1))
