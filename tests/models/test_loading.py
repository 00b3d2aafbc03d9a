"""Networks by name: their weights, their logits, and what is refused."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from jaxcam import models
from jaxcam.models import catalogue
from jaxcam.models.zoo import layers

SHARED = {
    "squeezenet1_1": "squeezenet1_1/squeezenet1_1.npz",
    "mobilenet_v2": "mobilenet_v2_1.0_224/mobilenet_v2_1.0_224.npz",
    "darknet_tiny": "darknet_tiny/darknet_tiny.npz",
    "resnet20": "resnet20_cifar10/resnet20_cifar10.npz",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARED)
def test_logits_of_trained_networks_are_the_published_ones(shared_dir, name):
    path = shared_dir / "weights" / SHARED[name]
    model = models.load(name, weights=path)
    reference = np.load(path.parent / "reference.npz")
    (images,) = (v for k, v in reference.items() if v.dtype == np.uint8)
    logits = jax.jit(lambda p, x: model.apply(p, model.preprocess(x))[0])(
        model.params, images
    )
    scale = np.abs(reference["logits"]).max()
    assert np.abs(logits - reference["logits"]).max() < 1e-3 * scale
    assert model.trained
    assert model.default_layer in model.layers
    assert model.cam_layer in model.layers


def torch_style(model):
    """A state dict as torch would save it, from a model's parameters."""
    state = {}
    for key, leaf in nnx.to_flat_state(model.params):
        value = np.asarray(leaf.get_value())
        module, last = ".".join(map(str, key[:-1])), key[-1]
        if last == "kernel":
            axes = (3, 2, 0, 1) if value.ndim == 4 else (1, 0)
            state[f"{module}.weight"] = np.ascontiguousarray(value.transpose(axes))
            continue
        if last == "var":
            state[f"{module}.num_batches_tracked"] = np.array(7)
        names = {"scale": "weight", "mean": "running_mean", "var": "running_var"}
        state[f"{module}.{names.get(last, last)}"] = value
    return state


@pytest.fixture(scope="module")
def random_net():
    return models.load("resnet20", weights="random", seed=3)


def test_a_torch_state_dict_gives_the_same_logits(tmp_path, random_net):
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(torch_style(random_net), path)
    again = models.load("resnet20", weights=path)
    images = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3)).astype(np.uint8)
    np.testing.assert_array_equal(again(images), random_net(images))
    assert again.provenance["file"] == "net.safetensors"
    assert len(again.provenance["weights"]) == 64


def test_random_parameters_are_stamped_and_reproducible(random_net):
    assert not random_net.trained
    same = models.load("resnet20", weights="random", seed=3)
    other = models.load("resnet20", weights="random", seed=4)
    assert same.provenance == random_net.provenance
    assert other.provenance != random_net.provenance


