"""Label images as data sets: rows of (image, class), and maps found for them."""

import shutil

import numpy as np
import pytest

import jaxcam
from jaxcam import data

CAT, DOG = 8, 12


@pytest.fixture
def voc(tmp_path, write, picture):
    classes = np.zeros((6, 8), np.uint8)
    classes[0:2, 0:2] = CAT
    classes[4:6, 0:3] = CAT
    classes[2:5, 4:7] = DOG
    classes[2:5, 7] = 255
    objects = classes.copy()
    objects[0:2, 0:2], objects[4:6, 0:3], objects[2:5, 4:7] = 1, 2, 3
    write(tmp_path / "SegmentationClass" / "2007_1.png", classes)
    write(tmp_path / "SegmentationObject" / "2007_1.png", objects)
    write(tmp_path / "JPEGImages" / "2007_1.jpg", picture(6, 8))
    write(tmp_path / "SegmentationClass" / "2007_2.png", np.minimum(classes, 0))
    (tmp_path / "SegmentationClass" / "2007_3.png").write_bytes(b"no image")
    return tmp_path


def test_voc_has_a_row_for_each_image_and_class(voc, same_elsewhere):
    dataset = data.open_dataset(voc)
    same_elsewhere(dataset)
    ids = [record.id for record in dataset.records]
    assert ids == ["2007_1#cat", "2007_1#dog", "2007_3"]
    assert [r.candidates for r in dataset.records] == [(CAT - 1,), (DOG - 1,), ()]
    assert dataset.class_names[CAT - 1] == "cat"
    cat, dog = (record.truth() for record in dataset.records[:2])
    assert (cat.object.sum(), dog.object.sum()) == (10, 9)
    assert cat.border.sum() == 3  # Void counts for nobody.
    np.testing.assert_array_equal(cat.boxes, [[0, 0, 2, 2], [4, 0, 6, 3]])
    np.testing.assert_array_equal(dog.boxes, [[2, 4, 5, 7]])
    assert dataset.records[0].image().shape == (6, 8, 3)
    assert dataset.boxes == 3
    with pytest.raises(data.BadRecord, match="label image cannot be decoded"):
        dataset.records[2].truth()


def test_a_missing_image_is_not_taken_for_a_black_one(voc):
    (voc / "JPEGImages" / "2007_1.jpg").unlink()
    dataset = data.open_dataset(voc)
    assert dataset.has_images
    (batch,) = data.batches(dataset, size=(6, 8), batch_size=3)
    assert batch["reason"][:2] == ["the image is missing"] * 2
    (batch,) = data.batches(dataset, size=(6, 8), batch_size=3, images=False)
    assert batch["valid"].tolist() == [True, True, False]  # Its truth is there.


def test_truth_without_images_is_not_evaluated(voc):
    shutil.rmtree(voc / "JPEGImages")
    model = jaxcam.models.load("shapes_net")
    with pytest.raises(ValueError, match="is truth without images"):
        jaxcam.evaluate(model, voc)


def test_labels_that_voc_has_not_make_an_invalid_row(voc, write):
    write(voc / "SegmentationClass" / "2007_4.png", np.full((6, 8), 30, np.uint8))
    dataset = data.open_dataset(voc)
    assert len(dataset) == 4
    with pytest.raises(data.BadRecord, match="no labels of SegmentationClass"):
        dataset.records[3].truth()


def test_voc_without_objects_has_one_box_a_class(voc):
    (voc / "SegmentationObject" / "2007_1.png").unlink()
    cat = data.open_dataset(f"voc:{voc}").records[0].truth()
    np.testing.assert_array_equal(cat.boxes, [[0, 0, 6, 3]])


def test_imagenet_s(tmp_path, write):
    labels = np.zeros((5, 7), np.int32)
    labels[1:3, 1:4], labels[4, 6], labels[0] = 1, 2, 1000
    values = np.stack([labels % 256, labels // 256, 0 * labels], 2).astype(np.uint8)
    write(tmp_path / "validation-segmentation" / "n01" / "a.png", values)
    write(tmp_path / "validation-segmentation" / "n02" / "b.png", 0 * values)
    dataset = data.open_dataset(tmp_path)
    assert [record.id for record in dataset.records] == ["n01/a#n01", "n01/a#n02"]
    assert [record.candidates for record in dataset.records] == [(0,), (1,)]
    first, second = (record.truth() for record in dataset.records)
    assert (first.object.sum(), second.object.sum()) == (6, 1)
    assert first.border.sum() == 7
    np.testing.assert_array_equal(first.boxes, [[1, 1, 3, 4]])
    assert dataset.records[0].shape() == (5, 7)
    assert not dataset.has_images
    with pytest.raises(data.BadRecord, match="has no images"):
        dataset.records[0].image()


def test_maps_are_found_by_image_and_class(voc):
    """A map without a class serves every row of its image; those with one their own."""
    cats = np.zeros((6, 8), np.float32)
    cats[0:2, 0:2] = 1
    asked = {"metrics": ["energy_pointing_game"], "size": (6, 8), "floors": False}
    result = jaxcam.score({"2007_1": cats}, voc, **asked)
    assert result.clusters_by().tolist() == [0, 0, 1]  # Drawn by image, not by row.
    values = result.values("energy_pointing_game", "maps")
    np.testing.assert_allclose(values, [1.0, 0.0, np.nan])
    only_cats = data.SavedMaps(("2007_1",), lambda _: cats, (CAT - 1,))
    result = jaxcam.score(only_cats, voc, **asked)  # A bad file changes no pairing.
    values = result.values("energy_pointing_game", "maps")
    np.testing.assert_allclose(values, [1.0, np.nan, np.nan])
    both = data.SavedMaps(
        ("2007_1", "2007_1"), lambda i: np.roll(cats, 4 * i, (0, 1)), (CAT - 1, DOG - 1)
    )
    (voc / "SegmentationClass" / "2007_3.png").unlink()
    result = jaxcam.score(both, voc, **asked)
    values = result.values("energy_pointing_game", "maps")
    np.testing.assert_allclose(values, [1.0, 0.5], rtol=1e-6)


def test_a_folder_of_masks(tmp_path, write):
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 2:6] = 255
    write(tmp_path / "a.png", mask)
    write(tmp_path / "b.png", mask // 255)
    dataset = data.open_dataset(tmp_path)
    assert [record.id for record in dataset.records] == ["a", "b"]
    assert dataset.records[0].truth().object.sum() == 8
    (row,) = data.batches(dataset, size=(6, 8), batch_size=2, images=False)
    assert "image" not in row
    np.testing.assert_array_equal(row["boxes"][:, 0], [[2, 2, 4, 6]] * 2)
    write(tmp_path / "sub" / "c.png", mask)
    assert len(data.open_dataset(f"masks:{tmp_path}")) == 3
