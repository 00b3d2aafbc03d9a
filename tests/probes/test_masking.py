"""The masking probe on models whose answer is arithmetic."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import probes


def two_pixel_model(x):
    """Logits (2 * first pixel, second pixel) of a 1 x 2 image with one channel."""
    return jnp.stack([2 * x[:, 0, 0, 0], x[:, 0, 1, 0]], axis=1)


def softmax_of(first, second):
    return np.exp(first) / (np.exp(first) + np.exp(second))


X = jnp.array([[[[1.0], [3.0]]]])
BLACK = jnp.array([[-2.0]])
SALIENCY = jnp.array([[[0.5, 0.0]]])
FRAME = jnp.ones((1, 1, 2), bool)
TARGET = jnp.array([0])


@pytest.mark.parametrize(
    ("options", "logits"),
    [
        pytest.param({}, (2 * 0.5, 0.0), id="hidden pixels are zero"),
        pytest.param(
            {"masking_space": "pixel"},
            (2 * (0.5 * 1 + 0.5 * -2), -2.0),
            id="hidden pixels are black",
        ),
        pytest.param({"top_fraction": 0.5}, (2 * 0.5, 0.0), id="the top half"),
    ],
)
def test_values_worked_by_hand(options, logits):
    out = probes.masked_score(
        two_pixel_model, X, BLACK, SALIENCY, FRAME, TARGET, **options
    )
    np.testing.assert_allclose(
        out["masked_probability"], [softmax_of(*logits)], rtol=1e-6
    )
    np.testing.assert_allclose(out["masked_logit"], [logits[0]], rtol=1e-6)


def test_a_map_on_another_grid_is_brought_to_the_model():
    """A truth grid of 2 x 4 pixels on a canvas of 3 x 6, each pixel four of its."""
    saliency = (
        jnp.full((1, 3, 6), 9.0)
        .at[0, :2, :4]
        .set(jnp.array([[0.5, 0.5, 0.0, 0.0]] * 2))
    )
    frame = jnp.zeros((1, 3, 6), bool).at[:, :2, :4].set(True)
    out = probes.masked_score(two_pixel_model, X, BLACK, saliency, frame, TARGET)
    np.testing.assert_allclose(out["masked_logit"], [2 * 0.5], rtol=1e-6)


def test_a_full_map_hides_nothing_and_an_empty_map_hides_all():
    full = probes.masked_score(
        two_pixel_model, X, BLACK, jnp.ones((1, 1, 2)), FRAME, TARGET
    )
    none = probes.masked_score(
        two_pixel_model, X, BLACK, jnp.zeros((1, 1, 2)), FRAME, TARGET
    )
    np.testing.assert_allclose(full["masked_probability"], [softmax_of(2, 3)])
    np.testing.assert_allclose(none["masked_probability"], [0.5])


def test_the_top_fraction_counts_pixels_and_keeps_ties():
    x = jnp.ones((1, 1, 4, 1))
    saliency = jnp.array([[[0.9, 0.4, 0.4, 0.1]]])

    def total(x):
        return jnp.stack([x.sum((1, 2, 3)), jnp.zeros(len(x))], axis=1)

    out = probes.masked_score(
        total, x, BLACK, saliency, jnp.ones((1, 1, 4), bool), TARGET, top_fraction=0.5
    )
    np.testing.assert_allclose(
        out["masked_probability"], [softmax_of(0.9 + 0.4 + 0.4, 0)], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [({"masking_space": "lab"}, "normalised"), ({"top_fraction": 0.0}, "lie in")],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        probes.masked_score(
            two_pixel_model, X, BLACK, SALIENCY, FRAME, TARGET, **options
        )


def test_a_single_output_is_refused():
    with pytest.raises(ValueError, match="single output"):
        probes.masked_score(lambda x: x[:, 0, 0], X, BLACK, SALIENCY, FRAME, TARGET)
