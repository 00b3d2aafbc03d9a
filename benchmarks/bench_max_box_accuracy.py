"""Box accuracy at 1000 thresholds: how many times faster than the published tool's way?

    python -m benchmarks.bench_max_box_accuracy

The tool's way is `cv2.threshold`, `cv2.findContours` and the largest contour's box,
once per threshold. Ours is timed with its default definition, and with the preset that
reproduces the tool.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it pins the process before JAX starts.

# isort: on
import cv2
import jax
import jax.numpy as jnp
import numpy as np

from jaxcam.metrics import box_accuracy

BATCH = 8
SIDE = 224
TRUTH = np.array([[40, 50, 180, 170]])
ONE_LARGER = np.array([0, 0, 1, 1])
CASES = {"7x7 upsampled": 7, "14x14 upsampled": 14, "28x28 upsampled": 28}


def maps(native: int, batch: int) -> np.ndarray:
    rng = np.random.default_rng(native)
    coarse = rng.random((batch, native, native)).astype(np.float32)
    fine = [cv2.resize(x, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for x in coarse]
    fine = np.stack(fine) - np.min(fine, axis=(1, 2), keepdims=True)
    return fine / fine.max(axis=(1, 2), keepdims=True)


def largest_boxes(unit_map: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The tool's way: `[y0, x0, y1, x1]` of the largest contour, half-open."""
    values = (unit_map * 255).astype(np.uint8)
    boxes = []
    for threshold in thresholds:
        _, above = cv2.threshold(
            values, int(threshold * values.max()), 255, cv2.THRESH_BINARY
        )
        found = cv2.findContours(above, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
        if not found:
            boxes.append((0, 0, 0, 0))
            continue
        x, y, w, h = cv2.boundingRect(max(found, key=cv2.contourArea))
        boxes.append((y, x, y + h, x + w))
    return np.array(boxes)


def iou(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    low, high = np.maximum(boxes[:, :2], truth[:2]), np.minimum(boxes[:, 2:], truth[2:])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    areas = [np.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (boxes, truth)]
    return common / (sum(areas) - common)


def tool(batch: np.ndarray) -> np.ndarray:
    thresholds = np.arange(0, 1, 0.001)
    return np.stack([iou(largest_boxes(x, thresholds), TRUTH[0]) for x in batch])


def ours(preset: str):
    valid = jnp.ones(1, bool)
    return jax.jit(
        jax.vmap(
            lambda x: box_accuracy.box_accuracy_curve(
                x, jnp.asarray(TRUTH, jnp.float32), valid, preset=preset
            )
        )
    )


def check(fine: np.ndarray) -> None:
    """The gate: equal curves where the two definitions agree, and under the preset.

    The definitions agree on maps of whole bytes with one component and no hole at any
    level, thresholds at the levels: there the largest contour is the largest component
    and `>` is `>`.
    """
    at = np.arange(SIDE) - 100.0
    for a, b in ((60, 90), (40, 30)):
        hill = np.exp(-((at / a) ** 2)[:, None] - (at / b) ** 2)
        unit = np.floor(hill * 255) / 255
        unit = unit / unit.max()
        expected = iou(largest_boxes(unit, np.arange(255) / 255 + 1e-9), TRUTH[0])
        actual = box_accuracy.box_accuracy_curve(
            jnp.asarray(unit, jnp.float32),
            jnp.asarray(TRUTH, jnp.float32),
            jnp.ones(1, bool),
            thresholds=255,
            strict=True,
        )
        np.testing.assert_allclose(actual, expected, rtol=1e-5)

    whole = np.floor(fine * 255).astype(np.float32)
    expected = []
    for x in whole:
        boxes = largest_boxes(x / 255, np.arange(0, 1, 0.001))
        one_larger = np.minimum(boxes + ONE_LARGER, SIDE)
        expected.append(iou(one_larger, TRUTH[0] + ONE_LARGER))
    np.testing.assert_allclose(ours("wsol")(whole), np.stack(expected), rtol=1e-5)


def measure(name: str, fine: np.ndarray, preset: str, rounds: int) -> dict:
    batch, program = jax.device_put(fine), ours(preset)
    compared = _timing.compare(
        lambda: program(batch),
        lambda: tool(fine),
        rounds=rounds,
        compiled=(program, batch),
    )
    return _timing.entry(
        {"maps": name, "definition": preset, "thresholds": 1000, "batch": len(fine)},
        compared,
        ours=len(fine),
        theirs=len(fine),
        target=10 if preset == "paper" else None,
        aim=20 if preset == "paper" else None,
    )


def main(tiny: bool = False) -> dict:
    batch, rounds = (1, 2) if tiny else (BATCH, 7)
    cases = dict(list(CASES.items())[:1]) if tiny else CASES
    cv2.setNumThreads(1)
    results = []
    for name, native in cases.items():
        fine = maps(native, batch)
        check(fine[:2])
        results += [measure(name, fine, p, rounds) for p in ("paper", "wsol")]
    return _timing.report("max_box_accuracy", results, tiny=tiny)


if __name__ == "__main__":
    _timing.cli(main)
