"""Random changes of the image: what the model loses, what the map says they cost."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcam import _checks, _numerics, _spec
from jaxcam._types import Array
from jaxcam.probes import cells, inputs

LARGEST_SIDE = 10 / 28
"""Largest side of a square over the image's shorter one: 10 of 28 pixels."""

NOISE = 0.2
"""Standard deviation of the noisy baseline, in units of the model's input."""


def perturbation_drops(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    target: Array,
    image_score: Array,
    key: Array,
    *,
    perturbation: str = "square",
    samples: int = 100,
    masking_space: str = "normalised",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model loses when the image is changed by I: `f(x) - f(x - I)`.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      target: int32[B], explained class.
      image_score: float32[B], its score on the images.
      key: PRNG keys [B].
      perturbation: "square" hides a square whose side is uniform from 1 to 10/28 of the
        image's shorter side, at a uniform place inside; "noise" replaces the whole
        image by noise about the baseline, of standard deviation 0.2.
      samples: Number of perturbations.
      masking_space: What hidden pixels, or the baseline, are: the mean colour in the
        "normalised" space, or black in the "pixel" space.
      score: "probability" or "logit".

    Returns:
      `perturbation_drops`: float32[B, samples].

    Raises:
      ValueError: An option is another word.
    """
    _checks.choice("perturbation", perturbation, ("square", "noise"))
    fill = cells.hidden_pixels(x, black, masking_space)

    def question(sample: Array) -> Array:
        if perturbation == "square":
            hidden = _squares(key, sample, x.shape[1:3])
            altered = jnp.where(hidden[..., None], fill, x)
        else:
            altered = fill + NOISE * _noise(key, sample, x)
        return image_score - _numerics.class_score(predict(altered), target, score)

    return {"perturbation_drops": inputs.many(question, samples, x)}


def perturbation_products(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    saliency: Array,
    frame: Array,
    key: Array,
    *,
    perturbation: str = "square",
    samples: int = 100,
    masking_space: str = "normalised",
) -> dict[str, Array]:
    """What the map says that the changes of `perturbation_drops` cost: `I . S`.

    Args:
      predict: Not called.
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      saliency: float32[B, h, w], on the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      key: PRNG keys [B].
      perturbation: "square": I is 1 where the square is, a pixel with all its channels
        counting once, and the map is the share of each pixel. "noise": I is what is
        taken away in each channel, and the map is the worth of one unit in any channel.
      samples: As in `perturbation_drops`.
      masking_space: As in `perturbation_drops`.

    Returns:
      `perturbation_products`: float32[B, samples].

    Raises:
      ValueError: An option is another word.
    """
    del predict
    _checks.choice("perturbation", perturbation, ("square", "noise"))
    fill = cells.hidden_pixels(x, black, masking_space)
    saliency = inputs.on_input(saliency, frame, x.shape[1:3])

    def question(sample: Array) -> Array:
        if perturbation == "square":
            taken = _squares(key, sample, x.shape[1:3]).astype(jnp.float32)
        else:
            taken = jnp.sum(x - fill - NOISE * _noise(key, sample, x), axis=3)
        return jnp.sum(taken * saliency, axis=(1, 2))

    return {"perturbation_products": inputs.many(question, samples, x)}


def _squares(keys: Array, sample: Array, shape: tuple[int, int]) -> Array:
    """bool[B, H, W], true on a square of each image's own."""
    longest = max(1, round(LARGEST_SIDE * min(shape)))

    def one(key: Array) -> Array:
        of_side, of_place = jax.random.split(jax.random.fold_in(key, sample))
        side = jax.random.randint(of_side, (), 1, longest + 1)
        free = jnp.array(shape, jnp.int32) - side + 1
        first = jax.random.randint(of_place, (2,), 0, free)
        down, along = (
            (jnp.arange(length) >= start) & (jnp.arange(length) < start + side)
            for length, start in zip(shape, first, strict=True)
        )
        return down[:, None] & along[None, :]

    return jax.vmap(one)(keys)


def _noise(keys: Array, sample: Array, x: Array) -> Array:
    """float32[B, H, W, C], standard normal."""

    def one(key: Array) -> Array:
        return jax.random.normal(jax.random.fold_in(key, sample), x.shape[1:])

    return jax.vmap(one)(keys)


SPECS = (
    _spec.ProbeSpec(
        fn=perturbation_drops,
        inputs=("x", "black", "target", "image_score", "key"),
        outputs=("perturbation_drops",),
        cost="100 forward passes an image",
        static=("perturbation", "samples", "masking_space", "score"),
    ),
    _spec.ProbeSpec(
        fn=perturbation_products,
        inputs=("x", "black", "saliency", "frame", "key"),
        outputs=("perturbation_products",),
        cost="none",
        static=("perturbation", "samples", "masking_space"),
    ),
)
