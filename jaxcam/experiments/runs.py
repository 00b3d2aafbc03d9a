"""The runs that the comparison of boxes and masks reads; each goes on where it stopped.

A run directory holds the maps and scores of one network on one data set. The other
reading of a trimap's border is scored from its stored maps.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from jaxcam import evaluation, scoring, storage
from jaxcam import results as results_module
from jaxcam.data import records
from jaxcam.experiments import versions
from jaxcam.models import model

FILLS = {
    "weak blur": "canvas=blur",
    "strong blur": "blur_sigma=15,blur_size=61,canvas=reflected_blur",
    "mean colour": "canvas=mean",
}
"""What takes the place of a region in the causal test: options of `evidence_ring`."""

SHARD = 64
"""Images a file: so much is lost when a run is stopped."""

Parts = dict[str, results_module.Result]
"""For each method, the results that hold its rows."""


@dataclasses.dataclass(frozen=True)
class Made:
    """The runs of a study, by network.

    Attributes:
      base: Of the trained networks; the border does not count.
      copies: Of their random copies.
      foreground: The trained networks' maps with the border as object.
      moved: Of the trained networks, on crops.
    """

    base: dict[str, Parts]
    copies: dict[str, Parts]
    foreground: dict[str, Parts]
    moved: dict[str, Parts]

    @functools.cached_property
    def scores(self) -> tuple[dict[str, versions.Scores], ...]:
        """The scores of the four, in the order of the attributes.

        Raises:
          ValueError: The runs hold different images; they are paired by position.
        """
        found = tuple(
            {name: versions.scores(parts) for name, parts in kind.items()}
            for kind in (self.base, self.copies, self.foreground, self.moved)
        )
        versions.same_images(*(s.ids for kind in found for s in kind.values()))
        return found


@dataclasses.dataclass(frozen=True)
class Plan:
    """What all runs of a study share.

    Attributes:
      out: Folder of the run directories.
      seed: Of everything random.
      batch_size: Images at a time; changes no value.
      show_progress: Shows a progress bar for each run.
    """

    out: Path
    seed: int = 0
    batch_size: int = 16
    show_progress: bool = False


def evidence_columns() -> tuple[str, ...]:
    """Requests of the causal test."""
    return tuple(f"evidence_ring[{fill}]" for fill in FILLS.values())


def explained(
    plan: Plan,
    network: model.Model,
    dataset: records.Dataset,
    *,
    methods: tuple[str, ...] = versions.METHODS,
    causal: bool = False,
) -> Parts:
    """Maps and scores of one network; the border does not count."""
    metrics = (*versions.columns(), *(evidence_columns() if causal else ()))
    result = evaluation.evaluate(
        network,
        dataset,
        methods=methods,
        metrics=metrics,
        out=_directory(plan, network, dataset),
        border="ignore",
        seed=plan.seed,
        batch_size=plan.batch_size,
        shard_size=SHARD,
        show_progress=plan.show_progress,
    )
    return dict.fromkeys((*methods, *versions.FLOORS), result)


def rescored(
    plan: Plan,
    network: model.Model,
    dataset: records.Dataset,
    *,
    methods: tuple[str, ...] = versions.METHODS,
    border: str = "foreground",
) -> Parts:
    """The same maps under another reading of the border, without the network.

    The centre and the uniform map are scored with the first method; floors that are
    not compared with are left out. A run's name tells the settings of the run whose
    maps it scores, so that none is taken for that of other maps.
    """
    directory = _directory(plan, network, dataset)
    source = _digest(storage.read_manifest(directory)["scientific"])
    parts: Parts = {}
    for method in methods:
        out = directory.with_name(f"{directory.name}-{border}-{method}-{source}")
        if (out / "summary.json").exists():
            parts[method] = results_module.load_run(out)
            continue
        parts[method] = scoring.score(
            directory,
            dataset,
            method=method,
            metrics=versions.columns(),
            border=border,
            size=network.input.size,
            out=out,
            seed=plan.seed,
            batch_size=plan.batch_size,
            show_progress=plan.show_progress,
        )
    first = parts[methods[0]]
    return {**parts, "uniform": first, "centre": first}


def _digest(settings: Any) -> str:
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _directory(plan: Plan, network: model.Model, dataset: records.Dataset) -> Path:
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in dataset.name)
    return plan.out / f"{network.name}-{name}-{len(dataset)}"
