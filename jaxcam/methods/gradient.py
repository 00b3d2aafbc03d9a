"""Methods that weigh a layer's activations by the gradient of the class score.

Each is a pure function of one image's activations `A` and of the gradient `G` of its
score in them, so that one forward and one backward pass serve them all.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _numerics, _spec
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


SPECS = (
    _spec.MethodSpec(
        fn=cam,
        kind="taps",
        inputs=("activations", "gradients"),
        source="Zhou et al. 2016",
        cost="1 forward; a backward pass of the read-out",
        layer="pooled",
    ),
    _spec.MethodSpec(
        fn=grad_cam,
        kind="taps",
        inputs=("activations", "gradients"),
        source="Selvaraju et al. 2017",
        cost="1 forward, 1 backward down to the layer",
        layer="feature",
    ),
)
