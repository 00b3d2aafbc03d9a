"""Region against region by their topology: what deforms to what.

Pixels whose truth is unknown (`where` is false) are taken to agree with the prediction,
in both regions, see `jaxcam.metrics._unknown`. They are never flipped, never counted.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _checks, _numerics, _spec
from jaxcam._types import Array, Connectivity
from jaxcam.metrics import _pooled, _unknown
from jaxcam.ops import components, events, flow, warping

Direction: TypeAlias = Literal["prediction_to_truth", "truth_to_prediction", "both"]

EVENTS = events.Events._fields
"""The entries of `warping_events`, in their order."""

_ONE_WAY = ("prediction_to_truth", "truth_to_prediction")


def warping_error(
    predicted: Array,
    truth: Array,
    *,
    where: Array | None = None,
    direction: Direction = "prediction_to_truth",
    connectivity: Connectivity = 8,
    radius: float | None = 5,
    band: float | None = None,
    count: Literal["all", "mask"] = "all",
    order: warping.Order = "subfields",
    method: Literal["exact", "hybrid"] = "exact",
) -> Array:
    r"""Share of pixels that still differ after one region was warped onto the other.

    .. math::
      \mathrm{WE}(P, M) = \frac{1}{HW} \min_{L \lhd P} |L \,\triangle\, M|

    over the warpings `L` of `P`: what single flips make of it that keep its topology
    (flips of simple points). A displaced outline costs nothing; what was torn, merged,
    missing, filled or added costs the pixels that it takes. The minimum is a local one,
    as in the published definition's practice: mismatched simple points are flipped
    until none is left. Not symmetric.

    Without `radius` two regions of one object each nearly always warp onto each other
    wholly, and the error saturates at 0.

    One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: bool[H, W], pixels that count; the others are frozen, and agree. `None`
        counts every pixel.
      direction: Which region is deformed; "both" is the mean of the two errors.
      connectivity: Of objects, 8 or 4; background has the other one, and lies all
        around the image.
      radius: Only pixels within this Euclidean distance of the background of the
        deformed region may flip: it grows without limit and shrinks by this much.
        `None` sets no limit.
      band: Only pixels within this distance of a pixel of the other kind may flip,
        which bounds growth as well. `None` sets no limit.
      count: "all" counts every mismatch, "mask" only those in pixels that may flip.
      order: Of the flips: "subfields", or "raster", the sweeps of the Fiji plug-in.
      method: "hybrid" also leads the exact warp along a smooth deformation found by
        gradient descent and takes the lower of the two errors.

    Returns:
      float32[], in [0, 1]; lower is better, 0 if one region is a warping of the other.
      NaN if no pixel counts.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), the shapes differ, or an option is unknown.

    Cost: O(HW / 32) a round, and as many rounds as the outline travels pixels: 0.1 ms
    at 224 x 224 on one core. "hybrid": 0.3 s.

    Source: V. Jain et al., "Boundary learning by optimization with topological
    constraints", CVPR 2010, who deform the truth, with 4-connected objects, as does the
    Fiji plug-in of I. Arganda-Carreras, which counts by "mask".

    >>> p = jnp.array([[True, True, False, True, True]])
    >>> print(warping_error(p, jnp.ones((1, 5), bool)))
    0.2
    >>> print(warping_error(p, jnp.array([[False, True, False, True, False]])))
    0.0
    """
    pixels = warping_error_pixels(
        predicted,
        truth,
        where=where,
        direction=direction,
        connectivity=connectivity,
        radius=radius,
        band=band,
        count=count,
        order=order,
        method=method,
    )
    where = _checks.valid_pixels(where, jnp.asarray(predicted))
    return _numerics.ratio(pixels, _numerics.count(where))


def warping_error_pixels(
    predicted: Array,
    truth: Array,
    *,
    where: Array | None = None,
    direction: Direction = "prediction_to_truth",
    connectivity: Connectivity = 8,
    radius: float | None = 5,
    band: float | None = None,
    count: Literal["all", "mask"] = "all",
    order: warping.Order = "subfields",
    method: Literal["exact", "hybrid"] = "exact",
) -> Array:
    r"""Number of pixels that still differ after one region was warped onto the other.

    .. math::
      HW \cdot \mathrm{WE}(P, M)

    The count of which `warping_error` is the share. One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: As in `warping_error`.
      direction: As in `warping_error`.
      connectivity: As in `warping_error`.
      radius: As in `warping_error`.
      band: As in `warping_error`.
      count: As in `warping_error`.
      order: As in `warping_error`.
      method: As in `warping_error`.

    Returns:
      float32[], at least 0, in pixels; lower is better. NaN if no pixel counts.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), the shapes differ, or an option is unknown.

    Cost: As `warping_error`.

    Source: As `warping_error`.

    >>> p = jnp.array([[True, True, False, True, True]])
    >>> print(warping_error_pixels(p, jnp.ones((1, 5), bool)))
    1.0
    """
    _checks.choice("method", method, ("exact", "hybrid"))
    predicted, truth, valid = _unknown.completed(predicted, truth, where)
    options = {"radius": radius, "band": band, "connectivity": connectivity}
    options |= {"order": order, "count": count}

    def one_way(source, target):
        frozen = None if where is None else valid
        pixels = warping.mismatches(source, target, where=frozen, **options)
        if method == "hybrid":
            pixels = jnp.minimum(pixels, _led(source, target, valid, **options))
        return pixels.astype(jnp.float32)

    pixels = _directed(direction, one_way, predicted, truth)
    return _numerics.undefined_if(~jnp.any(valid), pixels)


def warping_events(
    predicted: Array,
    truth: Array,
    *,
    where: Array | None = None,
    direction: Direction = "prediction_to_truth",
    connectivity: Connectivity = 8,
    radius: float | None = 5,
    band: float | None = None,
    order: warping.Order = "subfields",
    unit: Literal["events", "pixels"] = "events",
) -> Array:
    r"""Merges, splits, objects and holes added or deleted that warping cannot mend.

    .. math::
      |\{\text{clusters of } \{x : L(x) \ne M(x),
      \text{ flipping } x \text{ does } e\}\}|

    for the six events `e` in `metrics.topology.EVENTS`, `L` being the warped region. An
    event is what the flip of a remaining mismatch would do to the warped region: from
    the prediction to the truth these are the repairs that it needs, from the truth to
    the prediction the mistakes that it made. Mismatches of one event that touch, at a
    side or a corner, are one. A mismatch that may not flip (`radius`, `band`) is none.

    One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: As in `warping_error`.
      direction: Which region is deformed; "both" is the mean of the two counts.
      connectivity: As in `warping_error`.
      radius: As in `warping_error`.
      band: As in `warping_error`.
      order: As in `warping_error`.
      unit: "pixels" counts mismatches instead of clusters of them.

    Returns:
      float32[6], counts, at least 0; lower is better. A data set's value is the mean
      over its images of their sum. NaN if no pixel counts.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), the shapes differ, or an option is unknown.

    Cost: the warping and eight labelings.

    Source: V. Jain et al., "Boundary learning by optimization with topological
    constraints", CVPR 2010, name the events; the Fiji plug-in classifies and clusters
    them by rules of its own, where here the count of each flip is exact.

    >>> p = jnp.array([[True, True, False, True, True]])
    >>> EVENTS[0], float(warping_events(p, jnp.ones((1, 5), bool))[0])
    ('merge', 1.0)
    """
    _checks.choice("unit", unit, ("events", "pixels"))
    predicted, truth, valid = _unknown.completed(predicted, truth, where)

    def one_way(source, target):
        free = warping.flippable(source, where=valid, radius=radius, band=band)
        warped = warping.warp(
            source, target, may_flip=free, connectivity=connectivity, order=order
        )
        happens = events.flip_events(warped, connectivity=connectivity)
        wrong = (warped != target) & free
        kinds = jnp.stack([(number > 0) & wrong for number in happens])
        if unit == "pixels":
            return jnp.sum(kinds, axis=(1, 2), dtype=jnp.int32).astype(jnp.float32)
        clusters = jax.vmap(components.label_components)(kinds)
        return jnp.max(clusters, axis=(1, 2), initial=0).astype(jnp.float32)

    counts = _directed(direction, one_way, predicted, truth)
    return _numerics.undefined_if(~jnp.any(valid), counts)


def all_events(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean over the images of the number of events of every kind."""
    values, weights = _pooled.checked(values, weights)
    total = _pooled.weighted_sums(values, weights).sum(axis=-1)
    return _pooled.ratio(total, weights.sum(axis=-1))


