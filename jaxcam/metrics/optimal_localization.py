"""Components as detections: their errors, at a rule's threshold or at the best one."""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _checks, _numerics, _spec, ops
from jaxcam._types import Array, Connectivity
from jaxcam.metrics import _pooled
from jaxcam.ops import contours


def localization_recall_precision_error(
    salient_mask: Array,
    saliency: Array,
    boxes: Array,
    box_valid: Array,
    target: Array,
    correct: Array,
    *,
    where: Array | None = None,
    tau: float | Array = 0.5,
    connectivity: Connectivity = 8,
) -> Array:
    r"""What the LRP error is read from: errors of the salient components as detections.

    .. math::
      \mathrm{LRP} = \frac{1}{C} \sum_c \frac{\sum_{\mathrm{TP}}
      (1 - \mathrm{IoU}) / (1 - \tau) + \mathrm{FP} + \mathrm{FN}}
      {\mathrm{TP} + \mathrm{FP} + \mathrm{FN}}

    Every component of the salient pixels is a detection: its box, scored by its
    maximum. In the order of the scores (ties: first in raster order) each takes the
    free truth box with which its IoU is largest, if that is at least :math:`\tau`; it
    is then a true positive, else a false one; truth boxes left over are false
    negatives. If the class is wrong, all detections and all truths are errors. The sums
    are pooled per class c over the data set: stack the vectors and read
    `pooled_optimal_error`, which has one threshold here. Boxes tell objects of a class
    apart, masks do not; so there is no form for masks.

    One image. Batch with `jax.vmap(localization_recall_precision_error)`.

    Args:
      salient_mask: bool[H, W], the salient pixels, see `ops.binarize`.
      saliency: float[H, W], larger means more relevant.
      boxes: float[N, 4], true boxes `[y0, x0, y1, x1]`, half-open, in pixels.
      box_valid: bool[N], true where there is a box.
      target: int[], the class of the row.
      correct: bool[], whether the model's class is right.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      tau: The IoU that a true positive needs, below 1.
      connectivity: 8, or 4 to leave diagonal neighbours apart.

    Returns:
      float32[5]: the class, the sum of (1 - IoU) / (1 - tau) over true positives, and
      the numbers of true positives, false positives and false negatives. NaN if no box
      is valid or the map has a NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: Shapes do not fit.

    Cost: one labelling, and N x HW / 2 box IoUs.

    Source: K. Oksuz et al., "Localization Recall Precision (LRP): a new performance
    metric for object detection", ECCV 2018 (arXiv:1807.01696), averaged over classes.

    >>> s = jnp.array([[1.0, 0.0, 0.4], [1.0, 0.0, 0.0]])
    >>> truth, valid = jnp.array([[0.0, 0.0, 2.0, 1.0]]), jnp.array([True])
    >>> v = localization_recall_precision_error(
    ...     s > 0.3, s, truth, valid, jnp.array(7), jnp.array(True))
    >>> print(v.tolist(), pooled_optimal_error(v[None]))  # (0 + 1 + 0) / (1 + 1 + 0)
    [7.0, 0.0, 1.0, 1.0, 0.0] [0.5]
    """
    saliency, salient, where = _checks.map_and_mask(saliency, salient_mask, where)
    undefined = _numerics.any_nan(saliency, where) | ~jnp.any(box_valid)
    sums = _detection_errors(
        salient,
        saliency,
        jnp.asarray(boxes, jnp.float32),
        jnp.asarray(box_valid) & correct,
        jnp.sum(box_valid),
        tau,
        connectivity=connectivity,
    )
    vector = jnp.append(jnp.asarray(target, jnp.float32), sums)
    return _numerics.undefined_if(undefined, vector)


