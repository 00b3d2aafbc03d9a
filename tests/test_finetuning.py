"""Fitting to classes of your own: accurate, reproducible, and evaluated afterwards."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxcam import cli, data, evaluation, finetuning, labelled_images, models
from jaxcam.data import records, shapes

OWN = {"round": "disc", "pointed": "triangle", "hollow": "ring"}
"""Classes that the shipped net was not trained for by these names."""


def drawn(folder, counts, *, split="train"):
    """A folder of images for each class, with masks beside them."""
    wanted = {shapes.CLASSES.index(OWN[name]): name for name in counts}
    left, index = dict(counts), 0
    while any(left.values()):
        name = wanted.get(shapes.label(index, split=split))
        if name is not None and left[name]:
            image, _, mask = shapes.draw(index, split=split)
            for place, array in ((folder, image), (folder / "masks", mask)):
                (place / name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(place / name / f"{index}.png")
            left[name] -= 1
        index += 1
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("own") / "train", dict.fromkeys(OWN, 16))


@pytest.fixture(scope="module")
def fitted(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("fitted")
    return finetuning.finetune("shapes_net", folder, out=out, epochs=10)


def test_a_head_is_fitted_and_logged(fitted, folder):
    assert fitted["validation_accuracy"] >= fitted["chance"] + 0.4
    assert [entry["epoch"] for entry in fitted["epochs"]] == list(range(1, 11))
    assert fitted["epochs"][-1]["loss"] < fitted["epochs"][0]["loss"] / 2
    assert fitted["data"]["classes"] == ["hollow", "pointed", "round"]
    assert fitted["data"]["training_images"] == 39
    assert fitted["data"]["validation_images"] == 9
    assert fitted["started_from"]["name"] == "shapes_net"
    written = Path(fitted["weights"]).with_suffix(".json").read_text(encoding="utf-8")
    assert json.loads(written) | {"weights": fitted["weights"]} == fitted


def test_the_file_says_what_its_outputs_are(fitted):
    model = models.load("shapes_net", weights=fitted["weights"])
    assert model.class_names == ("hollow", "pointed", "round")
    assert model.label_set == "train"
    assert model.class_to_output is None
    assert model.trained
    images = np.zeros((2, 64, 64, 3), np.uint8)
    assert model(images).shape == (2, 3)
    assert model.input == models.load("shapes_net").input
    with pytest.raises(
        ValueError, match=r"holds weights of shapes_net, not of resnet20"
    ):
        models.load("resnet20", weights=fitted["weights"])


def test_the_trunk_stays_and_the_saved_net_is_the_fitted_one(fitted, folder):
    before = models.loading.named_arrays(models.load("shapes_net").params)
    model = models.load("shapes_net", weights=fitted["weights"])
    after = models.loading.named_arrays(model.params)
    for name in before:
        if not name.startswith("fc."):
            np.testing.assert_array_equal(before[name], after[name])
    dataset = data.open_dataset(folder)
    classes = labelled_images.find_classes(dataset)
    found = labelled_images.read(dataset, classes, model.input)
    predicted = np.argmax(jax.jit(model.__call__)(found.images), axis=1)
    right = np.mean((predicted == found.labels)[found.held_out])
    assert round(float(right), 5) == fitted["validation_accuracy"]


def test_evaluation_follows_the_labels_by_their_names(fitted, tmp_path):
    """Another folder, without one of the classes: its numbers differ, not its names."""
    other = drawn(tmp_path / "test", {"pointed": 6, "round": 6}, split="test")
    (other / "unheard of").mkdir()
    shutil.copy(next((other / "round").iterdir()), other / "unheard of" / "a.png")
    (other / "masks" / "unheard of").mkdir()
    mask = next((other / "masks" / "round").iterdir())
    shutil.copy(mask, other / "masks" / "unheard of" / "a.png")
    model = models.load("shapes_net", weights=fitted["weights"])
    metrics = ["energy_pointing_game"]
    result = evaluation.evaluate(model, other, methods=["cam"], metrics=metrics)
    first = [row for row in result.rows if row["method"] == "cam"]
    assert len(first) == 13
    for row in first:
        folder_name = row["id"].partition("/")[0]
        known = folder_name != "unheard of"
        assert row["valid"]
        assert np.isnan(row["correct"]) != known
        assert not known or row["target_name"] == folder_name
    assert np.nanmean([row["correct"] for row in first]) > 0.6


def test_a_seed_gives_the_same_file_to_the_bit(fitted, folder, tmp_path):
    def content(seed, name):
        log = finetuning.finetune(
            "shapes_net", folder, out=tmp_path / name, epochs=10, seed=seed
        )
        return Path(log["weights"]).read_bytes()

    first = Path(fitted["weights"]).read_bytes()
    assert content(0, "again") == first != content(1, "other")


@pytest.mark.slow
def test_all_parameters_go_on_from_the_head(folder, tmp_path):
    options = {"train": "all", "epochs": 2, "batch_size": 8, "learning_rate": 1e-3}
    runs = [
        finetuning.finetune("shapes_net", folder, out=tmp_path / name, **options)
        for name in ("first", "second")
    ]
    assert [entry["part"] for entry in runs[0]["epochs"]] == ["head"] * 2 + ["all"] * 2
    assert runs[0]["epochs"] == runs[1]["epochs"]
    assert runs[0]["epochs"][-1]["loss"] < runs[0]["epochs"][1]["loss"]
    contents = [Path(run["weights"]).read_bytes() for run in runs]
    assert contents[0] == contents[1]
    after = models.files.read(Path(runs[0]["weights"]))
    before = models.loading.named_arrays(models.load("shapes_net").params)
    for name, array in before.items():
        if name.endswith((".mean", ".var")):
            np.testing.assert_array_equal(after[name], array)
        elif not name.startswith("fc."):
            assert (after[name] != array).any()


@pytest.mark.slow
def test_a_head_that_is_a_convolution_under_a_rectifier(tmp_path, folder):
    """SqueezeNet's; its trunk is random, so that only the loss can tell."""
    log = finetuning.finetune(
        "squeezenet1_1", folder, out=tmp_path, weights="random", epochs=40
    )
    losses = [entry["loss"] for entry in log["epochs"]]
    assert losses[-1] < 0.7 * losses[0]
    model = models.load("squeezenet1_1", weights=log["weights"])
    assert not model.trained
    assert model.class_names == ("hollow", "pointed", "round")


