"""What does a network's forward pass cost on CPU, and which ways to write it pay?

    JAXCAM_BENCH_CORES=2 python -m benchmarks.bench_zoo

For every network of the catalogue: as it is; with batch normalisation folded into the
kernels before it; with XLA's grouped convolution in place of shifted products. For the
first convolutions, alone: channels last and first, channels filled up, and one product
of gathered columns.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it pins the process before JAX starts.

# isort: on
import argparse
import functools
import json
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcam import _compiling, models
from jaxcam._types import Array
from jaxcam.models import catalogue
from jaxcam.models.zoo import layers

BATCH, ROUNDS = 8, 7
STEMS = {"7 x 7 stride 2": (7, 2, 64), "3 x 3 stride 2": (3, 2, 32)}


class Shift(nnx.Module):
    """What is left of batch normalisation when its scale is in the kernel before."""

    def __init__(self, offset: Array) -> None:
        self.offset = nnx.Param(offset)

    def __call__(self, x: Array) -> Array:
        """float[B, h, w, C]."""
        return x + self.offset[...]


def module_of(name: str) -> nnx.Module:
    """A network with random weights and random statistics, in evaluation mode."""
    made = models.load(name, weights="random")
    module = nnx.eval_shape(lambda: catalogue.ROWS[name].build(nnx.Rngs(0)))
    module = nnx.merge(nnx.graphdef(module), made.params)
    rng = np.random.default_rng(0)
    for _, part in list(nnx.iter_modules(module)):
        if isinstance(part, nnx.BatchNorm):
            shape = part.mean[...].shape
            part.mean[...] = jnp.asarray(rng.normal(0, 0.1, shape), jnp.float32)
            part.var[...] = jnp.asarray(rng.uniform(0.5, 1.5, shape), jnp.float32)
    module.eval()
    return module


def pairs(module: nnx.Module, x: Array) -> list[tuple[str, str]]:
    """Paths of convolutions and of the normalisations that read nothing else."""
    outputs: dict[int, str] = {}
    kept: list[Any] = []
    found: list[tuple[str, str]] = []
    names = {id(part): path for path, part in nnx.iter_modules(module)}

    def watched(kind: type) -> Callable[..., Array]:
        call = kind.__call__

        @functools.wraps(call)
        def inner(self, inputs, *args, **kwargs):
            out = call(self, inputs, *args, **kwargs)
            path = names.get(id(self))
            if kind is nnx.BatchNorm and id(inputs) in outputs:
                found.append((outputs[id(inputs)], path))
            elif kind is not nnx.BatchNorm:
                outputs[id(out)] = path
            kept.append(out)  # An identity is not given out twice.
            return out

        return inner

    kinds = (nnx.Conv, layers.DepthwiseConv, nnx.BatchNorm)
    before = {kind: kind.__call__ for kind in kinds}
    for kind in kinds:
        kind.__call__ = watched(kind)
    try:
        jax.make_jaxpr(lambda x: module(x))(x)
    finally:
        for kind, call in before.items():
            kind.__call__ = call
    return found


def at(module: Any, path: tuple[Any, ...]) -> Any:
    return functools.reduce(lambda part, name: getattr(part, str(name)), path, module)


def fold(module: nnx.Module, x: Array) -> int:
    """Folds every normalisation behind a convolution into it; how many there were."""
    found = pairs(module, x)
    for conv_path, norm_path in found:
        conv, norm = at(module, conv_path), at(module, norm_path)
        scale = norm.scale[...] / jnp.sqrt(norm.var[...] + norm.epsilon)
        offset = norm.bias[...] - norm.mean[...] * scale
        if conv.bias is not None:
            offset = offset + conv.bias[...] * (scale - 1.0)
        conv.kernel[...] = conv.kernel[...] * scale
        setattr(at(module, norm_path[:-1]), str(norm_path[-1]), Shift(offset))
    return len(found)


def group(module: nnx.Module) -> int:
    """Puts XLA's grouped convolution in place; how many there were."""
    found = [m for _, m in nnx.iter_modules(module) if type(m) is layers.DepthwiseConv]
    for part in found:
        part.__class__ = nnx.Conv
    return len(found)


