"""Is scoring the bottleneck? The whole evaluation against the bare forward pass.

    JAXCAM_BENCH_CORES=2 python -m benchmarks.bench_evaluate_loop

Images as JPEG files and masks as PNG files are decoded, explained by CAM, and the maps
scored by model-free metrics on boxes and masks, floors included; against the same
network's forward pass over images that lie decoded in memory, same batch size: compiled
by JAX's defaults, as a user's own loop would be, and by the options jaxcam compiles
networks with, which take two thirds of that time.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it decides the cores before JAX starts.

# isort: on
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from PIL import Image

import jaxcam
from jaxcam import _compiling

BATCH, SIDE, LIMIT = 16, 256, 1.3
METRICS = (
    "localization_error",
    "localization_error[region=box]",
    "dice",
    "dice[region=box]",
    "energy_pointing_game",
    "energy_pointing_game[region=box]",
    "pointing_game",
    "pointing_game[region=box]",
)
NETWORKS = {"resnet50": 96, "squeezenet1_1": 480}
"""Images for each: some ten seconds of work, so that start and end weigh little."""


def write_folder(folder: Path, count: int) -> None:
    """Photograph-like files: smooth textures, elliptic objects."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for i in range(count):
        texture = np.stack(
            [_timing.upsampled_noise(rng, 24, SIDE) for _ in range(3)], -1
        )
        image = Image.fromarray((texture * 255).astype(np.uint8))
        image.save(folder / "images" / f"{i:04d}.jpg", quality=90)
        centre, radius = rng.uniform(0.3, 0.7, 2), rng.uniform(0.15, 0.4, 2)
        mask = ((y - centre[0]) / radius[0]) ** 2 + (
            (x - centre[1]) / radius[1]
        ) ** 2 < 1
        Image.fromarray(mask).save(folder / "masks" / f"{i:04d}.png")


def measure(name: str, folder: Path, count: int, rounds: int) -> Iterator[dict]:
    """Seconds an image of both sides, in turns, compilation left out."""
    model = jaxcam.models.load(name, weights="random")
    dataset = jaxcam.data.open_dataset(folder)
    first = next(
        iter(jaxcam.data.batches(dataset, size=model.input.size, batch_size=BATCH))
    )
    images = jax.device_put(first["image"])

    def network(params, x):
        return model.apply(params, model.preprocess(x))[0]

    def whole():
        return len(
            jaxcam.evaluate(
                model, dataset, methods=["cam"], metrics=METRICS, batch_size=BATCH
            )
        )

    for compiler, forward, target in (
        ("JAX's defaults", jax.jit(network), LIMIT),
        ("jaxcam's options", _compiling.jit_network(network), None),
    ):

        def bare(forward=forward):
            return [forward(model.params, images) for _ in range(count // BATCH)]

        compared = _timing.compare(whole, bare, rounds=rounds)
        yield {
            "case": {
                "network": name,
                "images": count,
                "batch": BATCH,
                "forward pass by": compiler,
            },
            "loop_ms": 1e3 * compared.ours_s / count,
            "forward_ms": 1e3 * compared.theirs_s / count,
            "ratio": 1 / compared.ratio,
            "spread": compared.spread,
            "target": target,
        }


def main(tiny: bool = False) -> dict:
    rounds = 2 if tiny else 3
    results = []
    for name, images in NETWORKS.items():
        count = BATCH if tiny else images
        with tempfile.TemporaryDirectory() as scratch:
            write_folder(Path(scratch), count)
            results += measure(name, Path(scratch), count, rounds)
    return _timing.report("evaluate_loop_over_forward", results, tiny=tiny)


if __name__ == "__main__":
    _timing.cli(main)
