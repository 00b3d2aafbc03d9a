"""The maps of the same methods when one thing is changed: the image or the class."""

from __future__ import annotations

import jax

from jaxcam import _spec
from jaxcam._types import Array
from jaxcam.probes import inputs, masking


def masked_explanation(
    explainer: _spec.Explainer,
    x: Array,
    black: Array,
    saliency: Array,
    frame: Array,
    target: Array,
    *,
    masking_space: str = "normalised",
    top_fraction: float | None = None,
) -> dict[str, Array]:
    """Each method's map of the image multiplied by its map, for the same class.

    Args:
      explainer: The methods that made the maps.
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      saliency: float32[M, B, h, w], in [0, 1], on the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      target: int32[B], explained class.
      masking_space: As in `masked_score`.
      top_fraction: As in `masked_score`.

    Returns:
      `masked_raw_saliency`: float32[M, B, h, w], not normalised.
    """

    def masked(saliency: Array) -> Array:
        return masking.masked_images(
            x,
            black,
            inputs.on_input(saliency, frame, x.shape[1:3]),
            masking_space=masking_space,
            top_fraction=top_fraction,
        )

    maps = explainer.maps(explainer.params, jax.vmap(masked)(saliency), target)
    return {"masked_raw_saliency": maps}


def other_explanation(
    explainer: _spec.Explainer, x: Array, target: Array, key: Array
) -> dict[str, Array]:
    """Maps of another class, drawn uniformly by the image's key.

    Args:
      explainer: The methods that made the maps.
      x: float32[B, H, W, C], preprocessed images.
      target: int32[B], explained class.
      key: PRNG keys [B].

    Returns:
      `other_raw_saliency`: float32[M, B, h, w], not normalised.

    Raises:
      ValueError: The model has a single output.
    """
    classes = jax.eval_shape(explainer.predict, explainer.params, x).shape[1]
    if classes < 2:
        raise ValueError(
            "A model with a single output has no other class to explain; leave out "
            "random_logit."
        )

    def another(key: Array, target: Array) -> Array:
        step = jax.random.randint(key, (), 1, classes, target.dtype)
        return (target + step) % classes

    others = jax.vmap(another)(key, target)
    return {"other_raw_saliency": explainer.maps(explainer.params, x, others)}


SPECS = (
    _spec.ProbeSpec(
        fn=masked_explanation,
        inputs=("x", "black", "saliency", "frame", "target"),
        outputs=("masked_raw_saliency",),
        cost="one explanation",
        asks="explain",
        static=("masking_space", "top_fraction"),
    ),
    _spec.ProbeSpec(
        fn=other_explanation,
        inputs=("x", "target", "key"),
        outputs=("other_raw_saliency",),
        cost="one explanation",
        asks="explain",
    ),
)
