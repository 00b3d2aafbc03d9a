"""Argument checks: made at trace time from shapes and dtypes, they say what to do."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam._types import Array


def foreign(x: Any) -> Any:
    """`x`, or an array of what it holds if DLPack is all it speaks."""
    if not hasattr(x, "__dlpack__") or isinstance(x, jax.Array | np.ndarray):
        return x
    try:
        return np.from_dlpack(x)
    except (BufferError, RuntimeError, ValueError):  # Not on the host, or bfloat16.
        return jnp.from_dlpack(x)


def _rank_two(name: str, x: Array) -> None:
    if x.ndim != 2:
        raise ValueError(
            f"{name} must have shape (H, W) but has shape {x.shape}; "
            "batch a metric with jax.vmap, and reduce channels first."
        )


def _same_shape(name: str, x: Array, other: str, y: Array) -> None:
    if x.shape != y.shape:
        raise ValueError(
            f"{name} has shape {x.shape} but {other} has shape {y.shape}; "
            "resize the map to the truth with jaxcam.ops.resize."
        )


def saliency_map(saliency: Array, name: str = "saliency") -> Array:
    """`saliency` as float32[H, W]; refuses integers, booleans and other ranks."""
    saliency = jnp.asarray(foreign(saliency))
    if not jnp.issubdtype(saliency.dtype, jnp.floating):
        raise TypeError(
            f"{name} must be floating point but is {saliency.dtype}; convert it with "
            f"{name}.astype(jnp.float32), and divide by 255 if it holds bytes."
        )
    _rank_two(name, saliency)
    return saliency.astype(jnp.float32)


def mask(mask: Array, name: str = "mask") -> Array:
    """`mask` as bool[H, W]; refuses numbers, which may be labels or probabilities."""
    mask = jnp.asarray(foreign(mask))
    if mask.dtype != jnp.bool_:
        raise TypeError(
            f"{name} must be boolean but is {mask.dtype}; say which values are the "
            f"object, for example {name} == 1 or {name} > 0.5."
        )
    _rank_two(name, mask)
    return mask


def valid_pixels(where: Array | None, like: Array) -> Array:
    """`where` as bool of the shape of `like`; `None` counts every pixel."""
    if where is None:
        return jnp.ones(like.shape, jnp.bool_)
    where = mask(where, "where")
    _same_shape("where", where, "the map", like)
    return where


def map_and_mask(
    saliency: Array, truth: Array, where: Array | None
) -> tuple[Array, Array, Array]:
    """A map, a truth mask and valid pixels of one shape; the mask lies within them."""
    saliency = saliency_map(saliency)
    truth = mask(truth)
    _same_shape("saliency", saliency, "mask", truth)
    where = valid_pixels(where, saliency)
    return saliency, truth & where, where


def two_masks(
    predicted: Array, truth: Array, where: Array | None
) -> tuple[Array, Array, Array]:
    """Two regions and valid pixels of one shape; both regions lie within them."""
    predicted = mask(predicted, "predicted")
    truth = mask(truth, "truth")
    _same_shape("predicted", predicted, "truth", truth)
    where = valid_pixels(where, predicted)
    return predicted & where, truth & where, where


def two_maps(
    a: Array, b: Array, where: Array | None, names: tuple[str, str] = ("a", "b")
) -> tuple[Array, Array, Array]:
    """Two maps and valid pixels of one shape."""
    a, b = saliency_map(a, names[0]), saliency_map(b, names[1])
    _same_shape(names[0], a, names[1], b)
    return a, b, valid_pixels(where, a)


def choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuses a static option that is not one of `allowed`."""
    if value not in allowed:
        options = ", ".join(repr(option) for option in allowed)
        raise ValueError(f"{name}={value!r} is not known; choose one of {options}.")
