"""Boxes as PASCAL VOC and ImageNet's localisation task publish them."""

import numpy as np
import pytest
from PIL import Image

from jaxcam import data

XML = "<annotation>{}</annotation>"
OBJECT = (
    "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox><part><name>head</name><bndbox><xmin>1</xmin></bndbox>"
    "</part></object>"
)


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), 9, np.uint8)).save(path, format="JPEG")


def xml(path, *objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(XML.format("".join(OBJECT.format(*o) for o in objects)))


def test_voc_boxes_are_one_based_and_inclusive(tmp_path, same_elsewhere):
    for name in ("a", "b", "c"):
        image(tmp_path / "JPEGImages" / f"{name}.jpg")
    xml(
        tmp_path / "Annotations" / "a.xml",
        ("dog", 1, 1, 30, 20),
        ("cat", 3, 5, 10, 9),
        ("dog", 2, 2, 2, 2),
    )
    xml(tmp_path / "Annotations" / "b.xml", ("cat", 11, 6, 20, 15))
    (tmp_path / "Annotations" / "c.xml").write_text("<annotation><obj")
    dataset = data.open_dataset(tmp_path)
    rows = {record.id: record for record in dataset.records}
    assert list(rows) == ["a#cat", "a#dog", "b", "c"]
    assert dataset.class_names == ("cat", "dog")
    same_elsewhere(dataset)
    assert rows["a#dog"].candidates == (1,)
    np.testing.assert_array_equal(
        rows["a#dog"].truth().boxes, [[0, 0, 20, 30], [1, 1, 2, 2]]
    )
    np.testing.assert_array_equal(rows["a#cat"].truth().boxes, [[4, 2, 9, 10]])
    assert dataset.boxes == 2
    (batch,) = data.batches(dataset, size=(10, 15), batch_size=4)
    np.testing.assert_array_equal(batch["boxes"][2, 0], [2.5, 5, 7.5, 10])
    assert batch["valid"].tolist() == [True, True, True, False]
    assert "XML file" in batch["reason"][3]


@pytest.mark.parametrize("as_list", [True, False], ids=["csv", "xml"])
def test_imagenet_localisation(tmp_path, as_list):
    (tmp_path / "LOC_synset_mapping.txt").write_text("n01 tench\nn02 goldfish, carp\n")
    inside = tmp_path / "ILSVRC"
    for name in ("v1", "v2"):
        image(inside / "Data" / "CLS-LOC" / "val" / f"{name}.JPEG")
    if as_list:
        (tmp_path / "LOC_val_solution.csv").write_text(
            "ImageId,PredictionString\nv2,n02 1 1 30 20 n02 3 5 10 9 \n"
            "v1,n01 11 6 20 15 \n"
        )
    else:
        folder = inside / "Annotations" / "CLS-LOC" / "val"
        xml(folder / "v2.xml", ("n02", 1, 1, 30, 20), ("n02", 3, 5, 10, 9))
        xml(folder / "v1.xml", ("n01", 11, 6, 20, 15))
    dataset = data.open_dataset(tmp_path)
    assert [r.id for r in dataset.records] == ["v1", "v2"]
    assert [r.candidates for r in dataset.records] == [(0,), (1,)]
    assert dataset.label_set == "imagenet"
    assert dataset.records[1].category == "goldfish, carp"
    np.testing.assert_array_equal(
        dataset.records[1].truth().boxes, [[0, 0, 20, 30], [4, 2, 9, 10]]
    )
    np.testing.assert_array_equal(dataset.records[0].truth().boxes, [[5, 10, 15, 20]])


def test_lists_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "LOC_synset_mapping.txt").write_text("n01 tench\n")
    with pytest.raises(ValueError, match="has neither"):
        data.open_dataset(tmp_path)
    (tmp_path / "LOC_val_solution.csv").write_text(
        "ImageId,PredictionString\nv1,n01 1 2 3\n"
    )
    with pytest.raises(ValueError, match="row 1 cannot be read"):
        data.open_dataset(tmp_path)
