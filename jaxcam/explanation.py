"""Maps of a model's decisions on images at hand: the function `jaxcam.explain`."""

from __future__ import annotations

import dataclasses
import functools
import re
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _checks, _compiling, _spec, methods, ops
from jaxcam._types import Array

STATUS = ("", "NaN in the map", "the map is nowhere positive", "the map is constant")


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """Maps of one method and what they explain.

    Attributes:
      maps: float32[B, H, W]; float32[B, k, H, W] for the k best classes.
      method: The method as written, with its options.
      layers: The tapped layers, empty for a method that taps none.
      targets: What was explained: int32[B] classes, int32[B, k] for the k best,
        int32[B, 2] for contrasts, `None` for a function of the logits.
      probabilities: float32 of the shape of `targets`, softmax probabilities of these
        classes on the images; `None` where targets are.
      predicted: int32[B], the class of the largest logit.
      logits: float32[B, K].
      status: `maps.shape[:-2]` strings, "" for a map that is in order, else what is
        wrong with it: one of `STATUS`.
    """

    maps: np.ndarray
    method: str
    layers: tuple[str, ...]
    targets: np.ndarray | None
    probabilities: np.ndarray | None
    predicted: np.ndarray
    logits: np.ndarray
    status: np.ndarray


def explain(
    model: Any,
    images: Any,
    targets: Any = None,
    method: str | Sequence[str] = "grad_cam",
    layer: str | Sequence[str] | None = None,
    *,
    normalize: Literal["max", "minmax"] | None = None,
    size: Literal["image", "native"] = "image",
    full: bool = False,
    batch_size: int = 16,
    seed: int = 0,
    first: int = 0,
) -> Any:
    """Maps of what the model's decisions on these images rest on.

    Compiled once for a model, a method and an image size; a second call is fast. All
    methods of the gradient family asked for in one call share one forward and one
    backward pass.

    Args:
      model: From `jaxcam.models.load` or `jaxcam.models.wrap`.
      images: uint8[B, H, W, C], or float[B, H, W, C] in [0, 1]. Images of another size
        than the model's are resized to it, whatever their proportions (bilinear, with
        antialiasing), and the maps are resized back.
      targets: What to explain, by position among the model's outputs. `None`: the
        predicted class; an int: that class in every image; int[B]: one class an image;
        "top-3": each of the three best classes; int[B, 2]: why the first class of each
        pair and not the second; a function from one image's logits float[K] to a
        number: that number.
      method: A name from `jaxcam.registry.names("methods")`, with options where
        wanted: "score_cam[variant=paper]". Several names give a dict.
      layer: The layer to tap, or several, whose maps are averaged; the method's own
        choice by default. Not for methods that tap none.
      normalize: "max" divides the positive part by its maximum, "minmax" stretches each
        map to [0, 1]; `None` leaves the method's own scale.
      size: "image" resizes the maps to the images (bilinear, half-pixel centres),
        "native" leaves them on the layer's grid.
      full: Returns an `Explanation` instead of the maps alone.
      batch_size: Images at a time. Changes the speed, never a map. It is halved, with
        a warning, when the device runs out of memory.
      seed: Seed of the methods that draw numbers; each image has its own, by its place.
      first: The place of the first image, if these are a part of a longer series.

    Returns:
      float32[B, H, W] NumPy array, float32[B, k, H, W] for "top-k"; with `full` an
      `Explanation`; for several methods a dict of these by name.

    Raises:
      TypeError: The images are neither bytes nor floating point.
      ValueError: An unknown method, layer or option; shapes or classes out of range.

    >>> model = jaxcam.models.load("shapes_net")
    >>> image = np.zeros((1, 64, 64, 3), np.uint8)
    >>> jaxcam.explain(model, image).shape
    (1, 64, 64)
    """
    images = _checked_images(model, images)
    asked = [method] if isinstance(method, str) else list(method)
    requests = tuple(_with_layer(name, layer) for name in asked)
    _checks.choice("size", size, ("image", "native"))
    _checks.choice("normalize", normalize, (None, "max", "minmax"))
    for request in requests:
        if "mask" in methods.table()[methods.resolve(model, request).spec.name].inputs:
            raise ValueError(f"{request.name} needs the truth; it is for evaluate.")
    question = _question(targets, len(images))
    place = _Placement(size, normalize)
    out = _in_batches(model, images, question, requests, place, batch_size, seed, first)

    explanations = {
        str(request): _explanation(model, request, out, question)
        for request in requests
    }
    _warn_of_nan(explanations.values())
    results = {
        str(name): explanation if full else explanation.maps
        for name, explanation in zip(asked, explanations.values(), strict=True)
    }
    return results[method] if isinstance(method, str) else results


