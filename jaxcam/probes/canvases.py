"""What takes the place of a removed pixel: the image that is left of an image."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
import numpy as np

from jaxcam import _checks
from jaxcam._types import Array

Canvas = Literal["zero", "mean", "constant", "blur", "reflected_blur", "inverted"]

CANVASES = ("zero", "mean", "constant", "blur", "reflected_blur", "inverted")


def canvas(
    x: Array,
    black: Array,
    white: Array,
    *,
    kind: Canvas,
    masking_space: str = "normalised",
    value: float | None = None,
    blur_size: int | None = None,
    blur_sigma: float | None = None,
) -> Array:
    """The image that is left when every pixel of `x` is removed.

    Args:
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      white: float32[B, C], what it makes of a white one.
      kind: "zero": zeros in the normalised space, black in the pixel space. "mean":
        each image's own mean colour. "constant": `value`. "blur": the image blurred as
        RISE's code does it, see `rise_kernel`, with zeros beyond the border, or
        black in the pixel space. "reflected_blur": by a Gaussian cut off at the window,
        the image reflected at its border. "inverted": black for white.
      masking_space: "normalised" or "pixel"; what zeros and `value` are meant in.
      value: Of "constant": a value of the model's input or, in the pixel space, a grey
        from 0 to 1; 0.5 by default.
      blur_size: Rows and columns of the blur's window, odd; 11 by default.
      blur_sigma: Standard deviation of the Gaussian in pixels; 5 by default.

    Returns:
      float32[B, H, W, C].

    Raises:
      ValueError: An option is none of these words, or this canvas does not read it;
        the window is even, or too large for a reflection.
    """
    _checks.choice("canvas", kind, CANVASES)
    _checks.choice("masking_space", masking_space, ("normalised", "pixel"))
    blurs = kind in ("blur", "reflected_blur")
    for name, given, read in (
        ("value", value, kind == "constant"),
        ("blur_size", blur_size, blurs),
        ("blur_sigma", blur_sigma, blurs),
    ):
        if given is not None and not read:
            raise ValueError(f"canvas={kind!r} does not read {name}={given}; drop it.")
    black, white = black[:, None, None, :], white[:, None, None, :]
    if blurs:
        size = 11 if blur_size is None else blur_size
        sigma = 5.0 if blur_sigma is None else blur_sigma
        if kind == "reflected_blur":
            return _blurred(x, gaussian_kernel(size, sigma), "reflect")
        beyond = black if masking_space == "pixel" else jnp.zeros_like(black)
        return beyond + _blurred(x - beyond, rise_kernel(size, sigma), "constant")
    if kind == "inverted":
        return black + white - x
    if kind == "mean":
        return jnp.broadcast_to(jnp.mean(x, axis=(1, 2), keepdims=True), x.shape)
    share = 0.0 if kind == "zero" else 0.5 if value is None else value
    if masking_space == "pixel":
        return jnp.broadcast_to(black + share * (white - black), x.shape)
    return jnp.full_like(x, share)


def rise_kernel(size: int, sigma: float) -> np.ndarray:
    """float32[size], the blur of RISE's code along one axis; sums to 1.

    Its code blurs an array of zeros with a one in the middle, whose border reflects:
    what the Gaussian, cut off at 4 sigma, would put beyond the window is folded back
    into it. With size 11 and sigma 5 the result is close to a box.
    """
    _check_window(size, sigma)
    reach = int(4.0 * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    at = (size // 2 + offsets) % (2 * size)
    folded = np.where(at < size, at, 2 * size - 1 - at)
    kernel = np.bincount(folded, weights, minlength=size)
    return (kernel / kernel.sum()).astype(np.float32)


def gaussian_kernel(size: int, sigma: float) -> np.ndarray:
    """float32[size], a Gaussian cut off at the window; sums to 1."""
    _check_window(size, sigma)
    offsets = np.arange(size) - size // 2
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    return (kernel / kernel.sum()).astype(np.float32)


def _check_window(size: int, sigma: float) -> None:
    if size < 1 or size % 2 == 0:
        raise ValueError(f"blur_size={size} must be odd, so that it has a middle.")
    if sigma <= 0:
        raise ValueError(f"blur_sigma={sigma} must be positive.")


def _blurred(x: Array, kernel: np.ndarray, beyond: str) -> Array:
    """Two matrix products: depthwise convolutions are slow on CPU."""
    rows, columns = (_blur_matrix(n, kernel, beyond) for n in x.shape[1:3])
    along = jnp.einsum("bhwc,jw->bhjc", x, columns)
    return jnp.einsum("ih,bhjc->bijc", rows, along)


def _blur_matrix(length: int, kernel: np.ndarray, beyond: str) -> Array:
    """float32[length, length]: row i holds the weights of the i-th blurred pixel."""
    half = len(kernel) // 2
    if beyond == "reflect" and half >= length:
        raise ValueError(
            f"blur_size={len(kernel)} is too large for an image of {length} pixels; "
            "a reflection reaches as far as its length."
        )
    matrix = np.zeros((length, length), np.float32)
    for i in range(length):
        for offset, weight in zip(range(-half, half + 1), kernel, strict=True):
            at = i + offset
            if beyond == "reflect":
                at = abs(at)
                at = 2 * (length - 1) - at if at >= length else at
            if 0 <= at < length:
                matrix[i, at] += weight
    return jnp.asarray(matrix)
