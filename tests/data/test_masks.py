import numpy as np
import pytest
from PIL import Image

from jaxcam.data import masks

VOC = np.array([[0, 8, 8, 255], [0, 12, 255, 255]], np.uint8)


def save(path, values, palette=False):
    image = Image.fromarray(values)
    if palette:
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    image.save(path)
    return path


@pytest.mark.parametrize("palette", [False, True])
def test_labels_are_indices_not_colours(tmp_path, palette):
    path = save(tmp_path / "x.png", VOC, palette=palette)
    np.testing.assert_array_equal(masks.read_labels(path), VOC)


def test_three_equal_channels_are_one(tmp_path):
    path = save(tmp_path / "x.png", np.repeat(VOC[..., None], 3, axis=2))
    np.testing.assert_array_equal(masks.read_labels(path), VOC)


def test_colours_and_lossy_files_are_refused(tmp_path):
    path = save(tmp_path / "x.png", np.stack([VOC, VOC, 255 - VOC], axis=2))
    with pytest.raises(ValueError, match="mode RGB with colours"):
        masks.read_labels(path)
    path = save(tmp_path / "x.jpg", VOC)
    with pytest.raises(ValueError, match="JPEG, which does not keep labels"):
        masks.read_labels(path)


def test_voc_mask():
    mask, where = masks.voc_mask(VOC, 8)
    np.testing.assert_array_equal(mask, [[0, 1, 1, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(where, [[1, 1, 1, 0], [1, 1, 0, 0]])
    every, _ = masks.voc_mask(VOC)
    np.testing.assert_array_equal(every, [[0, 1, 1, 0], [0, 1, 0, 0]])
    assert masks.VOC_CLASSES[8 - 1] == "cat"
    with pytest.raises(ValueError, match="class_index=0 is not one of 1 to 20"):
        masks.voc_mask(VOC, 0)
    with pytest.raises(ValueError, match=r"\[21\] are no labels of SegmentationClass"):
        masks.voc_mask(np.array([[21]]), 1)


def test_voc_instances():
    objects = np.array([[0, 1, 2, 255], [0, 3, 255, 255]], np.uint8)
    instances, where = masks.voc_instances(objects, VOC)
    assert [index for index, _ in instances] == [8, 8, 12]
    np.testing.assert_array_equal(instances[1][1], objects == 2)
    np.testing.assert_array_equal(where, objects != 255)
    with pytest.raises(ValueError, match=r"Object 1 has the classes \[8, 12\]"):
        masks.voc_instances(np.minimum(objects, 1), VOC)
    with pytest.raises(ValueError, match="two files of one name"):
        masks.voc_instances(objects[:1], VOC)


def test_imagenet_s(tmp_path):
    labels = np.array([[0, 1, 255], [256, 919, 1000]])
    channels = np.stack([labels % 256, labels // 256, 0 * labels], axis=2)
    path = save(tmp_path / "x.png", channels.astype(np.uint8))
    read = masks.read_imagenet_s(path)
    np.testing.assert_array_equal(read, labels)
    mask, where = masks.imagenet_s_mask(read, 256)
    np.testing.assert_array_equal(mask, labels == 256)
    np.testing.assert_array_equal(where, labels < 1000)
    every, _ = masks.imagenet_s_mask(read)
    np.testing.assert_array_equal(every, [[0, 1, 1], [1, 1, 0]])
    with pytest.raises(ValueError, match="mode L"):
        masks.read_imagenet_s(save(tmp_path / "y.png", VOC))
    channels[0, 0] = 1001 % 256, 1001 // 256, 0
    path = save(tmp_path / "z.png", channels.astype(np.uint8))
    with pytest.raises(ValueError, match=r"\[1001\] are no labels of ImageNet-S"):
        masks.read_imagenet_s(path)


@pytest.mark.parametrize("top", [1, 255])
def test_plain_masks(tmp_path, top):
    values = np.array([[0, top], [top, 0]], np.uint8)
    path = save(tmp_path / "m.png", values)
    np.testing.assert_array_equal(masks.read_mask(path), values > 0)
    full = save(tmp_path / "f.png", np.full((2, 2), top, np.uint8))
    assert masks.read_mask(full).all()
    assert masks.read_mask(full).dtype == bool


def test_a_bilevel_png_and_a_boolean_array(tmp_path):
    values = np.array([[True, False]])
    Image.fromarray(values).save(tmp_path / "m.png")
    np.save(tmp_path / "n.npy", values)
    np.testing.assert_array_equal(masks.read_mask(tmp_path / "m.png"), values)
    np.testing.assert_array_equal(masks.read_mask(tmp_path / "n.npy"), values)


def test_other_values_need_a_threshold(tmp_path):
    path = save(tmp_path / "m.png", np.array([[0, 1, 255]], np.uint8))
    with pytest.raises(ValueError, match="has the values 0, 1, 255, where a mask"):
        masks.read_mask(path)
    np.testing.assert_array_equal(masks.read_mask(path, threshold=127), [[0, 0, 1]])
    np.save(tmp_path / "n.npy", np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match=r"shape \(1, 2, 2\); a mask is \(H, W\)"):
        masks.read_mask(tmp_path / "n.npy")


def test_a_folder_of_masks(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/x.y.png", "a.PNG"):
        save(tmp_path / name, VOC)
    (tmp_path / "notes.txt").write_text("not a mask")
    found = masks.list_masks(tmp_path)
    assert list(found) == ["a", "b/x.y"]
    assert found["a"] == tmp_path / "a.PNG"
    np.save(tmp_path / "a.npy", VOC)
    with pytest.raises(ValueError, match="share an id; keep one"):
        masks.list_masks(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no masks"):
        masks.list_masks(tmp_path / "empty")
