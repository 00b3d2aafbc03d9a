"""Intervals and tests against slow Python, SciPy and hand arithmetic."""

import itertools

import numpy as np
import pytest
import scipy.stats

from jaxcam import correlations, statistics
from jaxcam.metrics import _pooled

NAN = np.nan


def all_draws(count, **options):
    return np.concatenate(list(statistics.draws(count, **options)))


def slow_bootstrap(values, clusters, weights, level=0.95):
    """Literally: repeat the rows of every drawn cluster, take the mean, percentiles."""
    means = []
    for times in weights:
        sample = [
            float(value)
            for value, cluster in zip(values, clusters, strict=True)
            for _ in range(int(times[cluster]))
            if not np.isnan(value)
        ]
        means.append(sum(sample) / len(sample) if sample else NAN)
    means = np.array(means)
    means = means[~np.isnan(means)]
    tail = 100 * (1 - level) / 2
    return np.percentile(means, [tail, 100 - tail])


def means_of(values, clusters, **options):
    """`bootstrap_means` of one column."""
    count = int(clusters.max()) + 1
    sums, counts = statistics.cluster_sums(values, clusters, count)
    found = statistics.bootstrap_means(sums[:, None], counts[:, None], **options)
    return [float(x[0]) for x in found]


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_draws_are_whole_resamples_and_do_not_depend_on_the_block(count, monkeypatch):
    whole = all_draws(count, resamples=57, seed=3)
    assert whole.shape == (57, count)
    np.testing.assert_array_equal(whole.sum(axis=1), count)
    np.testing.assert_array_equal(whole, np.round(whole))
    np.testing.assert_array_equal(
        whole, all_draws(count, resamples=57, seed=3, columns=1000)
    )
    monkeypatch.setattr(statistics, "BLOCK_BYTES", 8 * count * 5)
    monkeypatch.setattr(statistics, "CACHED", count * 2)
    blocks = list(statistics.draws(count, resamples=57, seed=3))
    assert max(len(block) for block in blocks) == 5
    np.testing.assert_array_equal(whole, np.concatenate(blocks))
    if count > 2:
        assert (whole != all_draws(count, resamples=57, seed=4)).any()


