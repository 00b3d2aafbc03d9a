"""What the model says as pixels are removed or inserted, most salient first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _numerics, _spec
from jaxcam._types import Array
from jaxcam.probes import canvases, inputs, removal_order

DEFAULT_STEPS = 224


def insertion_scores(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    white: Array,
    raw_saliency: Array,
    frame: Array,
    target: Array,
    image_score: Array,
    key: Array,
    *,
    steps: int | None = None,
    pixels_per_step: int | None = None,
    whole_steps: bool = False,
    canvas: canvases.Canvas = "blur",
    value: float | None = None,
    blur_size: int | None = None,
    blur_sigma: float | None = None,
    ties: str = "random",
    masking_space: str = "normalised",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model says as pixels are put on a canvas, most salient first.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      white: float32[B, C], what it makes of a white one.
      raw_saliency: float32[B, h, w], on the truth's grid; its order alone is read.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      target: int32[B], explained class.
      image_score: float32[B], its score on the images: the last point.
      key: PRNG keys [B]; decide the order of equally salient pixels.
      steps: Number of steps n, 224 by default, of floor(i HW / n) pixels up to the
        i-th.
      pixels_per_step: Pixels in each step instead; the last takes what is left.
      whole_steps: Every step takes ceil(HW / n) pixels, the last what is left, so that
        there may be fewer.
      canvas: What is there before; see `canvases.canvas`.
      value: As in `canvases.canvas`.
      blur_size: As in `canvases.canvas`.
      blur_sigma: As in `canvases.canvas`.
      ties: "random", by the key; "raster", row by row; "reverse_raster".
      masking_space: As in `canvases.canvas`.
      score: "probability" or "logit".

    Returns:
      `insertion_scores`: float32[B, n + 1]; `insertion_fractions`: float32[B, n + 1],
      shares of the pixels, from 0 to 1. Scores of a map with a NaN are NaN.
    """
    start = canvases.canvas(
        x,
        black,
        white,
        kind=canvas,
        masking_space=masking_space,
        value=value,
        blur_size=blur_size,
        blur_sigma=blur_sigma,
    )
    saliency = inputs.on_input(raw_saliency, frame, x.shape[1:3])
    place = removal_order.places(saliency, key, ties)
    counts = point_counts(
        saliency[0].size, steps, pixels_per_step, whole_steps=whole_steps
    )

    def question(taken: Array) -> Array:
        return jnp.where((place < taken)[..., None], x, start)

    scores = _scores(predict, question, counts[:-1], x, target, score)
    scores = jnp.concatenate([scores, image_score[:, None]], axis=1)
    return _curve("insertion", scores, counts, saliency)


