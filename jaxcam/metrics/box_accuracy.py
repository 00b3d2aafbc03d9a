"""Localisation over every threshold of the map: one threshold for a whole data set.

The functions of one image return its IoU at every threshold. What a data set scores is
read from those vectors: `accuracy_curve` at each threshold, `best_accuracy` at the best
one, `best_threshold` tells which that is. The vectors of shards are stacked before.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from jaxcam import _checks, _numerics, _spec, ops
from jaxcam._types import Array, Connectivity
from jaxcam.metrics import _pooled
from jaxcam.ops import contours

_SIGMAS = (0.3, 0.5, 0.7)

Preset = Literal["paper", "wsol"]


def _levels(thresholds: int) -> np.ndarray:
    """0, 1/T, ..., (T - 1)/T."""
    return np.arange(thresholds) / thresholds


def _unit_map(
    saliency: Array, frame: Array | None, normalization: str
) -> tuple[Array, Array, Array]:
    """The normalised map, its frame, and whether a value in it is NaN."""
    saliency = _checks.saliency_map(saliency)
    frame = _checks.valid_pixels(frame, saliency)
    undefined = _numerics.any_nan(saliency, frame)
    saliency = jnp.where(jnp.isnan(saliency), 0.0, saliency)
    unit = ops.normalize(saliency, rule=normalization, where=frame)
    return unit, frame, undefined


def _tree(unit: Array, frame: Array, thresholds: int, **options: Any) -> Any:
    levels = jnp.asarray(_levels(thresholds), jnp.float32)
    return ops.component_tree(unit, levels, where=frame, **options)


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
    unit, frame, _ = _unit_map(saliency, frame, normalization)
    return _tree(
        unit,
        frame,
        thresholds,
        connectivity=connectivity,
        strict=strict,
        truth_masks=jnp.stack([mask & where & frame, where & frame]),
        truth_boxes=boxes,
    )


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
    return (_levels(thresholds) * (contours.LEVELS - 1)).astype(int)


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
        unit, frame, undefined = _unit_map(saliency, frame, normalization)
        tree = threshold_tree or _tree(
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
        unit, frame, undefined = _unit_map(saliency, frame, normalization)
        tree = threshold_tree or _tree(
            unit,
            frame,
            thresholds,
            connectivity=connectivity,
            strict=strict,
            truth_boxes=boxes,
        )
        curve = jnp.max(tree.best_box_iou, axis=1, where=box_valid[None], initial=0.0)
    return _numerics.undefined_if(undefined | ~jnp.any(box_valid), curve)


def max_mask_accuracy(
    saliency: Array,
    mask: Array,
    frame: Array | None = None,
    threshold_tree: ops.ComponentTree | None = None,
    *,
    where: Array | None = None,
    thresholds: int = 1000,
    connectivity: Connectivity = 8,
    strict: bool = False,
    normalization: Literal["max", "minmax"] = "max",
) -> Array:
    r"""IoU of the largest component itself with the true mask, at every threshold.

    .. math::
      c_k = \frac{|P(k/T) \cap M|}{|P(k/T) \cup M|}, \qquad
      \mathrm{MaxMaskAcc} = \max_k \frac{1}{N} \sum_i 1[c^{(i)}_k \ge 1/2]

    :math:`P(t)` is the component of :math:`\{s \ge t\}` with the most pixels, as in
    `box_accuracy_curve`, found on the whole frame; only pixels of `where` are counted.
    One threshold serves the whole data set: stack the vectors and read
    `best_accuracy`. The best threshold of each image by itself is `best_mask_iou`.

    Args:
      saliency: float[H, W], larger means more relevant.
      mask: bool[H, W], true on the object.
      frame: bool[H, W], true on pixels of the image; `None` means all.
      threshold_tree: As in `box_accuracy_curve`.
      where: bool[H, W], true on pixels that count; `None` counts every pixel.
      thresholds: Their number T.
      connectivity: 8 or 4.
      strict: `>` instead of `>=`.
      normalization: How the map is normalised.

    Returns:
      float32[T], in [0, 1]; higher is better. NaN if the mask has no pixel that counts
      or the map has a NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: an argument is not (H, W), or the shapes differ.

    Cost: one component tree for all thresholds, O(HW + T).

    Source: `max_box_accuracy` with the box replaced by the mask; ours.

    >>> s = jnp.array([[0.2, 0.9, 1.0], [0.0, 0.0, 0.0]])
    >>> m = jnp.array([[True, True, True], [False, False, False]])
    >>> print(max_mask_accuracy(s, m, thresholds=5))
    [0.5       1.        0.6666667 0.6666667 0.6666667]
    """
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    unit, frame, undefined = _unit_map(saliency, frame, normalization)
    tree = threshold_tree or _tree(
        unit,
        frame,
        thresholds,
        connectivity=connectivity,
        strict=strict,
        truth_masks=jnp.stack([mask & frame, where & frame]),
    )
    common, area = jnp.moveaxis(tree.overlap.astype(jnp.float32), -1, 0)
    truth = _numerics.count(mask & frame)
    curve = _numerics.ratio(common, area + truth - common)
    return _numerics.undefined_if(undefined | (truth == 0), curve)


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


def best_mask_iou(
    saliency: Array,
    mask: Array,
    frame: Array | None = None,
    threshold_tree: ops.ComponentTree | None = None,
    *,
    where: Array | None = None,
    thresholds: int = 1000,
    connectivity: Connectivity = 8,
    strict: bool = False,
    normalization: Literal["max", "minmax"] = "max",
) -> Array:
    r"""IoU of the largest component with the mask at the image's own best threshold.

    .. math::
      \max_k c_k, \qquad c \text{ as in } \mathtt{max\_mask\_accuracy}

    It looks at the truth to choose, so it bounds from above what any rule for the
    threshold can reach on this image.

    Args:
      saliency: As in `max_mask_accuracy`, as are all the arguments.
      mask: bool[H, W].
      frame: bool[H, W] or `None`.
      threshold_tree: The tree or `None`.
      where: bool[H, W] or `None`.
      thresholds: Their number T.
      connectivity: 8 or 4.
      strict: `>` instead of `>=`.
      normalization: How the map is normalised.

    Returns:
      float32[], in [0, 1]; higher is better. NaN if the mask has no pixel that counts
      or the map has a NaN.

    Raises:
      TypeError: as `max_mask_accuracy`.
      ValueError: as `max_mask_accuracy`.

    Cost: one component tree for all thresholds, O(HW + T).

    Source: `best_box_iou` with the box replaced by the mask; ours.

    >>> s = jnp.array([[0.2, 0.9, 1.0], [0.0, 0.0, 0.0]])
    >>> print(best_mask_iou(s, s > 0.5))
    1.0
    """
    curve = max_mask_accuracy(
        saliency,
        mask,
        frame,
        threshold_tree,
        where=where,
        thresholds=thresholds,
        connectivity=connectivity,
        strict=strict,
        normalization=normalization,
    )
    return jnp.max(curve)


# What a data set scores.


def accuracy_curve(
    values: np.ndarray, weights: np.ndarray | None = None, *, sigma: float = 0.5
) -> np.ndarray:
    """Share of the images whose IoU is at least `sigma`, at each threshold.

    Args:
      values: float[n, T], the images' vectors; rows with a NaN are left out.
      weights: float[R, n], how often each draw holds each image; `None` is one draw
        of each image once.
      sigma: The IoU that counts as a hit, compared in float32.

    Returns:
      float64[R, T]; NaN where a draw holds no image.

    Raises:
      ValueError: the shapes do not fit.

    >>> print(accuracy_curve(np.array([[0.2, 0.6], [0.5, 0.7]], np.float32)))
    [[0.5 1. ]]
    """
    return _pooled.shares(values, weights, sigma)


def best_accuracy(
    values: np.ndarray, weights: np.ndarray | None = None, *, sigma: float = 0.5
) -> np.ndarray:
    """Largest share of hits that one threshold reaches for all images.

    Args:
      values: As in `accuracy_curve`.
      weights: As in `accuracy_curve`.
      sigma: As in `accuracy_curve`.

    Returns:
      float64[R].

    >>> print(best_accuracy(np.array([[0.2, 0.6], [0.6, 0.4]], np.float32)))
    [0.5]
    """
    return accuracy_curve(values, weights, sigma=sigma).max(axis=1)


def best_accuracy_v2(
    values: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Mean of `best_accuracy` over sigma in {.3, .5, .7}, each with its threshold.

    Args:
      values: As in `accuracy_curve`.
      weights: As in `accuracy_curve`.

    Returns:
      float64[R].

    >>> print(best_accuracy_v2(np.array([[0.4, 0.6], [0.4, 0.2]], np.float32)))
    [0.5]
    """
    by_sigma = [best_accuracy(values, weights, sigma=sigma) for sigma in _SIGMAS]
    return np.mean(by_sigma, axis=0)


