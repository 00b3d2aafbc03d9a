"""Box accuracy at 1000 thresholds: how many times faster than the published tool's way?

    python -m benchmarks.bench_max_box_accuracy [--rounds 7] [--batch 8]

One process on one core. The tool's way is `cv2.threshold`, `cv2.findContours` and the
largest contour's box, once per threshold. Both sides take turns, map for map the same;
the ratio is the median over rounds. Ours is timed with its default definition, and with
the preset that reproduces the tool.
"""

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from jaxcam.metrics import box_accuracy

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


def compare(fine: np.ndarray, preset: str, rounds: int) -> dict[str, float]:
    batch = jax.device_put(fine)
    start = time.perf_counter()
    program = ours(preset).lower(batch).compile()
    compile_s = time.perf_counter() - start
    jax.block_until_ready(program(batch))
    our_s, tool_s = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        jax.block_until_ready(program(batch))
        our_s.append(time.perf_counter() - start)
        start = time.perf_counter()
        tool(fine)
        tool_s.append(time.perf_counter() - start)
    ratios = [theirs / own for theirs, own in zip(tool_s, our_s, strict=True)]
    low, ratio, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio": ratio,
        "spread": (high - low) / ratio,
        "ms_a_map": 1e3 * statistics.median(our_s) / len(fine),
        "tool_ms_a_map": 1e3 * statistics.median(tool_s) / len(fine),
        "compile_s": compile_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path, help="folder for the JSON file")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # Before XLA starts.
    cv2.setNumThreads(1)
    results = []
    for name, native in CASES.items():
        fine = maps(native, arguments.batch)
        check(fine[:2])
        for preset, target in (("paper", 10), ("wsol", None)):
            case = {"maps": name, "definition": preset, "batch": arguments.batch}
            measured = compare(fine, preset, arguments.rounds)
            results.append({"case": case, **measured, "target": target})
            print(json.dumps(results[-1]), flush=True)
    report = {
        "question": "box accuracy at 1000 thresholds against the published tool's way",
        "device": f"one core, {platform.machine()}",
        "versions": {m.__name__: m.__version__ for m in (jax, np, cv2)},
        "shape": [SIDE, SIDE],
        "results": results,
    }
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        path = arguments.out / "max_box_accuracy.json"
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
