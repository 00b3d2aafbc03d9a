"""Maps from the first principal direction of a layer's activations."""

from __future__ import annotations

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

    Cost: O(m^3 + hwC m), m = min(hw, C).

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

    Cost: O(m^3 + hwC m), m = min(hw, C).

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
    # The larger side is summed away: the eigenproblem has the size of the smaller.
    if channels <= height * width:
        projection = rows @ jnp.linalg.eigh(rows.T @ rows)[1][:, -1]
    else:
        values_, vectors = jnp.linalg.eigh(rows @ rows.T)
        projection = jnp.sqrt(jnp.maximum(values_[-1], 0.0)) * vectors[:, -1]
    against = jnp.vdot(projection, totals - centred * jnp.mean(totals)) < 0
    return jnp.where(against, -projection, projection).reshape(height, width)


SPECS = (
    _spec.MethodSpec(
        fn=eigen_cam,
        kind="taps",
        inputs=("activations",),
        source="Muhammad and Yeasin 2020",
        cost="1 forward, a decomposition",
        layer="feature",
        static=("centred",),
    ),
    _spec.MethodSpec(
        fn=eigen_grad_cam,
        kind="taps",
        inputs=("activations", "gradients"),
        source="pytorch-grad-cam",
        cost="1 forward, 1 backward through what lies above the layer, a decomposition",
        layer="feature",
        static=("centred",),
    ),
)
