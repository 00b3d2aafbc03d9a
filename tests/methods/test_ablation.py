import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam.methods import rescale

TARGETS = jnp.array([3, 0, 1])


def head_of(model, x, i):
    """Score of image i as a function of the activation float[h, w, C]."""

    def score(activation):
        edit = {"second": lambda a: activation[None]}
        return model.apply(model.params, x[i : i + 1], edit=edit)[0][0, TARGETS[i]]

    return jax.jit(score)


def activations_of(model, x):
    return np.asarray(model.apply(model.params, x, keep=("second",))[1]["second"])


def weighed(weights, activation):
    return np.maximum((weights * activation).sum(-1), 0)


@pytest.mark.parametrize("chunk", [1, 5, 64])
@pytest.mark.parametrize("relative", [False, True])
def test_ablation_weighs_by_the_exact_loss(
    tiny_model, images, explain, chunk, relative
):
    model, x = tiny_model(head="hidden"), images()
    model.params["bias"] = model.params["bias"].at[1].set(-100.0)  # A dead channel.
    request = f"ablation_cam[chunk={chunk},relative={relative}]"
    _, _, maps = explain(model, x, [request], targets=TARGETS)
    (actual,) = maps.values()
    for i, a in enumerate(activations_of(model, x)):
        score = head_of(model, x, i)
        without = [score(a * (np.arange(6) != k)) for k in range(6)]
        weights = np.asarray(score(a)) - np.array(without)
        assert weights[1] == 0
        scale = score(a) if relative else 1
        np.testing.assert_allclose(actual[i], weighed(weights / scale, a), atol=1e-4)


def shapley_values(score, a):
    """Exact, by every coalition of channels; the others are zero."""
    channels = range(a.shape[-1])
    values = np.zeros(len(channels))
    for k in channels:
        others = [c for c in channels if c != k]
        for size in range(len(others) + 1):
            share = math.factorial(size) * math.factorial(len(others) - size)
            share /= math.factorial(len(channels))
            for coalition in itertools.combinations(others, size):
                mask = np.isin(np.arange(len(channels)), coalition)
                with_k = mask | (np.arange(len(channels)) == k)
                values[k] += share * float(score(a * with_k) - score(a * mask))
    return values


def test_lift_cam_is_the_shapley_value_under_a_linear_head(tiny_model, images, explain):
    model, x = tiny_model(channels=5), images()
    _, _, maps = explain(model, x, ["lift_cam", "ablation_cam"], targets=TARGETS)
    assert maps["lift_cam"].max() > 0.1
    for i, a in enumerate(activations_of(model, x)):
        weights = shapley_values(head_of(model, x, i), a)
        expected = weighed(weights, a)
        np.testing.assert_allclose(maps["lift_cam"][i], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(maps["lift_cam"], maps["ablation_cam"], atol=1e-4)


def test_multipliers_are_complete_under_a_nonlinear_head(tiny_model, images):
    """Contributions sum to the difference from the reference, layer by layer rule."""
    model, x = tiny_model(head="hidden"), images(1)
    a = jnp.asarray(activations_of(model, x))

    def score(a):
        edit = {"second": lambda _: a}
        return model.apply(model.params, x, edit=edit)[0][:, 3]

    m = rescale.multipliers(score, a, jnp.zeros_like(a))
    difference = score(a) - score(jnp.zeros_like(a))
    np.testing.assert_allclose(jnp.vdot(a, m), difference[0], rtol=1e-4)
    p = model.params
    before = a.mean((1, 2))[0] @ p["hidden"]
    slope = jnp.tanh(before) / before  # tanh(0) = 0 at the reference.
    expected = p["hidden"] @ (slope * p["out"][:, 3]) / 16
    np.testing.assert_allclose(m[0, 1, 2], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (lambda x: jnp.sum(jax.nn.relu(x), axis=1), [1.0, 0.0, 1.0]),
        (lambda x: jnp.sum(x**2, axis=1), [3.0, -1.0, 3.0]),
        (lambda x: jnp.sum(jax.nn.relu(x - 1.0) * 2 + 3, axis=1), [1.0, 0.0, 1.0]),
        (lambda x: x[:, 1] - jnp.sum(jnp.concatenate([x, x], 1), 1), [-2, -1, -2]),
        (lambda x: jnp.sum(jax.jit(jax.nn.sigmoid)(x), 1) * 0.0, [0.0, 0.0, 0.0]),
    ],
    ids=["relu", "square", "shifted relu", "linear", "nested call"],
)
def test_the_rescale_rule_worked_by_hand(fn, expected):
    """At (3, -1, 3) from 0 a ReLU has the slopes 1, 0, 1; a square 3, -1, 3."""
    if fn(jnp.array([[2.0, 0.0, 2.0]]))[0] == 2 * 2 + 9:
        expected = [2 * (3 - 1) / 3, 0.0, 2 * (3 - 1) / 3]
    m = rescale.multipliers(fn, jnp.array([[3.0, -1.0, 3.0]]), jnp.zeros((1, 3)))
    np.testing.assert_allclose(m[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("fn", "operation"),
    [
        (lambda x: jnp.sum(x * x[:, ::-1], axis=1), "mul"),
        (lambda x: jnp.max(x, axis=1), "reduce_max"),
        (lambda x: jnp.sum(1 / x, axis=1), "div"),
    ],
)
def test_what_the_rule_does_not_cover_is_refused(fn, operation):
    with pytest.raises(ValueError, match=f"does not cover the operation '{operation}'"):
        rescale.multipliers(fn, jnp.ones((1, 3)), jnp.zeros((1, 3)))
