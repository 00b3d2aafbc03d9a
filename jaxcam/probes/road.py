"""What the model says of images whose pixels are removed and imputed from the rest."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _numerics, _spec, ops
from jaxcam._types import Array
from jaxcam.probes import inputs, removal_order


def road_morf_scores(
    predict: Callable[[Array], Array],
    x: Array,
    raw_saliency: Array,
    frame: Array,
    target: Array,
    key: Array,
    *,
    levels: int = 9,
    noise: float = 0.01,
    tolerance: float = 1e-3,
    ties: str = "random",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model says without the most salient pixels, the others filling in.

    Args:
      predict: Maps preprocessed images to logits.
      x: float32[B, H, W, C], preprocessed images.
      raw_saliency: float32[B, h, w], on the truth's grid; its order alone is read.
      frame: bool[B, h, w], the truth's grid, which `x` covers.
      target: int32[B], explained class.
      key: PRNG keys [B]; decide the noise, and the order of equally salient pixels.
      levels: Number L of shares removed: round(k HW / (L + 1)) pixels, k = 1 ... L.
      noise: Standard deviation of what is added to imputed values, in the normalised
        space.
      tolerance: Of the imputation; see `ops.impute`.
      ties: "random", by the key, or "raster", row by row.
      score: "probability" or "logit".

    Returns:
      `road_morf_scores`: float32[B, L]; `road_morf_hits`: float32[B, L], 1 where the
      model still predicts the target. NaN for a map with a NaN.
    """
    given = predict, x, raw_saliency, frame, target, key
    scores, hits = _road(*given, False, levels, noise, tolerance, ties, score)
    return {"road_morf_scores": scores, "road_morf_hits": hits}


def road_lerf_scores(
    predict: Callable[[Array], Array],
    x: Array,
    raw_saliency: Array,
    frame: Array,
    target: Array,
    key: Array,
    *,
    levels: int = 9,
    noise: float = 0.01,
    tolerance: float = 1e-3,
    ties: str = "random",
    score: str = "probability",
) -> dict[str, Array]:
    """What the model says without the least salient pixels, the others filling in.

    Args:
      predict: As in `road_morf_scores`, as are all other arguments.
      x: float32[B, H, W, C].
      raw_saliency: float32[B, h, w].
      frame: bool[B, h, w].
      target: int32[B].
      key: PRNG keys [B].
      levels: Number of shares removed.
      noise: Standard deviation of what is added to imputed values.
      tolerance: Of the imputation.
      ties: "random" or "raster".
      score: "probability" or "logit".

    Returns:
      `road_lerf_scores`: float32[B, L]; `road_lerf_hits`: float32[B, L].
    """
    given = predict, x, raw_saliency, frame, target, key
    scores, hits = _road(*given, True, levels, noise, tolerance, ties, score)
    return {"road_lerf_scores": scores, "road_lerf_hits": hits}


def removed_counts(size: int, levels: int) -> np.ndarray:
    """int64[L]: how many of so many pixels are removed at each level."""
    if not 1 <= levels < size:
        raise ValueError(
            f"levels={levels} must be at least 1, and less than the {size} pixels."
        )
    return np.rint(np.arange(1, levels + 1) * size / (levels + 1)).astype(np.int64)


def _road(
    predict,
    x,
    raw_saliency,
    frame,
    target,
    key,
    least_first,
    levels,
    noise,
    tolerance,
    ties,
    score,
) -> tuple[Array, Array]:
    saliency = inputs.on_input(raw_saliency, frame, x.shape[1:3])
    place = removal_order.places(saliency, key, ties)
    if least_first:
        place = saliency[0].size - 1 - place
    counts = jnp.asarray(removed_counts(saliency[0].size, levels), jnp.int32)

    def draw(key: Array, level: Array) -> Array:
        drawn = jax.random.fold_in(key, level + levels * least_first)
        return noise * jax.random.normal(drawn, x.shape[1:], x.dtype)

    def question(level: Array) -> tuple[Array, Array]:
        removed = place < counts[level]
        filled = jax.vmap(lambda i, r: ops.impute(i, r, tolerance=tolerance))(
            x, removed
        )
        shaken = filled + jax.vmap(draw, (0, None))(key, level)
        logits = predict(jnp.where(removed[..., None], shaken, x))
        hit = (jnp.argmax(logits, axis=1) == target).astype(jnp.float32)
        hit = _numerics.undefined_if(jnp.any(jnp.isnan(logits), axis=1), hit)
        return _numerics.class_score(logits, target, score), hit

    unknown = jnp.any(jnp.isnan(saliency), axis=(1, 2))[:, None]
    scores, hits = inputs.many(question, levels, x)
    return tuple(_numerics.undefined_if(unknown, found) for found in (scores, hits))


_INPUTS = ("x", "raw_saliency", "frame", "target", "key")
_STATIC = ("levels", "ties", "score")

SPECS = (
    _spec.ProbeSpec(
        fn=road_morf_scores,
        inputs=_INPUTS,
        outputs=("road_morf_scores", "road_morf_hits"),
        cost="9 forward passes and imputations a map",
        static=_STATIC,
        long=True,
    ),
    _spec.ProbeSpec(
        fn=road_lerf_scores,
        inputs=_INPUTS,
        outputs=("road_lerf_scores", "road_lerf_hits"),
        cost="9 forward passes and imputations a map",
        static=_STATIC,
        long=True,
    ),
)
