"""Methods that weigh a layer's activations by the gradient of the class score.

Each is a pure function of one image's activations `A` and of the gradient `G` of its
score in them, so that one forward and one backward pass serve them all.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _checks, _numerics, _spec
from jaxcam._types import Array

_CONSTANT_WITHIN = 1e-4


def cam(activations: Array, gradients: Array) -> Array:
    r"""Class activation map: the class's own linear read-out, before it is averaged.

    .. math::
      S_{ij} = \sum_k w_k A_{ijk}, \qquad
      w_k = hw \, \frac{\partial y}{\partial A_{ijk}} \text{ for every } i, j

    Where the network averages the layer over space and reads the average linearly, the
    gradient is the same everywhere and `w` are the classifier's weights for the class:
    the map's mean is the class's logit less its bias. Where the network averages a map
    that it has already made for each class, the map is that one.

    The map has no ReLU, as in the paper: it can be negative.

    Args:
      activations: float[h, w, C], the map that global average pooling reads.
      gradients: float[h, w, C], gradient of the score in them.

    Returns:
      float32[h, w]. NaN everywhere where the gradient is not constant over space: the
      method is not defined for that layer.

    Cost: O(hwC).

    Source: B. Zhou et al., "Learning deep features for discriminative localization",
    CVPR 2016 (arXiv:1512.04150), eq. 2. The paper sums where networks average: `w` is
    scaled by the number of positions for that.

    >>> print(cam(jnp.array([[[1.0], [3.0]]]), jnp.array([[[0.5], [0.5]]])))
    [[1. 3.]]
    """
    height, width = activations.shape[:2]
    constant = spatially_constant(gradients)
    saliency = jnp.sum(height * width * gradients[0, 0] * activations, axis=-1)
    return _numerics.undefined_if(~constant, saliency)


def spatially_constant(gradients: Array) -> Array:
    """Whether float[h, w, C] has the same value at all positions, up to rounding."""
    spread = jnp.max(jnp.abs(gradients - gradients[:1, :1]))
    return spread <= _CONSTANT_WITHIN * jnp.max(jnp.abs(gradients))


def grad_cam(activations: Array, gradients: Array) -> Array:
    r"""Activations weighed by the mean gradient of their channel, positive part.

    .. math::
      S = \mathrm{ReLU}\left(\sum_k w_k A_k\right), \qquad
      w_k = \frac{1}{hw} \sum_{ij} \frac{\partial y}{\partial A_{ijk}}

    Args:
      activations: float[h, w, C].
      gradients: float[h, w, C], gradient of the score in them.

    Returns:
      float32[h, w], non-negative; zero where no position speaks for the class.

    Cost: O(hwC).

    Source: R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks
    via gradient-based localization", ICCV 2017 (arXiv:1610.02391), eq. 1 and 2.

    >>> print(grad_cam(jnp.array([[[1.0], [-3.0]]]), jnp.array([[[0.0], [1.0]]])))
    [[0.5 0. ]]
    """
    weights = jnp.mean(gradients, axis=(0, 1))
    return jax.nn.relu(jnp.sum(weights * activations, axis=-1))


def grad_cam_plus_plus(
    activations: Array, gradients: Array, *, variant: str = "reference"
) -> Array:
    r"""Grad-CAM whose channel weights count the positions that speak for the class.

    .. math::
      S = \mathrm{ReLU}\left(\sum_k w_k A_k\right), \qquad
      w_k = \sum_{ij} \alpha_{ijk} \, \mathrm{ReLU}(G_{ijk}), \qquad
      \alpha_{ijk} = \frac{G_{ijk}^2}{2 G_{ijk}^2 + G_{ijk}^3 \sum_{ab} A_{abk}}

    These are the paper's coefficients for the score `exp(y)`, whose second and third
    derivatives need the first alone where the network is piecewise linear; the common
    factor `exp(y)` scales the whole map and is left out. A position where the
    denominator is zero gets the coefficient zero.

    Args:
      activations: float[h, w, C].
      gradients: float[h, w, C], gradient `G` of the score in them.
      variant: "reference" divides the coefficients of each channel by their sum over
        the positions of positive gradient, as the authors' released code does; "eq19"
        leaves them as the paper's equation 19 has them. The code made the published
        figures, so it is the default.

    Returns:
      float32[h, w], non-negative.

    Raises:
      ValueError: `variant` is another word.

    Cost: O(hwC).

    Source: A. Chattopadhay et al., "Grad-CAM++: generalized gradient-based visual
    explanations for deep convolutional networks", WACV 2018 (arXiv:1710.11063).

    >>> a, g = jnp.array([[[2.0], [0.0]]]), jnp.array([[[1.0], [1.0]]])
    >>> print(grad_cam_plus_plus(a, g), grad_cam_plus_plus(a, g, variant="eq19"))
    [[2. 0.]] [[1. 0.]]
    """
    _checks.choice("variant", variant, ("reference", "eq19"))
    total = jnp.sum(activations, axis=(0, 1))
    squared = jnp.square(gradients)
    alpha = plus_plus_alpha(squared, squared, squared * gradients, total)
    positive = jax.nn.relu(gradients)
    if variant == "reference":
        norm = jnp.sum(jnp.where(positive > 0, alpha, 0.0), axis=(0, 1))
        alpha = alpha / jnp.where(norm != 0, norm, 1.0)
    weights = jnp.sum(alpha * positive, axis=(0, 1))
    return jax.nn.relu(jnp.sum(weights * activations, axis=-1))


def plus_plus_alpha(
    numerator: Array, second: Array, third: Array, total: Array
) -> Array:
    """Coefficients `numerator / (2 second + total third)`; 0 for x / 0."""
    denominator = 2 * second + total * third
    defined = denominator != 0
    return jnp.where(defined, numerator / jnp.where(defined, denominator, 1.0), 0.0)


def xgrad_cam(activations: Array, gradients: Array) -> Array:
    r"""Activations weighed by the mean gradient where their channel is active.

    .. math::
      S = \mathrm{ReLU}\left(\sum_k w_k A_k\right), \qquad
      w_k = \sum_{ij} \frac{A_{ijk}}{\sum_{ab} A_{abk}} G_{ijk}

    The weights make the map meet the axioms of sensitivity and conservation as nearly
    as one weight a channel can. A channel that sums to zero has the weight zero; after
    a ReLU it is zero itself.

    Args:
      activations: float[h, w, C].
      gradients: float[h, w, C], gradient `G` of the score in them.

    Returns:
      float32[h, w], non-negative.

    Cost: O(hwC).

    Source: R. Fu et al., "Axiom-based Grad-CAM: towards accurate visualization and
    explanation of CNNs", BMVC 2020 (arXiv:2008.02312).

    >>> a, g = jnp.array([[[3.0], [1.0]]]), jnp.array([[[1.0], [5.0]]])
    >>> print(xgrad_cam(a, g))  # The weight is 3/4 * 1 + 1/4 * 5.
    [[6. 2.]]
    """
    total = jnp.sum(activations, axis=(0, 1))
    matched = jnp.sum(activations * gradients, axis=(0, 1))
    weights = jnp.where(total != 0, matched / jnp.where(total != 0, total, 1.0), 0.0)
    return jax.nn.relu(jnp.sum(weights * activations, axis=-1))


def layer_cam(activations: Array, gradients: Array) -> Array:
    r"""Every activation weighed by its own positive gradient.

    .. math:: S = \mathrm{ReLU}\left(\sum_k \mathrm{ReLU}(G_k) \odot A_k\right)

    Each position has its own weight, so that maps of early layers are usable. Before it
    fuses layers the paper scales the maps of early ones, `tanh(2 S / max S)`; the
    option `aggregate` fuses maps as they are.

    Args:
      activations: float[h, w, C].
      gradients: float[h, w, C], gradient `G` of the score in them.

    Returns:
      float32[h, w], non-negative.

    Cost: O(hwC).

    Source: P.-T. Jiang et al., "LayerCAM: exploring hierarchical class activation maps
    for localization", IEEE Transactions on Image Processing 30, 2021.

    >>> a, g = jnp.array([[[3.0], [1.0]]]), jnp.array([[[-1.0], [5.0]]])
    >>> print(layer_cam(a, g))
    [[0. 5.]]
    """
    return jax.nn.relu(jnp.sum(jax.nn.relu(gradients) * activations, axis=-1))


def hires_cam(activations: Array, gradients: Array) -> Array:
    r"""Every activation weighed by its own gradient.

    .. math:: S = \sum_k G_k \odot A_k

    On a network that reads the layer linearly the map sums to the class's logit less
    its bias, wherever the weights sit: unlike Grad-CAM, it shows only positions that
    the score depends on. As in the paper there is no ReLU.

    Args:
      activations: float[h, w, C].
      gradients: float[h, w, C], gradient `G` of the score in them.

    Returns:
      float32[h, w]; negative where a position speaks against the class.

    Cost: O(hwC).

    Source: R. L. Draelos and L. Carin, "Use HiResCAM instead of Grad-CAM for faithful
    explanations of convolutional neural networks", 2020 (arXiv:2011.08891).

    >>> a, g = jnp.array([[[3.0], [1.0]]]), jnp.array([[[-1.0], [5.0]]])
    >>> print(hires_cam(a, g))
    [[-3.  5.]]
    """
    return jnp.sum(gradients * activations, axis=-1)


def grad_cam_elementwise(activations: Array, gradients: Array) -> Array:
    r"""Sum of the positive products of activation and gradient.

    .. math:: S = \sum_k \mathrm{ReLU}(G_k \odot A_k)

    Evidence against the class in one channel does not cancel evidence for it in
    another, as it does in `hires_cam`.

    Args:
      activations: float[h, w, C].
      gradients: float[h, w, C], gradient `G` of the score in them.

    Returns:
      float32[h, w], non-negative.

    Cost: O(hwC).

    Source: the method of that name in the pytorch-grad-cam library; it has no paper.

    >>> a, g = jnp.array([[[3.0, 1.0]]]), jnp.array([[[-1.0, 5.0]]])
    >>> print(grad_cam_elementwise(a, g))
    [[5.]]
    """
    return jnp.sum(jax.nn.relu(gradients * activations), axis=-1)


def _spec_of(fn, source: str, *, layer: str = "feature") -> _spec.MethodSpec:
    below = "the read-out" if layer == "pooled" else "what lies above the layer"
    return _spec.MethodSpec(
        fn=fn,
        kind="taps",
        inputs=("activations", "gradients"),
        source=source,
        cost=f"1 forward, 1 backward through {below}",
        layer=layer,
        static=("variant",) if "variant" in _spec.keyword_options(fn) else (),
    )


SPECS = (
    _spec_of(cam, "Zhou et al. 2016", layer="pooled"),
    _spec_of(grad_cam, "Selvaraju et al. 2017"),
    _spec_of(grad_cam_plus_plus, "Chattopadhay et al. 2018"),
    _spec_of(xgrad_cam, "Fu et al. 2020"),
    _spec_of(layer_cam, "Jiang et al. 2021"),
    _spec_of(hires_cam, "Draelos and Carin 2020"),
    _spec_of(grad_cam_elementwise, "pytorch-grad-cam"),
)
