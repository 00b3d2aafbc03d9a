"""Threshold rules: by hand, literally, and against scikit-image."""

import fractions

import jax.numpy as jnp
import numpy as np
import pytest
from skimage import filters

from jaxcam import ops

MAP = jnp.array([[1.0, 2.0], [3.0, 6.0]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 0], [1, 1]]),
        ({"strict": True}, [[0, 0], [0, 1]]),
        ({"rule": "max_fraction", "fraction": 0.5}, [[0, 0], [1, 1]]),
        ({"rule": "max_fraction"}, [[0, 1], [1, 1]]),
        ({"rule": "max_fraction", "fraction": 0.5, "strict": True}, [[0, 0], [0, 1]]),
        ({"rule": "value", "fraction": 2.0}, [[0, 1], [1, 1]]),
        ({"rule": "quantile", "fraction": 0.75}, [[0, 0], [0, 1]]),
        ({"rule": "quantile"}, [[0, 0], [1, 1]]),
        ({"rule": "energy", "fraction": 0.5}, [[0, 0], [0, 1]]),
        ({"rule": "energy", "fraction": 0.51}, [[0, 0], [1, 1]]),
        ({"rule": "energy", "fraction": 0.8}, [[0, 1], [1, 1]]),
        ({"rule": "energy", "fraction": 1.0}, [[1, 1], [1, 1]]),
    ],
)
def test_values_worked_by_hand(per_image, options, expected):
    actual = per_image(lambda s: ops.binarize(s, **options), MAP)
    np.testing.assert_array_equal(actual, np.array(expected, bool))


@pytest.mark.parametrize("value", [0.1, 1 / 3, 0.7, 123.456])
@pytest.mark.parametrize("side", [3, 7, 50, 224])
def test_rounding_never_empties_a_constant_map(value, side):
    assert ops.binarize(jnp.full((side, side), value, jnp.float32)).all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.7, 0.9, 1.0])
def test_a_quantile_leaves_its_share_of_the_pixels_below(share):
    """Exactly, also where the share times the pixels is whole but rounds."""
    rng = np.random.default_rng(0)
    for shape, where_share in (((20, 30), 1.0), ((200, 250), 1.0), ((20, 30), 0.6)):
        values = rng.permutation(shape[0] * shape[1]).reshape(shape)
        where = rng.random(shape) < where_share
        below = int(fractions.Fraction(str(share)) * int(where.sum()))
        ordered = np.sort(values[where])
        expected = where & (values >= ordered[min(below, len(ordered) - 1)])
        actual = ops.binarize(
            jnp.asarray(values, jnp.float32),
            rule="quantile",
            fraction=share,
            where=jnp.asarray(where),
        )
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("share", [0.1, 0.35, 0.9])
def test_the_energy_rule_takes_the_smallest_top_set(share):
    values = np.random.default_rng(0).random((9, 8)).astype(np.float32)
    ordered = np.sort(values.ravel())[::-1]
    count = np.searchsorted(np.cumsum(ordered), share * values.sum()) + 1
    actual = ops.binarize(jnp.asarray(values), rule="energy", fraction=share)
    assert actual.sum() == count
    assert values[np.asarray(actual)].min() == ordered[count - 1]


def test_a_map_without_energy_has_no_region():
    assert not ops.binarize(jnp.zeros((3, 3)), rule="energy").any()


@pytest.mark.parametrize("seed", range(4))
def test_otsu_agrees_with_scikit_image(seed):
    rng = np.random.default_rng(seed)
    values = np.where(
        rng.random((40, 30)) < 0.3,
        rng.normal(0.7, 0.08, (40, 30)),
        rng.normal(0.25, 0.08, (40, 30)),
    ).astype(np.float32)
    limit = filters.threshold_otsu(values)
    actual = np.asarray(ops.binarize(jnp.asarray(values), rule="otsu"))
    assert np.mean(actual != (values > limit)) < 0.005


def test_only_pixels_that_count_decide_and_are_salient():
    where = jnp.array([[True, True], [True, False]])
    out = ops.binarize(MAP, where=where)
    np.testing.assert_array_equal(out, [[False, True], [True, False]])


def test_refusals():
    with pytest.raises(ValueError, match="choose one of"):
        ops.binarize(MAP, rule="median")
    with pytest.raises(ValueError, match="needs the threshold"):
        ops.binarize(MAP, rule="value")
    with pytest.raises(TypeError, match="floating point"):
        ops.binarize(MAP.astype(jnp.int32))
