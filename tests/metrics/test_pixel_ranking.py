"""The map as a ranking of pixels: by hand, literally, against scikit-learn."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from jaxcam import metrics

RAMP = np.arange(12, dtype=np.float32).reshape(3, 4)  # 11 is the most salient.
TOP, BOTTOM, NONE = RAMP >= 8, RAMP <= 3, RAMP < 0
ENDS = (RAMP == 11) | (RAMP == 0)
FLAT = 0 * RAMP
CAPPED = np.minimum(RAMP, 9)  # Three pixels tie for the first place.
ALL = (
    "relevance_rank_accuracy",
    "top_k_intersection",
    "concept_influence",
    "roc_auc",
    "average_precision",
)
K = 5


def score(name, saliency, mask, **options):
    return getattr(metrics, name)(jnp.asarray(saliency), jnp.asarray(mask), **options)


def mean_over_orders(name, s, m, where, k):
    """The definition, read literally; ties are put in every order there is."""
    pixels = [i for i in np.ndindex(m.shape) if where[i]]
    pixels.sort(key=lambda i: -s[i])
    on = [i for i in pixels if m[i]]
    off = [i for i in pixels if not m[i]]
    if name == "roc_auc":
        won = [(s[p] > s[q]) + (s[p] == s[q]) / 2 for p in on for q in off]
        return np.mean(won)
    if name == "average_precision":
        above = [[q for q in pixels if s[q] >= s[p]] for p in on]
        return np.mean([np.mean([m[q] for q in qs]) for qs in above])
    k = len(on) if name == "relevance_rank_accuracy" else min(k, len(pixels))
    groups = [list(g) for _, g in itertools.groupby(pixels, key=lambda i: s[i])]
    hits, places = 0.0, k
    for group in groups:
        orders = list(itertools.permutations(group)) if places > 0 else []
        hits += np.mean([sum(m[i] for i in o[:places]) for o in orders] or [0])
        places = max(places - len(group), 0)
    if name == "relevance_rank_accuracy":
        return hits / k
    if name == "top_k_intersection":
        return hits / min(k, len(on))
    return hits / k / (len(on) / len(pixels))


@pytest.mark.parametrize("name", ALL)
def test_agrees_with_the_definition_in_every_order_of_the_ties(per_image, name):
    options = {"k": K} if name in ALL[1:3] else {}

    def metric(saliency, mask, where):
        return getattr(metrics, name)(saliency, mask, where=where, **options)

    for seed in range(6):
        rng = np.random.default_rng(seed)
        saliency = rng.integers(-3, 4, (5, 4)).astype(np.float32)
        mask, where = rng.random((2, 5, 4)) < np.array([0.3, 0.8])[:, None, None]
        mask[2], where[2] = [True, False, True, False], True
        actual = per_image(metric, *map(jnp.asarray, (saliency, mask, where)))
        chex.assert_shape(actual, ())
        expected = mean_over_orders(name, saliency, mask & where, where, K)
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "saliency", "mask", "expected"),
    [
        ("relevance_rank_accuracy", RAMP, TOP, 4 / 4),
        ("relevance_rank_accuracy", RAMP, BOTTOM, 0 / 4),
        ("relevance_rank_accuracy", CAPPED, ENDS, (2 / 3) / 2),
        ("relevance_rank_accuracy", FLAT, TOP, 4 / 12),
        ("relevance_rank_accuracy", RAMP, NONE, np.nan),
        ("relevance_rank_accuracy", RAMP, ~NONE, 1),
        ("top_k_intersection", RAMP, TOP, 4 / 4),
        ("top_k_intersection", RAMP, RAMP >= 5, 5 / 5),
        ("top_k_intersection", RAMP, RAMP == 9, 1 / 1),
        ("top_k_intersection", RAMP, ENDS, 1 / 2),
        ("top_k_intersection", FLAT, TOP, (5 * 4 / 12) / 4),
        ("top_k_intersection", RAMP, NONE, np.nan),
        ("concept_influence", RAMP, TOP, (4 / 5) * (12 / 4)),
        ("concept_influence", RAMP, ENDS, (1 / 5) * (12 / 2)),
        ("concept_influence", FLAT, TOP, 1),
        ("concept_influence", RAMP, ~NONE, 1),
        ("concept_influence", RAMP, NONE, np.nan),
        ("roc_auc", RAMP, TOP, 1),
        ("roc_auc", RAMP, BOTTOM, 0),
        ("roc_auc", RAMP, ENDS, 10 / 20),
        ("roc_auc", CAPPED, RAMP == 11, (9 + 2 / 2) / 11),
        ("roc_auc", FLAT, TOP, 1 / 2),
        ("roc_auc", RAMP, NONE, np.nan),
        ("roc_auc", RAMP, ~NONE, np.nan),
        ("average_precision", RAMP, TOP, 1),
        ("average_precision", RAMP, ENDS, (1 / 1 + 2 / 12) / 2),
        ("average_precision", CAPPED, RAMP == 11, 1 / 3),
        ("average_precision", FLAT, TOP, 4 / 12),
        ("average_precision", RAMP, NONE, np.nan),
        ("average_precision", RAMP, ~NONE, np.nan),
    ],
)
def test_values_worked_by_hand(name, saliency, mask, expected):
    options = {"k": K} if name in ALL[1:3] else {}
    np.testing.assert_allclose(
        score(name, saliency, mask, **options), expected, rtol=1e-6
    )


KINDS = {
    "distinct": lambda rng: rng.permutation(256),
    "normal": lambda rng: rng.normal(size=256),
    "plateaus": lambda rng: rng.integers(0, 4, 256) / 3,
    "mostly zero": lambda rng: np.maximum(rng.normal(size=256) - 1.5, 0),
    "wide": lambda rng: rng.normal(size=256) * 10.0 ** rng.integers(-30, 30, 256),
}


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_scikit_learn(kind):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        saliency = KINDS[kind](rng).astype(np.float32).reshape(16, 16)
        mask, where = rng.random((2, 16, 16)) < np.array([0.2, 0.7])[:, None, None]
        truth, scores = mask[where], saliency[where]
        valid = jnp.asarray(where)
        np.testing.assert_allclose(
            score("roc_auc", saliency, mask, where=valid),
            sklearn_metrics.roc_auc_score(truth, scores),
            rtol=1e-5,
        )
        np.testing.assert_allclose(
            score("average_precision", saliency, mask, where=valid),
            sklearn_metrics.average_precision_score(truth, scores),
            rtol=1e-5,
        )


@pytest.mark.slow
def test_large_maps_lose_no_digits():
    """Products of counts pass 2**32 here, and a sum of float32 in sequence drifts."""
    rng = np.random.default_rng(0)
    saliency = rng.random((1024, 1024)).astype(np.float32)
    mask = saliency + rng.random(saliency.shape) > 1.5
    truth, scores = mask.ravel(), saliency.ravel()
    expected = sklearn_metrics.roc_auc_score(truth, scores)
    assert float(score("roc_auc", saliency, mask)) == pytest.approx(expected, abs=2e-7)
    expected = sklearn_metrics.average_precision_score(truth, scores)
    actual = float(score("average_precision", saliency, mask))
    assert actual == pytest.approx(expected, abs=2e-7)


@pytest.mark.parametrize("name", ALL)
def test_only_the_order_matters(name):
    rng = np.random.default_rng(3)
    saliency = rng.normal(size=(8, 8)).astype(np.float32)
    mask = rng.random((8, 8)) < 0.3
    options = {"k": 9} if name in ALL[1:3] else {}
    expected = score(name, saliency, mask, **options)
    for same in (np.exp(saliency), 1e6 * saliency - 7, np.arctan(saliency)):
        np.testing.assert_array_equal(score(name, same, mask, **options), expected)


def test_turning_the_map_or_the_object_over_turns_the_auc_over():
    rng = np.random.default_rng(4)
    saliency = rng.integers(0, 9, (8, 8)).astype(np.float32)
    mask = rng.random((8, 8)) < 0.3
    auc = score("roc_auc", saliency, mask)
    np.testing.assert_allclose(score("roc_auc", -saliency, mask), 1 - auc, rtol=1e-6)
    np.testing.assert_allclose(score("roc_auc", saliency, ~mask), 1 - auc, rtol=1e-6)


@pytest.mark.parametrize("name", ["top_k_intersection", "concept_influence"])
def test_k_is_kept_among_the_pixels_that_count(name):
    few = score(name, RAMP, ENDS, k=0)
    np.testing.assert_array_equal(few, score(name, RAMP, ENDS, k=1))
    np.testing.assert_allclose(score(name, RAMP, ENDS), 1)  # k = 1000 is every pixel.
    where = jnp.asarray(RAMP >= 6)
    np.testing.assert_allclose(score(name, RAMP, ENDS, k=99, where=where), 1)


def test_k_is_traced():
    program = jax.jit(lambda s, m, k: metrics.top_k_intersection(s, m, k=k))
    for k, expected in ((1, 1 / 1), (3, 1 / 2), (12, 2 / 2)):
        actual = program(jnp.asarray(RAMP), jnp.asarray(ENDS), k)
        np.testing.assert_allclose(actual, expected)
    assert program._cache_size() == 1


@pytest.mark.parametrize("name", ALL)
def test_padding_changes_nothing(name):
    def pad(x, fill):
        return jnp.pad(jnp.asarray(x), ((0, 2), (1, 3)), constant_values=fill)

    options = {"k": K} if name in ALL[1:3] else {}
    where = pad(~NONE, False)
    for fill in (99.0, jnp.nan, -jnp.inf):
        padded = score(name, pad(RAMP, fill), pad(ENDS, True), where=where, **options)
        expected = score(name, RAMP, ENDS, **options)
        np.testing.assert_allclose(padded, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_a_nan_is_not_hidden_and_infinity_is_only_the_largest(name):
    with_nan = np.where(RAMP == 4, np.nan, RAMP)
    assert np.isnan(score(name, with_nan, TOP))
    np.testing.assert_array_equal(
        score(name, np.where(RAMP == 11, np.inf, RAMP), ENDS), score(name, RAMP, ENDS)
    )


@pytest.mark.parametrize("name", ALL)
def test_nothing_that_counts_is_undefined(name):
    assert np.isnan(score(name, RAMP, TOP, where=jnp.asarray(NONE)))


@pytest.mark.parametrize("name", ALL)
def test_one_pixel(name):
    value = score(name, np.ones((1, 1), np.float32), np.ones((1, 1), bool))
    one_class = name in ("roc_auc", "average_precision")
    np.testing.assert_array_equal(value, np.nan if one_class else 1)


@pytest.mark.parametrize("name", ALL)
def test_refusals(name):
    with pytest.raises(ValueError, match=r"\(2, 3, 4\); batch a metric with jax.vmap"):
        score(name, np.zeros((2, 3, 4), np.float32), np.ones((2, 3, 4), bool))
    with pytest.raises(TypeError, match="floating point"):
        score(name, RAMP.astype(int), TOP)
    with pytest.raises(TypeError, match="boolean"):
        score(name, RAMP, TOP.astype(np.float32))
    with pytest.raises(ValueError, match="resize"):
        score(name, RAMP, TOP[:2])
