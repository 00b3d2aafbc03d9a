from pathlib import Path

import cv2
import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam.ops import components, contours

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "wsol.npz")
NAMES = [name[: -len(".bytes")] for name in GOLDEN.files if name.endswith(".bytes")]
SHAPE = (9, 11)


def opencv_contours(mask):
    return cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE
    )[0]


def opencv_boxes(values):
    """At each level the largest contour's box and all boxes, as the tool has them."""
    height, width = values.shape

    def box(contour):
        x, y, w, h = cv2.boundingRect(contour)
        return [y, x, min(y + h, height - 1) + 1, min(x + w, width - 1) + 1]

    for level in range(contours.LEVELS):
        found = opencv_contours(values.astype(np.uint8) > level)
        if found:
            yield box(max(found, key=cv2.contourArea)), [box(c) for c in found]
        else:
            yield [0, 0, 1, 1], [[0, 0, 1, 1]]


def inclusive_iou(box, truth):
    """`box` is as above; both corners of `truth` are part of it."""
    top, left = np.maximum(box[:2], truth[:2])
    bottom, right = np.minimum(box[2:], truth[2:] + 1)
    common = max(bottom - top, 0) * max(right - left, 0)
    areas = np.prod(np.subtract(box[2:], box[:2])) + np.prod(truth[2:] + 1 - truth[:2])
    return common / (areas - common)


TRUTH = np.array([[1, 2, 5, 9], [4, 0, 7, 2]])


def check(values, truth=TRUTH):
    largest, every = zip(*opencv_boxes(values), strict=True)
    values = jnp.asarray(values, jnp.float32)
    np.testing.assert_array_equal(contours.largest_contour_boxes(values), largest)
    expected = [max(inclusive_iou(b, t) for b in bs for t in truth) for bs in every]
    valid = jnp.array([*(True for _ in truth), False])
    boxes = jnp.asarray(np.vstack([truth, [[0, 0, 3, 3]]]), jnp.float32)
    actual = contours.best_contour_iou(values, boxes, valid)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def maps(shape):
    """Few levels, for plateaus, nested rings and ties; or any bytes and fractions."""
    few = hnp.arrays(np.float32, shape, elements=st.sampled_from([0, 60, 120.5, 255]))
    bytes_ = hnp.arrays(np.uint8, shape).map(lambda x: x.astype(np.float32))
    real = hnp.arrays(np.float32, shape, elements=st.floats(0, 255, width=32))
    return few | bytes_ | real


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(maps(SHAPE))
def test_agrees_with_opencv_on_any_map(values):
    check(values)


@pytest.mark.parametrize("density", [0.3, 0.5, 0.7, 0.85])
def test_agrees_with_opencv_on_random_masks(density):
    rng = np.random.default_rng(0)
    for _ in range(8):
        check(np.where(rng.random(SHAPE) < density, 200.0, 3.0))


PATTERNS = {
    "ring": lambda y, x: (y % 8 == 0) | (x % 8 == 0),
    "rings in rings": lambda y, x: np.maximum(abs(y - 4), abs(x - 4)) % 2 == 0,
    "diamond of one hole": lambda y, x: abs(y - 4) + abs(x - 5) == 1,
    "diamond with a tail": lambda y, x: (
        (abs(y - 4) + abs(x - 5) == 1) | ((y == 4) & (x > 5))
    ),
    "checkerboard": lambda y, x: (y + x) % 2 == 0,
    "isolated pixels": lambda y, x: (y % 2 == 0) & (x % 2 == 0),
    "lines": lambda y, x: y % 2 == 0,
    "figure of eight": lambda y, x: (y // 3 + x // 3) % 2 == 0,
    "full": lambda y, x: y >= 0,
    "empty": lambda y, x: y < 0,
}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns(name):
    mask = PATTERNS[name](*np.mgrid[: SHAPE[0], : SHAPE[1]])
    check(np.where(mask, 100.0, 20.0))
    check(np.where(mask, 255.0, 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1)])
