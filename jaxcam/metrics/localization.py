"""Map against region: how much of the explanation lies on the object."""

from __future__ import annotations

import math

import jax.numpy as jnp

from jaxcam import _checks, _numerics, _spec
from jaxcam._types import Array

REGIONS = ("mask", "box")


def pointing_game(
    saliency: Array,
    mask: Array,
    *,
    where: Array | None = None,
    tolerance: int = 0,
) -> Array:
    r"""Whether the most salient pixel lies on the object.

    .. math::
      \mathrm{PG}(s, m) = 1[\arg\max s \in m]

    Pixels tied for the maximum count at their expectation, so a constant map scores the
    object's share of the pixels. Only the place of the maximum matters. One image;
    batch with `jax.vmap`.

    Args:
      saliency: float[H, W], any scale and sign.
      mask: bool[H, W], true on the object.
      where: bool[H, W], pixels that count: neither a maximum nor the object outside of
        it. `None` counts every pixel.
      tolerance: A miss by less than this many pixels is a hit (Euclidean distance,
        strict, as TorchRay has it with 15 in original pixels).

    Returns:
      float32[], in [0, 1]; higher is better. NaN if the object is empty, no pixel
      counts, or a saliency value is NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), the shapes differ, or the tolerance is
        negative.

    Cost: O(HW), times the tolerance.

    Source: J. Zhang et al., "Top-down neural attention by excitation backprop", IJCV
    2018 (arXiv:1608.00507); the rule for ties is ours.

    >>> s = jnp.array([[0., 2., 2.]])
    >>> m = jnp.array([[False, True, False]])
    >>> print(pointing_game(s, m))
    0.5
    """
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    if tolerance < 0:
        raise ValueError(f"tolerance={tolerance} must not be negative.")
    highest = jnp.max(saliency, where=where, initial=-jnp.inf)
    tied = where & (saliency == highest)
    target = _dilated(mask, tolerance) if tolerance > 1 else mask
    score = _numerics.ratio(_numerics.count(tied & target), _numerics.count(tied))
    undefined = _numerics.any_nan(saliency, where) | ~jnp.any(mask)
    return _numerics.undefined_if(undefined, score)


def _dilated(mask: Array, radius: int) -> Array:
    """Pixels at a Euclidean distance below `radius` from the mask.

    The distance within the row is found first; a row dy away is near enough if that is
    at most the disc's half width there.
    """
    far = 2 * radius
    small = jnp.uint8 if far + radius < 256 else jnp.int32
    across = jnp.where(mask, 0, far).astype(small)
    reach = min(radius - 1, mask.shape[1] - 1)
    padded = jnp.pad(across, ((0, 0), (reach, reach)), constant_values=far)
    for dx in range(-reach, reach + 1):
        shifted = padded[:, reach + dx : reach + dx + mask.shape[1]]
        across = jnp.minimum(across, shifted + jnp.array(abs(dx), small))
    reach = min(radius - 1, mask.shape[0] - 1)
    padded = jnp.pad(across, ((reach, reach), (0, 0)), constant_values=far)
    dilated = mask
    for dy in range(-reach, reach + 1):
        shifted = padded[reach + dy : reach + dy + mask.shape[0]]
        dilated = dilated | (shifted <= _largest_below(radius**2 - dy**2))
    return dilated


def _largest_below(square: int) -> int:
    """The largest whole number whose square is below `square`."""
    return math.isqrt(square - 1)


def energy_pointing_game(
    saliency: Array,
    mask: Array,
    *,
    where: Array | None = None,
    signed: str | None = None,
) -> Array:
    r"""Share of the map's energy that lies on the object.

    .. math::
      \mathrm{EPG}(s, m) = \frac{\sum_{p \in m} s_p}{\sum_p s_p}

    Invariant to a positive factor; a uniform map scores the object's share of the
    pixels. Also known as relevance mass accuracy. One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], non-negative; signed maps give a share that can leave
        [0, 1] unless `signed` says what to do.
      mask: bool[H, W], true on the object.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      signed: "relu" drops negative values, "abs" takes magnitudes.

    Returns:
      float32[], in [0, 1]; higher is better. NaN if the map has no energy, the object
      is empty, or a saliency value is NaN.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), the shapes differ, or `signed` is unknown.

    Cost: O(HW).

    Source: H. Wang et al., "Score-CAM", CVPRW 2020 (arXiv:1910.01279), on boxes; on
    masks the paper's masked EPG and the relevance mass accuracy of Arras et al.
    (arXiv:2003.07258).

    >>> s = jnp.array([[3., 1.]])
    >>> m = jnp.array([[True, False]])
    >>> print(energy_pointing_game(s, m))
    0.75
    """
    _checks.choice("signed", signed, (None, "relu", "abs"))
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    if signed is not None:
        saliency = jnp.abs(saliency) if signed == "abs" else jnp.maximum(saliency, 0.0)
    inside = _numerics.masked_sum(saliency, mask)
    share = _numerics.ratio(inside, _numerics.masked_sum(saliency, where))
    return _numerics.undefined_if(~jnp.any(mask), share)


