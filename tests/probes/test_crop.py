"""The crop probe against cutting the box out and resizing it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import probes
from jaxcam.probes import crop

FRAME = jnp.ones((1, 8, 6), bool)


@pytest.mark.parametrize(
    "box", [(0, 0, 8, 6), (2, 1, 5, 4), (3, 2, 4, 3), (0, 3, 8, 6)]
)
def test_equals_cutting_out_and_resizing(box):
    image = jax.random.normal(jax.random.key(0), (8, 6, 3))
    y0, x0, y1, x1 = box
    cut = image[y0:y1, x0:x1]
    expected = jax.image.resize(cut, (8, 6, 3), "bilinear", antialias=False)
    actual = crop._crop_and_resize(image, jnp.array(box, jnp.float32))
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def mean_model(x):
    return jnp.stack([x.mean((1, 2, 3)), jnp.zeros(len(x))], axis=1)


def test_the_score_is_that_of_the_crop():
    x = jnp.zeros((1, 8, 6, 1)).at[0, 2:4, 1:3].set(5.0)
    box = jnp.array([[2, 1, 4, 3]])
    out = probes.crop_score(mean_model, x, box, FRAME, jnp.array([0]))
    expected = np.exp(5) / (np.exp(5) + 1)
    np.testing.assert_allclose(out["crop_probability"], [expected], rtol=1e-6)


def test_the_box_is_in_pixels_of_the_truth_grid():
    """A truth grid twice as fine as the model's."""
    x = jnp.zeros((1, 8, 6, 1)).at[0, 2:4, 1:3].set(5.0)
    frame = jnp.zeros((1, 20, 20), bool).at[:, :16, :12].set(True)
    out = probes.crop_score(
        mean_model, x, jnp.array([[4, 2, 8, 6]]), frame, jnp.array([0])
    )
    expected = np.exp(5) / (np.exp(5) + 1)
    np.testing.assert_allclose(out["crop_probability"], [expected], rtol=1e-6)


def test_an_empty_box_is_undefined():
    x = jnp.ones((1, 8, 6, 1))
    out = probes.crop_score(
        mean_model, x, jnp.zeros((1, 4), jnp.int32), FRAME, jnp.array([0])
    )
    assert np.isnan(out["crop_probability"]).all()
