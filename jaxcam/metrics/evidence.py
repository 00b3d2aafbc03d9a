"""Where the explanation puts its energy, and where the model has its evidence.

The box of an object holds more than the object: the ring between the two. A map that
is scored on boxes is rewarded for energy there, whether the model looks there or not.
Here an image falls into three parts, in this order: the object, the ring (the truth
boxes without the object) and the context (what is outside of the boxes). The share of
the map's energy in each is held against what the model loses without it.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from jaxcam import _checks, _numerics, _spec
from jaxcam._types import Array

PARTS = ("object", "ring", "context")

LEAST = 0.01
"""Sum of the positive effects, a hundredth of the score, below which how they are
divided between the parts says nothing: no part is missed, or only by rounding."""


def evidence_parts(mask: Array, where: Array, truth_box_region: Array) -> Array:
    """bool[3, H, W]: object, ring and context, apart and within the pixels that count.

    A pixel that does not count, as the border of a trimap, belongs to none of them.
    """
    mask, boxes = mask & where, truth_box_region & where
    return jnp.stack([mask, boxes & ~mask, where & ~boxes & ~mask])


def region_energies(
    saliency: Array, evidence_parts: Array, *, signed: str | None = None
) -> Array:
    """float32[3]: shares of the map's energy, NaN for a zero map or without truth.

    Of the object it is `energy_pointing_game`, and `signed` means the same.
    """
    _checks.choice("signed", signed, (None, "relu", "abs"))
    if signed is not None:
        saliency = jnp.abs(saliency) if signed == "abs" else jnp.maximum(saliency, 0.0)
    inside = jnp.stack(
        [_numerics.masked_sum(saliency, evidence_parts[i]) for i in range(len(PARTS))]
    )
    shares = _numerics.ratio(inside, jnp.sum(inside))
    return _numerics.undefined_if(_no_truth(evidence_parts), shares)


def region_effects(
    image_score: Array,
    region_drops: Array,
    evidence_parts: Array,
    *,
    score: str = "probability",
) -> Array:
    """float32[3]: drops of a probability as shares of it, of a logit as they are."""
    _checks.choice("score", score, _numerics.SCORES)
    effects = region_drops
    if score == "probability":
        effects = _numerics.ratio(region_drops, jnp.full_like(effects, image_score))
    return _numerics.undefined_if(_no_truth(evidence_parts), effects)


def _no_truth(parts: Array) -> Array:
    """Whether the object is empty; without a box the plan knows there is no truth."""
    return ~jnp.any(parts[0])


def region_energy(region_energies: Array, *, part: str = "ring") -> Array:
    r"""Share of the map's energy in the object, its ring or its context.

    .. math::
      e_r = \frac{\sum_{p \in r} s_p}{\sum_p s_p}

    The three add up to 1. Of the object it is `energy_pointing_game`. One image; batch
    with `jax.vmap`.

    Args:
      region_energies: float[3], of object, ring and context; the field of that name.
      part: "object"; "ring", the truth boxes without the object; "context", what is
        outside of the boxes.

    Returns:
      float32[], in [0, 1]. NaN if the map has no energy, or there is no object or box.

    Raises:
      ValueError: `part` is another word.

    Cost: O(HW).

    Source: ours.

    >>> print(region_energy(jnp.array([0.5, 0.25, 0.25])))
    0.25
    """
    return _part(region_energies, part)


def region_effect(region_effects: Array, *, part: str = "ring") -> Array:
    r"""What the class's score loses without the object, its ring or its context.

    .. math::
      w_r = \frac{p - p_{-r}}{p}

    `p_{-r}` is the probability on the image whose part r is replaced by a canvas, a
    blurred image by default. With `score="logit"` it is the difference of the logits.
    One image; batch with `jax.vmap`.

    Of a data set it is the median over the images, not the mean: a share has no bound
    below, and of an image that the model hardly recognises it can be -100,000, so that
    one image would be the mean. The sum of the drops over the sum of the scores, for
    which each image's share is multiplied by its probability, says nearly the same.

    Args:
      region_effects: float[3], of object, ring and context; the field of that name.
      part: "object"; "ring", the truth boxes without the object; "context", what is
        outside of the boxes.

    Returns:
      float32[], at most 1 for probabilities, of logits without a bound; negative where
      the part speaks against the class, 0 for a part without a pixel. NaN if there is
      no object or box, or p is 0.

    Raises:
      ValueError: `part` is another word.

    Cost: four forward passes an image, by the probe `region_drops`, for all parts and
    maps.

    Source: ours; occlusion of a region after M. Zeiler and R. Fergus, ECCV 2014
    (arXiv:1311.2901).

    >>> print(region_effect(jnp.array([0.75, 0.125, 0.0]), part="object"))
    0.75
    """
    return _part(region_effects, part)


def _part(values: Array, part: str) -> Array:
    _checks.choice("part", part, PARTS)
    return values[PARTS.index(part)].astype(jnp.float32)


def evidence_ring(
    region_energies: Array, region_effects: Array, evidence_parts: Array
) -> Array:
    r"""How far the map's energy is from where the model has its evidence.

    .. math::
      \frac{1}{2} \sum_{r} \left| e_r - \frac{\max(w_r, 0)}{\sum_q \max(w_q, 0)} \right|

    The total variation distance between two distributions over object, ring and
    context: of the map's energy, `region_energy`, and of the effects that count for
    the class, `region_effect`. 0 if energy lies where the evidence is; 1 if it lies
    only where there is none, as that of a map which fills the box of an object whose
    surroundings the model does not read. It says nothing about where inside of a part
    the energy lies. One image; batch with `jax.vmap`.

    Args:
      region_energies: float[3], shares of the energy in object, ring and context.
      region_effects: float[3], what the score loses without each.
      evidence_parts: bool[3, H, W], where they are.

    Returns:
      float32[], in [0, 1]; lower is better. NaN if the positive effects add up to less
      than .01, a hundredth of the probability: how so little is divided between the
      parts is noise. NaN if fewer than two parts have a pixel, since every map would be
      perfect, if an effect is NaN, the map has no energy, or there is no object or box.

    Raises:
      Nothing.

    Cost: four forward passes an image, by the probe `region_drops`, for all maps.

    Source: ours.

    >>> parts = jnp.array([[[True, False]], [[False, True]], [[False, False]]])
    >>> effects = jnp.array([0.75, 0.0, -0.5])
    >>> print(evidence_ring(jnp.array([0.5, 0.5, 0.0]), effects, parts))
    0.5
    """
    gains = jnp.maximum(region_effects, 0.0)
    evidence = _numerics.ratio(gains, jnp.full_like(gains, jnp.sum(gains)))
    distance = 0.5 * jnp.sum(jnp.abs(region_energies - evidence)).astype(jnp.float32)
    there = jnp.sum(jnp.any(evidence_parts, axis=(1, 2)))
    return _numerics.undefined_if((jnp.sum(gains) < LEAST) | (there < 2), distance)


def _median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median over the images, float64[R]: values [n] or [n, 1], weights [R, n]."""
    values = np.asarray(values, np.float64).reshape(-1)
    order = np.argsort(values, kind="stable")[: np.count_nonzero(~np.isnan(values))]
    if not order.size:
        return np.full(len(weights), np.nan)
    reached = np.cumsum(np.asarray(weights, np.float64)[:, order], axis=1)
    half = reached[:, -1:] / 2
    ends = [np.argmax(found, axis=1) for found in (reached >= half, reached > half)]
    middle = values[order][np.stack(ends)].mean(axis=0)
    return np.where(half[:, 0] > 0, middle, np.nan)


