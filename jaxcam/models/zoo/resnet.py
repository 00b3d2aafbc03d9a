"""Residual networks (He et al. 2016, arXiv:1512.03385), as torchvision names them."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers


class BasicBlock(nnx.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    expansion = 1

    def __init__(
        self, inputs: int, width: int, stride: int, shortcut: str, *, rngs: nnx.Rngs
    ) -> None:
        self.conv1 = layers.conv(inputs, width, 3, stride=stride, rngs=rngs)
        self.bn1 = layers.batch_norm(width, rngs=rngs)
        self.conv2 = layers.conv(width, width, 3, rngs=rngs)
        self.bn2 = layers.batch_norm(width, rngs=rngs)
        self.downsample = _downsample(inputs, width, stride, shortcut, rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, width]."""
        out = jax.nn.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return jax.nn.relu(out + self.downsample(x))


class Bottleneck(nnx.Module):
    """1 x 1, 3 x 3 (which strides), 1 x 1, and a shortcut."""

    expansion = 4

    def __init__(
        self, inputs: int, width: int, stride: int, shortcut: str, *, rngs: nnx.Rngs
    ) -> None:
        outputs = width * self.expansion
        self.conv1 = layers.conv(inputs, width, 1, rngs=rngs)
        self.bn1 = layers.batch_norm(width, rngs=rngs)
        self.conv2 = layers.conv(width, width, 3, stride=stride, rngs=rngs)
        self.bn2 = layers.batch_norm(width, rngs=rngs)
        self.conv3 = layers.conv(width, outputs, 1, rngs=rngs)
        self.bn3 = layers.batch_norm(outputs, rngs=rngs)
        self.downsample = _downsample(inputs, outputs, stride, shortcut, rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, 4 * width]."""
        out = jax.nn.relu(self.bn1(self.conv1(x)))
        out = jax.nn.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return jax.nn.relu(out + self.downsample(x))


class PaddedShortcut(nnx.Module):
    """Every second pixel, missing channels zero on both sides (option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        self.missing = outputs - inputs
        self.stride = stride

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, outputs]."""
        x = x[:, :: self.stride, :: self.stride]
        half = self.missing // 2
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (half, self.missing - half)))


def _downsample(
    inputs: int, outputs: int, stride: int, shortcut: str, rngs: nnx.Rngs
) -> nnx.Module:
    if stride == 1 and inputs == outputs:
        return layers.Activation(_identity)
    if shortcut == "padded":
        return PaddedShortcut(inputs, outputs, stride)
    return layers.sequential(
        layers.conv(inputs, outputs, 1, stride=stride, rngs=rngs),
        layers.batch_norm(outputs, rngs=rngs),
    )


def _identity(x: Array) -> Array:
    return x


def _stage(
    block: type, inputs: int, width: int, depth: int, stride: int, shortcut: str, rngs
) -> layers.Sequential:
    blocks = []
    for number in range(depth):
        first = number == 0
        blocks.append(block(inputs, width, stride if first else 1, shortcut, rngs=rngs))
        inputs = width * block.expansion
    return layers.sequential(*blocks)


class ResNet(nnx.Module):
    """The ImageNet form: a 7 x 7 stem and four stages."""

    def __init__(
        self, block: type, depths: Sequence[int], outputs: int = 1000, *, rngs: nnx.Rngs
    ) -> None:
        self.conv1 = layers.conv(3, 64, 7, stride=2, rngs=rngs)
        self.bn1 = layers.batch_norm(64, rngs=rngs)
        self.relu = layers.relu()
        self.maxpool = layers.MaxPool(3, 2, 1)
        inputs = 64
        for number, depth in enumerate(depths):
            width, stride = 64 * 2**number, 1 if number == 0 else 2
            stage = _stage(block, inputs, width, depth, stride, "projected", rngs)
            setattr(self, f"layer{number + 1}", stage)
            inputs = width * block.expansion
        self.fc = nnx.Linear(inputs, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(layers.spatial_mean(x))


class CifarResNet(nnx.Module):
    """The CIFAR form: a 3 x 3 stem and three stages of `depth` blocks each."""

    def __init__(self, depth: int, outputs: int = 10, *, rngs: nnx.Rngs) -> None:
        self.conv1 = layers.conv(3, 16, 3, rngs=rngs)
        self.bn1 = layers.batch_norm(16, rngs=rngs)
        self.relu = layers.relu()
        self.layer1 = _stage(BasicBlock, 16, 16, depth, 1, "padded", rngs)
        self.layer2 = _stage(BasicBlock, 16, 32, depth, 2, "padded", rngs)
        self.layer3 = _stage(BasicBlock, 32, 64, depth, 2, "padded", rngs)
        self.linear = nnx.Linear(64, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(layers.spatial_mean(x))
