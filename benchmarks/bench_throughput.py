"""How many images a second, and what takes the time: input, model, probes, scores?

    python -m benchmarks.bench_throughput [--networks resnet50 --batches 64]

The default suite of CAM, Grad-CAM, the floors and the ceiling, on JPEG files and PNG
masks: fourteen columns, three of which ask the model again about each of seven maps.
Each stage is timed alone on inputs that lie on the device, then the whole run is,
compiled beforehand; the device is busy for the share of the run that its three stages
take alone. Where `nvidia-smi` answers, its own count is sampled beside it. Suites that
need no model are timed apart. The gate: columns equal those of loops over
pixels.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it decides the cores before JAX starts.

# isort: on
import argparse
import contextlib
import itertools
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxcam
from benchmarks import bench_evaluate_loop, bench_paper_columns
from jaxcam import _devices, evaluation, plan, programs

METHODS = ("cam", "grad_cam")
CPU = {
    "networks": ("squeezenet1_1",),
    "batches": (16,),
    "precisions": ("highest",),
    "images": 128,
    "suites": (("model_free", 64),),
}
ACCELERATOR = {
    "networks": ("squeezenet1_1", "resnet50"),
    "batches": (64,),
    "precisions": ("highest", "fast"),
    "images": 2048,
    "suites": (("model_free", 64), ("model_free", 512), ("paper", 512)),
}


@contextlib.contextmanager
def utilisation() -> Iterator[list[float]]:
    """Samples of the share of time in which any kernel ran, as the driver counts it."""
    found: list[float] = []
    if shutil.which("nvidia-smi") is None:
        yield found
        return
    query = [
        "nvidia-smi",
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
    ]
    watcher = subprocess.Popen(
        [*query, "-lms", "100"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield found
    finally:
        watcher.terminate()
        lines = watcher.communicate()[0].split()
        found += [float(line) / 100 for line in lines if line.isdigit()]


def seconds(call: Callable[[], Any], rounds: int) -> float:
    """Median of finished calls, after one that compiles."""
    jax.block_until_ready(call())
    return statistics.median(_timing.seconds(call) for _ in range(rounds))


def run_of(model: Any, dataset: Any, batch: int, precision: str) -> evaluation._Run:
    """The programs of an evaluation, as `jaxcam.evaluate` makes them."""
    settings = evaluation.Settings(
        methods=(*METHODS, *jaxcam.registry.floors()),
        metrics=plan.expand_suites(["default"]),
        precision=precision,
    )
    return evaluation._Run(model, dataset, settings, len(dataset), batch, 512, 0, True)


def gate(
    run: evaluation._Run, shared: dict[str, Any], placed: Any, values: dict[str, Any]
) -> None:
    """Columns of two images equal those of loops over pixels."""
    looped = set(plan.expand_suites(["paper"])) & set(values)
    for image in (0, 1):
        saliency = np.maximum(np.asarray(placed[0, image]), 0)
        saliency = saliency / saliency.max()
        truth = np.asarray(shared["mask"][image])
        expected = bench_paper_columns.loop(saliency.tolist(), truth.tolist())
        for name in looped:
            actual = np.asarray(values[name][0, image])
            np.testing.assert_allclose(actual, expected[name], rtol=1e-3, atol=1e-3)
    if not looped:
        raise ValueError("The gate has no column to look at.")


def stages(run: evaluation._Run, rounds: int) -> dict[str, float]:
    """Milliseconds an image of each stage of a batch, alone, on data of the device."""
    batch = next(iter(stream(run)))
    truth, images, answer, maps = run.explained(batch)
    rows = len(batch["index"])
    place = programs.place_program(
        run.requests, batch["frame"].shape[1:], whole=run.whole, method=run.resize
    )
    extent = _devices.split(batch["extent"])
    placed, _ = place(maps, extent)
    shared = truth | {name: answer[name] for name in programs.ANSWERS}
    inputs = programs.model_inputs(run.model, images)
    asked = run.ask(run.params, inputs, shared, placed)
    gate(run, shared, placed, run.score(shared, placed, asked))
    forward = jax.jit(lambda params, x: run.model.apply(params, x)[0])
    calls = {
        "forward pass": lambda: forward(run.params, inputs["x"]),
        "explanations": lambda: run.explained(batch),
        "probes": lambda: run.ask(run.params, inputs, shared, placed),
        "scores": lambda: run.score(shared, place(maps, extent)[0], asked),
    }
    return {name: 1e3 * seconds(call, rounds) / rows for name, call in calls.items()}


def stream(run: evaluation._Run, workers: int = 0) -> Iterator[dict[str, Any]]:
    """The run's batches, as it reads them."""
    return jaxcam.data.batches(
        run.dataset, size=run.model.input.size, batch_size=run.rows, workers=workers
    )


