"""Random subsets of the image hidden: what the model loses, what the map says of them.

What the model loses does not depend on the map and is asked once an image, whatever the
number of maps. The subsets come from the image's key alone, so that every map is held
against the same ones.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _numerics, _spec
from jaxcam._types import Array
from jaxcam.probes import cells, inputs

LARGEST_SHARE = 0.8
"""Share of the cells in the largest subsets of several sizes."""


def subset_drops(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    target: Array,
    image_score: Array,
    key: Array,
    *,
    grid: int | None = 14,
    samples: int = 100,
    subset_fraction: float = 0.2,
    masking_space: str = "normalised",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model loses when random subsets of cells, all of one size, are hidden.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      target: int32[B], explained class.
      image_score: float32[B], its score on the images.
      key: PRNG keys [B].
      grid: Rows and columns of cells, at most one a pixel; `None` takes pixels.
      samples: Number of subsets.
      subset_fraction: Share of the cells in a subset, rounded to one at least.
      masking_space: What hidden pixels are: the mean colour in the "normalised" space,
        or black in the "pixel" space.
      score: "probability" or "logit".

    Returns:
      `subset_drops`: float32[B, samples].
    """
    sizes = _one_size(x, grid, subset_fraction)
    drops = _drops(
        predict,
        x,
        cells.hidden_pixels(x, black, masking_space),
        target,
        image_score,
        key,
        grid=grid,
        sizes=sizes,
        samples=samples,
        score=score,
    )
    return {"subset_drops": drops[:, 0]}


def subset_sums(
    predict: Callable[[Array], Array],
    x: Array,
    saliency: Array,
    frame: Array,
    key: Array,
    *,
    grid: int | None = 14,
    samples: int = 100,
    subset_fraction: float = 0.2,
) -> dict[str, Array]:
    """The map summed over the subsets of `subset_drops`; asks the model nothing.

    Args:
      predict: Not called.
      x: float32[B, H, W, C], read for its size alone.
      saliency: float32[B, h, w], on the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      key: PRNG keys [B].
      grid: As in `subset_drops`.
      samples: As in `subset_drops`.
      subset_fraction: As in `subset_drops`.

    Returns:
      `subset_sums`: float32[B, samples].
    """
    del predict
    sizes = _one_size(x, grid, subset_fraction)
    sums = _sums(x, saliency, frame, key, grid=grid, sizes=sizes, samples=samples)
    return {"subset_sums": sums[:, 0]}


