"""What was asked of the comparison after its first results had been seen.

Nothing here is part of the design or changes a number of it; each measure says what a
figure of the design does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcam import _spec, statistics
from jaxcam import results as results_module
from jaxcam.experiments import endpoints, runs, versions

SAME = 1e-3
"""Maps of a maximum of 1 that differ nowhere by more are one map."""

WHOLE = 0.95
"""Share of the picture from which a box leaves nothing outside."""

CONTRAST = ("estimate", "low", "high", "box", "mask", "n_pairs")
PARTS = ("object", "ring", "context")
BREED_SDS = (0.0, 0.1, 0.3, 1.0)
OFF = 0.1
"""Distance from the centre, in sides, from which an object lies off it."""

MOST_OF_THE_IMAGE = 0.9


def measured(
    made: runs.Made,
    breeds: Sequence[str],
    places: tuple[np.ndarray, np.ndarray],
    *,
    methods: Sequence[str] = versions.METHODS,
    seed: int = 0,
    resamples: int = statistics.RESAMPLES,
) -> dict[str, Any]:
    """All that was found later.

    Args:
      made: The runs.
      breeds: Of each image; images of one are drawn together.
      places: Of the objects in the images and in their crops, from
        `selections.places`.
      methods: Explanation methods.
      seed: Of everything random.
      resamples: Of the bootstrap.
    """
    scores, _, _, moved = made.scores
    clusters = np.unique(np.asarray(breeds), return_inverse=True)[1]
    options = {"seed": seed, "resamples": resamples}
    above = versions.above_floor(scores, methods)
    groups = {
        name: identical({m: parts[m].maps(m) for m in methods})
        for name, parts in made.base.items()
    }
    kept = {name: [group[0] for group in found] for name, found in groups.items()}
    return {
        **signs(*above, clusters, **options),
        "distinct": distinct(scores, kept, methods, clusters, **options)
        | {"groups": groups},
        "rankings": rankings(scores, dict.fromkeys(scores, methods), seed=seed),
        "skill": skill(scores, methods, clusters, places[0], **options),
        "moved": off_centre(above, moved, methods, clusters, places, **options),
        "copies": copies(made, methods[0]),
        "causal": causal(made.base, clusters, methods, **options),
        "border": _mean(places[0][:, 4]),
        "coverage": coverage(breeds, seed=seed),
    }


def signs(
    box: np.ndarray, mask: np.ndarray, clusters: np.ndarray, **options: Any
) -> dict[str, Any]:
    """What the sign of d' does to the primary endpoint.

    Args:
      box: float[n, P, K], differences between explanation and floor.
      mask: float[n, P, K].
      clusters: int[n].
      options: `resamples` and `seed` of the bootstrap.

    Returns:
      `below`, shares of pairs in which the floor is first; `size`, the contrast of
      |d'|; `above`, of d' over the pairs in which both versions put the explanation
      first; `first`, over the metrics that do not put the floor first in both, and
      `left_out`, those that do.
    """
    effects = endpoints.drawn_effects(box, mask, clusters, **options)
    defined = ~np.isnan(effects[0, 0])
    both = (effects[0] > 0).all(axis=0)
    means = endpoints.defined_mean(effects[0], axis=1)
    last = (means <= 0).all(axis=0)
    names = np.array(versions.METRICS, object)
    return {
        "below": {
            kind: float(np.mean(effects[0, i][defined] < 0)) if defined.any() else None
            for i, kind in enumerate(("box", "mask"))
        },
        "size": endpoints.contrast(np.abs(effects)),
        "above": endpoints.contrast(effects, both)
        | {"n_of": int(defined.sum()), "n_gains": _gains(effects[0], both)},
        "first": endpoints.contrast(effects, np.broadcast_to(~last, both.shape)),
        "left_out": names[last].tolist(),
    }


def _gains(effects: np.ndarray, chosen: np.ndarray) -> int:
    return int(np.sum(effects[1][chosen] > effects[0][chosen]))


def identical(maps: Mapping[str, Sequence[np.ndarray]]) -> list[list[str]]:
    """Groups of methods that make one map, in the order of the methods.

    Maps are rectified and divided by their maximum; two of another size differ.

    Args:
      maps: For each method, a map an image.
    """
    groups: list[list[str]] = []
    for method, own in maps.items():
        for group in groups:
            if all(map(_same, own, maps[group[0]])):
                group.append(method)
                break
        else:
            groups.append([method])
    return groups


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    scaled = []
    for values in (one, other):
        positive = np.maximum(values, 0.0)
        most = positive.max(initial=0.0)
        scaled.append(positive / most if most > 0 else positive)
    return bool(np.abs(scaled[0] - scaled[1]).max(initial=0.0) <= SAME)


def distinct(
    scores: Mapping[str, versions.Scores],
    kept: Mapping[str, Sequence[str]],
    methods: Sequence[str],
    clusters: np.ndarray,
    *,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Endpoints in which a method counts once, however many names it has.

    Args:
      scores: Of each network.
      kept: Methods of each network that differ.
      methods: All methods.
      clusters: int[n].
      resamples: Of the bootstrap.
      seed: Of everything random.
    """
    chosen = [method in kept[name] for name in scores for method in methods]
    box, mask = versions.above_floor(scores, methods)
    primary = endpoints.effect_difference(
        box[:, chosen], mask[:, chosen], clusters, resamples=resamples, seed=seed
    )
    several = {name: some for name, some in kept.items() if len(some) > 2}
    return {
        "primary": {key: primary[key] for key in CONTRAST},
        "rankings": rankings(scores, several, seed=seed),
        "settled": {
            name: {
                kind: endpoints.images_to_settle(
                    scores[name].stacked(some, kind), seed=seed
                )
                for kind in ("box", "mask")
            }
            for name, some in several.items()
        },
    }