def test_the_command_goes_on_to_evaluation(capsys, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = f"finetune --data {folder} --model shapes_net --out mine --epochs 4"
    assert cli.main(command.split()) == 0
    shown = capsys.readouterr()
    assert "head, epoch 4: loss" in shown.out
    assert "Fitting head" in shown.err
    line = next(
        x for x in shown.out.splitlines() if x.startswith("Go on with: jaxcam ")
    )
    command = line.removeprefix("Go on with: jaxcam ") + " --limit 4 --methods cam"
    assert cli.main([*command.split(), "--metrics", "energy_pointing_game"]) == 0
    assert "cam" in capsys.readouterr().out


def rows(*candidates, names=None, categories=(), images=()):
    """A data set of these labels; its images cannot be read."""

    def absent():
        raise records.BadRecord("absent")

    made = [
        records.Record(
            id=str(i),
            image=absent,
            truth=absent,
            shape=absent,
            candidates=tuple(labels),
            category=categories[i] if categories else "",
            image_id=images[i] if images else "",
        )
        for i, labels in enumerate(candidates)
    ]
    return records.Dataset("some", made, label_set="set", class_names=names)


def test_classes_are_what_counts_as_right():
    species = labelled_images.find_classes(rows((3, 4, 5), (1,), (3, 5, 4), (), (1,)))
    assert species.names == ("set 1", "set 3-5")
    np.testing.assert_array_equal(species.to_output, [-1, 0, -1, 1, 1, 1])
    assert not species.in_order
    named = labelled_images.find_classes(rows((1,), (0,), names=("a", "b")))
    assert named.names == ("a", "b")
    assert named.in_order
    breeds = labelled_images.find_classes(
        rows((7,), (2, 9), (7,), categories=("pug", "cat", "pug"))
    )
    assert breeds.names == ("cat", "pug")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (rows((), ()), "some has no labels"),
        (rows((1,), (1,), ()), "images of one class only"),
        (rows((1, 2), (2, 3)), r"overlap; choose .*labels='exact'"),
        (rows((1,), (2,), images=("a", "a")), "a of some has several classes"),
        (rows((1,), (2,)), "Class set 1 has 0 images that can be read"),
    ],
)
def test_data_that_cannot_be_learnt_from_are_refused(tmp_path, dataset, message):
    with pytest.raises(ValueError, match=message):
        finetuning.finetune("shapes_net", dataset, out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "settings",
    [
        {"train": "tail"},
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": -1.0},
        {"learning_rate": float("nan")},
        {"limit": 0},
        {"weight_decay": -1e-4},
        {"seed": -1},
        {"validation": 1.0},
        {"geometry": "original"},
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, settings):
    (name,) = settings
    with pytest.raises(ValueError, match=name):
        finetuning.finetune("shapes_net", "shapes", out=tmp_path, **settings)


def test_a_learning_rate_that_the_head_would_not_take_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is of train='all'"):
        finetuning.finetune("shapes_net", "shapes", out=tmp_path, learning_rate=1e-3)


def test_an_image_stays_on_its_side():
    """Whatever else is there, and whatever the seed."""
    labels = np.repeat([0, 1], 50)
    ids = [f"image {i}" for i in range(100)]
    first = labelled_images._held_out(ids, labels, 0.2)
    assert first[:50].sum() == first[50:].sum() == 10
    order = np.random.default_rng(0).permutation(100)
    again = labelled_images._held_out([ids[i] for i in order], labels[order], 0.2)
    np.testing.assert_array_equal(again, first[order])
    two = labelled_images._held_out(["a", "b"], np.zeros(2, int), 0.9)
    assert two.sum() == 1


HEADS = {
    "shapes_net": ("fc",),
    "squeezenet1_1": ("classifier", "1"),
    "mobilenet_v2": ("classifier", "1"),
    "resnet20": ("linear",),
}


@pytest.mark.slow
def test_heads_of_the_zoo_are_found():
    for name, path in HEADS.items():
        parts = models.loading.read(name, weights="random")
        found = models.heads.find(parts.structure, parts.params, parts.input.size)
        assert tuple(map(str, found)) == path
