"""Image files of every kind, and files that are damaged."""

import numpy as np
import pytest
from PIL import Image

from jaxcam.data import masks, readers
from jaxcam.data.records import BadRecord

ORIENTATION = 0x0112


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", "png"),
        ("RGBA", "png"),
        ("L", "png"),
        ("LA", "png"),
        ("1", "png"),
        ("P", "png"),
        ("P", "gif"),
        ("CMYK", "tif"),
        ("CMYK", "jpg"),
        ("RGB", "webp"),
        ("RGB", "bmp"),
        ("RGB", "jpeg"),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, write, picture, mode, suffix):
    image = Image.fromarray(picture()).convert(mode)
    path = write(tmp_path / f"a.{suffix}", image)
    actual = readers.read_image(path)
    assert actual.dtype == np.uint8
    assert actual.shape == (12, 16, 3)
    expected = np.asarray(image.convert("RGB"), float)
    assert abs(actual - expected).mean() < 12  # JPEG and WebP lose a little.
    assert readers.read_shape(path) == (12, 16)


def test_sixteen_bits_keep_their_scale(tmp_path, write):
    values = np.array([[0, 257 * 100, 65535]], np.uint16)
    actual = readers.read_image(write(tmp_path / "a.png", values))
    np.testing.assert_array_equal(actual[0], [[0] * 3, [100] * 3, [255] * 3])


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path, write):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    path = write(tmp_path / "a.png", image, transparency=bytes([0, 128]))
    np.testing.assert_array_equal(
        readers.read_image(path), [[[10, 20, 30], [40, 50, 60]]]
    )


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (5, lambda x: x.swapaxes(0, 1)),
        (6, lambda x: np.rot90(x, -1)),
        (7, lambda x: x[::-1, ::-1].swapaxes(0, 1)),
        (8, lambda x: np.rot90(x, 1)),
    ],
)
def test_the_cameras_orientation_is_applied(
    tmp_path, write, picture, orientation, upright
):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = write(tmp_path / "a.png", picture(), exif=exif)
    np.testing.assert_array_equal(readers.read_image(path), upright(picture()))
    assert readers.read_shape(path) == upright(picture()).shape[:2]


def test_damaged_metadata_do_not_cost_the_image(tmp_path, write, picture):
    path = write(tmp_path / "a.png", picture(), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    np.testing.assert_array_equal(readers.read_image(path), picture())


def test_missing_and_damaged_images_say_so(tmp_path, write, picture):
    with pytest.raises(BadRecord, match=r"^the image is missing$"):
        readers.read_image(tmp_path / "none.jpg")
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    with pytest.raises(BadRecord, match="cannot be decoded: cannot identify") as info:
        readers.read_image(text)
    assert str(tmp_path) not in str(info.value)
    cut = write(tmp_path / "cut.jpg", picture(64, 64))
    cut.write_bytes(cut.read_bytes()[:400])
    with pytest.raises(BadRecord, match="cannot be decoded"):
        readers.read_image(cut)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tif", "bmp"])
@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it then decodes.
def test_no_damage_raises_anything_else(tmp_path, write, picture, suffix):
    path = write(tmp_path / f"a.{suffix}", picture(32, 32))
    good = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        bad = good[: rng.integers(1, len(good) + 1)].copy()
        bad[rng.integers(0, len(bad), 4)] = rng.integers(0, 256, 4)
        path.write_bytes(bad.tobytes())
        try:
            readers.read_image(path)
        except BadRecord:
            refused += 1
    assert refused > 10


def test_reasons_are_short(tmp_path, write, picture, monkeypatch):
    def fail(image):
        raise RuntimeError("x" * 1000 + "\nand more")

    monkeypatch.setattr(readers, "rgb", fail)
    with pytest.raises(BadRecord, match=r"decoded: x+$"):
        readers.read_image(write(tmp_path / "a.png", picture()))


def test_trimap(tmp_path, write, trimap):
    truth = readers.read_trimap(write(tmp_path / "a.png", trimap()))
    np.testing.assert_array_equal(truth.object, trimap() == 1)
    np.testing.assert_array_equal(truth.border, trimap() == 3)
    assert truth.boxes is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "the trimap is missing", id="missing"),
        pytest.param(b"no image", "the trimap cannot be decoded", id="damaged"),
        pytest.param(np.zeros((2, 2), np.uint8), "the values 0, not 1, 2", id="mask"),
        pytest.param(np.eye(3, dtype=np.uint8)[None] * 9, "mode RGB", id="colours"),
    ],
)
def test_trimaps_that_cannot_be_used(tmp_path, write, content, reason):
    path = tmp_path / "a.png"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        write(path, content)
    with pytest.raises(BadRecord, match=reason) as info:
        readers.read_trimap(path)
    assert str(tmp_path) not in str(info.value)


def test_plain_masks(tmp_path, write):
    values = np.array([[0, 1], [1, 0]], np.uint8)
    for name, scale in (("one", 1), ("bytes", 255)):
        path = write(tmp_path / f"{name}.png", values * np.uint8(scale))
        np.testing.assert_array_equal(readers.read_plain_mask(path).object, values == 1)
    grey = write(tmp_path / "grey.png", values * np.uint8(200))
    with pytest.raises(BadRecord, match="the mask has the values 0, 200"):
        readers.read_plain_mask(grey)
    np.testing.assert_array_equal(
        readers.read_plain_mask(grey, threshold=127).object, values == 1
    )


def test_values_of_bytes_are_those_of_unique():
    values = np.random.default_rng(0).choice([0, 7, 255], 50).astype(np.uint8)
    assert readers._values(values) == readers._values(values.astype(np.int64))


def test_ids_are_paths_without_suffix(tmp_path, write, picture):
    for name in ("b.jpg", "a.b.png", "sub/c.JPG", ".hidden.jpg"):
        write(tmp_path / name, picture(), format="png")
    (tmp_path / "notes.txt").write_text("")
    found, others = readers.files_by_id(tmp_path, readers.IMAGE_SUFFIXES)
    assert sorted(found) == ["a.b", "b", "sub/c"]
    assert others == 2
    write(tmp_path / "b.png", picture())
    with pytest.raises(ValueError, match=r"b\.png have the same name"):
        readers.files_by_id(tmp_path, readers.IMAGE_SUFFIXES)


def test_the_mask_files_of_the_other_reader_are_known_here():
    assert set(masks._SUFFIXES) <= set(readers.MASK_SUFFIXES)
