"""Similarity of maps of random networks and of other classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics

MAP = jax.random.uniform(jax.random.key(0), (12, 13))
OTHERS = jax.random.uniform(jax.random.key(1), (2, 12, 13))


@pytest.mark.parametrize("similarity", ["spearman", "pearson", "ssim"])
def test_the_similarity_is_the_one_that_is_asked_for(similarity):
    alike = getattr(metrics, similarity)
    each = [alike(MAP, other) for other in OTHERS]
    found = metrics.parameter_randomization(MAP, OTHERS, similarity=similarity)
    np.testing.assert_allclose(found, np.mean(each), rtol=1e-5)
    found = metrics.random_logit(MAP, OTHERS[0], similarity=similarity)
    np.testing.assert_allclose(found, each[0], rtol=1e-5)


def test_defaults_are_those_of_the_papers():
    found = metrics.parameter_randomization(MAP, OTHERS[:1])
    np.testing.assert_allclose(found, metrics.spearman(MAP, OTHERS[0]))
    found = metrics.random_logit(MAP, OTHERS[0])
    np.testing.assert_allclose(found, metrics.ssim(MAP, OTHERS[0]))


def test_stages_without_a_similarity_are_left_out():
    some = OTHERS.at[0].set(0.0)
    found = metrics.parameter_randomization(MAP, some)
    np.testing.assert_allclose(found, metrics.spearman(MAP, OTHERS[1]), rtol=1e-6)
    assert np.isnan(metrics.parameter_randomization(MAP, 0 * OTHERS))
    flat = jnp.ones_like(MAP)
    assert np.isnan(metrics.parameter_randomization(flat, jnp.stack([flat, flat])))
    np.testing.assert_allclose(metrics.random_logit(flat, flat), 1)


def test_only_pixels_of_the_image_count():
    where = jnp.zeros((14, 16), bool).at[:12, :13].set(True)

    def padded(x, fill):
        return jnp.pad(x, ((0, 2), (0, 3)), constant_values=fill)

    wide = jnp.stack([padded(other, -7.0) for other in OTHERS])
    for similarity in ("spearman", "ssim"):
        found = metrics.parameter_randomization(
            padded(MAP, 5.0), wide, where=where, similarity=similarity
        )
        expected = metrics.parameter_randomization(MAP, OTHERS, similarity=similarity)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_refusals():
    with pytest.raises(ValueError, match="choose one of 'spearman'"):
        metrics.random_logit(MAP, MAP, similarity="cosine")
    with pytest.raises(ValueError, match="shape"):
        metrics.random_logit(MAP, MAP[:11])
