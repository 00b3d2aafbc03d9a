"""Maps of several layers, multiplied."""

from __future__ import annotations

from jaxcam import _checks, _spec
from jaxcam._types import Array
from jaxcam.methods import gradient_weighted

_BASES = {
    "grad_cam_plus_plus": gradient_weighted.grad_cam_plus_plus,
    "grad_cam": gradient_weighted.grad_cam,
    "layer_cam": gradient_weighted.layer_cam,
}


def refine_cam(
    activations: Array, gradients: Array, *, base: str = "grad_cam_plus_plus"
) -> Array:
    r"""Product of the maps of several layers: fine where the early ones are.

    .. math::
      S = \prod_l U\left(\frac{S_l - \min S_l}{\max S_l - \min S_l}\right)

    `S_l` is the base method's map of layer `l` and `U` resizes to the largest grid
    (bilinear, half-pixel centres). This function gives `S_l`; the engine multiplies the
    maps of the layers named by `layer`, two or more. By default these are the default
    layer and the last one before it with a finer grid.

    Args:
      activations: float[h, w, C] of one of the layers.
      gradients: float[h, w, C], gradient of the score in them.
      base: "grad_cam_plus_plus" (the paper's and both libraries' default), "grad_cam"
        or "layer_cam".

    Returns:
      float32[h, w], non-negative.

    Raises:
      ValueError: `base` is another word, or fewer than two layers are named.

    Cost: 1 forward, 1 backward pass down to the lowest layer.

    Source: L. Domeniconi et al., "How to evaluate and refine your CAM", 2026
    (arXiv:2605.14641).

    >>> a, g = jnp.array([[[1.0], [-3.0]]]), jnp.array([[[0.0], [1.0]]])
    >>> print(refine_cam(a, g, base="grad_cam"))  # Of one layer, that is Grad-CAM's.
    [[0.5 0. ]]
    """
    _checks.choice("base", base, tuple(_BASES))
    return _BASES[base](activations, gradients)


SPECS = (
    _spec.MethodSpec(
        fn=refine_cam,
        kind="taps",
        inputs=("activations", "gradients"),
        source="Domeniconi et al. 2026",
        cost="1 forward, 1 backward through what lies above the lowest layer",
        layer="feature",
        static=("base",),
    ),
)
