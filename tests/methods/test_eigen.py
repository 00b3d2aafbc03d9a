import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import methods


def first_projection(rows):
    return rows @ np.linalg.svd(rows, full_matrices=False)[2][0]


@pytest.mark.parametrize("channels", [3, 40])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("weighed", [False, True])
def test_agrees_with_the_singular_value_decomposition(channels, centred, weighed):
    rng = np.random.default_rng(0)
    a = rng.random((4, 5, channels)) * np.linspace(0.2, 2, channels)
    g = rng.normal(size=a.shape) + 0.5 if weighed else np.ones_like(a)
    rows = (a * g).reshape(20, channels)
    expected = first_projection(rows - rows.mean(0) if centred else rows)
    total = rows.sum(1)
    agreement = np.corrcoef(expected, total)[0, 1] if centred else expected @ total
    expected = (expected * np.sign(agreement)).reshape(4, 5)
    arrays = (jnp.float32(a), jnp.float32(g))[: 1 + weighed]
    fn = methods.eigen_grad_cam if weighed else methods.eigen_cam
    actual = fn(*arrays, centred=centred)
    np.testing.assert_allclose(actual, expected, rtol=2e-3, atol=1e-3)


def test_the_map_of_a_relu_layer_is_not_negative():
    a = jnp.float32(np.random.default_rng(1).random((6, 6, 9)))
    assert methods.eigen_cam(a).min() >= 0


def test_a_dead_layer_has_the_zero_map():
    np.testing.assert_array_equal(methods.eigen_cam(jnp.zeros((3, 3, 4))), 0)
