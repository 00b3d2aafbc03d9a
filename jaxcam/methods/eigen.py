"""Maps from the first principal direction of a layer's activations."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _spec
from jaxcam._types import Array


def eigen_cam(activations: Array, *, centred: bool = False) -> Array:
    r"""Projection of the activations on their first principal direction.

    .. math:: S = O v_1, \qquad O = U \Sigma V^T \in \mathbb{R}^{hw \times C}

    It reads no class. The sign of a singular vector is arbitrary; it is chosen here so
    that the map correlates positively with the sum of the activations over channels.

    Args:
      activations: float[h, w, C].
      centred: Takes each channel's mean over space off first, as pytorch-grad-cam does
        and the paper does not; a channel that is active everywhere then counts little.

    Returns:
      float32[h, w]; may be negative. Non-negative after a ReLU layer if not centred.

    Cost: O(m^3 + hwC m), m = min(hw, C): 14 products of m x m matrices.

    Source: M. B. Muhammad and M. Yeasin, "Eigen-CAM: class activation map using
    principal components", IJCNN 2020 (arXiv:2008.00299).

    >>> print(eigen_cam(jnp.array([[[3.0, 4.0], [6.0, 8.0]]])).round(3))
    [[ 5. 10.]]
    """
    return _first_projection(activations, centred)


def eigen_grad_cam(
    activations: Array, gradients: Array, *, centred: bool = True
) -> Array:
    r"""Projection of activation times gradient on its first principal direction.

    .. math:: S = O v_1, \qquad O = (A \odot G) \in \mathbb{R}^{hw \times C}

    The sign is chosen so that the map correlates positively with `hires_cam`, the sum
    over channels of the same products.

    Args:
      activations: float[h, w, C].
      gradients: float[h, w, C], gradient `G` of the score in them.
      centred: Takes each channel's mean over space off first, as the library that
        defined the method does.

    Returns:
      float32[h, w]; may be negative.

    Cost: O(m^3 + hwC m), m = min(hw, C): 14 products of m x m matrices.

    Source: the method of that name in the pytorch-grad-cam library, after Eigen-CAM; it
    has no paper. There the sign is whatever the decomposition returns.

    >>> a, g = jnp.array([[[3.0, 4.0], [6.0, 8.0]]]), -jnp.ones((1, 2, 2))
    >>> print(eigen_grad_cam(a, g, centred=False).round(3))
    [[ -5. -10.]]
    """
    return _first_projection(activations * gradients, centred)


def _first_projection(values: Array, centred: bool) -> Array:
    height, width, channels = values.shape
    rows = values.reshape(height * width, channels)
    totals = jnp.sum(rows, axis=1)
    if centred:
        rows = rows - jnp.mean(rows, axis=0)
        totals = totals - jnp.mean(totals)
    # The larger side is summed away: the eigenproblem has the size of the smaller.
    if channels <= height * width:
        direction = _first_eigenvector(_dot(rows.T, rows))
    else:
        direction = _dot(rows.T, _first_eigenvector(_dot(rows, rows.T)))
        length = jnp.linalg.norm(direction)
        direction = direction / jnp.where(length > 0, length, 1.0)
    projection = _dot(rows, direction)
    against = jnp.vdot(projection, totals) < 0
    return jnp.where(against, -projection, projection).reshape(height, width)


_SQUARINGS = 14


def _first_eigenvector(gram: Array) -> Array:
    """Unit eigenvector of the largest eigenvalue of a Gram matrix; zero for zero.

    Squares the matrix until nothing but that direction is left: 16,384 steps of the
    power method in 14 products, several times faster than a full decomposition.
    """

    def to_unit_trace(matrix: Array) -> Array:
        trace = jnp.trace(matrix)
        return matrix / jnp.where(trace > 0, trace, 1.0)

    def square(_: Array, power: Array) -> Array:
        return to_unit_trace(_dot(power, power))

    gram = to_unit_trace(gram)
    power = jax.lax.fori_loop(0, _SQUARINGS, square, gram)
    column = jnp.take(power, jnp.argmax(jnp.diagonal(power)), axis=1)
    direction = _dot(gram, column)
    length = jnp.linalg.norm(direction)
    return direction / jnp.where(length > 0, length, 1.0)


def _dot(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


SPECS = (
    _spec.MethodSpec(
        fn=eigen_cam,
        kind="taps",
        inputs=("activations",),
        source="Muhammad and Yeasin 2020",
        cost="1 forward, 14 matrix products",
        layer="feature",
        static=("centred",),
    ),
    _spec.MethodSpec(
        fn=eigen_grad_cam,
        kind="taps",
        inputs=("activations", "gradients"),
        source="pytorch-grad-cam",
        cost="1 forward, 1 backward through what lies above the layer, 14 products",
        layer="feature",
        static=("centred",),
    ),
)
