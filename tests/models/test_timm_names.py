"""Names of timm's state dicts against torchvision's, whole, and weights under them."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from jaxcam import models
from jaxcam.models import catalogue, convert, files, loading, pretrained, timm_names
from tests.golden import zoo_weights

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "zoo.npz"
FORMS = {
    "mobilenet_v2": timm_names.mobilenet_v2,
    "mobilenet_v3_small": timm_names.mobilenet_v3,
    "mobilenet_v3_large": timm_names.mobilenet_v3,
    "efficientnet_b0": timm_names.efficientnet,
    "convnext_tiny": timm_names.convnext,
    "vit_b_16": timm_names.vision_transformer,
    "vgg11_bn": timm_names.vgg,
}


@pytest.fixture(scope="module")
def shapes():
    """Shapes by name of the state dicts of torchvision and, under `.timm`, of timm."""
    return json.loads(str(np.load(GOLDEN)["about"]))["shapes"]


def hollow(shapes):
    """Arrays that take no memory."""
    return {name: np.broadcast_to(np.float32(0), s) for name, s in shapes.items()}


@pytest.mark.parametrize("network", FORMS)
def test_every_name_becomes_one_of_torchvisions(network, shapes):
    found = FORMS[network](hollow(shapes[f"{network}.timm"]))
    expected = {name: tuple(shape) for name, shape in shapes[network].items()}
    assert set(found) == set(expected)
    for name, array in found.items():
        # A head that is a convolution in timm has two sides of one more.
        assert array.shape[: len(expected[name])] == expected[name], name
        assert set(array.shape[len(expected[name]) :]) <= {1}, name


@pytest.mark.parametrize("network", FORMS)
def test_the_form_is_told_by_its_names_alone(network, shapes):
    row = catalogue.ROWS[network]
    timms = loading._source(row, shapes[f"{network}.timm"], {})
    assert timms.adapt is FORMS[network]
    assert loading._source(row, shapes[network], {}) is None
    assert timms.sign in {weights.form for weights in pretrained.of(network)}


def test_xception_has_timms_names_itself(shapes):
    """Those of legacy_xception, whose row it has."""
    (row,) = pretrained.of("xception")
    assert row.repository == "timm/legacy_xception.tf_in1k"
    assert row.form is None
    rename = convert.torch_names({})
    places = [rename(name, a) for name, a in hollow(shapes["xception"]).items()]
    module = nnx.eval_shape(lambda: catalogue.ROWS["xception"].build(nnx.Rngs(0)))
    wanted = loading._by_name(nnx.split(module)[1])
    assert {place[0] for place in places if place is not None} == set(wanted)


@pytest.fixture(scope="module")
def small(shapes, tmp_path_factory):
    """MobileNetV3 from a file of timm's names."""
    drawn = zoo_weights.state_dict(shapes["mobilenet_v3_small.timm"], 2.0)
    path = tmp_path_factory.mktemp("timm") / "model.safetensors"
    safetensors.numpy.save_file(drawn, path)
    return path, drawn


def test_a_net_of_timms_is_saved_and_read_back_with_its_constants(small, tmp_path):
    """What timm adds to variances is not what torchvision adds."""
    path, _ = small
    first = loading.read("mobilenet_v3_small", weights=path)
    again = tmp_path / "mine.safetensors"
    about = {"network": "mobilenet_v3_small", "form": first.source.sign}
    files.write(again, loading.named_arrays(first.params), about)
    second = loading.read("mobilenet_v3_small", weights=again)
    assert constants(first) == constants(second) == {1e-5}
    assert constants(loading.read("mobilenet_v3_small", weights="random")) == {1e-3}
    for name, array in loading.named_arrays(first.params).items():
        found = loading.named_arrays(second.params)[name]
        np.testing.assert_array_equal(found, array, name)


def constants(parts):
    """What the normalisations of a network add to variances."""
    module = nnx.merge(parts.structure, parts.params)
    found = [part for _, part in nnx.iter_modules(module)]
    return {part.epsilon for part in found if isinstance(part, nnx.BatchNorm)}


@pytest.mark.parametrize(
    ("network", "case", "message"),
    [
        ("mobilenet_v3_large", "whole", "are of another network"),
        ("mobilenet_v2", "whole", "are of another network"),
        ("mobilenet_v3_small", "missing", "is missing"),
        ("mobilenet_v3_small", "extra", "no place"),
    ],
)
def test_other_weights_under_such_names_are_refused(
    small, tmp_path, network, case, message
):
    _, drawn = small
    drawn = dict(drawn)
    if case == "missing":
        del drawn["blocks.1.1.bn3.running_var"]
    elif case == "extra":
        drawn["blocks.1.1.bn4.weight"] = np.zeros(3, np.float32)
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(drawn, path)
    with pytest.raises(ValueError, match=message):
        models.load(network, weights=path)
