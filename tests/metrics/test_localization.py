"""Map against region: hand arithmetic, literal references, properties, refusals."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics
from jaxcam.metrics import localization

RAMP = np.arange(12, dtype=np.float32).reshape(3, 4)  # 11 is the most salient.
TOP, BOTTOM = RAMP >= 8, RAMP <= 3
ALL = (
    "pointing_game",
    "energy_pointing_game",
    "soft_precision",
    "soft_recall",
    "soft_f_score",
    "mean_absolute_error",
    "relevance_rank_accuracy",
)


def literal(name, s, m, where):
    """The definition, read pixel by pixel."""
    pixels = [i for i in np.ndindex(m.shape) if where[i]]
    on = [i for i in pixels if m[i]]
    total, inside = sum(s[i] for i in pixels), sum(s[i] for i in on)
    if name == "pointing_game":
        return float(max(pixels, key=lambda i: s[i]) in on)
    if name in ("energy_pointing_game", "soft_precision"):
        return inside / total
    if name == "soft_recall":
        return inside / len(on)
    if name == "soft_f_score":
        p, r = inside / total, inside / len(on)
        return 2 * p * r / (p + r)
    if name == "mean_absolute_error":
        return sum(abs(s[i] - m[i]) for i in pixels) / len(pixels)
    top = sorted(pixels, key=lambda i: -s[i])[: len(on)]
    return sum(m[i] for i in top) / len(top)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_definition(per_image, name, seed):
    rng = np.random.default_rng(seed)
    saliency = (rng.permutation(35).reshape(5, 7) / 35).astype(np.float32)  # No ties.
    mask, where = rng.random((2, 5, 7)) < np.array([0.3, 0.8])[:, None, None]
    actual = per_image(
        getattr(metrics, name),
        jnp.asarray(saliency),
        jnp.asarray(mask),
        where=jnp.asarray(where),
    )
    chex.assert_shape(actual, ())
    expected = literal(name, saliency, mask & where, where)
    np.testing.assert_allclose(actual, expected, rtol=2e-6)


@pytest.mark.parametrize(
    ("name", "saliency", "mask", "expected"),
    [
        ("pointing_game", RAMP, TOP, 1),
        ("pointing_game", RAMP, BOTTOM, 0),
        ("pointing_game", np.minimum(RAMP, 8), RAMP == 11, 1 / 4),
        ("pointing_game", 0 * RAMP, TOP, 4 / 12),
        ("pointing_game", -RAMP, BOTTOM, 1),
        ("energy_pointing_game", RAMP, TOP, (8 + 9 + 10 + 11) / 66),
        ("energy_pointing_game", 0 * RAMP + 2, TOP, 4 / 12),
        ("energy_pointing_game", 0 * RAMP, TOP, np.nan),
        ("energy_pointing_game", RAMP, RAMP < 0, np.nan),
        ("soft_recall", RAMP / 11, RAMP == 11, 1),
        ("soft_f_score", 0 * RAMP, TOP, 0),
        ("soft_f_score", TOP.astype(np.float32), TOP, 1),
        ("mean_absolute_error", TOP.astype(np.float32), TOP, 0),
        ("mean_absolute_error", 1.0 - TOP.astype(np.float32), TOP, 1),
        ("relevance_rank_accuracy", RAMP, TOP, 4 / 4),
        ("relevance_rank_accuracy", RAMP, BOTTOM, 0 / 4),
        ("relevance_rank_accuracy", RAMP, (RAMP == 11) | (RAMP == 0), 1 / 2),
        ("relevance_rank_accuracy", 0 * RAMP, TOP, 4 / 12),
        (
            "relevance_rank_accuracy",
            np.minimum(RAMP, 9),
            (RAMP == 11) | (RAMP == 0),
            (2 / 3) / 2,
        ),
        ("relevance_rank_accuracy", RAMP, RAMP < 0, np.nan),
    ],
)
def test_values_worked_by_hand(per_image, name, saliency, mask, expected):
    saliency = jnp.asarray(saliency.astype(np.float32))
    actual = per_image(getattr(metrics, name), saliency, jnp.asarray(mask))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize(("tolerance", "hit"), [(0, 0), (1, 0), (2, 0), (3, 1)])
def test_a_near_miss_counts_strictly_below_the_tolerance(tolerance, hit):
    """The maximum lies two pixels from the object: a hit only below 3."""
    saliency = jnp.zeros((7, 7)).at[3, 1].set(1.0)
    mask = jnp.zeros((7, 7), bool).at[3, 3].set(True)
    score = metrics.pointing_game(saliency, mask, tolerance=tolerance)
    assert score == hit


@pytest.mark.parametrize("tolerance", [2, 3, 4, 9, 40, 90])
def test_the_tolerance_is_a_euclidean_disc(tolerance):
    centre = jnp.zeros((15, 13), bool).at[7, 5].set(True)
    y, x = np.mgrid[:15, :13]
    expected = np.hypot(y - 7, x - 5) < tolerance
    np.testing.assert_array_equal(localization._dilated(centre, tolerance), expected)


def test_signed_maps_need_a_word():
    saliency, mask = jnp.array([[3.0, -1.0]]), jnp.array([[True, False]])
    energy = metrics.energy_pointing_game
    np.testing.assert_allclose(energy(saliency, mask), 3 / 2)
    np.testing.assert_allclose(energy(saliency, mask, signed="relu"), 1)
    np.testing.assert_allclose(energy(saliency, mask, signed="abs"), 3 / 4)
    with pytest.raises(ValueError, match="choose one of"):
        energy(saliency, mask, signed="square")


@pytest.mark.parametrize("name", ALL)
def test_padding_changes_nothing(name):
    metric = getattr(metrics, name)
    s, m = jnp.asarray(RAMP / 11), jnp.asarray(RAMP % 3 == 0)

    def pad(x, fill):
        return jnp.pad(x, ((0, 2), (1, 3)), constant_values=fill)

    where = pad(jnp.ones_like(m), False)
    padded = metric(pad(s, 99.0), pad(m, True), where=where)
    np.testing.assert_allclose(padded, metric(s, m), rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_a_nan_is_not_hidden(name):
    saliency = jnp.asarray(RAMP).at[0, 0].set(jnp.nan)
    assert jnp.isnan(getattr(metrics, name)(saliency, jnp.asarray(RAMP <= 3)))


def test_binary_maps_of_the_objects_area_make_four_scores_one():
    """With |top| = |M|: rank accuracy = precision = recall = F1."""
    predicted = jnp.asarray(RAMP >= 8)
    mask = jnp.asarray((RAMP >= 6) & (RAMP <= 9))
    saliency = predicted.astype(jnp.float32)
    expected = 2 / 4
    np.testing.assert_allclose(
        metrics.relevance_rank_accuracy(saliency, mask), expected
    )
    for name in ("precision", "recall", "f_score"):
        np.testing.assert_allclose(getattr(metrics, name)(predicted, mask), expected)


@pytest.mark.parametrize("name", ALL)
def test_refusals(name):
    metric = getattr(metrics, name)
    s, m = jnp.asarray(RAMP), jnp.asarray(TOP)
    with pytest.raises(ValueError, match=r"\(2, 3, 4\); batch a metric with jax.vmap"):
        metric(jnp.zeros((2, 3, 4)), jnp.ones((2, 3, 4), bool))
    with pytest.raises(TypeError, match="floating point"):
        metric(s.astype(jnp.int32), m)
    with pytest.raises(TypeError, match="boolean"):
        metric(s, m.astype(jnp.float32))
    with pytest.raises(ValueError, match="resize"):
        metric(s, m[:2])
