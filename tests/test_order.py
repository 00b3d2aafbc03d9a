"""Selection and ranks against sorting."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxcam import _order


def maps(seed):
    rng = np.random.default_rng(seed)
    return {
        "normal": rng.normal(size=60),
        "ties": rng.integers(-2, 3, 60),
        "zeros": np.array([0.0, -0.0] * 30),
        "wide": rng.normal(size=60) * 10.0 ** rng.integers(-30, 30, 60),
    }


@pytest.mark.parametrize("kind", ["normal", "ties", "zeros", "wide"])
@pytest.mark.parametrize("seed", range(3))
def test_the_kth_largest_is_what_sorting_gives(kind, seed):
    x = maps(seed)[kind].astype(np.float32)
    where = np.random.default_rng(seed).random(60) < 0.7
    ordered = np.sort(x[where])[::-1]
    for k in (1, 2, 7, len(ordered)):
        actual = _order.kth_largest(jnp.asarray(x), k, where=jnp.asarray(where))
        assert actual == ordered[k - 1]


def test_k_is_clipped_to_what_there_is():
    x, where = jnp.arange(5.0), jnp.array([True, True, True, False, False])
    assert _order.kth_largest(x, 0, where=where) == 2
    assert _order.kth_largest(x, 9, where=where) == 0


@pytest.mark.parametrize("kind", ["normal", "ties", "zeros"])
def test_ranks_are_scipys(kind):
    x = maps(0)[kind].astype(np.float32)
    where = np.random.default_rng(1).random(60) < 0.7
    actual = _order.average_ranks(jnp.asarray(x), where=jnp.asarray(where))
    expected = stats.rankdata(x[where] + 0.0)
    np.testing.assert_array_equal(np.asarray(actual)[where], expected)
