"""Unedited linen and nnx modules: taps, edits, gradients, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from jaxcam import models
from jaxcam.models import wrapping


class Block(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(4, 4, (3, 3), rngs=rngs)

    def __call__(self, x):
        return jax.nn.relu(self.conv(x))


class NnxNet(nnx.Module):
    """Two convolutions, a block used twice, pooling, a linear map."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 4, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.block = Block(rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, x):
        x = self.norm(self.stem(x))
        x = self.block(self.block(x))
        return self.head(self.dropout(x.mean((1, 2))))


class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, x, train: bool):
        x = linen.Conv(4, (3, 3), strides=2, name="stem")(x)
        x = linen.BatchNorm(use_running_average=not train, name="norm")(x)
        block = linen.Conv(4, (3, 3), name="block")
        x = jax.nn.relu(block(jax.nn.relu(block(x))))
        x = linen.Dropout(0.5, deterministic=not train)(x.mean((1, 2)))
        return linen.Dense(5, name="head")(x)


def nnx_model(**options):
    return models.wrap(NnxNet(nnx.Rngs(0)), size=8, **options)


def linen_model(**options):
    module = LinenNet()
    x = jnp.zeros((1, 8, 8, 3))
    variables = module.init(jax.random.key(0), x, train=False)
    return models.wrap((module, variables), size=8, **options)


both = pytest.mark.parametrize("make", [nnx_model, linen_model])
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)


@both
def test_layers_are_listed_in_order_with_repeated_calls_apart(make):
    layers = make().layers
    assert layers[:2] == ("stem", "norm")
    assert [n for n in layers if n.startswith("block#")] == ["block#0", "block#1"]
    assert make().default_layer == layers[-1]


@both
def test_the_logits_are_the_modules_own(make):
    model = make(mean=0.5, std=0.25)
    x = (IMAGES / 255.0 - 0.5) / 0.25
    if make is nnx_model:
        net = NnxNet(nnx.Rngs(0))
        net.eval()
        expected = net(jnp.asarray(x, jnp.float32))
    else:
        expected = LinenNet().apply(model.params, jnp.asarray(x), train=False)
    np.testing.assert_allclose(model(IMAGES), expected, atol=1e-5)


@both
def test_an_edit_changes_what_is_above_and_nothing_below(make):
    model = make()
    x = model.preprocess(IMAGES)
    keep = ("stem", "block#0", "block#1")
    logits, kept = model.apply(model.params, x, keep=keep)
    edited, after = model.apply(
        model.params, x, edit={"block#0": lambda a: a * 0}, keep=keep
    )
    np.testing.assert_array_equal(after["stem"], kept["stem"])
    assert not after["block#0"].any()
    assert not np.allclose(after["block#1"], kept["block#1"])
    assert not np.allclose(edited, logits)


@both
def test_gradients_of_two_layers_in_one_pass_are_finite_differences(make):
    model = make()
    x = model.preprocess(IMAGES[:1])
    layers = ("stem", "block#1")
    _, kept = model.apply(model.params, x, keep=layers)

    def score(offsets):
        edit = {n: (lambda a, n=n: a + offsets[n]) for n in layers}
        return model.apply(model.params, x, edit=edit)[0][0, 2]

    zeros = jax.tree.map(jnp.zeros_like, kept)
    gradients = jax.grad(score)(zeros)
    rng = np.random.default_rng(0)
    for layer in layers:
        direction = jnp.asarray(rng.normal(size=kept[layer].shape), jnp.float32)
        step = 1e-3

        def along(t, layer=layer, direction=direction):
            return float(score({**zeros, layer: t * direction}))

        difference = (along(step) - along(-step)) / (2 * step)
        slope = float(jnp.sum(gradients[layer] * direction))
        np.testing.assert_allclose(difference, slope, rtol=0.05, atol=5e-3)


@both
def test_params_are_arguments(make):
    model = make()
    x = model.preprocess(IMAGES)
    zeros = jax.tree.map(jnp.zeros_like, model.params)
    logits = jax.jit(lambda p, x: model.apply(p, x)[0])(zeros, x)
    assert not logits.any()


def test_the_users_module_is_not_touched():
    net = NnxNet(nnx.Rngs(0))
    before = wrapping.digest(nnx.split(net)[1])
    kinds = {path: type(m) for path, m in nnx.iter_modules(net)}
    model = models.wrap(net, size=8)
    model.apply(model.params, model.preprocess(IMAGES), keep=("block#0",))
    assert wrapping.digest(nnx.split(net)[1]) == before
    assert kinds == {path: type(m) for path, m in nnx.iter_modules(net)}
    assert not net.dropout.deterministic


def test_the_head_alone_costs_the_head_alone():
    """An edit that ignores its argument lets the compiler drop what is below."""
    model = nnx_model()
    x = model.preprocess(np.zeros((8, 8, 8, 3), np.uint8))
    activation = model.apply(model.params, x, keep=("block#1",))[1]["block#1"]

    def whole(params, x, activation):
        return model.apply(params, x)[0]

    def head(params, x, activation):
        return model.apply(params, x, edit={"block#1": lambda a: activation})[0]

    def flops(fn):
        lowered = jax.jit(fn).lower(model.params, x, activation)
        return lowered.compile().cost_analysis()["flops"]

    assert flops(head) < flops(whole) / 5


def test_layers_in_a_transformation_of_their_own_are_refused():
    class Scanned(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.Conv(4, (3, 3), name="stem")(x)
            layers = linen.scan(
                lambda module, carry, _: (jax.nn.relu(module(carry)), None),
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=3,
            )
            x, _ = layers(linen.Conv(4, (3, 3), name="inner"), x, None)
            return linen.Dense(5)(x.mean((1, 2)))

    module = Scanned()
    x = jnp.zeros((1, 8, 8, 3))
    model = models.wrap((module, module.init(jax.random.key(0), x)), size=8)
    assert model.layers == ("stem",)
    with pytest.raises(ValueError, match="cannot be tapped"):
        model.apply(model.params, x, keep=("inner",))


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="neither an nnx module nor a pair"):
        models.wrap(lambda x: x, size=8)


def test_a_layer_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="it has stem, norm"):
        nnx_model(default_layer="steam")


class Whitened(nnx.Module):
    """Normalises over the batch, whatever the mode."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)

    def __call__(self, x):
        x = self.conv(x)
        return (x - x.mean((0, 1, 2))).max((1, 2))


def test_dependence_on_batch_mates_is_refused():
    with pytest.raises(ValueError, match="batch-mates"):
        models.wrap(Whitened(nnx.Rngs(0)), size=8)


class Flat(nnx.Module):
    def __init__(self, rngs):
        self.head = nnx.Linear(3, 5, rngs=rngs)

    def __call__(self, x):
        return self.head(x.mean((1, 2)))


def test_a_net_without_a_spatial_layer_is_refused():
    with pytest.raises(ValueError, match="no layer with a spatial activation"):
        models.wrap(Flat(nnx.Rngs(0)), size=8)


def test_images_are_checked_and_resized():
    model = nnx_model()
    assert model(np.zeros((2, 20, 30, 3), np.float32)).shape == (2, 5)
    with pytest.raises(ValueError, match=r"images\[None\]"):
        model(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(TypeError, match="uint8"):
        model(np.zeros((1, 8, 8, 3), np.int32))


def test_a_model_is_shown_without_its_parameters():
    shown = repr(models.load("shapes_net"))
    assert shown.startswith("Model(name='shapes_net', input=InputSpec(size=(64, 64)")
    assert len(shown) < 1000
