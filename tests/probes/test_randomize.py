"""Networks made random from the top, and what is random at each stage."""

import flax.linen as nn
import flax.nnx as nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import _spec, models, probes
from jaxcam.probes import randomize

X = jnp.ones((2, 4, 4, 3))
TARGET = jnp.array([0, 1])


def chain(params, x):
    """Uses c, then a and its bias, then b; never d; counts with integers."""
    x = x.mean((1, 2)) @ params["c"]["kernel"]
    x = jax.jit(lambda p, x: jnp.tanh(x @ p["kernel"] + p["bias"]))(params["a"], x)
    return x @ params["b"]["kernel"] * params["count"]["n"]


def parameters():
    rng = np.random.default_rng(0)

    def array(*shape):
        return jnp.asarray(rng.normal(size=shape).astype(np.float32))

    return {
        "a": {"kernel": array(5, 5), "bias": array(5)},
        "b": {"kernel": array(5, 4)},
        "c": {"kernel": array(3, 5)},
        "count": {"n": jnp.int32(1)},
        "d": {"kernel": array(7)},
    }


def explainer():
    """A method that shows the parameters: one array a pixel, by its sum."""

    def maps(params, x, targets):
        sums = jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves(params)])
        return jnp.broadcast_to(sums, (1, len(x), 1, len(sums)))

    return _spec.Explainer(maps=maps, params=parameters(), predict=chain)


def changed(**options):
    """bool[n, arrays]: which parameter arrays are random at each stage."""
    asked = explainer()
    found = probes.randomized_explanations(asked, X, TARGET, **options)
    found = found["randomized_raw_saliency"]
    trained = asked.maps(asked.params, X, TARGET)
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    return np.asarray(found[0, 0, :, 0] != trained[0, 0, 0])


def test_modules_become_random_from_the_top():
    a, bias, b, c, n, d = 1, 0, 2, 3, 4, 5
    by_stage = changed(stages=9)
    # Three modules with real numbers are used.
    assert [set(np.flatnonzero(row)) for row in by_stage] == [
        {b},
        {b, a, bias},
        {b, a, bias, c},
    ]
    assert not by_stage[:, [n, d]].any()
    np.testing.assert_array_equal(changed(stages=2), by_stage[1:])
    np.testing.assert_array_equal(changed(stages=1), by_stage[2:])


def test_random_arrays_hold_values_of_their_own():
    leaf = jnp.asarray(np.random.default_rng(0).normal(size=(30, 20)), jnp.float32)
    drawn = randomize.redrawn(leaf, 0, 3)
    assert drawn.shape == leaf.shape
    assert set(np.unique(drawn)) <= set(np.unique(leaf))
    assert (drawn == leaf).mean() < 0.05
    assert (randomize.redrawn(leaf, 1, 3) != drawn).any()
    assert (randomize.redrawn(leaf, 0, 4) != drawn).any()
    assert (randomize.redrawn(jnp.abs(leaf), 0, 3) > 0).all()
    integers = jnp.arange(4)
    assert randomize.redrawn(integers, 0, 0) is integers


class Net(nnx.Module):
    def __init__(self, rngs):
        self.zero = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.alone = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, x):
        return self.alone(jax.nn.relu(self.norm(self.zero(x))).mean((1, 2)))


class LinenNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), name="zero")(x)).mean((1, 2))
        return nn.Dense(5, name="alone")(x)


@pytest.mark.parametrize("kind", ["nnx", "linen"])
def test_modules_of_flax_are_found_in_the_order_of_their_use(kind):
    if kind == "nnx":
        model = models.wrap(Net(nnx.Rngs(0)), size=4)
        expected = {"alone": 0, "norm": 1, "zero": 2}
    else:
        net = LinenNet()
        model = models.wrap((net, net.init(jax.random.key(0), X)), size=4)
        expected = {"alone": 0, "zero": 1}
    asked = _spec.Explainer(
        maps=None, params=model.params, predict=lambda p, x: model.apply(p, x)[0]
    )
    rank, modules = randomize._ranks_from_top(asked, X)
    assert modules == len(expected)
    paths = [
        jax.tree_util.keystr(path)
        for path, _ in jax.tree_util.tree_leaves_with_path(model.params)
    ]
    for path, place in zip(paths, rank, strict=True):
        (name,) = (name for name in expected if f"'{name}'" in path)
        assert place == expected[name], path
