"""Methods that hide parts of the image and watch the probability."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcam import _checks, _spec, ops
from jaxcam._types import Array
from jaxcam.methods import chunks
from jaxcam.methods.question import Question


def occlusion(
    question: Question,
    *,
    window: float = 1 / 7,
    stride: float = 1 / 14,
    baseline: str = "zero",
    output: str = "probability",
    chunk: int = 16,
) -> Array:
    r"""How much the probability falls when a square that covers the pixel is hidden.

    .. math::
      S_{ij} = \frac{1}{|W_{ij}|} \sum_{q \in W_{ij}}
        \left(p(x) - p(x \text{ without } q)\right)

    `W` are the squares of the sliding window that cover the pixel. The last square of a
    row or column is moved back so that it ends with the image: every pixel is covered.

    Args:
      question: The images and what is asked. A target that is a function of logits is
        read from probabilities here unless `output="logit"`.
      window: Side of the square as a share of the image's, at least a pixel, at most 1.
      stride: Step of the window, likewise.
      baseline: What is shown instead: "zero" of the preprocessed input, the mean
        colour where inputs are standardised, or "black".
      output: "probability" or "logit".
      chunk: Occluded images in memory at a time.

    Returns:
      float32[B, H, W]; negative where hiding helps.

    Raises:
      ValueError: an option is another word.

    Cost: about `1 / stride**2` forward passes an image, 196 by default.

    Source: M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional
    networks", ECCV 2014 (arXiv:1311.2901), whose map shows the probability itself,
    low on the object.
    """
    _checks.choice("output", output, ("probability", "logit"))
    read = question.probabilities if output == "probability" else question.scores
    batch, height, width = question.x.shape[:3]
    rows_hidden = _windows(height, window, stride)
    columns_hidden = _windows(width, window, stride)
    squares = len(rows_hidden) * len(columns_hidden)
    blank = question.baseline(baseline)
    whole = read(question.logits_of(question.x))

    def fall(rows: Array) -> Array:
        images, square = jnp.divmod(rows, squares)
        down, right = jnp.divmod(square, len(columns_hidden))
        hidden = rows_hidden[down][:, :, None] & columns_hidden[right][:, None, :]
        seen = jnp.where(hidden[..., None], blank, question.x[images])
        return whole[images] - read(question.logits_of(seen), images)

    live = jnp.ones(batch * squares, jnp.bool_)
    falls = chunks.live_rows(fall, live, chunk=chunk, fill=0.0)
    falls = falls.reshape(batch, len(rows_hidden), len(columns_hidden))
    down, right = rows_hidden.astype(jnp.float32), columns_hidden.astype(jnp.float32)
    covered = jnp.outer(jnp.sum(down, axis=0), jnp.sum(right, axis=0))
    return jnp.einsum("nh,bnm,mw->bhw", down, falls, right) / covered


def _windows(side: int, window: float, stride: float) -> Array:
    """bool[n, side]: the pixels that each position of the window covers."""
    window_px = min(side, max(1, round(window * side)))
    stride_px = max(1, round(stride * side))
    starts = [*range(0, side - window_px, stride_px), side - window_px]
    offsets = jnp.arange(side)[None, :] - jnp.asarray(starts)[:, None]
    return (offsets >= 0) & (offsets < window_px)


def rise(
    question: Question,
    *,
    samples: int = 4000,
    cells: int = 7,
    shown: float = 0.5,
    chunk: int = 16,
) -> Array:
    r"""Mean of random masks, each weighed by the probability of the image seen through.

    .. math::
      S = \frac{1}{n \, \rho} \sum_{m=1}^{n} p(x \odot M_m) \, M_m

    A mask is a coarse grid of cells, each shown with probability `rho`, upsampled
    bilinearly to a little more than the image and cropped at a random place. Each
    image has its own masks. They are applied to the preprocessed image.

    Args:
      question: The images and what is asked; masks come from their keys. A target
        that is a function of logits is read from probabilities here.
      samples: Masks `n`, at least 1; the map's noise falls as one over its root.
      cells: Cells of the grid on a side.
      shown: Share of cells shown, `rho`, in (0, 1].
      chunk: Masked images in memory at a time.

    Returns:
      float32[B, H, W]. Its smallest value is far from zero: stretch it (min-max) before
      it is looked at; ranking metrics read it as it is.

    Cost: `samples` forward passes an image.

    Source: V. Petsiuk, A. Das and K. Saenko, "RISE: randomized input sampling for
    explanation of black-box models", BMVC 2018 (arXiv:1806.07421); 4000 masks of 7 x 7
    cells are the paper's for VGG16.
    """
    batch, height, width = question.x.shape[:3]
    cell = (-(-height // cells), -(-width // cells))
    grown = ((cells + 1) * cell[0], (cells + 1) * cell[1])

    def mask(key: Array, sample: Array) -> Array:
        drawn = jax.random.uniform(jax.random.fold_in(key, sample), (cells**2 + 2,))
        grid = (drawn[:-2] < shown).astype(jnp.float32).reshape(cells, cells)
        shift = jnp.floor(drawn[-2:] * jnp.asarray(cell, jnp.float32))
        large = ops.resize(grid, grown)
        return jax.lax.dynamic_slice(large, shift.astype(jnp.int32), (height, width))

    def contribution(rows: Array) -> tuple[Array, Array]:
        images, sample = jnp.divmod(rows, samples)
        masks = jax.vmap(mask)(question.keys[images], sample)
        seen = question.x[images] * masks[..., None].astype(question.x.dtype)
        probabilities = question.probabilities(question.logits_of(seen), images)
        return images, probabilities[:, None, None] * masks

    zeros = jnp.zeros((batch, height, width), jnp.float32)
    total = chunks.accumulate(contribution, batch * samples, zeros, chunk=chunk)
    return total / (samples * shown)


SPECS = (
    _spec.MethodSpec(
        fn=occlusion,
        kind="model",
        inputs=("question",),
        source="Zeiler and Fergus 2014",
        cost="1 + 196 forward by default",
        static=("window", "stride", "baseline", "output", "chunk"),
    ),
    _spec.MethodSpec(
        fn=rise,
        kind="model",
        inputs=("question",),
        source="Petsiuk et al. 2018",
        cost="`samples` forward",
        static=("samples", "cells", "chunk"),
    ),
)
