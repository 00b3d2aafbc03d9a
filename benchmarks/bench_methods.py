"""What do explanations cost beside the bare forward pass, and beside the peers?

    python -m benchmarks.bench_methods [--peers PYTHON] [--rounds 7] [--batch 16]

Every comparison alternates the two sides, call by call, and reports the median of the
ratios, so that a busy machine slows both. `PYTHON` is the interpreter of an environment
with the peer libraries (see `peers_methods.py`); without it only our own sides run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import methods, models

TEN = (
    "grad_cam",
    "grad_cam_plus_plus",
    "grad_cam_plus_plus[variant=eq19]",
    "xgrad_cam",
    "layer_cam",
    "hires_cam",
    "grad_cam_elementwise",
    "eigen_grad_cam",
    "gradient",
    "input_x_gradient",
)
PEERS_TEN = (
    ("pytorch-grad-cam", "grad_cam"),
    ("pytorch-grad-cam", "grad_cam_plus_plus"),
    ("pytorch-grad-cam", "xgrad_cam"),
    ("pytorch-grad-cam", "layer_cam"),
    ("pytorch-grad-cam", "hires_cam"),
    ("pytorch-grad-cam", "grad_cam_elementwise"),
    ("pytorch-grad-cam", "eigen_grad_cam"),
    ("torch-cam", "grad_cam"),
    ("torch-cam", "xgrad_cam"),
    ("torch-cam", "layer_cam"),
)
NETS = ("squeezenet1_1", "mobilenet_v2", "resnet50")


@dataclasses.dataclass
class Peers:
    """Peer libraries behind a pipe."""

    process: subprocess.Popen

    @classmethod
    def start(cls, python: str) -> Peers:
        """Starts the interpreter of the peers' environment."""
        script = Path(__file__).with_name("peers_methods.py")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return cls(subprocess.Popen([python, str(script)], **pipes))

    def seconds(self, library: str, net: str, method: str, batch: int) -> float:
        """Seconds of one call there."""
        self.process.stdin.write(f"{library} {net} {method} {batch}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def timed(fn: Callable, *arguments) -> Callable[[], float]:
    """Seconds of one finished call; the first call, which compiles, is not timed."""
    jax.block_until_ready(fn(*arguments))

    def run() -> float:
        start = time.perf_counter()
        jax.block_until_ready(fn(*arguments))
        return time.perf_counter() - start

    return run


def compare(
    ours: Callable[[], float], other: Callable[[], float], rounds: int, batch: int
) -> dict:
    """Alternates the two sides; the ratio is how much longer the other one takes."""
    other()
    pairs = [(ours(), other()) for _ in range(rounds)]
    ratios = sorted(b / a for a, b in pairs)
    return {
        "images_per_s": batch / statistics.median(a for a, _ in pairs),
        "other_images_per_s": batch / statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios),
        "ratio_low": ratios[0],
        "ratio_high": ratios[-1],
        "rounds": rounds,
    }


def program(model, requests: tuple[str, ...], batch: int) -> Callable:
    keys = jax.random.split(jax.random.key(0), batch)

    @jax.jit
    def run(params, x):
        return methods.explain_batch(
            model,
            params,
            x,
            lambda logits: jnp.zeros(batch, jnp.int32),
            requests,
            keys=keys,
        )[2]

    return run


def check(model, x) -> None:
    """Grad-CAM against its definition, before anything is timed."""
    layer = model.default_layer
    a = model.apply(model.params, x, keep=(layer,))[1][layer]

    def score(a):
        edit = {layer: lambda _: a}
        return model.apply(model.params, x, edit=edit)[0][:, 0].sum()

    weights = jax.grad(score)(a).mean((1, 2), keepdims=True)
    expected = jax.nn.relu((weights * a).sum(-1))
    actual = program(model, ("grad_cam",), len(x))(model.params, x)["grad_cam"]
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-5 * expected.max())


def cases(name: str, batch: int, rounds: int, peers: Peers | None):
    model = models.load(name, weights="random")
    x = jax.random.normal(jax.random.key(0), (batch, *model.input.size, 3))
    check(model, x[:2])
    forward = jax.jit(lambda params, x: model.apply(params, x)[0])
    bare = timed(forward, model.params, x)
    one = timed(program(model, ("grad_cam",), batch), model.params, x)
    yield "grad_cam over the bare forward pass", compare(one, bare, rounds, batch)

    ten = timed(program(model, TEN, batch), model.params, x)
    each = [timed(program(model, (m,), batch), model.params, x) for m in TEN]
    together = compare(ten, lambda: sum(run() for run in each), rounds, batch)
    yield "ten methods in one call over ten calls", together
    if peers is None:
        return
    for library in ("pytorch-grad-cam", "torch-cam"):

        def theirs(library=library):
            return peers.seconds(library, name, "grad_cam", batch)

        yield f"grad_cam over {library}", compare(one, theirs, rounds, batch)

    def ten_of_theirs():
        return sum(peers.seconds(lib, name, m, batch) for lib, m in PEERS_TEN)

    yield (
        "ten methods in one call over the peers' ten",
        compare(ten, ten_of_theirs, max(2, rounds // 3), batch),
    )


def score_cam_case(weights: str, rounds: int, peers: Peers | None):
    model = models.load("squeezenet1_1", weights=weights)
    x = jax.random.normal(jax.random.key(0), (1, *model.input.size, 3))
    ours = timed(program(model, ("score_cam",), 1), model.params, x)
    if peers is None:
        return {"images_per_s": 1 / statistics.median(ours() for _ in range(rounds))}

    def theirs():
        return peers.seconds("pytorch-grad-cam", "squeezenet1_1", "score_cam", 1)

    return compare(ours, theirs, rounds, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="interpreter with the peer libraries")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--score-cam-weights", help="squeezenet1_1 weights")
    parser.add_argument("--out", help="JSON file to write")
    options = parser.parse_args()
    peers = Peers.start(options.peers) if options.peers else None
    records = []
    for name in options.nets.split(","):
        for question, result in cases(name, options.batch, options.rounds, peers):
            records.append({"net": name, "question": question, **result})
            print(json.dumps(records[-1]), flush=True)
    if options.score_cam_weights:
        result = score_cam_case(options.score_cam_weights, 3, peers)
        records.append({"net": "squeezenet1_1", "question": "score_cam", **result})
        print(json.dumps(records[-1]), flush=True)
    if options.out:
        about = {
            "device": jax.devices()[0].device_kind,
            "cores": len(os.sched_getaffinity(0)),
            "platform": platform.platform(),
            "jax": jax.__version__,
            "batch": options.batch,
        }
        text = json.dumps({"about": about, "records": records}, indent=1)
        Path(options.out).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
