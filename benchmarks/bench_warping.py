"""How long does warping a mask take, and how close does it come to the optimum?

The exact warp of 224 x 224 masks on one CPU core against the sequential descent that a
NumPy script would write, in the default order, the plug-in's raster order, and with and
without the limit on shrinking. Then pairs at 64 x 64 whose optimum is known to be 0:
what flipping alone leaves, what is left when it is led along a smooth deformation, and
how long that takes.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it pins the process before JAX starts.

# isort: on
import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxcam import ops
from jaxcam.metrics import topology
from jaxcam.ops import simple_points, warping

SIDE, BATCH, PAIR_SIDE, PAIRS, HELD_OUT_SEED = 224, 64, 64, 32, 2024
LIMIT_MS = {"subfields": 0.15, "raster": 20.0}
AIM, HYBRID_S = 100, 0.5


def cam_like_pairs(rng, batch, side):
    """Largest components of upsampled 7 x 7 noise, and elliptic objects."""
    maps = np.stack([_timing.upsampled_noise(rng, 7, side) for _ in range(batch)])
    above = jnp.asarray(maps >= maps.mean(axis=(1, 2), keepdims=True))
    predicted = jax.jit(jax.vmap(ops.largest_component))(above)
    return predicted, jnp.asarray(ellipses(rng, batch, side))


def ellipses(rng, batch, side):
    y, x = (np.indices((side, side)) + 0.5) / side
    masks = []
    for _ in range(batch):
        centre, axes = rng.uniform(0.3, 0.7, 2), rng.uniform(0.1, 0.3, 2)
        cosine, sine = np.cos(turn := rng.uniform(0, np.pi)), np.sin(turn)
        a = (y - centre[0]) * cosine + (x - centre[1]) * sine
        b = (x - centre[1]) * cosine - (y - centre[0]) * sine
        masks.append((a / axes[0]) ** 2 + (b / axes[1]) ** 2 < 1)
    return np.stack(masks)


def simply_connected_blobs(rng, batch, side):
    """Largest pieces of thresholded smooth noise, their holes filled."""
    masks = []
    for _ in range(batch):
        noise = ndimage.gaussian_filter(rng.normal(size=(side, side)), 4)
        labels = ndimage.label(noise > np.quantile(noise, 0.75), np.ones((3, 3)))[0]
        largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
        masks.append(ndimage.binary_fill_holes(largest))
    return np.stack(masks)


@functools.cache
def simple_codes(connectivity):
    """Whether the centre of each of the 256 neighbourhoods is simple."""
    codes = np.arange(256)[:, None] >> np.arange(8) & 1
    around = tuple(jnp.asarray(codes.T.astype(bool)))
    return np.asarray(simple_points.is_simple(around, connectivity))


def sequential_descent(source, target, may_flip, connectivity=8):
    """Sweeps over the mismatches, column by column, until one changes nothing."""
    simple = simple_codes(connectivity)
    mask = np.pad(source, 1).astype(np.uint8)
    wrong = (source != target) & may_flip
    offsets = list(enumerate(simple_points.NEIGHBOURS))
    changed = True
    while changed:
        changed = False
        for x, y in np.argwhere(wrong.T):
            code = 0
            for i, (dy, dx) in offsets:
                code |= mask[y + 1 + dy, x + 1 + dx] << i
            if simple[code]:
                mask[y + 1, x + 1] ^= 1
                wrong[y, x] = False
                changed = True
    return mask[1:-1, 1:-1].astype(bool)


def exact_case(order, radius, batch, side, rounds):
    predicted, truth = cam_like_pairs(np.random.default_rng(0), batch, side)
    sources, targets = np.asarray(predicted), np.asarray(truth)
    free = np.asarray(
        jax.vmap(functools.partial(warping.flippable, radius=radius))(predicted)
    )
    ours = jax.jit(
        jax.vmap(functools.partial(warping.mismatches, radius=radius, order=order))
    )
    # The gate: in the raster order both sides end in the same mask.
    raster = functools.partial(warping.warp, order="raster")
    for i in range(2):
        expected = sequential_descent(sources[i], targets[i], free[i])
        actual = raster(predicted[i], truth[i], may_flip=jnp.asarray(free[i]))
        np.testing.assert_array_equal(actual, expected)

    some = min(batch, 3)

    def theirs():
        return [
            sequential_descent(sources[i], targets[i], free[i]) for i in range(some)
        ]

    made = _timing.compare(
        lambda: ours(predicted, truth),
        theirs,
        rounds=rounds,
        compiled=(ours, predicted, truth),
    )
    scale = batch / some
    ms = 1e3 * made.ours_s / batch
    return {
        "case": {"order": order, "radius": radius, "batch": batch, "side": side},
        "ratio": made.ratio * scale,
        "spread": made.spread,
        "ms_a_mask": ms,
        "sequential_ms_a_mask": 1e3 * made.theirs_s / some,
        "pixel_error": float(np.mean(np.sum(sources != targets, axis=(1, 2)))),
        "mismatches": float(jnp.mean(ours(predicted, truth))),
        "compile_s": made.compile_s,
        "target": AIM if order == "subfields" else None,
        "limit_ms": LIMIT_MS[order],
        "within_limit": ms <= LIMIT_MS[order],
    }


def hybrid_case(name, draw, pairs, side, rounds):
    drawn = draw(np.random.default_rng(HELD_OUT_SEED), 2 * pairs, side)
    source, target = jnp.asarray(drawn[:pairs]), jnp.asarray(drawn[pairs:])

    def error(method):
        one = functools.partial(
            topology.warping_error_pixels, radius=None, method=method
        )
        return jax.jit(jax.vmap(one))

    exact, hybrid = error("exact"), error("hybrid")
    alone, led = np.asarray(exact(source, target)), np.asarray(hybrid(source, target))
    if (led > alone).any():
        raise AssertionError("The hybrid must be at most the direct warp.")
    made = _timing.compare(
        lambda: hybrid(source, target), lambda: exact(source, target), rounds=rounds
    )
    return {
        "case": {"pairs": name, "number": pairs, "side": side},
        "seconds_a_pair": made.ours_s / pairs,
        "limit_s": HYBRID_S,
        "exact_mismatches": float(alone.mean()),
        "hybrid_mismatches": float(led.mean()),
        "hybrid_at_optimum": float(np.mean(led == 0)),
    }


def main(*, tiny: bool = False) -> dict:
    """Both parts; `tiny` shrinks them and records nothing."""
    batch, side, rounds = (2, 32, 2) if tiny else (BATCH, SIDE, 7)
    cases = [("subfields", 5), ("subfields", None), ("raster", 5), ("raster", None)]
    results = [exact_case(*case, batch, side, rounds) for case in cases]
    pairs = 1 if tiny else PAIRS
    for name, draw in (("ellipses", ellipses), ("blobs", simply_connected_blobs)):
        results.append(hybrid_case(name, draw, pairs, PAIR_SIDE, 2 if tiny else 3))
    return _timing.report("warping", results, tiny=tiny)


if __name__ == "__main__":
    _timing.cli(main)
