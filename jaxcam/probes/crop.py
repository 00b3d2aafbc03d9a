"""What the model says of the part of the image that the explanation points out."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcam import _numerics, _spec
from jaxcam._types import Array
from jaxcam.probes import canvases, inputs


def crop_score(
    predict: Callable[[Array], Array],
    x: Array,
    salient_box: Array,
    frame: Array,
    target: Array,
) -> dict[str, Array]:
    """Probability of the target on the crop of the image to a box, resized back.

    The crop is bilinear with half-pixel centres and never reads a pixel outside of the
    box, as if it had been cut out first and resized then.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      salient_box: [B, 4], `[y0, x0, y1, x1]`, half-open, in pixels of the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      target: int32[B], explained class.

    Returns:
      `crop_probability`: float32[B], in [0, 1]; NaN where the box is empty.
    """
    box = _box_on_input(salient_box, frame, x)
    crops = jax.vmap(_crop_and_resize)(x, box)
    probability = _numerics.class_probability(predict(crops), target)
    return {"crop_probability": _numerics.undefined_if(_is_empty(box), probability)}


def cut_out_score(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    white: Array,
    salient_box: Array,
    frame: Array,
    target: Array,
    *,
    canvas: canvases.Canvas = "zero",
    value: float | None = None,
    blur_size: int | None = None,
    blur_sigma: float | None = None,
    masking_space: str = "normalised",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model says of the image without a box.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      white: float32[B, C], what it makes of a white one.
      salient_box: [B, 4], `[y0, x0, y1, x1]`, half-open, in pixels of the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      target: int32[B], explained class.
      canvas: What is there instead of the box; see `canvases.canvas`.
      value: As in `canvases.canvas`.
      blur_size: As in `canvases.canvas`.
      blur_sigma: As in `canvases.canvas`.
      masking_space: As in `canvases.canvas`.
      score: "probability" or "logit".

    Returns:
      `cut_out_score`: float32[B]; NaN where the box is empty.
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
    box = _box_on_input(salient_box, frame, x)
    cut = jax.vmap(lambda b: _inside(b, x.shape[1:3]))(box)
    logits = predict(jnp.where(cut[..., None], behind, x))
    scores = _numerics.class_score(logits, target, score)
    return {"cut_out_score": _numerics.undefined_if(_is_empty(box), scores)}


def _box_on_input(box: Array, frame: Array, x: Array) -> Array:
    """float32[B, 4]: boxes in pixels of the model's input."""
    size = jnp.array(x.shape[1:3], jnp.float32)
    extent = inputs.extent_of(frame)
    scale = size / jnp.maximum(extent, 1).astype(jnp.float32)
    return box.astype(jnp.float32) * jnp.tile(scale, (1, 2))


def _is_empty(box: Array) -> Array:
    return (box[:, 2] <= box[:, 0]) | (box[:, 3] <= box[:, 1])


def _inside(box: Array, shape: tuple[int, int]) -> Array:
    """bool[H, W]: pixels whose centre lies in the box, or else its middle's pixel."""

    def lines(length: int, start: Array, stop: Array) -> Array:
        at = jnp.arange(length, dtype=jnp.float32)
        inside = (at + 0.5 >= start) & (at + 0.5 < stop)
        return jnp.where(jnp.any(inside), inside, at == _middle(start, stop))

    rows, columns = lines(shape[0], box[0], box[2]), lines(shape[1], box[1], box[3])
    return rows[:, None] & columns[None, :]


def _middle(start: Array, stop: Array) -> Array:
    """The pixel in which the middle of an interval lies."""
    return jnp.floor((start + stop) / 2.0)


def _crop_and_resize(image: Array, box: Array) -> Array:
    height, width, _ = image.shape
    rows = _interpolation(height, box[0], box[2])
    columns = _interpolation(width, box[1], box[3])
    return jnp.einsum("ih,hwc,jw->ijc", rows, image, columns)


def _interpolation(size: int, start: Array, stop: Array) -> Array:
    """float32[size, size]: row i holds the weights of the i-th resized pixel."""
    step = (stop - start) / size
    at = start + (jnp.arange(size, dtype=jnp.float32) + 0.5) * step - 0.5
    first, last = jnp.ceil(start - 0.5), jnp.floor(stop - 0.5)
    nowhere = first > last  # No pixel has its centre in the box.
    first = jnp.where(nowhere, _middle(start, stop), first)
    at = jnp.clip(at, first, jnp.where(nowhere, first, last))
    pixels = jnp.arange(size, dtype=jnp.float32)
    return jnp.maximum(0.0, 1.0 - jnp.abs(at[:, None] - pixels[None, :]))


SPECS = (
    _spec.ProbeSpec(
        fn=crop_score,
        inputs=("x", "salient_box", "frame", "target"),
        outputs=("crop_probability",),
        cost="one forward pass",
    ),
    _spec.ProbeSpec(
        fn=cut_out_score,
        inputs=("x", "black", "white", "salient_box", "frame", "target"),
        outputs=("cut_out_score",),
        cost="one forward pass",
        static=("canvas", "blur_size", "blur_sigma", "masking_space", "score"),
    ),
)
