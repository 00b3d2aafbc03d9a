"""The last layer of a network of the zoo: which it is, and one for other classes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxcam._types import Array, PyTree
from jaxcam.models.zoo import layers

Path = tuple[Any, ...]


def find(structure: Any, params: PyTree, size: tuple[int, int]) -> Path:
    """Where the layer stands that has a channel for each output of the network.

    Args:
      structure: Of the network, as `nnx.split` gives it.
      params: Its parameters, or their shapes.
      size: Rows and columns of its input.

    Raises:
      ValueError: There is no such layer, or there are several as good.
    """

    def run(params, x):
        module = nnx.merge(structure, params, copy=True)
        module.eval()
        return module(x)

    x = jax.ShapeDtypeStruct((1, *size, 3), np.float32)
    outputs = jax.eval_shape(run, params, x).shape[1]
    fitting = [
        key[:-1]
        for key, leaf in nnx.to_flat_state(params)
        if key[-1] == "kernel" and leaf.get_value().shape[-1] == outputs
    ]
    shallowest = min(map(len, fitting), default=0)
    found = [path for path in fitting if len(path) == shallowest]
    if len(found) != 1:
        names = [".".join(map(str, path)) for path in found]
        raise ValueError(
            f"The network's last layer cannot be told: {outputs} outputs are those of "
            f"{' and '.join(names) or 'no layer'}."
        )
    return found[0]


def at(module: nnx.Module, path: Path) -> Any:
    """The submodule at a path."""
    return functools.reduce(lambda inner, name: getattr(inner, str(name)), path, module)


def tap(
    module: nnx.Module, path: Path, wrapped: Callable[[Any], Callable[[Array], Array]]
) -> None:
    """Puts a function of the layer at a path in its place; changes the module."""
    inner = at(module, path)
    setattr(at(module, path[:-1]), str(path[-1]), layers.Activation(wrapped(inner)))


def replace(
    module: nnx.Module, path: Path, outputs: int, *, rng: np.random.Generator
) -> None:
    """Gives the layer at a path other outputs, with small random weights.

    Zeros would not do: behind a rectifier they have no gradient.

    Args:
      module: The network; changed in place.
      path: See `find`.
      outputs: Number of outputs.
      rng: Draws the weights.
    """
    head = at(module, path)
    shape = (*head.kernel[...].shape[:-1], outputs)
    scale = np.sqrt(1.0 / np.prod(shape[:-1]))
    drawn = rng.normal(0, scale, shape).astype(np.float32)
    head.kernel = nnx.Param(jax.numpy.asarray(drawn))
    if head.bias is not None:
        head.bias = nnx.Param(jax.numpy.zeros(outputs, np.float32))
    head.out_features = outputs
    if isinstance(head, nnx.Conv):
        head.kernel_shape = shape
