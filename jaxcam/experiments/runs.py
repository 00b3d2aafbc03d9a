"""The runs that the comparison of boxes and masks reads; each goes on where it stopped.

A run directory holds the maps and scores of one network on one data set. The other
reading of a trimap's border is scored from its stored maps.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from jaxcam import evaluation, scoring
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
    not compared with are left out.
    """
    directory = _directory(plan, network, dataset)
    parts: Parts = {}
    for method in methods:
        out = directory.with_name(f"{directory.name}-{border}-{method}")
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


def _directory(plan: Plan, network: model.Model, dataset: records.Dataset) -> Path:
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in dataset.name)
    return plan.out / f"{network.name}-{name}-{len(dataset)}"
