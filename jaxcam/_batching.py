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
    """`kernel`, of one image's arrays, with a `vmap` that suits the device.

    Nested `vmap`s become one batch, and arguments that all images share stay
    unbatched. Values do not depend on the device's choice.
    """

    @functools.cache
    def many(batched: tuple[bool, ...]):
        """`kernel` over the leading axis of those arguments that are batched."""

        def looped(*args):
            def one_image(own):
                own = iter(own)
                return kernel(
                    *(
                        next(own) if has else x
                        for has, x in zip(batched, args, strict=True)
                    )
                )

            own = [x for has, x in zip(batched, args, strict=True) if has]
            return jax.lax.map(one_image, own)

        @jax.custom_batching.custom_vmap
        def run(*args):
            if jax.default_backend() == "cpu":
                return looped(*args)
            return jax.vmap(kernel, [0 if has else None for has in batched])(*args)

        @run.def_vmap
        def _run_many(axis_size, in_batched, *args):
            inner = [
                has or outer for has, outer in zip(batched, in_batched, strict=True)
            ]
            images = {
                x.shape[outer]
                for has, outer, x in zip(batched, in_batched, args, strict=True)
                if has
            }.pop()
            flat = []
            for has, outer, x in zip(batched, in_batched, args, strict=True):
                if has or outer:
                    x = x if outer else x[None]
                    x = x if has else x[:, None]
                    x = jnp.broadcast_to(x, (axis_size, images, *x.shape[2:]))
                    x = x.reshape(-1, *x.shape[2:])
                flat.append(x)
            out = many(tuple(inner))(*flat)
            out = jax.tree.map(lambda x: x.reshape(axis_size, -1, *x.shape[1:]), out)
            return out, jax.tree.map(lambda _: True, out)

        return run

    @jax.custom_batching.custom_vmap
    def one(*args):
        return kernel(*args)

    @one.def_vmap
    def _run_one(axis_size, in_batched, *args):
        del axis_size
        out = many(tuple(in_batched))(*args)
        return out, jax.tree.map(lambda _: True, out)

    return functools.wraps(kernel)(lambda *args: one(*args))


def with_capacity(
    need: Array,
    capacities: tuple[Any, ...],
    kernel: Callable[..., PyTree],
    *operands: PyTree,
) -> PyTree:
    """`kernel(capacity, *operands)` with the first capacity that is >= `need`.

    `need` is int32[] or, where several things are counted, int32[k]; a capacity is
    then a tuple of k ints, each of which has to suffice. Capacities are static and
    ascending, and the last must fit every input. One program is compiled for each.
    Under `vmap` the batch takes the capacity of the image that needs most, so that
    only one of the programs runs.
    """
    if len(capacities) == 1:
        return kernel(capacities[0], *operands)

    def branch(capacity, need, *image):
        # Under shard_map branches must agree on which results vary over devices: all.
        here = jnp.all(need >= 0)
        out = kernel(capacity, *image)
        return jax.tree.map(lambda x: jnp.where(here, x, x), out)

    branches = [functools.partial(branch, capacity) for capacity in capacities]

    @jax.custom_batching.custom_vmap
    def one(need, *image):
        sizes = jnp.asarray(capacities[:-1], jnp.int32).reshape(len(branches) - 1, -1)
        too_small = jnp.any(need.reshape(1, -1) > sizes, axis=1)
        bucket = jnp.sum(too_small, dtype=jnp.int32)
        return jax.lax.switch(bucket, branches, need, *image)

    @one.def_vmap
    def _many(axis_size, in_batched, need, *images):
        del axis_size
        axes = jax.tree.map(lambda has: 0 if has else None, in_batched)

        def together(capacity, *images):
            return jax.vmap(functools.partial(kernel, capacity), axes[1:])(*images)

        most = jnp.max(need, axis=0) if in_batched[0] else need
        out = with_capacity(most, capacities, together, *images)
        return out, jax.tree.map(lambda _: True, out)

    return one(need, *operands)
