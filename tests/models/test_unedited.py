"""Modules as users write them: nested, shared, rematerialised, in bfloat16, tokens."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import jaxcam
from jaxcam import models
from jaxcam.models import tapping

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)


def wrap_linen(module, size=8, **options):
    x = jnp.zeros((1, size, size, 3))
    variables = jax.jit(module.init)(jax.random.key(0), x)
    return models.wrap((module, variables), size=size, **options)


class LinenStage(linen.Module):
    dtype: type = jnp.float32

    @linen.compact
    def __call__(self, x):
        conv = functools.partial(linen.Conv, 4, (3, 3), dtype=self.dtype)
        return jax.nn.relu(conv(name="inner")(jax.nn.relu(conv(name="outer")(x))))


class LinenNested(linen.Module):
    stage: type = LinenStage
    dtype: type = jnp.float32

    @linen.compact
    def __call__(self, x):
        for i in range(2):
            x = self.stage(dtype=self.dtype, name=f"stage{i}")(x)
        return linen.Dense(5, dtype=self.dtype, name="head")(x.mean((1, 2)))


class NnxStage(nnx.Module):
    def __init__(self, channels, rngs, dtype):
        self.outer = nnx.Conv(channels, 4, (3, 3), dtype=dtype, rngs=rngs)
        self.inner = nnx.Conv(4, 4, (3, 3), dtype=dtype, rngs=rngs)

    def __call__(self, x):
        return jax.nn.relu(self.inner(jax.nn.relu(self.outer(x))))


class NnxRematStage(NnxStage):
    @nnx.remat
    def __call__(self, x):
        return jax.nn.relu(self.inner(jax.nn.relu(self.outer(x))))


class NnxNested(nnx.Module):
    def __init__(self, rngs, stage=NnxStage, dtype=jnp.float32):
        self.stages = nnx.List([stage(c, rngs, dtype) for c in (3, 4)])
        self.head = nnx.Linear(4, 5, dtype=dtype, rngs=rngs)

    def __call__(self, x):
        for stage in self.stages:
            x = stage(x)
        return self.head(x.mean((1, 2)))


def check_maps(model, layer):
    """Grad-CAM at a layer is what its definition gives from the module's own maps."""
    x = model.preprocess(IMAGES)

    def score(activation):
        edit = {layer: lambda _: activation}
        return (
            model.apply(model.params, x, edit=edit)[0][:, 1].astype(jnp.float32).sum()
        )

    def activation_and_gradient(x):
        a = model.apply(model.params, x, keep=(layer,))[1][layer]
        return a, jax.grad(score)(a)

    a, gradient = jax.jit(activation_and_gradient)(x)
    gradient = np.asarray(gradient, np.float32)
    expected = (gradient.mean((1, 2), keepdims=True) * np.asarray(a, np.float32)).sum(
        -1
    )
    maps = jaxcam.explain(model, IMAGES, 1, "grad_cam", layer, size="native")
    assert maps.dtype == np.float32
    scale = np.abs(expected).max()
    np.testing.assert_allclose(maps, np.maximum(expected, 0), atol=2e-2 * scale)


def test_nested_modules_are_named_by_their_path():
    nested = wrap_linen(LinenNested())
    names = ["stage0.outer", "stage0.inner", "stage0", "stage1.outer", "stage1.inner"]
    assert list(nested.layers) == [*names, "stage1"]
    check_maps(nested, "stage0.inner")
    nested = models.wrap(NnxNested(nnx.Rngs(0)), size=8)
    names = [name.replace("stage", "stages.") for name in names]
    assert list(nested.layers) == [*names, "stages.1"]
    check_maps(nested, "stages.0.inner")


class NnxJitStage(NnxStage):
    @nnx.jit
    def __call__(self, x):
        return jax.nn.relu(self.inner(jax.nn.relu(self.outer(x))))


def test_rematerialised_modules_can_be_tapped_inside():
    plain = wrap_linen(LinenNested())
    remat = wrap_linen(LinenNested(linen.remat(LinenStage)))
    assert remat.layers == plain.layers
    np.testing.assert_allclose(remat(IMAGES), plain(IMAGES), atol=1e-5)
    check_maps(remat, "stage0.inner")


@pytest.mark.parametrize("stage", [NnxRematStage, NnxJitStage])
def test_modules_of_a_transformation_can_be_tapped_inside(stage):
    plain = models.wrap(NnxNested(nnx.Rngs(0)), size=8)
    model = models.wrap(NnxNested(nnx.Rngs(0), stage), size=8)
    assert model.layers == plain.layers
    np.testing.assert_allclose(model(IMAGES), plain(IMAGES), atol=1e-5)
    check_maps(model, "stages.0.inner")


