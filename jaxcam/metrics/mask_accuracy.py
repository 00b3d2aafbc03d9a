"""Masks over every threshold of the map: one threshold for a whole data set.

What `jaxcam.metrics.box_accuracy` does with boxes, with the components themselves.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp

from jaxcam import _checks, _numerics, ops
from jaxcam._types import Array, Connectivity
from jaxcam.metrics import _accuracies, threshold_trees


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
    unit, frame, undefined = threshold_trees.unit_map(saliency, frame, normalization)
    tree = threshold_tree or threshold_trees.tree(
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


_MASK_INPUTS = ("saliency", "mask", "frame", "threshold_tree")

SPECS = (
    threshold_trees.spec_of(
        fn=max_mask_accuracy,
        inputs=_MASK_INPUTS,
        formula="max over t of the share of images with IoU(P(t), M) >= .5",
        undefined="an empty mask, or a NaN in the map",
        source="max_box_accuracy on masks",
        static=threshold_trees.STATIC,
        reduce=_accuracies.best_accuracy,
    ),
    threshold_trees.spec_of(
        fn=best_mask_iou,
        inputs=_MASK_INPUTS,
        formula="max over t of IoU(P(t), M)",
        undefined="an empty mask, or a NaN in the map",
        source="best_box_iou on masks",
        static=threshold_trees.STATIC,
        skill=True,
    ),
)
