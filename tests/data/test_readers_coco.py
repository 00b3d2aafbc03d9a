"""COCO's instances: polygons, run lengths, crowds."""

import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from jaxcam import data
from jaxcam.data import readers_coco

SQUARE = np.zeros((8, 10), bool)
SQUARE[2:5, 3:9] = True


def runs_of(mask):
    """Run lengths down the columns, background first, read literally."""
    runs, current = [0], False
    for value in mask.T.ravel():
        if value != current:
            runs.append(0)
            current = value
        runs[-1] += 1
    return [int(run) for run in runs]


def packed(runs):
    """The text of COCO's tools, written from its definition."""
    text = ""
    for i, run in enumerate(runs):
        x = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits = x & 31
            x >>= 5
            more = x != -1 if bits & 16 else x != 0
            text += chr((bits | 32 if more else bits) + 48)
    return text


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("text", [False, True])
def test_run_lengths(seed, text):
    rng = np.random.default_rng(seed)
    mask = rng.random((37, 90)) < rng.uniform(0.001, 0.5)
    mask[:, 40:60] = True
    counts = packed(runs_of(mask)) if text else runs_of(mask)
    found = readers_coco.read_segmentation(
        {"size": [37, 90], "counts": counts}, (37, 90)
    )
    np.testing.assert_array_equal(found, mask)


def test_text_that_coco_publishes():
    """The first two columns of a 4 x 4 image: 0 background, 8 object, 8 background."""
    assert packed([0, 8, 8]) == "088"
    found = readers_coco.read_segmentation({"size": [4, 4], "counts": "088"}, (4, 4))
    np.testing.assert_array_equal(found, np.arange(4)[None, :].repeat(4, 0) < 2)


def test_a_polygon_along_pixel_borders_is_the_pixels_inside():
    corners = [3, 2, 9, 2, 9, 5, 3, 5]
    found = readers_coco.read_segmentation([corners], SQUARE.shape)
    np.testing.assert_array_equal(found, SQUARE)


