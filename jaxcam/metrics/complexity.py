"""The map alone: over how many pixels it spreads what it says."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from jaxcam import _checks, _numerics, _order, _spec
from jaxcam._types import Array


def entropy_complexity(
    saliency: Array, *, where: Array | None = None, signed: str | None = None
) -> Array:
    r"""Entropy of the map read as a distribution over the pixels.

    .. math::
      H(s) = -\sum_p q_p \ln q_p, \qquad q_p = \frac{s_p}{\sum_r s_r}

    In nats: 0 if all is in one pixel, ln N if it is spread evenly over N. Invariant to
    a positive factor and to the order of the pixels. One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], finite and non-negative unless `signed` says what to do.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      signed: "relu" drops negative values, "abs" takes magnitudes.

    Returns:
      float32[], in [0, ln N]; lower is simpler. NaN if the map sums to 0 or a valid
      value is NaN, infinite or negative.

    Raises:
      TypeError: `saliency` is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), the shapes differ, or `signed` is unknown.

    Cost: O(HW).

    Source: U. Bhatt, A. Weller and J. Moura, "Evaluating and aggregating feature-based
    model explanations", IJCAI 2020 (arXiv:2005.00631), on magnitudes (`signed="abs"`).

    >>> print(f"{entropy_complexity(jnp.array([[1., 1.], [0., 2.]])):.4f}")  # 1.5 ln 2
    1.0397
    """
    saliency, where = _checked(saliency, where, signed)
    kept = _numerics.ratio(jnp.where(where, saliency, 0.0), _highest(saliency, where))
    shares = _numerics.ratio(kept, jnp.sum(kept))
    entropy = jnp.sum(jax.scipy.special.entr(shares))
    return _numerics.undefined_if(_not_a_measure(saliency, where), entropy)


def effective_size(
    saliency: Array, *, where: Array | None = None, signed: str | None = None
) -> Array:
    r"""Share of the pixels over which an even map of the same entropy would spread.

    .. math::
      \frac{e^{H(s)}}{N}

    :math:`H` is `entropy_complexity`: 1 / N if all is in one pixel; the share of
    non-zero pixels if these are equal; 1 for a constant map. Unlike the entropy it does
    not depend on the resolution. One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], finite and non-negative unless `signed` says what to do.
      where: bool[H, W], the N pixels that count. `None` counts every pixel.
      signed: "relu" drops negative values, "abs" takes magnitudes.

    Returns:
      float32[], in [1 / N, 1]; lower is simpler. NaN if the map sums to 0 or a valid
      value is NaN, infinite or negative.

    Raises:
      TypeError: `saliency` is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), the shapes differ, or `signed` is unknown.

    Cost: O(HW).

    Source: the exponential of Shannon's entropy as a number of equal classes: M. O.
    Hill, "Diversity and evenness", Ecology 54, 1973; divided by their largest number.

    >>> print(effective_size(jnp.array([[1., 1.], [0., 0.]])))
    0.5
    """
    entropy = entropy_complexity(saliency, where=where, signed=signed)
    _, where = _checked(saliency, where, signed)
    size = _numerics.ratio(jnp.exp(entropy), _numerics.count(where))
    return jnp.minimum(size, 1.0)  # What rounding adds to an even map.


def l1_complexity(saliency: Array, *, where: Array | None = None) -> Array:
    r"""Mean magnitude of the map: how much of the image it shows.

    .. math::
      \frac{1}{N} \sum_p |s_p|

    Depends on the scale of the map, unlike the other three. One image; batch with
    `jax.vmap`.

    Args:
      saliency: float[H, W], in [0, 1].
      where: bool[H, W], the N pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; lower is simpler. NaN if no pixel counts or a valid value is
      NaN.

    Raises:
      TypeError: `saliency` is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: S. Poppi et al., "Revisiting the evaluation of class activation mapping for
    explainability", CVPRW 2021 (arXiv:2104.10252), where it is a part of ADCC.

    >>> print(l1_complexity(jnp.array([[1., 0.], [0., 0.]])))
    0.25
    """
    saliency, where = _checked(saliency, where, None)
    return _numerics.masked_mean(jnp.abs(saliency), where)


def gini_sparseness(
    saliency: Array, *, where: Array | None = None, signed: str | None = None
) -> Array:
    r"""Gini coefficient of the map: how unevenly it spreads over the pixels.

    .. math::
      G(s) = \frac{\sum_{i=1}^N (2 i - N - 1) \, s_{(i)}}{N \sum_i s_{(i)}},
      \qquad s_{(1)} \le \dots \le s_{(N)}

    Exactly 0 for a constant map and 1 - 1/N if all is in one pixel. Invariant to a
    positive factor and to the order of the pixels. One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], finite and non-negative unless `signed` says what to do.
      where: bool[H, W], the N pixels that count. `None` counts every pixel.
      signed: "relu" drops negative values, "abs" takes magnitudes.

    Returns:
      float32[], in [0, 1); higher is sparser. NaN if the map sums to 0 or a valid value
      is NaN, infinite or negative.

    Raises:
      TypeError: `saliency` is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), the shapes differ, or `signed` is unknown.

    Cost: O(HW log HW), a sort that metrics of one map share.

    Source: N. Hurley and S. Rickard, "Comparing measures of sparsity", IEEE
    Transactions on Information Theory 55, 2009; for explanations P. Chalasani et al.,
    "Concise explanations of neural networks using adversarial training", ICML 2020
    (arXiv:1810.06583), on magnitudes (`signed="abs"`).

    >>> print(gini_sparseness(jnp.array([[0., 0.], [0., 5.]])))
    0.75
    """
    saliency, where = _checked(saliency, where, signed)
    count = _numerics.count(where)
    order = _order.descending(saliency)
    equal = _order.counts(order, where)
    # Where a group of n equals begins, with m values down to its end: its mean rank
    # from below is N - m + (n + 1) / 2.
    ends = _order.running_sum(equal).astype(jnp.float32)
    equals = equal.astype(jnp.float32)
    centred_rank = count - 2 * ends + equals
    unit = _numerics.ratio(order.values, _highest(saliency, where))
    sums = jnp.where(equal > 0, unit * equals, 0.0)
    gini = _numerics.ratio(jnp.sum(sums * centred_rank), count * jnp.sum(sums))
    return _numerics.undefined_if(_not_a_measure(saliency, where), gini)


def _checked(
    saliency: Array, where: Array | None, signed: str | None
) -> tuple[Array, Array]:
    _checks.choice("signed", signed, (None, "relu", "abs"))
    saliency = _checks.saliency_map(saliency)
    where = _checks.valid_pixels(where, saliency)
    if signed is not None:
        saliency = jnp.abs(saliency) if signed == "abs" else jnp.maximum(saliency, 0.0)
    return saliency, where


def _highest(saliency: Array, where: Array) -> Array:
    """The maximum, by which maps are divided first so that no sum overflows."""
    return jnp.max(saliency, where=where, initial=0.0)


def _not_a_measure(saliency: Array, where: Array) -> Array:
    """Whether a valid value is NaN, infinite or negative."""
    return jnp.any(where & ~((saliency >= 0) & jnp.isfinite(saliency)))


def _alone(fn, formula, highest, direction, cost, source, *, static=("signed",)):
    undefined = "the map sums to 0" if static else "no pixel counts"
    return _spec.MetricSpec(
        fn=fn,
        inputs=("saliency",),
        family="the map alone",
        formula=formula,
        range=(0.0, highest),
        direction=direction,
        undefined=undefined,
        cost=cost,
        source=source,
        static=static,
    )


SPECS = (
    _alone(
        entropy_complexity,
        "-sum q ln q, q = S / sum S",
        math.inf,
        -1,
        "O(HW)",
        "Bhatt et al. 2020",
    ),
    _alone(effective_size, "exp(entropy) / N", 1.0, -1, "O(HW)", "Hill 1973"),
    _alone(l1_complexity, "mean |S|", 1.0, -1, "O(HW)", "Poppi et al. 2021", static=()),
    _alone(
        gini_sparseness,
        "sum (2i - N - 1) S_(i) / (N sum S)",
        1.0,
        1,
        "one sort",
        "Hurley and Rickard 2009; Chalasani et al. 2020",
    ),
)