def test_every_cluster_is_as_likely_as_the_others():
    drawn = all_draws(5, resamples=4000)
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=5 * np.sqrt(0.8 / 4000))
    np.testing.assert_allclose(drawn.var(axis=0), 5 * 0.2 * 0.8, rtol=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_intervals_agree_with_a_slow_bootstrap(seed):
    rng = np.random.default_rng(seed)
    clusters = np.sort(rng.integers(0, 12, 30))
    clusters = np.unique(clusters, return_inverse=True)[1]
    values = rng.normal(size=30).astype(np.float32)
    values[rng.random(30) < 0.3] = NAN
    weights = all_draws(clusters.max() + 1, resamples=150, seed=seed)
    expected = slow_bootstrap(values, clusters, weights)
    estimate, low, high = means_of(values, clusters, resamples=150, seed=seed)
    np.testing.assert_allclose(estimate, np.nanmean(values.astype(np.float64)))
    np.testing.assert_allclose([low, high], expected, rtol=1e-9)
    again = statistics.bootstrap(values, clusters, resamples=150, seed=seed)
    np.testing.assert_allclose(again, [estimate, low, high], rtol=1e-9)


def test_columns_are_independent_of_each_other():
    rng = np.random.default_rng(0)
    sums = rng.normal(size=(20, 4))
    counts = np.ones((20, 4))
    counts[3, 1] = sums[3, 1] = 0
    counts[:, 3] = sums[:, 3] = 0
    together = statistics.bootstrap_means(sums, counts, resamples=99)
    for column in range(4):
        alone = statistics.bootstrap_means(
            sums[:, [column]], counts[:, [column]], resamples=99
        )
        np.testing.assert_allclose(np.ravel(alone), [x[column] for x in together])
    assert np.isnan([x[3] for x in together]).all()


def test_small_noise_on_large_values_is_not_lost():
    noise = np.random.default_rng(0).normal(size=400)
    clusters = np.arange(400)
    low, high = np.array(means_of(1e4 + noise, clusters))[1:] - 1e4
    expected = np.array(means_of(noise, clusters))[1:]
    np.testing.assert_allclose([low, high], expected, atol=1e-9)
    assert 0.9 < (high - low) / (2 * 1.96 / np.sqrt(400)) < 1.1


def test_what_cannot_be_drawn_has_no_interval():
    one = means_of(np.array([2.0, 4.0, NAN]), np.array([0, 0, 1]))
    np.testing.assert_array_equal(one, [3, NAN, NAN])
    none = means_of(np.array([NAN, NAN]), np.array([0, 1]))
    np.testing.assert_array_equal(none, [NAN] * 3)
    infinite = means_of(np.array([np.inf, 1.0, 2.0]), np.arange(3))
    np.testing.assert_array_equal(infinite, [np.inf, NAN, NAN])
    some = statistics.bootstrap(np.array([NAN, 4.0]), np.arange(2))
    np.testing.assert_array_equal(some, [4, NAN, NAN])
    constant = means_of(np.full(5, 0.25), np.arange(5))
    np.testing.assert_array_equal(constant, [0.25] * 3)


def test_clusters_widen_the_interval():
    values = np.repeat(np.random.default_rng(0).normal(size=50), 4)
    _, low, high = means_of(values, np.arange(200) // 4)
    _, narrow_low, narrow_high = means_of(values, np.arange(200))
    assert 1.7 < (high - low) / (narrow_high - narrow_low) < 2.3


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_level_moves_the_ends(level):
    values = np.random.default_rng(1).normal(size=200)
    _, low, high = means_of(values, np.arange(200), level=level, resamples=4000)
    expected = scipy.stats.norm.ppf((1 + level) / 2) * values.std() / np.sqrt(200)
    np.testing.assert_allclose((high - low) / 2, expected, rtol=0.08)


def best_share(values, weights):
    """A metric of the whole data set: the best threshold's share of hits."""
    return _pooled.shares(values, weights, 0.5).max(axis=1)


def test_a_metric_of_the_data_set_is_computed_anew_in_every_draw():
    rng = np.random.default_rng(0)
    values = rng.random((15, 4)).astype(np.float32)
    values[4, 1] = NAN
    clusters = np.arange(15) // 2
    weights = all_draws(8, resamples=80)
    kept = [row for row in range(15) if row != 4]
    drawn = []
    for times in weights:
        rows = [r for r in kept for _ in range(int(times[clusters[r]]))]
        hits = [[values[r, t] >= 0.5 for r in rows] for t in range(4)]
        drawn.append(max(np.mean(h) for h in hits))
    expected = np.percentile(drawn, [2.5, 97.5])
    estimate, low, high = statistics.bootstrap(
        values, clusters, reduce=best_share, resamples=80
    )
    assert estimate == max(np.mean(values[kept] >= 0.5, axis=0))
    np.testing.assert_allclose([low, high], expected)


@pytest.mark.parametrize(
    ("draw", "mean", "least"),
    [
        pytest.param(lambda rng, n: rng.normal(size=n), 0.0, 0.92, id="normal"),
        pytest.param(lambda rng, n: rng.random(n) < 0.3, 0.3, 0.91, id="hits"),
        pytest.param(lambda rng, n: rng.exponential(size=n), 1.0, 0.89, id="skewed"),
    ],
)
def test_intervals_cover_what_they_promise(draw, mean, least):
    rng, n, trials = np.random.default_rng(0), 60, 1500
    sums = np.stack([draw(rng, n) for _ in range(trials)], axis=1).astype(float)
    _, low, high = statistics.bootstrap_means(sums, np.ones_like(sums), resamples=1000)
    covered = np.mean((low <= mean) & (mean <= high))
    assert least <= covered <= 0.97


def test_sign_flips_worked_by_hand():
    # Signs of (1, 2, 4) give sums of absolute value 7, 5, 3, 1, each twice.
    differences = np.array([[1, 1, -1, 0], [2, 2, 2, 0], [4, -4, 4, NAN]], float)
    p_values = statistics.sign_flip_test(differences)
    np.testing.assert_allclose(p_values, [2 / 8, 8 / 8, 4 / 8, 8 / 8])
    assert statistics.sign_flip_test(np.array([0.1, 0.2, 0.3])) == 2 / 8
    assert np.isnan(statistics.sign_flip_test(np.array([NAN, NAN])))


def test_sign_flips_agree_with_scipy():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.4, 1, 11)

    def statistic(x, axis):
        return np.mean(x, axis=axis)

    expected = scipy.stats.permutation_test(
        (differences,),
        statistic,
        permutation_type="samples",
        n_resamples=np.inf,
    ).pvalue
    np.testing.assert_allclose(statistics.sign_flip_test(differences), expected)
    many = rng.normal(0.2, 1, 80)
    reference = scipy.stats.permutation_test(
        (many,), statistic, permutation_type="samples", n_resamples=20000, rng=rng
    ).pvalue
    found = statistics.sign_flip_test(many)
    np.testing.assert_allclose(
        found, reference, atol=5 * np.sqrt(found * (1 - found) / 9999)
    )


def test_signs_are_even_and_do_not_depend_on_the_block(monkeypatch):
    whole = np.concatenate(list(statistics.signs(70, permutations=3000, seed=1)))
    assert set(np.unique(whole)) == {-1.0, 1.0}
    np.testing.assert_allclose(whole.mean(axis=0), 0, atol=5 / np.sqrt(3000))
    np.testing.assert_allclose(
        whole.T @ whole / 3000, np.eye(70), atol=6 / np.sqrt(3000)
    )
    monkeypatch.setattr(statistics, "BLOCK_BYTES", 8 * 70 * 11)
    again = np.concatenate(list(statistics.signs(70, permutations=3000, seed=1)))
    np.testing.assert_array_equal(whole, again)
    every = np.concatenate(list(statistics.signs(3, permutations=8)))
    assert {tuple(row) for row in every} == set(itertools.product([-1, 1], repeat=3))


def test_p_values_are_even_when_nothing_differs():
    rng = np.random.default_rng(0)
    p_values = statistics.sign_flip_test(rng.normal(size=(40, 500)), permutations=499)
    assert scipy.stats.kstest(p_values, "uniform").pvalue > 0.01
    assert p_values.min() >= 1 / 500


@pytest.mark.parametrize("rows", [9, 30])
def test_exchanging_rows_is_flipping_signs_for_a_mean(rows):
    rng = np.random.default_rng(rows)
    first, second = rng.normal(size=(2, rows))
    clusters = np.arange(rows) // 2
    sums, _ = statistics.cluster_sums(first - second, clusters, clusters.max() + 1)
    options = {"permutations": 600, "seed": 2}
    np.testing.assert_allclose(
        statistics.exchange_test(
            first, second, clusters, reduce=statistics.weighted_mean, **options
        ),
        statistics.sign_flip_test(sums, **options),
    )


def test_holm_by_hand():
    p_values = np.array([0.01, NAN, 0.04, 0.03, 0.005])
    # Sorted .005 .01 .03 .04 times 4 3 2 1, never falling.
    expected = [0.03, NAN, 0.06, 0.06, 0.02]
    np.testing.assert_allclose(statistics.holm(p_values), expected)
    np.testing.assert_allclose(statistics.holm(np.array([0.6, 0.7])), [1, 1])
    assert statistics.holm(np.array([])).shape == (0,)


def test_effect_size_and_wins_by_hand():
    differences = np.array([1.0, 3.0, NAN, 0.0, -2.0])
    mean, spread = 0.5, np.sqrt((0.25 + 6.25 + 0.25 + 6.25) / 3)
    assert statistics.paired_effect_size(differences) == pytest.approx(mean / spread)
    assert statistics.win_rate(differences) == (1 + 1 + 0.5 + 0) / 4
    assert np.isnan(statistics.paired_effect_size(np.array([2.0, 2.0])))
    assert np.isnan(statistics.paired_effect_size(np.array([2.0])))
    assert np.isnan(statistics.win_rate(np.array([NAN])))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("levels", [3, 1000])
def test_rank_correlations_agree_with_scipy(seed, levels):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, levels, (2, 4, 9)).astype(float)
    kendall, spearman = correlations.kendall(x, y), correlations.spearman(x, y)
    for row in range(4):
        expected = scipy.stats.kendalltau(x[row], y[row]).statistic
        np.testing.assert_allclose(kendall[row], expected)
        expected = scipy.stats.spearmanr(x[row], y[row]).statistic
        np.testing.assert_allclose(spearman[row], expected)


