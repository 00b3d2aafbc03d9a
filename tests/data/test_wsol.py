import numpy as np
import pytest
from PIL import Image

from jaxcam.data import wsol


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "image_ids.txt").write_text("v/a,b.jpg\nv/c.jpg\nv/d.jpg\n")
    (tmp_path / "image_sizes.txt").write_text("v/a,b.jpg,500,300\nv/c.jpg,10,20\n")
    (tmp_path / "class_labels.txt").write_text("v/a,b.jpg,7\nv/d.jpg,0\nv/z.jpg,1\n")
    (tmp_path / "localization.txt").write_text(
        "v/a,b.jpg,45,49,499,162\nv/a,b.jpg,2,69,437,207\nv/c.jpg,1,2,4,3\n"
    )
    return tmp_path


def test_boxes(folder):
    two, one, none = wsol.read_metadata(folder)
    assert (two.id, two.size, two.label) == ("v/a,b.jpg", (300, 500), 7)
    np.testing.assert_array_equal(two.boxes, [[49, 45, 162, 499], [69, 2, 207, 437]])
    assert (one.size, one.label) == ((20, 10), None)
    assert (none.size, none.label, none.boxes.shape) == (None, 0, (0, 4))
    assert none.masks == ()


def test_a_prefix(folder):
    for path in list(folder.iterdir()):
        path.rename(folder / f"CUB_{path.name}")
    assert len(wsol.read_metadata(folder, prefix="CUB_")) == 3
    with pytest.raises(FileNotFoundError):
        wsol.read_metadata(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("localization", "a,1,2,3", r"localization.txt, line 1 has 4 fields, not 3 or"),
        ("localization", "a,1,2,3,x", r"line 1: .* are not all numbers"),
        ("localization", "a,1,2,0,3", r"line 1: .* is not a box x0,y0,x1,y1"),
        ("localization", "a,1,-2,2,3", r"line 1: .* is not a box"),
        ("image_sizes", "a,1,2\nb,5", r"image_sizes.txt, line 2 has 2 fields, not 3"),
        ("class_labels", "a,cat", r"class_labels.txt, line 1: \['cat'\]"),
        ("image_ids", "a\nb\na", r"image_ids.txt lists 'a' more than once"),
    ],
)
def test_lines_that_are_wrong_are_named(folder, name, text, message):
    (folder / f"{name}.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        wsol.read_metadata(folder)


def test_scaling():
    # The case of the published tool's own test: (1, 2, 4, 3) in 10 x 20 to 35 x 10.
    box = np.array([[2.0, 1.0, 3.0, 4.0]])
    exact = wsol.scale_boxes(box, (20, 10), (10, 35))
    np.testing.assert_array_equal(exact, [[2 / 2, 3.5, 3 / 2, 4 * 3.5]])
    truncated = wsol.scale_boxes(box, (20, 10), (10, 35), rule="truncate")
    np.testing.assert_array_equal(truncated, [[1, 3, 1, 14]])
    with pytest.raises(ValueError, match="rule='round' is not known"):
        wsol.scale_boxes(box, (20, 10), (10, 35), rule="round")


def save(path, mask):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.asarray(mask, np.uint8) * 255).save(path)


@pytest.fixture
def entry(tmp_path):
    (tmp_path / "image_ids.txt").write_text("a.jpg\n")
    (tmp_path / "localization.txt").write_text(
        "a.jpg,m/1.png,m/i.png\na.jpg,m/2.png,\n"
    )
    save(tmp_path / "m/1.png", [[1, 0, 0, 0], [1, 0, 0, 0]])
    save(tmp_path / "m/2.png", [[0, 0, 0, 0], [0, 1, 0, 0]])
    save(tmp_path / "m/i.png", [[1, 1, 1, 0], [0, 1, 0, 0]])
    (entry,) = wsol.read_metadata(tmp_path)
    return entry


def test_masks(entry, tmp_path):
    assert entry.masks == ("m/1.png", "m/2.png")
    assert entry.ignore == "m/i.png"
    mask, where = wsol.read_masks(entry, tmp_path)
    np.testing.assert_array_equal(mask, [[1, 0, 0, 0], [1, 1, 0, 0]])
    np.testing.assert_array_equal(where, [[1, 0, 0, 1], [1, 1, 1, 1]])


def test_masks_resized(entry, tmp_path):
    mask, _ = wsol.read_masks(entry, tmp_path, size=(1, 2), rule="truncate")
    np.testing.assert_array_equal(mask, [[1, 0]])  # Row 0, columns 0 and 2.
    mask, where = wsol.read_masks(entry, tmp_path, size=(1, 2))
    np.testing.assert_array_equal(mask, [[1, 0]])  # Row 1, columns 1 and 3.
    np.testing.assert_array_equal(where, [[1, 1]])
    larger, _ = wsol.read_masks(entry, tmp_path, size=(4, 8))
    np.testing.assert_array_equal(larger[::2, ::2], [[1, 0, 0, 0], [1, 1, 0, 0]])
    with pytest.raises(ValueError, match="rule='floor' is not known"):
        wsol.read_masks(entry, tmp_path, size=(1, 2), rule="floor")


@pytest.mark.parametrize("shape", [(7, 5), (30, 41), (224, 224)])
def test_the_tools_neighbour_is_opencvs(shape):
    import cv2

    x = np.arange(12 * 17, dtype=np.uint8).reshape(12, 17)
    expected = cv2.resize(x, shape[::-1], interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(wsol._nearest(x, shape, "truncate"), expected)


def test_masks_that_do_not_fit(entry, tmp_path):
    save(tmp_path / "m/2.png", [[1, 0]])
    with pytest.raises(ValueError, match=r"differ in size, .*; give size="):
        wsol.read_masks(entry, tmp_path)
    bare = wsol.Entry("b.jpg", None, None, np.zeros((0, 4)))
    with pytest.raises(ValueError, match=r"name no mask for 'b\.jpg'"):
        wsol.read_masks(bare, tmp_path)


def test_the_birds(shared_dir):
    entries = wsol.read_metadata(shared_dir / "data/cub_boxes", prefix="CUB_")
    assert len(entries) == 5794
    assert entries[0].size == (335, 500)
    np.testing.assert_array_equal(entries[0].boxes, [[27, 60, 331, 385]])
    assert all(len(entry.boxes) == 1 for entry in entries)
