"""Inverted residuals with squeeze and excitation, as torchvision names their parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers

Function = Callable[[Array], Array]


class SqueezeExcitation(nnx.Module):
    """Channels weighted by what their means say (Hu et al. 2017, arXiv:1709.01507)."""

    def __init__(
        self,
        channels: int,
        squeezed: int,
        activation: Function,
        gate: Function,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.fc1 = layers.conv(channels, squeezed, 1, bias=True, rngs=rngs)
        self.fc2 = layers.conv(squeezed, channels, 1, bias=True, rngs=rngs)
        self.activation, self.gate = activation, gate

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, channels]."""
        mean = jnp.mean(x, axis=(1, 2), keepdims=True)
        return x * self.gate(self.fc2(self.activation(self.fc1(mean))))


def unit(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    epsilon: float = 1e-5,
    activation: Function | None = None,
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """Convolution, batch normalisation and, if there is one, an activation."""
    parts = [
        layers.conv(inputs, outputs, kernel, stride=stride, groups=groups, rngs=rngs),
        layers.batch_norm(outputs, epsilon=epsilon, rngs=rngs),
    ]
    if activation is not None:
        parts.append(layers.Activation(activation))
    return layers.sequential(*parts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """One block.

    Attributes:
      inputs: Channels that come in.
      expanded: Channels of the depthwise convolution.
      outputs: Channels that go out.
      kernel: Side of the depthwise convolution.
      stride: Its stride.
      squeezed: Channels of the squeeze; zero leaves it out.
    """

    inputs: int
    expanded: int
    outputs: int
    kernel: int
    stride: int
    squeezed: int = 0


class InvertedResidual(nnx.Module):
    """Expand, filter each channel, weight channels, project; added where shapes agree.

    Args:
      shape: Its channels and strides.
      activation: After the first two convolutions.
      squeeze: Inside of squeeze and excitation.
      gate: At its end.
      epsilon: Of batch normalisation.
      rngs: For random parameters.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        activation: Function,
        squeeze: Function,
        gate: Function,
        epsilon: float = 1e-5,
        rngs: nnx.Rngs,
    ) -> None:
        inner = shape.expanded
        common = {"epsilon": epsilon, "rngs": rngs}
        parts: list[nnx.Module] = []
        if inner != shape.inputs:
            parts.append(unit(shape.inputs, inner, 1, activation=activation, **common))
        parts.append(
            unit(
                inner,
                inner,
                shape.kernel,
                stride=shape.stride,
                groups=inner,
                activation=activation,
                **common,
            )
        )
        if shape.squeezed:
            parts.append(
                SqueezeExcitation(inner, shape.squeezed, squeeze, gate, rngs=rngs)
            )
        parts.append(unit(inner, shape.outputs, 1, **common))
        self.block = layers.sequential(*parts)
        self.added = shape.stride == 1 and shape.inputs == shape.outputs

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, outputs]."""
        return x + self.block(x) if self.added else self.block(x)


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of `by`, the next one if that loses over a tenth."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded if rounded >= 0.9 * channels else rounded + by
