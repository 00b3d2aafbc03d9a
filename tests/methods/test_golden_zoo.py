"""Maps of the peer libraries on the zoo's own networks, made by `make_methods.py`.

Here the converter, the network and the method are all ours; `test_golden.py` takes the
networks from their descriptions.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import _spec, methods, models

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

# (request, library, the library's name of the method)
ALIKE = [
    ("grad_cam", "pytorch-grad-cam"),
    ("xgrad_cam", "pytorch-grad-cam"),
    ("layer_cam", "pytorch-grad-cam"),
    ("hires_cam", "pytorch-grad-cam"),
    ("grad_cam_elementwise", "pytorch-grad-cam"),
    ("ablation_cam[relative=true]", "pytorch-grad-cam"),
    ("shapley_cam", "pytorch-grad-cam"),
    ("finer_cam", "pytorch-grad-cam"),
    ("grad_cam", "torch-cam"),
    ("xgrad_cam", "torch-cam"),
    ("layer_cam", "torch-cam"),
    ("finer_cam[variant=mean]", "torch-cam"),
]


def explained(model, x, golden, requests):
    """Logits, and each request's maps."""

    @jax.jit
    def program(params, x):
        targets = jnp.asarray(golden["classes"].astype(np.int32))
        return methods.explain_batch(
            model,
            params,
            x,
            lambda logits: targets,
            requests,
            keys=jax.random.split(jax.random.key(0), len(x)),
        )

    logits, _, maps = jax.device_get(program(model.params, x))
    return logits, maps


def at(request, layer):
    """The request with its layer, as it is labelled."""
    request = _spec.parse(request)
    return str(_spec.Request(request.name, (*request.options, ("layer", layer))))


def check(model, x, golden, layers, tolerance, *, known_wrong=()):
    """`layers` by the peers' names and ours; peers rectify before they show a map."""
    wanted = {
        (at(request, ours), f"{theirs}/{library}/{_spec.parse(request).name}")
        for theirs, ours in layers.items()
        for request, library in ALIKE
    }
    logits, maps = explained(model, x, golden, sorted({r for r, _ in wanted}))
    np.testing.assert_allclose(
        logits, golden["logits"], atol=tolerance * np.abs(golden["logits"]).max()
    )
    errors = {}
    for request, key in sorted(wanted):
        scale = np.abs(golden[key]).max() or 1.0  # It may be positive nowhere.
        error = np.abs(maps[request].clip(0) - golden[key].clip(0)).max()
        if key not in known_wrong:
            errors[key] = float(error / scale)
    assert max(errors.values()) < tolerance, errors


def drawn_weights(shapes):
    """Arrays for a torch state dict, as `make_methods.py` draws them."""
    rng = np.random.default_rng(7)
    arrays = {}
    for name, shape in shapes:
        leaf = name.rpartition(".")[2]
        if len(shape) == 2:
            value = rng.normal(0, 0.01, shape)
        elif len(shape) == 4:
            value = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        elif leaf in ("running_mean", "bias"):
            value = rng.normal(0, 0.3, shape)
        else:
            value = rng.uniform(0.5, 1.5, shape)
        arrays[name] = value.astype(np.float32)
    return arrays


@pytest.mark.slow
def test_a_random_resnet18_with_random_statistics(tmp_path):
    golden = dict(np.load(GOLDEN / "methods_resnet18_random.npz"))
    shapes = json.loads(str(golden["shapes"]))
    np.savez(tmp_path / "weights.npz", **drawn_weights(shapes))
    model = models.load("resnet18", weights=tmp_path / "weights.npz")
    x = np.random.default_rng(8).normal(size=(2, 96, 96, 3)).astype(np.float32)
    layers = {"layer3": "layer3", "layer4": "layer4"}
    check(model, jnp.asarray(x), golden, layers, 2e-4)


@pytest.mark.slow
def test_a_trained_mobilenet_v2(shared_dir):
    """At a layer with negative values pytorch-grad-cam's ablation is known to be wrong.

    It sets the channel to the smallest value of all less 1e7 there, not to zero.
    """
    golden = dict(np.load(GOLDEN / "methods_mobilenet_v2.npz"))
    folder = shared_dir / "weights" / "mobilenet_v2_1.0_224"
    model = models.load("mobilenet_v2", weights=folder / "mobilenet_v2_1.0_224.npz")
    images = np.load(folder / "reference.npz")
    image = images[next(k for k in images.files if images[k].dtype == np.uint8)][:1]
    layers = {"add46": "features.13", "conv51": "features.18"}
    wrong = ("add46/pytorch-grad-cam/ablation_cam",)
    check(model, model.preprocess(image), golden, layers, 1e-3, known_wrong=wrong)


def test_score_cam_where_ways_to_upsample_do_not_differ(shared_dir):
    """The layer is as large as the image. The peer has the paper's variant.

    Its softmax runs over the channels without a map too, which scales the whole.
    """
    golden = dict(np.load(GOLDEN / "methods_score_cam.npz"))
    folder = shared_dir / "weights" / "resnet20_cifar10"
    model = models.load("resnet20", weights=folder / "resnet20_cifar10.npz")
    images = np.load(folder / "reference.npz")
    image = images[next(k for k in images.files if images[k].dtype == np.uint8)][:2]
    request = at("score_cam[variant=paper]", "layer1")
    x = model.preprocess(image)
    logits, maps = explained(model, x, golden, [request])
    np.testing.assert_allclose(logits, golden["logits"], atol=1e-3)
    theirs = golden["layer1.2.out/pytorch-grad-cam/score_cam"].clip(0)
    for actual, expected in zip(maps[request], theirs, strict=True):
        shares = actual / actual.max(), expected / expected.max()
        np.testing.assert_allclose(*shares, atol=1e-4)


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.glob("methods_*.npz")), ids=lambda p: p.stem
)
def test_every_file_says_what_made_it(path):
    versions = json.loads(str(np.load(path)["versions"]))
    assert {"torch", "grad-cam", "torchcam", "captum"} <= set(versions)
    assert path.stat().st_size < 100_000
