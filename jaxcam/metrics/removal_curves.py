"""How fast the model changes its mind as what the map points out goes, or comes."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np

from jaxcam import _spec
from jaxcam._types import Array
from jaxcam.metrics import _pooled


def insertion(insertion_scores: Array, insertion_fractions: Array) -> Array:
    r"""Area under the class's probability as the image is put on a blurred canvas.

    .. math::
      \int_0^1 p_c(x_q)\, dq \approx \sum_{i=1}^{n} \frac{p_{i-1} + p_i}{2}
      (q_i - q_{i-1})

    :math:`x_q` has the most salient share q of the pixels from the image and the others
    from the image blurred (11 x 11 pixels, sigma 5); n = 224 steps, both ends count.
    Equally salient pixels come in an order by the image's id. Options: `steps` or
    `pixels_per_step`; `canvas` ("blur", "reflected_blur", "zero", "mean", "constant",
    "inverted") with `blur_size`, `blur_sigma`, `value`; `ties` ("random", "raster",
    "reverse_raster"); `masking_space`; `score`. Presets `rise`, `groupcam`, `torchcam`
    and `xplique` name other codes' choices. One image; batch with `jax.vmap`.

    Args:
      insertion_scores: float[n + 1], the class's score at each point.
      insertion_fractions: float[n + 1], share of the pixels, from 0 to 1.

    Returns:
      float32[], in [0, 1], of logits without a bound; higher is better. NaN if a score
      is.

    Raises:
      Nothing.

    Cost: 224 forward passes, by the probe `insertion_scores`.

    Source: V. Petsiuk, A. Das and K. Saenko, "RISE", BMVC 2018 (arXiv:1806.07421) and
    its published code; there equally salient pixels come from the last to the first.

    >>> print(insertion(jnp.array([0.25, 0.5, 1.]), jnp.array([0., 0.5, 1.])))
    0.5625
    """
    return _area(insertion_scores, insertion_fractions)


def deletion(deletion_scores: Array, deletion_fractions: Array) -> Array:
    r"""Area under the class's probability as the most salient pixels are removed.

    .. math::
      \int_0^1 p_c(x_{-q})\, dq \approx \sum_{i=1}^{n} \frac{p_{i-1} + p_i}{2}
      (q_i - q_{i-1})

    :math:`x_{-q}` is the image without the most salient share q of its pixels, which
    become zeros of the normalised space, the mean colour of the training data; n = 224
    steps, both ends count. Options as for `insertion`. One image; batch with
    `jax.vmap`.

    Args:
      deletion_scores: float[n + 1], the class's score at each point.
      deletion_fractions: float[n + 1], share of the pixels, from 0 to 1.

    Returns:
      float32[], in [0, 1], of logits without a bound; lower is better. NaN if a score
      is.

    Raises:
      Nothing.

    Cost: 224 forward passes, by the probe `deletion_scores`.

    Source: as `insertion`.

    >>> print(deletion(jnp.array([1., 0.5, 0.25]), jnp.array([0., 0.5, 1.])))
    0.5625
    """
    return _area(deletion_scores, deletion_fractions)


def insertion_curve(insertion_scores: Array) -> Array:
    """The scores of which `insertion` is the area; stored for every image.

    The formula is that of `insertion`. Tables show the area under the mean curve, as if
    the steps were equal. One image; batch with `jax.vmap`.

    Args:
      insertion_scores: float[n + 1], the class's score at each point.

    Returns:
      float32[n + 1], in [0, 1], of logits without a bound; higher is better. NaN where
      a score is.

    Raises:
      Nothing.

    Cost: 224 forward passes, by the probe `insertion_scores`.

    Source: as `insertion`.

    >>> print(insertion_curve(jnp.array([0.25, 1.])))
    [0.25 1.  ]
    """
    return insertion_scores


def deletion_curve(deletion_scores: Array) -> Array:
    """The scores of which `deletion` is the area; stored for every image.

    The formula is that of `deletion`. Tables show the area under the mean curve, as if
    the steps were equal. One image; batch with `jax.vmap`.

    Args:
      deletion_scores: float[n + 1], the class's score at each point.

    Returns:
      float32[n + 1], in [0, 1], of logits without a bound; lower is better. NaN where a
      score is.

    Raises:
      Nothing.

    Cost: 224 forward passes, by the probe `deletion_scores`.

    Source: as `insertion`.

    >>> print(deletion_curve(jnp.array([1., 0.25])))
    [1.   0.25]
    """
    return deletion_scores


def deletion_crop(cut_out_score: Array) -> Array:
    """Probability of the class on the image without the box of the salient pixels.

    By the formula p of the image whose pixels in the tight box of all salient ones are
    zeros of the normalised space: `deletion` in a single step, and by a box. Options:
    those of `salient_mask` that decide what is salient; `canvas`, `masking_space` and
    `score` as for `deletion`. One image; batch with `jax.vmap`.

    Args:
      cut_out_score: float[], the class's score without the box.

    Returns:
      float32[], in [0, 1], of logits without a bound; lower is better. NaN if no pixel
      is salient.

    Raises:
      Nothing.

    Cost: one forward pass, by the probe `cut_out_score`.

    Source: the deletion that Aabid and Sicre mention, of the box that `saliency_metric`
    keeps.

    >>> print(deletion_crop(jnp.float32(0.25)))
    0.25
    """
    return cut_out_score


def pixel_flipping(flipping_scores: Array, flipping_fractions: Array) -> Array:
    r"""Area under the class's probability as the most salient pixels are inverted.

    .. math::
      \int_0^1 p_c(x_{q \to 1 - x})\, dq

    by the trapezoid rule on n = 100 steps. A flipped pixel has the opposite intensity,
    1 - x for x in [0, 1]: unlike removed ones, flipped pixels keep their contrast.
    Options: `steps`, `canvas` with `value`, `ties`, `masking_space`, `score`;
    `canvas="zero"` flips to black. One image; batch with `jax.vmap`.

    Args:
      flipping_scores: float[n + 1], the class's score at each point.
      flipping_fractions: float[n + 1], share of the pixels, from 0 to 1.

    Returns:
      float32[], in [0, 1], of logits without a bound; lower is better. NaN if a score
      is.

    Raises:
      Nothing.

    Cost: 100 forward passes, by the probe `flipping_scores`.

    Source: S. Bach et al., "On pixel-wise explanations for non-linear classifier
    decisions by layer-wise relevance propagation", PLOS ONE 2015, who draw the curve;
    the area and the number of steps are ours. Quantus flips to black.

    >>> print(pixel_flipping(jnp.array([1., 0.5, 0.25]), jnp.array([0., 0.5, 1.])))
    0.5625
    """
    return _area(flipping_scores, flipping_fractions)


def aopc(patch_scores: Array) -> Array:
    r"""Mean loss of the class's probability as patches become noise, salient first.

    .. math::
      \mathrm{AOPC} = \frac{1}{L + 1} \sum_{k=0}^{L} p_c(x) - p_c(x^{(k)})

    In :math:`x^{(k)}` the k patches of 9 x 9 pixels in which the map sums highest hold
    uniform noise; L = 100, about a sixth of an image of 224 x 224. Options: `steps`
    (L), `patch`, `ties`, `score`. One image; batch with `jax.vmap`.

    Args:
      patch_scores: float[L + 1], the class's score after 0, 1, ..., L patches.

    Returns:
      float32[], in [-1, 1], of logits without a bound; higher is better. NaN if a score
      is.

    Raises:
      Nothing.

    Cost: 100 forward passes, by the probe `patch_scores`.

    Source: W. Samek et al., "Evaluating the visualization of what a deep neural network
    has learned", IEEE TNNLS 2017 (arXiv:1509.06321): area over the MoRF perturbation
    curve.

    >>> print(aopc(jnp.array([1., 0.5, 0.])))
    0.5
    """
    return jnp.mean(patch_scores[0] - patch_scores)


def _area(scores: Array, fractions: Array) -> Array:
    """By the trapezoid rule, on the axis of fractions."""
    between = (scores[1:] + scores[:-1]) / 2
    return jnp.sum(between * (fractions[1:] - fractions[:-1]))


def mean_area(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Area under the mean of curves with points at equal steps.

    Args:
      values: float[n, T], the images' curves; rows with a NaN are left out.
      weights: float[R, n], how often each draw holds each image; `None` is one draw of
        each image once.

    Returns:
      float64[R]; NaN where a draw holds no image.

    >>> print(mean_area(np.array([[0.2, 0.6], [0.4, 0.8]])))
    [0.5]
    """
    values, weights = _pooled.checked(values, weights)
    held = weights.sum(axis=1, keepdims=True)
    curves = _pooled.ratio(_pooled.weighted_sums(values, weights), held)
    return np.trapezoid(curves, axis=1) / (values.shape[1] - 1)


