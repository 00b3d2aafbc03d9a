"""Do an image's cost and the memory depend on how many there are? Do processes add up?

    JAXCAM_BENCH_CORES=2 python -m benchmarks.bench_scaling

Procedural images and the smallest net, so that what is not the network weighs as much
as it can. Each run is a process of its own that writes a run directory: 1,000, 10,000
and 100,000 images; then a few thousand by one process and by several, a core each,
in shares. The cost of an image is taken from the second shard on, when everything is
compiled; the memory is the peak of the process, once when the last image is scored and
once when summary and tables are written. The device is busy for the share of the time
that the same batches take when they lie in memory. The gate: the first shard of every
run is the same to the bit.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it decides the cores before JAX starts.

# isort: on
import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import jaxcam
from jaxcam import results, storage

SIZES, TINY_SIZES = (1_000, 10_000, 100_000), (24, 48)
EACH, TINY_EACH = 4_000, 24
SHARD, TINY_SHARD = 500, 8
IN_MEMORY = 1_000
METHODS = ("cam",)
METRICS = (
    "energy_pointing_game",
    "energy_pointing_game[region=box]",
    "localization_error",
    "localization_error[region=box]",
    "dice",
    "average_drop",
)
MOST_MEMORY = 1.1
"""Peak of the largest run over that of the smallest."""


def peak_mb() -> float:
    """Most memory this process has had, in megabytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


class Watch:
    """Asked after every batch: when that was, and how much memory there was."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.peak = 0.0

    def __call__(self) -> bool:
        """Notes the time; never wants the run to stop."""
        self.times.append(time.perf_counter())
        self.peak = peak_mb()
        return False


def run_one(
    images: int, shard: int, out: Path, share: tuple[int, int] = (0, 1)
) -> dict[str, float]:
    """One evaluation in this process."""
    model = jaxcam.models.load("shapes_net")
    dataset = jaxcam.data.open_dataset(f"shapes:test,n={images}")
    watch, start = Watch(), time.perf_counter()
    jaxcam.evaluate(
        model,
        dataset,
        methods=METHODS,
        metrics=METRICS,
        out=out,
        shard_size=shard,
        share=share,
        stop=watch,
    )
    end = time.perf_counter()
    own = images // share[1]
    return {
        "ms": 1e3 * _steady(watch, own, shard),
        "until_first_shard_s": watch.times[_first(watch, own, shard) - 1] - start,
        "finishing_s": end - watch.times[-1],
        "loop_peak_mb": watch.peak,
        "peak_mb": peak_mb(),
    }


def _first(watch: Watch, images: int, shard: int) -> int:
    """Batches of the first shard."""
    return max(1, round(len(watch.times) * shard / images))


def _steady(watch: Watch, images: int, shard: int) -> float:
    """Seconds an image behind the first shard."""
    batches, first = len(watch.times), _first(watch, images, shard)
    counted = images * (batches - first) / batches
    return (watch.times[-1] - watch.times[first - 1]) / counted


def in_memory_ms(images: int) -> float:
    """Milliseconds an image if images and truth need not be made."""
    model = jaxcam.models.load("shapes_net")
    dataset = jaxcam.data.open_dataset(f"shapes:test,n={images}")

    def kept(record: Any) -> Any:
        image, truth = record.image(), record.truth()
        return dataclasses.replace(record, image=lambda: image, truth=lambda: truth)

    dataset = dataclasses.replace(dataset, records=[*map(kept, dataset.records)])
    watch = Watch()
    jaxcam.evaluate(model, dataset, methods=METHODS, metrics=METRICS, stop=watch)
    return 1e3 * _steady(watch, images, images // 4)


def started(arguments: Sequence[Any], cores: Sequence[int]) -> subprocess.Popen:
    """This file as a process of its own, on some cores."""
    command = [sys.executable, "-m", "benchmarks.bench_scaling", "--child"]
    # Sums in matrix products depend on the number of threads: one for all runs.
    variables = {
        "JAXCAM_BENCH_CORES": str(len(cores)),
        "JAX_PLATFORMS": "cpu",
        "PJRT_NPROC": str(_timing.CORES),
    }

    # A child has the cores of the thread that starts it.
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        return subprocess.Popen(
            [*command, *map(str, arguments)],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
    finally:
        os.sched_setaffinity(0, own)


def ended(process: subprocess.Popen) -> dict[str, Any]:
    """What a child found."""
    said = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with {process.returncode}.")
    return json.loads(said.splitlines()[-1])


def first_shard(out: Path) -> dict[str, np.ndarray]:
    """Values of the first images."""
    columns = results.columns.RunColumns([storage.shard_path(out, 0)])
    return {name: columns[name] for name in (*METRICS, "id", "method")}


def gate(outs: Sequence[Path]) -> None:
    """The same first images have the same values, to the bit, in every run."""
    expected = first_shard(outs[0])
    for out in outs[1:]:
        for name, values in first_shard(out).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=name)


def main(tiny: bool = False) -> dict:
    sizes = TINY_SIZES if tiny else SIZES
    each, shard = (TINY_EACH, TINY_SHARD) if tiny else (EACH, SHARD)
    cores = sorted(os.sched_getaffinity(0))[-_timing.CORES :]
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        outs = []
        memory = ended(started(["memory", 32 if tiny else IN_MEMORY], cores))["ms"]
        for images in sizes:
            outs.append(Path(scratch) / str(images))
            found = ended(started(["run", images, shard, outs[-1], 0, 1], cores))
            case = {"images": images, "processes": 1, "cores": len(cores)}
            lines.append(
                {"case": case, **found, "utilisation": min(1.0, memory / found["ms"])}
            )
        for count in range(1, len(cores) + 1):
            outs.append(Path(scratch) / f"shares-{count}")
            both = [
                started(["run", each * count, shard, outs[-1], i, count], [cores[i]])
                for i in range(count)
            ]
            found = [ended(process) for process in both]
            case = {"images": each * count, "processes": count, "cores": count}
            slowest = max(found, key=lambda one: one["ms"])
            lines.append({"case": case, **slowest})
        gate(outs)
    small, large = lines[0], lines[len(sizes) - 1]
    alone = lines[len(sizes)]
    for line in lines[len(sizes) :]:
        line["weak_scaling"] = alone["ms"] / line["ms"]
    lines.append(
        {
            "case": {"largest over smallest": sizes[-1] // sizes[0]},
            "cost": large["ms"] / small["ms"],
            "loop_memory": large["loop_peak_mb"] / small["loop_peak_mb"],
            "memory": large["peak_mb"] / small["peak_mb"],
            "at most": MOST_MEMORY,
        }
    )
    return _timing.report("scaling", lines, tiny=tiny)


def child(arguments: Sequence[str]) -> dict[str, float]:
    """What a process of the benchmark does."""
    if arguments[0] == "memory":
        return {"ms": in_memory_ms(int(arguments[1]))}
    images, shard, out, index, count = arguments[1:]
    return run_one(int(images), int(shard), Path(out), (int(index), int(count)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small and unrecorded")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(given.child)))
    else:
        for line in main(tiny=given.tiny)["results"]:
            print(line)
