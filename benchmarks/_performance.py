"""What the benchmarks left, as tables: a short one for the README, and the full one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from jaxcam import catalogue

Measurement: TypeAlias = tuple[str, str, Mapping[str, Any]]
"""Question, device, and the result of what was timed on two sides."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A row of the short table of performance: results that differ in one thing.

    Attributes:
      what: What was done.
      against: By whom, on the other side.
      question: Of the benchmark.
      case: Items that the cases of its results have in common.
      varies: The item in which they differ, if there is more than one.
      said: How a value of it is written.
      most: The target is a bound from above.
    """

    what: str
    against: str
    question: str
    case: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    varies: str = ""
    said: str = "{}"
    most: bool = False

    def takes(self, question: str, case: Mapping[str, Any]) -> bool:
        """Whether a result belongs to the row."""
        same = all(case.get(name) == value for name, value in self.case.items())
        return question == self.question and same and (self.varies or "batch") in case


LINES = (
    Line(
        "largest component with its box",
        "SciPy, mask by mask",
        "components",
        varies="largest component",
    ),
    Line(
        "largest component at each of 255 thresholds",
        "OpenCV, threshold by threshold",
        "components",
        varies="component tree",
    ),
    Line(
        "MaxBoxAcc, 1000 thresholds",
        "OpenCV, threshold by threshold",
        "max box accuracy",
        {"definition": "paper"},
        "maps",
    ),
    Line(
        "MaxBoxAcc as the published tool defines it",
        "the same",
        "max box accuracy",
        {"definition": "wsol"},
        "maps",
    ),
    Line(
        "suite `model_free`, 48 columns",
        "scikit-learn, scikit-image, SciPy, OpenCV, NumPy",
        "model free suite",
    ),
    Line("the paper's 14 columns", "loops over pixels in Python", "paper columns"),
    Line(
        "k-th largest pixel",
        "`numpy.partition`, which is told k",
        "selection",
        {"against": "numpy.partition", "side": 224},
        "map",
    ),
    Line(
        "warping a mask",
        "pixel by pixel in NumPy",
        "warping",
        {"order": "subfields"},
        "radius",
        "radius {}",
    ),
    Line(
        "warping a mask in raster order",
        "the same",
        "warping",
        {"order": "raster"},
        "radius",
        "radius {}",
    ),
    Line(
        "Grad-CAM",
        "a bare forward pass",
        "methods",
        {"question": "grad_cam, bare forward"},
        "net",
    ),
    Line(
        "Grad-CAM",
        "pytorch-grad-cam",
        "methods",
        {"question": "grad_cam, pytorch-grad-cam"},
        "net",
    ),
    Line(
        "Grad-CAM", "torch-cam", "methods", {"question": "grad_cam, torch-cam"}, "net"
    ),
    Line(
        "ten methods in one call",
        "ten calls of pytorch-grad-cam and torch-cam",
        "methods",
        {"question": "ten methods, ten peers' calls"},
        "net",
    ),
    Line(
        "Score-CAM",
        "pytorch-grad-cam",
        "methods",
        {"question": "score_cam, pytorch-grad-cam"},
        "net",
    ),
    Line(
        "ROAD's imputation",
        "pytorch-grad-cam's sparse solve",
        "probes",
        {"question": "ROAD's imputation, pytorch-grad-cam's sparse solve"},
        "images",
        "{} images",
    ),
    Line(
        "the default metrics that ask the model",
        "one metric at a time",
        "probes",
        {"question": "metrics of the default suite that ask the model, one by one"},
        "net",
    ),
    Line(
        "insertion and deletion, 224 steps",
        "as many bare forward passes",
        "probes",
        {"question": "insertion and deletion, as many bare forward passes"},
        "net",
    ),
    Line(
        "insertion and deletion, 224 steps",
        "a loop over steps in PyTorch",
        "probes",
        {"question": "insertion and deletion, a torch loop over steps"},
        "net",
    ),
    Line(
        "time of a whole evaluation",
        "time of JAX's own forward pass",
        "evaluate loop over forward",
        varies="network",
        most=True,
    ),
)


def measurements(folder: Path) -> list[Measurement]:
    """Question, device and result of everything that was timed on two sides."""
    found = []
    for path in sorted(folder.glob("*/*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        question = report.get("question", path.stem)
        found += [
            (question, path.parent.name, result)
            for result in report.get("results", [])
            if "ratio" in result and "alone" not in result["case"]
        ]
    return found


def short_table(measured: Sequence[Measurement]) -> str:
    """Everything that has a target or a peer: a row a question, devices apart."""
    rows = []
    for line in LINES:
        own = [m for m in measured if line.takes(m[0], m[2]["case"])]
        for device in dict.fromkeys(device for _, device, _ in own):
            results = [r for _, where, r in own if where == device]
            cells = [_measured(line, result) for result in results]
            goals = [result.get("target") for result in results]
            rows.append(
                (line.what, line.against, device, "; ".join(cells), _goal(line, goals))
            )
    for question, _, result in measured:
        seen = any(line.takes(question, result["case"]) for line in LINES)
        if result.get("target") is not None and not seen:
            raise ValueError(
                f"No row shows {question!r}, {result['case']}; add one to LINES."
            )
    heads = ("jaxcam", "against", "device", "measured", "target")
    return catalogue.markdown(heads, rows)


def _measured(line: Line, result: Mapping[str, Any]) -> str:
    ratio = _times(result["ratio"])
    if not line.varies:
        return ratio
    value = result["case"][line.varies]
    return f"{line.said.format('any' if value is None else value)} {ratio}"


def _times(ratio: float) -> str:
    return f"{float(f'{ratio:.3g}'):,g} x"


def _goal(line: Line, goals: Sequence[float | None]) -> str:
    """The targets of a row's results, once where they are the same."""
    if not any(goals):
        return ""
    written = ["-" if goal is None else f"{goal:g} x" for goal in goals]
    said = written[0] if len(set(written)) == 1 else "; ".join(written)
    return f"at most {said}" if line.most else said


def full_table(measured: Sequence[Measurement]) -> str:
    """Every measurement with both sides, and its target if it has one."""
    rows = [
        (
            question,
            ", ".join(f"{k} {v}" for k, v in result["case"].items()),
            device,
            _times(result["ratio"]),
            "" if result.get("target") is None else f"{result['target']:g} x",
        )
        for question, device, result in measured
    ]
    return catalogue.markdown(
        ("question", "case", "device", "measured", "target"), rows
    )
