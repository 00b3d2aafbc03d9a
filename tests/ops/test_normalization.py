"""Rules of normalisation, by hand and on awkward maps."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxcam import ops

MAP = jnp.array([[-1.0, 1.0], [2.0, 4.0]])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("max", [[0, 1 / 4], [2 / 4, 1]]),
        ("minmax", [[0, 2 / 5], [3 / 5, 1]]),
        ("unit_sum", [[0, 1 / 7], [2 / 7, 4 / 7]]),
        ("rank", [[0, 1 / 3], [2 / 3, 1]]),
        ("none", [[-1, 1], [2, 4]]),
    ],
)
def test_values_worked_by_hand(per_image, rule, expected):
    actual = per_image(lambda s: ops.normalize(s, rule=rule), MAP)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ("max", 3.0, 1),
        ("max", -3.0, 0),
        ("max", 0.0, 0),
        ("minmax", 3.0, 0),
        ("unit_sum", 3.0, 1 / 6),
        ("unit_sum", 0.0, 0),
        ("rank", 3.0, 1 / 2),
    ],
)
def test_constant_maps(rule, value, expected):
    out = ops.normalize(jnp.full((2, 3), value), rule=rule)
    np.testing.assert_allclose(out, np.full((2, 3), expected), rtol=1e-6)


@pytest.mark.parametrize("rule", ["max", "minmax", "unit_sum", "rank"])
def test_pixels_that_do_not_count_change_nothing(rule):
    where = jnp.pad(jnp.ones((2, 2), bool), ((0, 1), (2, 0)))
    padded = jnp.pad(MAP, ((0, 1), (2, 0)), constant_values=77.0)
    out = ops.normalize(padded, rule=rule, where=where)
    np.testing.assert_allclose(out[:2, 2:], ops.normalize(MAP, rule=rule), rtol=1e-6)
    assert not out[~where].any()


def test_ranks_average_their_ties():
    values = np.random.default_rng(0).integers(0, 5, (6, 7)).astype(np.float32)
    expected = (stats.rankdata(values).reshape(6, 7) - 1) / 41
    actual = ops.normalize(jnp.asarray(values), rule="rank")
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="choose one of"):
        ops.normalize(MAP, rule="softmax")
