"""The compiled programs of an evaluation that know the model: image -> maps."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _devices, _numerics, _spec, methods, ops, plan, registry
from jaxcam._types import Array
from jaxcam.metrics import presets
from jaxcam.probes import inputs

TRUTH = ("mask", "where", "frame", "boxes", "box_valid")
"""Fields of a row that the data set knows."""

ANSWERS = (
    "target",
    "predicted_class",
    "correct",
    "correct_top5",
    "label_known",
    "probability",
    "logit",
    "key",
)
"""Fields of a row that the model decides."""


@functools.lru_cache(maxsize=8)
def explain_program(
    model: Any, requests: tuple[_spec.Request, ...], *, follow_labels: bool
) -> Callable[..., tuple[dict[str, Array], tuple[Array, ...]]]:
    """One compiled program from images to logits, targets and native maps.

    Args:
      model: The model; its parameters are an argument of the program.
      requests: Methods.
      follow_labels: Explains the best-scored class among those that count as right,
        where a row has any; otherwise the predicted class.

    Returns:
      `(params, images, allowed, key, ids, masks) -> (answer, maps)`; `allowed` is
      bool[B, K], `ids` uint32[B]; `answer` holds `ANSWERS`, `logits_finite` bool[B];
      `maps` is one float32[B, h, w] a method.
    """

    def program(params, images, allowed, key, ids, masks):
        known = jnp.any(allowed, axis=1)

        def choose(logits):
            if not follow_labels:
                return jnp.argmax(logits, axis=1)
            candidates = allowed | ~known[:, None]
            return jnp.argmax(jnp.where(candidates, logits, -jnp.inf), axis=1)

        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, ids)
        logits, targets, maps = methods.explain_batch(
            model,
            params,
            model.preprocess(images),
            choose,
            requests,
            keys=keys,
            masks=masks,
        )
        order = jax.lax.top_k(logits, min(5, logits.shape[1]))[1]
        right = jnp.take_along_axis(allowed, order, axis=1)
        answer = {
            "target": targets.astype(jnp.int32),
            "predicted_class": order[:, 0].astype(jnp.int32),
            "correct": right[:, 0],
            "correct_top5": jnp.any(right, axis=1),
            "label_known": known,
            "probability": _numerics.class_probability(logits, targets),
            "logit": _numerics.class_logit(logits, targets),
            "key": keys,
            "logits_finite": jnp.all(jnp.isfinite(logits), axis=1),
        }
        return answer, tuple(maps[str(request)] for request in requests)

    axes = None, 0, 0, None, 0, 0
    return _devices.over_batch(program, axes, 0, network=True)


@functools.lru_cache(maxsize=8)
def probe_program(
    model: Any,
    fields: tuple[plan.Field, ...],
    requests: tuple[_spec.Request, ...] = (),
    *,
    whole: bool = True,
    method: str = "bilinear",
) -> Callable[..., tuple[Array, ...]]:
    """One compiled program that asks the model everything the metrics read.

    Args:
      model: The model; its parameters are an argument of the program.
      fields: As `plan.probe_fields` gives them.
      requests: Methods, in the order of the maps.
      whole: The image fills the truth's grid in every row.
      method: Interpolation onto that grid, "bilinear" or "cubic".

    Returns:
      See `plan.probe_program`.
    """

    def explain(params, x, targets, *, shared):
        def native(x, requests):
            given = {"keys": shared["key"], "masks": shared["mask"]}
            return methods.saliency_maps(model, params, x, targets, requests, **given)

        if x.ndim == 4:
            maps = native(x, requests)
        else:
            apart = zip(x, requests, strict=True)
            maps = {k: v for own, r in apart for k, v in native(own, (r,)).items()}
        extent, shape = inputs.extent_of(shared["frame"]), shared["frame"].shape[1:]
        placed = [
            _placed(r, maps[str(r)], extent, shape, whole=whole, method=method)
            for r in requests
        ]
        return jnp.stack(placed)

    return plan.probe_program(
        lambda params, x: model.apply(params, x)[0], fields, explain
    )


@functools.lru_cache(maxsize=32)
def place_program(
    requests: tuple[_spec.Request, ...],
    shape: tuple[int, int],
    *,
    whole: bool,
    method: str = "bilinear",
) -> Callable[..., tuple[Array, Array]]:
    """One compiled program from native maps to maps on the truth's grid.

    Args:
      requests: Methods, in the order of the maps.
      shape: The truth's grid.
      whole: The image fills the grid in every row.
      method: Interpolation, "bilinear" or "cubic".

    Returns:
      `(maps, extent) -> (saliency float32[M, B, H, W], status int8[M, B])`; the status
      is an index into `STATUS`.
    """

    def program(maps, extent):
        placed = [
            _placed(request, native, extent, shape, whole=whole, method=method)
            for request, native in zip(requests, maps, strict=True)
        ]
        statuses = jnp.stack([jax.vmap(status)(native) for native in maps])
        return jnp.stack(placed), statuses

    return _devices.over_batch(program, (0, 0), 1)


def _placed(
    request: _spec.Request,
    native: Array,
    extent: Array,
    shape: tuple[int, int],
    *,
    whole: bool,
    method: str,
) -> Array:
    """Native maps of one method, float32[B, h, w], on the truth's grid."""
    on_grid = "mask" in registry.method(request).inputs
    if on_grid or (whole and native.shape[1:] == shape):
        return native
    if whole:
        return jax.vmap(lambda m: ops.resize(m, shape, method=method))(native)
    return jax.vmap(lambda m, e: ops.place(m, e, shape, method=method))(native, extent)


