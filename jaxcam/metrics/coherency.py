"""Whether a map holds on the image that it leaves: coherency, and scores with it."""

from __future__ import annotations

import jax.numpy as jnp

from jaxcam import _numerics, _spec
from jaxcam._types import Array
from jaxcam.metrics import (
    complexity,
    faithfulness,
    map_similarity,
    remove_and_debias,
)


def coherency(
    saliency: Array, masked_saliency: Array, *, where: Array | None = None
) -> Array:
    r"""How alike the map is to the map of the image multiplied by it.

    .. math::
      \frac{1 + r(S(x), S(x \odot S(x)))}{2}

    r is Pearson's correlation, and both maps are of the same class and normalised
    alike. The options `masking_space` and `top_fraction` change the product as they do
    for `average_drop`. A map that does not look at the image scores 1, as the floors
    `random`, `centre` and `truth` do. One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], the map.
      masked_saliency: float[H, W], the map of the masked image.
      where: bool[H, W], pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; higher is better. NaN if a map is constant, as that of
      `uniform` and one of zeros are.

    Raises:
      TypeError: A map is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: one explanation, by the probe `masked_explanation`.

    Source: S. Poppi et al., "Revisiting the evaluation of class activation mapping for
    explainability", CVPRW 2021 (arXiv:2104.10252).

    >>> s = jnp.array([[1., 2.], [3., 4.]])
    >>> print(f"{coherency(s, 2 * s):.4f}", f"{coherency(s, -s):.4f}")
    1.0000 0.0000
    """
    return (1.0 + map_similarity.pearson(saliency, masked_saliency, where=where)) / 2.0


def adcc(
    saliency: Array,
    masked_saliency: Array,
    probability: Array,
    masked_probability: Array,
    *,
    where: Array | None = None,
) -> Array:
    r"""Harmonic mean of coherency, simplicity and the probability that is kept.

    .. math::
      \frac{3}{\frac{1}{\mathrm{coherency}} + \frac{1}{1 - \mathrm{complexity}}
      + \frac{1}{1 - \mathrm{drop}}}

    of `coherency`, `l1_complexity` and `average_drop` of one image; a term of zero
    makes it zero. The options `masking_space` and `top_fraction` are those of
    `average_drop`. One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], the map, in [0, 1].
      masked_saliency: float[H, W], the map of the masked image.
      probability: float[], of the explained class on the image, positive.
      masked_probability: float[], on the image multiplied by its map.
      where: bool[H, W], pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; higher is better. NaN where a term is, as the coherency of a
      constant map.

    Raises:
      TypeError: A map is not floating point, or `where` is not boolean.
      ValueError: An argument has another rank, or the shapes differ.

    Cost: one explanation and one forward pass, by the probes `masked_explanation` and
    `masked_score`.

    Source: S. Poppi et al., "Revisiting the evaluation of class activation mapping for
    explainability", CVPRW 2021 (arXiv:2104.10252), which takes the harmonic mean of
    means over images.

    >>> s = jnp.array([[0., 0.5], [0.5, 1.]])
    >>> print(adcc(s, s, jnp.float32(0.5), jnp.float32(0.25)))  # 3 / (1 + 2 + 2)
    0.6
    """
    return _harmonic_mean(
        coherency(saliency, masked_saliency, where=where),
        1.0 - complexity.l1_complexity(saliency, where=where),
        1.0 - faithfulness.average_drop(probability, masked_probability),
    )


def arcc(
    saliency: Array,
    masked_saliency: Array,
    road_morf_scores: Array,
    road_lerf_scores: Array,
    *,
    where: Array | None = None,
) -> Array:
    r"""Harmonic mean of coherency, simplicity and ROAD.

    .. math::
      \frac{3}{\frac{1}{\mathrm{coherency}} + \frac{1}{1 - \mathrm{complexity}}
      + \frac{1}{\mathrm{clip}(2\,\mathrm{ROAD},\, 0,\, 1)}}

    of `coherency`, `l1_complexity` and `road` of one image, ROAD with 4 levels: shares
    .2, .4, .6 and .8. A term of zero makes it zero. Options: those of `coherency`, and
    `levels`, `noise`, `tolerance` and `ties` of `road`. One image; batch with
    `jax.vmap`.

    Args:
      saliency: float[H, W], the map, in [0, 1].
      masked_saliency: float[H, W], the map of the masked image.
      road_morf_scores: float[L], probabilities without the most salient pixels.
      road_lerf_scores: float[L], probabilities without the least salient pixels.
      where: bool[H, W], pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [0, 1]; higher is better. NaN where a term is, as the coherency of a
      constant map.

    Raises:
      TypeError: A map is not floating point, or `where` is not boolean.
      ValueError: An argument has another rank, or the shapes differ.

    Cost: one explanation, 8 forward passes and imputations, by the probes
    `masked_explanation`, `road_morf_scores` and `road_lerf_scores`.

    Source: arXiv:2605.14641, as implemented in pytorch-grad-cam, which adds 1e-8 to
    each denominator.

    >>> s = jnp.array([[0., 0.5], [0.5, 1.]])
    >>> print(arcc(s, s, jnp.array([0.25]), jnp.array([0.75])))  # 3 / (1 + 2 + 2)
    0.6
    """
    both = remove_and_debias.road(road_morf_scores, road_lerf_scores)
    return _harmonic_mean(
        coherency(saliency, masked_saliency, where=where),
        1.0 - complexity.l1_complexity(saliency, where=where),
        jnp.clip(2.0 * both, 0.0, 1.0),
    )


def _harmonic_mean(*terms: Array) -> Array:
    """Of terms that are at least 0: 0 if one is, NaN if one is NaN."""
    stacked = jnp.stack(terms)
    positive = jnp.all(stacked > 0)
    inverse = jnp.sum(1.0 / jnp.where(stacked > 0, stacked, 1.0))
    mean = jnp.where(positive, len(terms) / inverse, 0.0)
    return _numerics.undefined_if(jnp.any(jnp.isnan(stacked)), mean)


def _coherent(fn, inputs, formula, undefined, cost, source="Poppi et al. 2021", **more):
    return _spec.MetricSpec(
        fn=fn,
        inputs=inputs,
        family="faithfulness",
        formula=formula,
        range=(0.0, 1.0),
        direction=1,
        undefined=undefined,
        cost=cost,
        source=source,
        **more,
    )


SPECS = (
    _coherent(
        coherency,
        ("saliency", "masked_saliency"),
        "(1 + pearson(S, S of the masked image)) / 2",
        "a map is constant",
        "one explanation",
    ),
    _coherent(
        adcc,
        ("saliency", "masked_saliency", "probability", "masked_probability"),
        "3 / (1/coherency + 1/(1 - l1_complexity) + 1/(1 - drop))",
        "a map is constant, or p = 0",
        "one explanation and one forward pass",
    ),
    _coherent(
        arcc,
        ("saliency", "masked_saliency", "road_morf_scores", "road_lerf_scores"),
        "3 / (1/coherency + 1/(1 - l1_complexity) + 1/clip(2 road, 0, 1))",
        "a map is constant",
        "one explanation, 8 forward passes and imputations",
        "arXiv:2605.14641",
        default_options={"levels": 4},
        fixed=("score",),
    ),
)
