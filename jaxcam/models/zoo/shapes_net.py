"""The small net shipped with jaxcam: four convolutions, pooling, one linear map."""

from __future__ import annotations

from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers

WIDTHS = (16, 32, 48, 64)


class ShapesNet(nnx.Module):
    """For procedural images of 64 x 64: a last feature map of 16 x 16."""

    def __init__(self, outputs: int = 8, *, rngs: nnx.Rngs) -> None:
        features: list[nnx.Module] = []
        channels = 3
        for number, width in enumerate(WIDTHS):
            features += [
                layers.conv(channels, width, 3, rngs=rngs),
                layers.batch_norm(width, rngs=rngs),
                layers.relu(),
            ]
            if number < 2:
                features.append(layers.MaxPool(2, 2))
            channels = width
        self.features = layers.sequential(*features)
        self.fc = nnx.Linear(channels, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        return self.fc(layers.spatial_mean(self.features(x)))
