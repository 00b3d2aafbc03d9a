"""Labels and component trees: how many times faster than OpenCV and SciPy in loops?

    python -m benchmarks.bench_components

The largest component with its box against `scipy.ndimage.label`, `bincount` and
`find_objects`; the largest component at each of 255 thresholds against
`cv2.connectedComponentsWithStats` for each; and what 1000 thresholds cost over 10.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it pins the process before JAX starts.

# isort: on
import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxcam import ops

SIDE, BATCH, LEVELS = 224, 64, 255
EIGHT = np.ones((3, 3), bool)
MASKS = {"CAM-like": (0.8, 2), "smoothed noise": (0.3, 1)}
"""At least and hoped for, of the largest component."""
MAPS = {
    "7x7 upsampled": (40, 80),
    "14x14 upsampled": (40, 80),
    "smoothed noise": (15, 30),
    "white noise": (0.5, 2),
}
"""At least and hoped for, of the tree."""


def maps(kind: str, batch: int, side: int) -> np.ndarray:
    """float32[batch, side, side] in [0, 1]."""
    rng = np.random.default_rng(0)
    if kind == "white noise":
        return rng.random((batch, side, side), np.float32)
    if kind == "smoothed noise":  # About 300 maxima on 224 x 224.
        white = rng.random((batch, side, side), np.float32)
        made = [cv2.GaussianBlur(x, (0, 0), 5.0) for x in white]
    else:
        native = int(kind.partition("x")[0])
        made = [_timing.upsampled_noise(rng, native, side) for _ in range(batch)]
    low = np.min(made, axis=(1, 2), keepdims=True)
    high = np.max(made, axis=(1, 2), keepdims=True)
    return ((np.stack(made) - low) / (high - low)).astype(np.float32)


def masks(kind: str, batch: int, side: int) -> np.ndarray:
    """bool[batch, side, side]: above the mean of a map."""
    if kind == "CAM-like":
        found = maps("7x7 upsampled", batch, side)
    else:  # About 3,000 runs on 224 x 224.
        white = np.random.default_rng(1).random((batch, side, side), np.float32)
        found = np.stack([cv2.GaussianBlur(x, (0, 0), 2.0) for x in white])
    return found >= found.mean(axis=(1, 2), keepdims=True)


def scipy_largest(mask: np.ndarray) -> tuple[np.ndarray, list[int]]:
    labels, count = ndimage.label(mask, structure=EIGHT)
    if count == 0:
        return np.zeros_like(mask), [0, 0, 0, 0]
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    best = int(sizes.argmax())
    rows, columns = ndimage.find_objects(labels)[best - 1]
    return labels == best, [rows.start, columns.start, rows.stop, columns.stop]


def opencv_tree(saliency: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """int[T, 5]: area and box of the largest component at each threshold."""
    found = np.zeros((len(levels), 5), np.int64)
    for row, level in zip(found, levels, strict=True):
        above = (saliency >= level).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
        if count > 1:
            x, y, w, h, area = stats[1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])]
            row[:] = area, y, x, y + h, x + w
    return found


def largest(kind: str, batch: int, side: int, rounds: int) -> dict:
    given = masks(kind, batch, side)
    program = jax.jit(jax.vmap(ops.largest_component_box))
    on_device = jnp.asarray(given)
    components, boxes = program(on_device)
    for i, mask in enumerate(given):
        component, box = scipy_largest(mask)
        np.testing.assert_array_equal(components[i], component)
        np.testing.assert_array_equal(boxes[i], box)
    compared = _timing.compare(
        lambda: program(on_device),
        lambda: [scipy_largest(mask) for mask in given],
        rounds=rounds,
        compiled=(program, on_device),
    )
    case = {"largest component": kind, "batch": batch, "side": side}
    target, aim = MASKS[kind]
    return _timing.entry(
        case, compared, ours=batch, theirs=batch, target=target, aim=aim
    )


@functools.cache
def tree_program():
    def one(saliency, levels):
        tree = ops.component_tree(saliency, levels)
        return tree.area, tree.box

    return jax.jit(jax.vmap(one, in_axes=(0, None)))


def tree(kind: str, batch: int, side: int, rounds: int) -> dict:
    given = maps(kind, batch, side)
    levels = np.linspace(0, 1, LEVELS, dtype=np.float32)
    program, on_device, few = tree_program(), jnp.asarray(given), given[:2]
    areas, boxes = program(on_device, levels)
    for i, saliency in enumerate(few):
        expected = opencv_tree(saliency, levels)
        np.testing.assert_array_equal(areas[i], expected[:, 0])
        # OpenCV's order of equally large components is another one.
        same = (np.asarray(boxes[i]) == expected[:, 1:]).all(axis=1)
        assert same.mean() > 0.9, same.mean()
    compared = _timing.compare(
        lambda: program(on_device, levels),
        lambda: [opencv_tree(saliency, levels) for saliency in few],
        rounds=rounds,
        compiled=(program, on_device, levels),
    )
    case = {"component tree": kind, "thresholds": LEVELS, "batch": batch, "side": side}
    target, aim = MAPS[kind]
    return _timing.entry(
        case, compared, ours=batch, theirs=len(few), target=target, aim=aim
    )


def thresholds(batch: int, side: int, rounds: int) -> dict:
    given = jnp.asarray(maps("7x7 upsampled", batch, side))
    few, many = (np.linspace(0, 1, n, dtype=np.float32) for n in (10, 1000))
    program = tree_program()
    compared = _timing.compare(
        lambda: program(given, many), lambda: program(given, few), rounds=rounds
    )
    return {
        "case": {"component tree": "7x7 upsampled", "batch": batch, "side": side},
        "thousand_ms": 1e3 * compared.ours_s / batch,
        "ten_ms": 1e3 * compared.theirs_s / batch,
        "thousand_over_ten": 1 / compared.ratio,
        "at_most": 2.0,
    }


def main(tiny: bool = False) -> dict:
    batch, side, rounds = (2, 32, 2) if tiny else (BATCH, SIDE, 9)
    cv2.setNumThreads(1)
    results = [largest(kind, batch, side, rounds) for kind in MASKS]
    results += [tree(kind, batch, side, rounds) for kind in MAPS]
    results.append(thresholds(batch, side, rounds))
    return _timing.report("components", results, tiny=tiny)


if __name__ == "__main__":
    _timing.cli(main)