def rankings(
    scores: Mapping[str, versions.Scores],
    methods: Mapping[str, Sequence[str]],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Agreement of rankings over the metrics for which all three taus are defined.

    Args:
      scores: Of each network.
      methods: Those that are ranked, for each network that counts.
      seed: Of the halvings.

    Returns:
      `between`, `box`, `mask`, and how much less `between` is than each of these:
      `under_box`, `under_mask`; ends are quantiles of the halvings.
    """
    names = ("between", "box", "mask")
    found = []
    for name, some in methods.items():
        box, mask = (scores[name].stacked(some, kind) for kind in ("box", "mask"))
        taus = endpoints.ranking_agreement(box, mask, seed=seed)
        values = np.stack([taus[key] for key in names])
        defined = ~np.isnan(values).any(axis=0)
        found.append(np.where(defined, values, np.nan))
    if not found:
        return {}
    whole = endpoints.defined_mean(np.concatenate(found, axis=2), axis=2)
    between, box, mask = whole
    spreads = dict(zip(names, whole, strict=True))
    spreads |= {"under_box": between - box, "under_mask": between - mask}
    return {
        key: endpoints.interval(np.concatenate([[_mean(values)], values]))
        for key, values in spreads.items()
    }


def _mean(values: np.ndarray) -> float:
    return float(endpoints.defined_mean(values, axis=0))


def skill(
    scores: Mapping[str, versions.Scores],
    methods: Sequence[str],
    clusters: np.ndarray,
    places: np.ndarray,
    **options: Any,
) -> dict[str, Any]:
    """Skill where both versions have one, and where the box leaves something outside.

    Returns:
      `metrics`, for each the images on which `box`, `mask` and `both` are defined,
      medians over explanations, and `five`, the share of the sum of squares that five
      images own on boxes, the largest over explanations; `common`, the contrast where
      both are defined; `smaller`, the same where the box covers at most nine tenths,
      and `n_smaller`, how many images those are.
    """
    box, mask = versions.above_floor(scores, methods, skill=True)
    squares = np.sort(np.square(np.nan_to_num(box)), axis=0)
    five = statistics.ratio(squares[-5:].sum(axis=0), squares.sum(axis=0))
    held = {"box": ~np.isnan(box), "mask": ~np.isnan(mask)}
    both = held["box"] & held["mask"]
    held["both"] = both
    box, mask = (np.where(both, values, np.nan) for values in (box, mask))
    smaller = _area(places) <= MOST_OF_THE_IMAGE
    return {
        "metrics": [
            {
                key: int(np.median(some[:, :, k].sum(axis=0)))
                for key, some in held.items()
            }
            | {"five": _most(five[:, k])}
            for k in range(len(versions.METRICS))
        ],
        "common": _contrast(box, mask, clusters, **options),
        "smaller": _contrast(box, mask, clusters, smaller, **options),
        "n_smaller": int(smaller.sum()),
    }


def _most(values: np.ndarray) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.max()) if len(kept) else np.nan


def _contrast(
    box: np.ndarray,
    mask: np.ndarray,
    clusters: np.ndarray,
    chosen: np.ndarray | None = None,
    **options: Any,
) -> dict[str, Any]:
    """The contrast of all pairs, over some of the images."""
    if chosen is not None:
        box, mask, clusters = box[chosen], mask[chosen], clusters[chosen]
    if not len(clusters):
        return dict.fromkeys(CONTRAST, np.nan) | {"n_pairs": 0}
    numbered = np.unique(clusters, return_inverse=True)[1]
    return endpoints.contrast(endpoints.drawn_effects(box, mask, numbered, **options))


def _area(places: np.ndarray) -> np.ndarray:
    return (places[:, 2] - places[:, 0]) * (places[:, 3] - places[:, 1])


def off_centre(
    above: versions.Pairs,
    moved: Mapping[str, versions.Scores],
    methods: Sequence[str],
    clusters: np.ndarray,
    places: tuple[np.ndarray, np.ndarray],
    **options: Any,
) -> dict[str, Any]:
    """What the crops did to the objects, and the endpoint where they moved them.

    Returns:
      `all`, of the crops of all images, and `off`, of those whose object came to lie
      off the centre and farther from it than before: `n`, medians of the distance of
      the box from the centre in sides (`before`, `after`), shares that came `nearer` to
      it and that went `farther`, shares whose box covers `WHOLE` of the picture
      (`whole_before`, `whole_after`); `crops` and `images`, the contrast over the
      latter and over the same images uncropped.
    """
    before, after = map(_offset, places)
    off = (after > before) & (after >= OFF)
    cropped = versions.above_floor(moved, methods)
    return {
        "all": _moves(*places),
        "off": _moves(places[0][off], places[1][off]),
        "crops": _contrast(*cropped, clusters, off, **options),
        "images": _contrast(*above, clusters, off, **options),
    }


def _offset(places: np.ndarray) -> np.ndarray:
    """float[n], from the centre of the picture to that of the box, in sides."""
    return np.hypot(*(places[:, :2] + places[:, 2:4] - 1).T) / 2


def _moves(before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    kept = ~np.isnan(before[:, 0])
    before, after = before[kept], after[kept]
    if not len(before):
        return {"n": 0}
    offsets = [_offset(before), _offset(after)]
    rounding = 1e-9
    return {
        "n": len(before),
        "before": float(np.median(offsets[0])),
        "after": float(np.median(offsets[1])),
        "nearer": float(np.mean(offsets[1] < offsets[0] - rounding)),
        "farther": float(np.mean(offsets[1] > offsets[0] + rounding)),
        "whole_before": float(np.mean(_area(before) >= WHOLE)),
        "whole_after": float(np.mean(_area(after) >= WHOLE)),
    }


def copies(made: runs.Made, method: str) -> dict[str, Any]:
    """Which classes the random copies explain.

    Returns:
      For each network: `other`, the share of images whose class differs from that of
      the trained network; for both the number of `classes` and the median
      `probability`.
    """
    found = {}
    for name, parts in made.base.items():
        pair = [parts[method], made.copies[name][method]]
        rows = [result.rows_of(method) for result in pair]
        targets, chances = (
            [r.columns[key][at] for r, at in zip(pair, rows, strict=True)]
            for key in ("target", "probability")
        )
        found[name] = {
            "other": float(np.mean(targets[0] != targets[1])),
            "classes": [len(np.unique(some)) for some in targets],
            "probability": [float(np.nanmedian(some)) for some in chances],
        }
    return found


def causal(
    base: Mapping[str, runs.Parts],
    clusters: np.ndarray,
    methods: Sequence[str],
    **options: Any,
) -> list[dict[str, Any]]:
    """All three parts of the images, the uniform map's share, and effects as shares.

    Energies add up to one over object, ring and context; effects do not. Turned into
    shares of the positive effects, pooled over images, they are alike.

    Returns:
      For each fill: `energy`, `uniform` and `effect` of each part; `evidence`, the
      ring's share of the positive effects; `excess`, the ring's energy less that;
      `below_uniform`, the share of images on which the methods hold less energy in the
      ring than the uniform map.
    """
    found = []
    labels = np.tile(clusters, len(base))
    for fill, given in runs.FILLS.items():
        values = [_parts(parts, given, methods) for parts in base.values()]
        drops, scores, energies, uniform = (
            np.concatenate([value[i] for value in values]) for i in range(4)
        )
        kept = ~np.isnan(np.column_stack([drops, scores, energies, uniform])).any(1)
        if kept.any():
            numbered = np.unique(labels[kept], return_inverse=True)[1]
            table = drops[kept], scores[kept], energies[kept], uniform[kept]
            found.append({"fill": fill, **_evidence(*table, numbered, **options)})
    return found


def _parts(
    parts: runs.Parts, fill: str, methods: Sequence[str]
) -> tuple[np.ndarray, ...]:
    """Drops [n, 3], probability [n], energies of methods and of the uniform map."""

    def table(method: str, requests: Sequence[str]) -> np.ndarray:
        result = parts[method]
        return np.stack(
            [result.values(r, method).astype(float) for r in requests], axis=1
        )

    first = methods[0]
    probability = _described(parts[first], first, "probability")
    effects = [str(_spec.parse(f"region_effect[{fill},part={p}]")) for p in PARTS]
    energies = [f"region_energy[part={p}]" for p in PARTS]
    drops = table(first, effects) * probability[:, None]
    mean = endpoints.defined_mean(
        np.stack([table(method, energies) for method in methods]), axis=0
    )
    return drops, probability, mean, table("uniform", energies)


def _described(result: results_module.Result, method: str, column: str) -> np.ndarray:
    return result.columns[column][result.rows_of(method)].astype(float)


def _evidence(
    drops: np.ndarray,
    scores: np.ndarray,
    energies: np.ndarray,
    uniform: np.ndarray,
    clusters: np.ndarray,
    *,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    ring = PARTS.index("ring")

    def reduce(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1, keepdims=True)
        effect = statistics.ratio(weights @ drops, (weights @ scores)[:, None])
        energy, flat = weights @ energies / total, weights @ uniform / total
        gains = np.maximum(effect, 0.0)
        share = statistics.ratio(gains[:, ring], gains.sum(axis=1))
        more = energy[:, ring] - share
        return np.column_stack([energy, flat, effect, share, more])

    few = clusters.max(initial=0) < 1
    drawn = statistics.drawn(
        reduce, clusters, resamples=0 if few else resamples, seed=seed
    )
    columns = [endpoints.interval(column) for column in drawn.T]
    by_part = {
        key: dict(zip(PARTS, columns[3 * i : 3 * i + 3], strict=True))
        for i, key in enumerate(("energy", "uniform", "effect"))
    }
    return {
        **by_part,
        "evidence": columns[9],
        "excess": columns[10],
        "below_uniform": float(np.mean(energies[:, ring] < uniform[:, ring])),
    }


def coverage(breeds: Sequence[str], *, seed: int = 0) -> list[dict[str, float]]:
    """How often intervals that draw breeds of these sizes hold the truth."""
    sizes = np.unique(np.asarray(breeds), return_counts=True)[1]
    if len(sizes) < 2:
        return []
    return [
        {
            "breed_sd": deviation,
            "covered": endpoints.cluster_coverage(sizes, deviation, seed=seed),
        }
        for deviation in BREED_SDS
    ]
