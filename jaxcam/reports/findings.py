"""What comparisons say, in sentences: the first thing that a report shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxcam import agreement, results, tables
from jaxcam.reports import universes as universes_module


def marked(compared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Comparisons, each with whether it is certain and against the floor.

    Args:
      compared: Records of `jaxcam.compare`.
    """
    return [
        {
            **record,
            "sure": record["p_holm"] < tables.SURE,
            "against_floor": record["b"].partition(" @ ")[0] == results.FLOOR,
        }
        for record in compared
    ]


def verdicts(compared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each pair of methods, on which metrics which one is better for certain.

    Args:
      compared: Records of `jaxcam.compare`, as `marked` returns them.

    Returns:
      Records with `a`, `b`, and the metrics on which a is `better`, `worse`, or neither
      for certain (`unclear`). Metrics without direction or test are left out.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for record in compared:
        if not record["direction"] or math.isnan(record["p_holm"]):
            continue
        key = record["a"], record["b"]
        empty = {"a": key[0], "b": key[1], "better": [], "worse": [], "unclear": []}
        of_pair = found.setdefault(key, empty)
        kind = "unclear"
        if record["sure"] and record["better"]:
            kind = "better" if record["better"] == record["a"] else "worse"
        of_pair[kind].append(record["metric"])
        of_pair["against_floor"] = record["against_floor"]
    return list(found.values())


def in_short(
    compared: Sequence[Mapping[str, Any]],
    boxed: Sequence[Mapping[str, Any]],
    ranked: Mapping[str, Sequence[Mapping[str, Any]]],
    universes: universes_module.Found | None = None,
) -> list[str]:
    """The findings as sentences, each with how sure it is.

    Args:
      compared: As in `verdicts`.
      boxed: As `boxes_and_masks.against` gives them.
      ranked: Records of `jaxcam.rank_agreement` by what they are over.
      universes: What all conventions say, beside each comparison.
    """
    found = verdicts(compared)
    lines = _leaders(found)
    if not found:
        lines.append("There is one method and no floor: nothing to compare with.")
    for v in [v for v in found if not v["against_floor"]][:6]:
        total = len(v["better"]) + len(v["worse"]) + len(v["unclear"])
        parts = []
        if v["better"]:
            parts.append(f"better on {_listed(v['better'])}")
        if v["worse"]:
            parts.append(f"worse on {_listed(v['worse'])}")
        if v["unclear"]:
            named = "all" if len(v["unclear"]) == total else str(len(v["unclear"]))
            parts.append(f"not to be told apart on {named} of {total} metrics")
        line = f"{v['a']} against {v['b']}: {'; '.join(parts)}."
        lines.append(line + _beside(v, universes))
    for v in [v for v in found if v["against_floor"]][:6]:
        total = len(v["better"]) + len(v["worse"]) + len(v["unclear"])
        if not v["better"]:
            line = f"{v['a']} beats {v['b']}, a map that says nothing, on none of "
            line += f"{total} metrics for certain."
            lines.append(line + _beside(v, universes))
            continue
        line = f"{v['a']} beats {v['b']}, a map that says nothing, on "
        line += f"{len(v['better'])} of {total} metrics for certain"
        short = v["worse"] + v["unclear"]
        line += f"; not on {_listed(short)}." if short else "."
        lines.append(line + _beside(v, universes))
    own = [r for r in boxed if not r["is_floor"] and r["direction"]]
    if own:
        kinder = [r for r in own if r["direction"] * r["difference"] > 0]
        sure = [r for r in kinder if not r["low"] <= 0 <= r["high"]]
        lines.append(
            f"Boxes flatter: in {len(sure)} of {len(own)} cases a method's value is "
            "better for certain on boxes than on masks."
            if sure
            else "Boxes and masks: no method's value is better for certain on boxes."
        )
    for records in ranked.values():
        against = [r for r in records if agreement.verdict(r) == "contradict"]
        if against:
            worst = min(against, key=lambda r: r["estimate"])
            lines.append(
                f"{len(against)} pairs of metrics contradict each other, most of all "
                f"{worst['a']} and {worst['b']} ({worst['estimate']:.2f})."
            )
        break
    return lines


def _beside(
    verdict: Mapping[str, Any], universes: universes_module.Found | None
) -> str:
    """What all conventions together say of the same two methods."""
    said = universes.line(verdict["a"], verdict["b"]) if universes is not None else ""
    return f" Under all conventions: {said}" if said else ""


def _leaders(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which method no other beats for certain on most metrics."""
    pairs = [v for v in found if not v["against_floor"]]
    methods = list(dict.fromkeys(v[side] for v in pairs for side in ("a", "b")))
    beaten: dict[str, set[str]] = {name: set() for name in methods}
    total: set[str] = set()
    for v in pairs:
        beaten[v["b"]].update(v["better"])
        beaten[v["a"]].update(v["worse"])
        total.update(v["better"], v["worse"], v["unclear"])
    if not methods:
        return []
    fewest = min(map(len, beaten.values()))
    leading = [name for name, metrics in beaten.items() if len(metrics) == fewest]
    if len(leading) == len(methods):
        each = f"each is beaten for certain on {fewest} of {len(total)} metrics"
        none = f"none is beaten for certain on any of {len(total)} metrics"
        return [f"No method stands out: {each if fewest else none}."]
    who, verb = _listed(leading), "leads" if len(leading) == 1 else "lead"
    others = ", ".join(
        f"{name} on {len(metrics)}"
        for name, metrics in beaten.items()
        if name not in leading
    )
    each = "it is" if len(leading) == 1 else "each is"
    line = f"{who} {verb}: {each} beaten for certain on {fewest or 'none'} of "
    line += f"{len(total)} metrics, {others}."
    return [line + _hardly_above_the_floor(found, leading)]


def _hardly_above_the_floor(
    found: Sequence[Mapping[str, Any]], leading: Sequence[str]
) -> str:
    """That the best of several may still have shown little."""
    low = [
        v["a"]
        for v in found
        if v["against_floor"]
        and v["a"] in leading
        and len(v["better"]) <= len(v["worse"]) + len(v["unclear"])
    ]
    if not low:
        return ""
    verb = "beats" if len(low) == 1 else "beat"
    return (
        f" But {_listed(low)} {verb} a map that says nothing on no more than half of "
        "the metrics."
    )


def _listed(names: Sequence[str], most: int = 4) -> str:
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
