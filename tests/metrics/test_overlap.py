"""Region against region: hand arithmetic, the definitions pixel by pixel, refusals."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics

# A row of pixels: the prediction covers a, b, c, the truth c, d; e is neither.
PREDICTED = jnp.array([[True, True, True, False, False]])
TRUTH = jnp.array([[False, False, True, True, False]])
EMPTY = jnp.zeros((1, 5), bool)


def literal(predicted, truth, where):
    """Counts pixel by pixel, as the definitions are written."""
    both = only_predicted = only_truth = 0
    for pixel in np.ndindex(predicted.shape):
        if not where[pixel]:
            continue
        p, m = predicted[pixel], truth[pixel]
        both += p and m
        only_predicted += p and not m
        only_truth += m and not p

    def ratio(a, b):
        return a / b if b else np.nan

    return {
        "intersection_over_union": ratio(both, both + only_predicted + only_truth),
        "localization_error": 1 - ratio(both, both + only_predicted + only_truth),
        "precision": ratio(both, both + only_predicted),
        "recall": ratio(both, both + only_truth),
        "f_score": ratio(2 * both, 2 * both + only_predicted + only_truth),
    }


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("intersection_over_union", {}, 1 / 4),
        ("intersection_over_union", {"denominator": "truth"}, 1 / 2),
        ("localization_error", {}, 1 - 1 / 4),
        ("localization_error", {"denominator": "truth"}, 1 - 1 / 2),
        ("precision", {}, 1 / 3),
        ("recall", {}, 1 / 2),
        ("f_score", {}, 2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2)),
        ("f_score", {"beta": 2}, 5 * (1 / 3) * (1 / 2) / (4 * (1 / 3) + 1 / 2)),
        ("localization_hit", {}, 0),
        ("localization_hit", {"threshold": 0.25}, 1),
        ("localization_hit", {"threshold": 0.25, "strict_hit": True}, 0),
        ("localization_hit", {"denominator": "truth"}, 1),
    ],
)
def test_values_worked_by_hand(per_image, name, options, expected):
    metric = getattr(metrics, name)
    actual = per_image(lambda p, m: metric(p, m, **options), PREDICTED, TRUTH)
    chex.assert_shape(actual, ())
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(literal(*np.zeros((3, 1, 1), bool))))
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_definition(name, seed):
    rng = np.random.default_rng(seed)
    predicted, truth = rng.random((2, 6, 5)) < 0.4
    where = rng.random((6, 5)) < 0.8
    actual = getattr(metrics, name)(
        jnp.asarray(predicted), jnp.asarray(truth), where=jnp.asarray(where)
    )
    np.testing.assert_allclose(
        actual, literal(predicted, truth, where)[name], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "no_prediction", "no_truth", "neither"),
    [
        ("intersection_over_union", 0, 0, np.nan),
        ("localization_error", 1, 1, np.nan),
        ("localization_hit", 0, 0, np.nan),
        ("precision", np.nan, 0, np.nan),
        ("recall", 0, np.nan, np.nan),
        ("f_score", 0, 0, np.nan),
    ],
)
def test_empty_regions(name, no_prediction, no_truth, neither):
    metric = getattr(metrics, name)
    np.testing.assert_array_equal(metric(EMPTY, TRUTH), no_prediction)
    np.testing.assert_array_equal(metric(PREDICTED, EMPTY), no_truth)
    np.testing.assert_array_equal(metric(EMPTY, EMPTY), neither)


@pytest.mark.parametrize(
    ("hit", "right", "expected"), [(1, 1, 0), (1, 0, 1), (0, 1, 1), (0, 0, 1)]
)
def test_the_official_error_needs_place_and_class(hit, right, expected):
    predicted = TRUTH if hit else ~TRUTH
    error = metrics.official_localization_error(predicted, TRUTH, jnp.bool_(right))
    assert error == expected


@pytest.mark.parametrize("seed", range(4))
def test_f1_follows_from_iou(seed):
    predicted, truth = jnp.asarray(np.random.default_rng(seed).random((2, 8, 8)) < 0.5)
    iou = metrics.intersection_over_union(predicted, truth)
    np.testing.assert_allclose(
        metrics.dice(predicted, truth), 2 * iou / (1 + iou), rtol=1e-6
    )


def test_pixels_that_do_not_count_change_nothing():
    def pad(x, fill):
        return jnp.pad(x, ((1, 2), (0, 3)), constant_values=fill)

    where = pad(jnp.ones_like(TRUTH), False)
    for name in ("intersection_over_union", "precision", "recall", "f_score"):
        metric = getattr(metrics, name)
        padded = metric(pad(PREDICTED, True), pad(TRUTH, True), where=where)
        np.testing.assert_array_equal(padded, metric(PREDICTED, TRUTH))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((PREDICTED.astype(jnp.float32), TRUTH), TypeError, "must be boolean"),
        ((PREDICTED, TRUTH[:, :3]), ValueError, "resize"),
        ((PREDICTED[None], TRUTH[None]), ValueError, "batch a metric with jax.vmap"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        metrics.intersection_over_union(*arguments)


def test_an_unknown_denominator_is_refused():
    with pytest.raises(ValueError, match="choose one of"):
        metrics.localization_error(PREDICTED, TRUTH, denominator="sum")


def test_options_that_are_numbers_are_traced():
    score = jax.jit(lambda beta: metrics.f_score(PREDICTED, TRUTH, beta=beta))
    np.testing.assert_allclose(score(2.0), metrics.f_score(PREDICTED, TRUTH, beta=2))
    assert score(3.0) != score(2.0)
