"""Arithmetic on how far maps move."""

import jax.numpy as jnp
import numpy as np

from jaxcam import metrics


def test_the_largest_and_the_mean_change(per_image):
    changes = jnp.array([0.2, 0.6, 0.1])
    np.testing.assert_allclose(per_image(metrics.max_sensitivity, changes), 0.6)
    np.testing.assert_allclose(per_image(metrics.avg_sensitivity, changes), 0.3, 1e-6)
    for metric in (metrics.max_sensitivity, metrics.avg_sensitivity):
        assert np.isnan(metric(changes.at[1].set(jnp.nan)))


def test_neighbours_of_another_class_are_left_out(per_image):
    changes = jnp.array([2.0, -jnp.inf, 5.0])
    np.testing.assert_allclose(
        per_image(metrics.relative_input_stability, changes), 5.0
    )
    none = jnp.full(3, -jnp.inf)
    assert np.isnan(per_image(metrics.relative_input_stability, none))
    broken = changes.at[0].set(jnp.nan)
    assert np.isnan(per_image(metrics.relative_input_stability, broken))
    assert metrics.relative_input_stability(jnp.zeros(3)) == 0
