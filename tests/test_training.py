"""Training of the shipped net: reproducible, read back by `models.load`, accurate."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
from flax import nnx

from jaxcam import metrics, models, ops, training
from jaxcam.data import shapes

TINY = training.Training(
    images=48, epochs=6, batch_size=16, test_images=16, learning_rate=1e-2
)
SHIPPED = models.loading.SHIPPED


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder and the log of a tiny training."""
    config = dataclasses.replace(TINY, out=tmp_path_factory.mktemp("first"))
    return config, training.train(config)


def test_weights_and_log_are_written(trained):
    config, log = trained
    weights = config.out / "shapes_net.safetensors"
    assert json.loads((config.out / "shapes_net.json").read_text()) == log
    assert log["bytes"] == weights.stat().st_size < 300_000
    assert [epoch["epoch"] for epoch in log["epochs"]] == [1, 2, 3, 4, 5, 6]
    assert log["settings"]["seed"] == 0
    assert "out" not in log["settings"]
    assert log["held_out"]["images"] == 16
    with safetensors.safe_open(weights, "np") as file:
        about = json.loads(file.metadata()["jaxcam"])
    assert about["classes"] == list(shapes.CLASSES)
    assert about["seed"] == 0


@pytest.mark.slow
def test_the_file_is_read_back_as_the_trained_net(trained):
    config, log = trained
    model = models.load("shapes_net", weights=config.out / "shapes_net.safetensors")
    assert model.trained
    assert model.class_names == shapes.CLASSES
    drawn = [shapes.draw(i) for i in range(16)]
    predicted = jnp.argmax(model(np.array([d[0] for d in drawn])), axis=1)
    right = np.mean(np.asarray(predicted) == [d[1] for d in drawn])
    assert right == log["held_out"]["accuracy"]


@pytest.mark.slow
def test_a_seed_gives_the_same_weights_to_the_bit(trained, tmp_path):
    config, log = trained

    def weights(folder, **changes):
        again = dataclasses.replace(config, out=tmp_path / folder, **changes)
        made = training.train(again)
        return (again.out / "shapes_net.safetensors").read_bytes(), made

    first = (config.out / "shapes_net.safetensors").read_bytes()
    second, again = weights("second")
    assert second == first
    assert again == log
    assert weights("other", seed=1)[0] != first


@pytest.mark.slow
def test_the_loss_falls(trained):
    """Six passes over 48 images: the optimiser moves the right way."""
    epochs = trained[1]["epochs"]
    assert epochs[-1]["loss"] < epochs[0]["loss"] - 0.1


def test_training_and_the_net_compute_the_same():
    """The pooling with a cheap gradient is the net's own, under the same names."""
    module = training._module(0)
    plain = training.shapes_net.ShapesNet(8, rngs=nnx.Rngs(0))
    plain.fc.kernel[...] = jnp.zeros_like(plain.fc.kernel[...])
    names = models.flat_arrays(module)
    for name, array in models.flat_arrays(plain).items():
        np.testing.assert_array_equal(names.pop(name), array)
    assert not names
    x = jax.random.normal(jax.random.key(0), (2, 64, 64, 3))
    for net in (module, plain):
        net.fc.kernel[...] = jnp.ones_like(net.fc.kernel[...])
        net.eval()
    np.testing.assert_allclose(module(x), plain(x), rtol=1e-5)


def test_augmentation_keeps_the_object():
    """Shifted, mirrored, colours exchanged: the same values, in the same numbers."""
    images, _, _ = training._drawn("train", 6, 0, False)
    key = jax.random.key(3)
    moved = np.asarray(training._augmented(jnp.asarray(images), key, 0))
    assert moved.dtype == np.uint8
    for before, after in zip(images, moved, strict=True):
        mirrored = (before, before[:, ::-1])
        sums = [sorted(x.reshape(-1, 3).sum(axis=0)) for x in (before, after)]
        assert sums[0] == sums[1]
        assert any(
            np.array_equal(np.sort(x, axis=-1), np.sort(after, axis=-1))
            for x in mirrored
        )
    shifted = np.asarray(training._augmented(jnp.asarray(images), key, 8))
    assert shifted.shape == images.shape
    assert (shifted != moved).any()


def test_too_few_images_are_refused(tmp_path):
    config = dataclasses.replace(TINY, images=8, out=tmp_path)
    with pytest.raises(ValueError, match="lower --batch-size"):
        training.train(config)


def test_the_command_writes_into_a_folder_and_says_so(tmp_path, capsys):
    out = tmp_path / "made"
    options = ["--images=32", "--epochs=1", "--batch-size=16", "--test-images=8"]
    assert training.main(["--out", str(out), *options]) == 0
    written = capsys.readouterr()
    assert "Accuracy on 8 held-out images" in written.out
    assert "Training: 2/2 steps" in written.err
    assert (out / "shapes_net.safetensors").is_file()


@pytest.fixture(scope="module")
def shipped():
    """The net in the package, images of the test split, labels, masks."""
    return models.load("shapes_net"), *training._drawn("test", 256, 0, False)


def test_the_shipped_net_is_right_on_held_out_images(shipped):
    model, images, labels, _ = shipped
    predicted = np.argmax(jax.jit(lambda x: model(x))(images), axis=1)
    assert np.mean(predicted == labels) > 0.93  # 0.95 on 2048; 256 spread by 0.014.
    log = json.loads((SHIPPED / "shapes_net.json").read_text())
    assert log["held_out"]["accuracy"] >= 0.95
    assert log["bytes"] == (SHIPPED / "shapes_net.safetensors").stat().st_size < 300_000
    defaults = dataclasses.asdict(training.Training())
    assert log["settings"] == {k: v for k, v in defaults.items() if k != "out"}


def test_its_plain_cam_points_at_the_object(shipped):
    """Weights of the linear map times the feature map, written out."""
    model, images, labels, masks = (
        x if i == 0 else x[:64] for i, x in enumerate(shipped)
    )
    layer = model.cam_layer
    _, kept = model.apply(model.params, model.preprocess(images), keep=(layer,))
    weights = models.files.read(SHIPPED / "shapes_net.safetensors")["fc.kernel"]
    maps = jnp.einsum("bhwc,cb->bhw", kept[layer], weights[:, labels])
    maps = jax.vmap(lambda m: ops.resize(m, (64, 64)))(jnp.maximum(maps, 0))
    scores = jax.vmap(metrics.energy_pointing_game)(maps, jnp.asarray(masks))
    assert float(jnp.mean(scores)) > 2 * masks.mean()
