"""Tables of results: on the terminal, in Markdown, in LaTeX."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Records = Sequence[Mapping[str, Any]]

ARROWS = {1: "↑", -1: "↓", 0: ""}
METRICS_A_TABLE = 4


def report(result: Any, *, skill: bool = True) -> list[Any]:
    """What is shown at the end of a run: tables and sentences to print, in order."""
    records = result.summary()
    shown: list[Any] = []
    if not result.trained:
        shown.append("[bold red]The network is untrained: its parameters are random.")
    metrics = list(dict.fromkeys(r["metric"] for r in records))
    for start in range(0, len(metrics), METRICS_A_TABLE):
        chosen = set(metrics[start : start + METRICS_A_TABLE])
        shown.append(summary_table([r for r in records if r["metric"] in chosen]))
    if skill:
        shown.append(_skill_table(result.summary(skill=True)))
    shown.extend(notes(result, records))
    return [part for part in shown if part is not None]


def summary_table(records: Records) -> Any:
    """A rich table, methods by metrics, with intervals; the best method in bold."""
    from rich import table, text

    metrics, methods = _axes(records)
    best = _best(records)
    made = table.Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("method", no_wrap=True)
    for metric, direction in metrics.items():
        made.add_column(_heading(metric, direction), justify="right")
    cells = {(r["method"], r["metric"]): r for r in records}
    floors = False
    for method, is_floor in methods.items():
        if is_floor and not floors:
            made.add_section()
            floors = True
        row = [text.Text(method, style="dim" if is_floor else "")]
        for metric in metrics:
            record = cells.get((method, metric))
            style = "dim" if is_floor else ""
            if record is not None and best.get(metric) == method:
                style = "bold"
            row.append(text.Text("" if record is None else _cell(record), style=style))
        made.add_row(*row)
    return made


def _skill_table(records: Records) -> Any:
    if not records:
        return None
    from rich import console

    chosen = [r for r in records if r["method"] != "uniform"]
    metrics = list(dict.fromkeys(r["metric"] for r in chosen))
    parts: list[Any] = ["\nSkill: (m - floor) / (best - floor), floor = uniform map"]
    for start in range(0, len(metrics), METRICS_A_TABLE):
        some = set(metrics[start : start + METRICS_A_TABLE])
        parts.append(summary_table([r for r in chosen if r["metric"] in some]))
    return console.Group(*parts)


def notes(result: Any, records: Records) -> list[str]:
    """Sentences under the tables: how many rows, what was left out and why."""
    most = max((r["n"] for r in records), default=0)
    lines = [
        f"\n95 % bootstrap intervals over images; n = {most} images unless said. "
        "Floors and ceiling are dim, the best method is bold."
    ]
    missing = [
        f"{r['metric']}: {r['method']} {r['n_undefined']}"
        for r in records
        if r["n_undefined"] and not r["is_floor"]
    ]
    if missing:
        lines.append("Undefined values, left out: " + "; ".join(missing) + ".")
    for reason, count in result.reasons().items():
        lines.append(f"Invalid, left out: {count} images: {reason}.")
    return lines


def plain(records: Records) -> str:
    """An aligned table of plain characters."""
    metrics, methods = _axes(records)
    cells = {(r["method"], r["metric"]): _cell(r) for r in records}
    heads = ["method", *(f"{m} {ARROWS[d]}".strip() for m, d in metrics.items())]
    lines = [heads]
    lines += [
        [method, *(cells.get((method, m), "") for m in metrics)] for method in methods
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(records: Records) -> str:
    """A Markdown table, methods by metrics."""
    metrics, methods = _axes(records)
    cells = {(r["method"], r["metric"]): _cell(r) for r in records}
    heads = ["method", *(f"{m} {ARROWS[d]}".strip() for m, d in metrics.items())]
    rows = [
        [f"*{method}*" if is_floor else method]
        + [cells.get((method, metric), "") for metric in metrics]
        for method, is_floor in methods.items()
    ]
    lines = [heads, ["---", *("---:" for _ in metrics)], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def latex(records: Records) -> str:
    """A LaTeX tabular, methods by metrics; the best method in bold."""
    metrics, methods = _axes(records)
    best = _best(records)
    cells = {(r["method"], r["metric"]): r for r in records}
    arrows = {1: r"$\uparrow$", -1: r"$\downarrow$", 0: ""}
    heads = [f"{_escaped(m)} {arrows[d]}".strip() for m, d in metrics.items()]
    lines = [
        r"\begin{tabular}{l" + "r" * len(metrics) + "}",
        r"\hline",
        " & ".join(["method", *heads]) + r" \\",
        r"\hline",
    ]
    for method in methods:
        row = [_escaped(method)]
        for metric in metrics:
            record = cells.get((method, metric))
            cell = "" if record is None else _cell(record).replace("±", r"$\pm$")
            row.append(rf"\textbf{{{cell}}}" if best.get(metric) == method else cell)
        lines.append(" & ".join(row) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])


def _escaped(text: str) -> str:
    return text.replace("_", r"\_").replace("%", r"\%")


def _axes(records: Records) -> tuple[dict[str, int], dict[str, bool]]:
    metrics = {r["metric"]: r["direction"] for r in records}
    methods = {r["method"]: r["is_floor"] for r in records}
    return metrics, methods


def _best(records: Records) -> dict[str, str]:
    """The best method of each metric, floors left out, where there are two or more."""
    found: dict[str, str] = {}
    by_metric: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        if not record["is_floor"] and not math.isnan(record["estimate"]):
            by_metric.setdefault(record["metric"], []).append(record)
    for metric, some in by_metric.items():
        if len(some) > 1 and some[0]["direction"]:
            top = max(some, key=lambda r: r["direction"] * r["estimate"])
            found[metric] = top["method"]
    return found


def _heading(metric: str, direction: int) -> str:
    """A heading that can be broken at its options and underscores."""
    name, bracket, options = metric.partition("[")
    words = name.replace("_", " ") + (f" {bracket}{options}" if bracket else "")
    return f"{words} {ARROWS[direction]}".strip().replace("[", r"\[")


def _cell(record: Mapping[str, Any]) -> str:
    """The estimate and half the interval's width, to the digits that it allows."""
    estimate = record["estimate"]
    if math.isnan(estimate):
        return "undefined"
    half = (record["high"] - record["low"]) / 2
    digits = _digits(half)
    return f"{estimate:.{digits}f} ±{half:.{digits}f}"


def _digits(width: float) -> int:
    """Decimals that show the first two digits of a width; three for no width."""
    if not width > 0:
        return 3
    return int(min(max(1 - math.floor(math.log10(width)), 1), 4))
