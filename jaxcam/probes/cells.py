"""Cells of the image as features: which there are, what each is worth to the model."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcam import _checks, _numerics, _spec
from jaxcam._types import Array
from jaxcam.probes import inputs


def revealed_scores(
    predict: Callable[[Array], Array],
    x: Array,
    black: Array,
    saliency: Array,
    frame: Array,
    target: Array,
    key: Array,
    *,
    grid: int | None = 7,
    masking_space: str = "normalised",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model says as cells are revealed one by one, the least salient first.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      black: float32[B, C], what preprocessing makes of a black pixel.
      saliency: float32[B, h, w], on the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      target: int32[B], explained class.
      key: PRNG keys [B]; decide the order of cells that are equally salient.
      grid: Rows and columns of cells, at most one a pixel; `None` takes pixels.
      masking_space: What hidden pixels are: the mean colour in the "normalised" space,
        or black in the "pixel" space.
      score: "probability" or "logit".

    Returns:
      `revealed_scores`: float32[B, N], after each of the N cells, the whole image last.
    """
    sums = cell_sums_of(saliency, frame, x, grid)
    drawn = jax.vmap(lambda k: jax.random.uniform(k, sums.shape[1:]))(key)
    place = jnp.argsort(jnp.lexsort((drawn, sums)))
    cell_of = cells(x.shape[1:3], grid)
    fill = hidden_pixels(x, black, masking_space)

    def question(step: Array) -> Array:
        shown = (place <= step)[:, cell_of]
        logits = predict(jnp.where(shown[..., None], x, fill))
        return _numerics.class_score(logits, target, score)

    return {"revealed_scores": inputs.many(question, sums.shape[1], x)}


def cell_effects(
    predict: Callable[[Array], Array],
    x: Array,
    target: Array,
    image_score: Array,
    key: Array,
    *,
    grid: int | None = 7,
    samples: int = 10,
    score: str = "probability",
) -> dict[str, Array]:
    """How much the model minds each cell being painted over, alone.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      target: int32[B], explained class.
      image_score: float32[B], its score on the images.
      key: PRNG keys [B], for the colours: each channel is drawn uniformly between the
        lowest and the highest value that it has in the image.
      grid: Rows and columns of cells, at most one a pixel; `None` takes pixels.
      samples: Colours tried on each cell.
      score: "probability" or "logit".

    Returns:
      `cell_effects`: float32[B, N], mean squared change of the score.
    """
    cell_of = cells(x.shape[1:3], grid)
    number = count(x.shape[1:3], grid)
    low, high = jnp.min(x, axis=(1, 2)), jnp.max(x, axis=(1, 2))

    def question(row: Array) -> Array:
        share = jax.vmap(lambda k: jax.random.uniform(k, x.shape[3:]))(
            jax.vmap(jax.random.fold_in, (0, None))(key, row)
        )
        colour = (low + share * (high - low))[:, None, None]
        painted = (cell_of == row // samples)[None, :, :, None]
        logits = predict(jnp.where(painted, colour, x))
        change = _numerics.class_score(logits, target, score) - image_score
        return change**2

    squares = inputs.many(question, number * samples, x)
    return {"cell_effects": squares.reshape(len(x), number, samples).mean(2)}


def cell_sums(
    predict: Callable[[Array], Array],
    x: Array,
    saliency: Array,
    frame: Array,
    *,
    grid: int | None = 7,
) -> dict[str, Array]:
    """The map's magnitude summed over each cell; asks the model nothing.

    Args:
      predict: Not called.
      x: float32[B, H, W, C], read for its size alone.
      saliency: float32[B, h, w], on the truth's grid.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      grid: Rows and columns of cells, at most one a pixel; `None` takes pixels.

    Returns:
      `cell_sums`: float32[B, N].
    """
    del predict
    return {"cell_sums": cell_sums_of(jnp.abs(saliency), frame, x, grid)}


def count(shape: tuple[int, int], grid: int | None) -> int:
    """Number of cells."""
    rows, columns = _grid(shape, grid)
    return rows * columns


def cells(shape: tuple[int, int], grid: int | None) -> Array:
    """int32[H, W]: the number of the cell that each pixel lies in, row by row."""
    rows, columns = _grid(shape, grid)
    down = jnp.arange(shape[0]) * rows // shape[0]
    along = jnp.arange(shape[1]) * columns // shape[1]
    return (down[:, None] * columns + along[None, :]).astype(jnp.int32)


def _grid(shape: tuple[int, int], grid: int | None) -> tuple[int, int]:
    if grid is None:
        return shape
    if grid < 1:
        raise ValueError(f"grid={grid} must be at least 1, or None for pixels.")
    return min(grid, shape[0]), min(grid, shape[1])


def cell_sums_of(saliency: Array, frame: Array, x: Array, grid: int | None) -> Array:
    """float32[B, N]: maps summed over the cells of the model's grid."""
    shape = x.shape[1:3]
    on_input = inputs.on_input(saliency, frame, shape).reshape(len(x), -1)
    number = count(shape, grid)
    cell_of = cells(shape, grid).ravel()

    def one(values: Array) -> Array:
        return jnp.zeros(number, jnp.float32).at[cell_of].add(values)

    return jax.vmap(one)(on_input)


def hidden_pixels(x: Array, black: Array, masking_space: str) -> Array:
    """float32[B, 1, 1, C]: what takes the place of a pixel that is hidden."""
    _checks.choice("masking_space", masking_space, ("normalised", "pixel"))
    black = black[:, None, None, :]
    return black if masking_space == "pixel" else jnp.zeros_like(black)


SPECS = (
    _spec.ProbeSpec(
        fn=revealed_scores,
        inputs=("x", "black", "saliency", "frame", "target", "key"),
        outputs=("revealed_scores",),
        cost="49 forward passes a map",
        static=("grid", "masking_space", "score"),
    ),
    _spec.ProbeSpec(
        fn=cell_effects,
        inputs=("x", "target", "image_score", "key"),
        outputs=("cell_effects",),
        cost="490 forward passes an image",
        static=("grid", "samples", "score"),
    ),
    _spec.ProbeSpec(
        fn=cell_sums,
        inputs=("x", "saliency", "frame"),
        outputs=("cell_sums",),
        cost="none",
        static=("grid",),
    ),
)
