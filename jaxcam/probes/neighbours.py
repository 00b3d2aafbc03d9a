"""Maps of images with a little noise: how far a map moves when its image does."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcam import _numerics, _spec, ops
from jaxcam._types import Array


def neighbour_changes(
    explainer: _spec.Explainer,
    x: Array,
    raw_saliency: Array,
    target: Array,
    key: Array,
    *,
    radius: float = 0.02,
    samples: int = 10,
) -> dict[str, Array]:
    """How far maps move when every value of the input moves by at most the radius.

    Args:
      explainer: The methods that made the maps.
      x: float32[B, H, W, C], preprocessed images.
      raw_saliency: float32[M, B, h, w], their maps, not normalised.
      target: int32[B], explained class.
      key: PRNG keys [B].
      radius: Each value of the input moves by a uniform amount in [-radius, radius].
      samples: Number of neighbours.

    Returns:
      `neighbour_changes`: float32[M, B, samples], Euclidean length of the change over
      that of the map; NaN where the map is zero.
    """
    length = _length(raw_saliency)

    def question(neighbours: Array) -> Array:
        maps = explainer.maps(explainer.params, neighbours, target)
        return _numerics.ratio(_length(maps - raw_saliency), length)

    return {"neighbour_changes": _each(question, x, key, radius, samples)}


def relative_neighbour_changes(
    explainer: _spec.Explainer,
    x: Array,
    saliency: Array,
    frame: Array,
    target: Array,
    predicted_class: Array,
    key: Array,
    *,
    radius: float = 0.02,
    samples: int = 10,
    epsilon: float = 1e-6,
    normalization: str = "max",
) -> dict[str, Array]:
    """How far maps move over how far images do, both pixel by pixel, as shares.

    Args:
      explainer: The methods that made the maps.
      x: float32[B, H, W, C], preprocessed images.
      saliency: float32[M, B, h, w], their maps, normalised.
      frame: bool[B, h, w], pixels that are image.
      target: int32[B], explained class.
      predicted_class: int32[B], on the images.
      key: PRNG keys [B].
      radius: As in `neighbour_changes`.
      samples: As in `neighbour_changes`.
      epsilon: Magnitudes by which changes are divided are at least this.
      normalization: How the neighbours' maps are normalised.

    Returns:
      `relative_neighbour_changes`: float32[M, B, samples]; -inf where the neighbour is
      predicted to be of another class.
    """

    def normalised(saliency: Array, frame: Array) -> Array:
        return ops.normalize(saliency, rule=normalization, where=frame)

    def share(new: Array, old: Array) -> Array:
        return (new - old) / jnp.maximum(jnp.abs(old), epsilon)

    def question(neighbours: Array) -> Array:
        maps = explainer.maps(explainer.params, neighbours, target)
        maps = jax.vmap(jax.vmap(normalised), (0, None))(maps, frame)
        of_map = _length(share(maps, saliency))
        of_channels = share(neighbours, x).reshape(*x.shape[:2], -1)
        of_input = jnp.maximum(_length(of_channels), epsilon)
        found = jnp.argmax(explainer.predict(explainer.params, neighbours), axis=1)
        other = found.astype(predicted_class.dtype) != predicted_class
        return jnp.where(other, -jnp.inf, of_map / of_input)

    changes = _each(question, x, key, radius, samples)
    return {"relative_neighbour_changes": changes}


def _each(
    question: Callable[[Array], Array],
    x: Array,
    keys: Array,
    radius: float,
    samples: int,
) -> Array:
    """float32[M, B, samples]: answers for one batch of neighbours after another."""

    def noise(key: Array, sample: Array) -> Array:
        drawn = jax.random.fold_in(key, sample)
        return jax.random.uniform(drawn, x.shape[1:], x.dtype, -radius, radius)

    def of_sample(sample: Array) -> Array:
        return question(x + jax.vmap(noise, (0, None))(keys, sample))

    changes = jax.lax.map(of_sample, jnp.arange(samples, dtype=jnp.int32))
    return jnp.moveaxis(changes, 0, -1)


def _length(maps: Array) -> Array:
    """Euclidean length of each map, whatever the scale of its values."""
    highest = jnp.max(jnp.abs(maps), axis=(-2, -1))
    scale = jnp.where(highest > 0, highest, 1.0)
    squares = (maps / scale[..., None, None]) ** 2
    return scale * jnp.sqrt(jnp.sum(squares, axis=(-2, -1)))


SPECS = (
    _spec.ProbeSpec(
        fn=neighbour_changes,
        inputs=("x", "raw_saliency", "target", "key"),
        outputs=("neighbour_changes",),
        cost="10 explanations",
        asks="explain",
        static=("radius", "samples"),
    ),
    _spec.ProbeSpec(
        fn=relative_neighbour_changes,
        inputs=(
            "x",
            "saliency",
            "frame",
            "target",
            "predicted_class",
            "key",
        ),
        outputs=("relative_neighbour_changes",),
        cost="10 explanations and forward passes",
        asks="explain",
        static=("radius", "samples", "epsilon", "normalization"),
    ),
)
