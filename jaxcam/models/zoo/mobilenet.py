"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381), as torchvision names it."""

from __future__ import annotations

from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers

# Expansion, channels, blocks, first stride of each stage.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nnx.Module):
    """Expand, filter each channel, project; added to the input where shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, expansion: int, *, unit
    ) -> None:
        hidden = inputs * expansion
        parts = [] if expansion == 1 else [unit(inputs, hidden, 1)]
        parts.append(unit(hidden, hidden, 3, stride=stride, groups=hidden))
        parts.extend(unit(hidden, outputs, 1, activate=False, flat=True))
        self.conv = layers.sequential(*parts)
        self.added = stride == 1 and inputs == outputs

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, outputs]."""
        return x + self.conv(x) if self.added else self.conv(x)


class MobileNetV2(nnx.Module):
    """Width 1.

    Args:
      outputs: Number of classes.
      folded: Convolutions with biases and no batch normalisation: the form of weights
        whose normalisation has been folded in.
      same: Pads as TensorFlow does, one pixel more at the bottom and right.
      rngs: For random parameters.
    """

    def __init__(
        self,
        outputs: int = 1000,
        *,
        folded: bool = False,
        same: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        def unit(
            inputs: int,
            outputs: int,
            kernel: int,
            *,
            stride: int = 1,
            groups: int = 1,
            activate: bool = True,
            flat: bool = False,
        ):
            parts: list[nnx.Module] = [
                layers.conv(
                    inputs,
                    outputs,
                    kernel,
                    stride=stride,
                    padding="SAME" if same else None,
                    groups=groups,
                    bias=folded,
                    rngs=rngs,
                )
            ]
            if not folded:
                parts.append(layers.batch_norm(outputs, rngs=rngs))
            if flat:
                return parts
            numbered = dict(enumerate(parts))
            if activate:
                numbered[2] = layers.relu6()
            return layers.Sequential(numbered)

        features: list[nnx.Module] = [unit(3, 32, 3, stride=2)]
        channels = 32
        for expansion, width, blocks, first_stride in _STAGES:
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                features.append(
                    InvertedResidual(channels, width, stride, expansion, unit=unit)
                )
                channels = width
        features.append(unit(channels, 1280, 1))
        self.features = layers.sequential(*features)
        self.classifier = layers.Sequential({1: nnx.Linear(1280, outputs, rngs=rngs)})

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        return self.classifier(layers.spatial_mean(self.features(x)))