def best_threshold(
    values: np.ndarray, weights: np.ndarray | None = None, *, sigma: float = 0.5
) -> np.ndarray:
    """The threshold that `best_accuracy` takes; the lowest of equally good ones.

    Args:
      values: As in `accuracy_curve`.
      weights: As in `accuracy_curve`.
      sigma: As in `accuracy_curve`.

    Returns:
      float64[R], as a fraction of the maximum of the normalised map; NaN where a draw
      holds no image.

    >>> print(best_threshold(np.array([[0.2, 0.6], [0.6, 0.7]], np.float32)))
    [0.5]
    """
    curves = accuracy_curve(values, weights, sigma=sigma)
    best = np.argmax(curves, axis=1) / curves.shape[1]
    return np.where(np.isnan(curves).any(axis=1), np.nan, best)


def accuracy_area(
    values: np.ndarray, weights: np.ndarray | None = None, *, sigma: float = 0.5
) -> np.ndarray:
    """Mean of `accuracy_curve` over the thresholds: what a threshold at random hits.

    Args:
      values: As in `accuracy_curve`.
      weights: As in `accuracy_curve`.
      sigma: As in `accuracy_curve`.

    Returns:
      float64[R].

    >>> print(accuracy_area(np.array([[0.2, 0.6], [0.5, 0.7]], np.float32)))
    [0.75]
    """
    return accuracy_curve(values, weights, sigma=sigma).mean(axis=1)


