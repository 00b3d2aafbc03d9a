"""Remove and debias: exact counts, both orders, and what the model is shown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics, ops, plan, probes
from jaxcam.probes import road

SHAPE = (8, 9)
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(2, *SHAPE, 3)), jnp.float32)
SALIENCY = jnp.asarray(RNG.random((2, *SHAPE)), jnp.float32)
FRAME = jnp.ones((2, *SHAPE), bool)
TARGET = jnp.array([0, 1])
KEYS = jax.random.split(jax.random.key(0), 2)
WEIGHTS = jnp.asarray(RNG.normal(size=(*SHAPE, 3)), jnp.float32)


def additive(x):
    total = jnp.einsum("bhwc,hwc->b", x, WEIGHTS)
    return jnp.stack([total, -total], axis=1)


def call(probe, saliency=SALIENCY, **options):
    given = additive, X, saliency, FRAME, TARGET, KEYS
    return probe(*given, **({"score": "logit", "noise": 0.0} | options))


def expected_scores(least_first, levels):
    found, hits = np.zeros((2, 2, levels))
    for i in range(2):
        sign = 1 if least_first else -1
        order = np.argsort(sign * np.asarray(SALIENCY[i]).ravel(), kind="stable")
        for k in range(levels):
            count = round((k + 1) * 72 / (levels + 1))
            removed = np.zeros(72, bool)
            removed[order[:count]] = True
            filled = ops.impute(X[i], jnp.asarray(removed.reshape(SHAPE)))
            logits = np.asarray(additive(filled[None])[0])
            found[i, k] = logits[TARGET[i]]
            hits[i, k] = logits.argmax() == TARGET[i]
    return found, hits


@pytest.mark.parametrize("levels", [9, 4, 1])
def test_scores_are_those_of_a_literal_loop(levels):
    most, hit_most = expected_scores(False, levels)
    least, hit_least = expected_scores(True, levels)
    morf = call(probes.road_morf_scores, levels=levels)
    lerf = call(probes.road_lerf_scores, levels=levels)
    np.testing.assert_allclose(morf["road_morf_scores"], most, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(lerf["road_lerf_scores"], least, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(morf["road_morf_hits"], hit_most)
    np.testing.assert_array_equal(lerf["road_lerf_hits"], hit_least)
    both = morf["road_morf_scores"][0], lerf["road_lerf_scores"][0]
    np.testing.assert_allclose(
        metrics.road(*both), (least[0].mean() - most[0].mean()) / 2, rtol=1e-3
    )
    hits = morf["road_morf_hits"][1], lerf["road_lerf_hits"][1]
    expected = (hit_least[1].mean() - hit_most[1].mean()) / 2
    np.testing.assert_allclose(metrics.road_accuracy(*hits), expected, atol=1e-7)


def test_counts_are_exact():
    np.testing.assert_array_equal(
        road.removed_counts(224 * 224, 9), np.rint(np.arange(1, 10) * 5017.6)
    )
    np.testing.assert_array_equal(road.removed_counts(10, 4), [2, 4, 6, 8])


def test_noise_is_added_to_imputed_pixels_only():
    """The model answers with the two first pixels; the first is the most salient."""

    def first_two(x):
        return x[:, 0, :2, 0]

    saliency = jnp.zeros((2, *SHAPE)).at[:, 0, 0].set(1.0)
    given = first_two, X, saliency, FRAME, jnp.array([1, 0]), KEYS
    options = {"levels": 71, "score": "logit"}  # One pixel more at each level.
    still = probes.road_morf_scores(*given, noise=0.0, **options)["road_morf_scores"]
    noisy = probes.road_morf_scores(*given, noise=1.0, **options)["road_morf_scores"]
    np.testing.assert_array_equal(still[0, 0], X[0, 0, 1, 0])
    np.testing.assert_array_equal(noisy[0, 0], X[0, 0, 1, 0])
    shaken = np.asarray(noisy - still)[1]
    assert (shaken != 0).all()
    assert 0.7 < shaken.std() < 1.3


def test_a_uniform_map_has_no_direction_in_the_mean():
    x = jnp.repeat(X[:1], 64, axis=0)
    keys = jax.random.split(jax.random.key(3), 64)
    flat, frame = jnp.zeros((64, *SHAPE)), jnp.ones((64, *SHAPE), bool)
    given = additive, x, flat, frame, jnp.zeros(64, jnp.int32), keys
    morf = probes.road_morf_scores(*given)["road_morf_scores"]
    lerf = probes.road_lerf_scores(*given)["road_lerf_scores"]
    values = np.asarray(jax.vmap(metrics.road)(morf, lerf))
    assert abs(values.mean()) < 3 * values.std() / 8


def test_batch_mates_change_no_bit():
    out = call(probes.road_morf_scores)["road_morf_scores"]
    mates = SALIENCY.at[1].set(SALIENCY[0] * 3)
    np.testing.assert_array_equal(
        call(probes.road_morf_scores, saliency=mates)["road_morf_scores"][0], out[0]
    )


def test_a_nan_in_the_map_is_no_order():
    broken = SALIENCY.at[0, 0, 0].set(jnp.nan)
    out = call(probes.road_lerf_scores, saliency=broken)
    for found in out.values():
        assert np.isnan(found[0]).all()
        assert np.isfinite(found[1]).all()


def test_an_answer_that_is_no_number_is_no_hit():
    def broken(x):
        return additive(x) * jnp.array([jnp.nan, 1.0])

    given = broken, X, SALIENCY, FRAME, TARGET, KEYS
    out = probes.road_morf_scores(*given)
    assert np.isnan(out["road_morf_hits"]).all()


@pytest.mark.parametrize("levels", [0, 72])
def test_refusals(levels):
    with pytest.raises(ValueError, match="at least 1"):
        call(probes.road_morf_scores, levels=levels)
    for name in ("arcc", "road_accuracy"):
        with pytest.raises(ValueError, match="formula of probabilities"):
            plan.resolve(f"{name}[score=logit]")


def test_arcc_asks_for_four_levels():
    fields = plan.probe_fields([plan.resolve("arcc")])
    levels = {f.name: dict(f.options).get("levels") for f in fields}
    assert levels["road_morf_scores"] == levels["road_lerf_scores"] == 4
    fields = plan.probe_fields([plan.resolve("road")])
    assert all(dict(f.options).get("levels", 9) == 9 for f in fields)
