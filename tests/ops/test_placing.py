"""Placing a map on the image part of a canvas."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import ops

place = ops.place


@pytest.mark.parametrize(("extent", "shape"), [((9, 7), (9, 7)), ((5, 8), (6, 10))])
def test_agrees_with_resizing_to_the_extent(per_image, extent, shape):
    import cv2

    saliency = np.random.default_rng(0).random((4, 3)).astype(np.float32)
    expected = np.zeros(shape, np.float32)
    expected[: extent[0], : extent[1]] = cv2.resize(saliency, extent[::-1])
    actual = per_image(
        lambda s, e: place(s, e, shape), jnp.asarray(saliency), jnp.array(extent)
    )
    np.testing.assert_allclose(actual, expected, atol=2e-6)


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
def test_padding_of_the_map_does_not_count(per_image, method):
    saliency = np.random.default_rng(0).random((4, 3)).astype(np.float32)
    padded = np.pad(saliency, ((0, 2), (0, 5)), constant_values=9)
    actual = per_image(
        lambda s, e, n: place(s, e, (9, 10), source=n, method=method),
        jnp.asarray(padded),
        jnp.array([9, 10]),
        jnp.array([4, 3]),
    )
    expected = ops.resize(jnp.asarray(saliency), (9, 10), method=method)
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_what_lies_outside_is_zero():
    out = place(jnp.ones((2, 2)), jnp.array([1, 2]), (3, 3))
    np.testing.assert_array_equal(out, [[1, 1, 0], [0, 0, 0], [0, 0, 0]])


def test_integers_are_refused():
    with pytest.raises(TypeError, match="floating point"):
        place(jnp.ones((2, 2), jnp.int32), jnp.array([1, 2]), (3, 3))
