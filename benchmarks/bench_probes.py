"""What does asking the model cost beside its forward pass, and beside the peers?

    JAXCAM_BENCH_CORES=2 python -m benchmarks.bench_probes --peers PYTHON

`PYTHON`, or the environment variable `JAXCAM_METHOD_PEERS`, is the interpreter of an
environment with torch, torchvision and grad-cam; without it our own sides alone run.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it pins the process before JAX starts.

# isort: on
import argparse
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxcam
from benchmarks import _peers
from jaxcam import _compiling, models, ops, probes

NET = "squeezenet1_1"
CURVES, SHARE, ROAD, SHARED = (2, 3), (0.85, 0.95), (20, 100), (1.5, 2)
MEMORY = 1.05
"""Growth of the peak when the images double that counts as none."""

PEAK = """
import resource, sys
import jaxcam
model = jaxcam.models.load("shapes_net")
data = jaxcam.data.open_dataset("shapes")
jaxcam.evaluate(
    model, data, methods=["cam"], limit=int(sys.argv[1]), batch_size=8,
    metrics=["insertion[steps=8]", "deletion[steps=8]", "road[levels=2]"],
)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def entry(question, compared, ours, theirs, aims=(None, None), **case):
    return _timing.entry(
        {"question": question, **case},
        compared,
        ours=ours,
        theirs=theirs,
        target=aims[0],
        aim=aims[1],
    )


def curves_program(model, steps: int):
    """Insertion and deletion of a batch, as an evaluation runs them."""

    @_compiling.jit_network
    def run(params, x, saliency):
        batch, side = x.shape[0], x.shape[1]
        black = jnp.zeros((batch, 3))
        given = (
            functools.partial(lambda p, x: model.apply(p, x)[0], params),
            x,
            black,
            black + 1,
            saliency,
            jnp.ones((batch, side, side), bool),
            jnp.zeros(batch, jnp.int32),
            jnp.full(batch, 0.5),
            jax.random.split(jax.random.key(0), batch),
        )
        inserted = probes.insertion_scores(*given, steps=steps)["insertion_scores"]
        deleted = probes.deletion_scores(*given, steps=steps)["deletion_scores"]
        return inserted, deleted

    return run


