"""Arithmetic on what the map says and what the model loses."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxcam import metrics

PAIRS = [
    ("faithfulness_correlation", scipy.stats.pearsonr),
    ("mu_fidelity", scipy.stats.spearmanr),
    ("monotonicity_correlation", scipy.stats.spearmanr),
]


@pytest.mark.parametrize(("name", "reference"), PAIRS)
def test_correlations_are_those_of_scipy(per_image, name, reference):
    rng = np.random.default_rng(0)
    sums = rng.integers(0, 6, 30).astype(np.float32)  # With ties.
    drops = (sums + rng.normal(size=30)).astype(np.float32)
    found = per_image(getattr(metrics, name), jnp.asarray(sums), jnp.asarray(drops))
    np.testing.assert_allclose(found, reference(sums, drops).statistic, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name, _ in PAIRS])
def test_what_is_the_same_everywhere_has_no_correlation(name):
    ramp, flat = jnp.arange(5.0), jnp.full(5, 0.3)
    for sums, drops in ((flat, ramp), (ramp, flat), (ramp, ramp.at[0].set(jnp.nan))):
        assert np.isnan(getattr(metrics, name)(sums, drops))


def test_sensitivity_n_is_the_mean_over_the_sizes_that_are_defined(per_image):
    sums = jnp.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [1.0, 3.0, 5.0]])
    drops = jnp.array([[3.0, 4.0, 5.0], [1.0, 2.0, 3.0], [4.0, 2.0, 0.0]])
    found = per_image(metrics.sensitivity_n, sums, drops)
    np.testing.assert_allclose(found, (1 - 1) / 2, atol=1e-6)
    np.testing.assert_allclose(metrics.sensitivity_n(sums[:2], drops[:2]), 1, 1e-6)
    assert np.isnan(metrics.sensitivity_n(sums[1:2], drops[1:2]))
    assert np.isnan(metrics.sensitivity_n(sums.at[0, 0].set(jnp.nan), drops))


@pytest.mark.parametrize(
    ("products", "drops", "scaled", "raw"),
    [
        # The best factor is (1 + 2) / (1 + 4).
        pytest.param((1, 2), (1, 1), (0.4**2 + 0.2**2) / 2, (0 + 1) / 2, id="by hand"),
        pytest.param((2, 4), (1, 2), 0, (1 + 4) / 2, id="off by a factor"),
        pytest.param((-1, -2), (1, 2), 0, (4 + 16) / 2, id="off by a sign"),
        pytest.param((0, 0), (1, 2), (1 + 4) / 2, (1 + 4) / 2, id="a map of zeros"),
    ],
)
def test_infidelity_worked_by_hand(per_image, products, drops, scaled, raw):
    products, drops = (jnp.array(x, jnp.float32) for x in (products, drops))
    found = per_image(metrics.infidelity, products, drops)
    np.testing.assert_allclose(found, scaled, rtol=1e-6, atol=1e-12)
    found = per_image(metrics.infidelity_raw, products, drops)
    np.testing.assert_allclose(found, raw, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_exact_case_of_captum(size):
    """Its two-layer network at (1, 2.5, 3.3), where f is 3 (x1 + x2 + x3 + 1) - 1.

    Integrated gradients and feature ablation both give 3 x. Its tests of sensitivity
    1, 2 and 3 take away one, two and all three features and expect an infidelity of 0,
    with the attributions a hundred times as large where they are normalised.
    """
    x = np.array([1.0, 2.5, 3.3])

    def network(x):
        hidden = np.maximum(x.sum() + np.array([-10, 1, 1, 1]), 0)
        return hidden.sum() - 1

    removed = [list(s) for s in itertools.combinations(range(3), size)]
    drops = [
        network(x) - network(np.where(np.isin(range(3), s), 0, x)) for s in removed
    ]
    products = [3 * x[s].sum() for s in removed]
    drops, products = (jnp.array(v, jnp.float32) for v in (drops, products))
    np.testing.assert_allclose(metrics.infidelity_raw(products, drops), 0, atol=1e-9)
    np.testing.assert_allclose(metrics.infidelity(100 * products, drops), 0, atol=1e-9)


def test_refusals():
    with pytest.raises(ValueError, match="one of each"):
        metrics.infidelity(jnp.ones(3), jnp.ones(4))
    with pytest.raises(ValueError, match="shape"):
        metrics.mu_fidelity(jnp.ones(3), jnp.ones(4))


def test_one_cell_has_no_order():
    assert np.isnan(metrics.monotonicity(jnp.ones(1)))
    assert np.isnan(metrics.monotonicity(jnp.array([0.1, jnp.nan, 0.3])))
