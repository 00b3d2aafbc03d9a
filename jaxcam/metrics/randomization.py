"""Whether a map depends on what the network has learnt and on the class."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from jaxcam import _checks, _numerics, _spec
from jaxcam._types import Array
from jaxcam.metrics import map_similarity

Similarity = Literal["spearman", "pearson", "ssim"]

_SIMILARITIES = {
    "spearman": map_similarity.spearman,
    "pearson": map_similarity.pearson,
    "ssim": map_similarity.ssim,
}


def parameter_randomization(
    saliency: Array,
    randomized_saliency: Array,
    *,
    where: Array | None = None,
    similarity: Similarity = "spearman",
) -> Array:
    r"""How alike the map stays when the network's parameters become random.

    .. math::
      \frac{1}{n} \sum_{k=1}^{n} \mathrm{sim}\left(S_\theta, S_{\theta_k}\right)

    In :math:`\theta_k` the topmost k/n of the modules that hold parameters are random,
    in the order in which the network uses them, in the last all of them: cascading, top
    down, in n = 4 stages (the option `stages`; 1 is the random network alone). A random
    array has entries drawn from its own with replacement, by `seed`, the same for all
    images. The similarity is Spearman's rank correlation, or `ssim` or `pearson`, of
    the normalised maps of one class. A map that does not look at the parameters scores
    1, as the floors do; a constant map has no rank correlation, but ssim. One image;
    batch with `jax.vmap`.

    Args:
      saliency: float[H, W], the map.
      randomized_saliency: float[n, H, W], the maps of the partly random networks.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      similarity: "spearman", "pearson" or "ssim" (11 x 11 windows, data range 1).

    Returns:
      float32[], in [-1, 1]; lower is better. Stages without a similarity, as of a map
      that becomes zero, are left out of the mean; NaN if all are.

    Raises:
      TypeError: A map is not floating point, or `where` is not boolean.
      ValueError: The shapes do not fit, or the similarity is another word.

    Cost: 4 explanations, by the probe `randomized_explanations`.

    Source: J. Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018
    (arXiv:1810.03292), cascading randomization with both similarities; the stages, the
    mean over them and drawing parameters from their own values are ours.

    >>> s = jnp.array([[1., 2.], [3., 4.]])
    >>> print(f"{parameter_randomization(s, jnp.stack([s**2, -s])):.4f}")
    0.0000
    """
    _checks.choice("similarity", similarity, tuple(_SIMILARITIES))

    def alike(other: Array) -> Array:
        return _SIMILARITIES[similarity](saliency, other, where=where)

    stages = jax.vmap(alike)(randomized_saliency)
    return _numerics.masked_mean(stages, ~jnp.isnan(stages))


def random_logit(
    saliency: Array,
    other_saliency: Array,
    *,
    where: Array | None = None,
    similarity: Similarity = "ssim",
) -> Array:
    r"""How alike the map is to that of another class.

    .. math::
      \mathrm{sim}\left(S_c, S_{c'}\right), \qquad c' \sim U(\{1 \dots K\} \setminus c)

    The other class comes from the image's id; its map is made by the same method and
    normalised alike. A map that does not look at the class scores 1, as the floors do.
    One image; batch with `jax.vmap`.

    Args:
      saliency: float[H, W], the map, in [0, 1].
      other_saliency: float[H, W], the map of the other class, in [0, 1].
      where: bool[H, W], pixels that count. `None` counts every pixel.
      similarity: "ssim" (11 x 11 windows, data range 1), "spearman" or "pearson".

    Returns:
      float32[], in [-1, 1]; lower is better. NaN under a correlation if a map is
      constant, as one of zeros is.

    Raises:
      TypeError: A map is not floating point, or `where` is not boolean.
      ValueError: The shapes differ, or the similarity is another word.

    Cost: one explanation, by the probe `other_explanation`.

    Source: L. Sixt, M. Granz and T. Landgraf, "When explanations lie: why many modified
    BP attributions fail", ICML 2020 (arXiv:1912.09818).

    >>> s = jnp.linspace(0.0, 1.0, 144).reshape(12, 12)
    >>> print(random_logit(s, s))
    1.0
    """
    _checks.choice("similarity", similarity, tuple(_SIMILARITIES))
    return _SIMILARITIES[similarity](saliency, other_saliency, where=where)


def _randomized(fn, other, formula, undefined, cost, source):
    return _spec.MetricSpec(
        fn=fn,
        inputs=("saliency", other),
        family="randomization",
        formula=formula,
        range=(-1.0, 1.0),
        direction=-1,
        undefined=undefined,
        cost=cost,
        source=source,
        static=("similarity",),
    )


SPECS = (
    _randomized(
        parameter_randomization,
        "randomized_saliency",
        "mean over stages of spearman(S, S of the network random from the top)",
        "a map is constant at every stage",
        "4 explanations",
        "Adebayo et al. 2018",
    ),
    _randomized(
        random_logit,
        "other_saliency",
        "ssim(S, S of another class)",
        "a map is NaN",
        "one explanation",
        "Sixt et al. 2020",
    ),
)
