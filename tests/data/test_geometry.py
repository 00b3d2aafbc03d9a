"""One geometry for an image, its masks and its boxes."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from jaxcam.data import geometry

SIDES = st.integers(1, 40)


def reference_mask(mask, window, size):
    """The value of the original pixel that holds each new pixel's centre."""
    y0, x0, y1, x1 = window
    out = np.zeros(size, bool)
    for i in range(size[0]):
        for j in range(size[1]):
            y = int(np.floor(y0 + (i + 0.5) * (y1 - y0) / size[0]))
            x = int(np.floor(x0 + (j + 0.5) * (x1 - x0) / size[1]))
            out[i, j] = mask[y, x]
    return out


@pytest.mark.parametrize(
    ("kind", "fraction", "expected"),
    [
        pytest.param("squash", 1.0, ((0, 0, 60, 100), (20, 20)), id="squash"),
        pytest.param("original", 1.0, ((0, 0, 60, 100), (60, 100)), id="original"),
        # The short side, 60, becomes 20: the crop is 60 x 60 in the middle.
        pytest.param("crop", 1.0, ((0, 20, 60, 80), (20, 20)), id="crop"),
        pytest.param("crop", 0.5, ((15, 35, 45, 65), (20, 20)), id="crop and zoom"),
    ],
)
def test_frames_worked_by_hand(kind, fraction, expected):
    made = geometry.frame((60, 100), (20, 20), kind, fraction)
    assert (made.window, made.size) == expected


def test_no_rounding_puts_a_crop_outside_the_image():
    """299 * (607 / 299) is a little more than 607; Pillow refuses such a window."""
    for height in range(1, 700, 3):
        for width, side in ((641, 299), (607, 224), (333, 49), (7, 32)):
            made = geometry.frame((height, width), (side, side), "crop")
            y0, x0, y1, x1 = made.window
            assert 0 <= y0 < y1 <= height
            assert 0 <= x0 < x1 <= width
    frame = geometry.frame((607, 641), (299, 299), "crop")
    image = np.zeros((607, 641, 3), np.uint8)
    assert geometry.resize_image(image, frame).shape == (299, 299, 3)


def test_crop_to_a_grid_that_is_not_square():
    made = geometry.frame((60, 100), (10, 40), "crop")
    assert made.window == (60 / 2 - 12.5, 0, 60 / 2 + 12.5, 100)  # 100 x 25: aspect 4.


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.integers(0, 99))
@pytest.mark.parametrize("kind", ["squash", "crop", "original"])
def test_masks_agree_with_the_definition(kind, original, size, seed):
    mask = np.random.default_rng(seed).random(original) < 0.5
    frame = geometry.frame(original, size, kind)
    expected = reference_mask(mask, frame.window, frame.size)
    np.testing.assert_array_equal(geometry.resize_mask(mask, frame), expected)


def test_masks_agree_with_pillow_nearest():
    mask = np.random.default_rng(0).random((37, 53)) < 0.5
    expected = Image.fromarray(mask).resize((24, 16), Image.Resampling.NEAREST)
    frame = geometry.frame((37, 53), (16, 24), "squash")
    np.testing.assert_array_equal(geometry.resize_mask(mask, frame), expected)


@pytest.mark.parametrize(
    ("kind", "box"), [("squash", (30, 48, 60, 80)), ("crop", (30, 51, 60, 81))]
)
def test_image_mask_and_box_stay_together(kind, box):
    """A bright square on whole pixels of the new grid, which antialiasing keeps."""
    image = np.zeros((90, 120, 3), np.uint8)
    y0, x0, y1, x1 = box
    image[y0:y1, x0:x1] = 255
    frame = geometry.frame((90, 120), (30, 30), kind)
    bright = geometry.resize_image(image, frame)[..., 0] > 127
    mask = geometry.resize_mask(image[..., 0] > 0, frame)
    resized = geometry.resize_boxes(np.array([box], float), frame)
    np.testing.assert_array_equal(bright, mask)
    np.testing.assert_allclose(geometry.tight_box(mask), resized)


def test_images_are_antialiased():
    """Stripes of one pixel average to grey; sampling would give black or white."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[::2] = 255
    small = geometry.resize_image(image, geometry.frame((64, 64), (8, 8), "squash"))
    assert np.ptp(small) <= 16
    assert abs(small.mean() - 127.5) < 4


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param([10, 20, 30, 60], [10 / 3, 20 / 5, 30 / 3, 60 / 5], id="scaled"),
        pytest.param([-5, 90, 70, 120], [0, 18, 20, 20], id="cut at the edge"),
        pytest.param([10, 100, 20, 110], [0, 0, 0, 0], id="outside"),
        pytest.param([10, 50, 10, 60], [0, 0, 0, 0], id="empty"),
    ],
)
def test_boxes_under_squash(box, expected):
    frame = geometry.frame((60, 100), (20, 20), "squash")
    actual = geometry.resize_boxes(np.array([box], float), frame)
    np.testing.assert_allclose(actual, [expected])


def test_boxes_under_crop_lose_what_is_cropped_away():
    frame = geometry.frame((60, 100), (20, 20), "crop")  # Columns 20 to 80, scale 1/3.
    boxes = np.array([[0, 10, 30, 50], [0, 0, 60, 20]], float)
    actual = geometry.resize_boxes(boxes, frame)
    np.testing.assert_allclose(actual, [[0, 0, 10, 10], [0, 0, 0, 0]])


def test_tight_box():
    mask = np.zeros((5, 7), bool)
    assert geometry.tight_box(mask).shape == (0, 4)
    mask[1, 2] = mask[3, 5] = True
    np.testing.assert_array_equal(geometry.tight_box(mask), [[1, 2, 4, 6]])
