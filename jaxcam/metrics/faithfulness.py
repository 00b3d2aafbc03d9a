"""What the explanation is worth to the model: arithmetic on the answers of probes."""

from __future__ import annotations

import math

import jax.numpy as jnp

from jaxcam import _numerics, _spec
from jaxcam._types import Array


def average_drop(probability: Array, masked_probability: Array) -> Array:
    r"""Share of the probability that is lost when only the salient part is shown.

    .. math::
      \mathrm{AD} = \frac{\max(0, p - o)}{p}

    The mean over images is the Average Drop. One image; batch with `jax.vmap`.

    Args:
      probability: float[], p, of the explained class on the image, positive.
      masked_probability: float[], o, on the image multiplied by its map.

    Returns:
      float32[], in [0, 1]; lower is better. NaN if p is zero or either is NaN.

    Raises:
      Nothing.

    Cost: one forward pass, by the probe `masked_score`.

    Source: A. Chattopadhay et al., "Grad-CAM++", WACV 2018 (arXiv:1710.11063).

    >>> print(average_drop(jnp.float32(0.75), jnp.float32(0.375)))
    0.5
    """
    return _numerics.ratio(
        jnp.maximum(probability - masked_probability, 0.0), probability
    )


def absolute_drop(image_score: Array, masked_image_score: Array) -> Array:
    r"""Probability that is lost when only the salient part is shown.

    .. math::
      \max(0, p - o)

    With `score="logit"` p and o are logits. One image; batch with `jax.vmap`.

    Args:
      image_score: float[], p, of the explained class on the image.
      masked_image_score: float[], o, on the image multiplied by its map.

    Returns:
      float32[], in [0, 1], of logits without a bound; lower is better. NaN if either is
      NaN.

    Raises:
      Nothing.

    Cost: one forward pass, by the probe `masked_score`.

    Source: what some libraries report under the name of drop in confidence, without
    dividing by p.

    >>> print(absolute_drop(jnp.float32(0.75), jnp.float32(0.5)))
    0.25
    """
    return jnp.maximum(image_score - masked_image_score, 0.0)


def seed_average_drop(probability: Array, masked_probability: Array) -> Array:
    r"""Relative change of the probability, gains counted as losses.

    .. math::
      \frac{|p - o|}{p}

    One image; batch with `jax.vmap`.

    Args:
      probability: float[], p, of the explained class on the image, positive.
      masked_probability: float[], o, on the image multiplied by its map.

    Returns:
      float32[], at least 0; lower is better. NaN if p is zero or either is NaN.

    Raises:
      Nothing.

    Cost: one forward pass, by the probe `masked_score`.

    Source: the formula as the paper's published code has it.

    >>> print(seed_average_drop(jnp.float32(0.5), jnp.float32(0.75)))
    0.5
    """
    return _numerics.ratio(jnp.abs(probability - masked_probability), probability)


def average_increase(
    image_score: Array, masked_image_score: Array, *, strict: bool = True
) -> Array:
    r"""Whether the salient part alone is more convincing than the image.

    .. math::
      1[o > p]

    The mean over images is the Average Increase. With `score="logit"` p and o are
    logits. One image; batch with `jax.vmap`.

    Args:
      image_score: float[], p, of the explained class on the image.
      masked_image_score: float[], o, on the image multiplied by its map.
      strict: False counts o = p too, as the paper writes it.

    Returns:
      float32[], 0 or 1; higher is better. NaN if either is NaN.

    Raises:
      Nothing.

    Cost: one forward pass, by the probe `masked_score`.

    Source: A. Chattopadhay et al., "Grad-CAM++", WACV 2018 (arXiv:1710.11063).

    >>> print(average_increase(jnp.float32(0.5), jnp.float32(0.75)))
    1.0
    """
    more = masked_image_score > image_score
    more = more if strict else masked_image_score >= image_score
    unknown = jnp.isnan(image_score) | jnp.isnan(masked_image_score)
    return _numerics.undefined_if(unknown, more.astype(jnp.float32))


def average_gain(probability: Array, masked_probability: Array) -> Array:
    r"""Share of what was missing to certainty that the salient part alone adds.

    .. math::
      \mathrm{AG} = \frac{\max(0, o - p)}{1 - p}

    One image; batch with `jax.vmap`.

    Args:
      probability: float[], p, of the explained class on the image, below 1.
      masked_probability: float[], o, on the image multiplied by its map.

    Returns:
      float32[], in [0, 1]; higher is better. NaN if p is 1 or either is NaN.

    Raises:
      Nothing.

    Cost: one forward pass, by the probe `masked_score`.

    Source: H. Zhang et al., "Opti-CAM", 2024 (arXiv:2301.07002).

    >>> print(average_gain(jnp.float32(0.5), jnp.float32(0.75)))
    0.5
    """
    gain = jnp.maximum(masked_probability - probability, 0.0)
    gain = jnp.where(jnp.isnan(masked_probability), jnp.nan, gain)
    return _numerics.ratio(gain, 1.0 - probability)


