"""Networks small enough to be worked out by hand, with the adapter's contract."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import methods


@dataclasses.dataclass(frozen=True, eq=False)
class TinyModel:
    """What `jaxcam.methods` relies on, and nothing else."""

    name: str
    params: Any
    network: Callable
    input: Any
    layers: tuple[str, ...]
    default_layer: str | None
    cam_layer: str | None
    class_names: tuple[str, ...] | None = None

    def apply(self, params, x, *, edit=None, keep=()):
        return self.network(params, x, edit=edit, keep=keep)

    def preprocess(self, images):
        if images.dtype == jnp.uint8:
            images = images.astype(jnp.float32) / 255
        return (images - 0.5) / jnp.asarray(self.input.std, jnp.float32)


def network_of(layers):
    """A chain of named functions `(params, activation) -> activation`, then a head."""
    *body, (_, head) = layers

    def network(params, x, *, edit=None, keep=()):
        kept, edit = {}, edit or {}
        assert set(edit) | set(keep) <= {name for name, _ in body}
        for name, layer in body:
            x = layer(params, x)
            x = edit.get(name, lambda a: a)(x)
            if name in keep:
                kept[name] = x
        return head(params, x), kept

    return network


def conv(x, kernel, bias=None, stride=1):
    y = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y if bias is None else y + bias


def _params(seed, channels, classes):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    return {
        "first": draw(3, 3, 3, 4) / 3,
        "second": draw(3, 3, 4, channels) / 3,
        "bias": draw(channels) / 4,
        "head": draw(channels, classes),
        "hidden": draw(channels, 5),
        "out": draw(5, classes),
        "head_bias": draw(classes),
    }


def _tiny_model(*, head="linear", side=8, channels=6, classes=5, seed=0):
    """Two convolutions and a head, `linear` on the mean or with a `hidden` layer."""

    def linear(p, a):
        return jnp.mean(a, axis=(1, 2)) @ p["head"] + p["head_bias"]

    def hidden(p, a):
        return jnp.tanh(jnp.mean(a, axis=(1, 2)) @ p["hidden"]) @ p["out"]

    def spatial(p, a):
        """Reads positions differently: no class activation map exists."""
        ramp = jnp.linspace(0, 1, a.shape[1])[None, :, None, None]
        return jnp.mean(a * ramp, axis=(1, 2)) @ p["head"]

    network = network_of(
        [
            ("first", lambda p, x: jax.nn.relu(conv(x, p["first"]))),
            (
                "second",
                lambda p, x: jax.nn.relu(conv(x, p["second"], p["bias"], stride=2)),
            ),
            ("head", {"linear": linear, "hidden": hidden, "spatial": spatial}[head]),
        ]
    )
    return TinyModel(
        name=f"tiny_{head}",
        params=_params(seed, channels, classes),
        network=network,
        input=SimpleNamespace(size=(side, side), channels=3, std=(0.2, 0.25, 0.3)),
        layers=("first", "second"),
        default_layer="second",
        cam_layer="second" if head == "linear" else None,
    )


def _images(count=3, side=8, seed=1):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=(count, side, side, 3)), jnp.float32)


@pytest.fixture(scope="session")
def tiny_model():
    """Builds a model whose methods can be worked out by hand."""
    return _tiny_model


@pytest.fixture(scope="session")
def images():
    """Draws preprocessed images for it."""
    return _images


@pytest.fixture(scope="session")
def explain():
    """Maps of some requests, compiled: `(model, x, requests) -> (logits, t, maps)`."""

    def run(model, x, requests, *, targets=None, score=methods.class_logit, seed=0):
        def choose(logits):
            return jnp.argmax(logits, axis=1) if targets is None else targets

        @jax.jit
        def program(params, x):
            return methods.explain_batch(
                model,
                params,
                x,
                choose,
                requests,
                keys=jax.random.split(jax.random.key(seed), len(x)),
                masks=jnp.arange(x.shape[1] * x.shape[2]).reshape(1, *x.shape[1:3])
                < jnp.full((len(x), 1, 1), 10),
                score=score,
            )

        return jax.device_get(program(model.params, x))

    return run
