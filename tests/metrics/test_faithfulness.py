"""Arithmetic on the answers of probes."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics

P, LESS, MORE = jnp.float32(0.5), jnp.float32(0.125), jnp.float32(0.75)
NAN = jnp.float32(jnp.nan)


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("average_drop", (0.5 - 0.125) / 0.5, 0),
        ("absolute_drop", 0.5 - 0.125, 0),
        ("seed_average_drop", (0.5 - 0.125) / 0.5, (0.75 - 0.5) / 0.5),
        ("average_increase", 0, 1),
        ("average_gain", 0, (0.75 - 0.5) / (1 - 0.5)),
    ],
)
def test_values_worked_by_hand(per_image, name, less, more):
    metric = getattr(metrics, name)
    np.testing.assert_allclose(per_image(metric, P, LESS), less, rtol=1e-6)
    np.testing.assert_allclose(per_image(metric, P, MORE), more, rtol=1e-6)
    assert np.isnan(metric(P, NAN))
    assert np.isnan(metric(NAN, P))


def test_where_the_scores_are_undefined():
    zero, one = jnp.float32(0), jnp.float32(1)
    assert np.isnan(metrics.average_drop(zero, LESS))
    assert np.isnan(metrics.seed_average_drop(zero, LESS))
    assert np.isnan(metrics.average_gain(one, LESS))


def test_an_equal_score_is_an_increase_only_for_the_paper():
    assert metrics.average_increase(P, P) == 0
    assert metrics.average_increase(P, P, strict=False) == 1


@pytest.mark.parametrize(
    ("box", "probability", "area", "confidence"),
    [
        ((0, 0, 5, 10), 0.5, np.log(0.5), -np.log(0.5)),
        ((0, 0, 1, 2), 0.25, np.log(0.05), -np.log(0.25)),
        ((0, 0, 10, 10), 1.0, 0.0, 0.0),
        ((0, 0, 0, 0), 0.5, np.nan, -np.log(0.5)),
        ((0, 0, 5, 10), 0.0, np.log(0.5), np.nan),
    ],
)
def test_the_saliency_metric_is_the_sum_of_its_terms(
    per_image, box, probability, area, confidence
):
    frame = jnp.ones((10, 10), bool)
    box, p = jnp.array(box), jnp.float32(probability)
    actual = per_image(metrics.saliency_metric, box, frame, p)
    np.testing.assert_allclose(actual, area + confidence, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        metrics.saliency_metric_area(box, frame), area, rtol=1e-6
    )
    np.testing.assert_allclose(
        metrics.saliency_metric_confidence(p), confidence, rtol=1e-6
    )


def test_only_the_image_is_the_area_of_the_saliency_metric():
    frame = jnp.zeros((10, 20), bool).at[:, :10].set(True)
    area = metrics.saliency_metric_area(jnp.array([0, 0, 5, 10]), frame)
    np.testing.assert_allclose(area, np.log(0.5), rtol=1e-6)
