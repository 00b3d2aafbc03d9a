"""Building blocks of the zoo."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcam._types import Array


def conv(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    padding: int | str | None = None,
    bias: bool = False,
    groups: int = 1,
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """A convolution; padded by half its kernel on both sides, as torch does.

    `kernel` is its side, or rows and columns; `padding` is a number of pixels, or
    "SAME" as TensorFlow has it.
    """
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    if padding is None:
        padding = [(side // 2, side // 2) for side in kernel]
    elif not isinstance(padding, str):
        padding = [(padding, padding)] * 2
    kind = DepthwiseConv if groups == inputs == outputs and groups > 1 else nnx.Conv
    return kind(
        inputs,
        outputs,
        kernel,
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


class AveragePool(nnx.Module):
    """Means of square windows; zeros of the padding count, as torch has it."""

    def __init__(self, kernel: int, stride: int, padding: int = 0) -> None:
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, C]."""
        window, stride = (self.kernel, self.kernel), (self.stride, self.stride)
        return nnx.avg_pool(x, window, stride, [(self.padding, self.padding)] * 2)


class Sequential(nnx.Module):
    """Modules one after another, named as in torch: by positions, or by words."""

    def __init__(self, modules: Mapping[int | str, nnx.Module]) -> None:
        self.order = tuple(map(str, modules))
        for name, module in modules.items():
            setattr(self, str(name), module)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, C]."""
        for name in self.order:
            x = getattr(self, name)(x)
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


def layer_norm(
    channels: int, *, epsilon: float = 1e-6, rngs: nnx.Rngs
) -> nnx.LayerNorm:
    """Normalisation of the channels of each place, in two passes as torch has it."""
    return nnx.LayerNorm(channels, epsilon=epsilon, use_fast_variance=False, rngs=rngs)


def linear(inputs: int, outputs: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    """A linear map of the channels, with a bias."""
    return nnx.Linear(inputs, outputs, rngs=rngs)


def gelu() -> Activation:
    """A tappable Gaussian error linear unit, by the error function itself."""
    return Activation(_gelu)


def _gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


def adaptive_mean(x: Array, side: int) -> Array:
    """float[B, side, side, C]: means of windows that cover the map, as torch has it.

    Window `i` of `n` over a length `L` runs from `floor(i L / n)` to
    `ceil((i + 1) L / n)`.
    """

    def windows(length: int) -> Array:
        at = np.arange(length)
        starts = np.arange(side)[:, None] * length // side
        stops = -(-(np.arange(side)[:, None] + 1) * length // side)
        inside = (at >= starts) & (at < stops)
        return jnp.asarray(inside / inside.sum(1, keepdims=True), x.dtype)

    if x.shape[1:3] == (side, side):
        return x
    rows, columns = windows(x.shape[1]), windows(x.shape[2])
    return jnp.einsum("ih,bhwc,jw->bijc", rows, x, columns, precision="highest")


def spatial_mean(x: Array) -> Array:
    """Global average pooling: float[B, C]."""
    return jnp.mean(x, axis=(1, 2))
