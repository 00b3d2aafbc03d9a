"""Gradients of the class score in the image itself, one value a pixel."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _checks, _spec
from jaxcam._types import Array
from jaxcam.methods.question import Question

_REDUCTIONS = ("max", "sum", "absolute_sum")


def over_channels(attribution: Array, reduce: str) -> Array:
    """One value a pixel from one a channel: largest size, sum, or sum of sizes."""
    _checks.choice("reduce", reduce, _REDUCTIONS)
    if reduce == "max":
        return jnp.max(jnp.abs(attribution), axis=-1)
    if reduce == "sum":
        return jnp.sum(attribution, axis=-1)
    return jnp.sum(jnp.abs(attribution), axis=-1)


def gradient(x_gradients: Array, *, reduce: str = "max") -> Array:
    r"""Size of the score's gradient in each pixel.

    .. math:: S_{ij} = \max_c \left|\frac{\partial y}{\partial x_{ijc}}\right|

    Args:
      x_gradients: float[H, W, C], gradient of the score in the preprocessed image.
      reduce: How channels become one value: "max" of the absolute values (the paper),
        "sum" with signs, or "absolute_sum".

    Returns:
      float32[H, W], non-negative unless `reduce="sum"`.

    Raises:
      ValueError: `reduce` is another word.

    Cost: O(HWC).

    Source: K. Simonyan, A. Vedaldi and A. Zisserman, "Deep inside convolutional
    networks: visualising image classification models and saliency maps", ICLR 2014
    workshop (arXiv:1312.6034).

    >>> print(gradient(jnp.array([[[1.0, -3.0], [0.5, 0.0]]])))
    [[3.  0.5]]
    """
    return over_channels(x_gradients, reduce)


def input_x_gradient(x: Array, x_gradients: Array, *, reduce: str = "sum") -> Array:
    r"""Each pixel's value times the score's gradient in it, summed over channels.

    .. math:: S_{ij} = \sum_c x_{ijc} \frac{\partial y}{\partial x_{ijc}}

    The value is the preprocessed one: with inputs standardised per channel, its zero is
    the mean colour.

    Args:
      x: float[H, W, C], the preprocessed image.
      x_gradients: float[H, W, C], gradient of the score in it.
      reduce: As in `gradient`.

    Returns:
      float32[H, W]; negative where a pixel speaks against the class.

    Raises:
      ValueError: `reduce` is another word.

    Cost: O(HWC).

    Source: A. Shrikumar et al., "Not just a black box: learning important features
    through propagating activation differences", 2016 (arXiv:1605.01713).

    >>> print(input_x_gradient(jnp.array([[[2.0, 1.0]]]), jnp.array([[[1.0, -3.0]]])))
    [[-1.]]
    """
    return over_channels(x.astype(jnp.float32) * x_gradients, reduce)


def integrated_gradients(
    question: Question,
    *,
    steps: int = 50,
    baseline: str = "black",
    rule: str = "gauss_legendre",
    reduce: str = "sum",
) -> Array:
    r"""Gradients gathered on the way from a baseline image to the image.

    .. math::
      S_{ij} = \sum_c (x - b)_{ijc} \int_0^1
        \frac{\partial y(b + t (x - b))}{\partial x_{ijc}} \, dt

    Complete: the map sums to the score of the image less that of the baseline, up to
    the error of the quadrature.

    Args:
      question: The images and what is asked.
      steps: Points of the quadrature, at least 1.
      baseline: "black" (the paper's) or "zero" of the preprocessed input, the mean
        colour where inputs are standardised.
      rule: "gauss_legendre", or "right" for the paper's sum over `k / steps`, k from 1.
      reduce: As in `gradient`.

    Returns:
      float32[B, H, W]; negative where a pixel speaks against the class.

    Raises:
      ValueError: an option is another word.

    Cost: `steps` forward and backward passes an image.

    Source: M. Sundararajan, A. Taly and Q. Yan, "Axiomatic attribution for deep
    networks", ICML 2017 (arXiv:1703.01365).
    """
    _checks.choice("rule", rule, ("gauss_legendre", "right"))
    nodes, weights = _quadrature(steps, rule)
    start = question.baseline(baseline)
    difference = question.x - start

    def add(total, step):
        node, weight = step
        return total + weight * question.x_gradients(start + node * difference), None

    zeros = jnp.zeros(question.x.shape, jnp.float32)
    mean, _ = jax.lax.scan(add, zeros, (nodes, weights))
    return over_channels(difference.astype(jnp.float32) * mean, reduce)


def _quadrature(steps: int, rule: str) -> tuple[Array, Array]:
    """Nodes in [0, 1] and weights of sum 1."""
    if rule == "right":
        nodes, weights = np.arange(1, steps + 1) / steps, np.full(steps, 1 / steps)
    else:
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        nodes, weights = (nodes + 1) / 2, weights / 2
    return jnp.asarray(nodes, jnp.float32), jnp.asarray(weights, jnp.float32)


def smooth_grad(
    question: Question,
    *,
    samples: int = 50,
    noise: float = 0.15,
    reduce: str = "max",
) -> Array:
    r"""Mean gradient over noisy copies of the image.

    .. math::
      S_{ij} = \max_c \left| \frac{1}{n} \sum_{m=1}^{n}
        \frac{\partial y(x + \epsilon_m)}{\partial x_{ijc}} \right|,
      \qquad \epsilon_m \sim N(0, \sigma^2 (\max x - \min x)^2)

    Gradients are averaged with their signs before their size is taken; without noise
    the map is that of `gradient`.

    Args:
      question: The images and what is asked; noise comes from their keys.
      samples: Noisy copies `n`, at least 1.
      noise: Standard deviation `sigma` as a share of the preprocessed image's range.
      reduce: As in `gradient`.

    Returns:
      float32[B, H, W], non-negative unless `reduce="sum"`.

    Raises:
      ValueError: `reduce` is another word.

    Cost: `samples` forward and backward passes an image.

    Source: D. Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017
    (arXiv:1706.03825), which finds 50 samples and noise of 10 to 20 % to serve.
    """

    def add(total, sample):
        return total + question.x_gradients(question.noisy(sample, noise)), None

    zeros = jnp.zeros(question.x.shape, jnp.float32)
    total, _ = jax.lax.scan(add, zeros, jnp.arange(samples))
    return over_channels(total / samples, reduce)


SPECS = (
    _spec.MethodSpec(
        fn=gradient,
        kind="taps",
        inputs=("x_gradients",),
        source="Simonyan et al. 2014",
        cost="1 forward, 1 backward",
        static=("reduce",),
    ),
    _spec.MethodSpec(
        fn=input_x_gradient,
        kind="taps",
        inputs=("x", "x_gradients"),
        source="Shrikumar et al. 2016",
        cost="1 forward, 1 backward",
        static=("reduce",),
    ),
    _spec.MethodSpec(
        fn=integrated_gradients,
        kind="model",
        inputs=("question",),
        source="Sundararajan et al. 2017",
        cost="`steps` forward, `steps` backward",
        static=("steps", "baseline", "rule", "reduce"),
    ),
    _spec.MethodSpec(
        fn=smooth_grad,
        kind="model",
        inputs=("question",),
        source="Smilkov et al. 2017",
        cost="`samples` forward, `samples` backward",
        static=("samples", "reduce"),
    ),
)
