"""Xception (Chollet 2016, arXiv:1610.02357), as timm names it."""

from __future__ import annotations

import itertools

from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers


def separable(inputs: int, outputs: int, *, rngs: nnx.Rngs) -> layers.Sequential:
    """3 x 3 within each channel, then 1 x 1 across them, nothing in between."""
    return layers.Sequential(
        {
            "conv1": layers.conv(inputs, inputs, 3, groups=inputs, rngs=rngs),
            "pointwise": layers.conv(inputs, outputs, 1, rngs=rngs),
        }
    )


class Block(nnx.Module):
    """Separable convolutions, a pooling where it strides, and a shortcut.

    Args:
      widths: Channels before, between and after the separable convolutions.
      stride: 1 or 2.
      rectified: Whether a rectifier comes first.
      rngs: For random parameters.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        stride: int,
        *,
        rectified: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        parts: list[nnx.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            parts += [
                layers.relu(),
                separable(inputs, outputs, rngs=rngs),
                layers.batch_norm(outputs, rngs=rngs),
            ]
        parts = parts if rectified else parts[1:]
        if stride != 1:
            parts.append(layers.MaxPool(3, stride, 1))
        self.rep = layers.sequential(*parts)
        self.projected = stride != 1 or widths[0] != widths[-1]
        if self.projected:
            self.skip = layers.conv(widths[0], widths[-1], 1, stride=stride, rngs=rngs)
            self.skipbn = layers.batch_norm(widths[-1], rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, widths[-1]]."""
        shortcut = self.skipbn(self.skip(x)) if self.projected else x
        return self.rep(x) + shortcut


_MIDDLE = (728, 728, 728, 728)
_WIDTHS = (
    (64, 128, 128),
    (128, 256, 256),
    (256, 728, 728),
    *((_MIDDLE,) * 8),
    (728, 728, 1024),
)


class Xception(nnx.Module):
    """Entry, middle and exit flow: twelve blocks between four convolutions."""

    def __init__(self, outputs: int = 1000, *, rngs: nnx.Rngs) -> None:
        self.conv1 = layers.conv(3, 32, 3, stride=2, padding=0, rngs=rngs)
        self.conv2 = layers.conv(32, 64, 3, padding=0, rngs=rngs)
        for number, widths in enumerate(_WIDTHS, 1):
            stride = 1 if widths is _MIDDLE else 2
            block = Block(widths, stride, rectified=number > 1, rngs=rngs)
            setattr(self, f"block{number}", block)
        self.conv3 = separable(1024, 1536, rngs=rngs)
        self.conv4 = separable(1536, 2048, rngs=rngs)
        for number, width in enumerate((32, 64, 1536, 2048), 1):
            setattr(self, f"bn{number}", layers.batch_norm(width, rngs=rngs))
            setattr(self, f"act{number}", layers.relu())
        self.fc = layers.linear(2048, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.act2(self.bn2(self.conv2(x)))
        for number in range(1, len(_WIDTHS) + 1):
            x = getattr(self, f"block{number}")(x)
        x = self.act3(self.bn3(self.conv3(x)))
        x = self.act4(self.bn4(self.conv4(x)))
        return self.fc(layers.spatial_mean(x))
