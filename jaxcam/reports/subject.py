"""What a report is about: the runs, and which of their methods and metrics it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from jaxcam import _spec, columns, comparison, results, statistics, summaries

Runs: TypeAlias = Mapping[str, results.Result]
"""Opened runs by their labels."""

WORK = 1e10
"""Products that an interval or a test may cost; draws fall to stay below."""


def first(runs: Runs) -> results.Result:
    """The run by whose settings a report is headed."""
    return next(iter(runs.values()))


def name(runs: Runs, method: str, label: str) -> str:
    """A method as it is shown: with its run where there are several."""
    return method if len(runs) == 1 else f"{method} @ {label}"


def own_methods(result: results.Result) -> list[str]:
    """The methods of a run that are no floors."""
    return [method for method in result.methods if not result.is_floor(method)]


def shown_metrics(runs: Runs) -> list[str]:
    """Metrics that are one number in all runs; curves whose area is there left out."""
    first = next(iter(runs.values()))
    shared = comparison.shared_metrics(list(runs.values()), None)
    areas = set()
    for metric in shared:
        spec, request = first.spec(metric), _spec.parse(metric)
        for companion in () if spec is None else spec.companions:
            areas.add(str(_spec.Request(companion, request.options)))
    return [m for m in shared if m not in areas or columns.is_scalar(first.columns, m)]


def vectors(runs: Runs) -> list[str]:
    """Metrics stored as vectors that all runs have."""
    return [
        metric
        for metric in first(runs).metrics
        if not columns.is_scalar(first(runs).columns, metric)
        and first(runs).spec(metric) is not None
        and all(metric in result.metrics for result in runs.values())
    ]


def floors_drawn(runs: Runs) -> tuple[str, ...] | None:
    """All floors of one run; of several only one each, or they fill the figure."""
    return None if len(runs) == 1 else (results.FLOOR,)


def draws(result: results.Result, metrics: Sequence[str]) -> int:
    """Resamples of the bootstrap: fewer where vectors of many images are reduced."""
    n = max(result.n_images, 1)
    widest = 1
    for metric in metrics:
        if summaries.reduction(result, metric) is not None:
            values = result.values(metric, result.methods[0])
            widest = max(widest, values[:1].size)
    return int(max(200, min(statistics.RESAMPLES, WORK / (n * widest))))
