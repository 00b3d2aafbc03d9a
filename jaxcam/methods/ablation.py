"""Channel weights from running the part of the network above the layer again."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _spec
from jaxcam._types import Array
from jaxcam.methods import chunks, rescale
from jaxcam.methods.question import Question


def ablation_cam(
    question: Question,
    activations: Array,
    *,
    relative: bool = False,
    chunk: int = 64,
) -> Array:
    r"""Activations weighed by what the score loses without their channel.

    .. math::
      S = \mathrm{ReLU}\left(\sum_k w_k A_k\right), \qquad
      w_k = y(A) - y(A \text{ with } A_k = 0)

    Only the part of the network above the layer runs again. A channel that is zero
    everywhere is skipped: nothing is lost without it.

    Args:
      question: The images and what is asked.
      activations: float[B, h, w, C].
      relative: Divides the weights by `y(A)`, as the paper does. That scales the map,
        and turns it upside down where the score is negative, which is why it is not
        the default.
      chunk: Altered activations in memory at a time.

    Returns:
      float32[B, h, w], non-negative; NaN where `relative` divides by a score of 0.

    Cost: 1 forward pass, C passes through what lies above the layer, an image.

    Source: S. Desai and H. G. Ramaswamy, "Ablation-CAM: visual explanations for deep
    convolutional network via gradient-free localization", WACV 2020.
    """
    channels = activations.shape[-1]
    live = jnp.any(activations != 0, axis=(1, 2))
    whole = question.scores(question.head(activations))

    def loss(rows: Array) -> Array:
        images, channel = jnp.divmod(rows, channels)
        kept = jnp.arange(channels)[None, :] != channel[:, None]
        altered = activations[images] * kept[:, None, None, :]
        logits = question.head(altered, images)
        return whole[images] - question.scores(logits, images)

    flat = chunks.live_rows(loss, live.reshape(-1), chunk=chunk, fill=0.0)
    weights = flat.reshape(live.shape)
    if relative:
        weights = weights / whole[:, None]
    return jax.nn.relu(jnp.einsum("bk,bhwk->bhw", weights, activations))


def lift_cam(question: Question, activations: Array) -> Array:
    r"""Activations weighed by the DeepLIFT contribution of their channel.

    .. math::
      S = \mathrm{ReLU}\left(\sum_k w_k A_k\right), \qquad
      w_k = \sum_{ij} A_{ijk} \, m_{ijk}

    `m` are DeepLIFT's multipliers (rescale rule) of the part of the network above the
    layer, from the reference `A = 0`: every nonlinearity is replaced by the slope
    between its value at the reference and its value at the activation. The weights sum
    to `y(A) - y(0)`. They approximate the channels' Shapley values, and equal them
    where what lies above the layer is linear, as an average and a linear map are.

    Args:
      question: The images and what is asked.
      activations: float[B, h, w, C].

    Returns:
      float32[B, h, w], non-negative.

    Raises:
      ValueError: What lies above the layer holds an operation that the rule does not
        cover, such as a product of two activations or a maximum over positions.

    Cost: 1 forward pass, 2 forward and 1 backward through what lies above the layer.

    Source: H. Jung and Y. Oh, "Towards better explanations of class activation
    mapping", ICCV 2021 (arXiv:2102.05228); the rule is that of A. Shrikumar,
    P. Greenside and A. Kundaje, "Learning important features through propagating
    activation differences", ICML 2017 (arXiv:1704.02685).
    """

    def score(activations: Array) -> Array:
        return question.scores(question.head(activations))

    reference = jnp.zeros_like(activations)
    multipliers = rescale.multipliers(score, activations, reference)
    weights = jnp.sum(activations * multipliers, axis=(1, 2))
    return jax.nn.relu(jnp.einsum("bk,bhwk->bhw", weights, activations))


SPECS = (
    _spec.MethodSpec(
        fn=ablation_cam,
        kind="model",
        inputs=("question", "activations"),
        source="Desai and Ramaswamy 2020",
        cost="1 forward, C through what lies above the layer",
        layer="feature",
        static=("relative", "chunk"),
    ),
    _spec.MethodSpec(
        fn=lift_cam,
        kind="model",
        inputs=("question", "activations"),
        source="Jung and Oh 2021",
        cost="1 forward; 2 forward, 1 backward through what lies above the layer",
        layer="feature",
    ),
)
