"""What all published conventions together say beside each comparison of two methods."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxcam import _spec, results, storage
from jaxcam.reports import subject

MOST = 6
"""Pairs of methods that one warning names."""

UNKNOWN = (
    "Whether these rankings hang on a convention is not known yet: jaxcam multiverse "
    "RUN says it within minutes, and jaxcam report RUN then shows it."
)
STALE = (
    "The run has changed since its conventions were gone through: jaxcam multiverse "
    "RUN does it again, and jaxcam report RUN then shows it."
)


@dataclasses.dataclass(frozen=True)
class Found:
    """What `jaxcam multiverse` found of the runs of a report.

    Attributes:
      said: Its verdicts by question and names of the two methods, as the report shows
        them.
      questions: What each question asks in words, by name.
      of_metric: The question that a metric asks, by the metric's name.
      lacking: What to do where a run has no verdicts, or old ones; empty if all have.
    """

    said: Mapping[tuple[str, frozenset[str]], Mapping[str, Any]]
    questions: Mapping[str, str]
    of_metric: Mapping[str, str]
    lacking: str = ""

    def of(self, a: str, b: str) -> Iterator[Mapping[str, Any]]:
        """Verdicts on two methods, question by question."""
        for question in self.questions:
            if (said := self.said.get((question, frozenset((a, b))))) is not None:
                yield said

    def line(self, a: str, b: str) -> str:
        """What the first question says of two methods, and on what others hang.

        Whether one map points out the object better is asked first, and of every run.
        """
        found = list(self.of(a, b))
        lines = [said["text"] for said in found[:1]]
        lines += [
            f"{self.asked(said)} hangs on {_listed(said['hangs'])}."
            for said in found[1:]
            if said["hangs"] and not said["one_map"]
        ]
        return " ".join(lines)

    def asked(self, said: Mapping[str, Any]) -> str:
        """The question of a verdict, as a sentence begins."""
        what = self.questions[said["question"]]
        return what[:1].upper() + what[1:]

    def brief(self, metric: str, a: str, b: str) -> str:
        """What a metric's question says of `a` against `b`, in few words."""
        question = self.of_metric.get(_spec.parse(metric).name)
        said = self.said.get((question, frozenset((a, b))))
        if said is None:
            return ""
        if said["one_map"]:
            return "one map"
        straight = said["a"] == a
        won = said["won"] if straight else said["lost"]
        hangs = f"; hangs on {_listed(said['hangs'])}" if said["hangs"] else ""
        return f"{won} of {said['universes']:,}{hangs}"


def read(runs: subject.Runs) -> Found:
    """The verdicts of the runs, those of changed runs left out."""
    said: dict[tuple[str, frozenset[str]], Mapping[str, Any]] = {}
    questions: dict[str, str] = {}
    of_metric: dict[str, str] = {}
    lacking = ""
    for label, result in runs.items():
        record = _record(result)
        if record is None or record.get("shards") != _sizes(result):
            lacking = STALE if record is not None else lacking or UNKNOWN
            continue
        for name, question in record["questions"].items():
            questions.setdefault(name, question["what"])
            of_metric |= dict.fromkeys(question["metrics"], name)
        for verdict in record["verdicts"]:
            if verdict["universes"]:
                a, b = (subject.name(runs, verdict[side], label) for side in "ab")
                key = verdict["question"], frozenset((a, b))
                said[key] = verdict | {"a": a, "b": b}
    return Found(said, questions, of_metric, lacking)


def _record(result: results.Result) -> dict[str, Any] | None:
    if result.directory is None:
        return None
    path = result.directory / storage.MULTIVERSE
    if not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def _sizes(result: results.Result) -> dict[str, int]:
    """What a sweep notes of the shards that it read; a copied run keeps it."""
    return {path.name: path.stat().st_size for path in sorted(result.columns.paths)}


def warnings(found: Found, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """What must be known of comparisons before they are believed.

    Args:
      found: What is known of the conventions.
      pairs: Names of the methods that the report compares.
    """
    one_map: list[tuple[str, str]] = []
    hanging: dict[tuple[str, str], list[str]] = {}
    for a, b in pairs:
        for said in found.of(a, b):
            if said["one_map"]:
                one_map.append((a, b))
            elif said["hangs"]:
                key = found.asked(said), _listed(said["hangs"])
                hanging.setdefault(key, []).append(f"{a} against {b}")
    lines = [
        f"{_listed(group)} are one map up to rounding: what ranks them is an accident."
        for group in _groups(one_map)
    ]
    for (asked, axes), between in hanging.items():
        more = len(between) - MOST
        named = "; ".join(between[:MOST]) + (f"; and {more} more" if more > 0 else "")
        lines.append(
            f"{asked} hangs on {axes}: {named}. Say which choice was made wherever "
            "this is reported."
        )
    return lines


def _groups(pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Names that pairs join, in the order in which they come."""
    groups: list[list[str]] = []
    for pair in pairs:
        touched = [group for group in groups if set(group) & set(pair)]
        joined = dict.fromkeys(name for part in [*touched, pair] for name in part)
        groups = [group for group in groups if group not in touched] + [list(joined)]
    return groups


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
