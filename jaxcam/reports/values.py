"""Tables of a report: values of the methods, over all images and by decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxcam import results, tables
from jaxcam.reports import subject


def summary(runs: subject.Runs, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Records of all runs, each with the name shown and the result it is of."""
    found = []
    for label, result in runs.items():
        draws = subject.draws(result, metrics)
        for record in result.summary(metrics=metrics, resamples=draws):
            shown = subject.name(runs, record["method"], label)
            found.append(record | {"of": result, "shown": shown})
    return found


def grids(
    runs: subject.Runs,
    records: Sequence[dict[str, Any]],
    floors_left_out: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """A table for each family of metrics, methods in rows, floors last."""
    kept = [r for r in records if r["method"] not in floors_left_out]
    kept = [r | {"method": r["shown"]} for r in kept]
    families: dict[str, list[str]] = {}
    for metric in dict.fromkeys(r["metric"] for r in kept):
        families.setdefault(_family(subject.first(runs), metric), []).append(metric)
    methods = sorted({r["shown"]: r["is_floor"] for r in kept}.items(), key=_floor)
    best = {pair for m in {r["metric"] for r in kept} for pair in tables.best(kept, m)}
    cells = {(r["shown"], r["metric"]): r for r in kept}
    made = []
    for family, metrics in families.items():
        rows = [
            (name, is_floor, [_cell(cells.get((name, m)), best) for m in metrics])
            for name, is_floor in methods
        ]
        counts = [_counts([r for r in kept if r["metric"] == m]) for m in metrics]
        heads = [(m, tables.ARROWS[subject.first(runs).direction(m)]) for m in metrics]
        made.append({"family": family, "heads": heads, "rows": rows, "counts": counts})
    return made


def decisions(runs: subject.Runs, metrics: Sequence[str]) -> dict[str, Any]:
    """Means of right and of wrong decisions, where it is known which are right."""
    rows = []
    counts: dict[str, int] = {}
    for label, result in runs.items():
        if "correct" not in result.columns:
            continue
        parts = result.split(by="correct")
        if True not in parts or False not in parts:
            continue
        for name, part in (("right", parts[True]), ("wrong", parts[False])):
            counts[name] = counts.get(name, 0) + part.n_images
            draws = subject.draws(part, metrics)
            for record in part.summary(metrics=metrics, resamples=draws):
                if not record["is_floor"]:
                    key = subject.name(runs, record["method"], label), record["metric"]
                    rows.append((key, name, tables.cell(record)))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for key, name, cell in rows:
        cells.setdefault(key, {})[name] = cell
    return {"counts": counts, "rows": [(*key, v) for key, v in cells.items()]}


def _family(result: results.Result, metric: str) -> str:
    spec = result.spec(metric)
    return spec.family if spec is not None else "other"


def _floor(item: tuple[str, bool]) -> bool:
    return item[1]


def _cell(record: Mapping[str, Any] | None, best: set[tuple[str, str]]) -> dict:
    if record is None:
        return {"text": "", "value": "", "best": False}
    estimate, undefined = record["estimate"], record["n_undefined"]
    if math.isnan(estimate):
        return {"text": f"undefined ({undefined})", "value": "", "best": False}
    chosen = (record["shown"], record["metric"]) in best
    return {"text": tables.cell(record), "value": repr(estimate), "best": chosen}


def _counts(records: Sequence[Mapping[str, Any]]) -> str:
    own = [r for r in records if not r["is_floor"]] or records
    n, undefined = ({r[key] for r in own} for key in ("n", "n_undefined"))
    text = "-".join(map(str, sorted({min(n), max(n)})))
    if undefined == {0}:
        return text
    return f"{text} ({'-'.join(map(str, sorted({min(undefined), max(undefined)})))})"
