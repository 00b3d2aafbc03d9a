"""Region against region: masks, or boxes rasterised."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp

from jaxcam import _checks, _numerics, _spec
from jaxcam._types import Array

REGIONS = ("mask", "box")


def _counts(
    predicted: Array, truth: Array, where: Array | None
) -> tuple[Array, Array, Array]:
    """Pixels in both regions, in the predicted one, in the true one."""
    predicted, truth, _ = _checks.two_masks(predicted, truth, where)
    both = _numerics.count(predicted & truth)
    return both, _numerics.count(predicted), _numerics.count(truth)


def intersection_over_union(
    predicted: Array,
    truth: Array,
    *,
    where: Array | None = None,
    denominator: Literal["union", "truth"] = "union",
) -> Array:
    r"""Shared area of two regions over the area of either.

    .. math::
      \mathrm{IoU}(P, M) = \frac{|P \cap M|}{|P \cup M|}

    Symmetric in its two regions. One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      denominator: "truth" divides by the truth's area instead, which is recall: the
        published notebook's reading, by a precedence of operators.

    Returns:
      float32[], in [0, 1]; higher is better, 1 is perfect. NaN if both regions are
      empty.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), the shapes differ, or the denominator is
        unknown.

    Cost: O(HW).

    Source: P. Jaccard, "The distribution of the flora in the alpine zone", New
    Phytologist 11, 1912. The paper prints it with true negatives where false
    positives are meant.

    >>> p = jnp.array([[True, True, False]])
    >>> m = jnp.array([[False, True, True]])
    >>> print(intersection_over_union(p, m))
    0.33333334
    """
    _checks.choice("denominator", denominator, ("union", "truth"))
    both, in_predicted, in_truth = _counts(predicted, truth, where)
    union = in_predicted + in_truth - both
    return _numerics.ratio(both, union if denominator == "union" else in_truth)


def localization_error(
    predicted: Array,
    truth: Array,
    *,
    where: Array | None = None,
    denominator: Literal["union", "truth"] = "union",
) -> Array:
    r"""One minus the intersection over union of the predicted and the true region.

    .. math::
      \mathrm{LE}(P, M) = 1 - \frac{|P \cap M|}{|P \cup M|}

    On boxes this is the paper's LE, on masks its MLE. One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      denominator: As in `intersection_over_union`.

    Returns:
      float32[], in [0, 1]; lower is better, 0 is perfect. NaN if both regions are
      empty.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), the shapes differ, or the denominator is
        unknown.

    Cost: O(HW).

    Source: Aabid and Sicre, "Foreground segmentation to measure deep neural networks
    interpretability". Phang et al.'s LE is `1 - localization_hit`.

    >>> p = jnp.array([[True, True, False]])
    >>> m = jnp.array([[False, True, True]])
    >>> print(localization_error(p, m))
    0.6666666
    """
    return 1.0 - intersection_over_union(
        predicted, truth, where=where, denominator=denominator
    )


def localization_hit(
    predicted: Array,
    truth: Array,
    *,
    where: Array | None = None,
    threshold: float | Array = 0.5,
    strict_hit: bool = False,
    denominator: Literal["union", "truth"] = "union",
) -> Array:
    r"""Whether the predicted region overlaps the true one well enough.

    .. math::
      \mathrm{hit}(P, M) = 1[\mathrm{IoU}(P, M) \ge \sigma]

    One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      threshold: The overlap that is enough.
      strict_hit: Asks for more than that overlap.
      denominator: As in `intersection_over_union`.

    Returns:
      float32[], 0 or 1; higher is better. NaN if both regions are empty.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), the shapes differ, or the denominator is
        unknown.

    Cost: O(HW).

    Source: the criterion of the ImageNet localisation challenge (Russakovsky et al.
    2015); GT-known localisation in Choe et al. 2020.

    >>> p = jnp.array([[True, True, False]])
    >>> m = jnp.array([[True, False, False]])
    >>> print(localization_hit(p, m))
    1.0
    """
    iou = intersection_over_union(
        predicted, truth, where=where, denominator=denominator
    )
    hit = iou > threshold if strict_hit else iou >= threshold
    return _numerics.undefined_if(jnp.isnan(iou), hit.astype(jnp.float32))


def official_localization_error(
    predicted: Array,
    truth: Array,
    correct: Array,
    *,
    where: Array | None = None,
    threshold: float | Array = 0.5,
) -> Array:
    r"""One where the class or the place is wrong.

    .. math::
      1 - 1[\mathrm{IoU}(P, M) \ge \sigma] \cdot 1[\text{class right}]

    One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      correct: bool[], whether the class is right: among the first one or five.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      threshold: The overlap that is enough.

    Returns:
      float32[], 0 or 1; lower is better. NaN if both regions are empty.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: the error of the ImageNet localisation challenge (Russakovsky et al. 2015);
    `official_localization_error_top5` reads the first five classes.

    >>> p = jnp.array([[True, True, False]])
    >>> print(official_localization_error(p, p, jnp.array(False)))
    1.0
    """
    hit = localization_hit(predicted, truth, where=where, threshold=threshold)
    return 1.0 - hit * correct.astype(jnp.float32)


def precision(predicted: Array, truth: Array, *, where: Array | None = None) -> Array:
    r"""Share of the predicted region that lies on the object.

    .. math::
      \mathrm{precision}(P, M) = \frac{|P \cap M|}{|P|}

    One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: bool[H, W], pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; higher is better. NaN if the predicted region is empty.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: standard.

    >>> p = jnp.array([[True, True, False]])
    >>> m = jnp.array([[False, True, True]])
    >>> print(precision(p, m))
    0.5
    """
    both, in_predicted, _ = _counts(predicted, truth, where)
    return _numerics.ratio(both, in_predicted)


def recall(predicted: Array, truth: Array, *, where: Array | None = None) -> Array:
    r"""Share of the object that the predicted region covers.

    .. math::
      \mathrm{recall}(P, M) = \frac{|P \cap M|}{|M|}

    One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: bool[H, W], pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; higher is better. 0 if only the predicted region is empty;
      NaN if the object is.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: standard.

    >>> p = jnp.array([[True, True, False]])
    >>> m = jnp.array([[True, True, True]])
    >>> print(recall(p, m))
    0.6666667
    """
    both, _, in_truth = _counts(predicted, truth, where)
    return _numerics.ratio(both, in_truth)


def f_score(
    predicted: Array,
    truth: Array,
    *,
    where: Array | None = None,
    beta: float | Array = 1.0,
) -> Array:
    r"""Weighted harmonic mean of precision and recall, from counts.

    .. math::
      F_\beta = \frac{(1 + \beta^2) |P \cap M|}{|P| + \beta^2 |M|}

    At `beta` = 1 this is the Dice coefficient, 2 IoU / (1 + IoU), registered as `dice`.
    One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      beta: Weight of recall against precision, positive.

    Returns:
      float32[], in [0, 1]; higher is better, 1 is perfect. 0 if only the predicted
      region is empty; NaN if both are.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: C. J. van Rijsbergen, "Information Retrieval", 1979.

    >>> p = jnp.array([[True, True, False]])
    >>> m = jnp.array([[False, True, True]])
    >>> print(f_score(p, m))
    0.5
    """
    both, in_predicted, in_truth = _counts(predicted, truth, where)
    weight = jnp.asarray(beta, jnp.float32) ** 2
    return _numerics.ratio((1.0 + weight) * both, in_predicted + weight * in_truth)


def _overlap(fn, formula: str, direction: int, undefined: str, source: str, **more):
    return _spec.MetricSpec(
        fn=fn,
        inputs=more.pop("inputs", ("predicted", "truth")),
        family="region against region",
        formula=formula,
        range=(0.0, 1.0),
        direction=direction,
        undefined=undefined,
        cost="O(HW)",
        source=source,
        skill=True,
        regions=more.pop("regions", REGIONS),
        **more,
    )


_BOTH = "both regions are empty"

SPECS = (
    _overlap(
        intersection_over_union,
        "|P and M| / |P or M|",
        1,
        _BOTH,
        "Jaccard 1912",
        static=("denominator",),
    ),
    _overlap(
        localization_error,
        "1 - IoU",
        -1,
        _BOTH,
        "Aabid and Sicre (LE, MLE)",
        static=("denominator",),
    ),
    _overlap(
        localization_hit,
        "1[IoU >= .5]",
        1,
        _BOTH,
        "Russakovsky et al. 2015",
        static=("strict_hit", "denominator"),
    ),
    _overlap(
        official_localization_error,
        "1 - hit * 1[top-1 right]",
        -1,
        _BOTH + ", or the label is unknown",
        "Russakovsky et al. 2015",
        inputs=("predicted", "truth", "correct"),
    ),
    _overlap(
        official_localization_error,
        "1 - hit * 1[top-5 right]",
        -1,
        _BOTH + ", or the label is unknown",
        "Russakovsky et al. 2015",
        inputs=("predicted", "truth", "correct_top5"),
        name="official_localization_error_top5",
    ),
    _overlap(
        precision, "|P and M| / |P|", 1, "the predicted region is empty", "standard"
    ),
    _overlap(recall, "|P and M| / |M|", 1, "the object is empty", "standard"),
    _overlap(
        f_score, "(1+b²)|P and M| / (|P| + b²|M|)", 1, _BOTH, "van Rijsbergen 1979"
    ),
    _overlap(f_score, "2|P and M| / (|P| + |M|)", 1, _BOTH, "Dice 1945", name="dice"),
)
