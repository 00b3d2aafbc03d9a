"""From requests to maps: one forward and one backward pass serve every method."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from jaxcam import _checks, _spec, ops
from jaxcam._types import Array, PyTree
from jaxcam.methods import full_gradient, gradient_weighted, refined
from jaxcam.methods import question as questions

_ENGINE_OPTIONS = ("layer", "aggregate")
_AGGREGATES = ("mean", "max", "product")


@functools.cache
def table() -> Mapping[str, _spec.MethodSpec]:
    """Every method by name; see `jaxcam.registry.all_methods`.

    Returns:
      What is known of each: its function, options, cost, source.

    >>> table()["uniform"].floor
    True
    """
    found = {}
    for info in pkgutil.iter_modules([str(Path(__file__).parent)]):
        module = importlib.import_module(f"jaxcam.methods.{info.name}")
        found |= {spec.name: spec for spec in getattr(module, "SPECS", ())}
    return MappingProxyType(found)


@dataclasses.dataclass(frozen=True)
class Job:
    """A request with everything about it decided.

    Attributes:
      label: The request as written.
      spec: The method.
      layers: Tapped layers; empty for a method that taps none.
      aggregate: How the maps of several layers become one, of `_AGGREGATES`.
      options: Keyword options bound to the method's function.
    """

    label: str
    spec: _spec.MethodSpec
    layers: tuple[str, ...]
    aggregate: str
    options: Mapping[str, Any]

    @property
    def needs(self) -> frozenset[str]:
        """Names of the inputs of the method's function."""
        return frozenset(self.spec.inputs)


def resolve(model: Any, request: str | _spec.Request) -> Job:
    """Decides the layers and options of one requested method.

    Args:
      model: The model to explain.
      request: `name` or `name[option=value,...]`. The options `layer`, one name or
        several as `(a,b)`, and `aggregate` are known to every method that taps a
        layer. The maps of several layers are brought to [0, 1], resized to the largest
        grid (bilinear) and aggregated: "mean" and "max" divide their positive parts by
        the maximum, "product" stretches them.

    Returns:
      The job.

    Raises:
      ValueError: An unknown method, option or layer, or a model that names no default
        layer of the kind the method needs.

    >>> model = jaxcam.models.load("shapes_net")
    >>> resolve(model, "grad_cam_plus_plus[variant=eq19]").options["variant"]
    'eq19'
    """
    request = _spec.parse(request)
    spec = _look_up(request.name)
    options = dict(request.options)
    layer = options.pop("layer", None)
    several = spec.fn is refined.refine_cam
    aggregate = options.pop("aggregate", "product" if several else "mean")
    _checks.choice("aggregate", aggregate, _AGGREGATES)
    if spec.layer is None and len(options) < len(request.options):
        raise ValueError(f"{spec.name} taps no layer; leave out {_ENGINE_OPTIONS}.")
    unknown = sorted(set(options) - set(spec.options))
    if unknown:
        known = [*spec.options, *(_ENGINE_OPTIONS if spec.layer else ())]
        raise ValueError(
            f"{spec.name} has no option {unknown[0]!r}; "
            f"it takes {', '.join(known) or 'none'}."
        )
    layers = () if spec.layer is None else _layers(model, spec, layer, several)
    return Job(str(request), spec, layers, aggregate, MappingProxyType(options))