_BOX_INPUTS = ("saliency", "boxes", "box_valid", "frame", "threshold_tree")
_MASK_INPUTS = ("saliency", "mask", "frame", "threshold_tree")
_STATIC = ("thresholds", "connectivity", "strict", "normalization")

FIELDS = (
    _spec.FieldSpec(
        fn=threshold_tree,
        inputs=("saliency", "mask", "where", "boxes", "frame"),
        name="threshold_tree",
        of_the_metric=True,
        static=_STATIC,
    ),
)

_spec_of = functools.partial(
    _spec.MetricSpec,
    family="thresholds searched",
    range=(0.0, 1.0),
    direction=1,
    cost="one component tree, O(HW + T)",
)

SPECS = (
    _spec_of(
        fn=box_accuracy_curve,
        inputs=_BOX_INPUTS,
        formula="IoU of the largest component's box with the truth at each threshold; "
        "read as the mean over thresholds of the share of images at >= .5",
        undefined="no valid box, or a NaN in the map",
        source="Choe et al. 2020, arXiv:2001.07437",
        static=(*_STATIC, "preset"),
        reduce=accuracy_area,
    ),
    _spec_of(
        fn=max_box_accuracy,
        inputs=_BOX_INPUTS,
        formula="max over t of the share of images with IoU(B(t), B*) >= .5",
        undefined="no valid box, or a NaN in the map",
        source="Choe et al. 2020, arXiv:2001.07437",
        static=(*_STATIC, "preset"),
        reduce=best_accuracy,
    ),
    _spec_of(
        fn=max_box_accuracy_v2,
        inputs=_BOX_INPUTS,
        formula="mean over sigma in {.3, .5, .7} of the max over t of the share of "
        "images with a component whose box has IoU >= sigma",
        undefined="no valid box, or a NaN in the map",
        source="Choe et al. 2020, arXiv:2007.04178",
        static=(*_STATIC, "preset"),
        reduce=best_accuracy_v2,
    ),
    _spec_of(
        fn=max_mask_accuracy,
        inputs=_MASK_INPUTS,
        formula="max over t of the share of images with IoU(P(t), M) >= .5",
        undefined="an empty mask, or a NaN in the map",
        source="max_box_accuracy on masks",
        static=_STATIC,
        reduce=best_accuracy,
    ),
    _spec_of(
        fn=best_box_iou,
        inputs=_BOX_INPUTS,
        formula="max over t of IoU(B(t), B*)",
        undefined="no valid box, or a NaN in the map",
        source="Choe et al. 2020, arXiv:2001.07437",
        static=(*_STATIC, "preset"),
        skill=True,
    ),
    _spec_of(
        fn=best_mask_iou,
        inputs=_MASK_INPUTS,
        formula="max over t of IoU(P(t), M)",
        undefined="an empty mask, or a NaN in the map",
        source="best_box_iou on masks",
        static=_STATIC,
        skill=True,
    ),
)
