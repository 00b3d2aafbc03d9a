"""Methods of the gradient family with a score of their own."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _checks, _spec
from jaxcam._types import Array
from jaxcam.methods import gradient_weighted
from jaxcam.methods.question import Question


def shapley_cam(
    question: Question, activations: Array, *, target: str = "rest"
) -> Array:
    r"""Grad-CAM with the second-order correction of the Shapley value.

    .. math::
      S = \mathrm{ReLU}\left(\sum_k w_k A_k\right), \qquad
      w_k = \frac{1}{hw} \sum_{ij} \left(G - \tfrac{1}{2} H A\right)_{ijk}

    `G` is the gradient and `H` the Hessian of the score in the activations; their
    product is taken forward over reverse, no Hessian is formed. On the logits of a
    network that averages the layer and reads it linearly `H` is zero and the method is
    Grad-CAM.

    Args:
      question: The images and what is asked.
      activations: float[B, h, w, C].
      target: "rest", residual softmax, explains `y_c + log softmax(y)_c`, the authors'
        choice and the default, since the logit alone brings nothing new on the
        networks above; "score" explains what is asked as it is.

    Returns:
      float32[B, h, w], non-negative.

    Raises:
      ValueError: `target` is another word.

    Cost: 1 forward pass; 1 backward pass and its derivative above the layer.

    Source: H. Cai, "CAMs as Shapley value-based explainers", The Visual Computer, 2025
    (arXiv:2501.06261).
    """
    _checks.choice("target", target, ("rest", "score"))

    def total(activations: Array) -> Array:
        logits = question.head(activations).astype(jnp.float32)
        score = question.scores(logits)
        if target == "rest":
            score = score + question.scores(jax.nn.log_softmax(logits))
        return jnp.sum(score)

    gradients, along = jax.jvp(jax.grad(total), (activations,), (activations,))
    corrected = gradients - along / 2
    return jax.vmap(gradient_weighted.grad_cam)(activations, corrected)


def finer_cam(
    question: Question,
    activations: Array,
    logits: Array,
    *,
    references: int = 3,
    variant: str = "reference",
    strength: float | None = None,
) -> Array:
    r"""Grad-CAM of what sets a class apart from those most like it.

    .. math::
      y = \frac{\sum_{r} p_r \left(y_c - \alpha \, y_r\right)}{\sum_r p_r}

    explained as Grad-CAM explains a logit. The references `r` are the classes whose
    logits are nearest to the class's own on this image, `p` their probabilities.

    Args:
      question: The images and what is asked; targets must be classes.
      activations: float[B, h, w, C].
      logits: float[B, K], of the images as they are.
      references: Number of classes compared with, at least 1.
      variant: "reference" is the authors' released code, above, with `alpha` 1 and a
        gradient that runs through the probabilities too; "mean" is
        `y_c - alpha mean(y_r)` with `alpha` .6, as torch-cam has it. The published
        code is the default.
      strength: The comparison's strength `alpha`, the variant's own by default.

    Returns:
      float32[B, h, w], non-negative.

    Raises:
      ValueError: `variant` is another word, or the targets are not classes.

    Cost: 1 forward pass, 1 backward above the layer.

    Source: Z. Zhang et al., "Finer-CAM: spotting the difference reveals finer details
    for visual explanation", CVPR 2025 (arXiv:2501.11309).
    """
    _checks.choice("variant", variant, ("reference", "mean"))
    if question.targets is None or jnp.ndim(question.targets) != 1:
        raise ValueError("finer_cam compares classes; give one class an image.")
    default = {"reference": 1.0, "mean": 0.6}[variant]
    alpha = default if strength is None else strength
    distance = jnp.abs(logits - _column(logits, question.targets))
    own = jnp.arange(logits.shape[1])[None, :] == question.targets[:, None]
    count = min(references, logits.shape[1] - 1)
    nearest = jax.lax.top_k(-jnp.where(own, jnp.inf, distance), count)[1]

    def total(activations: Array) -> Array:
        logits = question.head(activations).astype(jnp.float32)
        likes = jnp.take_along_axis(logits, nearest, axis=1)
        gaps = _column(logits, question.targets) - alpha * likes
        if variant == "mean":
            return jnp.sum(jnp.mean(gaps, axis=1))
        log_weights = jax.nn.log_softmax(logits)
        weights = jnp.take_along_axis(log_weights, nearest, axis=1)
        return jnp.sum(jax.nn.softmax(weights, axis=1) * gaps)

    return jax.vmap(gradient_weighted.grad_cam)(
        activations, jax.grad(total)(activations)
    )


def _column(logits: Array, targets: Array) -> Array:
    return jnp.take_along_axis(logits, targets[:, None], axis=1)


SPECS = (
    _spec.MethodSpec(
        fn=shapley_cam,
        kind="model",
        inputs=("question", "activations"),
        source="Cai 2025",
        cost="1 forward; 1 backward and its derivative through what lies above",
        layer="feature",
        static=("target",),
    ),
    _spec.MethodSpec(
        fn=finer_cam,
        kind="model",
        inputs=("question", "activations", "logits"),
        source="Zhang et al. 2025",
        cost="1 forward, 1 backward through what lies above the layer",
        layer="feature",
        static=("references", "variant"),
    ),
)
