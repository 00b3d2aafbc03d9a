"""How far a map moves when the image hardly does."""

from __future__ import annotations

import math

import jax.numpy as jnp

from jaxcam import _numerics, _spec
from jaxcam._types import Array


def max_sensitivity(neighbour_changes: Array) -> Array:
    r"""Largest change of the map when the image moves a little, as a share of it.

    .. math::
      \max_{x'} \frac{\|S(x') - S(x)\|_2}{\|S(x)\|_2}, \qquad
      x' - x \sim U[-r, r]^{H \times W \times C}

    S is the map before it is normalised, of the same class in both images; x is the
    model's input tensor after preprocessing, r = 0.02, and the maximum is over 10
    neighbours by the image's id: options `radius` and `samples`. A method that draws
    numbers draws the same ones again, so the change is the image's. A map that does not
    look at the image has 0, as the floors but `sobel` have: steadiness is no merit by
    itself. Invariant to a positive factor. One image; batch with `jax.vmap`.

    Args:
      neighbour_changes: float[n], relative length of the change for each neighbour.

    Returns:
      float32[], at least 0, dimensionless; lower is better. NaN if the map is zero.

    Raises:
      Nothing.

    Cost: 10 explanations, by the probe `neighbour_changes`.

    Source: C.-K. Yeh et al., "On the (in)fidelity and sensitivity of explanations",
    NeurIPS 2019 (arXiv:1901.09392); ball, radius, number and norms as in captum, which
    takes the length of a map of zeros for 1.

    >>> print(max_sensitivity(jnp.array([0.25, 0.75])))
    0.75
    """
    return jnp.max(neighbour_changes)


def avg_sensitivity(neighbour_changes: Array) -> Array:
    r"""Mean change of the map when the image moves a little, as a share of it.

    .. math::
      \mathrm{E}_{x'} \frac{\|S(x') - S(x)\|_2}{\|S(x)\|_2}

    As `max_sensitivity`, with the mean over the neighbours. One image; batch with
    `jax.vmap`.

    Args:
      neighbour_changes: float[n], relative length of the change for each neighbour.

    Returns:
      float32[], at least 0, dimensionless; lower is better. NaN if the map is zero.

    Raises:
      Nothing.

    Cost: 10 explanations, by the probe `neighbour_changes`.

    Source: as `max_sensitivity`; the mean as in U. Bhatt, A. Weller and J. Moura,
    "Evaluating and aggregating feature-based model explanations", IJCAI 2020
    (arXiv:2005.00631).

    >>> print(avg_sensitivity(jnp.array([0.25, 0.75])))
    0.5
    """
    return jnp.mean(neighbour_changes)


def relative_input_stability(relative_neighbour_changes: Array) -> Array:
    r"""Largest change of the map over that of the image, both as shares of values.

    .. math::
      \max_{x'} \frac{\left\|\frac{S(x') - S(x)}{\max(|S(x)|, \epsilon)}\right\|_2}
      {\max\left(\left\|\frac{x' - x}{\max(|x|, \epsilon)}\right\|_2,
      \epsilon\right)}

    Divisions are value by value and :math:`\epsilon = 10^{-6}`, the option `epsilon`;
    maps are normalised first, which gives it a meaning. Where a map is zero a change
    counts a million times, so that maps with zeros, as rectified ones have, differ by
    orders of magnitude: read logarithms or medians, or raise it. Neighbours are those
    of `max_sensitivity`, less those that the model predicts to be of another class. One
    image; batch with `jax.vmap`.

    Args:
      relative_neighbour_changes: float[n], the ratio for each neighbour, -inf for those
        of another class.

    Returns:
      float32[], at least 0, dimensionless; lower is better. NaN if every neighbour is
      of another class, or the map of one that counts is NaN.

    Raises:
      Nothing.

    Cost: 10 explanations and forward passes, by the probe
    `relative_neighbour_changes`.

    Source: C. Agarwal et al., "Rethinking stability for attribution-based
    explanations", 2022 (arXiv:2203.06877); epsilon as in Quantus, which puts it in the
    place of zeros only. The ball is that of `max_sensitivity`.

    >>> print(relative_input_stability(jnp.array([1., -jnp.inf, 3.])))
    3.0
    """
    highest = jnp.max(relative_neighbour_changes)
    return _numerics.undefined_if(jnp.isneginf(highest), highest)


def _robustness(fn, inputs, formula, undefined, cost, source):
    return _spec.MetricSpec(
        fn=fn,
        inputs=inputs,
        family="robustness",
        formula=formula,
        range=(0.0, math.inf),
        direction=-1,
        undefined=undefined,
        cost=cost,
        source=source,
    )


SPECS = (
    _robustness(
        max_sensitivity,
        ("neighbour_changes",),
        "max over x' of |S(x') - S(x)| / |S(x)|",
        "the map is zero",
        "10 explanations",
        "Yeh et al. 2019",
    ),
    _robustness(
        avg_sensitivity,
        ("neighbour_changes",),
        "mean over x' of |S(x') - S(x)| / |S(x)|",
        "the map is zero",
        "10 explanations",
        "Yeh et al. 2019; Bhatt et al. 2020",
    ),
    _robustness(
        relative_input_stability,
        ("relative_neighbour_changes",),
        "max over x' of |(S(x') - S(x)) / S(x)| / |(x' - x) / x|",
        "the model predicts another class for every x'",
        "10 explanations and forward passes",
        "Agarwal et al. 2022",
    ),
)