def optimal_localization_recall_precision_error(
    saliency: Array,
    boxes: Array,
    box_valid: Array,
    target: Array,
    correct: Array,
    frame: Array | None = None,
    *,
    thresholds: int = 20,
    tau: float = 0.5,
    connectivity: Connectivity = 8,
    normalization: Literal["max", "minmax"] = "max",
) -> Array:
    r"""What the optimal LRP error is read from: errors as a detector, per threshold.

    .. math::
      \mathrm{oLRP} = \min_k \frac{1}{C} \sum_c \frac{\sum_{\mathrm{TP}}
      (1 - \mathrm{IoU}) / (1 - \tau) + \mathrm{FP} + \mathrm{FN}}
      {\mathrm{TP} + \mathrm{FP} + \mathrm{FN}}

    At threshold t = k/T every component of :math:`\{s \ge t\}`, :math:`s` the
    normalised map, is a detection: its box, scored by its maximum. In the order of the
    scores (ties: first in raster order) each takes the free truth box with which its
    IoU is largest, if that is at least :math:`\tau`; it is then a true positive, else a
    false one; truth boxes left over are false negatives. If the class is wrong, all
    detections and all truths are errors. The sums are pooled per class c over the data
    set, and one threshold is chosen for all: stack the vectors and read
    `pooled_optimal_error`.

    One image. Batch with `jax.vmap(optimal_localization_recall_precision_error)`.

    Args:
      saliency: float[H, W], larger means more relevant.
      boxes: float[N, 4], true boxes `[y0, x0, y1, x1]`, half-open, in pixels.
      box_valid: bool[N], true where there is a box.
      target: int[], the class of the row.
      correct: bool[], whether the model's class is right.
      frame: bool[H, W], true on pixels of the image; `None` means all.
      thresholds: Their number T.
      tau: The IoU that a true positive needs, below 1.
      connectivity: 8, or 4 to leave diagonal neighbours apart.
      normalization: How the map is normalised, see `ops.normalize`.

    Returns:
      float32[1 + 4 T]: the class, then for each threshold the sum of (1 - IoU) / (1 -
      tau) over true positives, and the numbers of true positives, false positives and
      false negatives. NaN if no box is valid or the map has a NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: shapes do not fit.

    Cost: T labellings, and T x N x HW / 2 box IoUs; hence the coarse default of T.

    Source: K. Oksuz et al., "One Metric to Measure them All: Localisation Recall
    Precision (LRP) for Evaluating Visual Detection Tasks", TPAMI 2022
    (arXiv:2011.10772), where the threshold drops detections by their scores. Here it
    does that too, as a component without a value above it is gone, but it also shrinks
    those that stay.

    >>> s = jnp.array([[1.0, 0.0, 0.4], [1.0, 0.0, 0.0]])
    >>> truth, valid = jnp.array([[0.0, 0.0, 2.0, 1.0]]), jnp.array([True])
    >>> v = optimal_localization_recall_precision_error(
    ...     s, truth, valid, jnp.array(7), jnp.array(True), thresholds=4)
    >>> print(v[0], v[1:].reshape(4, 4)[1:].tolist())
    7.0 [[0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
    """
    saliency = _checks.saliency_map(saliency)
    frame = _checks.valid_pixels(frame, saliency)
    undefined = _numerics.any_nan(saliency, frame) | ~jnp.any(box_valid)
    unit = ops.normalize(
        jnp.where(jnp.isnan(saliency), 0.0, saliency), rule=normalization, where=frame
    )

    table = _errors(
        unit,
        frame,
        jnp.asarray(boxes, jnp.float32),
        jnp.asarray(box_valid) & correct,
        jnp.sum(box_valid),
        tau,
        thresholds=thresholds,
        connectivity=connectivity,
    )
    vector = jnp.append(jnp.asarray(target, jnp.float32), table.ravel())
    return _numerics.undefined_if(undefined, vector)


@functools.partial(jax.jit, static_argnames=("thresholds", "connectivity"))
def _errors(
    unit: Array,
    frame: Array,
    boxes: Array,
    matchable: Array,
    truths: Array,
    tau: Array,
    *,
    thresholds: int,
    connectivity: Connectivity,
) -> Array:
    """The four sums float32[T, 4] at every threshold."""

    def errors(level: Array) -> Array:
        mask = frame & (unit >= level)
        return _detection_errors(
            mask, unit, boxes, matchable, truths, tau, connectivity=connectivity
        )

    levels = jnp.asarray(np.arange(thresholds) / thresholds, jnp.float32)
    return jax.lax.map(errors, levels)


@functools.partial(jax.jit, static_argnames="connectivity")
def _detection_errors(
    mask: Array,
    saliency: Array,
    boxes: Array,
    matchable: Array,
    truths: Array,
    tau: Array,
    *,
    connectivity: Connectivity,
) -> Array:
    """Four sums float32[4] of one region: misplacement, TP, FP, FN."""
    ious = jnp.vectorize(ops.box_iou, signature="(n),(n)->()")
    labels = ops.label_components(mask, connectivity=connectivity)
    found, exists = contours.label_boxes(labels)
    score = jnp.full(exists.size + 1, -jnp.inf).at[labels].max(saliency)[1:]
    iou = ious(found.astype(jnp.float32)[:, None], boxes[None])
    fits = exists[:, None] & matchable[None] & (iou >= tau)
    missed, hits = _greedy(jnp.where(fits, iou, -1.0), score)
    counts = jnp.stack([hits, jnp.sum(exists) - hits, truths - hits])
    missed = missed[None] / (1 - tau)
    return jnp.concatenate([missed, counts.astype(jnp.float32)])


