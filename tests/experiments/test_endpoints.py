"""Endpoints of the comparison on scores whose answer is known."""

import numpy as np
import pytest

from jaxcam import correlations, statistics
from jaxcam.experiments import endpoints


def differences(seed, mean, n=400, explanations=3, metrics=2):
    rng = np.random.default_rng(seed)
    return rng.normal(mean, 1.0, (n, explanations, metrics))


def test_a_version_that_separates_better_wins():
    """Means of 0.2 and 1 at a deviation of 1: the difference of d' is 0.8."""
    found = endpoints.effect_difference(
        differences(0, 0.2), differences(1, 1.0), np.arange(400) % 40
    )
    assert found["estimate"] == pytest.approx(0.8, abs=0.1)
    assert 0.5 < found["low"] < found["estimate"] < found["high"] < 1.1
    turned = endpoints.effect_difference(
        differences(1, 1.0), differences(0, 0.2), np.arange(400) % 40
    )
    assert turned["high"] < 0
    for metric in found["metrics"]:
        gain = metric["mask"] - metric["box"]
        assert metric["estimate"] == pytest.approx(gain)


def test_equal_versions_tie():
    same = differences(2, 0.5)
    found = endpoints.effect_difference(same, same, np.arange(400))
    assert found["estimate"] == found["low"] == found["high"] == 0


def test_the_interval_of_a_tie_covers_zero_as_often_as_it_says():
    covered = 0
    for seed in range(60):
        box, mask = differences(2 * seed, 0.5, 60), differences(2 * seed + 1, 0.5, 60)
        found = endpoints.effect_difference(box, mask, np.arange(60), resamples=200)
        covered += found["low"] < 0 < found["high"]
    assert 51 <= covered <= 60


def test_the_difference_is_that_of_a_literal_loop():
    box, mask = differences(4, 0.3, n=30), differences(5, 0.6, n=30)
    mask[3, 1, 0] = np.nan
    clusters = np.arange(30) // 6
    found = endpoints.effect_difference(box, mask, clusters, resamples=50, seed=1)

    def whole(rows):
        gains = [
            statistics.paired_effect_size(mask[rows, p, k])
            - statistics.paired_effect_size(box[rows, p, k])
            for p in range(3)
            for k in range(2)
        ]
        return np.mean(gains)

    drawn = []
    for times in np.concatenate(list(statistics.draws(5, resamples=50, seed=1))):
        rows = [i for i in range(30) for _ in range(int(times[clusters[i]]))]
        drawn.append(whole(rows))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found["estimate"] == pytest.approx(whole(np.arange(30)))
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))


def test_a_pair_without_variation_is_left_out_of_both():
    box, mask = differences(6, 0.3, n=20), differences(7, 0.3, n=20)
    box[:, 0, 0] = 0.25
    found = endpoints.effect_difference(box, mask, np.arange(20))
    assert (found["n_pairs"], found["n_left_out"]) == (5, 1)
    kept = endpoints.effect_difference(box[:, 1:], mask[:, 1:], np.arange(20))
    assert found["metrics"][0]["mask"] == kept["metrics"][0]["mask"]


def test_cells_are_means_of_effect_sizes():
    cells = np.stack([differences(s, s / 10) for s in range(4)], axis=1)
    found = endpoints.effect_cells(cells)
    for cell in range(4):
        expected = [
            statistics.paired_effect_size(cells[:, cell, p, k])
            for p in range(3)
            for k in range(2)
        ]
        assert found[cell] == pytest.approx(np.mean(expected))


def scores(seed, order, noise, n=200):
    """Methods whose true means are `order`, one metric."""
    rng = np.random.default_rng(seed)
    return rng.normal(np.array(order)[None, :, None], noise, (n, len(order), 1))


def test_rankings_agree_with_themselves_and_not_with_their_opposite():
    box, mask = scores(0, [1, 2, 3, 4], 0.01), scores(1, [4, 3, 2, 1], 0.01)
    found = endpoints.ranking_agreement(box, mask, splits=5)
    assert (found["between"] == -1).all()
    assert (found["box"] == 1).all()
    assert (found["mask"] == 1).all()


