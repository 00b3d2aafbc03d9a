"""Logits and Grad-CAM of every network against torch's, made by `make_zoo.py`.

The weights are random, and so are the statistics of batch normalisation; both sides
draw them from the names of the parameters in torch's state dict.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from jaxcam import models
from jaxcam.models import catalogue
from tests.golden import zoo_weights

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "zoo.npz"
FAST = (
    *("resnet18", "resnet20", "squeezenet1_0", "squeezenet1_1"),
    *("mobilenet_v2", "mobilenet_v2.timm", "mobilenet_v3_small.timm"),
)
TIMM = tuple(
    f"{name}.timm"
    for name in (
        *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
        *("efficientnet_b0", "convnext_tiny", "vit_b_16", "vgg11_bn"),
    )
)
"""Networks whose files on the hub have timm's names, and some timm's constants."""
NAMES = (*(name for name in catalogue.ROWS if name != "shapes_net"), *TIMM)
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(GOLDEN))


@pytest.fixture(scope="module")
def about(golden):
    return json.loads(str(golden["about"]))


def loaded(name, shapes, folder):
    """The network with the weights that torch had, by way of a file."""
    drawn = zoo_weights.state_dict(shapes, zoo_weights.gain_of(name))
    path = folder / f"{name}.safetensors"
    safetensors.numpy.save_file(drawn, path)
    model = models.load(zoo_weights.base(name), weights=path)
    path.unlink()
    return model


def explained(model, x, classes):
    """Logits, and Grad-CAM maps at the default layer with their negative parts.

    The method itself shows the positive part alone, in which half of a random map is
    lost; `tests/methods` compares it.
    """
    layer = model.default_layer

    @jax.jit
    def program(params, x):
        logits, kept = model.apply(params, x, keep=(layer,))

        def scores(activations):
            edited = model.apply(params, x, edit={layer: lambda _: activations})[0]
            return edited[0, classes[0]] + edited[1, classes[1]]

        weights = jnp.mean(jax.grad(scores)(kept[layer]), axis=(1, 2), keepdims=True)
        return logits, jnp.sum(weights * kept[layer], axis=-1)

    return jax.device_get(program(model.params, x))


def relative_error(actual, expected):
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
        for name in NAMES
    ],
)
def test_logits_and_grad_cam_are_those_of_torch(name, golden, about, tmp_path):
    model = loaded(name, about["shapes"][name], tmp_path)
    x = (zoo_weights.images(name) - model.input.mean) / model.input.std
    classes = zoo_weights.classes(name)
    logits, maps = explained(model, jnp.asarray(x, jnp.float32), classes)
    step = zoo_weights.STEP if logits.shape[1] == 1000 else 1
    errors = {
        "logits": relative_error(logits[:, ::step], golden[f"{name}/logits"]),
        "grad_cam": relative_error(maps, golden[f"{name}/grad_cam"]),
    }
    assert max(errors.values()) <= TOLERANCE, errors


@pytest.mark.parametrize("name", NAMES)
def test_images_are_prepared_as_the_published_weights_expect(name, about):
    """torch's own words for it; networks that no library publishes have none."""
    spec, network = about["specs"][name], zoo_weights.base(name)
    row = catalogue.ROWS[network].input
    if name in TIMM:
        (published,) = (
            found
            for found in models.published_weights(network)
            if found["from"].startswith("timm/")
        )
        row = published_input(published)
    if spec is None:
        assert name in ("resnet20", "resnet56", "darknet_tiny")
        return
    assert list(row.size) == spec["size"]
    assert row.interpolation == spec["interpolation"]
    np.testing.assert_allclose(row.mean, spec["mean"])
    np.testing.assert_allclose(row.std, spec["std"])
    # Libraries write the fraction rounded, as 0.9 for 224 of 248.
    resized = [round(row.size[0] / fraction) for fraction in (row.crop_fraction,)]
    assert resized == [int(spec["size"][0] / spec["crop_fraction"])]


def published_input(published):
    """What a listing says, as a network has it."""
    rows, columns = map(int, published["size"].split("x"))
    return models.InputSpec(
        size=(rows, columns),
        mean=tuple(map(float, published["mean"].split())),
        std=tuple(map(float, published["std"].split())),
        crop_fraction=rows / int(published["resized to"]),
        interpolation=published["interpolation"],
    )


def test_the_file_says_what_made_it_and_is_small(about):
    assert {"torch", "torchvision", "timm", "grad-cam"} <= set(about["versions"])
    assert set(about["shapes"]) == set(NAMES)
    assert GOLDEN.stat().st_size < 300_000