@pytest.mark.parametrize("kind", ["linen", "nnx"])
def test_bfloat16_networks_give_float32_maps(kind):
    if kind == "linen":
        low = wrap_linen(LinenNested(dtype=jnp.bfloat16))
        high = wrap_linen(LinenNested())
    else:
        low = models.wrap(NnxNested(nnx.Rngs(0), dtype=jnp.bfloat16), size=8)
        high = models.wrap(NnxNested(nnx.Rngs(0)), size=8)
    assert low(IMAGES).dtype == jnp.bfloat16
    check_maps(low, low.layers[2])
    methods = ["grad_cam", "layer_cam", "gradient", "score_cam", "full_grad"]
    one, other = (jaxcam.explain(m, IMAGES, 1, methods) for m in (low, high))
    for name in methods:
        assert one[name].dtype == np.float32
        for a, b in zip(one[name], other[name], strict=True):
            assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95, name


class LinenShared(linen.Module):
    """One convolution in two places, through two parents."""

    def setup(self):
        self.conv = linen.Conv(3, (3, 3))
        self.one, self.two = Wrapper(self.conv), Wrapper(self.conv)
        self.head = linen.Dense(5)

    def __call__(self, x):
        return self.head(self.two(self.one(x)).mean((1, 2)))


class Wrapper(linen.Module):
    inner: linen.Module

    def __call__(self, x):
        return jax.nn.relu(self.inner(x))


class NnxWrapper(nnx.Module):
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, x):
        return jax.nn.relu(self.inner(x))


class NnxShared(nnx.Module):
    def __init__(self, rngs):
        conv = nnx.Conv(3, 3, (3, 3), rngs=rngs)
        self.one, self.two = NnxWrapper(conv), NnxWrapper(conv)
        self.head = nnx.Linear(3, 5, rngs=rngs)

    def __call__(self, x):
        return self.head(self.two(self.one(x)).mean((1, 2)))


@pytest.mark.parametrize("kind", ["linen", "nnx"])
def test_a_shared_module_is_two_layers(kind):
    if kind == "linen":
        model, shared = wrap_linen(LinenShared()), "conv"
    else:
        model, shared = models.wrap(NnxShared(nnx.Rngs(0)), size=8), "one.inner"
    assert model.layers == (f"{shared}#0", "one", f"{shared}#1", "two")
    for layer in model.layers:
        check_maps(model, layer)
    x = model.preprocess(IMAGES)
    _, kept = model.apply(model.params, x, keep=model.layers)
    np.testing.assert_allclose(
        kept["one"], np.maximum(kept[f"{shared}#0"], 0), atol=1e-6
    )


def noisy(x, noise):
    """Noise that depends on the size of the batch, as dropout's would."""
    return x + noise * jax.random.normal(jax.random.key(len(x)), x.shape)


class LinenTrain(linen.Module):
    @linen.compact
    def __call__(self, x, train=True):
        x = noisy(linen.Conv(4, (3, 3), name="conv")(x), float(train))
        return linen.Dense(5)(x.mean((1, 2)))


class LinenDeterministic(linen.Module):
    @linen.compact
    def __call__(self, x, *, deterministic=False):
        x = noisy(linen.Conv(4, (3, 3), name="conv")(x), 1.0 - deterministic)
        return linen.Dense(5)(x.mean((1, 2)))


class NnxTraining(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.head = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, x, training=True):
        return self.head(noisy(self.conv(x), float(training)).mean((1, 2)))


class NnxDropout(NnxTraining):
    """Its modes are attributes of its modules, set by `eval()`."""

    def __init__(self, rngs):
        super().__init__(rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)

    def __call__(self, x):
        return self.head(self.drop(self.norm(self.conv(x))).mean((1, 2)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: wrap_linen(LinenTrain()),
        lambda: wrap_linen(LinenDeterministic()),
        lambda: models.wrap(NnxTraining(nnx.Rngs(0)), size=8),
        lambda: models.wrap(NnxDropout(nnx.Rngs(0)), size=8),
    ],
    ids=["linen train", "linen deterministic", "nnx training", "nnx dropout"],
)
def test_models_are_called_in_evaluation_mode(make):
    model = make()
    np.testing.assert_allclose(model(IMAGES)[:1], model(IMAGES[:1]), atol=1e-5)


class Deaf(linen.Module):
    """Dropout that nothing switches off."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (3, 3), name="conv")(x)
        x = linen.Dropout(0.5, deterministic=False)(x)
        return linen.Dense(5)(x.mean((1, 2)))


class BatchStatistics(linen.Module):
    """Normalises by the batch whatever it is told."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (3, 3), name="conv")(x)
        x = (x - x.mean((0, 1, 2))) / (x.std((0, 1, 2)) + 1e-3)
        return linen.Dense(5)(x.max((1, 2)))


