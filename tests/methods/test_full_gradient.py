import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from jaxcam import methods, models, ops
from jaxcam.methods import biases

TARGETS = np.array([1, 3, 0])


def class_of(target):
    """Weights that pick each image's class."""
    return lambda logits: jax.nn.one_hot(jnp.asarray(target), logits.shape[1])


def total(own, shares):
    """Sum of all shares of each image."""
    return sum(np.asarray(s).reshape(len(s), -1).sum(1) for s in (own, *shares))


def wrapped(module, size=8):
    x = jnp.zeros((1, size, size, 3))
    variables = module.init(jax.random.key(0), x)
    rng = np.random.default_rng(0)
    drawn = jax.tree.map(
        lambda a: jnp.asarray(a + rng.uniform(0.1, 0.5, a.shape), jnp.float32),
        variables,
    )
    return models.wrap((module, drawn), size=size)


class Everything(linen.Module):
    """Biases of every sort: convolution, normalisation, ReLU6, a skip, a linear map."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (3, 3), name="stem")(x)
        x = linen.BatchNorm(use_running_average=True, name="norm")(x)
        x = jax.nn.relu(x)
        y = linen.Conv(4, (3, 3), use_bias=False, name="second")(x)
        y = linen.BatchNorm(use_running_average=True, name="norm2")(y)
        x = jax.nn.relu6(x + y)
        x = linen.max_pool(x, (2, 2), (2, 2))
        x = jax.nn.leaky_relu(linen.remat(linen.Conv)(5, (1, 1), name="third")(x - 1))
        x = jnp.concatenate([x, jnp.tanh(x)], axis=-1)
        return linen.Dense(5, name="head")(x.mean((1, 2)))


def test_the_shares_sum_to_the_logit(images):
    model = wrapped(Everything())
    x = images()

    def run(params, x):
        def logits(x):
            return model.apply(params, x)[0]

        return biases.decompose(logits, x, class_of(TARGETS))

    own, shares = jax.jit(run)(model.params, x)
    logits = np.asarray(model.apply(model.params, x)[0])
    np.testing.assert_allclose(
        total(own, shares), logits[np.arange(3), TARGETS], rtol=1e-4
    )
    # norm, norm2, relu6, minus one, third, tanh, and the head's.
    assert [s.shape[1:] for s in shares].count((8, 8, 4)) == 3
    assert [s.shape[1:] for s in shares].count((4, 4, 4)) == 1
    assert [s.shape[1:] for s in shares].count((4, 4, 5)) == 2
    assert shares[-1].shape == (3, 5)
    assert len(shares) == 7


def reference(x, p, target):
    """Two convolutions without batch normalisation, by the paper's formulas."""

    def forward(x, shift1, shift2):
        z1 = conv(x, p["k1"]) + p["b1"] + shift1
        z2 = conv(jax.nn.relu(z1), p["k2"]) + p["b2"] + shift2
        return (jax.nn.relu(z2).mean((0, 1)) @ p["head"])[target]

    def conv(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x[None], kernel, (1, 1), "SAME", dimension_numbers=layout
        )[0]

    shift1 = jnp.zeros((*x.shape[:2], 4))
    shift2 = jnp.zeros((*x.shape[:2], 5))
    gx, g1, g2 = jax.grad(forward, (0, 1, 2))(x, shift1, shift2)
    saliency = 0
    for share in (gx * x, g1 * p["b1"], g2 * p["b2"]):
        size = np.abs(np.asarray(share))
        saliency += ((size - size.min()) / (size.max() - size.min())).sum(-1)
    return saliency


