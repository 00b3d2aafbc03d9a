"""FullGrad: the input's and every bias's share of the score, on the image."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxcam import _spec, ops
from jaxcam._types import Array, PyTree
from jaxcam.methods import biases
from jaxcam.methods import question as questions
from jaxcam.methods.question import Question


def full_grad(question: Question) -> Array:
    r"""Input times gradient, and every bias times its gradient, of all layers together.

    .. math::
      S = \sum_c \psi\left(\nabla_x y \odot x\right)_c
        + \sum_{l} \sum_{c} \psi\left(\nabla_{z_l} y \odot b_l\right)_c

    `b_l` is the bias of layer `l`, added to its activation `z_l`; `psi` takes the
    absolute value, stretches an image's values of one layer to [0, 1] and enlarges them
    to the image (bilinear). The products alone are complete: with those of the layers
    without positions, which the map leaves out, they sum to the score
    (`jaxcam.methods.biases.decompose`).

    Biases are found in the traced network. Constants that are added one after another,
    as a convolution's bias and what batch normalisation subtracts and adds, are one
    bias. An activation that does not pass through zero, as ReLU6 where it saturates,
    has the implicit bias of its tangent, `g(z) - g'(z) z`.

    Args:
      question: The images and what is asked.

    Returns:
      float32[B, H, W], non-negative, at the size of the model's input.

    Raises:
      ValueError: The network holds operations in which a bias has no place: products of
        activations, as in attention and in layer normalisation, and loops.

    Cost: 1 forward and 1 backward pass, and the activations' gradients of all layers in
    memory.

    Source: S. Srinivas and F. Fleuret, "Full-gradient representation for neural network
    visualization", NeurIPS 2019 (arXiv:1905.00780). As in the authors' code, values are
    stretched over all channels of a layer at once; it enlarges with aligned corners,
    this with half-pixel centres, and it knows ReLU alone.
    """

    def cotangent(logits: Array) -> Array:
        return questions.score_gradient(question.score, logits, question.targets)

    own, shares = biases.decompose(question.logits_of, question.x, cotangent)
    shape = question.x.shape[1:3]
    spatial = [share for share in shares if share.ndim == 4]
    return sum((_on_image(share, shape) for share in spatial), _on_image(own, shape))


def check_biases(model: Any) -> None:
    """Makes sure that every bias of a model can be seen, without computing anything.

    Raises:
      ValueError: As `full_grad` does.
    """
    x = jnp.zeros((1, *model.input.size, model.input.channels), jnp.float32)

    def decomposed(params: PyTree) -> Array:
        def logits_of(x: Array) -> Array:
            return model.apply(params, x)[0]

        return biases.decompose(logits_of, x, jnp.ones_like)[0]

    jax.eval_shape(decomposed, model.params)


def _on_image(share: Array, shape: tuple[int, int]) -> Array:
    """float32[B, H, W] from float32[B, h, w, C]."""
    size = jnp.abs(share)
    low = jnp.min(size, axis=(1, 2, 3), keepdims=True)
    high = jnp.max(size, axis=(1, 2, 3), keepdims=True)
    span = jnp.where(high > low, high - low, 1.0)
    summed = jnp.sum((size - low) / span, axis=-1)
    return jax.vmap(lambda one: ops.resize(one, shape))(summed)


SPECS = (
    _spec.MethodSpec(
        fn=full_grad,
        kind="model",
        inputs=("question",),
        source="Srinivas and Fleuret 2019",
        cost="1 forward, 1 backward",
    ),
)
