"""Boxes against masks, from runs to figures: every endpoint of the design."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import jaxcam
from jaxcam import _spec, statistics
from jaxcam import results as results_module
from jaxcam.data import records
from jaxcam.experiments import (
    corruptions,
    endpoints,
    later,
    networks,
    runs,
    selections,
    versions,
)

FEWEST = 20
"""Images of a breed that is shown on its own."""

Say = Callable[[str], None]


def study(
    dataset: records.Dataset,
    names: Sequence[str],
    plan: runs.Plan,
    *,
    weights: Path | None = None,
    limit: int | None = None,
    shapes: int = 512,
    methods: tuple[str, ...] = versions.METHODS,
    resamples: int = statistics.RESAMPLES,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Makes the runs that are missing and measures everything.

    Args:
      dataset: Photographs with masks; their category is the breed.
      names: Networks.
      plan: Where runs lie, and their seed.
      weights: Folder of weights; `None` takes those that come with the package.
      limit: So many images, spread over the data set.
      shapes: Images of the construct test.
      methods: Explanation methods, at least three.
      resamples: Of the bootstrap.
      say: Hears what is going on.

    Returns:
      Numbers, lists and words, ready for JSON; `jaxcam.experiments.findings` says them.
    """
    part = selections.spread(dataset, limit)
    moved = selections.moved(part, seed=plan.seed)
    made = runs.Made({}, {}, {}, {})
    for name in names:
        trained = networks.load(name, weights)
        copy = networks.randomised(trained, seed=plan.seed)
        options = {"methods": methods}
        say(f"{name}: explanations, and what the model says without each region")
        made.base[name] = runs.explained(plan, trained, part, causal=True, **options)
        say(f"{name}: its random copy")
        made.copies[name] = runs.explained(plan, copy, part, **options)
        say(f"{name}: the border as object")
        made.foreground[name] = runs.rescored(plan, trained, part, **options)
        say(f"{name}: objects off the centre")
        made.moved[name] = runs.explained(plan, trained, moved, **options)
    say("measuring")
    breeds = [record.category for record in part.records]
    where = selections.places(part), selections.places(moved)
    options = {"methods": methods, "seed": plan.seed, "resamples": resamples}
    construct = []
    if shapes:
        network = jaxcam.models.load("shapes_net")
        construct = corruptions.construct_test(network, count=shapes, seed=plan.seed)
    return {
        "settings": _settings(dataset, part, breeds, names, methods, plan),
        **measured(made, breeds, **options),
        "construct": construct,
        "later": later.measured(made, breeds, where, **options),
    }


def measured(
    made: runs.Made,
    breeds: Sequence[str],
    *,
    methods: Sequence[str] = versions.METHODS,
    seed: int = 0,
    resamples: int = statistics.RESAMPLES,
) -> dict[str, Any]:
    """Every endpoint of the design that needs nothing but the runs.

    Args:
      made: The runs.
      breeds: Of each image; images of one are drawn together.
      methods: Explanation methods.
      seed: Of everything random.
      resamples: Of the bootstrap.
    """
    scores, copies, foreground, moved = made.scores
    clusters = np.unique(np.asarray(breeds), return_inverse=True)[1]
    options = {"clusters": clusters, "seed": seed, "resamples": resamples}
    images = {**options, "clusters": np.arange(len(breeds))}
    difference = endpoints.effect_difference
    above = versions.above_floor(scores, methods)
    skill = versions.above_floor(scores, methods, skill=True)
    as_object = versions.above_floor(foreground, methods)
    return {
        "metrics": list(versions.METRICS),
        "explanations": [f"{name} {m}" for name in scores for m in methods],
        "primary": difference(*above, **options),
        "primary_over_images": difference(*above, **images),
        "skill": difference(*skill, **options),
        "foreground": difference(*as_object, **options),
        "moved": difference(*versions.above_floor(moved, methods), **options),
        "randomised": difference(*_above_copy(scores, copies, methods), **options),
        "cells": _cells(scores, methods),
        "rankings": _rankings(scores, methods, seed),
        "settled": _settled(scores, methods, seed),
        "floors_won": _floors_won(scores, methods),
        "causal": _causal(made.base, breeds, methods, seed, resamples),
    }


def _above_copy(
    scores: Mapping[str, versions.Scores],
    copies: Mapping[str, versions.Scores],
    methods: Sequence[str],
) -> versions.Pairs:
    """Every explanation less that of the network's random copy."""

    def one(kind: str) -> np.ndarray:
        requests = versions.version(kind)
        columns = [
            s.of(method, requests) - copies[name].of(method, requests)
            for name, s in scores.items()
            for method in methods
        ]
        return np.stack(columns, axis=1)

    return one("box"), one("mask")


