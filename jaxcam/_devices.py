"""Batches over all devices of this process.

A program over a batch is compiled once for every device: each computes its own rows,
and nothing is exchanged between them. On CPU a device always takes the same number of
rows, so that the machine code, and with it every bit of a value, depends neither on the
batch size nor on the number of devices.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxcam import _compiling
from jaxcam._types import PyTree

CPU_ROWS = 8
"""Rows a CPU device computes at a time: the sum in a matrix product, and what is fused
with it, may depend on the number of rows."""

_AXIS = "batch"


def count() -> int:
    """Number of devices of this process."""
    return len(jax.local_devices())


def rows_at_a_time(batch_size: int) -> int:
    """How many rows programs take at once: what was asked for, rounded up.

    Args:
      batch_size: Rows asked for. CPUs take `CPU_ROWS` a device whatever it is; other
        devices share it evenly.
    """
    if jax.default_backend() == "cpu":
        return CPU_ROWS * count()
    return -(-batch_size // count()) * count()


def halved(rows: int) -> int | None:
    """The next smaller number of rows all devices can share; `None` if there is none.

    Args:
      rows: Rows that were too many at once, a multiple of the number of devices.
    """
    fewer = rows // count() // 2 * count()
    return fewer or None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, and not the process, had too little memory."""
    is_of_runtime = isinstance(error, jax.errors.JaxRuntimeError)
    return is_of_runtime and "RESOURCE_EXHAUSTED" in str(error)


def over_batch(
    fn: Callable[..., PyTree],
    in_axes: Sequence[int | None],
    out_axes: PyTree,
    *,
    network: bool = False,
) -> Callable[..., PyTree]:
    """`jax.jit(fn)`, each device computing its share of the rows.

    Args:
      fn: A function of arrays in which no row depends on another.
      in_axes: The batch axis of the leaves of each argument; `None` for an argument
        that all rows share.
      out_axes: The batch axis of each result; a prefix of their tree.
      network: Whether the function runs a network, see `_compiling.jit_network`.

    Returns:
      The compiled function. A batch that all devices cannot share evenly is computed by
      as many as can.
    """
    in_specs = tuple(_spec(axis) for axis in in_axes)
    out_specs = jax.tree.map(_spec, out_axes)

    @functools.wraps(fn)
    def program(*arguments: PyTree) -> PyTree:
        mesh = _mesh_for(_rows(arguments, in_axes))
        if mesh.size == 1:
            return fn(*arguments)
        # Values that vary over devices are not tracked: nothing is exchanged, and loops
        # in users' networks start from constants, which the check would refuse.
        return jax.shard_map(
            fn,
            mesh=mesh,
            in_specs=in_specs[: len(arguments)],
            out_specs=out_specs,
            check_vma=False,
        )(*arguments)

    return _compiling.jit_network(program) if network else jax.jit(program)


def split(tree: PyTree) -> PyTree:
    """Arrays on the devices, their leading axis split between them."""
    leaves = jax.tree.leaves(tree)
    return _put(tree, P(_AXIS), len(leaves[0]) if leaves else 1)


def replicate(tree: PyTree) -> PyTree:
    """Arrays whole on every device."""
    return _put(tree, P(), count())


def _put(tree: PyTree, spec: P, rows: int) -> PyTree:
    mesh = _mesh_for(rows)
    if mesh.size == 1:  # Uncommitted, so that it can meet arrays of other meshes.
        return jax.tree.map(jax.numpy.asarray, tree)
    return jax.device_put(tree, NamedSharding(mesh, spec))


def _spec(axis: int | None) -> P:
    return P() if axis is None else P(*[None] * axis, _AXIS)


def _rows(arguments: Sequence[PyTree], in_axes: Sequence[int | None]) -> int:
    for argument, axis in zip(arguments, in_axes, strict=False):
        leaves = jax.tree.leaves(argument)
        if axis is not None and leaves:
            return leaves[0].shape[axis]
    raise ValueError("A program over a batch needs an argument with one.")


def _mesh_for(rows: int) -> Mesh:
    return _mesh(math.gcd(rows, count()))


@functools.cache
def _mesh(devices: int) -> Mesh:
    return Mesh(np.array(jax.local_devices()[:devices]), (_AXIS,))
