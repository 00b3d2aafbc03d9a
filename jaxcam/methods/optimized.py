"""Maps found by optimisation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from jaxcam import _spec, ops
from jaxcam._types import Array
from jaxcam.methods.question import Question


def opti_cam(
    question: Question,
    activations: Array,
    *,
    steps: int = 50,
    learning_rate: float = 0.1,
) -> Array:
    r"""The mixture of activations through which the image scores highest.

    .. math::
      S = \sum_k \mathrm{softmax}(u)_k \, \mathrm{ReLU}(A_k), \qquad
      u = \arg\max_u \; y\left(x \odot \frac{U(S) - \min U(S)}{\max U(S) - \min U(S)}
        \right)

    Adam climbs from equal weights. `U` upsamples to the image (bilinear, half-pixel
    centres); the mask is applied to the preprocessed image. A mixture with a constant
    map hides the whole image.

    Args:
      question: The images and what is asked.
      activations: float[B, h, w, C].
      steps: Steps of Adam.
      learning_rate: Of Adam.

    Returns:
      float32[B, h, w], non-negative.

    Cost: 1 + `steps` forward and `steps` backward passes an image.

    Source: H. Zhang et al., "Opti-CAM: optimizing saliency maps for interpretability",
    Computer Vision and Image Understanding 248, 2024 (arXiv:2301.07002). The authors'
    code starts the weights at .5, which is the same start under the softmax, and ends
    early when the loss of the batch has risen in a tenth of the steps; here all steps
    are taken, so that an image's map does not depend on its batch.
    """
    features = jax.nn.relu(activations)
    shape = question.x.shape[1:3]

    def mixture(weights: Array) -> Array:
        return jnp.einsum("bk,bhwk->bhw", jax.nn.softmax(weights), features)

    def loss(weights: Array) -> Array:
        maps = jax.vmap(lambda m: ops.resize(m, shape))(mixture(weights))
        low = jnp.min(maps, axis=(1, 2), keepdims=True)
        span = jnp.max(maps, axis=(1, 2), keepdims=True) - low
        masks = (maps - low) / jnp.where(span > 0, span, 1.0)
        seen = question.x * masks[..., None].astype(question.x.dtype)
        return -jnp.sum(question.scores(question.logits_of(seen)))

    optimizer = optax.adam(learning_rate)

    def step(carry, _):
        weights, state = carry
        updates, state = optimizer.update(jax.grad(loss)(weights), state)
        return (optax.apply_updates(weights, updates), state), None

    weights = jnp.full(activations.shape[::3], 0.5, jnp.float32)
    start = (weights, optimizer.init(weights))
    (weights, _), _ = jax.lax.scan(step, start, None, length=steps)
    return mixture(weights)


SPECS = (
    _spec.MethodSpec(
        fn=opti_cam,
        kind="model",
        inputs=("question", "activations"),
        source="Zhang et al. 2024",
        cost="1 + `steps` forward, `steps` backward",
        layer="feature",
        static=("steps",),
    ),
)