def input_alone(run: evaluation._Run, workers: int) -> dict[str, float]:
    """Reading and decoding, nothing else running: until it runs, and an image then."""
    times, counts = [time.perf_counter()], [0]
    for batch in stream(run, workers):
        times.append(time.perf_counter())
        counts.append(int(np.sum(batch["index"] >= 0)))
    steady = 1e3 * (times[-1] - times[1]) / max(1, sum(counts[2:]))
    return {"start_s": times[1] - times[0], "ms": steady}


def whole_run(run: evaluation._Run, workers: int, rounds: int) -> dict[str, Any]:
    """Milliseconds an image of `jaxcam.evaluate`, whose programs are compiled."""
    timed = []
    with utilisation() as busy:
        for _ in range(rounds):
            start = time.perf_counter()
            jaxcam.evaluate(
                run.model,
                run.dataset,
                methods=METHODS,
                batch_size=run.batch_size,
                precision=run.settings.precision,
                workers=workers,
            )
            timed.append(1e3 * (time.perf_counter() - start) / len(run.dataset))
    ms = statistics.median(timed)
    return {
        "ms": ms,
        "spread": (max(timed) - min(timed)) / ms,
        "driver's utilisation": statistics.mean(busy) if busy else None,
    }


def measure(
    model: Any,
    dataset: Any,
    batch: int,
    precision: str,
    workers: Sequence[int],
    rounds: int,
) -> dict[str, Any]:
    """One line: a network at one batch size and precision."""
    run = run_of(model, dataset, batch, precision)
    start = time.perf_counter()
    with evaluation.matmul_precision(precision):
        alone = stages(run, 3 * rounds)
    named = {n: f"{n} processes" if n else "threads" for n in workers}
    reading = {named[n]: input_alone(run, n) for n in workers}
    first = time.perf_counter()
    jaxcam.evaluate(
        model,
        dataset,
        methods=METHODS,
        batch_size=batch,
        precision=precision,
        limit=run.rows,
    )
    whole = {named[n]: whole_run(run, n, rounds) for n in workers}
    device = sum(alone[stage] for stage in ("explanations", "probes", "scores"))
    best = min(line["ms"] for line in whole.values())
    return {
        "case": {
            "network": model.name,
            "precision": precision,
            "images": len(dataset),
            "batch": run.rows,
        },
        "images_per_s": 1e3 / best,
        "ms": alone,
        "device_ms": device,
        "input": reading,
        "whole": whole,
        "utilisation": device / best,
        "until_warm_s": first - start,
    }


def suite(name: str, batch: int, rounds: int) -> dict[str, Any]:
    """One line: a suite on maps that are there, without a model."""
    maps, masks = bench_paper_columns.inputs(batch, bench_paper_columns.SIDE)
    given = bench_paper_columns.shared_fields(masks), np.asarray(maps)[None]
    given = jax.device_put(given)
    columns = plan.resolve_all(plan.expand_suites([name]))
    program = plan.score_program(columns)
    start = time.perf_counter()
    jax.block_until_ready(program(*given))
    compile_s = time.perf_counter() - start
    ms = 1e3 * seconds(lambda: program(*given), rounds) / batch
    case = {"suite": name, "columns": len(columns), "maps": batch}
    return {"case": case, "ms": ms, "maps_per_s": 1e3 / ms, "first_call_s": compile_s}


def main(tiny: bool = False, **options: Any) -> dict:
    on_cpu = jax.default_backend() == "cpu"
    chosen = {**(CPU if on_cpu else ACCELERATOR), **options}
    if tiny:
        chosen = {**CPU, "batches": (8,), "images": 8, "suites": ()}
    workers = (0,) if on_cpu or tiny else (0, min(8, _timing.CORES))
    rounds = 1 if tiny else 2
    results = [suite(*wanted, 3 * rounds) for wanted in chosen["suites"]]
    with tempfile.TemporaryDirectory() as scratch:
        bench_evaluate_loop.write_folder(Path(scratch), chosen["images"])
        dataset = jaxcam.data.open_dataset(scratch)
        for name in chosen["networks"]:
            model = jaxcam.models.load(name, weights="random")
            for batch, precision in itertools.product(
                chosen["batches"], chosen["precisions"]
            ):
                line = measure(model, dataset, batch, precision, workers, rounds)
                results.append(line)
                # What was measured is kept, whatever comes.
                made = _timing.report("throughput", results, tiny=tiny)
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small and unrecorded")
    parser.add_argument("--networks", nargs="+")
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--images", type=int)
    given = {k: v for k, v in vars(parser.parse_args()).items() if v}
    for line in main(**given)["results"]:
        print(line)
