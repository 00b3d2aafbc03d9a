"""Maps alone: hand arithmetic, the definitions read literally, SciPy, properties."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxcam import metrics

ALL = ("entropy_complexity", "effective_size", "l1_complexity", "gini_sparseness")
SIGNED = (ALL[0], ALL[1], ALL[3])
FLAT = np.full((3, 4), 0.3, np.float32)
HALF = np.float32([[1, 1, 0, 0]] * 3)
PEAK = np.eye(1, 12, 7, dtype=np.float32).reshape(3, 4)
STEPS = np.float32([[1, 2], [3, 4]])


def score(name, saliency, **options):
    return getattr(metrics, name)(jnp.asarray(saliency), **options)


def literal(name, values):
    """The definition, a pixel at a time, in float64."""
    n, total = len(values), sum(values)
    if name == "l1_complexity":
        return sum(abs(v) for v in values) / n
    if name == "gini_sparseness":
        return sum(abs(a - b) for a in values for b in values) / (2 * n * total)
    entropy = -sum(v / total * np.log(v / total) for v in values if v > 0)
    return entropy if name == "entropy_complexity" else np.exp(entropy) / n


@pytest.mark.parametrize("name", ALL)
def test_agrees_with_the_definition(per_image, name):
    """Gini's is the mean difference of two pixels over twice the mean."""

    def metric(saliency, where):
        return getattr(metrics, name)(saliency, where=where)

    for seed in range(4):
        rng = np.random.default_rng(seed)
        saliency = np.maximum(rng.integers(-3, 9, (5, 4)), 0).astype(np.float32) / 8
        where = rng.random((5, 4)) < 0.7
        actual = per_image(metric, jnp.asarray(saliency), jnp.asarray(where))
        expected = literal(name, saliency[where].astype(float))
        np.testing.assert_allclose(actual, expected, rtol=2e-6)


def test_the_entropy_is_scipys():
    rng = np.random.default_rng(5)
    saliency = rng.gamma(0.3, size=(16, 16)).astype(np.float32)
    expected = stats.entropy(saliency.ravel())
    np.testing.assert_allclose(
        score("entropy_complexity", saliency), expected, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "saliency", "expected"),
    [
        ("entropy_complexity", FLAT, np.log(12)),
        ("entropy_complexity", HALF, np.log(6)),
        ("entropy_complexity", PEAK, 0),
        ("effective_size", FLAT, 1),
        ("effective_size", HALF, 6 / 12),
        ("effective_size", PEAK, 1 / 12),
        ("l1_complexity", FLAT, 0.3),
        ("l1_complexity", HALF, 6 / 12),
        ("l1_complexity", 0 * FLAT, 0),
        ("l1_complexity", -FLAT, 0.3),
        ("gini_sparseness", FLAT, 0),
        ("gini_sparseness", HALF, 6 / 12),
        ("gini_sparseness", PEAK, 1 - 1 / 12),
        ("gini_sparseness", STEPS, (-3 * 1 - 1 * 2 + 1 * 3 + 3 * 4) / (4 * 10)),
        *((name, 0 * FLAT, np.nan) for name in SIGNED),
        *((name, np.where(FLAT == 0, 0, np.inf), np.nan) for name in SIGNED),
        *((name, STEPS - 2, np.nan) for name in SIGNED),
    ],
)
def test_values_worked_by_hand(name, saliency, expected):
    actual = score(name, np.float32(saliency))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_a_flat_map_has_no_inequality_at_all():
    for value in (0.1, 1 / 3, 1e37, 1e-30):
        assert score("gini_sparseness", np.full((16, 16), value, np.float32)) == 0


@pytest.mark.parametrize("name", SIGNED)
def test_neither_scale_nor_place_matters(name):
    saliency = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    expected = score(name, saliency)
    for same in (saliency * 1e37, saliency / 1e30, saliency[::-1].T.copy()):
        np.testing.assert_allclose(score(name, same), expected, rtol=1e-5)


@pytest.mark.parametrize("name", SIGNED)
def test_signed_maps_need_a_word(name):
    signed = np.float32([[3, -1], [-4, 2]])
    for word, taken in (("relu", np.maximum(signed, 0)), ("abs", np.abs(signed))):
        np.testing.assert_allclose(
            score(name, signed, signed=word), score(name, taken), rtol=1e-6
        )
    with pytest.raises(ValueError, match="choose one of"):
        score(name, signed, signed="square")


def test_moving_mass_to_the_richest_pixel_makes_a_map_simpler_and_sparser():
    before, after = STEPS, STEPS + np.float32([[-1, 0], [0, 1]])
    for name in ALL[:2]:
        assert score(name, after) < score(name, before)
    assert score("gini_sparseness", after) > score("gini_sparseness", before)
    assert score("l1_complexity", after) == score("l1_complexity", before)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("fill", [99.0, np.nan, -1.0])
def test_padding_changes_nothing(name, fill):
    padded = np.pad(STEPS / 4, ((0, 1), (1, 2)), constant_values=fill)
    where = np.pad(np.ones((2, 2), bool), ((0, 1), (1, 2)))
    actual = score(name, padded, where=jnp.asarray(where))
    np.testing.assert_allclose(actual, score(name, STEPS / 4), rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_undefined(name):
    assert np.isnan(score(name, np.where(STEPS == 2, np.nan, STEPS)))
    assert np.isnan(score(name, STEPS, where=jnp.zeros((2, 2), bool)))


@pytest.mark.parametrize("name", ALL)
def test_refusals(name):
    with pytest.raises(ValueError, match=r"\(2, 3, 4\); batch a metric with jax.vmap"):
        score(name, np.zeros((2, 3, 4), np.float32))
    with pytest.raises(TypeError, match="floating point"):
        score(name, STEPS.astype(int))
    with pytest.raises(ValueError, match="resize"):
        score(name, STEPS, where=jnp.ones((2, 3), bool))