def soft_precision(
    saliency: Array, mask: Array, *, where: Array | None = None
) -> Array:
    r"""Precision of a map taken as a soft region: its share on the object.

    .. math::
      \frac{\sum_{p \in m} s_p}{\sum_p s_p}

    The same quantity as `energy_pointing_game`, named for its part in `soft_f_score`.
    One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], in [0, 1].
      mask: bool[H, W], true on the object.
      where: bool[H, W], pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; higher is better. NaN if the map has no energy or the
      object is empty.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: the paper's published notebook ("pixel-wise precision").

    >>> print(soft_precision(jnp.array([[1., .5]]), jnp.array([[True, False]])))
    0.6666667
    """
    return energy_pointing_game(saliency, mask, where=where)


def soft_recall(saliency: Array, mask: Array, *, where: Array | None = None) -> Array:
    r"""Recall of a map taken as a soft region: its mean on the object.

    .. math::
      \frac{1}{|m|} \sum_{p \in m} s_p

    One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], in [0, 1].
      mask: bool[H, W], true on the object.
      where: bool[H, W], pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; higher is better. NaN if the object is empty.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: the paper's published notebook ("pixel-wise recall").

    >>> print(soft_recall(jnp.array([[1., .5]]), jnp.array([[True, True]])))
    0.75
    """
    saliency, mask, _ = _checks.map_and_mask(saliency, mask, where)
    return _numerics.masked_mean(saliency, mask)


def soft_f_score(
    saliency: Array,
    mask: Array,
    *,
    where: Array | None = None,
    beta: float | Array = 1.0,
) -> Array:
    r"""F score of a map taken as a soft region.

    .. math::
      F_\beta = \frac{(1 + \beta^2) \sum_{p \in m} s_p}
                     {\sum_p s_p + \beta^2 |m|}

    One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], in [0, 1].
      mask: bool[H, W], true on the object.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      beta: Weight of recall against precision, positive.

    Returns:
      float32[], in [0, 1]; higher is better. 0 if the map has no energy; NaN if the
      object is empty.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: the paper's published notebook ("pixel-wise F score"); written as one
    fraction, it is defined where precision is not.

    >>> print(soft_f_score(jnp.array([[1., .5]]), jnp.array([[True, False]])))
    0.8
    """
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    weight = jnp.asarray(beta, jnp.float32) ** 2
    inside = _numerics.masked_sum(saliency, mask)
    total = _numerics.masked_sum(saliency, where) + weight * _numerics.count(mask)
    score = _numerics.ratio((1.0 + weight) * inside, total)
    return _numerics.undefined_if(~jnp.any(mask), score)


def mean_absolute_error(
    saliency: Array, mask: Array, *, where: Array | None = None
) -> Array:
    r"""Mean distance between the map and the object's indicator.

    .. math::
      \mathrm{MAE}(s, m) = \frac{1}{N} \sum_p |s_p - m_p|

    One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], in [0, 1].
      mask: bool[H, W], true on the object.
      where: bool[H, W], the N pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; lower is better. NaN if no pixel counts.

    Raises:
      TypeError: `saliency` is not floating point, or a mask is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: F. Perazzi et al., "Saliency filters", CVPR 2012.

    >>> print(mean_absolute_error(jnp.array([[1., .5]]), jnp.array([[True, False]])))
    0.25
    """
    saliency, mask, where = _checks.map_and_mask(saliency, mask, where)
    return _numerics.masked_mean(jnp.abs(saliency - mask.astype(jnp.float32)), where)


def _localization(fn, formula, direction, undefined, cost, source, **more):
    return _spec.MetricSpec(
        fn=fn,
        inputs=("saliency", "truth"),
        family="map against region",
        formula=formula,
        range=(0.0, 1.0),
        direction=direction,
        undefined=undefined,
        cost=cost,
        source=source,
        skill=True,
        regions=REGIONS,
        **more,
    )


_NO_OBJECT = "the object is empty"
_NO_ENERGY = "the map has no energy, or the object is empty"

SPECS = (
    _localization(
        pointing_game,
        "1[argmax S in M]",
        1,
        _NO_OBJECT,
        "O(HW)",
        "Zhang et al. 2018",
        static=("tolerance",),
    ),
    _localization(
        energy_pointing_game,
        "sum_M S / sum S",
        1,
        _NO_ENERGY,
        "O(HW)",
        "Wang et al. 2020; Arras et al. 2022",
        static=("signed",),
    ),
    _localization(
        soft_precision,
        "sum_M S / sum S",
        1,
        _NO_ENERGY,
        "O(HW)",
        "Aabid and Sicre (notebook)",
    ),
    _localization(
        soft_recall,
        "sum_M S / |M|",
        1,
        _NO_OBJECT,
        "O(HW)",
        "Aabid and Sicre (notebook)",
    ),
    _localization(
        soft_f_score,
        "(1+b²) sum_M S / (sum S + b²|M|)",
        1,
        _NO_OBJECT,
        "O(HW)",
        "Aabid and Sicre (notebook)",
    ),
    _localization(
        mean_absolute_error,
        "mean |S - M|",
        -1,
        "no pixel counts",
        "O(HW)",
        "Perazzi et al. 2012",
    ),
)
