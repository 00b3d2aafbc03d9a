"""The end of a report: rows that failed, what the metrics mean, the manifests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxcam import _spec, registry, results, tables
from jaxcam.reports import subject

MOST_ERRORS = 200


def errors(runs: subject.Runs) -> dict[str, Any]:
    """Rows without a value, each with its reason, and how often each came."""
    rows, reasons = [], []
    for label, result in runs.items():
        errors = result.errors()
        reasons += [
            (label, reason, count) for reason, count in result.reasons().items()
        ]
        for error in errors:
            everywhere = len(error["methods"]) == len(result.methods)
            methods = "all" if everywhere else ", ".join(error["methods"])
            rows.append((label, error["id"], error["reason"], methods))
    return {"rows": rows[:MOST_ERRORS], "total": len(rows), "reasons": reasons}


def glossary(result: results.Result, metrics: Sequence[str]) -> list[dict[str, str]]:
    """What each metric means, where it is a registered one."""
    found = []
    for name in dict.fromkeys(_spec.parse(metric).name for metric in metrics):
        try:
            spec = registry.metric(name)
        except ValueError:
            continue
        low, high = spec.range
        found.append(
            {
                "name": name,
                "arrow": tables.ARROWS[spec.direction],
                "range": f"[{low:g}, {high:g}]".replace("inf", "∞"),
                "summary": spec.summary,
                "undefined": spec.undefined,
                "source": spec.source,
            }
        )
    return found
