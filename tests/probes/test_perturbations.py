"""Squares hidden and noise added: additive models lose what their exact maps say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics, probes
from jaxcam.probes import perturbations

SHAPE = (9, 12)
KEYS = jax.random.split(jax.random.key(5), 2)
X = jax.random.normal(jax.random.key(0), (2, *SHAPE, 3))
W = jax.random.normal(jax.random.key(1), (*SHAPE, 1))
BLACK = jnp.array([[-1.0, -2.0, 0.5]] * 2)
FRAME = jnp.ones((2, *SHAPE), bool)
TARGET = jnp.array([0, 0])


def linear(x):
    """Logits (w . x, 0), one weight for the channels of a pixel."""
    first = jnp.sum(x * W, axis=(1, 2, 3))
    return jnp.stack([first, jnp.zeros_like(first)], axis=1)


def both(saliency, **options):
    score = linear(X)[:, 0]
    drops = probes.perturbation_drops(
        linear, X, BLACK, TARGET, score, KEYS, score="logit", samples=25, **options
    )["perturbation_drops"]
    products = probes.perturbation_products(
        None, X, BLACK, saliency, FRAME, KEYS, samples=25, **options
    )["perturbation_products"]
    return products, drops


@pytest.mark.parametrize("space", ["normalised", "pixel"])
@pytest.mark.parametrize("perturbation", ["square", "noise"])
def test_an_exact_map_of_a_linear_model_has_no_infidelity(perturbation, space):
    base = 0.0 if space == "normalised" else BLACK[:, None, None]
    share = jnp.sum(W * (X - base), axis=3)
    unit = jnp.broadcast_to(W[..., 0], (2, *SHAPE))
    exact = share if perturbation == "square" else unit
    products, drops = both(exact, perturbation=perturbation, masking_space=space)
    assert (drops.std(axis=1) > 0.1).all()
    np.testing.assert_allclose(products, drops, atol=2e-4)
    for factor, metric in ((1, metrics.infidelity_raw), (100, metrics.infidelity)):
        value = jax.vmap(metric)(factor * products, drops)
        np.testing.assert_allclose(value, 0, atol=1e-6)


def test_squares_are_squares_of_all_sides_and_places():
    """On 9 x 12 pixels sides are 1, 2 or 3, of the shorter side 10/28."""
    draw = jax.vmap(lambda sample: perturbations._squares(KEYS, sample, SHAPE))
    squares = np.asarray(draw(jnp.arange(200))).reshape(-1, *SHAPE)
    rows, columns = squares.any(2).sum(1), squares.any(1).sum(1)
    np.testing.assert_array_equal(rows, columns)
    np.testing.assert_array_equal(squares.sum((1, 2)), rows**2)
    sides, counts = np.unique(rows, return_counts=True)
    assert sides.tolist() == [1, 2, 3]
    assert counts.min() > 95
    assert squares.any(0).all()


def test_draws_belong_to_the_image():
    products, _ = both(jnp.abs(X[..., 0]))
    turned = probes.perturbation_products(
        None, X, BLACK, jnp.abs(X[::-1, ..., 0]), FRAME, KEYS[::-1], samples=25
    )["perturbation_products"]
    np.testing.assert_array_equal(turned[::-1], products)


def test_refusals():
    with pytest.raises(ValueError, match="'square', 'noise'"):
        both(X[..., 0], perturbation="blur")
