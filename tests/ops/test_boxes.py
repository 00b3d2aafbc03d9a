"""Boxes: by hand, against rasters, and refusals."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import ops


@pytest.mark.parametrize(
    ("pixels", "box"),
    [
        ([], (0, 0, 0, 0)),
        ([(0, 0)], (0, 0, 1, 1)),
        ([(4, 6)], (4, 6, 5, 7)),
        ([(1, 5), (3, 2)], (1, 2, 4, 6)),
    ],
)
def test_the_tight_box(per_image, pixels, box):
    mask = np.zeros((5, 7), bool)
    for pixel in pixels:
        mask[pixel] = True
    actual = per_image(ops.bounding_box, jnp.asarray(mask))
    assert actual.dtype == jnp.int32
    np.testing.assert_array_equal(actual, box)


@pytest.mark.parametrize("seed", range(5))
def test_a_raster_and_its_tight_box_agree(seed):
    rng = np.random.default_rng(seed)
    y0, x0 = rng.integers(0, 4, 2)
    y1, x1 = rng.integers(5, 9, 2)
    mask = ops.box_mask(jnp.array([y0, x0, y1, x1]), (9, 9))
    expected = np.zeros((9, 9), bool)
    expected[y0:y1, x0:x1] = True
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(ops.bounding_box(mask), [y0, x0, y1, x1])


@pytest.mark.parametrize(
    ("box", "pixels"),
    [((0.4, 0, 1.6, 1), 2), ((0.6, 0, 1.4, 1), 0), ((0, 0, 9, 9), 12)],
)
def test_a_pixel_belongs_to_a_box_by_its_centre(box, pixels):
    assert ops.box_mask(jnp.array(box), (4, 3)).sum() == pixels


@pytest.mark.parametrize("seed", range(6))
def test_the_analytic_overlap_is_that_of_the_rasters(per_image, seed):
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(2):
        low, high = np.sort(rng.integers(0, 12, (2, 2)), axis=0)
        boxes.append(jnp.array([*low, *high]))
    rasters = [np.asarray(ops.box_mask(box, (12, 12))) for box in boxes]
    union = (rasters[0] | rasters[1]).sum()
    expected = (rasters[0] & rasters[1]).sum() / union if union else np.nan
    actual = per_image(ops.box_iou, *boxes)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_empty_boxes():
    empty, box = jnp.zeros(4), jnp.array([0.0, 0.0, 2.0, 3.0])
    assert np.isnan(ops.box_iou(empty, empty))
    assert ops.box_iou(empty, box) == 0
    assert ops.box_area(box) == 6
    assert ops.box_area(jnp.array([3, 3, 1, 1])) == 0


def test_refusals():
    with pytest.raises(ValueError, match=r"\[y0, x0, y1, x1\]"):
        ops.box_iou(jnp.zeros((2, 4)), jnp.zeros(4))
    with pytest.raises(TypeError, match="boolean"):
        ops.bounding_box(jnp.zeros((2, 2)))
