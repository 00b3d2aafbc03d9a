"""Cells one by one, on classifiers of four pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics, probes

WEIGHTS = np.array([1.0, -2.0, 4.0, 8.0], np.float32)
X = jnp.array([1.0, 2.0, 3.0, 0.5]).reshape(1, 2, 2, 1)
PARTS = WEIGHTS * np.array([1.0, 2.0, 3.0, 0.5])  # (1, -4, 12, 4)
BLACK = jnp.array([[-1.0]])
FRAME = jnp.ones((1, 2, 2), bool)
TARGET = jnp.array([0])
KEY = jax.random.split(jax.random.key(0), 1)


def four_pixels(x):
    first = x.reshape(len(x), 4) @ WEIGHTS
    return jnp.stack([first, jnp.zeros_like(first)], axis=1)


def revealed(saliency, key=KEY, **options):
    saliency = jnp.asarray(saliency, jnp.float32).reshape(1, 2, 2)
    options = {"score": "logit"} | options
    out = probes.revealed_scores(
        four_pixels, X, BLACK, saliency, FRAME, TARGET, key, **options
    )
    return out["revealed_scores"][0]


@pytest.mark.parametrize("grid", [7, 2, None])
@pytest.mark.parametrize(
    ("saliency", "order", "value", "share"),
    [
        ((0.2, 0.1, 0.9, 0.5), (1, 0, 3, 2), 1, 3 / 3),
        ((0.1, 0.2, 0.9, 0.5), (0, 1, 3, 2), 0, 2 / 3),
        ((0.4, 0.3, 0.1, 0.2), (2, 3, 1, 0), 0, 2 / 3),
    ],
)
def test_cells_are_revealed_from_the_least_salient(grid, saliency, order, value, share):
    scores = revealed(saliency, grid=grid)
    np.testing.assert_allclose(scores, np.cumsum(PARTS[list(order)]), rtol=1e-6)
    assert metrics.monotonicity(scores) == value
    np.testing.assert_allclose(metrics.monotonicity(scores, share=True), share, 1e-6)


def test_hidden_cells_are_black_in_the_pixel_space():
    scores = revealed((0.1, 0.2, 0.3, 0.4), masking_space="pixel")
    expected = [PARTS[:i].sum() - WEIGHTS[i:].sum() for i in (1, 2, 3, 4)]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_the_last_score_is_that_of_the_image():
    scores = revealed((0.1, 0.2, 0.3, 0.4), score="probability")
    np.testing.assert_allclose(
        scores[-1], jax.nn.softmax(four_pixels(X))[0, 0], rtol=1e-6
    )


def test_cells_that_are_equally_salient_come_in_an_order_of_the_image():
    first = {
        float(revealed((0.5,) * 4, key=jax.random.split(jax.random.key(k), 1))[0])
        for k in range(20)
    }
    assert first == set(PARTS.tolist())


def effects(model, x=X, **options):
    score = model(x)[:, 0]
    out = probes.cell_effects(model, x, TARGET, score, KEY, score="logit", **options)
    return out["cell_effects"][0]


def test_effects_are_mean_squared_changes_of_one_cell_alone():
    """Colours between 0.5 and 3, the image's extremes."""
    found = effects(four_pixels, grid=None, samples=300)
    low, high = 0.5, 3.0
    mean, variance = (low + high) / 2, (high - low) ** 2 / 12
    values = np.array([1.0, 2.0, 3.0, 0.5])
    expected = WEIGHTS**2 * ((mean - values) ** 2 + variance)
    np.testing.assert_allclose(found, expected, rtol=0.15)
    np.testing.assert_array_equal(effects(four_pixels, jnp.full_like(X, 0.3)), 0)


def test_a_cell_that_the_model_ignores_has_no_effect():
    found = effects(lambda x: four_pixels(x.at[:, 0, 1].set(7.0)), samples=3)
    assert found[1] == 0
    assert (found[jnp.array([0, 2, 3])] > 0).all()


def test_sums_are_of_magnitudes():
    saliency = jnp.array([[[0.5, -0.25, 0.0, 1.0], [0.5, 0.25, 0.0, -1.0]]])
    x = jnp.zeros((1, 2, 4, 1))
    frame = jnp.ones((1, 2, 4), bool)
    out = probes.cell_sums(None, x, saliency, frame, grid=2)["cell_sums"]
    np.testing.assert_allclose(out, [[0.75, 1.0, 0.75, 1.0]])
