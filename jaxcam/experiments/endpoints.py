"""What the comparison of boxes and masks measures: arithmetic on scores of images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcam import correlations, statistics

LEVEL = 0.95
SPLITS, DRAWS = 200, 200
SETTLED = 0.9
"""Kendall's tau with the whole ranking from which a ranking counts as settled."""

SMALLEST = 8
"""Images of the smallest subset of which a ranking is asked."""


def effect_difference(
    box: np.ndarray,
    mask: np.ndarray,
    clusters: np.ndarray,
    *,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """How much further the mask versions of metrics lift explanations than the boxes'.

    Args:
      box: float[n, P, K], differences between explanation and floor on each image, P
        explanations by K metrics, of the box versions.
      mask: float[n, P, K], of the mask versions.
      clusters: int[n], 0 ... C - 1: images that are drawn together.
      resamples: Of the bootstrap.
      seed: Of the bootstrap.

    Returns:
      `estimate`, `low` and `high` of d'(mask) - d'(box), meaned over explanations and
      metrics; `box` and `mask`, the mean d' of each; `metrics`, the same for each
      metric; `explanations`, float[P] means over metrics; `n_pairs`, pairs of
      explanation and metric for which both are defined, and `n_left_out`.
    """
    effects = drawn_effects(box, mask, clusters, resamples=resamples, seed=seed)
    by_metric = [contrast(effects[..., k : k + 1]) for k in range(effects.shape[-1])]
    whole = contrast(effects)
    gain = effects[0, 1] - effects[0, 0]
    return {
        **whole,
        "n": len(box),
        "n_clusters": len(np.unique(clusters)),
        "n_left_out": gain.size - whole["n_pairs"],
        "metrics": by_metric,
        "explanations": defined_mean(gain, axis=1).tolist(),
    }


def drawn_effects(
    box: np.ndarray,
    mask: np.ndarray,
    clusters: np.ndarray,
    *,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """D' of both versions, of the data and of resamples.

    Args:
      box: float[n, P, K], as in `effect_difference`.
      mask: float[n, P, K].
      clusters: int[n].
      resamples: Of the bootstrap.
      seed: Of the bootstrap.

    Returns:
      float64[1 + resamples, 2, P, K]; NaN for both versions where the data define only
      one of them.
    """
    n, explanations, metrics = box.shape
    few = clusters.max(initial=0) < 1  # Draws of one cluster do not vary.
    both = np.stack([box, mask], axis=1).reshape(n, -1)
    effects = statistics.drawn_effect_sizes(
        both, clusters, resamples=0 if few else resamples, seed=seed
    ).reshape(-1, 2, explanations, metrics)
    defined = ~np.isnan(effects[0]).any(axis=0)
    return np.where(defined, effects, np.nan)


def contrast(effects: np.ndarray, chosen: np.ndarray | None = None) -> dict[str, Any]:
    """Mean of the mask version less that of the box version, over pairs.

    Args:
      effects: float[1 + resamples, 2, P, K], from `drawn_effects`.
      chosen: bool[P, K], pairs of explanation and metric that count; `None` for all.

    Returns:
      `estimate`, `low`, `high`; `box` and `mask`, the mean of each; `n_pairs`, how many
      pairs are defined.
    """
    if chosen is not None:
        effects = np.where(chosen, effects, np.nan)
    levels = defined_mean(effects.reshape(*effects.shape[:2], -1), axis=2)
    gain = (effects[:, 1] - effects[:, 0]).reshape(len(effects), -1)
    return {
        **interval(defined_mean(gain, axis=1)),
        "box": float(levels[0, 0]),
        "mask": float(levels[0, 1]),
        "n_pairs": int(np.sum(~np.isnan(gain[0]))),
    }


def effect_cells(cells: np.ndarray) -> np.ndarray:
    """float64[cells], d' meaned over explanations and metrics.

    Args:
      cells: float[n, cells, P, K], differences on each image.
    """
    n, count = cells.shape[:2]
    effects = statistics.drawn_effect_sizes(
        cells.reshape(n, -1), np.arange(n), resamples=0
    ).reshape(count, -1)
    effects = np.where(np.isnan(effects).any(axis=0), np.nan, effects)
    return defined_mean(effects, axis=1)


def ranking_agreement(
    box: np.ndarray, mask: np.ndarray, *, splits: int = SPLITS, seed: int = 0
) -> dict[str, np.ndarray]:
    """Whether box and mask rank methods alike, beside how well each repeats itself.

    The images are halved at random. All three are Kendall's tau between rankings of
    *different* halves, so that noise which box and mask share on an image does not
    count for them.

    Args:
      box: float[n, M, K], scores of the methods, larger is better.
      mask: float[n, M, K].
      splits: How many halvings.
      seed: Of the halvings.

    Returns:
      `between`, box of one half and mask of the other; `box` and `mask`, each with
      itself: float64[splits, K]. NaN where all methods are equal.
    """
    n = len(box)
    rng = np.random.default_rng(seed)
    first = np.zeros((splits, n))
    for row in first:
        row[rng.permutation(n)[: n // 2]] = 1.0
    halves = [
        [_means(values, weights) for weights in (first, 1.0 - first)]
        for values in (box, mask)
    ]
    (box1, box2), (mask1, mask2) = halves
    between = correlations.kendall(box1, mask2), correlations.kendall(box2, mask1)
    return {
        "between": (between[0] + between[1]) / 2,
        "box": correlations.kendall(box1, box2),
        "mask": correlations.kendall(mask1, mask2),
    }


def images_to_settle(
    values: np.ndarray, *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> list[int | None]:
    """Images from which a ranking of methods is that of all images.

    Args:
      values: float[n, M, K], scores of the methods.
      draws: Random subsets of each size.
      level: Share of subsets whose tau with the whole must reach `SETTLED`.
      seed: Of the subsets.

    Returns:
      For each of the K metrics the smallest size 8, 16, ... below n from which on all
      sizes settle; `None` if there is none.
    """
    n = len(values)
    whole = _means(values, np.ones((1, n)))
    rng = np.random.default_rng(seed)
    sizes = [SMALLEST * 2**i for i in range(n) if SMALLEST * 2**i < n]
    settled: list[int | None] = [None] * values.shape[2]
    open_ = np.ones(values.shape[2], bool)
    for size in reversed(sizes):
        weights = np.zeros((draws, n))
        for row in weights:
            row[rng.permutation(n)[:size]] = 1.0
        taus = correlations.kendall(_means(values, weights), whole)
        # Rounding of a tau of 19/21 is no reason to fail.
        open_ &= np.mean(taus >= SETTLED - 1e-9, axis=0) >= level
        settled = [size if o else s for o, s in zip(open_, settled, strict=True)]
    return settled


def _means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64[R, K, M], means of methods under weights of the images."""
    n, methods, metrics = values.shape
    found = statistics.weighted_mean(values.reshape(n, -1), weights)
    return np.moveaxis(found.reshape(len(weights), methods, metrics), 1, 2)


def defined_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is defined; NaN of nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        return np.nanmean(values, axis=axis)


def interval(drawn: np.ndarray) -> dict[str, float]:
    """Estimate and percentile interval of the data's value and those of draws.

    Args:
      drawn: float[1 + resamples], the data's value first.
    """
    if not len(drawn[1:]) or np.isnan(drawn[0]):
        return {"estimate": float(drawn[0]), "low": np.nan, "high": np.nan}
    low, high = statistics.percentiles(drawn[1:], LEVEL)
    return {"estimate": float(drawn[0]), "low": float(low), "high": float(high)}


def pooled_shares(
    drops: np.ndarray,
    scores: np.ndarray,
    energies: np.ndarray,
    clusters: np.ndarray,
    *,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Energy in a region beside the share of the score that is lost without it.

    Args:
      drops: float[n], fall of the score without the region.
      scores: float[n], the score.
      energies: float[n], share of the map's energy in the region.
      clusters: int[n], 0 ... C - 1: images that are drawn together.
      resamples: Of the bootstrap.
      seed: Of the bootstrap.

    Returns:
      `effect`, the sum of the drops over the sum of the scores, so that images which
      the network hardly recognises do not decide; `energy`, the mean; `excess`, energy
      less effect: each with its interval. Images of which one is undefined are left
      out.
    """
    kept = ~np.isnan(np.stack([drops, scores, energies])).any(axis=0)
    if not kept.any():
        nothing = {"estimate": np.nan, "low": np.nan, "high": np.nan}
        return {"effect": nothing, "energy": nothing, "excess": nothing}
    drops, scores, energies = drops[kept], scores[kept], energies[kept]
    _, clusters = np.unique(clusters[kept], return_inverse=True)

    def reduce(weights: np.ndarray) -> np.ndarray:
        effect = statistics.ratio(weights @ drops, weights @ scores)
        energy = statistics.ratio(weights @ energies, weights.sum(axis=1))
        return np.stack([effect, energy, energy - effect], axis=1)

    few = clusters.max() < 1
    drawn = statistics.drawn(
        reduce, clusters, resamples=0 if few else resamples, seed=seed
    )
    names = ("effect", "energy", "excess")
    return {name: interval(drawn[:, i]) for i, name in enumerate(names)}


def cluster_coverage(
    sizes: Sequence[int],
    breed_sd: float,
    *,
    trials: int = 2000,
    resamples: int = 1000,
    seed: int = 0,
) -> float:
    """How often a 95 % percentile interval that draws whole clusters holds the truth.

    Values are normal around 0: a part that the images of a cluster share, and one of
    each image with deviation 1. The quantity is their mean.

    Args:
      sizes: Images of each cluster.
      breed_sd: Deviation of the shared part.
      trials: Data sets made up.
      resamples: Of each bootstrap.
      seed: Of the data sets; the draws have one of their own.

    Returns:
      Share of the data sets whose interval covers 0.
    """
    n = np.asarray(sizes, float)[:, None]
    shared, own = np.random.default_rng([seed, 1]).normal(size=(2, len(n), trials))
    sums = n * breed_sd * shared + np.sqrt(n) * own
    means = statistics.drawn_means(
        sums, np.broadcast_to(n, sums.shape), resamples=resamples, seed=seed
    )
    low, high = statistics.percentiles(means[1:], LEVEL)
    return float(np.mean((low <= 0) & (high >= 0)))