def test_thin_maps(shape):
    rng = np.random.default_rng(0)
    for _ in range(3):
        check(rng.integers(0, 256, shape), np.array([[0, 0, 3, 2]]))


@pytest.mark.parametrize("name", NAMES)
def test_golden_boxes_with_holes_and_upsampled_maps(name):
    values = jnp.asarray(GOLDEN[f"{name}.bytes"], jnp.float32)
    levels = (np.arange(0, 1, 0.001) * 255).astype(int)
    truth = jnp.asarray(GOLDEN["truth_inclusive"], jnp.float32)
    every = contours.best_contour_iou(values, truth, jnp.array([True, True]))
    np.testing.assert_allclose(every[levels], GOLDEN[f"{name}.every"], rtol=1e-6)
    largest = np.asarray(contours.largest_contour_boxes(values))
    iou = [max(inclusive_iou(b, t) for t in np.asarray(truth, int)) for b in largest]
    np.testing.assert_allclose(
        np.array(iou)[levels], GOLDEN[f"{name}.largest"], rtol=1e-6
    )


@pytest.mark.slow
def test_maps_with_too_many_basins_are_labelled():
    """White noise, where the fallback must answer; and that it does."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 6, (90, 96)) * 51.0
    assert contours._upside_down(jnp.asarray(noise, jnp.float32)).count > 1024
    check(noise, np.array([[10, 20, 50, 90]]))


@pytest.mark.slow
def test_a_batch_of_unlike_maps_equals_each_map():
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.random((4, 4)), (96, 90))
    batch = np.stack([smooth * 0, rng.random((90, 96)), smooth]) * 255
    batch = jnp.asarray(batch, jnp.float32)
    truth = jnp.asarray(rng.integers(0, 90, (3, 2, 4)), jnp.float32)
    valid = jnp.array([[True, True], [True, False], [False, False]])
    boxes = jax.vmap(contours.largest_contour_boxes)(batch)
    ious = jax.vmap(contours.best_contour_iou)(batch, truth, valid)
    for i in range(3):
        np.testing.assert_array_equal(
            boxes[i], contours.largest_contour_boxes(batch[i])
        )
        np.testing.assert_array_equal(
            ious[i], contours.best_contour_iou(batch[i], truth[i], valid[i])
        )
    assert not ious[2].any()


@pytest.mark.parametrize("seed", range(4))
def test_fill_holes(seed):
    mask = np.random.default_rng(seed).random((12, 15)) < 0.6
    outer = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )[0]
    filled = cv2.drawContours(np.zeros(mask.shape, np.uint8), outer, -1, 1, cv2.FILLED)
    np.testing.assert_array_equal(contours.fill_holes(jnp.asarray(mask)), filled > 0)


def test_bytes_survive_the_stretch():
    """0 to 255 in 255 steps, as a map that was saved as bytes and divided."""
    for x in (np.arange(256.0), np.arange(256.0) / 255, np.arange(256.0) * 3 - 7):
        stretched = contours.to_bytes(jnp.asarray(x, jnp.float32)[None])
        np.testing.assert_array_equal(np.floor(stretched[0]), np.arange(256))
    np.testing.assert_array_equal(contours.to_bytes(jnp.full((2, 2), 3.0)), 0)


def test_label_boxes():
    mask = np.array([[1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 0, 1]], bool)
    labels = components.label_components(jnp.asarray(mask))
    boxes, exists = contours.label_boxes(labels)
    assert exists.sum() == 4
    expected = [[0, 0, 2, 2], [0, 3, 2, 4], [3, 1, 4, 2], [3, 3, 4, 4]]
    np.testing.assert_array_equal(boxes[:4], expected)
    assert not boxes[4:].any()


def test_refusals():
    with pytest.raises(TypeError, match="values must be floating point but is uint8"):
        contours.largest_contour_boxes(jnp.zeros((2, 2), jnp.uint8))
    with pytest.raises(ValueError, match="values must have shape"):
        contours.best_contour_iou(
            jnp.zeros((1, 2, 2)), jnp.zeros((1, 4)), jnp.ones(1, bool)
        )
