"""WSOL metadata as a data set: truth, and images if they lie beside it."""

import numpy as np
import pytest

import jaxcam
from jaxcam import data


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "image_ids.txt").write_text("a/1.png\nb/2.png\nb/3.png\n")
    (tmp_path / "image_sizes.txt").write_text("a/1.png,8,6\nb/2.png,8,6\nb/3.png,8,6\n")
    (tmp_path / "class_labels.txt").write_text("a/1.png,0\nb/2.png,1\nb/3.png,1\n")
    (tmp_path / "localization.txt").write_text(
        "a/1.png,1,2,5,4\nb/2.png,0,0,8,6\nb/2.png,1,1,2,2\n"
    )
    return tmp_path


def test_boxes_without_images_are_truth_alone(folder):
    dataset = data.open_dataset(folder)
    assert [r.id for r in dataset.records] == ["a/1.png", "b/2.png", "b/3.png"]
    assert [r.candidates for r in dataset.records] == [(0,), (1,), (1,)]
    assert dataset.boxes == 2
    np.testing.assert_array_equal(dataset.records[0].truth().boxes, [[2, 1, 4, 5]])
    (batch,) = data.batches(dataset, size=(6, 8), batch_size=3, images=False)
    assert batch["valid"].all()
    np.testing.assert_array_equal(batch["box_valid"].sum(1), [1, 2, 0])
    with pytest.raises(ValueError, match="is truth without images"):
        jaxcam.evaluate(jaxcam.models.load("shapes_net"), dataset)


def test_images_lie_under_the_paths(folder, write, picture, same_elsewhere):
    write(folder / "images" / "a" / "1.png", picture(6, 8))
    write(folder / "images" / "b" / "2.png", picture(8, 6))
    dataset = data.open_dataset(folder)
    same_elsewhere(dataset)
    (batch,) = data.batches(dataset, size=(6, 8), batch_size=3)
    assert batch["reason"] == [
        "",
        "the image is 8 x 6, the metadata say 6 x 8",
        "the image is missing",
    ]
    np.testing.assert_array_equal(batch["image"][0], picture(6, 8))


def test_masks_are_read_late_and_part_of_the_fingerprint(folder, write):
    (folder / "localization.txt").write_text(
        "a/1.png,m/1.png,m/ignore.png\nb/2.png,m/2.png,\n"
    )
    mask = np.zeros((6, 8), np.uint8)
    mask[1:3, 2:5] = 255
    write(folder / "m" / "1.png", mask)
    write(folder / "m" / "ignore.png", np.fliplr(mask))
    first = data.open_dataset(folder)
    before = first.fingerprint()
    truth = first.records[0].truth()
    assert truth.object.sum() == 6
    assert truth.border.sum() == 2 * 1  # Where no object is.
    with pytest.raises(data.BadRecord, match="masks cannot be read"):
        first.records[1].truth()
    write(folder / "m" / "2.png", mask)
    again = data.open_dataset(folder)
    assert again.records[1].truth().object.sum() == 6
    assert again.fingerprint() != before