@dataclasses.dataclass(frozen=True)
class _Question:
    """What to explain: the kind decides the program, `values` are its argument."""

    kind: Literal["predicted", "class", "top", "contrast", "function"]
    values: np.ndarray
    count: int = 1
    function: Callable[[Array], Array] | None = None

    @property
    def score(self) -> methods.Score:
        if self.kind == "contrast":
            return methods.class_contrast
        if self.function is not None:
            return functools.partial(_of_logits, self.function)
        return methods.class_logit

    def choose(self, logits: Array, values: Array) -> Array:
        """Targets of `count` rows an image, in the order of `jnp.repeat`."""
        if self.kind == "predicted":
            return jnp.argmax(logits, axis=1).astype(jnp.int32)
        if self.kind == "top":
            best = jax.lax.top_k(logits[:: self.count], self.count)[1]
            return best.reshape(-1).astype(jnp.int32)
        return values


def _of_logits(function: Callable[[Array], Array], logits: Array, _: Array) -> Array:
    return function(logits)


@dataclasses.dataclass(frozen=True)
class _Placement:
    """The grid and the scale of the maps."""

    size: str
    normalize: str | None

    def __call__(self, saliency: Array, shape: tuple[int, int]) -> Array:
        if self.size == "image" and saliency.shape != shape:
            saliency = ops.resize(saliency, shape)
        if self.normalize is not None:
            saliency = ops.normalize(saliency, rule=self.normalize)
        return saliency


def _checked_images(model: Any, images: Any) -> np.ndarray:
    images = np.asarray(images)
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise TypeError(
            f"images must be uint8 or floating point in [0, 1] but are {images.dtype}."
        )
    if images.ndim != 4 or images.shape[-1] != model.input.channels:
        raise ValueError(
            f"images must have shape (B, H, W, {model.input.channels}) but have shape "
            f"{images.shape}; add the batch axis with images[None]."
        )
    if len(images) == 0:
        raise ValueError("images holds no image.")
    return images


def _with_layer(
    name: str | _spec.Request, layer: str | Sequence[str] | None
) -> _spec.Request:
    request = _spec.parse(name)
    if layer is None:
        return request
    layer = layer if isinstance(layer, str) else tuple(layer)
    return _spec.Request(request.name, (*request.options, ("layer", layer)))


def _question(targets: Any, count: int) -> _Question:
    unused = np.zeros(count, np.int32)
    if targets is None:
        return _Question("predicted", unused)
    if callable(targets):
        return _Question("function", unused, function=targets)
    if isinstance(targets, str):
        match = re.fullmatch(r"top-([1-9]\d*)", targets)
        if match is None:
            raise ValueError(
                f"targets={targets!r} cannot be read; write 'top-3' for the three best."
            )
        return _Question("top", unused, count=int(match[1]))
    values = np.asarray(targets)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"targets must be integers but are {values.dtype}.")
    values = values.astype(np.int32)
    if values.ndim == 0:
        values = np.broadcast_to(values, count)
    if values.shape not in ((count,), (count, 2)):
        raise ValueError(
            f"targets must have shape ({count},) or, for contrasts, ({count}, 2) but "
            f"have shape {values.shape}."
        )
    return _Question("class" if values.ndim == 1 else "contrast", values)


def _in_batches(
    model: Any,
    images: np.ndarray,
    question: _Question,
    requests: tuple[_spec.Request, ...],
    place: _Placement,
    batch_size: int,
    seed: int,
    first: int,
) -> dict[str, Any]:
    """Runs the program over all images; arrays with the images as leading axis."""
    program, outputs = _program(model, question, requests, place)
    _check_range(question, outputs)
    parts, start = [], 0
    batch_size = max(1, min(batch_size, len(images)))
    while start < len(images):
        stop = min(start + batch_size, len(images))
        rows = np.minimum(np.arange(start, start + batch_size), len(images) - 1)
        try:
            out = program(
                model.params,
                jnp.asarray(images[rows]),
                jnp.asarray(question.values[rows]),
                jax.random.key(seed),
                jnp.asarray(first + rows, jnp.uint32),
            )
            part = jax.device_get(out)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error) or batch_size == 1:
                raise
            batch_size //= 2
            warnings.warn(
                f"The device ran out of memory; going on with {batch_size} images at "
                "a time.",
                stacklevel=3,
            )
            continue
        parts.append(jax.tree.map(lambda a, n=stop - start: a[:n], part))
        start = stop
    return jax.tree.map(lambda *a: np.concatenate(a), *parts)


