"""Coherency and the scores made of it, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics

RNG = np.random.default_rng(0)
MAP = np.array([[0.0, 0.5], [0.5, 1.0]], np.float32)
FLAT = np.full((2, 2), 0.5, np.float32)
TURNED = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)


@pytest.mark.parametrize(
    ("masked", "expected"),
    [
        pytest.param(MAP, 1.0, id="the same"),
        pytest.param(1 - MAP, 0.0, id="its negative"),
        # Deviations (-.5, 0, 0, .5) and (-.5, .5, -.5, .5).
        pytest.param(TURNED, (1 + 0.5 / np.sqrt(0.5 * 1.0)) / 2, id="half alike"),
        pytest.param(FLAT, np.nan, id="a constant map"),
    ],
)
def test_coherency_worked_by_hand(per_image, masked, expected):
    found = per_image(metrics.coherency, jnp.asarray(MAP), jnp.asarray(masked))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_only_pixels_of_the_image_count():
    wide = jnp.pad(jnp.asarray(MAP), ((0, 1), (0, 2)), constant_values=9.0)
    other = jnp.pad(jnp.asarray(TURNED), ((0, 1), (0, 2)), constant_values=-9.0)
    where = jnp.zeros((3, 4), bool).at[:2, :2].set(True)
    found = metrics.coherency(wide, other, where=where)
    expected = metrics.coherency(jnp.asarray(MAP), jnp.asarray(TURNED))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("saliency", "masked", "p", "o", "expected"),
    [
        # 1 / coherency, 1 / (1 - complexity), 1 / (1 - drop).
        pytest.param(MAP, MAP, 0.5, 0.25, 3 / (1 + 1 / 0.5 + 1 / 0.5), id="by hand"),
        pytest.param(MAP, MAP, 0.5, 0.75, 3 / (1 + 2 + 1), id="a gain is no drop"),
        pytest.param(MAP, 1 - MAP, 0.5, 0.5, 0.0, id="no coherency"),
        pytest.param(MAP, MAP, 0.5, 0.0, 0.0, id="all is lost"),
        pytest.param(FLAT, FLAT, 0.5, 0.5, np.nan, id="a constant map"),
        pytest.param(MAP, MAP, 0.0, 0.5, np.nan, id="nothing to lose"),
    ],
)
def test_adcc_worked_by_hand(per_image, saliency, masked, p, o, expected):
    given = (jnp.asarray(v, jnp.float32) for v in (saliency, masked, p, o))
    found = per_image(metrics.adcc, *given)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kept", [0.9, 0.4, 0.1])
def test_arcc_is_a_harmonic_mean_with_road(kept):
    s, masked = (jnp.asarray(RNG.random((5, 6)), jnp.float32) for _ in range(2))
    morf, lerf = jnp.array([0.5, 0.1]), jnp.array([kept, kept])
    found = metrics.arcc(s, masked, morf, lerf)
    r = np.corrcoef(np.ravel(s), np.ravel(masked))[0, 1]
    road = np.clip(2 * (kept - 0.3) / 2, 0, 1)
    terms = np.array([(1 + r) / 2, 1 - np.mean(s), road])
    expected = 0.0 if road == 0 else 3 / (1 / terms).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