def sized_subset_drops(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    target: Array,
    image_score: Array,
    key: Array,
    *,
    grid: int | None = 14,
    sizes: int = 5,
    samples: int = 100,
    masking_space: str = "normalised",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model loses when random subsets of several sizes are hidden.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      target: int32[B], explained class.
      image_score: float32[B], its score on the images.
      key: PRNG keys [B].
      grid: As in `subset_drops`.
      sizes: Number of sizes, from one cell to 80 % of them, at equal ratios.
      samples: Subsets of each size.
      masking_space: As in `subset_drops`.
      score: As in `subset_drops`.

    Returns:
      `sized_subset_drops`: float32[B, n, samples]; n is `sizes`, or less on a grid of
      so few cells that some coincide.
    """
    drops = _drops(
        predict,
        x,
        cells.hidden_pixels(x, black, masking_space),
        target,
        image_score,
        key,
        grid=grid,
        sizes=_several_sizes(x, grid, sizes),
        samples=samples,
        score=score,
    )
    return {"sized_subset_drops": drops}


def sized_subset_sums(
    predict: Callable[[Array], Array],
    x: Array,
    saliency: Array,
    frame: Array,
    key: Array,
    *,
    grid: int | None = 14,
    sizes: int = 5,
    samples: int = 100,
) -> dict[str, Array]:
    """The map summed over the subsets of `sized_subset_drops`; asks nothing.

    Args:
      predict: Not called.
      x: float32[B, H, W, C], read for its size alone.
      saliency: float32[B, h, w], on the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      key: PRNG keys [B].
      grid: As in `subset_drops`.
      sizes: As in `sized_subset_drops`.
      samples: As in `sized_subset_drops`.

    Returns:
      `sized_subset_sums`: float32[B, n, samples].
    """
    del predict
    of_sizes = _several_sizes(x, grid, sizes)
    sums = _sums(x, saliency, frame, key, grid=grid, sizes=of_sizes, samples=samples)
    return {"sized_subset_sums": sums}


def _one_size(x: Array, grid: int | None, fraction: float) -> np.ndarray:
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"subset_fraction={fraction} must lie in (0, 1).")
    number = cells.count(x.shape[1:3], grid)
    return np.array([max(1, round(fraction * number))], np.int32)


def _several_sizes(x: Array, grid: int | None, sizes: int) -> np.ndarray:
    largest = max(1.0, LARGEST_SHARE * cells.count(x.shape[1:3], grid))
    return np.unique(np.round(np.geomspace(1.0, largest, sizes)).astype(np.int32))


def _chosen(keys: Array, row: Array, number: int, sizes: Array, samples: int) -> Array:
    """bool[B, N]: the cells of subset `row`, of each image its own."""

    def one(key: Array) -> Array:
        bits = jax.random.bits(jax.random.fold_in(key, row), (number,))
        order = jnp.argsort(bits)
        return jnp.zeros(number, jnp.int32).at[order].set(jnp.arange(number)) < size

    size = jnp.asarray(sizes)[row // samples]
    return jax.vmap(one)(keys)


def _drops(
    predict, x, fill, target, image_score, keys, *, grid, sizes, samples, score
) -> Array:
    """float32[B, n, samples], of n sizes."""
    shape = x.shape[1:3]
    number, cell_of = cells.count(shape, grid), cells.cells(shape, grid)

    def question(row: Array) -> Array:
        hidden = _chosen(keys, row, number, sizes, samples)[:, cell_of]
        logits = predict(jnp.where(hidden[..., None], fill, x))
        return image_score - _numerics.class_score(logits, target, score)

    drops = inputs.many(question, len(sizes) * samples, x)
    return drops.reshape(len(x), len(sizes), samples)


def _sums(x, saliency, frame, keys, *, grid, sizes, samples) -> Array:
    """float32[B, n, samples], of n sizes."""
    of_cells = cells.cell_sums_of(saliency, frame, x, grid)
    number = of_cells.shape[1]

    def question(row: Array) -> Array:
        chosen = _chosen(keys, row, number, sizes, samples)
        return jnp.sum(jnp.where(chosen, of_cells, 0.0), axis=1)

    sums = inputs.many(question, len(sizes) * samples, of_cells)
    return sums.reshape(len(x), len(sizes), samples)


_DROPS = ("x", "black", "target", "image_score", "key")
_SUMS = ("x", "saliency", "frame", "key")

SPECS = (
    _spec.ProbeSpec(
        fn=subset_drops,
        inputs=_DROPS,
        outputs=("subset_drops",),
        cost="100 forward passes an image",
        static=("grid", "samples", "subset_fraction", "masking_space", "score"),
    ),
    _spec.ProbeSpec(
        fn=subset_sums,
        inputs=_SUMS,
        outputs=("subset_sums",),
        cost="none",
        static=("grid", "samples", "subset_fraction"),
    ),
    _spec.ProbeSpec(
        fn=sized_subset_drops,
        inputs=_DROPS,
        outputs=("sized_subset_drops",),
        cost="500 forward passes an image",
        static=("grid", "sizes", "samples", "masking_space", "score"),
    ),
    _spec.ProbeSpec(
        fn=sized_subset_sums,
        inputs=_SUMS,
        outputs=("sized_subset_sums",),
        cost="none",
        static=("grid", "sizes", "samples"),
    ),
)
