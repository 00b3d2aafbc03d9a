"""Localisation over every threshold of the map: one threshold for a whole data set.

The functions of one image return its IoU at every threshold. What a data set scores is
read from those vectors: `accuracy_curve` at each threshold, `best_accuracy` at the best
one, `best_threshold` tells which that is. The vectors of shards are stacked before.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
import numpy as np

from jaxcam import _checks, _numerics, ops
from jaxcam._types import Array, Connectivity
from jaxcam.metrics import threshold_trees
from jaxcam.metrics._accuracies import accuracy_area, best_accuracy, best_accuracy_v2
from jaxcam.metrics._accuracies import accuracy_curve as accuracy_curve
from jaxcam.metrics._accuracies import best_threshold as best_threshold
from jaxcam.ops import contours

Preset = Literal["paper", "wsol"]


def _best_iou(found: Array, boxes: Array, box_valid: Array) -> Array:
    """Best IoU float32[T] of the boxes [T, 4] with the valid ones of [N, 4]."""
    iou = jnp.vectorize(ops.box_iou, signature="(n),(n)->()")(
        found.astype(jnp.float32)[:, None], boxes[None]
    )
    return jnp.max(iou, axis=1, where=box_valid[None], initial=0.0)


def _truth(boxes: Array, box_valid: Array) -> tuple[Array, Array]:
    boxes, box_valid = jnp.asarray(boxes), jnp.asarray(box_valid)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or box_valid.shape != boxes.shape[:1]:
        raise ValueError(
            f"boxes must have shape (N, 4) and box_valid (N,) but they have shapes "
            f"{boxes.shape} and {box_valid.shape}; pad the boxes and mark the padding."
        )
    if box_valid.dtype != jnp.bool_:
        raise TypeError(
            f"box_valid must be boolean but is {box_valid.dtype}; it is true where "
            "there is a box."
        )
    return boxes.astype(jnp.float32), box_valid


def _refuse_options(preset: str, **options: tuple[object, object]) -> None:
    _checks.choice("preset", preset, ("paper", "wsol"))
    for name, (value, default) in options.items():
        if preset == "wsol" and value != default:
            raise ValueError(
                f"preset='wsol' has no {name}={value!r}: the published tool fixes it; "
                "leave it out."
            )


def _bytes(saliency: Array, frame: Array | None) -> tuple[Array, Array]:
    """The map as the published tool has it before thresholding; and whether NaN."""
    saliency = _checks.saliency_map(saliency)
    shape = saliency.shape if frame is None else _checks.mask(frame, "frame").shape
    undefined = jnp.any(jnp.isnan(saliency))
    saliency = jnp.where(undefined, 0.0, saliency)
    if shape != saliency.shape:
        saliency = ops.resize(saliency, shape, method="cubic")
    values = contours.to_bytes(saliency)
    return (values if frame is None else jnp.where(frame, values, 0.0)), undefined


def _byte_levels(thresholds: int) -> np.ndarray:
    """The byte above which the tool sees the object, at each threshold."""
    return (threshold_trees.levels(thresholds) * (contours.LEVELS - 1)).astype(int)


def box_accuracy_curve(
    saliency: Array,
    boxes: Array,
    box_valid: Array,
    frame: Array | None = None,
    threshold_tree: ops.ComponentTree | None = None,
    *,
    thresholds: int = 1000,
    connectivity: Connectivity = 8,
    strict: bool = False,
    normalization: Literal["max", "minmax"] = "max",
    preset: Preset = "paper",
) -> Array:
    r"""IoU of the largest component's box with the truth, at every threshold.

    .. math::
      c_k = \max_n \mathrm{IoU}(B(k/T), B^*_n), \qquad k = 0, \ldots, T - 1

    :math:`B(t)` is the smallest box around the component of :math:`\{s \ge t\}` with
    the most pixels (the first in raster order of equal ones), :math:`s` the map after
    normalisation: thresholds are fractions of its maximum. With `normalization="max"`
    negative values count as zero and no minimum is subtracted. Of several truth boxes
    the best counts. A constant positive map has the whole frame for its box.

    With `preset="wsol"` the box is the published tool's instead: the map is stretched
    by its minimum and maximum and truncated to bytes; the object is what is above
    `int(t * 255)`; of all its contours the one with the largest polygon is taken,
    holes filled; its box and the truth's are one pixel too large below and to the
    right. A map of another size than `frame` is then upsampled by OpenCV's cubic rule.
    The tool computes in float64, so that single pixels may fall on the other side.

    One image. Batch with `jax.vmap(box_accuracy_curve)`.

    Args:
      saliency: float[H, W], larger means more relevant.
      boxes: float[N, 4], true boxes `[y0, x0, y1, x1]`, half-open, in pixels.
      box_valid: bool[N], true where there is a box.
      frame: bool[H, W], true on pixels of the image, not of padding around it. `None`
        means all.
      threshold_tree: The components at these thresholds if they are known already.
      thresholds: Their number T.
      connectivity: 8, or 4 to leave diagonal neighbours apart.
      strict: Whether the object is what is above the threshold, not at it.
      normalization: How the map is normalised, see `ops.normalize`.
      preset: `"paper"`, the definition above, or `"wsol"`, the published tool's.

    Returns:
      float32[T], each in [0, 1], higher is better; 0 where nothing is above the
      threshold. NaN if no box is valid or the map has a NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: shapes do not fit, or `preset="wsol"` is given with another option
        that the tool has not.

    Cost: one component tree for all thresholds, O(HW + T).

    Source: J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods
    Right", CVPR 2020 (arXiv:2001.07437). Preset `wsol` is github.com/clovaai/
    wsolevaluation; the default differs from it in the box, which is that of pixels
    and not one larger, and in the largest component, which is that of most pixels.

    >>> s = jnp.array([[0.2, 0.9, 1.0], [0.0, 0.0, 0.0]])
    >>> truth, valid = jnp.array([[0.0, 1.0, 1.0, 3.0]]), jnp.array([True])
    >>> print(box_accuracy_curve(s, truth, valid, thresholds=4))
    [0.33333334 1.         1.         1.        ]
    """
    boxes, box_valid = _truth(boxes, box_valid)
    _refuse_options(
        preset,
        connectivity=(connectivity, 8),
        strict=(strict, False),
        normalization=(normalization, "max"),
    )
    if preset == "wsol":
        values, undefined = _bytes(saliency, frame)
        found = contours.largest_contour_boxes(values)
        one_larger = jnp.array([[0.0, 0.0, 1.0, 1.0]])
        curve = _best_iou(found, boxes + one_larger, box_valid)
        curve = curve[_byte_levels(thresholds)]
    else:
        unit, frame, undefined = threshold_trees.unit_map(
            saliency, frame, normalization
        )
        tree = threshold_tree or threshold_trees.tree(
            unit, frame, thresholds, connectivity=connectivity, strict=strict
        )
        curve = _best_iou(tree.box, boxes, box_valid)
    return _numerics.undefined_if(undefined | ~jnp.any(box_valid), curve)


def max_box_accuracy(
    saliency: Array,
    boxes: Array,
    box_valid: Array,
    frame: Array | None = None,
    threshold_tree: ops.ComponentTree | None = None,
    *,
    thresholds: int = 1000,
    connectivity: Connectivity = 8,
    strict: bool = False,
    normalization: Literal["max", "minmax"] = "max",
    preset: Preset = "paper",
) -> Array:
    r"""What MaxBoxAcc is read from: an image's `box_accuracy_curve`.

    .. math::
      \mathrm{MaxBoxAcc} = \max_k \frac{1}{N} \sum_i 1[c^{(i)}_k \ge 1/2]

    One threshold serves the whole data set, so that no value of an image exists; stack
    the curves and read `best_accuracy(curves, sigma=0.5)`. The best threshold of each
    image by itself has a name of its own, `best_box_iou`.

    Args:
      saliency: As in `box_accuracy_curve`, as are all the arguments.
      boxes: float[N, 4].
      box_valid: bool[N].
      frame: bool[H, W] or `None`.
      threshold_tree: The tree or `None`.
      thresholds: Their number T.
      connectivity: 8 or 4.
      strict: `>` instead of `>=`.
      normalization: How the map is normalised.
      preset: `"paper"` or `"wsol"`.

    Returns:
      float32[T], in [0, 1]; higher is better. NaN if no box is valid or the map has a
      NaN.

    Raises:
      TypeError: as `box_accuracy_curve`.
      ValueError: as `box_accuracy_curve`.

    Cost: one component tree for all thresholds, O(HW + T).

    Source: J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods
    Right", CVPR 2020 (arXiv:2001.07437).

    >>> s = jnp.array([[0.2, 0.9, 1.0], [0.0, 0.0, 0.0]])
    >>> truth, valid = jnp.array([[0.0, 1.0, 1.0, 3.0]]), jnp.array([True])
    >>> curve = max_box_accuracy(s, truth, valid, thresholds=4)
    >>> print(best_accuracy(curve[None]), best_threshold(curve[None]))
    [1.] [0.25]
    """
    return box_accuracy_curve(
        saliency,
        boxes,
        box_valid,
        frame,
        threshold_tree,
        thresholds=thresholds,
        connectivity=connectivity,
        strict=strict,
        normalization=normalization,
        preset=preset,
    )


def max_box_accuracy_v2(
    saliency: Array,
    boxes: Array,
    box_valid: Array,
    frame: Array | None = None,
    threshold_tree: ops.ComponentTree | None = None,
    *,
    thresholds: int = 1000,
    connectivity: Connectivity = 8,
    strict: bool = False,
    normalization: Literal["max", "minmax"] = "max",
    preset: Preset = "paper",
) -> Array:
    r"""What MaxBoxAccV2 is read from: the best box of all components, per threshold.

    .. math::
      \mathrm{MaxBoxAccV2} = \frac{1}{3} \sum_{\sigma \in \{.3, .5, .7\}} \max_k
      \frac{1}{N} \sum_i 1[c^{(i)}_k \ge \sigma], \qquad
      c_k = \max_{C, n} \mathrm{IoU}(B_C(k/T), B^*_n)

    C runs over all components of :math:`\{s \ge k/T\}`, however small. Otherwise as
    `box_accuracy_curve`; with `preset="wsol"` C runs over all contours that OpenCV
    finds, those of holes and those inside holes included. The threshold is chosen for
    each :math:`\sigma` apart; stack the vectors and read `best_accuracy_v2`.

    Args:
      saliency: As in `box_accuracy_curve`, as are all the arguments.
      boxes: float[N, 4].
      box_valid: bool[N].
      frame: bool[H, W] or `None`.
      threshold_tree: The tree or `None`.
      thresholds: Their number T.
      connectivity: 8 or 4.
      strict: `>` instead of `>=`.
      normalization: How the map is normalised.
      preset: `"paper"` or `"wsol"`.

    Returns:
      float32[T], in [0, 1]; higher is better. NaN if no box is valid or the map has a
      NaN.

    Raises:
      TypeError: as `box_accuracy_curve`.
      ValueError: as `box_accuracy_curve`.

    Cost: one component tree for all thresholds, and the IoUs of its boxes.

    Source: J. Choe et al., "Evaluation for Weakly Supervised Object Localization:
    Protocol, Metrics, and Datasets", 2020 (arXiv:2007.04178).

    >>> s = jnp.array([[1.0, 0.0, 0.5], [1.0, 0.0, 0.0]])
    >>> truth, valid = jnp.array([[0.0, 2.0, 1.0, 3.0]]), jnp.array([True])
    >>> print(max_box_accuracy_v2(s, truth, valid, thresholds=4))
    [0.16666667 1.         1.         0.        ]
    """
    boxes, box_valid = _truth(boxes, box_valid)
    _refuse_options(
        preset,
        connectivity=(connectivity, 8),
        strict=(strict, False),
        normalization=(normalization, "max"),
    )
    if preset == "wsol":
        values, undefined = _bytes(saliency, frame)
        curve = contours.best_contour_iou(values, boxes, box_valid)
        curve = curve[_byte_levels(thresholds)]
    else:
        unit, frame, undefined = threshold_trees.unit_map(
            saliency, frame, normalization
        )
        tree = threshold_tree or threshold_trees.tree(
            unit,
            frame,
            thresholds,
            connectivity=connectivity,
            strict=strict,
            truth_boxes=boxes,
        )
        curve = jnp.max(tree.best_box_iou, axis=1, where=box_valid[None], initial=0.0)
    return _numerics.undefined_if(undefined | ~jnp.any(box_valid), curve)


def best_box_iou(
    saliency: Array,
    boxes: Array,
    box_valid: Array,
    frame: Array | None = None,
    threshold_tree: ops.ComponentTree | None = None,
    *,
    thresholds: int = 1000,
    connectivity: Connectivity = 8,
    strict: bool = False,
    normalization: Literal["max", "minmax"] = "max",
    preset: Preset = "paper",
) -> Array:
    r"""IoU of the largest component's box at the image's own best threshold.

    .. math::
      \max_k c_k, \qquad c \text{ as in } \mathtt{box\_accuracy\_curve}

    It looks at the truth to choose, so it bounds from above what any rule for the
    threshold can reach on this image; `max_box_accuracy` shares one threshold.

    Args:
      saliency: As in `box_accuracy_curve`, as are all the arguments.
      boxes: float[N, 4].
      box_valid: bool[N].
      frame: bool[H, W] or `None`.
      threshold_tree: The tree or `None`.
      thresholds: Their number T.
      connectivity: 8 or 4.
      strict: `>` instead of `>=`.
      normalization: How the map is normalised.
      preset: `"paper"` or `"wsol"`.

    Returns:
      float32[], in [0, 1]; higher is better. NaN if no box is valid or the map has a
      NaN.

    Raises:
      TypeError: as `box_accuracy_curve`.
      ValueError: as `box_accuracy_curve`.

    Cost: one component tree for all thresholds, O(HW + T).

    Source: the optimum per image that J. Choe et al., CVPR 2020 (arXiv:2001.07437)
    keep apart from their metric.

    >>> s = jnp.array([[0.2, 0.9, 1.0], [0.0, 0.0, 0.0]])
    >>> print(best_box_iou(s, jnp.array([[0.0, 1.0, 1.0, 3.0]]), jnp.array([True])))
    1.0
    """
    curve = box_accuracy_curve(
        saliency,
        boxes,
        box_valid,
        frame,
        threshold_tree,
        thresholds=thresholds,
        connectivity=connectivity,
        strict=strict,
        normalization=normalization,
        preset=preset,
    )
    return jnp.max(curve)


_BOX_INPUTS = ("saliency", "boxes", "box_valid", "frame", "threshold_tree")

SPECS = (
    threshold_trees.spec_of(
        fn=box_accuracy_curve,
        inputs=_BOX_INPUTS,
        formula="IoU of the largest component's box with the truth at each threshold; "
        "read as the mean over thresholds of the share of images at >= .5",
        undefined="no valid box, or a NaN in the map",
        source="Choe et al. 2020, arXiv:2001.07437",
        static=(*threshold_trees.STATIC, "preset"),
        reduce=accuracy_area,
    ),
    threshold_trees.spec_of(
        fn=max_box_accuracy,
        inputs=_BOX_INPUTS,
        formula="max over t of the share of images with IoU(B(t), B*) >= .5",
        undefined="no valid box, or a NaN in the map",
        source="Choe et al. 2020, arXiv:2001.07437",
        static=(*threshold_trees.STATIC, "preset"),
        reduce=best_accuracy,
    ),
    threshold_trees.spec_of(
        fn=max_box_accuracy_v2,
        inputs=_BOX_INPUTS,
        formula="mean over sigma in {.3, .5, .7} of the max over t of the share of "
        "images with a component whose box has IoU >= sigma",
        undefined="no valid box, or a NaN in the map",
        source="Choe et al. 2020, arXiv:2007.04178",
        static=(*threshold_trees.STATIC, "preset"),
        reduce=best_accuracy_v2,
    ),
    threshold_trees.spec_of(
        fn=best_box_iou,
        inputs=_BOX_INPUTS,
        formula="max over t of IoU(B(t), B*)",
        undefined="no valid box, or a NaN in the map",
        source="Choe et al. 2020, arXiv:2001.07437",
        static=(*threshold_trees.STATIC, "preset"),
        skill=True,
    ),
)
