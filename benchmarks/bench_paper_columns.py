"""How much faster are the paper's fourteen columns than per-pixel Python loops?

Seven metrics, each on masks and on boxes, of 224 x 224 maps: one compiled program on
one CPU core against the loops that scripts published with such papers are made of.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it pins the process before JAX starts.

# isort: on
import jax.numpy as jnp
import numpy as np

from jaxcam import plan

SIDE, BATCH, TARGET, AIM = 224, 64, 300, 1000


def loop(saliency, truth):
    """Every column of one image, a pixel at a time, from the definitions."""
    height, width = len(saliency), len(saliency[0])
    pixels = [(y, x) for y in range(height) for x in range(width)]
    mean = sum(saliency[y][x] for y, x in pixels) / len(pixels)
    salient = {(y, x) for y, x in pixels if saliency[y][x] >= mean}
    predicted = largest_component(salient, pixels)
    truth = {(y, x) for y, x in pixels if truth[y][x]}
    columns = {}
    for region, p, m in (
        ("", predicted, truth),
        ("[region=box]", box_of(predicted), box_of(truth)),
    ):
        both = sum(1 for pixel in p if pixel in m)
        either = len(p) + len(m) - both
        total = inside = error = 0.0
        top, hits, ties = -1.0, 0, 0
        for y, x in pixels:
            value, on = saliency[y][x], (y, x) in m
            total += value
            inside += value if on else 0.0
            error += abs(value - (1.0 if on else 0.0))
            if value > top:
                top, hits, ties = value, 0, 0
            if value == top:
                hits, ties = hits + on, ties + 1
        columns[f"localization_error{region}"] = 1 - both / either
        columns[f"dice{region}"] = 2 * both / (len(p) + len(m))
        columns[f"precision{region}"] = both / len(p)
        columns[f"recall{region}"] = both / len(m)
        columns[f"pointing_game{region}"] = hits / ties
        columns[f"energy_pointing_game{region}"] = inside / total
        columns[f"mean_absolute_error{region}"] = error / len(pixels)
    return columns


def largest_component(salient, pixels):
    """Flood fill from every pixel not yet seen; the first of equals wins."""
    seen, best = set(), set()
    for start in pixels:
        if start not in salient or start in seen:
            continue
        component, stack = set(), [start]
        seen.add(start)
        while stack:
            y, x = stack.pop()
            component.add((y, x))
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    near = (y + dy, x + dx)
                    if near in salient and near not in seen:
                        seen.add(near)
                        stack.append(near)
        if len(component) > len(best):
            best = component
    return best


def box_of(region):
    """Every pixel of the tight box of a region."""
    rows = [y for y, _ in region]
    columns = [x for _, x in region]
    return {
        (y, x)
        for y in range(min(rows), max(rows) + 1)
        for x in range(min(columns), max(columns) + 1)
    }


def inputs(batch, side):
    """CAM-like maps (7 x 7 upsampled) and elliptic objects."""
    rng = np.random.default_rng(0)
    maps = [_timing.upsampled_noise(rng, 7, side) for _ in range(batch)]
    y, x = np.mgrid[:side, :side] / side
    centre, radius = (
        rng.uniform(0.3, 0.7, (batch, 2)),
        rng.uniform(0.15, 0.4, (batch, 2)),
    )
    masks = [
        ((y - c[0]) / r[0]) ** 2 + ((x - c[1]) / r[1]) ** 2 < 1
        for c, r in zip(centre, radius, strict=True)
    ]
    return np.stack(maps).astype(np.float32), np.stack(masks)


def shared_fields(masks):
    """The truth of a batch as the score program takes it."""
    boxes = []
    for mask in masks:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        boxes.append([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
    everywhere = np.ones(masks.shape, bool)
    return {
        "mask": jnp.asarray(masks),
        "where": jnp.asarray(everywhere),
        "frame": jnp.asarray(everywhere),
        "boxes": jnp.asarray(np.array(boxes, np.float32)[:, None]),
        "box_valid": jnp.ones((len(masks), 1), bool),
    }


def main(tiny: bool = False) -> dict:
    side, batch = (24, 4) if tiny else (SIDE, BATCH)
    maps, masks = inputs(batch, side)
    maps = maps / maps.max(axis=(1, 2), keepdims=True)
    columns = plan.resolve_all(plan.SUITES["paper"])
    program = plan.score_program(columns)
    arguments = shared_fields(masks), jnp.asarray(maps)[None]

    looped = maps[:2].tolist(), masks[:2].tolist()
    expected = [loop(s, m) for s, m in zip(*looped, strict=True)]
    actual = program(*arguments)
    for i, row in enumerate(expected):
        for name, value in row.items():
            np.testing.assert_allclose(actual[name][0, i], value, rtol=2e-5, atol=2e-6)

    def run_loop():
        loop(looped[0][0], looped[1][0])

    compared = _timing.compare(
        lambda: program(*arguments),
        run_loop,
        rounds=2 if tiny else 9,
        compiled=(program, *arguments),
    )
    case = {"columns": len(columns), "batch": batch, "side": side}
    line = _timing.entry(case, compared, ours=batch, theirs=1, target=TARGET, aim=AIM)
    return _timing.report("paper_columns", [line], tiny=tiny)


if __name__ == "__main__":
    _timing.cli(main)
