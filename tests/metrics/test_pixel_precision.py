import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from jaxcam.metrics import pixel_precision as pxap


def pooled(saliency, mask, **options):
    values = pxap.pixel_average_precision(
        jnp.asarray(saliency), jnp.asarray(mask), **options
    )
    return pxap.pooled_average_precision(np.asarray(values)[None])[0]


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn_on_pooled_pixels(seed):
    """Scores of 1/20, so that no two of them share a bin of 1/20."""
    rng = np.random.default_rng(seed)
    s = rng.integers(0, 21, (4, 6, 7)) / np.float32(20)
    s[:, 0, 0] = 1
    mask, where = rng.random((2, 4, 6, 7)) < np.array([0.3, 0.8])[:, None, None, None]
    batched = jax.vmap(
        lambda s, m, w: pxap.pixel_average_precision(s, m, where=w, thresholds=20)
    )
    values = np.asarray(batched(*(jnp.asarray(x) for x in (s, mask, where))))
    expected = sklearn_metrics.average_precision_score(mask[where], s[where])
    np.testing.assert_allclose(pxap.pooled_average_precision(values), expected)
    one_by_one = [pxap.pooled_average_precision(v[None])[0] for v in values]
    assert abs(np.mean(one_by_one) - expected) > 1e-3  # Pooled is not averaged.


@pytest.mark.parametrize(
    ("on", "off", "percent"),
    [(43031, 7145, 85.76), (833, 49342, 1.660), (347, 13909, 2.434)],
)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constants_of_the_published_tools_own_test(on, off, percent, value):
    """Constant maps over masks of its test files: the share of object pixels."""
    index = np.arange(224 * 224).reshape(224, 224)
    score = pooled(
        np.full((224, 224), value, np.float32),
        index < on,
        where=jnp.asarray(index < on + off),
    )
    assert 100 * score == pytest.approx(100 * on / (on + off))
    assert 100 * score == pytest.approx(percent, abs=0.005)


@pytest.mark.parametrize("ignored_score", [0.0, 1.0])
def test_a_perfect_map_scores_one_whatever_is_ignored(ignored_score):
    mask, ignored = np.zeros((2, 8, 8), bool)
    mask[2:5, 2:5], ignored[6:] = True, True
    s = np.where(ignored, ignored_score, mask).astype(np.float32)
    assert pooled(s, mask, where=jnp.asarray(~ignored)) == 1


def test_values_worked_by_hand(per_image):
    s = jnp.array([[1.0, 0.6], [0.6, 0.0]])
    m = jnp.array([[True, True], [False, False]])
    values = per_image(pxap.pixel_average_precision, s, m)
    assert values.shape == (2 * 1001,)
    assert np.flatnonzero(values).tolist() == [600, 1000, 1001, 1001 + 600]
    score = pxap.pooled_average_precision(np.asarray(values)[None])
    np.testing.assert_allclose(score, [1 / 1 * 1 / 2 + 2 / 3 * 1 / 2])


def test_bins_are_closed_below():
    s = jnp.asarray(np.arange(1001) / 1000, jnp.float32)[None]
    values = pxap.pixel_average_precision(s, s >= 0)
    np.testing.assert_array_equal(values[:1001], 1)
    below = jnp.asarray(np.nextafter(np.asarray(s)[:, 1:], np.float32(0)))
    values = pxap.pixel_average_precision(
        jnp.append(below, jnp.ones((1, 1)), axis=1), jnp.ones((1, 1001), bool)
    )
    np.testing.assert_array_equal(values[:1001], 1)


def test_normalisation():
    s = jnp.array([[-1.0, 0.0, 1.0]])
    m = jnp.array([[True, True, True]])
    by_max = pxap.pixel_average_precision(s, m, thresholds=2)
    np.testing.assert_array_equal(by_max[:3], [2, 0, 1])
    by_both = pxap.pixel_average_precision(s, m, thresholds=2, normalization="minmax")
    np.testing.assert_array_equal(by_both[:3], [1, 1, 1])
    frame = jnp.array([[False, True, True]])
    framed = pxap.pixel_average_precision(
        s, m, frame, thresholds=2, normalization="minmax"
    )
    np.testing.assert_array_equal(framed[:3], [1, 0, 1])


def test_undefined():
    s, m = jnp.ones((2, 2)), jnp.ones((2, 2), bool)
    one_nan = s.at[0, 0].set(jnp.nan)
    assert jnp.isnan(pxap.pixel_average_precision(one_nan, m)).all()
    kept = pxap.pixel_average_precision(one_nan, m, where=~jnp.isnan(one_nan))
    assert kept.sum() == 3
    assert np.isnan(pooled(s, ~m))


def test_weights_are_draws_and_undefined_rows_leave():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 9, (12, 10)).astype(np.float32)
    times = rng.integers(0, 3, (3, 12))
    expected = [
        pxap.pooled_average_precision(np.repeat(values, t, axis=0))[0] for t in times
    ]
    np.testing.assert_allclose(pxap.pooled_average_precision(values, times), expected)
    values[4] = np.nan
    np.testing.assert_allclose(
        pxap.pooled_average_precision(values),
        pxap.pooled_average_precision(np.delete(values, 4, axis=0)),
    )
