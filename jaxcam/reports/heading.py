"""The head of a report: what was evaluated on what, and what to beware of."""

from __future__ import annotations

from collections.abc import Mapping

from jaxcam import results
from jaxcam.reports import subject

UNTRAINED = "The network is untrained: its parameters are random."


def title(runs: subject.Runs) -> str:
    """The models, and the data that they were shown."""
    names = [_model(result) for result in runs.values()]
    what = ", ".join(dict.fromkeys(name for name in names if name)) or "saved maps"
    described = subject.first(runs).manifest["scientific"].get("data")
    where = described.get("name") if isinstance(described, Mapping) else None
    return f"{what} on {where}" if where else what


def facts(runs: subject.Runs) -> list[tuple[str, str]]:
    """Numbers and settings under the title, by name."""
    settings = subject.first(runs).manifest["scientific"]
    found = [
        ("images", str(subject.first(runs).n_images)),
        ("methods", str(sum(len(subject.own_methods(r)) for r in runs.values()))),
        ("metrics", str(len(subject.shown_metrics(runs)))),
    ]
    for name in ("preset", "explained", "geometry", "border"):
        if settings.get(name):
            found.append((name, str(settings[name])))
    started = subject.first(runs).manifest.get("operational", {}).get("started")
    return [*found, ("evaluated", str(started)[:10])] if started else found


def warnings(runs: subject.Runs) -> list[str]:
    """What must be known before any number is read."""
    found = []
    for label, result in runs.items():
        of = "" if len(runs) == 1 else f" ({label})"
        if not result.trained:
            found.append(UNTRAINED + of)
        if result.n_missing:
            found.append(
                f"The run is not finished: {result.n_missing} rows are missing{of}."
            )
    return found


def _model(result: results.Result) -> str:
    return str((result.manifest["scientific"].get("model") or {}).get("name", ""))
