"""Pictures and raw maps of image files, and `jaxcam explain` as a user types it."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from PIL import Image

import jaxcam
from jaxcam import cli, models, pictures, plot


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two images of different shapes in a folder, one of them in a subfolder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, shape in (("a.png", (40, 60, 3)), ("deep/b.jpg", (64, 64, 3))):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)
    return tmp_path


def test_a_folder_gives_a_picture_and_maps_of_each_image(capsys, photos):
    command = "explain photos --method grad_cam,uniform --top 2 --out out"
    assert cli.main(command.split()) == 0
    shown = capsys.readouterr()
    assert "deep/b: " in shown.out
    assert "2/2 images" in shown.err
    model = models.load("shapes_net")
    for name, shape in (("a", (40, 60)), ("deep/b", (64, 64))):
        with Image.open(photos / "out" / f"{name}.png") as picture:
            assert min(picture.size) > 300
        saved = np.load(photos / "out" / f"{name}.npz")
        assert set(saved["target_names"]) <= set(model.class_names)
        assert saved["uniform"].shape[0] == 2
        (file,) = (photos / "photos").glob(f"{name}.*")
        with Image.open(file) as image:
            assert image.size == shape[::-1]
            pixels = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR))
        full = jaxcam.explain(model, pixels[None], "top-2", size="native", full=True)
        np.testing.assert_array_equal(saved["targets"], full.targets[0])
        np.testing.assert_allclose(
            saved["probabilities"], full.probabilities[0], rtol=1e-5
        )
        np.testing.assert_allclose(saved["grad_cam"], full.maps[0], atol=1e-5)


def test_maps_do_not_depend_on_the_size_of_the_batch(photos):
    model = models.load("shapes_net")

    def maps(size):
        list(
            pictures.explain_files(
                model, ["photos"], method="random", batch_size=size, draw=False
            )
        )
        return [
            np.load(photos / "explanations" / f"{name}.npz")["random"]
            for name in ("a", "deep/b")
        ]

    one, two = maps(1), maps(2)
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one[0], one[1])
    assert not list((photos / "explanations").glob("*.png"))


def test_a_contrast_of_named_classes_at_a_named_layer(capsys, photos):
    command = "explain photos/a.png --target ring --against 0 --layer features.10"
    assert cli.main([*command.split(), "--method", "hires_cam,gradient"]) == 0
    said = capsys.readouterr().out
    assert "ring, " in said
    assert " not disc, " in said
    saved = np.load("explanations/a.npz")
    np.testing.assert_array_equal(saved["targets"], [3, 0])
    assert saved["gradient"].shape == (1, 64, 64)
    assert saved["hires_cam[layer=features.10]"].ndim == 3


def test_an_image_that_cannot_be_read_does_not_stop_the_others(capsys, photos):
    (photos / "photos" / "broken.png").write_bytes(b"no image")
    assert cli.main(["explain", "photos", "--no-pictures"]) == 2
    shown = capsys.readouterr()
    assert "broken.png: the image cannot be decoded" in shown.err
    assert "1 of 3 images could not be explained" in shown.err
    assert (photos / "explanations" / "a.npz").is_file()
    assert not (photos / "explanations" / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jpg"], "no image or folder nowhere.jpg"),
        ([], "at least one image"),
        (["empty"], "no image in the folder empty"),
        (["photos/a.png", "other/a.png"], "would both be written as a.png"),
        (["photos", "--method", "gradcam"], "did you mean grad_cam"),
        (["photos", "--layer", "conv9"], "has no layer 'conv9'; it has features."),
        (["photos", "--layer", "x", "--method", "gradient"], "taps no other layer"),
        (["photos", "--method", "truth"], "needs the truth"),
        (["photos", "--top", "9"], "not among the 8 classes"),
        (["photos", "--target", "rung"], "did you mean ring"),
        (["photos", "--target", "8"], "the classes 0 to 7"),
        (["photos", "--top", "2", "--target", "ring"], "leave out one of them"),
        (["photos", "--against", "ring"], "needs the class to explain too"),
        (["photos", "--classes", "names.txt"], "3 names for the 8 classes"),
        (["photos", "--classes", "none.txt"], "no file of class names none.txt"),
        (["photos", "--model", "shapesnet"], "did you mean shapes_net"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    capsys, photos, arguments, message
):
    (photos / "empty").mkdir()
    (photos / "other").mkdir()
    (photos / "other" / "a.png").write_bytes(b"")
    (photos / "names.txt").write_text("one\ntwo\nthree\n")
    assert cli.main(["explain", *arguments]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not (photos / "explanations").exists()


def test_without_matplotlib_the_way_out_is_said(capsys, photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["explain", "photos"]) == 2
    assert 'pip install "jaxcam-eval[viz]"' in capsys.readouterr().err
    assert cli.main(["explain", "photos/a.png", "--no-pictures"]) == 0


def test_help_teaches_by_examples(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["explain", "--help"])
    assert stopped.value.code == 0
    assert "--top 3 --method grad_cam,layer_cam" in capsys.readouterr().out


def test_class_names_are_read_from_any_usual_form(tmp_path):
    forms = {
        "plain.txt": "cat\n\ndog\n",
        "list.json": json.dumps(["cat", "dog"]),
        "objects.json": json.dumps([{"index": 0, "name": "cat"}, {"name": "dog"}]),
        "numbers.json": json.dumps({"1": ["n2", "dog"], "0": ["n1", "cat"]}),
    }
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
        assert pictures.read_class_names(tmp_path / name) == ("cat", "dog"), name
    (tmp_path / "bad.json").write_text("{}}")
    with pytest.raises(ValueError, match="a name a line"):
        pictures.read_class_names(tmp_path / "bad.json")


def test_names_go_to_the_outputs_of_their_classes():
    model = dataclasses.replace(
        models.load("shapes_net"),
        class_names=None,
        class_to_output=np.array([2, 1]),
    )
    names = pictures.output_names(model, ["tabby, cat", "dog"])
    assert names[:4] == ["output 0", "dog", "tabby, cat", "output 3"]
    assert pictures.output_names(model)[2] == "class 0"
    assert pictures.find_class(model, names, "Cat") == 2
    assert pictures.find_class(model, names, 0) == 2


def test_a_map_is_shown_as_a_share_of_its_high_quantile():
    saliency = np.linspace(-1, 1, 2001).reshape(3, 667)
    shown = plot.relative(saliency)
    top = np.quantile(np.maximum(saliency, 0), 0.995)
    np.testing.assert_allclose(shown, np.clip(saliency / top, 0, 1))
    np.testing.assert_array_equal(plot.relative(np.full((2, 2), 3.0)), 1)
    np.testing.assert_array_equal(plot.relative(np.full((2, 2), -3.0)), 0)
    np.testing.assert_array_equal(plot.relative(np.full((2, 2), np.nan)), 0)
    lonely = np.zeros((50, 50))
    lonely[0, 0] = 2
    assert plot.relative(lonely)[0, 0] == 1


def test_an_overlay_is_grey_where_the_map_is_zero_and_coloured_where_it_is_not():
    image = np.full((8, 8, 3), (200, 100, 0), np.uint8)
    saliency = np.zeros((2, 2), np.float32)
    saliency[0, 1] = 1
    shown = plot.blended(image, saliency)
    grey = (0.299 * 200 + 0.587 * 100) / 255
    np.testing.assert_allclose(shown[6:, :2], grey, atol=1e-6)
    assert np.ptp(shown[0, 7]) > 0.3


def test_text_and_panels_lie_on_the_sheet():
    image = np.zeros((30, 200, 3), np.uint8)
    maps = {"a_method_of_a_long_name[option=1]\nlayer": np.ones((2, 3, 3), np.float32)}
    names = ["a very long name of a class that takes several lines, 12.0%", "short"]
    figure = plot.explanations(image, maps, names, title="title")
    figure.draw_without_rendering()
    high = figure.bbox
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= high.x1
        assert box.y1 <= high.y1


def test_the_evidence_ring_shows_every_part_and_both_bars():
    image = np.full((40, 60, 3), 128, np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[15:25, 20:40] = True
    made = plot.evidence_ring(
        image, mask.astype(float), mask, (10, 10, 30, 50), (0.5, 0.3, 0.2), (1, -0.1, 0)
    )
    parts, _, bars = made.axes
    shown = parts.images[0].get_array()
    colours = {tuple(np.round(shown[y, x], 6)) for y, x in [(20, 30), (12, 12), (1, 1)]}
    assert len(colours) == 3
    heights = [round(float(bar.get_height()), 6) for bar in bars.patches]
    assert heights == [0.5, 0.3, 0.2, 1, -0.1, 0]
    assert [t.get_text() for t in bars.get_xticklabels()] == list(plot.REGION_COLORS)
    with pytest.raises(ValueError, match="on one grid"):
        plot.evidence_ring(image, mask, mask[1:], (0, 0, 1, 1), (1, 0, 0), (1, 0, 0))


def test_an_undefined_effect_is_said_in_the_picture():
    image, mask = np.zeros((8, 8, 3), np.uint8), np.eye(8, dtype=bool)
    made = plot.evidence_ring(
        image, np.zeros((8, 8)), mask, (0, 0, 8, 8), [np.nan] * 3, (0.5, 0, 0)
    )
    texts = [text.get_text() for text in made.axes[2].texts]
    assert texts == ["undefined"] * 3 + ["0.50", "0.00", "0.00"]