def saliency_metric(salient_box: Array, frame: Array, crop_probability: Array) -> Array:
    r"""How small a crop convinces the model: log area minus log probability.

    .. math::
      \mathrm{SM} = \log \max(0.05, a) - \log p_B

    `a` is the share of the image that the tight box B of all salient pixels covers, and
    `p_B` the probability of the explained class on that crop, resized to the input. The
    two terms have columns of their own. One image; batch with `jax.vmap`.

    Args:
      salient_box: [4], `[y0, x0, y1, x1]`, half-open.
      frame: bool[H, W], pixels that are image.
      crop_probability: float[], on the crop, positive.

    Returns:
      float32[], at least log 0.05; lower is better. NaN if no pixel is salient or the
      probability is zero or NaN.

    Raises:
      Nothing.

    Cost: one forward pass, by the probe `crop_score`.

    Source: P. Dabkowski and Y. Gal, "Real time image saliency for black box
    classifiers", NeurIPS 2017 (arXiv:1705.07857).

    >>> frame = jnp.ones((4, 4), bool)
    >>> print(saliency_metric(jnp.array([0, 0, 2, 2]), frame, jnp.float32(0.25)))
    0.0
    """
    area = saliency_metric_area(salient_box, frame)
    return area + saliency_metric_confidence(crop_probability)


def saliency_metric_area(salient_box: Array, frame: Array) -> Array:
    r"""The area term of `saliency_metric`.

    .. math::
      \log \max(0.05, a)

    One image; batch with `jax.vmap`.

    Args:
      salient_box: [4], `[y0, x0, y1, x1]`, half-open.
      frame: bool[H, W], pixels that are image.

    Returns:
      float32[], in [log 0.05, 0]; lower is better. NaN if no pixel is salient.

    Raises:
      Nothing.

    Cost: O(HW).

    Source: as `saliency_metric`.

    >>> print(saliency_metric_area(jnp.array([0, 0, 4, 4]), jnp.ones((4, 4), bool)))
    0.0
    """
    box = salient_box.astype(jnp.float32)
    pixels = (box[2] - box[0]) * (box[3] - box[1])
    share = _numerics.ratio(pixels, _numerics.count(frame))
    return _numerics.undefined_if(pixels <= 0, jnp.log(jnp.maximum(share, 0.05)))


def saliency_metric_confidence(crop_probability: Array) -> Array:
    r"""The confidence term of `saliency_metric`.

    .. math::
      -\log p_B

    One image; batch with `jax.vmap`.

    Args:
      crop_probability: float[], on the crop, positive.

    Returns:
      float32[], at least 0; lower is better. NaN if the probability is zero or NaN.

    Raises:
      Nothing.

    Cost: one forward pass, by the probe `crop_score`.

    Source: as `saliency_metric`.

    >>> print(saliency_metric_confidence(jnp.float32(1.0)))
    -0.0
    """
    positive = jnp.where(crop_probability > 0, crop_probability, 1.0)
    return jnp.where(crop_probability > 0, -jnp.log(positive), jnp.nan)


def _faithfulness(fn, inputs, formula, bounds, direction, undefined, source, **more):
    return _spec.MetricSpec(
        fn=fn,
        inputs=inputs,
        family="faithfulness",
        formula=formula,
        range=bounds,
        direction=direction,
        undefined=undefined,
        cost="one forward pass",
        source=source,
        **more,
    )


_MASKED = ("probability", "masked_probability")
_MASKED_SCORES = ("image_score", "masked_image_score")
_NO_CROP = "no pixel is salient, or the probability is 0"

SPECS = (
    _faithfulness(
        average_drop,
        _MASKED,
        "max(0, p - o) / p",
        (0.0, 1.0),
        -1,
        "p = 0",
        "Chattopadhay et al. 2018",
    ),
    _faithfulness(
        absolute_drop,
        _MASKED_SCORES,
        "max(0, p - o)",
        (0.0, 1.0),
        -1,
        "a probability is NaN",
        "used by several libraries",
    ),
    _faithfulness(
        seed_average_drop,
        _MASKED,
        "|p - o| / p",
        (0.0, math.inf),
        -1,
        "p = 0",
        "Aabid and Sicre (notebook)",
    ),
    _faithfulness(
        average_increase,
        _MASKED_SCORES,
        "1[o > p]",
        (0.0, 1.0),
        1,
        "a probability is NaN",
        "Chattopadhay et al. 2018",
        static=("strict",),
    ),
    _faithfulness(
        average_gain,
        _MASKED,
        "max(0, o - p) / (1 - p)",
        (0.0, 1.0),
        1,
        "p = 1",
        "Zhang et al. 2024",
    ),
    _faithfulness(
        saliency_metric,
        ("salient_box", "frame", "crop_probability"),
        "log max(.05, a) - log p_crop",
        (math.log(0.05), math.inf),
        -1,
        _NO_CROP,
        "Dabkowski and Gal 2017",
        companions=("saliency_metric_area", "saliency_metric_confidence"),
    ),
    _faithfulness(
        saliency_metric_area,
        ("salient_box", "frame"),
        "log max(.05, a)",
        (math.log(0.05), 0.0),
        -1,
        "no pixel is salient",
        "Dabkowski and Gal 2017",
    ),
    _faithfulness(
        saliency_metric_confidence,
        ("crop_probability",),
        "-log p_crop",
        (0.0, math.inf),
        -1,
        _NO_CROP,
        "Dabkowski and Gal 2017",
    ),
)
