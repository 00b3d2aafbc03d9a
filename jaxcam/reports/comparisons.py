"""Method against method and metric against metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxcam import (
    agreement,
    comparison,
    plot,
    results,
    statistics,
    summaries,
    tables,
)
from jaxcam.reports import figures, findings, subject


def compared(runs: subject.Runs, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Paired comparisons; none where there are no two methods."""
    if sum(len(subject.own_methods(r)) for r in runs.values()) < 2 and not any(
        results.FLOOR in r.methods for r in runs.values()
    ):
        return []
    asked: dict[int, list[str]] = {}
    for metric in metrics:
        asked.setdefault(subject.draws(subject.first(runs), [metric]), []).append(
            metric
        )
    found = []
    for draws, some in asked.items():
        tests = max(199, min(statistics.PERMUTATIONS, 5 * draws))
        found += comparison.compare(
            runs, metrics=some, resamples=draws, permutations=tests
        )
    found.sort(key=lambda record: metrics.index(record["metric"]))
    return [
        record | {"written": tables.cell(record | {"estimate": record["difference"]})}
        for record in findings.marked(found)
    ]


def ranked(
    runs: subject.Runs, metrics: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Rank agreement of metrics, over images and, with three methods, over them."""
    scalars = [
        m for m in metrics if summaries.reduction(subject.first(runs), m) is None
    ]
    count = sum(len(subject.own_methods(r)) for r in runs.values())
    n = max(subject.first(runs).n_images, 1)
    pairs = max(len(scalars) * (len(scalars) - 1) / 2 * count, 1)
    draws = int(max(100, min(500, subject.WORK / 10 / (n * pairs))))
    if len(scalars) < 2:
        return {}
    found = {
        "images": agreement.rank_agreement(
            runs,
            over="images",
            coefficient="spearman",
            metrics=scalars,
            resamples=draws,
        )
    }
    if count > 2:
        found["methods"] = agreement.rank_agreement(
            runs, coefficient="kendall", metrics=scalars, resamples=1000
        )
    return found


def agreements(
    runs: subject.Runs,
    draw: figures.Drawer,
    ranked: Mapping[str, Sequence[dict[str, Any]]],
) -> list[dict[str, Any]]:
    """What the rank agreement says: in words, as a matrix, pair by pair."""
    said = {
        "images": "Over images: Spearman's correlation of the orders in which two "
        "metrics put the images, averaged over the methods.",
        "methods": "Over methods: Kendall's tau-b of the orders in which two "
        "metrics put the methods.",
    }
    return [
        {
            "said": said[over],
            "words": agreement.in_words(records),
            "figure": _drawn(draw, records, said[over]),
            "records": [
                r | {"verdict": agreement.verdict(r), "written": tables.cell(r)}
                for r in records
            ],
        }
        for over, records in ranked.items()
    ]


def _drawn(draw: figures.Drawer, records: Sequence[dict[str, Any]], said: str) -> Any:
    try:
        return draw(plot.correlation(records), said)
    except ValueError:  # Every metric is constant.
        return None