def differentiable_warping_error(
    saliency: Array,
    truth: Array,
    *,
    where: Array | None = None,
    direction: Direction = "prediction_to_truth",
    temperature: float | Array = 0.1,
    steps: int = 100,
) -> Array:
    r"""Mean squared difference that a smooth deformation of a soft mask leaves.

    .. math::
      \overline{(G_\sigma a \circ \varphi - G_\sigma b)^2}, \qquad
      a = \mathrm{sigmoid}((S - \bar S) / \tau)

    with the deformation of `ops.flow.register`, the flow of a velocity field that is
    found by gradient descent, and sigma 0.7. It is a loss: it has gradients with
    respect to the map, taken through the soft masks with the deformation held fixed.

    One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], in [0, 1].
      truth: bool[H, W], the object.
      where: bool[H, W], pixels that count; in the others the truth is taken to be the
        soft mask. `None` counts every pixel.
      direction: Which mask is deformed; "both" is the mean of the two errors.
      temperature: tau, how soft the mask is; below it, the map's mean, lies the
        background.
      steps: Of gradient descent on each of the five levels.

    Returns:
      float32[], in [0, 1]; lower is better. NaN if no pixel counts.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), the shapes differ, or an option is unknown.

    Cost: 0.3 s on one core, whatever the size of the image.

    Source: Aabid and Sicre, "Foreground segmentation to measure deep neural networks
    interpretability", ask for gradient descent to a reasonable local minimum; the
    parametrisation is ours, see `ops.flow.register`.

    >>> s = jnp.zeros((16, 16)).at[3:9, 3:9].set(1)
    >>> m = jnp.zeros((16, 16), bool).at[6:12, 5:11].set(True)
    >>> print(bool(differentiable_warping_error(s, m, steps=30) < 0.05))
    True
    """
    saliency, truth, valid = _masked_map(saliency, truth, where)
    mean = _numerics.masked_mean(saliency, valid)
    soft = jax.nn.sigmoid((saliency - mean) / temperature)
    soft = jnp.where(valid, soft, 0.0)
    target = jnp.where(valid, truth.astype(jnp.float32), soft)

    def one_way(source, target):
        return flow.register(source, target, where=valid, steps=steps).error

    return _directed(direction, one_way, soft, target)


