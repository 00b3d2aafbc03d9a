"""Grad-CAM++ with derivatives averaged over noisy copies of the image."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _checks, _spec
from jaxcam._types import Array
from jaxcam.methods import gradient_weighted
from jaxcam.methods.question import Question


def smooth_grad_cam_plus_plus(
    question: Question,
    activations: Array,
    *,
    samples: int = 25,
    noise: float = 0.15,
    variant: str = "second",
) -> Array:
    r"""Grad-CAM++ with derivatives averaged over noisy copies of the image.

    .. math::
      S = \mathrm{ReLU}\left(\sum_k w_k A_k\right), \qquad
      w_k = \sum_{ij} \alpha_{ijk} \, \mathrm{ReLU}(D^1_{ijk}), \qquad
      \alpha_{ijk} = \frac{D^2_{ijk}}{2 D^2_{ijk} + D^3_{ijk} \sum_{ab} A_{abk}}

    `D^p` is the mean over the copies of the p-th power of the gradient, which stands
    for the p-th derivative as in `grad_cam_plus_plus`. The activations are those of the
    image without noise.

    Args:
      question: The images and what is asked; noise comes from their keys.
      activations: float[B, h, w, C].
      samples: Noisy copies, at least 1.
      noise: Standard deviation as a share of the preprocessed image's range.
      variant: "second" has `D^2` in the numerator, as Grad-CAM++ derives it; "first"
        has `D^1`, as the paper prints it. The former is the default because with it
        the method is Grad-CAM++ when the noise is zero.

    Returns:
      float32[B, h, w], non-negative.

    Raises:
      ValueError: `variant` is another word.

    Cost: `samples` forward passes an image, and backward passes down to the layer.

    Source: D. Omeiza et al., "Smooth Grad-CAM++: an enhanced inference level
    visualization technique for deep convolutional neural network models", 2019
    (arXiv:1908.01224). The number and size of the noise are the reader's to choose in
    the paper; the defaults here are in the range of SmoothGrad's.
    """
    _checks.choice("variant", variant, ("second", "first"))

    def add(sums, sample):
        gradients = question.layer_gradients(question.noisy(sample, noise))
        powers = jnp.stack([gradients, gradients**2, gradients**3])
        return sums + powers, None

    zeros = jnp.zeros((3, *activations.shape), jnp.float32)
    sums, _ = jax.lax.scan(add, zeros, jnp.arange(samples))
    first, second, third = sums / samples

    total = jnp.sum(activations, axis=(1, 2), keepdims=True)
    numerator = second if variant == "second" else first
    alpha = gradient_weighted.plus_plus_alpha(numerator, second, third, total)
    weights = jnp.sum(alpha * jax.nn.relu(first), axis=(1, 2), keepdims=True)
    return jax.nn.relu(jnp.sum(weights * activations, axis=-1))


SPECS = (
    _spec.MethodSpec(
        fn=smooth_grad_cam_plus_plus,
        kind="model",
        inputs=("question", "activations"),
        source="Omeiza et al. 2019",
        cost="1 + `samples` forward, `samples` backward through what lies above",
        layer="feature",
        static=("samples", "variant"),
    ),
)