def test_a_model_that_cannot_be_put_into_evaluation_mode_is_refused():
    x = jnp.zeros((1, 8, 8, 3))
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    variables = Deaf().init(keys, x)
    with pytest.raises(ValueError, match="Deaf cannot be called in evaluation mode"):
        models.wrap((Deaf(), variables), size=8)
    with pytest.raises(ValueError, match="other logits alone than in a batch"):
        wrap_linen(BatchStatistics())
    assert wrap_linen(BatchStatistics(), check=False).layers == ("conv",)


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
        return linen.Dense(5)(linen.Conv(4, (1, 1), name="last")(x).mean((1, 2)))


def test_layers_inside_a_scan_are_refused_with_those_that_can_be_tapped():
    model = wrap_linen(Scanned())
    assert model.layers == ("stem", "last")
    assert model.default_layer == "last"
    with pytest.raises(ValueError, match="no layer 'inner'; it has stem, last"):
        jaxcam.explain(model, IMAGES, layer="inner")
    with pytest.raises(ValueError, match=r"inside of a loop.*, but stem, last can"):
        model.apply(model.params, model.preprocess(IMAGES), keep=("inner",))
    check_maps(model, "stem")


class Attention(linen.Module):
    @linen.compact
    def __call__(self, x):
        y = linen.LayerNorm(name="norm1")(x)
        x = x + linen.MultiHeadDotProductAttention(2, name="attention")(y)
        y = linen.LayerNorm(name="norm2")(x)
        return x + linen.Dense(6, name="mlp")(jax.nn.gelu(y))


class Vit(linen.Module):
    """Patches, a class token and registers, two blocks."""

    extra: int = 1
    pool: str = "token"
    patches: str = "conv"

    @linen.compact
    def __call__(self, x):
        if self.patches == "conv":
            x = linen.Conv(6, (2, 2), strides=2, padding="VALID", name="embed")(x)
            x = x.reshape(len(x), -1, 6)
        else:
            rows, columns = x.shape[1] // 2, x.shape[2] // 2
            x = x.reshape(len(x), rows, 2, columns, 2, 3).transpose(0, 1, 3, 2, 4, 5)
            x = linen.Dense(6, name="embed")(x.reshape(len(x), rows * columns, 12))
        first = self.param("first", linen.initializers.normal(1.0), (1, self.extra, 6))
        x = jnp.concatenate([jnp.broadcast_to(first, (len(x), self.extra, 6)), x], 1)
        for i in range(2):
            x = Attention(name=f"block{i}")(x)
        x = linen.LayerNorm(name="norm")(x)
        x = x[:, 0] if self.pool == "token" else x.mean(1)
        return linen.Dense(5, name="head")(x)


@pytest.mark.parametrize(
    ("patches", "extra"),
    [("conv", 1), pytest.param("dense", 3, marks=pytest.mark.slow)],
)
def test_tokens_are_laid_out_and_the_class_token_is_handled(extra, patches):
    model = wrap_linen(Vit(extra, patches=patches))
    x = model.preprocess(IMAGES)
    run = jax.jit(functools.partial(model.apply, keep=("embed", "block0", "norm")))
    logits, kept = run(model.params, x)
    assert {a.shape for a in kept.values()} == {(3, 4, 4, 6)}
    assert not any("query" in name for name in model.layers)
    # The map of a token that looks at its own patch alone is where the patch is.
    moved = x.at[:, 2:4, 4:6].add(1.0)
    _, other = run(model.params, moved)
    changed = np.abs(np.asarray(other["embed"] - kept["embed"])).sum(-1) > 1e-6
    assert changed[:, 1, 2].all()
    assert changed.sum() == 3
    # The head reads the class token: nothing of the last block's patches.
    assert model.default_layer == "block1.norm1"
    check_maps(model, "block1.norm1")
    edit = {"norm": lambda a: a * 0}
    untouched = jax.jit(lambda p, x: model.apply(p, x, edit=edit)[0])(model.params, x)
    np.testing.assert_allclose(untouched, logits, atol=1e-6)


@pytest.mark.slow
def test_a_transformer_that_averages_its_tokens_is_tapped_at_its_end():
    model = wrap_linen(Vit(1, "mean"))
    assert model.default_layer == "norm"
    check_maps(model, "norm")
    maps = jaxcam.explain(model, IMAGES, 0, "ablation_cam", "norm", size="native")
    assert maps.shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("shapes", "size", "expected"),
    [
        ([(1, 14, 14, 8), (1, 197, 8)], (224, 224), {197: (14, 14)}),
        ([(1, 16, 8, 8), (1, 133, 8)], (256, 128), {133: (16, 8)}),
        ([(1, 50, 8), (1, 50, 2, 4)], (224, 224), {50: (7, 7)}),
        ([(1, 129, 8)], (256, 128), {129: (16, 8)}),
        ([(1, 14, 14, 8), (1, 100, 8)], (224, 224), {}),
        ([(4, 49, 8), (1, 7, 7, 8)], (224, 224), {}),
        ([(1, 1, 8)], (8, 8), {}),
    ],
)
def test_grids_of_tokens(shapes, size, expected):
    assert tapping.find_tokens(shapes, size) == expected