def _check_range(question: _Question, outputs: int) -> None:
    if question.count > outputs:
        raise ValueError(f"The model has only {outputs} outputs.")
    if question.kind in ("class", "contrast"):
        low, high = question.values.min(), question.values.max()
        if low < 0 or high >= outputs:
            raise ValueError(
                f"targets must lie in [0, {outputs}), the model's outputs, but reach "
                f"from {low} to {high}."
            )


_PROGRAMS: dict[int, dict[Any, tuple[Callable[..., Any], int]]] = {}
"""Compiled programs of each living model, by its identity; gone when the model is."""

_PROGRAMS_PER_MODEL = 32


def _program(
    model: Any,
    question: _Question,
    requests: tuple[_spec.Request, ...],
    place: _Placement,
) -> tuple[Callable[..., Any], int]:
    """The program and the number of outputs; the oldest program leaves a full cache."""
    if id(model) not in _PROGRAMS:
        weakref.finalize(model, _PROGRAMS.pop, id(model), None)
    programs = _PROGRAMS.setdefault(id(model), {})
    key = (question.kind, question.count, question.function, requests, place)
    if key not in programs:
        methods.validate(model, requests)
        if len(programs) >= _PROGRAMS_PER_MODEL:
            programs.pop(next(iter(programs)))
        program = _build(weakref.ref(model), question, requests, place)
        programs[key] = program, _outputs(model)
    return programs[key]


def _outputs(model: Any) -> int:
    x = jnp.zeros((1, *model.input.size, model.input.channels), jnp.float32)
    return jax.eval_shape(lambda p: model.apply(p, x)[0], model.params).shape[1]


def _build(
    model_of: Callable[[], Any],
    question: _Question,
    requests: tuple[_spec.Request, ...],
    place: _Placement,
) -> Callable[..., Any]:
    """A program that holds the model weakly; whoever has it traced has the model."""

    def program(params, images, values, key, rows):
        model, shape = model_of(), images.shape[1:3]
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))(rows)
        x = model.preprocess(images)
        logits, targets, maps = methods.explain_batch(
            model,
            params,
            jnp.repeat(x, question.count, axis=0),
            lambda logits: question.choose(logits, values),
            requests,
            keys=jnp.repeat(keys, question.count, axis=0),
            score=question.score,
        )
        status = {name: jax.vmap(_status)(native) for name, native in maps.items()}
        maps = {
            name: jax.vmap(lambda s: place(s, shape))(native)
            for name, native in maps.items()
        }
        if question.kind == "top":
            unrolled = (targets, status, maps)
            targets, status, maps = jax.tree.map(
                lambda a: a.reshape(-1, question.count, *a.shape[1:]), unrolled
            )
        logits = logits[:: question.count]
        return {"logits": logits, "targets": targets, "status": status, "maps": maps}

    def precise(*arguments):
        with jax.default_matmul_precision("highest"):
            return program(*arguments)

    return _compiling.jit_network(precise)


def _status(saliency: Array) -> Array:
    """What is wrong with a map, as an index into `STATUS`."""
    top, bottom = jnp.max(saliency), jnp.min(saliency)
    finite = jnp.all(jnp.isfinite(saliency))
    conditions = [~finite, top <= 0, top == bottom]
    return jnp.select(conditions, [jnp.int8(1), jnp.int8(2), jnp.int8(3)], jnp.int8(0))


def _explanation(
    model: Any, request: _spec.Request, out: dict[str, Any], question: _Question
) -> Explanation:
    logits = np.asarray(out["logits"], np.float32)
    targets, probabilities = None, None
    if question.kind != "function":
        targets = out["targets"]
        softmax = np.asarray(jax.nn.softmax(logits, axis=1))
        columns = targets.reshape(len(logits), -1)
        probabilities = np.take_along_axis(softmax, columns, axis=1)
        probabilities = probabilities.reshape(targets.shape)
    return Explanation(
        maps=out["maps"][str(request)],
        method=str(request),
        layers=methods.resolve(model, request).layers,
        targets=targets,
        probabilities=probabilities,
        predicted=logits.argmax(axis=1),
        logits=logits,
        status=np.array(STATUS)[out["status"][str(request)]],
    )


def _warn_of_nan(explanations: Iterable[Explanation]) -> None:
    for explanation in explanations:
        count = int(np.sum(explanation.status == STATUS[1]))
        if count:
            warnings.warn(
                f"{count} of {explanation.status.size} maps of {explanation.method} "
                "hold NaN: the model's logits do, or the method is not defined for "
                "the layer; explain(..., full=True).status says which maps.",
                stacklevel=3,
            )