def test_a_pixel_belongs_to_a_polygon_if_its_centre_does():
    triangle = [1.2, 1.1, 28.7, 6.4, 9.3, 21.8]
    found = readers_coco.read_segmentation([triangle], (24, 32))
    y, x = np.mgrid[:24, :32] + 0.5
    corners = np.array(triangle).reshape(3, 2)
    inside = np.ones((24, 32), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0
    assert inside.sum() > 200
    assert (found != inside).sum() <= 0.02 * inside.sum()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (10, 8)).save(tmp_path / "val2017" / name)
    runs = {"size": [8, 10], "counts": runs_of(SQUARE)}
    crowd = {"size": [8, 10], "counts": runs_of(np.arange(10)[None] + 0 * SQUARE < 4)}

    def instance(image, kind, segmentation, box, crowd=0):
        return {
            "image_id": image,
            "category_id": kind,
            "segmentation": segmentation,
            "bbox": box,
            "iscrowd": crowd,
        }

    listed = {
        "images": [
            {"id": 7, "file_name": "b.jpg", "height": 8, "width": 10},
            {"id": 3, "file_name": "a.jpg", "height": 8, "width": 10},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
        "annotations": [
            instance(3, 18, runs, [3, 2, 6, 3]),
            instance(3, 18, crowd, [0, 0, 4, 8], crowd=1),
            instance(3, 1, runs, [3, 2, 6, 3]),
            instance(3, 1, runs, [0, 0, 1, 1]),
            instance(7, 1, {"size": [9, 9], "counts": [81]}, [0, 0, 1, 1]),
        ],
    }
    (tmp_path / "annotations" / "instances_val2017.json").write_text(json.dumps(listed))
    return tmp_path


def test_rows_are_images_and_classes(folder, same_elsewhere):
    dataset = data.open_dataset(folder)
    same_elsewhere(dataset)
    assert [r.id for r in dataset.records] == ["a#person", "a#dog", "b#person"]
    assert [r.candidates for r in dataset.records] == [(0,), (1,), (0,)]
    assert dataset.class_names == ("person", "dog")
    assert dataset.boxes == 2
    person, dog, _ = dataset.records
    np.testing.assert_array_equal(person.truth().boxes, [[2, 3, 5, 9], [0, 0, 1, 1]])
    truth = dog.truth()
    np.testing.assert_array_equal(truth.object, SQUARE)
    crowd = np.arange(10)[None] + 0 * SQUARE < 4
    np.testing.assert_array_equal(truth.border, crowd & ~SQUARE)
    np.testing.assert_array_equal(truth.boxes, [[2, 3, 5, 9]])
    (batch,) = data.batches(dataset, size=(8, 10), batch_size=3)
    assert batch["valid"].tolist() == [True, True, False]
    assert "another size" in batch["reason"][2]
    np.testing.assert_array_equal(batch["mask"][1], SQUARE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"segmentation": None}, "it has no segmentation"),
        ({"segmentation": [[1, 2, 3]]}, "a polygon of 3 numbers"),
        ({"segmentation": [[1, 2, "x", 3, 4, 5]]}, "could not convert"),
        ({"segmentation": {"size": [8, 10], "counts": [1, "a"]}}, "unsupported"),
        ({"segmentation": {"size": [8, 10], "counts": "\u007f"}}, "among packed"),
        ({"bbox": [1, 2]}, "not enough values"),
        ({"bbox": None}, "not iterable"),
    ],
)
def test_an_instance_that_cannot_be_read_is_an_invalid_row(folder, change, reason):
    path = folder / "annotations" / "instances_val2017.json"
    listed = json.loads(path.read_text())
    listed["annotations"][0] |= change
    path.write_text(json.dumps(listed))
    dataset = data.open_dataset(folder)
    assert [r.id for r in dataset.records] == ["a#person", "a#dog", "b#person"]
    with pytest.raises(data.BadRecord, match=f"instance cannot be read.*{reason}"):
        dataset.records[1].truth()


def test_what_is_kept_of_a_list_is_no_larger_than_the_list(tmp_path):
    """Not five times that, as its numbers would be as objects of Python."""
    (tmp_path / "annotations").mkdir()
    corners = np.random.default_rng(0).uniform(0, 600, (2000, 200)).round(2)
    instances = [
        {"image_id": i, "category_id": 1, "bbox": [0, 0, 1, 1], "segmentation": [own]}
        for i, own in enumerate(corners.tolist())
    ]
    images = [
        {"id": i, "file_name": f"{i}.jpg", "height": 480, "width": 640}
        for i in range(2000)
    ]
    kinds = [{"id": 1, "name": "cat"}]
    path = tmp_path / "annotations" / "instances_val.json"
    listed = {"images": images, "annotations": instances, "categories": kinds}
    path.write_text(json.dumps(listed))
    tracemalloc.start()
    try:
        dataset = readers_coco.coco(tmp_path)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(dataset) == 2000
    size = path.stat().st_size
    assert kept < 2.5 * size
    assert peak < 5 * size


def test_another_list_of_the_same_length_is_another_data_set(folder):
    before = data.open_dataset(folder).fingerprint()
    path = folder / "annotations" / "instances_val2017.json"
    path.write_text(path.read_text().replace("[0, 0, 1, 1]", "[0, 0, 2, 1]"))
    assert data.open_dataset(folder).fingerprint() != before


def test_a_list_that_is_none_is_refused(folder):
    path = folder / "annotations" / "instances_val2017.json"
    text = path.read_text()
    for content in ("{}", "[]", text[: len(text) // 2], text.replace("image_id", "i")):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"val2017\.json is no list of COCO's"):
            data.open_dataset(folder)
    path.with_name("instances_train2017.json").write_text("{}")
    with pytest.raises(ValueError, match="keep one split"):
        data.open_dataset(folder, layout="coco")