def test_the_map_is_that_of_the_paper_on_a_small_network(images, explain, tiny_model):
    rng = np.random.default_rng(3)
    shapes = {"k1": (3, 3, 3, 4), "b1": 4, "k2": (3, 3, 4, 5), "b2": 5, "head": (5, 6)}
    p = {n: jnp.asarray(rng.normal(size=s) / 2, jnp.float32) for n, s in shapes.items()}

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = jax.nn.relu(linen.Conv(4, (3, 3), name="one")(x))
            x = jax.nn.relu(linen.Conv(5, (3, 3), name="two")(x))
            return linen.Dense(6, use_bias=False, name="head")(x.mean((1, 2)))

    variables = {
        "params": {
            "one": {"kernel": p["k1"], "bias": p["b1"]},
            "two": {"kernel": p["k2"], "bias": p["b2"]},
            "head": {"kernel": p["head"]},
        }
    }
    model = models.wrap((Net(), variables), size=8)
    x = images()
    _, _, maps = explain(model, x, ["full_grad"], targets=jnp.asarray(TARGETS))
    for i in range(3):
        expected = reference(x[i], p, TARGETS[i])
        np.testing.assert_allclose(maps["full_grad"][i], expected, rtol=1e-4, atol=1e-5)


def test_normalisation_has_one_implicit_bias(images):
    """`beta - gamma mean / sigma`, whatever the bias of the convolution below adds."""

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.Conv(4, (3, 3), use_bias=False, name="conv")(x)
            x = linen.BatchNorm(use_running_average=True, name="norm")(x)
            return jax.nn.relu(x).mean((1, 2))

    model = wrapped(Net())
    x = images()
    norm, stats = model.params["params"]["norm"], model.params["batch_stats"]["norm"]
    sigma = np.sqrt(np.asarray(stats["var"]) + 1e-5)
    bias = norm["bias"] - norm["scale"] * stats["mean"] / sigma
    _, (share,) = biases.decompose(
        lambda x: model.apply(model.params, x)[0], x, class_of(TARGETS)
    )
    _, kept = model.apply(model.params, x, keep=("norm",))
    active = np.asarray(kept["norm"]) > 0
    expected = active * np.asarray(bias) / 64
    expected *= np.eye(4)[TARGETS][:, None, None]
    np.testing.assert_allclose(share, expected, atol=1e-6)


def test_the_shipped_network_is_complete_and_maps_have_the_image_s_size():
    model = models.load("shapes_net")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    x = model.preprocess(pixels)

    @jax.jit
    def run(params, x):
        def logits(x):
            return model.apply(params, x)[0]

        return biases.decompose(logits, x, class_of([2, 5])), logits(x)

    (own, shares), logits = run(model.params, x)
    scale = np.abs(logits).max()
    np.testing.assert_allclose(
        total(own, shares), np.asarray(logits)[[0, 1], [2, 5]], atol=1e-3 * scale
    )
    assert sum(s.ndim == 4 for s in shares) >= 4


def test_a_map_of_no_bias_is_the_input_s_alone(images, explain):
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.Conv(4, (3, 3), use_bias=False, name="conv")(x)
            return linen.Dense(5, use_bias=False)(jax.nn.relu(x).mean((1, 2)))

    model = wrapped(Net())
    requests = ["full_grad", "input_x_gradient[reduce=absolute_sum]"]
    _, _, maps = explain(model, images(), requests, targets=jnp.asarray(TARGETS))
    full, product = (np.asarray(maps[r]) for r in requests)
    for one, other in zip(full, product, strict=True):
        slope, intercept = np.polyfit(other.ravel(), one.ravel(), 1)
        np.testing.assert_allclose(one, slope * other + intercept, atol=1e-4)
    assert ops.normalize(jnp.asarray(full[0])).max() == 1


class Gated(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (3, 3), name="conv")(x)
        return linen.Dense(5)((x * jax.nn.sigmoid(x)).mean((1, 2)))


class Looped(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (3, 3), name="conv")(x)
        x = jax.lax.fori_loop(0, 3, lambda i, a: jax.nn.relu(a + 1), x)
        return linen.Dense(5)(x.mean((1, 2)))


@pytest.mark.parametrize(("module", "name"), [(Gated(), "mul"), (Looped(), "scan")])
def test_biases_that_cannot_be_seen_are_refused(images, explain, module, name):
    model, message = wrapped(module), f"every bias .* the operation '{name}'"
    with pytest.raises(ValueError, match=message):
        explain(model, images(), ["full_grad"])
    with pytest.raises(ValueError, match=message):
        methods.validate(model, ["full_grad"])


def test_it_is_registered():
    assert methods.table()["full_grad"].fn is methods.full_grad
