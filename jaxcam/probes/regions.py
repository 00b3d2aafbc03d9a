"""What the model loses when the object, its ring or its context is taken away."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp

from jaxcam import _numerics, _spec
from jaxcam._types import Array
from jaxcam.probes import canvases, inputs


def region_drops(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    white: Array,
    evidence_parts: Array,
    frame: Array,
    target: Array,
    *,
    canvas: canvases.Canvas = "blur",
    value: float | None = None,
    blur_size: int | None = None,
    blur_sigma: float | None = None,
    masking_space: str = "normalised",
    score: str = "probability",
) -> dict[str, Array]:
    r"""How far the class's score falls when a part of the image becomes a canvas.

    .. math::
      d_r = f(x) - f(x \odot (1 - r) + b \odot r)

    with `b` the canvas. Edges are hard where the truth lies on the model's grid; a
    truth on another grid is brought to it bilinearly, and the edge is then as soft as
    that. The score of the whole image is asked for again beside the altered ones, so
    that a part the model does not read has a drop of zero, not of rounding.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      white: float32[B, C], what it makes of a white one.
      evidence_parts: bool[B, P, h, w], on the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      target: int32[B], explained class.
      canvas: What takes the place of a part; see `canvases.canvas`.
      value: As in `canvases.canvas`.
      blur_size: As in `canvases.canvas`.
      blur_sigma: As in `canvases.canvas`.
      masking_space: As in `canvases.canvas`.
      score: "probability" or "logit".

    Returns:
      `region_drops`: float32[B, P]; of a part without a pixel exactly 0.

    Raises:
      ValueError: An option is none of its words, or the canvas does not read it.
    """
    behind = canvases.canvas(
        x,
        black,
        white,
        kind=canvas,
        masking_space=masking_space,
        value=value,
        blur_size=blur_size,
        blur_sigma=blur_sigma,
    )
    parts = evidence_parts.shape[1]
    covers = [
        inputs.on_input(evidence_parts[:, i].astype(x.dtype), frame, x.shape[1:3])
        for i in range(parts)
    ]
    covers = jnp.stack([jnp.zeros_like(covers[0]), *covers])[..., None]

    def question(number: Array) -> Array:
        cover = covers[number]
        altered = jnp.where(cover == 0, x, x * (1.0 - cover) + behind * cover)
        return _numerics.class_score(predict(altered), target, score)

    scores = inputs.many(question, 1 + parts, x)
    drops = scores[:, :1] - scores[:, 1:]
    empty = ~jnp.any(evidence_parts, axis=(2, 3))
    return {"region_drops": jnp.where(empty, 0.0, drops)}


SPECS = (
    _spec.ProbeSpec(
        fn=region_drops,
        inputs=("x", "black", "white", "evidence_parts", "frame", "target"),
        outputs=("region_drops",),
        cost="4 forward passes, shared by all maps",
        static=(
            "canvas",
            "value",
            "blur_size",
            "blur_sigma",
            "masking_space",
            "score",
        ),
    ),
)