def _look_up(name: str) -> _spec.MethodSpec:
    if name not in table():
        near = difflib.get_close_matches(name, table(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise ValueError(
            f"There is no method {name!r}{hint} `jaxcam list methods` shows them all."
        )
    return table()[name]


def _layers(
    model: Any,
    spec: _spec.MethodSpec,
    layer: str | Sequence[str] | None,
    several: bool,
) -> tuple[str, ...]:
    if layer is None:
        layer = _default_layers(model, spec, several)
    elif isinstance(layer, str):
        layer = _spec.split_requests(layer.strip().removeprefix("(").removesuffix(")"))
    for name in layer:
        if name not in model.layers:
            near = difflib.get_close_matches(name, model.layers, n=3, cutoff=0.4)
            raise ValueError(
                f"{model.name} has no layer {name!r}; it has "
                f"{', '.join(near or model.layers)}{', ...' if near else ''}."
            )
    if several and len(layer) < 2:
        raise ValueError(f"{spec.name} needs two layers or more; name them (a,b).")
    return tuple(layer)


def _default_layers(
    model: Any, spec: _spec.MethodSpec, several: bool
) -> tuple[str, ...]:
    default = model.cam_layer if spec.layer == "pooled" else model.default_layer
    if default is None:
        raise ValueError(
            f"{spec.name} needs a layer and {model.name} names none for it; write "
            f"{spec.name}[layer=...] with one of {', '.join(model.layers)}."
        )
    if not several:
        return (default,)
    below = model.layers[: model.layers.index(default)]
    shapes = _layer_shapes(model, (*below, default))
    finer = [n for n in below if shapes[n].shape[1] > shapes[default].shape[1]]
    return (*finer[-1:], default)


def explain_batch(
    model: Any,
    params: PyTree,
    x: Array,
    choose_targets: Callable[[Array], PyTree],
    requests: Iterable[str | _spec.Request],
    *,
    keys: Array,
    masks: Array | None = None,
    score: questions.Score = questions.class_logit,
) -> tuple[Array, PyTree, dict[str, Array]]:
    """Logits, targets chosen from them, and the map of every requested method.

    Made to be traced inside one program. All methods of the gradient family share one
    forward and one backward pass, whatever their number and layers; the backward pass
    ends at the lowest layer that a method taps.

    Args:
      model: The model to explain; `model.apply` is called with `params`.
      params: Its parameters.
      x: float[B, H, W, C], preprocessed images.
      choose_targets: From the logits float[B, K] to what is explained, for classes
        int32[B].
      requests: Methods.
      keys: PRNG keys [B], one an image, for the methods that draw numbers.
      masks: bool[B, H, W], the objects; read by `truth` alone.
      score: See `jaxcam.methods.Score`; the target's logit by default.

    Returns:
      logits float[B, K]; the targets; float32[B, h, w] for every request by its
      written form, on the grid of the tapped layer, not normalised.

    Raises:
      ValueError: As `resolve` does, or `truth` is asked for without masks.
    """
    jobs = [resolve(model, request) for request in requests]
    if masks is None and any("mask" in job.needs for job in jobs):
        raise ValueError("The method truth needs masks, true on the objects.")

    logits, kept, pull_back = _forward(model, params, x, jobs)
    targets = choose_targets(logits)
    cotangent = questions.score_gradient(score, logits, targets)
    gradients = pull_back(cotangent)
    ask = questions.Question(model, params, x, targets, score, keys)
    shared = {
        "x": x,
        "x_gradients": gradients.get(_INPUT),
        "logits": logits,
        "image": _image(model, x),
        "key": keys,
        "mask": masks,
    }

    maps = {}
    for job in jobs:
        per_layer = [
            _run(
                job,
                shared
                | {
                    "activations": kept.get(layer),
                    "gradients": gradients.get(layer),
                    "question": dataclasses.replace(ask, layer=layer),
                },
            )
            for layer in job.layers or ("",)
        ]
        maps[job.label] = _aggregate(per_layer, job.aggregate)
    return logits, targets, maps


def saliency_maps(
    model: Any,
    params: PyTree,
    x: Array,
    targets: PyTree,
    requests: Iterable[str | _spec.Request],
    *,
    keys: Array,
    masks: Array | None = None,
    score: questions.Score = questions.class_logit,
) -> dict[str, Array]:
    """The map of every requested method for given targets; see `explain_batch`.

    Args:
      model: The model to explain.
      params: Its parameters.
      x: float[B, H, W, C], preprocessed images.
      targets: What is explained, for classes int32[B].
      requests: Methods.
      keys: PRNG keys [B].
      masks: bool[B, H, W], the objects; read by `truth` alone.
      score: See `jaxcam.methods.Score`.

    Returns:
      float32[B, h, w] for every request by its written form, on the grid of the tapped
      layer, not normalised.

    Raises:
      ValueError: As `explain_batch` does.
    """
    return explain_batch(
        model,
        params,
        x,
        lambda logits: targets,
        requests,
        keys=keys,
        masks=masks,
        score=score,
    )[2]


_INPUT = "input of the network"


def _forward(
    model: Any, params: PyTree, x: Array, jobs: Sequence[Job]
) -> tuple[Array, dict[str, Array], Callable[[Array], dict[str, Array]]]:
    """Logits, kept activations, and the map from logit to activation gradients.

    The gradient of a layer is that of an offset added to its activation, at zero.
    """
    kept = _union(
        job.layers for job in jobs if job.needs & {"activations", "gradients"}
    )
    differentiated = _union(job.layers for job in jobs if "gradients" in job.needs)
    offsets = _zeros_like_layers(model, params, x, differentiated)
    if any("x_gradients" in job.needs for job in jobs):
        offsets[_INPUT] = jnp.zeros_like(x)

    def forward(offsets):
        edit = {
            layer: functools.partial(jnp.add, offsets[layer])
            for layer in differentiated
        }
        shifted = x + offsets[_INPUT] if _INPUT in offsets else x
        return model.apply(params, shifted, edit=edit, keep=kept)

    if not offsets:
        logits, activations = forward({})
        return logits, _float32(activations), lambda cotangent: {}
    logits, vjp, activations = jax.vjp(forward, offsets, has_aux=True)
    return logits, _float32(activations), lambda cotangent: _float32(vjp(cotangent)[0])


def _zeros_like_layers(
    model: Any, params: PyTree, x: Array, layers: tuple[str, ...]
) -> dict[str, Array]:
    if not layers:
        return {}
    shapes = jax.eval_shape(lambda p, x: model.apply(p, x, keep=layers)[1], params, x)
    return {layer: jnp.zeros(s.shape, s.dtype) for layer, s in shapes.items()}


def _run(job: Job, available: Mapping[str, Any]) -> Array:
    """One method on one layer: float32[B, h, w]."""
    fn = functools.partial(job.spec.fn, **job.options)
    arguments = [available[name] for name in job.spec.inputs]
    if job.spec.kind != "model":
        fn = jax.vmap(fn)
    return fn(*arguments).astype(jnp.float32)


def _aggregate(maps: Sequence[Array], aggregate: str) -> Array:
    """One map from several layers', each brought to [0, 1] and to the largest grid."""
    if len(maps) == 1:
        return maps[0]
    shape = max((m.shape[1:] for m in maps), key=lambda s: s[0] * s[1])
    rule = "minmax" if aggregate == "product" else "max"

    def comparable(saliency: Array) -> Array:
        return ops.resize(ops.normalize(saliency, rule=rule), shape)

    stacked = jnp.stack([jax.vmap(comparable)(m) for m in maps])
    reduce = {"mean": jnp.mean, "max": jnp.max, "product": jnp.prod}[aggregate]
    return reduce(stacked, axis=0)


def _image(model: Any, x: Array) -> Array:
    """The images in units common to their channels, up to one offset a channel."""
    std = jnp.asarray(model.input.std, jnp.float32)
    return x.astype(jnp.float32) * std


def _union(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _float32(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda a: a.astype(jnp.float32), tree)


def validate(
    model: Any,
    requests: Iterable[str | _spec.Request],
) -> None:
    """Refuses, before anything is computed, what a request could not deliver.

    Args:
      model: The model to explain.
      requests: Methods.

    Raises:
      ValueError: As `resolve` does; or `cam` is asked for at a layer that the network
        does not read by an average over space and a linear map, or `full_grad` of a
        network whose biases cannot all be seen.

    >>> validate(jaxcam.models.load("shapes_net"), ["grad_cam", "uniform"])
    """
    for job in [resolve(model, request) for request in requests]:
        if job.spec.fn is full_gradient.full_grad:
            full_gradient.check_biases(model)
        if job.spec.fn is gradient_weighted.cam:
            for layer in job.layers:
                _check_cam(model, layer)


@functools.lru_cache(maxsize=8)  # A run may be made of many calls.
def _check_cam(model: Any, layer: str) -> None:
    """Tries `cam`'s condition on random activations, with the head alone."""
    x = _one_image(model)
    shape = _layer_shapes(model, (layer,))[layer].shape
    activation = jax.random.normal(jax.random.key(0), shape)

    @jax.jit
    def head_gradient(params, activation):
        def head(activation):
            edit = {layer: lambda a: activation.astype(a.dtype)}
            logits = model.apply(params, x, edit=edit)[0].astype(jnp.float32)
            return jnp.sum(logits * jnp.cos(jnp.arange(logits.size, dtype=jnp.float32)))

        return jax.grad(head)(activation)[0]

    if not gradient_weighted.spatially_constant(
        head_gradient(model.params, activation)
    ):
        raise ValueError(
            f"cam is not defined at layer {layer!r} of {model.name}: the network does "
            "not read it by an average over space and a linear map; name the layer "
            "that does, cam[layer=...], or use grad_cam."
        )


def _one_image(model: Any) -> Array:
    return jnp.zeros((1, *model.input.size, model.input.channels), jnp.float32)


def _layer_shapes(model: Any, layers: tuple[str, ...]) -> Mapping[str, Any]:
    """Shape and dtype of layers' activations for one image."""
    x = _one_image(model)
    return jax.eval_shape(lambda p: model.apply(p, x, keep=layers)[1], model.params)