def _masked_map(saliency, truth, where):
    saliency = _checks.saliency_map(saliency)
    truth = _checks.mask(truth, "truth")
    return _checks.map_and_mask(saliency, truth, where)


def _directed(direction, one_way, predicted, truth):
    """`one_way(source, target)` in the asked direction, or the mean of the two."""
    _checks.choice("direction", direction, (*_ONE_WAY, "both"))
    pairs = {
        "prediction_to_truth": (predicted, truth),
        "truth_to_prediction": (truth, predicted),
    }
    if direction != "both":
        return one_way(*pairs[direction])
    there, back = (one_way(*pairs[way]) for way in _ONE_WAY)
    return (there + back) / 2


def _led(source, target, valid, *, radius, band, connectivity, order, count):
    """Mismatches left by the exact warp along a smooth deformation, then onward."""
    free = warping.flippable(source, where=valid, radius=radius, band=band)

    def follow(warped, mask):
        warped = warping.warp(
            warped, mask, may_flip=free, connectivity=connectivity, order=order
        )
        return warped, None

    stations = jnp.concatenate([flow.path(source, target), target[None]])
    warped, _ = jax.lax.scan(follow, source, stations)
    counted = valid if count == "all" else free
    return jnp.sum((warped != target) & counted, dtype=jnp.int32)


_WARPED = {
    "inputs": ("predicted", "truth"),
    "family": "topology",
    "direction": -1,
    "undefined": "no pixel counts",
    "source": "Jain et al., CVPR 2010",
    "regions": ("mask", "box"),
}
_STATIC = ("direction", "connectivity", "radius", "band", "count", "order", "method")
_EXACT = "O(HW/32) a round, rounds = pixels the outline travels"

SPECS = (
    _spec.MetricSpec(
        fn=warping_error,
        formula="min over warpings L of P of |L xor M| / HW",
        range=(0.0, 1.0),
        cost=_EXACT,
        static=_STATIC,
        companions=("warping_error_unbounded",),
        **_WARPED,
    ),
    _spec.MetricSpec(
        fn=warping_error,
        name="warping_error_unbounded",
        formula="min over warpings L of P of |L xor M| / HW, shrinking unbounded",
        range=(0.0, 1.0),
        cost=_EXACT,
        static=_STATIC,
        default_options={"radius": None},
        **_WARPED,
    ),
    _spec.MetricSpec(
        fn=warping_error_pixels,
        formula="min over warpings L of P of |L xor M|",
        range=(0.0, float("inf")),
        cost=_EXACT,
        static=_STATIC,
        **_WARPED,
    ),
    _spec.MetricSpec(
        fn=warping_events,
        formula="clusters of remaining mismatches, for each of six events",
        range=(0.0, float("inf")),
        cost=_EXACT + ", and eight labelings",
        static=("direction", "connectivity", "radius", "band", "order", "unit"),
        reduce=all_events,
        **_WARPED,
    ),
    _spec.MetricSpec(
        fn=differentiable_warping_error,
        inputs=("saliency", "truth"),
        family="topology",
        formula="mean (a o phi - b)², phi a fitted diffeomorphism, a = sigmoid(S)",
        range=(0.0, 1.0),
        direction=-1,
        undefined="no pixel counts",
        cost="0.3 s; opt-in",
        source="Jain et al., CVPR 2010; the paper's call for gradient descent",
        static=("direction", "steps"),
        regions=("mask", "box"),
    ),
)
