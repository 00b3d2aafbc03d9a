"""Simple points: the pixels whose flip leaves the topology of a mask as it is.

A mask's topology is that of its objects under one connectivity and of its background
under the dual one (8 and 4, or 4 and 8), with background all around the image. Whether
a pixel is simple depends on its eight neighbours alone, not on its own value. With
the neighbours x1 ... x8 counterclockwise from the east, Yokoi's crossing number is

    4-connected objects:  sum over odd k of  x_k (1 - x_{k+1} x_{k+2})
    8-connected objects:  the same of the complements 1 - x_k

and the pixel is simple if and only if exactly one of the four terms is one. All of it
works on booleans as well as on the bits of words, hundreds of pixels at a time.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _checks
from jaxcam._types import Array, Connectivity

NEIGHBOURS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Offsets (row, column) of the neighbours, counterclockwise from the east."""


def crossing_terms(
    neighbours: tuple[Array, ...], connectivity: Connectivity
) -> tuple[Array, Array, Array, Array]:
    """The four terms of the crossing number, bit by bit.

    Args:
      neighbours: Eight arrays of booleans or words, in the order of `NEIGHBOURS`.
      connectivity: Of the objects, 4 or 8.

    Returns:
      Four arrays like the neighbours; their sum is the crossing number.
    """
    x = (*neighbours, neighbours[0])
    if connectivity == 4:
        terms = [x[k] & ~(x[k + 1] & x[k + 2]) for k in (0, 2, 4, 6)]
    else:
        terms = [~x[k] & (x[k + 1] | x[k + 2]) for k in (0, 2, 4, 6)]
    return tuple(terms)


def is_simple(neighbours: tuple[Array, ...], connectivity: Connectivity) -> Array:
    """Whether a pixel with these neighbours is simple, bit by bit."""
    a, b, c, d = crossing_terms(neighbours, connectivity)
    # An odd number of terms, and not three: then a pair would be complete.
    return (a ^ b ^ c ^ d) & ~((a & b) | (c & d))


def neighbours_of(x: Array) -> tuple[Array, ...]:
    """The eight neighbours of every pixel, zero outside of the image."""
    height, width = x.shape
    padded = jnp.pad(x, 1)
    return tuple(
        jax.lax.slice(padded, (1 + dy, 1 + dx), (1 + dy + height, 1 + dx + width))
        for dy, dx in NEIGHBOURS
    )


def crossing_number(mask: Array, *, connectivity: Connectivity = 8) -> Array:
    """How many branches of the object meet at each pixel: Yokoi's crossing number.

    Counted as if the pixel itself did not exist: 1 at a simple point, 2 to 4 where
    branches of the object would be joined or parted, 0 at a pixel that is isolated or
    surrounded. The value of the pixel does not matter; outside of the image lies
    background.

    One image. Batch with `jax.vmap(crossing_number)`.

    Args:
      mask: bool[H, W].
      connectivity: Of the objects, 4 or 8; the background has the other one.

    Returns:
      int32[H, W], 0 to 4.

    Raises:
      TypeError: `mask` is not boolean.
      ValueError: `mask` is not (H, W), or `connectivity` is neither 4 nor 8.

    Cost: O(HW).

    Source: S. Yokoi, J. Toriwaki and T. Fukumura, "An analysis of topological
    properties of digitized binary pictures using local features", Computer Graphics
    and Image Processing 4, 1975.

    >>> print(crossing_number(jnp.array([[True, False, True]])))
    [[0 2 0]]
    """
    mask = _checks.mask(mask)
    _checks.choice("connectivity", connectivity, (4, 8))
    terms = crossing_terms(neighbours_of(mask), connectivity)
    return jnp.sum(jnp.stack(terms), axis=0, dtype=jnp.int32)


def simple_points(mask: Array, *, connectivity: Connectivity = 8) -> Array:
    """The pixels that can be flipped without a change of the mask's topology.

    Flipping one of them keeps the number of objects, the number of holes and which
    lies in which. Two neighbours may not be flipped at once on the strength of this
    map: the flip of the first decides whether the second is still simple.

    One image. Batch with `jax.vmap(simple_points)`.

    Args:
      mask: bool[H, W]. Outside of the image lies background.
      connectivity: Of the objects, 4 or 8; the background has the other one.

    Returns:
      bool[H, W].

    Raises:
      TypeError: `mask` is not boolean.
      ValueError: `mask` is not (H, W), or `connectivity` is neither 4 nor 8.

    Cost: O(HW).

    Source: A. Rosenfeld, "Connectivity in digital pictures", Journal of the ACM 17,
    1970, for the notion; the test is that of `crossing_number`.

    >>> print(simple_points(jnp.array([[False, True, True, False]])).astype(int))
    [[1 1 1 1]]
    >>> print(simple_points(jnp.array([[False, True, False, True]])).astype(int))
    [[1 0 0 0]]
    """
    mask = _checks.mask(mask)
    _checks.choice("connectivity", connectivity, (4, 8))
    return is_simple(neighbours_of(mask), connectivity)