def changed(state, case):
    state = dict(state)
    if case == "extra":
        state["layer9.weight"] = np.zeros(3, np.float32)
    elif case == "missing":
        del state["linear.bias"]
    elif case == "shape":
        state["linear.weight"] = np.zeros((11, 64), np.float32)
    elif case == "twice":
        state["module.linear.bias"] = state["linear.bias"]
    elif case == "quantised":
        state["linear.weight"] = state["linear.weight"].astype(np.int8)
    elif case == "text":
        state["linear.bias"] = np.array(["0"] * 10)
    elif case == "infinite":
        state["linear.bias"] = np.full(10, np.inf, np.float32)
    return state


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("extra", "'layer9.weight', for which resnet20 has no place"),
        ("missing", "linear.bias is missing"),
        ("shape", r"needs \(64, 10\)"),
        ("twice", "second key"),
        ("quantised", "'linear.weight' holds int8 instead of floating point"),
        ("text", "'linear.bias' holds <U1 instead of floating point"),
        ("infinite", "'linear.bias' holds NaN or infinity"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, random_net, case, message):
    path = tmp_path / "net.npz"
    np.savez(path, **changed(torch_style(random_net), case))
    with pytest.raises(ValueError, match=message):
        models.load("resnet20", weights=path)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    whole = tmp_path / "whole.npz"
    np.savez(whole, a=np.zeros(1000))
    truncated = tmp_path / "truncated.npz"
    truncated.write_bytes(whole.read_bytes()[:-200])
    objects = tmp_path / "objects.npz"
    np.savez(objects, a=np.array([{}], object))
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"no tensors")
    for path, message in (
        (truncated, "damaged"),
        (objects, "can run code"),
        (garbage, "damaged"),
        (tmp_path / "net.bin", "no file of weights"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            models.load("resnet20", weights=path)
    (tmp_path / "net.h5").write_bytes(b"x")
    with pytest.raises(
        ValueError, match=r"net\.h5 is none of .*\.npz.* save the arrays"
    ):
        models.load("resnet20", weights=tmp_path / "net.h5")


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_truncated_files_are_refused_as_damaged(tmp_path, random_net, kind):
    whole = tmp_path / f"whole.{kind}"
    arrays = models.loading.named_arrays(random_net.params)
    if kind == "npz":
        np.savez(whole, **arrays)
    else:
        safetensors.numpy.save_file(arrays, whole)
    content = whole.read_bytes()
    path = tmp_path / f"cut.{kind}"
    for cut in (0, 1, 8, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=rf"cut\.{kind} is damaged or no {kind}"):
            models.load("resnet20", weights=path)


@pytest.mark.parametrize("end", ["npz", "safetensors", "pth", "msgpack"])
def test_files_with_the_end_of_another_kind_are_refused_as_damaged(tmp_path, end):
    """A single array among them, which NumPy would read, and a pickle."""
    array, pickled = tmp_path / "array.npy", pickle.dumps({"a": 1.0})
    np.save(array, np.zeros(3, np.float32))
    for content in (array.read_bytes(), pickled, b"PK\3\4", b"<html>"):
        path = tmp_path / f"net.{end}"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"net\.{end} is damaged or no "):
            models.load("resnet20", weights=path)


def test_unknown_names_and_absent_weights_say_what_to_do():
    with pytest.raises(ValueError, match="did you mean squeezenet1_1"):
        models.load("squeezenet11")
    with pytest.raises(ValueError, match="weights='random'"):
        models.load("resnet20")


def test_every_network_is_described():
    for name in models.names():
        row = models.describe(name)
        assert row["model"] == name
        assert all(row.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in catalogue.ROWS if n != "shapes_net"])
def test_named_layers_exist(name):
    model = models.load(name, weights="random")
    assert model.default_layer in model.layers
    assert model.cam_layer in model.layers


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [None, "SAME"])
@pytest.mark.parametrize("size", [7, 8])
def test_shifted_products_are_the_grouped_convolution(stride, padding, size):
    conv = layers.conv(
        6, 6, 3, stride=stride, padding=padding, groups=6, bias=True, rngs=nnx.Rngs(0)
    )
    conv.bias[...] = jnp.arange(6.0)
    x = jax.random.normal(jax.random.key(0), (2, size, size, 6))
    np.testing.assert_allclose(conv(x), nnx.Conv.__call__(conv, x), atol=1e-5)

    def total(call):
        return jax.grad(lambda x: jnp.sum(jnp.sin(call(x))))(x)

    grouped = total(lambda x: nnx.Conv.__call__(conv, x))
    np.testing.assert_allclose(total(conv), grouped, atol=1e-5)


def test_incomplete_windows_count_under_ceil():
    x = jnp.arange(36.0).reshape(1, 6, 6, 1)
    assert layers.MaxPool(3, 2)(x).shape == (1, 2, 2, 1)
    out = layers.MaxPool(3, 2, ceil=True)(x)
    assert out.shape == (1, 3, 3, 1)
    assert out[0, -1, -1, 0] == 35
