"""Is the k-th largest pixel, for a k that is traced, found faster without a sort?

`_order.kth_largest` counts bytes in four histograms; a sort, XLA's `top_k` of all the
pixels, a search bit by bit, and NumPy's `partition`, which knows k, give the same.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it pins the process before JAX starts.

# isort: on
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _order

SIDES, BATCH = (56, 224, 1024), 16
KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "upsampled": lambda rng, side: _timing.upsampled_noise(rng, 7, side),
    "noise": lambda rng, side: rng.random((side, side), np.float32),
}


def by_histograms(x, k):
    return _order.kth_largest(x, k, where=jnp.ones(x.shape, bool))


def by_sorting(x, k):
    return jnp.sort(x.ravel())[x.size - k]


def by_top_k(x, k):
    return jax.lax.top_k(x.ravel(), x.size)[0][k - 1]


def bit_by_bit(x, k):
    return _order.largest_value_where(x, lambda above: jnp.sum(above) >= k)


OTHERS = {"sort": by_sorting, "top_k": by_top_k, "bit by bit": bit_by_bit}


def program(select: Callable) -> Callable:
    """Of a batch, a map at a time, as the plan loops on a CPU."""
    return jax.jit(lambda maps, ks: jax.lax.map(lambda x: select(*x), (maps, ks)))


def with_numpy(maps: np.ndarray, ks: np.ndarray) -> list[float]:
    return [
        np.partition(x, x.size - k, axis=None)[x.size - k]
        for x, k in zip(maps, ks, strict=True)
    ]


def run_case(kind: str, side: int, batch: int, rounds: int) -> list[dict]:
    rng = np.random.default_rng(0)
    maps = np.stack([KINDS[kind](rng, side) for _ in range(batch)])
    ks = rng.integers(1, side * side // 2, batch).astype(np.int32)
    given = jnp.asarray(maps), jnp.asarray(ks)
    expected = with_numpy(maps, ks)
    ours = program(by_histograms)
    np.testing.assert_array_equal(ours(*given), expected)

    def line(name: str, theirs: Callable) -> dict:
        compared = _timing.compare(
            lambda: ours(*given), theirs, rounds=rounds, compiled=(ours, *given)
        )
        case = {"against": name, "map": kind, "side": side, "batch": batch}
        return _timing.entry(case, compared, ours=batch, theirs=batch)

    lines = [line("numpy.partition", lambda: with_numpy(maps, ks))]
    for name, select in OTHERS.items():
        other = program(select)
        np.testing.assert_array_equal(other(*given), expected)
        lines.append(line(name, lambda other=other: other(*given)))
    return lines


def main(tiny: bool = False) -> dict:
    sides, batch, rounds = ((16,), 3, 2) if tiny else (SIDES, BATCH, 9)
    lines = []
    for kind in KINDS:
        for side in sides:
            lines += run_case(kind, side, batch, rounds)
    return _timing.report("selection", lines, tiny=tiny)


if __name__ == "__main__":
    _timing.cli(main)