def program(module: nnx.Module, x: Array) -> Callable[[], Array]:
    structure, params = nnx.split(module)
    run = _compiling.jit_network(lambda params, x: nnx.merge(structure, params)(x))
    return functools.partial(run, params, x)


def timed(
    ways: dict[str, Callable[[], Array]], rounds: int, batch: int
) -> dict[str, dict[str, float]]:
    """Milliseconds an image of each, in turns, after checking that all agree.

    Medians, and the interquartile range over the median.
    """
    outs = {name: np.asarray(call()) for name, call in ways.items()}
    expected = next(iter(outs.values()))
    for name, out in outs.items():
        error = np.abs(out - expected).max() / np.abs(expected).max()
        if error > 1e-3:
            raise AssertionError(f"{name} differs by {error:.2g}")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            seconds[name].append(_timing.seconds(call))
    quartiles = {n: statistics.quantiles(s, n=4) for n, s in seconds.items()}
    return {
        "ms": {n: 1e3 * middle / batch for n, (_, middle, _) in quartiles.items()},
        "spread": {n: (high - low) / mid for n, (low, mid, high) in quartiles.items()},
    }


def network(name: str, batch: int, rounds: int) -> dict[str, Any]:
    size = catalogue.ROWS[name].input.size
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.normal(size=(batch, *size, 3)), jnp.float32)
    ways = {"as is": program(module_of(name), x)}
    folded, grouped = module_of(name), module_of(name)
    counts = {"folded": fold(folded, x[:1]), "grouped": group(grouped)}
    if counts["folded"]:
        ways["folded"] = program(folded, x)
    if counts["grouped"]:
        ways["grouped"] = program(grouped, x)
    return {
        "case": {"network": name, "side": size[0], "batch": batch},
        "replaced": counts,
        **timed(ways, rounds, batch),
    }


def stem(name: str, side: int, batch: int, rounds: int) -> dict[str, Any]:
    """One convolution of a photograph, written in several ways."""
    kernel, stride, width = STEMS[name]
    rng = np.random.default_rng(2)
    x = jnp.asarray(rng.normal(size=(batch, side, side, 3)), jnp.float32)
    w = jnp.asarray(rng.normal(size=(kernel, kernel, 3, width)), jnp.float32)
    pads, strides = [(kernel // 2,) * 2] * 2, (stride, stride)

    def conv(x, w, numbers=("NHWC", "HWIO", "NHWC")):
        return jax.lax.conv_general_dilated(
            x, w, strides, pads, dimension_numbers=numbers
        )

    def filled(x, w):
        more = ((0, 0),) * 3 + ((0, 1),)
        return conv(jnp.pad(x, more), jnp.pad(w, ((0, 0), (0, 0), (0, 1), (0, 0))))

    def first(x, w):
        out = conv(x.transpose(0, 3, 1, 2), w, ("NCHW", "HWIO", "NCHW"))
        return out.transpose(0, 2, 3, 1)

    def columns(x, w):
        patches = jax.lax.conv_general_dilated_patches(
            x,
            (kernel, kernel),
            strides,
            pads,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return patches @ w.transpose(2, 0, 1, 3).reshape(-1, width)

    named = {
        "as is": conv,
        "channels first": first,
        "filled to four channels": filled,
        "columns": columns,
    }
    ways = {
        way: functools.partial(_compiling.jit_network(fn), x, w)
        for way, fn in named.items()
    }
    return {
        "case": {"first convolution": name, "side": side, "batch": batch},
        **timed(ways, rounds, batch),
    }


def results(names: list[str], batch: int, side: int, rounds: int) -> Iterator[dict]:
    for name in STEMS:
        yield stem(name, side, batch, rounds)
    for name in names:
        jax.clear_caches()
        yield network(name, batch, rounds)


def main(*, tiny: bool = False, names: list[str] | None = None) -> dict[str, Any]:
    if tiny:
        made = list(results(["shapes_net"], 2, 32, 2))
    else:
        made = list(results(names or list(catalogue.ROWS), BATCH, 224, ROUNDS))
    return _timing.report("zoo", made, tiny=tiny or bool(names))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiny", action="store_true", help="small and unrecorded")
    parser.add_argument("names", nargs="*", help="networks; unrecorded if any")
    options = parser.parse_args()
    for line in main(tiny=options.tiny, names=options.names)["results"]:
        print(json.dumps(line))