STATUS = ("", "NaN in the map", "the map is nowhere positive", "the map is constant")


def status(saliency: Array) -> Array:
    """What is wrong with a map, as an index into `STATUS`."""
    return jnp.select(
        [
            ~jnp.all(jnp.isfinite(saliency)),
            jnp.max(saliency) <= 0,
            jnp.max(saliency) == jnp.min(saliency),
        ],
        [jnp.int8(1), jnp.int8(2), jnp.int8(3)],
        jnp.int8(0),
    )


def truth_fields(batch: Any, preset: str) -> dict[str, Array]:
    """Fields of a batch that metrics read, boxes as a preset wants them."""
    truth = {name: np.asarray(batch[name]) for name in TRUTH}
    if presets.get(preset).whole_boxes:
        truth["boxes"] = np.floor(truth["boxes"])
    return _devices.split(truth)


def outputs_of_classes(model: Any, dataset: Any) -> np.ndarray | None:
    """The model's output for each class of a data set.

    Classes are matched by name where both know their names, and by number where both
    name the same label set: folders of one name need not hold the same classes.

    Args:
      model: Its `class_names` name its outputs; `class_to_output` maps the classes of
        its label set to outputs.
      dataset: Its `class_names` name the classes of its label set.

    Returns:
      int[classes], -1 for a class without an output; `None` if the outputs do not
      stand for classes of the data set.
    """
    if model.class_names is not None and dataset.class_names is not None:
        place = {name: output for output, name in enumerate(model.class_names)}
        if not place.keys().isdisjoint(dataset.class_names):
            return np.array([place.get(name, -1) for name in dataset.class_names])
    if model.label_set is None or dataset.label_set != model.label_set:
        return None
    if model.class_to_output is None:
        return np.arange(count_outputs(model))
    return np.asarray(model.class_to_output)


def allowed_classes(
    classes: np.ndarray | None, candidates: Sequence[Sequence[int]], outputs: int
) -> np.ndarray:
    """bool[B, K]: outputs of the model that count as right for each row.

    Args:
      classes: As `outputs_of_classes` gives it.
      candidates: Classes of the label set, a sequence for each row.
      outputs: Number of outputs K.

    Returns:
      One row of flags for each row of the batch; all false where nothing is known.
    """
    allowed = np.zeros((len(candidates), outputs), bool)
    if classes is None:
        return allowed
    for row, numbers in zip(allowed, candidates, strict=True):
        places = [classes[n] for n in numbers if n < len(classes)]
        row[[place for place in places if place >= 0]] = True
    return allowed


def id_hashes(ids: Sequence[str]) -> np.ndarray:
    """uint32 of each image id, for folding into a key."""
    return np.array([zlib.crc32(text.encode()) for text in ids], np.uint32)


def count_outputs(model: Any) -> int:
    """Number of the model's outputs."""
    shape = (1, *model.input.size, model.input.channels)
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    logits = jax.eval_shape(lambda p, x: model.apply(p, x)[0], model.params, x)
    return logits.shape[1]


def model_inputs(model: Any, images: Array) -> dict[str, Array]:
    """What probes read besides maps: preprocessed images, black and white."""
    dark = jnp.zeros_like(images[:, :1, :1])
    whole = jnp.issubdtype(images.dtype, jnp.integer)
    light = jnp.full_like(dark, 255 if whole else 1)
    return {
        "x": model.preprocess(images),
        "black": model.preprocess(dark)[:, 0, 0],
        "white": model.preprocess(light)[:, 0, 0],
    }
