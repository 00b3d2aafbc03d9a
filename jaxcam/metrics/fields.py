"""Quantities that several metrics read: the map to scale, regions, boxes."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _checks, _numerics, _spec, ops
from jaxcam._types import Array, Connectivity


def saliency(raw_saliency: Array, frame: Array, *, normalization: str = "max") -> Array:
    """The map brought to the scale that metrics expect, on the pixels of the image."""
    return ops.normalize(raw_saliency, rule=normalization, where=frame)


def image_score(
    probability: Array, logit: Array, *, score: str = "probability"
) -> Array:
    """What the model says of the image: the class's probability, or its logit."""
    return _score(probability, logit, score)


def masked_image_score(
    masked_probability: Array, masked_logit: Array, *, score: str = "probability"
) -> Array:
    """What the model says of the image multiplied by its map, in the same terms."""
    return _score(masked_probability, masked_logit, score)


def _score(probability: Array, logit: Array, score: str) -> Array:
    _checks.choice("score", score, _numerics.SCORES)
    return logit if score == "logit" else probability


def masked_saliency(
    masked_raw_saliency: Array, frame: Array, *, normalization: str = "max"
) -> Array:
    """The map of the masked image, brought to the scale of the map."""
    return ops.normalize(masked_raw_saliency, rule=normalization, where=frame)


def other_saliency(
    other_raw_saliency: Array, frame: Array, *, normalization: str = "max"
) -> Array:
    """The map of another class, brought to the scale of the map."""
    return ops.normalize(other_raw_saliency, rule=normalization, where=frame)


def randomized_saliency(
    randomized_raw_saliency: Array, frame: Array, *, normalization: str = "max"
) -> Array:
    """The maps of partly random networks, brought to the scale of the map."""

    def one(raw: Array) -> Array:
        return ops.normalize(raw, rule=normalization, where=frame)

    return jax.vmap(one)(randomized_raw_saliency)


def salient_mask(
    saliency: Array,
    frame: Array,
    *,
    rule: str = "mean",
    fraction: float | None = None,
    strict: bool = False,
) -> Array:
    """Every salient pixel."""
    return ops.binarize(
        saliency, rule=rule, fraction=fraction, strict=strict, where=frame
    )


def predicted_mask(
    salient_mask: Array,
    *,
    component: str = "largest",
    connectivity: Connectivity = 8,
) -> Array:
    """The region that the map points out: its largest component, or all of it."""
    _checks.choice("component", component, ("largest", "all"))
    if component == "all":
        return salient_mask
    return ops.largest_component(salient_mask, connectivity=connectivity)


def predicted_box(predicted_mask: Array, *, short_boxes: bool = False) -> Array:
    """int32[4], the tight box of the predicted region."""
    return _shortened(ops.bounding_box(predicted_mask), short_boxes)


def salient_box(salient_mask: Array) -> Array:
    """int32[4], the tight box of every salient pixel."""
    return ops.bounding_box(salient_mask)


def predicted_box_region(predicted_box: Array, frame: Array) -> Array:
    """The raster of the predicted box."""
    return ops.box_mask(predicted_box, frame.shape) & frame


def truth_box_region(
    boxes: Array, box_valid: Array, frame: Array, *, short_boxes: bool = False
) -> Array:
    """The union of the rasters of the truth boxes."""
    rasters = _truth_rasters(boxes, box_valid, frame, short_boxes)
    return jnp.any(rasters, axis=0)


def matched_box_region(
    predicted_box_region: Array,
    boxes: Array,
    box_valid: Array,
    frame: Array,
    *,
    short_boxes: bool = False,
) -> Array:
    """The raster of the truth box that overlaps the predicted one best."""
    rasters = _truth_rasters(boxes, box_valid, frame, short_boxes)
    if boxes.shape[0] == 1:
        return rasters[0]
    predicted = predicted_box_region[None]
    both = jnp.sum(rasters & predicted, axis=(1, 2), dtype=jnp.int32)
    either = jnp.sum(rasters | predicted, axis=(1, 2), dtype=jnp.int32)
    iou = both.astype(jnp.float32) / jnp.maximum(either, 1).astype(jnp.float32)
    best = jnp.argmax(jnp.where(box_valid, iou, -1.0))
    return rasters[best]


def _truth_rasters(
    boxes: Array, box_valid: Array, frame: Array, short_boxes: bool
) -> Array:
    def raster(box: Array, valid: Array) -> Array:
        box = _shortened(box, short_boxes)
        return ops.box_mask(box, frame.shape) & frame & valid

    return jax.vmap(raster)(boxes, box_valid)


def _shortened(box: Array, short: bool) -> Array:
    """The box without its last row and column, as the published notebook cuts it."""
    if not short:
        return box
    return box - jnp.array([0, 0, 1, 1], box.dtype)


def _field(fn, *inputs: str, static: tuple[str, ...] = ()) -> _spec.FieldSpec:
    return _spec.FieldSpec(fn=fn, inputs=inputs, name=fn.__name__, static=static)


FIELDS = (
    _field(saliency, "raw_saliency", "frame", static=("normalization",)),
    _field(masked_saliency, "masked_raw_saliency", "frame", static=("normalization",)),
    _field(other_saliency, "other_raw_saliency", "frame", static=("normalization",)),
    _field(
        randomized_saliency,
        "randomized_raw_saliency",
        "frame",
        static=("normalization",),
    ),
    _field(image_score, "probability", "logit", static=("score",)),
    _field(masked_image_score, "masked_probability", "masked_logit", static=("score",)),
    _field(salient_mask, "saliency", "frame", static=("rule", "strict")),
    _field(predicted_mask, "salient_mask", static=("component", "connectivity")),
    _field(predicted_box, "predicted_mask", static=("short_boxes",)),
    _field(salient_box, "salient_mask"),
    _field(predicted_box_region, "predicted_box", "frame"),
    _field(truth_box_region, "boxes", "box_valid", "frame", static=("short_boxes",)),
    _field(
        matched_box_region,
        "predicted_box_region",
        "boxes",
        "box_valid",
        "frame",
        static=("short_boxes",),
    ),
)