def check_curves(model, run, x, saliency, steps: int) -> None:
    """Two points of the deletion curve against their definition."""
    deleted = np.asarray(run(model.params, x, saliency)[1])
    for i in (0, len(x) - 1):
        order = np.argsort(-np.asarray(saliency[i]).ravel(), kind="stable")
        for point in (steps // 4, steps):
            now = np.array(x[i]).reshape(-1, 3)
            now[order[: point * len(order) // steps]] = 0.0
            logits = model.apply(model.params, now.reshape(1, *x.shape[1:]))[0]
            expected = jax.nn.softmax(logits)[0, 0]
            np.testing.assert_allclose(deleted[i, point], expected, rtol=1e-3)


def curves(tiny: bool, peers: _peers.Peers | None) -> Iterator[dict]:
    batch, side, steps, rounds = (2, 64, 8, 2) if tiny else (4, 224, 224, 2)
    model = models.load(NET, weights="random")
    x = jax.random.normal(jax.random.key(0), (batch, side, side, 3))
    saliency = jax.random.uniform(jax.random.key(1), (batch, side, side))
    run = curves_program(model, steps)
    check_curves(model, run, x, saliency, steps)
    forward = _compiling.jit_network(lambda params, x: model.apply(params, x)[0])

    def bare():
        return [forward(model.params, x) for _ in range(2 * (steps + 1))]

    ours = functools.partial(run, model.params, x, saliency)
    case = {"net": NET, "batch": batch, "side": side, "steps": steps}
    compared = _timing.compare(ours, bare, rounds=rounds)
    question = "insertion and deletion, as many bare forward passes"
    yield entry(question, compared, batch, batch, SHARE, **case)
    if peers is not None:
        theirs = functools.partial(peers.ask, f"curves {NET} {side} {steps}")
        compared = _timing.compare(ours, theirs, rounds=rounds)
        question = "insertion and deletion, a torch loop over steps"
        yield entry(question, compared, batch, 1, CURVES, **case)


def imputation(tiny: bool, peers: _peers.Peers | None) -> Iterator[dict]:
    """Nine shares removed from photograph-like images by CAM-like maps."""
    images, side, rounds = (1, 48, 2) if tiny else (4, 224, 3)
    rng = np.random.default_rng(0)
    pictures = np.stack(
        [
            np.stack([_timing.upsampled_noise(rng, 28, side) for _ in range(3)], -1)
            for _ in range(images)
        ]
    )
    maps = np.stack([_timing.upsampled_noise(rng, 13, side) for _ in range(images)])
    places = np.argsort(np.argsort(-maps.reshape(images, -1), axis=1), axis=1)
    counts = np.rint(np.arange(1, 10) * side * side / 10)
    removed = (places[:, None] < counts[:, None]).reshape(images, 9, side, side)
    fill = jax.jit(jax.vmap(jax.vmap(ops.impute, (None, 0))))
    with tempfile.TemporaryDirectory() as scratch:
        path, out = Path(scratch) / "given.npz", Path(scratch) / "filled.npy"
        np.savez(path, images=pictures, removed=removed)
        if peers is None:
            return
        peers.ask(f"check {path} {out}")
        filled = np.asarray(fill(pictures, removed)).reshape(-1, side, side, 3)
        np.testing.assert_allclose(filled, np.load(out), atol=0.02)
        given = jax.device_put((pictures, removed))
        compared = _timing.compare(
            lambda: fill(*given), lambda: peers.ask(f"impute {path}"), rounds=rounds
        )
    yield entry(
        "ROAD's imputation, pytorch-grad-cam's sparse solve",
        compared,
        images,
        images,
        ROAD,
        images=images,
        side=side,
        shares=9,
    )


def shared_probes(tiny: bool) -> Iterator[dict]:
    """The default suite's metrics that ask the model, together and one by one."""
    count, rounds = (4, 2) if tiny else (96, 3)
    model = models.load(NET, weights="random")
    dataset = jaxcam.data.open_dataset("shapes")
    metrics = ("average_drop", "average_increase", "saliency_metric")

    def run(*names):
        options = {"methods": ["cam"], "limit": count, "batch_size": min(16, count)}
        return len(jaxcam.evaluate(model, dataset, metrics=names, **options))

    compared = _timing.compare(
        lambda: run(*metrics), lambda: [run(name) for name in metrics], rounds=rounds
    )
    question = "metrics of the default suite that ask the model, one by one"
    yield entry(question, compared, count, count, SHARED, net=NET, images=count)


def memory(tiny: bool) -> Iterator[dict]:
    """Peak memory of a process that evaluates twice as many images."""
    count = 16 if tiny else 256
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", PEAK, str(images)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for images in (count, 2 * count)
    ]
    yield {
        "case": {"question": "peak memory at twice the images", "images": count},
        "MiB": [round(peak / 1024) for peak in peaks],
        "growth": peaks[1] / peaks[0],
        "at most": MEMORY,
    }


def main(tiny: bool = False, peers: str | None = None) -> dict:
    peers = peers or os.environ.get("JAXCAM_METHOD_PEERS")
    with _peers.started(peers, "peers_probes.py") as libraries:
        parts = (
            imputation(tiny, libraries),
            shared_probes(tiny),
            memory(tiny),
            curves(tiny, libraries),
        )
        results = []
        for result in itertools.chain(*parts):
            print(json.dumps(result), flush=True)
            results.append(result)
        versions = libraries.versions if libraries else {}
    return _timing.report("probes", results, tiny=tiny, versions=versions)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small and unrecorded")
    parser.add_argument("--peers", help="interpreter with the peer libraries")
    options = parser.parse_args()
    main(options.tiny, options.peers)
