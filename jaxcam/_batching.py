"""How kernels that loop take a batch: image by image on CPU, all at once elsewhere.

A loop under `jax.vmap` runs until the slowest image is done, and a `jax.lax.switch`
runs every branch. On CPU nothing is gained in return, so there a batch of such
kernels is a `jax.lax.map`; on accelerators it is a `jax.vmap` whose switches are
decided once, by the image that needs most.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxcam._types import Array, PyTree


def looped_on_cpu(kernel: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`kernel`, which takes one image's arrays, with a `vmap` that suits the device.

    Nested `vmap`s become one batch. Values do not depend on the device's choice.
    """

    @jax.custom_batching.custom_vmap
    def many(*batch):
        return jax.lax.platform_dependent(
            *batch,
            cpu=lambda *xs: jax.lax.map(lambda x: kernel(*x), xs),
            default=jax.vmap(kernel),
        )

    @many.def_vmap
    def _many_of_many(axis_size, in_batched, *batches):
        batches = _all_batched(axis_size, in_batched, batches)
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batches)
        out = many(*flat)
        out = jax.tree.map(lambda x: x.reshape(axis_size, -1, *x.shape[1:]), out)
        return out, jax.tree.map(lambda _: True, out)

    @jax.custom_batching.custom_vmap
    def one(*image):
        return kernel(*image)

    @one.def_vmap
    def _many_of_one(axis_size, in_batched, *images):
        out = many(*_all_batched(axis_size, in_batched, images))
        return out, jax.tree.map(lambda _: True, out)

    return functools.wraps(kernel)(lambda *image: one(*image))


def with_capacity(
    need: Array,
    capacities: tuple[int, ...],
    kernel: Callable[..., PyTree],
    *operands: Any,
) -> PyTree:
    """`kernel(capacity, *operands)` with the smallest capacity that is >= `need`.

    `capacities` are static and ascending; the last one must fit every input. One
    program is compiled for each. Under `vmap` the whole batch takes the capacity of
    the image that needs most, so that only one of the programs runs.
    """
    branches = [functools.partial(kernel, capacity) for capacity in capacities]
    if len(branches) == 1:
        return branches[0](*operands)

    def bucket(need):
        return jnp.sum(need > jnp.asarray(capacities[:-1], jnp.int32), dtype=jnp.int32)

    @jax.custom_batching.custom_vmap
    def one(need, *image):
        return jax.lax.switch(bucket(need), branches, *image)

    @one.def_vmap
    def _many(axis_size, in_batched, needs, *images):
        needs, *images = _all_batched(axis_size, in_batched, (needs, *images))
        out = with_capacity(
            jnp.max(needs),
            capacities,
            lambda capacity, *xs: jax.vmap(functools.partial(kernel, capacity))(*xs),
            *images,
        )
        return out, jax.tree.map(lambda _: True, out)

    return one(need, *operands)


def _all_batched(axis_size: int, in_batched: PyTree, args: PyTree) -> PyTree:
    """`args` with the batch axis given to those that lack it."""
    return jax.tree.map(
        lambda batched, x: x if batched else jnp.broadcast_to(x, (axis_size, *x.shape)),
        tuple(in_batched),
        tuple(args),
    )
