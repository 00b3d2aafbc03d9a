"""Remove and debias: what is left when removed pixels are imputed from the others."""

from __future__ import annotations

import functools

import jax.numpy as jnp

from jaxcam import _spec
from jaxcam._types import Array


def road_morf(road_morf_scores: Array) -> Array:
    r"""Mean probability of the class without the most salient pixels.

    .. math::
      \frac{1}{L} \sum_{k=1}^{L} p_c\left(x_{-k / (L + 1)}\right)

    :math:`x_{-q}` is the image without the most salient share q of its pixels, exactly
    round(q HW) of them: each becomes the weighted mean of its eight neighbours (1/6 at
    the sides, 1/12 at the corners, renormalised at the border), all at once, plus noise
    of standard deviation 0.01 in the normalised space. A hole then looks like its
    surroundings, and its shape says little. L = 9. Options: `levels`, `noise`,
    `tolerance`, `ties`, `score`; noise and the order of equally salient pixels come
    from the image's id. One image; batch with `jax.vmap`.

    Args:
      road_morf_scores: float[L], the class's score at each level.

    Returns:
      float32[], in [0, 1], of logits without a bound; lower is better. NaN if a score
      is.

    Raises:
      Nothing.

    Cost: 9 forward passes and imputations, by the probe `road_morf_scores`.

    Source: Y. Rong et al., "A consistent and efficient evaluation strategy for
    attribution methods", ICML 2022 (arXiv:2202.00449), who count correct predictions:
    `road_accuracy`. pytorch-grad-cam subtracts the probability on the image itself, and
    removes all pixels that tie with the percentile.

    >>> print(road_morf(jnp.array([0.75, 0.25])))
    0.5
    """
    return jnp.mean(road_morf_scores)


def road_lerf(road_lerf_scores: Array) -> Array:
    r"""Mean probability of the class without the least salient pixels.

    .. math::
      \frac{1}{L} \sum_{k=1}^{L} p_c\left(x_{+(1 - k / (L + 1))}\right)

    As `road_morf`, but the pixels that are removed and imputed are the least salient
    ones. One image; batch with `jax.vmap`.

    Args:
      road_lerf_scores: float[L], the class's score at each level.

    Returns:
      float32[], in [0, 1], of logits without a bound; higher is better. NaN if a score
      is.

    Raises:
      Nothing.

    Cost: 9 forward passes and imputations, by the probe `road_lerf_scores`.

    Source: as `road_morf`.

    >>> print(road_lerf(jnp.array([0.75, 0.25])))
    0.5
    """
    return jnp.mean(road_lerf_scores)


def road(road_morf_scores: Array, road_lerf_scores: Array) -> Array:
    r"""How much more the least salient pixels can be spared than the most salient ones.

    .. math::
      \frac{\mathrm{LeRF} - \mathrm{MoRF}}{2}

    of `road_lerf` and `road_morf`; a random map has 0 in the mean. One image; batch
    with `jax.vmap`.

    Args:
      road_morf_scores: float[L], the class's score without the most salient pixels.
      road_lerf_scores: float[L], the class's score without the least salient pixels.

    Returns:
      float32[], in [-0.5, 0.5], of logits without a bound; higher is better. NaN if a
      score is.

    Raises:
      Nothing.

    Cost: 18 forward passes and imputations, by the probes `road_morf_scores` and
    `road_lerf_scores`.

    Source: as `road_morf`; the combination as pytorch-grad-cam has it.

    >>> print(road(jnp.array([0.25]), jnp.array([0.75])))
    0.25
    """
    return (jnp.mean(road_lerf_scores) - jnp.mean(road_morf_scores)) / 2


def road_accuracy(road_morf_hits: Array, road_lerf_hits: Array) -> Array:
    r"""`road` by correct predictions instead of probabilities.

    .. math::
      \frac{1}{2L} \sum_{k=1}^{L} 1\left[\hat c(x_{+(1 - k / (L + 1))}) = c\right]
      - 1\left[\hat c(x_{-k / (L + 1)}) = c\right]

    One image; batch with `jax.vmap`.

    Args:
      road_morf_hits: float[L], 1 where the model still predicts the class without the
        most salient pixels.
      road_lerf_hits: float[L], the same without the least salient pixels.

    Returns:
      float32[], in [-0.5, 0.5]; higher is better. NaN if the map has a NaN.

    Raises:
      Nothing.

    Cost: 18 forward passes and imputations, as `road`.

    Source: as `road_morf`.

    >>> print(road_accuracy(jnp.array([0., 0.]), jnp.array([1., 0.])))
    0.25
    """
    return (jnp.mean(road_lerf_hits) - jnp.mean(road_morf_hits)) / 2


_spec_of = functools.partial(
    _spec.MetricSpec,
    family="faithfulness",
    undefined="a score is NaN",
    source="Rong et al. 2022",
)

SPECS = (
    _spec_of(
        fn=road_morf,
        inputs=("road_morf_scores",),
        formula="mean p without the most salient pixels, imputed from the others",
        range=(0.0, 1.0),
        direction=-1,
        cost="9 forward passes and imputations",
    ),
    _spec_of(
        fn=road_lerf,
        inputs=("road_lerf_scores",),
        formula="mean p without the least salient pixels, imputed from the others",
        range=(0.0, 1.0),
        direction=1,
        cost="9 forward passes and imputations",
    ),
    _spec_of(
        fn=road,
        inputs=("road_morf_scores", "road_lerf_scores"),
        formula="(road_lerf - road_morf) / 2",
        range=(-0.5, 0.5),
        direction=1,
        cost="18 forward passes and imputations",
    ),
    _spec_of(
        fn=road_accuracy,
        inputs=("road_morf_hits", "road_lerf_hits"),
        formula="(share of right predictions under LeRF - under MoRF) / 2",
        range=(-0.5, 0.5),
        direction=1,
        cost="18 forward passes and imputations",
        fixed=("score",),
    ),
)
