import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxcam import methods


def test_uniform_is_one_pixel():
    np.testing.assert_array_equal(methods.uniform(jnp.zeros((5, 4, 3))), [[1.0]])


def test_centre_is_isotropic_and_symmetric():
    saliency = methods.centre(jnp.zeros((6, 10, 3)), sigma=0.25)
    np.testing.assert_allclose(saliency, saliency[::-1, ::-1], rtol=1e-6)
    along, across = saliency[2, 4:], saliency[2:, 4]
    np.testing.assert_allclose(along[:4], across[:4], rtol=1e-6)
    expected = np.exp(-(0.5**2 + 1.5**2) / (2 * (0.25 * 6) ** 2))
    np.testing.assert_allclose(saliency[2, 6], expected, rtol=1e-6)


def test_random_is_the_key_s_and_uniform():
    image, keys = jnp.zeros((64, 32, 3)), jax.random.split(jax.random.key(0), 2)
    first, second = (methods.random(image, key) for key in keys)
    np.testing.assert_array_equal(first, methods.random(image, keys[0]))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    np.testing.assert_allclose(
        np.quantile(first, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.05
    )


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sobel_agrees_with_scipy(channels):
    image = np.random.default_rng(0).random((7, 9, channels), np.float32)
    weights = (
        [0.299, 0.587, 0.114] if channels == 3 else np.full(channels, 1 / channels)
    )
    luminance = image @ np.asarray(weights)
    steps = [scipy.ndimage.sobel(luminance, axis, mode="nearest") for axis in (0, 1)]
    expected = np.hypot(*steps)
    np.testing.assert_allclose(methods.sobel(jnp.asarray(image)), expected, atol=1e-5)


def test_truth_is_the_mask():
    mask = jnp.array([[True, False], [False, True]])
    np.testing.assert_array_equal(methods.truth(mask), np.eye(2))