_spec_of = functools.partial(
    _spec.MetricSpec,
    family="faithfulness",
    range=(0.0, 1.0),
    undefined="a score is NaN",
)

SPECS = (
    _spec_of(
        fn=insertion,
        inputs=("insertion_scores", "insertion_fractions"),
        formula="area under p along the share of pixels put on a blurred canvas",
        direction=1,
        cost="224 forward passes",
        source="Petsiuk et al. 2018",
        companions=("insertion_curve",),
    ),
    _spec_of(
        fn=deletion,
        inputs=("deletion_scores", "deletion_fractions"),
        formula="area under p along the share of pixels removed",
        direction=-1,
        cost="224 forward passes",
        source="Petsiuk et al. 2018",
        companions=("deletion_curve",),
    ),
    _spec_of(
        fn=insertion_curve,
        inputs=("insertion_scores",),
        formula="p at each share of pixels put on a blurred canvas; read as the area",
        direction=1,
        cost="224 forward passes",
        source="Petsiuk et al. 2018",
        reduce=mean_area,
    ),
    _spec_of(
        fn=deletion_curve,
        inputs=("deletion_scores",),
        formula="p at each share of pixels removed; read as the area",
        direction=-1,
        cost="224 forward passes",
        source="Petsiuk et al. 2018",
        reduce=mean_area,
    ),
    _spec_of(
        fn=deletion_crop,
        inputs=("cut_out_score",),
        formula="p without the tight box of the salient pixels",
        direction=-1,
        undefined="no pixel is salient",
        cost="one forward pass",
        source="Aabid and Sicre",
    ),
    _spec_of(
        fn=pixel_flipping,
        inputs=("flipping_scores", "flipping_fractions"),
        formula="area under p along the share of pixels inverted",
        direction=-1,
        cost="100 forward passes",
        source="Bach et al. 2015",
    ),
    _spec_of(
        fn=aopc,
        inputs=("patch_scores",),
        formula="mean over k of p(x) - p(x with k patches of noise)",
        range=(-1.0, 1.0),
        direction=1,
        cost="100 forward passes",
        source="Samek et al. 2017",
    ),
)
