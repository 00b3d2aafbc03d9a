"""Maps that know nothing of the model: floors under every method, and the ceiling."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _spec
from jaxcam._types import Array

_LUMINANCE = (0.299, 0.587, 0.114)


def uniform(image: Array) -> Array:
    r"""One everywhere: what a score is worth when the map says nothing.

    .. math:: S_{ij} = 1

    The map is a single pixel, which any resizing spreads over the image.

    Args:
      image: float[H, W, C], not read.

    Returns:
      float32[1, 1], one.

    Cost: none.

    Source: metric papers compare with it under several names; here it is the floor
    from which skill is counted.

    >>> print(uniform(jnp.zeros((4, 4, 3))))
    [[1.]]
    """
    del image
    return jnp.ones((1, 1), jnp.float32)


def centre(image: Array, *, sigma: float = 0.5) -> Array:
    r"""An isotropic Gaussian in the middle of the image.

    .. math::
      S_{ij} = \exp\left(-\frac{(i - c_y)^2 + (j - c_x)^2}
        {2\,(\sigma \min(H, W))^2}\right),
      \qquad c = \tfrac{1}{2}(H - 1,\, W - 1)

    Photographers centre their subject: a map that beats this one has seen something.
    A metric that reads only the order of the pixels does not depend on `sigma`.

    Args:
      image: float[H, W, C], read for its size alone.
      sigma: Standard deviation as a share of the shorter side, positive.

    Returns:
      float32[H, W], in (0, 1], symmetric about the centre.

    Cost: O(HW).

    Source: the centre baseline of J. Choe et al., "Evaluating weakly supervised object
    localization methods right", CVPR 2020 (arXiv:2001.07437); its width is theirs, half
    a side, its centre here the image's, half a pixel from theirs.

    >>> print(centre(jnp.zeros((3, 3, 1)), sigma=1 / 3).round(2))
    [[0.37 0.61 0.37]
     [0.61 1.   0.61]
     [0.37 0.61 0.37]]
    """
    height, width = image.shape[:2]

    def squares(length: int) -> Array:
        return jnp.square(jnp.arange(length, dtype=jnp.float32) - (length - 1) / 2)

    # Sums of squares are exact: pixels equally far from the centre tie on every device.
    distance = squares(height)[:, None] + squares(width)[None, :]
    return jnp.exp(-distance / (2 * (sigma * min(height, width)) ** 2))


def random(image: Array, key: Array) -> Array:
    r"""Independent uniform noise in every pixel of the image.

    .. math:: S_{ij} \sim U[0, 1)

    The key is folded from the image's id, so that an image keeps its map whatever batch
    it comes in.

    Args:
      image: float[H, W, C], read for its size alone.
      key: PRNG key of the image.

    Returns:
      float32[H, W], in [0, 1).

    Cost: O(HW).

    Source: none; the order of the pixels is a uniformly random permutation, chance
    level of every ranking metric.

    >>> drawn = random(jnp.zeros((2, 5, 3)), jax.random.key(0))
    >>> drawn.shape, bool(drawn.min() >= 0), bool(drawn.max() < 1)
    ((2, 5), True, True)
    """
    return jax.random.uniform(key, image.shape[:2], jnp.float32)


def sobel(image: Array) -> Array:
    r"""Edge strength of the image: what a map owes to the picture and not the model.

    .. math:: S = \sqrt{(K * L)^2 + (K^T * L)^2}

    `L` is the luminance, `K` Sobel's kernel; the image is continued by its border
    pixels. The scale of the image does not matter once the map is normalised.

    Args:
      image: float[H, W, C], in units common to its channels; with three channels the
        luminance is 0.299 R + 0.587 G + 0.114 B, with another number their mean.

    Returns:
      float32[H, W], non-negative.

    Cost: O(HW).

    Source: edge detectors as a control for saliency maps: J. Adebayo et al., "Sanity
    checks for saliency maps", NeurIPS 2018 (arXiv:1810.03292).

    >>> print(sobel(jnp.tile(jnp.array([0.0, 0.0, 1.0])[None, :, None], (3, 1, 1))))
    [[0. 4. 4.]
     [0. 4. 4.]
     [0. 4. 4.]]
    """
    image = image.astype(jnp.float32)
    channels = image.shape[-1]
    weights = _LUMINANCE if channels == 3 else (1 / channels,) * channels
    luminance = jnp.sum(image * jnp.asarray(weights, jnp.float32), axis=-1)
    padded = jnp.pad(luminance, 1, mode="edge")
    # As sums of shifted images: on CPU a tenth of what convolutions take.
    smooth_down = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    smooth_along = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    along = smooth_down[:, 2:] - smooth_down[:, :-2]
    down = smooth_along[2:] - smooth_along[:-2]
    return jnp.sqrt(along**2 + down**2)


def truth(mask: Array) -> Array:
    r"""The object itself: the ceiling of every localisation metric.

    .. math:: S_{ij} = M_{ij}

    Args:
      mask: bool[H, W], true on the object.

    Returns:
      float32[H, W], 1 on the object and 0 elsewhere.

    Cost: none.

    Source: none; it is not a method but the answer.

    >>> print(truth(jnp.array([[True, False]])))
    [[1. 0.]]
    """
    return mask.astype(jnp.float32)


SPECS = tuple(
    _spec.MethodSpec(
        fn=fn,
        kind="baseline",
        inputs=inputs,
        source=source,
        cost="none",
        floor=True,
    )
    for fn, inputs, source in (
        (uniform, ("image",), "the floor"),
        (centre, ("image",), "Choe et al. 2020"),
        (random, ("image", "key"), "chance"),
        (sobel, ("image",), "Adebayo et al. 2018"),
        (truth, ("mask",), "the ceiling"),
    )
)
