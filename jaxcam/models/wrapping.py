"""Your own model, unedited."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import flax.errors
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

from jaxcam._types import Network, PyTree
from jaxcam.models import linen_adapter, model, nnx_adapter, tapping


def wrap(
    module: Any,
    *,
    size: int | tuple[int, int],
    channels: int = 3,
    mean: Sequence[float] | float = 0.0,
    std: Sequence[float] | float = 1.0,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    label_set: str | None = None,
    class_to_output: Sequence[int] | None = None,
    default_layer: str | None = None,
    cam_layer: str | None = None,
    resize: str = "squash",
    check: bool = True,
) -> model.Model:
    """A model from an nnx module, or from a linen module with its variables.

    The module is not changed and need not know of jaxcam: it takes `float[B, H, W, C]`
    and returns logits `float[B, K]`. Arguments `train`, `deterministic` and their like
    are set to evaluation. Layers are the submodules whose output is a map; tokens of a
    transformer, float[B, T, C], are laid out on the grid of its patches, and a class
    token and others before them are left out and never edited.

    Args:
      module: An `nnx.Module`, or `(linen.Module, variables)`.
      size: Side of its input in pixels, or rows and columns.
      channels: Channels of its input, C.
      mean: Subtracted from images in [0, 1], a number a channel or one for all.
      std: Divided by, likewise; positive.
      name: What it is called in tables; its class' name by default.
      class_names: Names of its K outputs.
      label_set: Which classes its outputs stand for: "imagenet", "cifar10", ...
      class_to_output: int[N], output of each class of the label set, where they
        differ; -1 for a class without one.
      default_layer: The layer that gradient methods tap; the last spatial one by
        default, of a transformer the last whose patches the logits depend on.
      cam_layer: The layer that `cam` taps; `default_layer` by default.
      resize: "squash" or "crop", for images of another shape.
      check: Makes sure once that an image alone gives the logits it gives in a batch.

    Returns:
      The model, which gives logits float[B, K] of images.

    Raises:
      TypeError: `module` is neither an nnx module nor a pair of a linen module and its
        variables.
      ValueError: The output is not (B, K), no layer is spatial, a named layer does not
        exist, or a value depends on batch-mates.

    >>> class Net(nnx.Module):
    ...     def __init__(self, rngs):
    ...         self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
    ...         self.head = nnx.Linear(4, 5, rngs=rngs)
    ...
    ...     def __call__(self, x):
    ...         return self.head(nnx.relu(self.conv(x)).mean((1, 2)))
    >>> model = wrap(Net(nnx.Rngs(0)), size=8, mean=0.5, std=0.5)
    >>> model.name, model.layers
    ('Net', ('conv',))
    """
    size = (size, size) if isinstance(size, int) else tuple(size)
    if isinstance(module, nnx.Module):
        structure, params = nnx_adapter.split(module)
        call = nnx_adapter.tapped_call(structure, type(module))
        kind = type(module).__name__
    elif (
        isinstance(module, tuple)
        and len(module) == 2
        and isinstance(module[0], linen.Module)
    ):
        module, params = module
        call = linen_adapter.tapped_call(module)
        kind = type(module).__name__
    else:
        raise TypeError(
            f"{type(module).__name__} is neither an nnx module nor a pair of a linen "
            "module and its variables; pass one of them."
        )
    made = build(
        call,
        params,
        name=name or kind,
        input_spec=model.InputSpec(
            size=size,
            channels=channels,
            mean=_per_channel(mean),
            std=_per_channel(std),
            resize=resize,
        ),
        class_names=None if class_names is None else tuple(class_names),
        label_set=label_set,
        class_to_output=None if class_to_output is None else np.array(class_to_output),
        default_layer=default_layer,
        cam_layer=cam_layer,
        provenance={"name": name or kind, "weights": digest(params), "trained": True},
    )
    if check:
        _check_batch_mates(made)
    return made


def build(
    call,
    params: PyTree,
    *,
    name: str,
    input_spec: model.InputSpec,
    default_layer: str | None = None,
    cam_layer: str | None = None,
    **more: Any,
) -> model.Model:
    """A model from a call with taps: finds its layers and checks the named ones."""
    shape = (1, *input_spec.size, input_spec.channels)
    try:
        shapes, tokens, hidden = tapping.list_layers(call, params, shape)
        if hidden:
            call = tapping.unfold(call)
            shapes, tokens, _ = tapping.list_layers(call, params, shape)
    except flax.errors.FlaxError as error:
        raise ValueError(
            f"{name} cannot be called in evaluation mode, where nothing is drawn and "
            f"no state changes: {str(error).partition(' (http')[0]}"
        ) from error
    spatial = tuple(n for n, s in shapes.items() if s[1] * s[2] > 1)
    if not spatial:
        raise ValueError(
            f"{name} has no layer with a spatial activation (B, h, w, C) that can be "
            "tapped; class activation maps need one."
        )
    network = tapping.network(call, spatial, tokens)
    if default_layer is None and tokens:
        default_layer = _last_read(network, params, shape, spatial)
    default_layer = default_layer or spatial[-1]
    for layer in (default_layer, cam_layer):
        if layer is not None and layer not in spatial:
            raise ValueError(
                f"{name} has no spatial layer {layer!r}; it has {', '.join(spatial)}."
            )
    return model.Model(
        name=name,
        params=params,
        network=network,
        input=input_spec,
        layers=spatial,
        default_layer=default_layer,
        cam_layer=cam_layer or default_layer,
        **more,
    )


def _last_read(
    network: Network, params: PyTree, shape: tuple[int, ...], layers: tuple[str, ...]
) -> str | None:
    """The last layer whose map the logits depend on.

    A classifier that reads its class token alone reads no other token of its last
    block; `None` if nothing is read, as by a head of zeros.
    """
    x = jax.random.normal(jax.random.key(0), shape)
    kept = jax.eval_shape(lambda p: network(p, x, keep=layers)[1], params)
    zeros = {name: jnp.zeros(a.shape, a.dtype) for name, a in kept.items()}

    @jax.jit
    def read(params, offsets):
        def mixed(offsets):
            edit = {n: functools.partial(jnp.add, o) for n, o in offsets.items()}
            logits = network(params, x, edit=edit)[0].astype(jnp.float32)
            return jnp.sum(logits * jnp.cos(jnp.arange(logits.size, dtype=jnp.float32)))

        return jax.tree.map(jnp.any, jax.grad(mixed)(offsets))

    found = read(params, zeros)
    return next((name for name in reversed(layers) if found[name]), None)


def digest(params: PyTree) -> str:
    """sha256 of every parameter, in the order of the tree."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(params):
        if isinstance(leaf, jax.Array) and jnp.issubdtype(
            leaf.dtype, jax.dtypes.prng_key
        ):
            leaf = jax.random.key_data(leaf)
        array = np.asarray(leaf)
        found.update(repr((array.shape, str(array.dtype))).encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _per_channel(value: Sequence[float] | float) -> tuple[float, ...]:
    return tuple(float(v) for v in np.atleast_1d(np.asarray(value)))


def _check_batch_mates(made: model.Model) -> None:
    shape = (2, *made.input.size, made.input.channels)
    images = jax.random.uniform(jax.random.key(0), shape)
    run = jax.jit(lambda params, x: made.apply(params, x)[0])
    together = run(made.params, made.preprocess(images))
    if together.ndim != 2:
        raise ValueError(
            f"{made.name} returns shape {together.shape}, not logits (B, K); wrap it "
            "in a module that returns logits alone."
        )
    alone = run(made.params, made.preprocess(images[:1]))
    scale = jnp.max(jnp.abs(together)) + 1e-6
    if jnp.max(jnp.abs(together[:1] - alone)) > 1e-2 * scale:
        raise ValueError(
            f"{made.name} gives an image other logits alone than in a batch, so its "
            "values would depend on batch-mates; put it into evaluation mode "
            "(BatchNorm with running averages, no dropout)."
        )
