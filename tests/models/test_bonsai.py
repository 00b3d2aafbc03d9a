"""Models of jax-ml/bonsai, unedited, and one that is built as theirs are."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcam


class Block(nnx.Module):
    """Demands random numbers and a mode by keyword, as bonsai's ConvNeXt does."""

    def __init__(self, channels, *, rngs):
        self.dwconv = nnx.Conv(
            channels, channels, (3, 3), feature_group_count=channels, rngs=rngs
        )
        self.norm = nnx.LayerNorm(channels, rngs=rngs)
        self.gamma = nnx.Param(0.5 * jnp.ones(channels))

    def __call__(self, x, *, rngs, train: bool):
        out = self.gamma[...] * self.norm(self.dwconv(x))
        if train:
            out = out * jax.random.bernoulli(rngs, 0.5, (len(x), 1, 1, 1))
        return x + out


class Alike(nnx.Module):
    """Lists of modules, functions as attributes, `rngs` without a default."""

    def __init__(self, *, rngs):
        self.embedding_layer = nnx.Sequential(
            nnx.Conv(3, 6, (4, 4), (4, 4), rngs=rngs), nnx.LayerNorm(6, rngs=rngs)
        )
        self.stages = nnx.List([Block(6, rngs=rngs) for _ in range(2)])
        self.pool = partial(lambda x: x.mean(axis=(1, 2)))
        self.head = nnx.Linear(6, 5, rngs=rngs)

    def __call__(self, x, *, rngs: jax.Array, train: bool = False):
        x = self.embedding_layer(x)
        for stage in self.stages:
            x = stage(x, rngs=rngs, train=train)
        return self.head(self.pool(x))


def explained(module, size):
    """Grad-CAM of the wrapped module, which must not be all zero."""
    model = jaxcam.models.wrap(module, size=size)
    images = np.random.default_rng(0).random((2, size, size, 3), np.float32)
    maps = jaxcam.explain(model, images, method="grad_cam")
    assert maps.shape == (2, size, size)
    assert np.isfinite(maps).all()
    assert maps.any()
    return model


def test_a_model_built_alike():
    model = explained(Alike(rngs=nnx.Rngs(0)), 16)
    assert model.default_layer == "stages.1"


@pytest.mark.slow
def test_bonsais_resnet():
    modeling = pytest.importorskip("bonsai.models.resnet.modeling")
    config = modeling.ModelConfig([1, 1, 1, 1], num_classes=10)
    model = explained(modeling.ResNet(config, rngs=nnx.Rngs(0)), 64)
    assert model.default_layer == "layer3"


@pytest.mark.slow
def test_bonsais_convnext():
    modeling = pytest.importorskip("bonsai.models.convnext.modeling")
    config = modeling.ModelConfig(
        stage_depths=(1, 1, 1, 1),
        stage_dims=(8, 16, 24, 32),
        drop_path_rate=0.1,
        num_classes=10,
    )
    model = explained(modeling.ConvNeXt(config, rngs=nnx.Rngs(0)), 64)
    assert model.default_layer == "stages.3"
