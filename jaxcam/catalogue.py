"""What can be asked for, as tables: on the terminal and in the documentation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from jaxcam import data, models, plan, registry
from jaxcam.metrics import presets

Rows = list[tuple[str, ...]]

ARROWS = {1: "↑", -1: "↓", 0: ""}


def listing(kind: str) -> tuple[tuple[str, ...], Rows]:
    """Column heads and rows of `jaxcam list KIND`."""
    return {
        "metrics": _metrics,
        "methods": _methods,
        "models": _models,
        "weights": _weights,
        "data": _data,
        "presets": _presets,
    }[kind]()


def metrics_markdown() -> str:
    """The full metric catalogue: one Markdown table a family."""
    parts = []
    families: dict[str, Rows] = {}
    for name, spec in _documented(lambda name, _: name):
        families.setdefault(spec.family, []).append(
            (
                f"`{name}` {ARROWS[spec.direction]}".strip(),
                spec.summary,
                f"`{spec.formula}`",
                _range(spec.range),
                ", ".join(spec.regions) or "-",
                ", ".join(f"`{field}`" for field in spec.inputs),
                spec.undefined,
                spec.cost,
                spec.source,
            )
        )
    heads = (
        "metric",
        "meaning",
        "formula",
        "range",
        "regions",
        "inputs",
        "undefined (NaN) when",
        "cost",
        "source",
    )
    for family, rows in families.items():
        parts.append(f"### {family.replace('_', ' ').capitalize()}\n")
        parts.append(markdown(heads, rows))
    return "\n".join(parts)


def metric_families_markdown() -> str:
    """The short metric table of the README: names and directions, family by family."""
    families: dict[str, list[str]] = {}
    for name, spec in _documented(lambda name, spec: (spec.family, name)):
        written = f"`{name}` {ARROWS[spec.direction]}".strip()
        families.setdefault(spec.family, []).append(written)
    rows = [
        (f"[{family}](jaxcam/metrics/README.md#{family.replace(' ', '-')})", each)
        for family, each in ((f, ", ".join(names)) for f, names in families.items())
    ]
    return markdown(("family", "metrics"), rows)


def _documented(key: Callable[[str, Any], Any]) -> list[tuple[str, Any]]:
    """Metrics of one map and of two, in the order of their keys."""
    both = {**registry.all_metrics(), **registry.all_similarities()}
    return sorted(both.items(), key=lambda item: key(*item))


def methods_summary_markdown() -> str:
    """The short method table of the README: name and meaning."""
    rows = [
        (f"`{name}`", spec.summary)
        for name, spec in sorted(registry.all_methods().items())
    ]
    return markdown(("method", "meaning"), rows)


def methods_markdown() -> str:
    """Every method in one table."""
    rows = [
        (f"`{name}`", spec.summary, spec.cost, spec.source)
        for name, spec in sorted(registry.all_methods().items())
    ]
    return markdown(("method", "meaning", "cost", "source"), rows)


def markdown(heads: tuple[str, ...], rows: Rows) -> str:
    """A Markdown table."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n"
        for line in lines
    )


def _range(bounds: tuple[float, float]) -> str:
    def written(x: float) -> str:
        return {math.inf: "∞", -math.inf: "-∞"}.get(x, f"{x:g}")

    return f"[{written(bounds[0])}, {written(bounds[1])}]"


def _metrics() -> tuple[tuple[str, ...], Rows]:
    rows: Rows = [
        (name, ARROWS[spec.direction], " / ".join(spec.regions), spec.summary)
        for name, spec in sorted(
            registry.all_metrics().items(), key=lambda item: (item[1].family, item[0])
        )
    ]
    rows += [
        (f"suite {name}", "", "", ", ".join(members))
        for name, members in plan.SUITES.items()
    ]
    return ("metric", "", "regions", "meaning"), rows


def _methods() -> tuple[tuple[str, ...], Rows]:
    rows = [
        (name, "floor" if spec.floor else "", spec.cost, spec.summary)
        for name, spec in sorted(
            registry.all_methods().items(), key=lambda item: (item[1].floor, item[0])
        )
    ]
    return ("method", "", "cost", "meaning"), rows


def _models() -> tuple[tuple[str, ...], Rows]:
    described: list[dict[str, Any]] = [models.describe(n) for n in models.names()]
    heads = tuple(described[0])
    return heads, [tuple(str(row[head]) for head in heads) for row in described]


def _weights() -> tuple[tuple[str, ...], Rows]:
    heads = ("model", "weights", "commit", "sha256", "licence", "input")
    rows = []
    for name in models.names():
        for row in models.published_weights(name):
            hub = row["file"].endswith(".safetensors")
            rows.append(
                (
                    name,
                    row["weights"],
                    (row["commit"][:8] or "newest") if hub else "torchvision",
                    row["sha256"][:8],
                    row["licence"],
                    f"{row['size'].split('x')[0]}/{row['resized to']} "
                    f"{row['interpolation']}",
                )
            )
    return heads, rows


def _data() -> tuple[tuple[str, ...], Rows]:
    described: list[dict[str, Any]] = [data.describe(n) for n in data.names()]
    heads = tuple(described[0])
    return heads, [tuple(str(row[head]) for head in heads) for row in described]


def _presets() -> tuple[tuple[str, ...], Rows]:
    rows = [(name, presets.get(name).summary) for name in presets.names()]
    return ("preset", "what it reproduces"), rows
