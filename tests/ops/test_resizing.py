"""Resizing against OpenCV, which has the same conventions."""

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import ops

METHODS = {"bilinear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(28, 28), (5, 50), (7, 3), (7, 9)])
def test_agrees_with_opencv(per_image, method, shape):
    saliency = np.random.default_rng(0).normal(size=(7, 9)).astype(np.float32)
    expected = cv2.resize(saliency, shape[::-1], interpolation=METHODS[method])
    actual = per_image(
        lambda s: ops.resize(s, shape, method=method), jnp.asarray(saliency)
    )
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_nearest_takes_the_pixel_under_the_centre():
    saliency = jnp.array([[1.0, 2.0, 3.0]])
    out = ops.resize(saliency, (2, 6), method="nearest")
    np.testing.assert_array_equal(out, [[1, 1, 2, 2, 3, 3]] * 2)
    np.testing.assert_array_equal(ops.resize(saliency, (1, 1), method="nearest"), [[2]])


def test_a_single_pixel_spreads():
    np.testing.assert_array_equal(
        ops.resize(jnp.full((1, 1), 3.5), (4, 5)), np.full((4, 5), 3.5)
    )


def test_refusals():
    with pytest.raises(ValueError, match="choose one of"):
        ops.resize(jnp.ones((2, 2)), (4, 4), method="lanczos")
    with pytest.raises(ValueError, match=r"jax\.vmap"):
        ops.resize(jnp.ones((1, 2, 2)), (4, 4))
