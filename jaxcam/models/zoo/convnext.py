"""ConvNeXt (Liu et al. 2022, arXiv:2201.03545), as torchvision names it."""

from __future__ import annotations

from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers

_DEPTHS = (3, 3, 9, 3)
_WIDTHS = (96, 192, 384, 768)


class LayerScale(nnx.Module):
    """Each channel times a number."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        ones = nnx.initializers.ones_init()
        self.scale = nnx.Param(ones(rngs.params(), (channels,)))

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, channels]."""
        return x * self.scale[...]


class Block(nnx.Module):
    """7 x 7 within each channel, then two linear maps at each place."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        self.block = layers.Sequential(
            {
                0: layers.conv(
                    channels, channels, 7, groups=channels, bias=True, rngs=rngs
                ),
                2: layers.layer_norm(channels, rngs=rngs),
                3: layers.linear(channels, 4 * channels, rngs=rngs),
                4: layers.gelu(),
                5: layers.linear(4 * channels, channels, rngs=rngs),
            }
        )
        self.layer_scale = LayerScale(channels, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, channels]."""
        return x + self.layer_scale(self.block(x))


class ConvNeXt(nnx.Module):
    """The tiny one."""

    def __init__(self, outputs: int = 1000, *, rngs: nnx.Rngs) -> None:
        def patches(inputs: int, outputs: int, side: int) -> nnx.Conv:
            return layers.conv(
                inputs, outputs, side, stride=side, padding=0, bias=True, rngs=rngs
            )

        def norm(channels: int) -> nnx.LayerNorm:
            return layers.layer_norm(channels, rngs=rngs)

        channels = _WIDTHS[0]
        features: list[nnx.Module] = [
            layers.sequential(patches(3, channels, 4), norm(channels))
        ]
        for width, depth in zip(_WIDTHS, _DEPTHS, strict=True):
            if width != channels:
                features.append(
                    layers.sequential(norm(channels), patches(channels, width, 2))
                )
            blocks = [Block(width, rngs=rngs) for _ in range(depth)]
            features.append(layers.sequential(*blocks))
            channels = width
        self.features = layers.sequential(*features)
        self.classifier = layers.Sequential(
            {0: norm(channels), 2: layers.linear(channels, outputs, rngs=rngs)}
        )

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        return self.classifier(layers.spatial_mean(self.features(x)))