def test_a_halving_is_that_of_a_literal_loop():
    box, mask = scores(2, [1, 1.1, 1.2], 1.0, n=9), scores(3, [1, 1.2, 1.1], 1.0, n=9)
    box[4, 1] = np.nan
    found = endpoints.ranking_agreement(box, mask, splits=6, seed=2)
    rng = np.random.default_rng(2)
    for split in range(6):
        one = rng.permutation(9)[:4]
        two = np.setdiff1d(np.arange(9), one)
        a, b = (np.nanmean(box[half, :, 0], axis=0) for half in (one, two))
        c, d = (np.nanmean(mask[half, :, 0], axis=0) for half in (one, two))
        tau = correlations.kendall
        assert found["between"][split, 0] == pytest.approx((tau(a, d) + tau(b, c)) / 2)
        assert found["box"][split, 0] == pytest.approx(tau(a, b))
        assert found["mask"][split, 0] == pytest.approx(tau(c, d))


def test_noise_that_versions_share_does_not_count_as_agreement():
    """All methods equal: the same noise in box and mask, yet nothing is agreed on."""
    means = []
    for seed in range(30):
        noise = scores(seed, [0] * 7, 1.0, n=40)
        found = endpoints.ranking_agreement(noise, noise, splits=20)
        means.append(found["between"].mean())
    assert abs(np.mean(means)) < 0.2


def test_a_clear_ranking_settles_at_once_and_noise_never_does():
    clear, noise = scores(5, range(7), 0.01), scores(6, [0] * 7, 1.0)
    both = np.concatenate([clear, noise], axis=2)
    assert endpoints.images_to_settle(both) == [8, None]


def test_a_ranking_has_settled_only_if_all_larger_sizes_have(monkeypatch):
    """Of 8, 16 and 32 images the middle size fails: 8 did well by luck."""
    taus = iter([1.0, 0.0, 1.0])
    monkeypatch.setattr(
        correlations, "kendall", lambda x, y: np.full((len(x), 1), next(taus))
    )
    assert endpoints.images_to_settle(scores(7, range(7), 0.1, n=40)) == [32]


def test_a_single_cluster_gives_no_interval():
    found = endpoints.effect_difference(
        differences(8, 0.1, n=20), differences(9, 2.0, n=20), np.zeros(20, int)
    )
    assert found["estimate"] > 1
    assert np.isnan(found["low"])
    assert np.isnan(found["high"])


def test_a_contrast_is_over_the_chosen_pairs():
    effects = np.zeros((3, 2, 2, 2))
    effects[:, 1, 0, 0] = [1.0, 0.5, 1.5]
    chosen = np.array([[True, False], [False, True]])
    found = endpoints.contrast(effects, chosen)
    assert (found["box"], found["mask"], found["n_pairs"]) == (0.0, 0.5, 2)
    assert found["estimate"] == 0.5
    assert 0.25 <= found["low"] < found["high"] <= 0.75


def test_few_unequal_clusters_are_covered_too_seldom_and_many_as_often_as_said():
    few = endpoints.cluster_coverage([200, 200, 200, 20, 20, 18], 0.3, trials=500)
    many = endpoints.cluster_coverage([5] * 60, 0.3, trials=500)
    assert 0.7 < few < 0.87
    assert 0.92 < many < 0.97


def test_shares_are_pooled_over_images():
    drops, scores_ = np.array([0.1, 0.3, 9.0]), np.array([0.5, 0.5, 9.0])
    energies = np.array([0.2, 0.4, np.nan])
    found = endpoints.pooled_shares(drops, scores_, energies, np.array([0, 1, 2]))
    assert found["effect"]["estimate"] == pytest.approx(0.4)
    assert found["energy"]["estimate"] == pytest.approx(0.3)
    assert found["excess"]["estimate"] == pytest.approx(-0.1)
    assert found["effect"]["low"] == pytest.approx(0.2)
    assert found["effect"]["high"] == pytest.approx(0.6)
