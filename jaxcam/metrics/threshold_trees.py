"""What metrics over every threshold share: the normalised map and its components."""

from __future__ import annotations

import functools
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from jaxcam import _checks, _numerics, _spec, ops
from jaxcam._types import Array, Connectivity

STATIC = ("thresholds", "connectivity", "strict", "normalization")


def levels(thresholds: int) -> np.ndarray:
    """0, 1/T, ..., (T - 1)/T."""
    return np.arange(thresholds) / thresholds


def unit_map(
    saliency: Array, frame: Array | None, normalization: str
) -> tuple[Array, Array, Array]:
    """The normalised map, its frame, and whether a value in it is NaN."""
    saliency = _checks.saliency_map(saliency)
    frame = _checks.valid_pixels(frame, saliency)
    undefined = _numerics.any_nan(saliency, frame)
    saliency = jnp.where(jnp.isnan(saliency), 0.0, saliency)
    unit = ops.normalize(saliency, rule=normalization, where=frame)
    return unit, frame, undefined


def tree(unit: Array, frame: Array, thresholds: int, **options: Any) -> Any:
    """The components of a normalised map at every threshold."""
    at = jnp.asarray(levels(thresholds), jnp.float32)
    return ops.component_tree(unit, at, where=frame, **options)


def threshold_tree(
    saliency: Array,
    mask: Array,
    where: Array,
    boxes: Array,
    frame: Array,
    *,
    thresholds: int = 1000,
    connectivity: Connectivity = 8,
    strict: bool = False,
    normalization: Literal["max", "minmax"] = "max",
) -> ops.ComponentTree:
    """The components at every threshold, for all metrics that read them."""
    unit, frame, _ = unit_map(saliency, frame, normalization)
    return tree(
        unit,
        frame,
        thresholds,
        connectivity=connectivity,
        strict=strict,
        truth_masks=jnp.stack([mask & where & frame, where & frame]),
        truth_boxes=boxes,
    )


FIELDS = (
    _spec.FieldSpec(
        fn=threshold_tree,
        inputs=("saliency", "mask", "where", "boxes", "frame"),
        name="threshold_tree",
        of_the_metric=True,
        static=STATIC,
    ),
)

spec_of = functools.partial(
    _spec.MetricSpec,
    family="thresholds searched",
    range=(0.0, 1.0),
    direction=1,
    cost="one component tree, O(HW + T)",
)
