"""Building blocks of the zoo."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcam._types import Array


def conv(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int | str | None = None,
    bias: bool = False,
    groups: int = 1,
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """A square convolution; padded by half its kernel on both sides, as torch does.

    `padding` is a number of pixels, or "SAME" as TensorFlow has it.
    """
    if padding is None:
        padding = kernel // 2
    if not isinstance(padding, str):
        padding = [(padding, padding)] * 2
    kind = DepthwiseConv if groups == inputs == outputs and groups > 1 else nnx.Conv
    return kind(
        inputs,
        outputs,
        (kernel, kernel),
        strides=stride,
        padding=padding,
        use_bias=bias,
        feature_group_count=groups,
        rngs=rngs,
    )


class DepthwiseConv(nnx.Conv):
    """A convolution of each channel on its own.

    On CPU it is written as a sum of shifted products: XLA's grouped convolution is ten
    to forty times slower there. Elsewhere it is the grouped convolution.
    """

    def __call__(self, inputs: Array) -> Array:
        """float[B, h, w, C]."""
        if jax.default_backend() != "cpu":
            return super().__call__(inputs)
        kernel = self.kernel[...]
        rows, columns = kernel.shape[:2]
        stride = self.strides
        stride = (stride, stride) if isinstance(stride, int) else tuple(stride)
        pads = self.padding
        if isinstance(pads, str):
            pads = jax.lax.padtype_to_pads(
                inputs.shape[1:3], (rows, columns), stride, pads
            )
        padded = jnp.pad(inputs, ((0, 0), *map(tuple, pads), (0, 0)))
        height = (padded.shape[1] - rows) // stride[0] + 1
        width = (padded.shape[2] - columns) // stride[1] + 1
        total = 0.0
        for y in range(rows):
            for x in range(columns):
                shifted = padded[
                    :,
                    y : y + (height - 1) * stride[0] + 1 : stride[0],
                    x : x + (width - 1) * stride[1] + 1 : stride[1],
                ]
                total = total + shifted * kernel[y, x, 0]
        return total if self.bias is None else total + self.bias[...]


class Activation(nnx.Module):
    """A function with a place in the tree of modules, so that it can be tapped."""

    def __init__(self, fn: Callable[[Array], Array]) -> None:
        self.fn = fn

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, C]."""
        return self.fn(x)


class MaxPool(nnx.Module):
    """Maxima of square windows, padded with minus infinity."""

    def __init__(
        self, kernel: int, stride: int, padding: int | str = 0, *, ceil: bool = False
    ) -> None:
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.ceil = ceil

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, C]."""
        pads = self.padding
        if not isinstance(pads, str):
            pads = [
                (pads, pads + (self._extra(n + 2 * pads) if self.ceil else 0))
                for n in x.shape[1:3]
            ]
        window = (self.kernel, self.kernel)
        return nnx.max_pool(x, window, (self.stride, self.stride), pads)

    def _extra(self, length: int) -> int:
        """Rows to add so that the last, incomplete window counts."""
        return -(length - self.kernel) % self.stride


class Sequential(nnx.Module):
    """Modules one after another, named by their positions as in torch."""

    def __init__(self, modules: dict[int, nnx.Module]) -> None:
        self.order = tuple(modules)
        for position, module in modules.items():
            setattr(self, str(position), module)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, C]."""
        for position in self.order:
            x = getattr(self, str(position))(x)
        return x


def sequential(*modules: nnx.Module) -> Sequential:
    """Modules one after another, numbered from zero."""
    return Sequential(dict(enumerate(modules)))


def relu() -> Activation:
    """A tappable rectifier."""
    return Activation(jax.nn.relu)


def relu6() -> Activation:
    """A tappable rectifier that saturates at six."""
    return Activation(jax.nn.relu6)


def batch_norm(
    channels: int, *, epsilon: float = 1e-5, rngs: nnx.Rngs
) -> nnx.BatchNorm:
    """Batch normalisation with torch's constants."""
    return nnx.BatchNorm(channels, epsilon=epsilon, momentum=0.9, rngs=rngs)


def spatial_mean(x: Array) -> Array:
    """Global average pooling: float[B, C]."""
    return jnp.mean(x, axis=(1, 2))