def _cells(
    scores: Mapping[str, versions.Scores], methods: Sequence[str]
) -> list[dict[str, Any]]:
    """D' of the metrics of regions for each predicted region and truth."""
    cells = []
    for cell in versions.CELLS:
        requests = [versions.column(m, *cell) for m in versions.REGION_METRICS]
        columns = [
            s.of(method, requests) - s.of(versions.REFERENCE, requests)
            for s in scores.values()
            for method in methods
        ]
        cells.append(np.stack(columns, axis=1))
    effects = endpoints.effect_cells(np.stack(cells, axis=1))
    return [
        {"predicted": predicted, "truth": truth, "effect": float(effect)}
        for (predicted, truth), effect in zip(versions.CELLS, effects, strict=True)
    ]


def _rankings(
    scores: Mapping[str, versions.Scores], methods: Sequence[str], seed: int
) -> dict[str, Any]:
    """Tau between and within versions, meaned over networks; spread over halvings."""
    found: dict[str, list[np.ndarray]] = {"between": [], "box": [], "mask": []}
    for s in scores.values():
        box, mask = (s.stacked(methods, kind) for kind in ("box", "mask"))
        for name, taus in endpoints.ranking_agreement(box, mask, seed=seed).items():
            found[name].append(taus)
    by_metric = {
        k: endpoints.defined_mean(np.stack(v), axis=0) for k, v in found.items()
    }
    whole = {
        name: endpoints.defined_mean(taus, axis=1) for name, taus in by_metric.items()
    }
    return {
        **{
            name: {
                "estimate": float(np.nanmean(taus)),
                "low": float(np.nanquantile(taus, 0.025)),
                "high": float(np.nanquantile(taus, 0.975)),
            }
            for name, taus in whole.items()
        },
        "metrics": [
            {
                name: float(endpoints.defined_mean(taus[:, k], axis=0))
                for name, taus in by_metric.items()
            }
            for k in range(len(versions.METRICS))
        ],
    }


def _settled(
    scores: Mapping[str, versions.Scores], methods: Sequence[str], seed: int
) -> dict[str, Any]:
    """Images until the ranking settles, for each network and metric."""
    return {
        name: {
            kind: endpoints.images_to_settle(s.stacked(methods, kind), seed=seed)
            for kind in ("box", "mask")
        }
        for name, s in scores.items()
    }


def _floors_won(
    scores: Mapping[str, versions.Scores], methods: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Share of explanations and metrics whose mean is below that of each floor."""
    found: dict[str, dict[str, float]] = {}
    for floor in versions.FLOORS:
        found[floor] = {}
        for kind in ("box", "mask"):
            requests = versions.version(kind)
            lost = [
                np.nanmean(s.of(method, requests), axis=0)
                < np.nanmean(s.of(floor, requests), axis=0)
                for s in scores.values()
                for method in methods
            ]
            found[floor][kind] = float(np.mean(lost))
    return found


def _causal(
    base: Mapping[str, runs.Parts],
    breeds: Sequence[str],
    methods: Sequence[str],
    seed: int,
    resamples: int,
) -> list[dict[str, Any]]:
    """Energy in the ring beside what the score loses with it, for each fill."""
    table = {name: parts[methods[0]] for name, parts in base.items()}
    names = np.asarray(breeds, object)
    groups = [("all", np.ones(len(names), bool))]
    groups += [
        (breed, names == breed)
        for breed in dict.fromkeys(breeds)
        if np.sum(names == breed) >= FEWEST
    ]
    found = []
    for fill, options in runs.FILLS.items():
        measured = {
            name: _ring(result, options, methods) for name, result in table.items()
        }
        for group, chosen in groups:
            whole = group == "all"
            # Within one breed there are only images to draw.
            labels = np.unique(names, return_inverse=True)[1]
            labels = labels[chosen] if whole else np.arange(int(chosen.sum()))
            for network in ("all", *table) if whole else ("all",):
                members = list(table) if network == "all" else [network]
                drops, scores, energies = (
                    np.concatenate([measured[m][i][chosen] for m in members])
                    for i in range(3)
                )
                shares = endpoints.pooled_shares(
                    drops,
                    scores,
                    energies,
                    np.tile(labels, len(members)),
                    seed=seed,
                    resamples=resamples,
                )
                found.append(
                    {"fill": fill, "breed": group, "network": network}
                    | {"n": int(chosen.sum()), **shares}
                )
    return found


def _ring(
    result: results_module.Result, fill: str, methods: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Drop of the probability, the probability, and the methods' mean energy."""
    rows = result.rows_of(methods[0])
    probability = result.columns["probability"][rows].astype(float)
    column = str(_spec.parse(f"region_effect[{fill},part=ring]"))
    drops = result.values(column, methods[0]).astype(float) * probability
    energies = [
        result.values("region_energy[part=ring]", method).astype(float)
        for method in methods
    ]
    return drops, probability, endpoints.defined_mean(np.stack(energies), axis=0)


def _settings(dataset, part, breeds, names, methods, plan) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for breed in breeds:
        counts[breed] = counts.get(breed, 0) + 1
    return {
        "jaxcam": jaxcam.__version__,
        "data": dataset.name,
        "images": len(part),
        "of_images": len(dataset),
        "breeds": counts,
        "networks": list(names),
        "methods": list(methods),
        "seed": plan.seed,
    }
