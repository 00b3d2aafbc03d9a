"""Two maps: SciPy and scikit-image as oracles, hand arithmetic, properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from skimage.metrics import structural_similarity

from jaxcam import metrics
from jaxcam.metrics import map_similarity

MAPS = ("pearson", "spearman", "ssim", "top_k_overlap")
CORRELATIONS = ("pearson", "spearman", "kendall")
SHAPE = (16, 13)
RAMP = np.arange(12, dtype=np.float32).reshape(3, 4)


def score(name, a, b, **options):
    return getattr(metrics, name)(jnp.asarray(a), jnp.asarray(b), **options)


def pair(seed, levels=None):
    """Two related maps in [0, 1]; with ties if `levels` is given."""
    rng = np.random.default_rng(seed)
    a, noise = rng.random((2, *SHAPE))
    b = 0.5 * a + 0.5 * noise
    if levels:
        a, b = np.round(a * levels) / levels, np.round(b * levels) / levels
    return a.astype(np.float32), b.astype(np.float32)


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("name", CORRELATIONS)
def test_correlations_are_scipys(per_image, name, levels):

    def metric(a, b, where):
        return getattr(metrics, name)(a, b, where=where)

    for seed in range(3):
        a, b = pair(seed, levels)
        where = np.random.default_rng(seed).random(SHAPE) < 0.7
        oracle = {"pearson": "pearsonr", "spearman": "spearmanr"}.get(name)
        expected = getattr(stats, oracle or "kendalltau")(a[where], b[where]).statistic
        if name == "kendall":
            a, b, where = a.ravel(), b.ravel(), where.ravel()
        actual = per_image(metric, *map(jnp.asarray, (a, b, where)))
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


SKIMAGE = {
    "published": (
        {},
        {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
    ),
    "its default": ({"window": "uniform", "sample_covariance": True}, {}),
    "five": (
        {"window": "uniform", "size": 5, "sample_covariance": True},
        {"win_size": 5},
    ),
}


@pytest.mark.parametrize("recipe", SKIMAGE)
def test_ssim_is_scikit_images(per_image, recipe):
    ours, theirs = SKIMAGE[recipe]
    for seed, scale in ((0, 1.0), (1, 255.0)):
        a, b = (scale * x for x in pair(seed))
        expected = structural_similarity(
            a.astype(float), b.astype(float), data_range=scale, **theirs
        )
        actual = per_image(
            lambda a, b, scale=scale: metrics.ssim(a, b, data_range=scale, **ours),
            jnp.asarray(a),
            jnp.asarray(b),
        )
        np.testing.assert_allclose(actual, expected, rtol=2e-5)


def test_ssim_keeps_its_digits_on_nearly_flat_maps():
    a, b = (0.9 + 1e-3 * x for x in pair(0))
    recipe = SKIMAGE["published"][1]
    exact = structural_similarity(
        a.astype(float), b.astype(float), data_range=1, **recipe
    )
    np.testing.assert_allclose(score("ssim", a, b), exact, rtol=1e-5)


def test_ssim_counts_windows_that_lie_on_valid_pixels():
    a, b = pair(3)
    where = np.zeros(SHAPE, bool)
    where[2:15, 1:13] = True
    actual = score("ssim", np.where(where, a, np.nan), b, where=jnp.asarray(where))
    np.testing.assert_allclose(
        actual, score("ssim", a[2:15, 1:13], b[2:15, 1:13]), rtol=1e-5
    )
    where[8] = False  # No window fits any more.
    assert np.isnan(score("ssim", a, b, where=jnp.asarray(where)))


@pytest.mark.parametrize(
    ("name", "a", "b", "expected"),
    [
        ("pearson", RAMP, 3 * RAMP - 7, 1),
        ("pearson", RAMP, -RAMP, -1),
        ("pearson", [[0.0, 0, 1]], [[0.0, 1, 1]], 0.5),
        ("pearson", RAMP, 0 * RAMP + 0.1, np.nan),
        ("spearman", RAMP, np.exp(RAMP), 1),
        ("spearman", [[1.0, 2, 3]], [[1.0, 3, 2]], 1 - 6 * (0 + 1 + 1) / (3 * 8)),
        ("spearman", RAMP, 0 * RAMP + 0.1, np.nan),
        ("kendall", [1, 2, 3], [1, 3, 2], (2 - 1) / 3),
        ("kendall", [1, 1, 2], [1, 2, 3], 2 / np.sqrt((3 - 1) * 3)),
        ("kendall", [1.0, 2, 3], [3.0, 2, 1], -1),
        ("kendall", [1, 1, 1], [1, 2, 3], np.nan),
        ("kendall", [np.nan, 1, 2], [1.0, 2, 3], np.nan),
    ],
)
def test_values_worked_by_hand(name, a, b, expected):
    a, b = (np.asarray(x, None if name == "kendall" else np.float32) for x in (a, b))
    a, b = (x.astype(np.float32) if x.dtype == float else x for x in (a, b))
    np.testing.assert_allclose(score(name, a, b), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("a", "b", "k", "expected"),
    [
        (RAMP, RAMP, 5, 5 / 5),
        (RAMP, -RAMP, 5, 0),
        (RAMP, -RAMP, 8, 4 / 8),
        (RAMP, -RAMP, 99, 1),
        (RAMP, 0 * RAMP, 3, 3 / 12),
        (0 * RAMP, 0 * RAMP, 3, 12 * (3 / 12) ** 2 / 3),
        (np.minimum(RAMP, 10), RAMP, 1, 1 / 2),
    ],
)
def test_overlaps_worked_by_hand(per_image, a, b, k, expected):
    actual = per_image(
        lambda a, b: metrics.top_k_overlap(a, b, k=k), jnp.asarray(a), jnp.asarray(b)
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_the_overlap_is_that_of_two_sets():
    a, b = pair(0)
    where = np.random.default_rng(0).random(SHAPE) < 0.6
    for k in (1, 17, 60):
        tops = (set(np.argsort(-np.where(where, x, -1), axis=None)[:k]) for x in (a, b))
        actual = score("top_k_overlap", a, b, k=k, where=jnp.asarray(where))
        np.testing.assert_allclose(actual, len(set.intersection(*tops)) / k, rtol=1e-6)


@pytest.mark.parametrize("name", [*MAPS, "kendall"])
def test_symmetric_and_one_for_equal_maps(name):
    a, b = (x.ravel() if name == "kendall" else x for x in pair(4))
    options = {"k": 20} if name == "top_k_overlap" else {}
    np.testing.assert_allclose(
        score(name, a, b, **options), score(name, b, a, **options), rtol=1e-6
    )
    np.testing.assert_allclose(score(name, a, a, **options), 1, rtol=1e-6)


def test_a_correlation_neither_overflows_nor_drowns_in_an_offset():
    a, b = pair(5)
    expected = stats.pearsonr(a.ravel(), b.ravel()).statistic
    np.testing.assert_allclose(score("pearson", 1e36 * a, b), expected, rtol=1e-5)
    high = 1000 + a
    exact = stats.pearsonr(high.ravel().astype(float), b.ravel()).statistic
    np.testing.assert_allclose(score("pearson", high, b), exact, rtol=1e-5)


@pytest.mark.parametrize("name", MAPS)
def test_undefined(name):
    a, b = pair(6)
    hole = a.copy()
    hole[8, 6] = np.nan
    assert np.isnan(score(name, hole, b))
    assert np.isnan(score(name, b, hole))
    assert np.isnan(score(name, a, b, where=jnp.zeros(SHAPE, bool)))
    hole[8, 6] = np.inf
    assert np.isnan(score(name, hole, b)) == (name in ("pearson", "ssim"))


@pytest.mark.parametrize("name", ["pearson", "spearman", "top_k_overlap"])
def test_padding_changes_nothing(name):
    a, b = pair(7)
    where = np.pad(np.ones(SHAPE, bool), ((1, 2), (0, 3)))
    padded = (np.pad(x, ((1, 2), (0, 3)), constant_values=np.nan) for x in (a, b))
    options = {"k": 20} if name == "top_k_overlap" else {}
    np.testing.assert_allclose(
        score(name, *padded, where=jnp.asarray(where), **options),
        score(name, a, b, **options),
        rtol=1e-5,
    )


def test_gradients_are_finite():
    a, b = map(jnp.asarray, pair(8))
    for name in ("pearson", "ssim"):
        assert jnp.isfinite(jax.jit(jax.grad(getattr(metrics, name)))(a, b)).all()


@pytest.mark.parametrize("name", MAPS)
def test_refusals(name):
    a, b = pair(0)
    with pytest.raises(ValueError, match=r"batch a metric with jax\.vmap"):
        score(name, a[None], b[None])
    with pytest.raises(TypeError, match="b must be floating point"):
        score(name, a, b.astype(int))
    with pytest.raises(ValueError, match="resize"):
        score(name, a, b[:-1])


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="smaller odd size=, or upsample"):
        score("ssim", RAMP, RAMP)
    with pytest.raises(ValueError, match="choose a smaller odd"):
        score("ssim", *pair(0), size=4)
    with pytest.raises(ValueError, match="choose one of 'gaussian', 'uniform'"):
        score("ssim", *pair(0), window="box")
    assert score("ssim", RAMP, RAMP, size=3) == 1


def test_rankings_that_are_none_are_refused():
    ranks = np.arange(4)
    with pytest.raises(ValueError, match="compare the pixels of maps with spearman"):
        score("kendall", RAMP, RAMP)
    with pytest.raises(ValueError, match="one length"):
        score("kendall", ranks, ranks[:3])
    with pytest.raises(ValueError, match="use spearman"):
        score("kendall", *2 * [np.arange(map_similarity.KENDALL_LENGTH + 1)])
    with pytest.raises(TypeError, match="scores or ranks"):
        score("kendall", ranks > 1, ranks)
    with pytest.raises(TypeError, match="must be boolean"):
        score("kendall", ranks, ranks, where=jnp.arange(4))