def deletion_scores(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    white: Array,
    raw_saliency: Array,
    frame: Array,
    target: Array,
    image_score: Array,
    key: Array,
    *,
    steps: int | None = None,
    pixels_per_step: int | None = None,
    whole_steps: bool = False,
    canvas: canvases.Canvas = "zero",
    value: float | None = None,
    blur_size: int | None = None,
    blur_sigma: float | None = None,
    ties: str = "random",
    masking_space: str = "normalised",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model says as the image's pixels are removed, most salient first.

    Args:
      predict: As in `insertion_scores`, as are all other arguments.
      x: float32[B, H, W, C].
      black: float32[B, C].
      white: float32[B, C].
      raw_saliency: float32[B, h, w].
      frame: bool[B, h, w].
      target: int32[B].
      image_score: float32[B], the first point.
      key: PRNG keys [B].
      steps: Number of steps n.
      pixels_per_step: Pixels in each step instead.
      whole_steps: Every step takes ceil(HW / n) pixels.
      canvas: What is there behind removed pixels.
      value: As in `canvases.canvas`.
      blur_size: As in `canvases.canvas`.
      blur_sigma: As in `canvases.canvas`.
      ties: As in `insertion_scores`.
      masking_space: As in `canvases.canvas`.
      score: "probability" or "logit".

    Returns:
      `deletion_scores`: float32[B, n + 1]; `deletion_fractions`: float32[B, n + 1],
      shares of the pixels, from 0 to 1. Scores of a map with a NaN are NaN.
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
    saliency = inputs.on_input(raw_saliency, frame, x.shape[1:3])
    place = removal_order.places(saliency, key, ties)
    counts = point_counts(
        saliency[0].size, steps, pixels_per_step, whole_steps=whole_steps
    )

    def question(taken: Array) -> Array:
        return jnp.where((place < taken)[..., None], behind, x)

    scores = _scores(predict, question, counts[1:], x, target, score)
    scores = jnp.concatenate([image_score[:, None], scores], axis=1)
    return _curve("deletion", scores, counts, saliency)


def flipping_scores(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    white: Array,
    raw_saliency: Array,
    frame: Array,
    target: Array,
    image_score: Array,
    key: Array,
    *,
    steps: int = 100,
    canvas: canvases.Canvas = "inverted",
    value: float | None = None,
    ties: str = "random",
    masking_space: str = "pixel",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model says as pixels are flipped, most salient first.

    Args:
      predict: As in `insertion_scores`, as are all other arguments.
      x: float32[B, H, W, C].
      black: float32[B, C].
      white: float32[B, C].
      raw_saliency: float32[B, h, w].
      frame: bool[B, h, w].
      target: int32[B].
      image_score: float32[B], the first point.
      key: PRNG keys [B].
      steps: Number of steps n.
      canvas: What a pixel is flipped to.
      value: As in `canvases.canvas`.
      ties: As in `insertion_scores`.
      masking_space: As in `canvases.canvas`.
      score: "probability" or "logit".

    Returns:
      `flipping_scores`: float32[B, n + 1]; `flipping_fractions`: float32[B, n + 1].
    """
    flipped = deletion_scores(
        predict,
        x,
        black,
        white,
        raw_saliency,
        frame,
        target,
        image_score,
        key,
        steps=steps,
        canvas=canvas,
        value=value,
        ties=ties,
        masking_space=masking_space,
        score=score,
    )
    return {
        name.replace("deletion", "flipping"): array for name, array in flipped.items()
    }


def patch_scores(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    white: Array,
    raw_saliency: Array,
    frame: Array,
    target: Array,
    image_score: Array,
    key: Array,
    *,
    steps: int = 100,
    patch: int = 9,
    ties: str = "random",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model says as patches become noise one by one, most salient first.

    Args:
      predict: As in `insertion_scores`, as are all other arguments.
      x: float32[B, H, W, C].
      black: float32[B, C].
      white: float32[B, C].
      raw_saliency: float32[B, h, w].
      frame: bool[B, h, w].
      target: int32[B].
      image_score: float32[B], the first point.
      key: PRNG keys [B]; decide the noise too: each value is drawn uniformly between
        black and white, once for all steps.
      steps: Number of patches removed, at least 1, at most all.
      patch: Rows and columns of a patch; those at the far borders may be smaller.
      ties: As in `insertion_scores`.
      score: "probability" or "logit".

    Returns:
      `patch_scores`: float32[B, n + 1], after 0, 1, ..., n patches.

    Raises:
      ValueError: `steps` is less than 1, or `ties` or `score` is another word.
    """
    patches = removal_order.patch_count(x.shape[1:3], patch)
    if not steps >= 1:
        raise ValueError(f"steps={steps} must be at least 1.")
    counts = np.arange(min(steps, patches) + 1)
    saliency = inputs.on_input(raw_saliency, frame, x.shape[1:3])
    place = removal_order.patch_places(saliency, key, ties, patch)
    noise = _uniform_noise(key, x, black, white)

    def question(taken: Array) -> Array:
        return jnp.where((place < taken)[..., None], noise, x)

    scores = _scores(predict, question, counts[1:], x, target, score)
    scores = jnp.concatenate([image_score[:, None], scores], axis=1)
    return {"patch_scores": _known(scores, saliency)}


def point_counts(
    size: int,
    steps: int | None,
    pixels_per_step: int | None,
    *,
    whole_steps: bool = False,
) -> np.ndarray:
    """int64[n + 1]: how many pixels are changed at each point, 0 and all included."""
    if steps is not None and pixels_per_step is not None:
        raise ValueError(
            f"steps={steps} and pixels_per_step={pixels_per_step} exclude each other; "
            "give one of them (a preset may give the other)."
        )
    if pixels_per_step is None:
        steps = DEFAULT_STEPS if steps is None else steps
        if not 1 <= steps <= size:
            raise ValueError(
                f"steps={steps} must lie between 1 and the number of pixels, {size}."
            )
        if not whole_steps:
            return np.arange(steps + 1) * size // steps
        pixels_per_step = -(-size // steps)
    if not 1 <= pixels_per_step <= size:
        raise ValueError(
            f"pixels_per_step={pixels_per_step} must lie between 1 and the number "
            f"of pixels, {size}."
        )
    return np.append(np.arange(0, size, pixels_per_step), size)


def _scores(
    predict: Callable[[Array], Array],
    question: Callable[[Array], Array],
    counts: np.ndarray,
    x: Array,
    target: Array,
    score: str,
) -> Array:
    """float32[B, T]: the class's score at each count."""
    taken = jnp.asarray(counts, jnp.int32)

    def answer(i: Array) -> Array:
        return _numerics.class_score(predict(question(taken[i])), target, score)

    return inputs.many(answer, len(counts), x)


def _curve(name: str, scores: Array, counts: np.ndarray, saliency: Array) -> Any:
    fractions = jnp.asarray(counts / counts[-1], jnp.float32)
    return {
        f"{name}_scores": _known(scores, saliency),
        f"{name}_fractions": jnp.broadcast_to(fractions, scores.shape),
    }


def _known(scores: Array, saliency: Array) -> Array:
    """NaN for a map with a NaN, which has no order."""
    unknown = jnp.any(jnp.isnan(saliency), axis=(1, 2))
    return _numerics.undefined_if(unknown[:, None], scores)


def _uniform_noise(keys: Array, x: Array, black: Array, white: Array) -> Array:
    """float32[B, H, W, C], uniform between black and white."""

    def one(key: Array) -> Array:
        return jax.random.uniform(jax.random.fold_in(key, 1), x.shape[1:], x.dtype)

    black, white = black[:, None, None, :], white[:, None, None, :]
    return black + jax.vmap(one)(keys) * (white - black)


_INPUTS = (
    "x",
    "black",
    "white",
    "raw_saliency",
    "frame",
    "target",
    "image_score",
    "key",
)
_STEPPED = (
    "steps",
    "pixels_per_step",
    "whole_steps",
    "canvas",
    "blur_size",
    "blur_sigma",
    "ties",
    "masking_space",
    "score",
)

SPECS = (
    _spec.ProbeSpec(
        fn=insertion_scores,
        inputs=_INPUTS,
        outputs=("insertion_scores", "insertion_fractions"),
        cost="224 forward passes a map",
        static=_STEPPED,
        long=True,
    ),
    _spec.ProbeSpec(
        fn=deletion_scores,
        inputs=_INPUTS,
        outputs=("deletion_scores", "deletion_fractions"),
        cost="224 forward passes a map",
        static=_STEPPED,
        long=True,
    ),
    _spec.ProbeSpec(
        fn=flipping_scores,
        inputs=_INPUTS,
        outputs=("flipping_scores", "flipping_fractions"),
        cost="100 forward passes a map",
        static=("steps", "canvas", "ties", "masking_space", "score"),
        long=True,
    ),
    _spec.ProbeSpec(
        fn=patch_scores,
        inputs=_INPUTS,
        outputs=("patch_scores",),
        cost="100 forward passes a map",
        static=("steps", "patch", "ties", "score"),
        long=True,
    ),
)