FIELDS = (
    _spec.FieldSpec(
        fn=evidence_parts,
        inputs=("mask", "where", "truth_box_region"),
        name="evidence_parts",
    ),
    _spec.FieldSpec(
        fn=region_energies,
        inputs=("saliency", "evidence_parts"),
        name="region_energies",
        static=("signed",),
    ),
    _spec.FieldSpec(
        fn=region_effects,
        inputs=("image_score", "region_drops", "evidence_parts"),
        name="region_effects",
        static=("score",),
    ),
)

_COST = "4 forward passes, shared by all maps"

SPECS = (
    _spec.MetricSpec(
        fn=region_energy,
        inputs=("region_energies",),
        family="evidence",
        formula="sum_R S / sum S, R the object, its ring or its context",
        range=(0.0, 1.0),
        direction=0,
        undefined="the map has no energy, or there is no object or box",
        cost="O(HW)",
        source="ours",
        static=("part",),
    ),
    _spec.MetricSpec(
        fn=region_effect,
        inputs=("region_effects",),
        family="evidence",
        formula="median of (p - p without R) / p, R the object, ring or context",
        range=(-float("inf"), 1.0),
        direction=0,
        undefined="there is no object or box, or p = 0",
        cost=_COST,
        source="ours",
        static=("part",),
        reduce=_median,
    ),
    _spec.MetricSpec(
        fn=evidence_ring,
        inputs=("region_energies", "region_effects", "evidence_parts"),
        family="evidence",
        formula="1/2 sum_R |energy_R - max(effect_R, 0) / sum_Q max(effect_Q, 0)|",
        range=(0.0, 1.0),
        direction=-1,
        undefined="the positive effects add up to less than .01, fewer than two parts "
        "have pixels, the map has no energy, or there is no object or box",
        cost=_COST,
        source="ours",
        companions=(
            *(f"region_energy[part={part}]" for part in PARTS),
            *(f"region_effect[part={part}]" for part in PARTS),
        ),
    ),
)