def _greedy(iou: Array, score: Array) -> tuple[Array, Array]:
    """Sum of 1 - IoU over the matches, and their number; `iou` is -1 where none is.

    A detection that finds no free truth never finds one later, so it is enough to
    look for the best one that does, once for every truth.
    """

    def match(_: int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        iou, missed, hits = state
        can = jnp.any(iou >= 0, axis=1)
        chosen = jnp.argmax(jnp.where(can, score, -jnp.inf))
        truth = jnp.argmax(iou[chosen])
        hit = jnp.any(can)
        missed += jnp.where(hit, 1 - iou[chosen, truth], 0.0)
        iou = iou.at[chosen].set(-1.0).at[:, truth].set(-1.0)
        return jnp.where(hit, iou, -1.0), missed, hits + hit.astype(jnp.int32)

    state = iou, jnp.float32(0), jnp.int32(0)
    _, missed, hits = jax.lax.fori_loop(0, iou.shape[1], match, state)
    return missed, hits


def _errors_by_threshold(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Mean over the classes of the pooled error, `[R, T]`."""
    values, weights = _pooled.checked(values, weights)
    classes = values[:, 0]
    total, present = 0.0, 0.0
    for class_ in np.unique(classes[~np.isnan(classes)]):
        rows = classes == class_
        sums = _pooled.weighted_sums(values[rows, 1:], weights[:, rows])
        missed, *counts = np.moveaxis(sums.reshape(len(weights), -1, 4), -1, 0)
        tp, fp, fn = counts
        error = _pooled.ratio(missed + fp + fn, tp + fp + fn)
        total = total + np.nan_to_num(error)
        present = present + ~np.isnan(error)
    return _pooled.ratio(np.asarray(total), np.asarray(present))


def pooled_optimal_error(
    values: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Error at the threshold that is best for the data set, classes counting alike.

    Of one threshold, it is the error there.

    Args:
      values: float[n, 1 + 4 T], the images' vectors; rows with a NaN are left out.
      weights: float[R, n], how often each draw holds each image; `None` is one draw
        of each image once.

    Returns:
      float64[R], in [0, 1]; lower is better. NaN where a draw holds no image.

    Raises:
      ValueError: the shapes do not fit.

    >>> one_threshold = np.array([[3, 0.5, 1, 1, 0], [4, 0.0, 0, 1, 1]])
    >>> print(pooled_optimal_error(one_threshold))  # (1.5 / 2 + 2 / 2) / 2
    [0.875]
    """
    return _errors_by_threshold(values, weights).min(axis=1)


def best_error_threshold(
    values: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """The threshold that `pooled_optimal_error` takes; the lowest of equally good ones.

    Args:
      values: As in `pooled_optimal_error`.
      weights: As in `pooled_optimal_error`.

    Returns:
      float64[R], as a fraction of the maximum of the normalised map; NaN where a draw
      holds no image.

    >>> print(best_error_threshold(np.array([[3, 0, 1, 1, 0, 0, 1, 0, 0]])))
    [0.5]
    """
    errors = _errors_by_threshold(values, weights)
    best = np.argmin(errors, axis=1) / errors.shape[1]
    return np.where(np.isnan(errors).any(axis=1), np.nan, best)


SPECS = (
    _spec.MetricSpec(
        fn=localization_recall_precision_error,
        inputs=("salient_mask", "saliency", "boxes", "box_valid", "target", "correct"),
        family="region against region",
        formula="mean over classes of (sum over TP of (1 - IoU)/(1 - tau) + FP + FN) / "
        "(TP + FP + FN)",
        range=(0.0, 1.0),
        direction=-1,
        undefined="no valid box, or a NaN in the map",
        cost="one labelling",
        source="Oksuz et al. 2018, arXiv:1807.01696",
        static=("connectivity",),
        reduce=pooled_optimal_error,
    ),
    _spec.MetricSpec(
        fn=optimal_localization_recall_precision_error,
        inputs=("saliency", "boxes", "box_valid", "target", "correct", "frame"),
        family="thresholds searched",
        formula="min over t of the mean over classes of (sum over TP of (1 - IoU)/(1 - "
        "tau) + FP + FN) / (TP + FP + FN)",
        range=(0.0, 1.0),
        direction=-1,
        undefined="no valid box, or a NaN in the map",
        cost="one labelling per threshold",
        source="Oksuz et al. 2022, arXiv:2011.10772",
        static=("thresholds", "connectivity", "normalization"),
        reduce=pooled_optimal_error,
    ),
)
