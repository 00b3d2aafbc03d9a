"""What do explanations cost beside the bare forward pass, and beside the peers?

    JAXCAM_BENCH_CORES=2 python -m benchmarks.bench_methods --peers PYTHON

`PYTHON`, or the environment variable `JAXCAM_METHOD_PEERS`, is the interpreter of an
environment with torch, torchvision, grad-cam and torchcam; without it our own sides
alone run. The peers' process has the same cores and as many threads.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it pins the process before JAX starts.

# isort: on
import argparse
import functools
import json
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import _peers
from jaxcam import _compiling, methods, models

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

# (net, library): least ratio asked for, and hoped for, of Grad-CAM.
TARGETS = {
    ("resnet50", "pytorch-grad-cam"): (3, 5),
    ("resnet50", "torch-cam"): (1, 1.5),
    ("mobilenet_v2", "torch-cam"): (1, 1.5),
}
FORWARD, TOGETHER, SCORE_CAM = (0.9, 0.97), (5, 10), (1.1, 2)


def program(model, requests: tuple[str, ...], batch: int) -> Callable:
    keys = jax.random.split(jax.random.key(0), batch)

    @_compiling.jit_network
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


def lines(name: str, batch: int, side: int, rounds: int, peers: _peers.Peers | None):
    """One line a question about one network."""
    model = models.load(name, weights="random")
    x = jax.random.normal(jax.random.key(0), (batch, side, side, 3))
    check(model, x[:2])
    case = {"net": name, "batch": batch, "side": side}

    def line(question, ours, theirs, aims=(None, None), compiled=None):
        compared = _timing.compare(ours, theirs, rounds=rounds, compiled=compiled)
        return _timing.entry(
            {"question": question, **case},
            compared,
            ours=batch,
            theirs=batch,
            target=aims[0],
            aim=aims[1],
        )

    def call(run):
        return functools.partial(run, model.params, x)

    forward = _compiling.jit_network(lambda params, x: model.apply(params, x)[0])
    one = program(model, ("grad_cam",), batch)
    compiled = (one, model.params, x)
    yield line("grad_cam, bare forward", call(one), call(forward), FORWARD, compiled)

    ten = program(model, TEN, batch)
    if name == NETS[0]:  # Compiling ten programs of a large network takes minutes.
        each = [call(program(model, (method,), batch)) for method in TEN]

        def one_by_one():
            return [run() for run in each]

        yield line("ten methods, ten calls", call(ten), one_by_one)
    if peers is None:
        return

    def theirs(library, method):
        peers.ask(f"{library} {name} {method} {batch} {side}")

    for library in ("pytorch-grad-cam", "torch-cam"):
        other = functools.partial(theirs, library, "grad_cam")
        aims = TARGETS.get((name, library), (None, None))
        yield line(f"grad_cam, {library}", call(one), other, aims)

    def ten_of_theirs():
        for library, method in PEERS_TEN:
            theirs(library, method)

    yield line("ten methods, ten peers' calls", call(ten), ten_of_theirs, TOGETHER)


def score_cam(side: int, rounds: int, peers: _peers.Peers):
    """Channels without a map are skipped on our side alone; the case has the live."""
    model = models.load("squeezenet1_1", weights="random")
    x = jax.random.normal(jax.random.key(0), (1, side, side, 3))
    layer = model.default_layer
    kept = model.apply(model.params, x, keep=(layer,))[1][layer]
    live = int(jnp.sum(jnp.ptp(kept, axis=(0, 1, 2)) > 0))
    run = program(model, ("score_cam",), 1)
    compared = _timing.compare(
        lambda: run(model.params, x),
        lambda: peers.ask(f"pytorch-grad-cam squeezenet1_1 score_cam 1 {side}"),
        rounds=rounds,
    )
    case = {"question": "score_cam, pytorch-grad-cam", "net": "squeezenet1_1"}
    case |= {"live channels": live, "batch": 1, "side": side}
    target, aim = SCORE_CAM
    return _timing.entry(case, compared, ours=1, theirs=1, target=target, aim=aim)


def main(tiny: bool = False, peers: str | None = None) -> dict:
    peers = peers or os.environ.get("JAXCAM_METHOD_PEERS")
    nets, batch, side, rounds = NETS, 16, 224, 5
    if tiny:
        nets, batch, side, rounds = NETS[:1], 2, 64, 2
    results = []
    with _peers.started(peers, "peers_methods.py") as libraries:
        for name in nets:
            fewer = 3 if name == "resnet50" else rounds
            for result in lines(name, batch, side, min(rounds, fewer), libraries):
                print(json.dumps(result), flush=True)
                results.append(result)
        if libraries is not None:
            results.append(score_cam(side, max(2, rounds // 2), libraries))
        versions = libraries.versions if libraries else {}
    return _timing.report("methods", results, tiny=tiny, versions=versions)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small and unrecorded")
    parser.add_argument("--peers", help="interpreter with the peer libraries")
    options = parser.parse_args()
    print(json.dumps(main(options.tiny, options.peers).get("peers", {})))