@pytest.mark.parametrize("levels", [4, 1000])
def test_rank_correlations_of_resamples_agree_with_scipy(levels):
    rng = np.random.default_rng(levels)
    x, y = rng.integers(0, levels, (2, 12)).astype(float)
    y += x / 2
    weights = all_draws(12, resamples=30)
    kendall = correlations.weighted_kendall(x, y, weights)
    spearman = correlations.weighted_spearman(x, y, weights)
    for times, tau, rho in zip(weights.astype(int), kendall, spearman, strict=True):
        a, b = np.repeat(x, times), np.repeat(y, times)
        np.testing.assert_allclose(tau, scipy.stats.kendalltau(a, b).statistic)
        np.testing.assert_allclose(rho, scipy.stats.spearmanr(a, b).statistic)


def test_rank_correlations_by_hand():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert correlations.kendall(x, x**3) == 1
    assert correlations.spearman(x, -x) == -1
    swapped = np.array([1.0, 2.0, 4.0, 3.0])
    assert correlations.kendall(x, swapped) == pytest.approx((5 - 1) / 6)
    assert correlations.spearman(x, swapped) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert np.isnan(correlations.kendall(x, 0 * x))
    assert np.isnan(correlations.spearman(x, 0 * x))
    one = np.ones((1, 4))
    assert np.isnan(correlations.weighted_spearman(x, 0 * x, one)).all()
    assert np.isnan(correlations.weighted_kendall(x, 0 * x, one)).all()


@pytest.mark.parametrize("seed", range(3))
def test_clustered_effect_sizes_are_those_of_a_literal_loop(seed):
    """Rows of drawn clusters are written out one by one."""
    rng = np.random.default_rng(seed)
    clusters = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3])
    values = rng.normal(100.0, 1.0, (10, 3))
    values[[1, 6], [0, 1]] = np.nan
    found = statistics.drawn_effect_sizes(values, clusters, resamples=40, seed=seed)
    assert found.shape == (41, 3)
    blocks = np.concatenate(list(statistics.draws(4, resamples=40, seed=seed)))
    for times, row in zip([np.ones(4), *blocks], found, strict=True):
        rows = [i for i, c in enumerate(clusters) for _ in range(int(times[c]))]
        for column in range(3):
            expected = statistics.paired_effect_size(values[rows, column])
            np.testing.assert_allclose(row[column], expected, rtol=1e-8)


def test_effect_sizes_without_variation_are_undefined():
    values = np.array([[0.1, np.nan, 1.0], [0.1, np.nan, np.nan], [0.1, 2.0, np.nan]])
    found = statistics.drawn_effect_sizes(values, np.arange(3), resamples=3)
    assert np.isnan(found).all()
