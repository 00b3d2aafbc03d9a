"""Inception v3 (Szegedy et al. 2015, arXiv:1512.00567), as torchvision names it.

Without the auxiliary classifier, which only training reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers


class Unit(nnx.Module):
    """Convolution, batch normalisation, rectifier."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv = layers.conv(
            inputs, outputs, kernel, stride=stride, padding=padding, rngs=rngs
        )
        self.bn = layers.batch_norm(outputs, epsilon=1e-3, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, outputs]."""
        return jax.nn.relu(self.bn(self.conv(x)))


# A step of a branch: its name, channels and kernel; several steps at once split it.
Step = tuple[str, int, int | tuple[int, int]]
Branch = Sequence[Step | tuple[Step, ...]]

_SLIM, _TALL = (1, 7), (7, 1)


class Mixed(nnx.Module):
    """Branches side by side, the last behind a pooling.

    Args:
      inputs: Channels that come in.
      branches: Steps of each.
      pooled: Channels of a convolution behind a mean pooling; zero strides: each
        branch ends in a stride of 2, and a max pooling stands alone.
      rngs: For random parameters.
    """

    def __init__(
        self, inputs: int, branches: Sequence[Branch], pooled: int, *, rngs: nnx.Rngs
    ) -> None:
        self.branches = tuple(
            tuple(_names(step) for step in branch) for branch in branches
        )
        self.pooled = pooled > 0
        for branch in branches:
            channels = inputs
            for number, step in enumerate(branch):
                strides = not self.pooled and number == len(branch) - 1
                parts = step if isinstance(step[0], tuple) else (step,)
                for name, width, kernel in parts:
                    unit = Unit(
                        channels,
                        width,
                        kernel,
                        stride=2 if strides else 1,
                        padding=0 if strides else None,
                        rngs=rngs,
                    )
                    setattr(self, name, unit)
                channels = parts[-1][1]
        if self.pooled:
            self.pool = layers.AveragePool(3, 1, 1)
            self.branch_pool = Unit(inputs, pooled, 1, rngs=rngs)
        else:
            self.pool = layers.MaxPool(3, 2)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, C], the branches' channels one after another."""
        outs = [self._run(branch, x) for branch in self.branches]
        last = self.pool(x)
        outs.append(self.branch_pool(last) if self.pooled else last)
        return jnp.concatenate(outs, axis=-1)

    def _run(self, branch: tuple[tuple[str, ...], ...], x: Array) -> Array:
        for names in branch:
            x = jnp.concatenate([getattr(self, name)(x) for name in names], axis=-1)
        return x


def _names(step: Step | tuple[Step, ...]) -> tuple[str, ...]:
    return tuple(s[0] for s in step) if isinstance(step[0], tuple) else (step[0],)


def _a(inputs: int, pooled: int, rngs: nnx.Rngs) -> Mixed:
    branches = (
        (("branch1x1", 64, 1),),
        (("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
        (
            ("branch3x3dbl_1", 64, 1),
            ("branch3x3dbl_2", 96, 3),
            ("branch3x3dbl_3", 96, 3),
        ),
    )
    return Mixed(inputs, branches, pooled, rngs=rngs)


def _b(inputs: int, rngs: nnx.Rngs) -> Mixed:
    branches = (
        (("branch3x3", 384, 3),),
        (
            ("branch3x3dbl_1", 64, 1),
            ("branch3x3dbl_2", 96, 3),
            ("branch3x3dbl_3", 96, 3),
        ),
    )
    return Mixed(inputs, branches, 0, rngs=rngs)


def _c(inputs: int, width: int, rngs: nnx.Rngs) -> Mixed:
    branches = (
        (("branch1x1", 192, 1),),
        (
            ("branch7x7_1", width, 1),
            ("branch7x7_2", width, _SLIM),
            ("branch7x7_3", 192, _TALL),
        ),
        (
            ("branch7x7dbl_1", width, 1),
            ("branch7x7dbl_2", width, _TALL),
            ("branch7x7dbl_3", width, _SLIM),
            ("branch7x7dbl_4", width, _TALL),
            ("branch7x7dbl_5", 192, _SLIM),
        ),
    )
    return Mixed(inputs, branches, 192, rngs=rngs)


def _d(inputs: int, rngs: nnx.Rngs) -> Mixed:
    branches = (
        (("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)),
        (
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, _SLIM),
            ("branch7x7x3_3", 192, _TALL),
            ("branch7x7x3_4", 192, 3),
        ),
    )
    return Mixed(inputs, branches, 0, rngs=rngs)


def _e(inputs: int, rngs: nnx.Rngs) -> Mixed:
    branches = (
        (("branch1x1", 320, 1),),
        (
            ("branch3x3_1", 384, 1),
            (("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))),
        ),
        (
            ("branch3x3dbl_1", 448, 1),
            ("branch3x3dbl_2", 384, 3),
            (("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))),
        ),
    )
    return Mixed(inputs, branches, 192, rngs=rngs)


class InceptionV3(nnx.Module):
    """For images of 299 x 299 with values in [-1, 1]."""

    def __init__(self, outputs: int = 1000, *, rngs: nnx.Rngs) -> None:
        self.Conv2d_1a_3x3 = Unit(3, 32, 3, stride=2, padding=0, rngs=rngs)
        self.Conv2d_2a_3x3 = Unit(32, 32, 3, padding=0, rngs=rngs)
        self.Conv2d_2b_3x3 = Unit(32, 64, 3, rngs=rngs)
        self.maxpool1 = layers.MaxPool(3, 2)
        self.Conv2d_3b_1x1 = Unit(64, 80, 1, rngs=rngs)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3, padding=0, rngs=rngs)
        self.maxpool2 = layers.MaxPool(3, 2)
        self.Mixed_5b = _a(192, 32, rngs)
        self.Mixed_5c = _a(256, 64, rngs)
        self.Mixed_5d = _a(288, 64, rngs)
        self.Mixed_6a = _b(288, rngs)
        self.Mixed_6b = _c(768, 128, rngs)
        self.Mixed_6c = _c(768, 160, rngs)
        self.Mixed_6d = _c(768, 160, rngs)
        self.Mixed_6e = _c(768, 192, rngs)
        self.Mixed_7a = _d(768, rngs)
        self.Mixed_7b = _e(1280, rngs)
        self.Mixed_7c = _e(2048, rngs)
        self.fc = layers.linear(2048, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.maxpool1(x)
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        x = self.Mixed_6e(self.Mixed_6d(x))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return self.fc(layers.spatial_mean(x))
