"""Which universes there are: every way in which the field asks one question.

A universe is one metric under one choice along every axis of conventions. The values of
an axis are those that somebody has published, in a paper or with its code, and the
table says who; what is ours it calls ours. All universes of a question are enumerated
in one order, in which the compiled sweep returns its values.

Not swept is what saved maps cannot answer: the layer, the explained class, the size and
the crop of the image that the network sees, and the canvas of what asks the network,
which has as many universes as a run has columns of it. Nor are thresholds that are
tuned for each method, as the shares of energy and multiples of the mean of Fong and
Vedaldi 2017 and the best threshold of `max_box_accuracy`: they are no convention that
two methods share, and that metric needs none.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType

MOOT = "-"
"""The choice along an axis that makes no difference, given the choices before it."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """A convention on which published practice differs.

    Attributes:
      name: The convention.
      values: Who does it so, for each choice.
    """

    name: str
    values: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Universe:
    """A metric and a choice along every axis of its question."""

    metric: str
    choices: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        inside = ",".join(f"{name}={value}" for name, value in self.choices)
        return f"{self.metric}[{inside}]" if inside else self.metric

    def choice(self, axis: str) -> str:
        """What it chooses along an axis; the metric is an axis too."""
        return dict(self.choices, metric=self.metric)[axis]


@dataclasses.dataclass(frozen=True)
class Question:
    """What several metrics under many conventions are asked for.

    Attributes:
      name: Of the question.
      what: In words.
      universes: All of them, in the order of the values.
      directions: +1 or -1 for each universe: whether more is better.
      metrics: Names of the metrics that ask this, the universes' own among them.
    """

    name: str
    what: str
    universes: tuple[Universe, ...]
    directions: tuple[int, ...]
    metrics: tuple[str, ...] = ()

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """Choices along each axis along which universes differ, metric included."""
        names = ["metric", *dict(self.universes[0].choices)]
        found = {n: tuple(dict.fromkeys(self.choices(n))) for n in names}
        return {n: values for n, values in found.items() if len(values) > 1}

    def choices(self, axis: str) -> list[str]:
        """The choice of each universe along an axis."""
        return [universe.choice(axis) for universe in self.universes]


def _axis(name: str, **values: str) -> Axis:
    return Axis(name, MappingProxyType(values))


RESIZING = _axis(
    "resizing",
    bilinear="Selvaraju et al. 2017, as most codes by torch's or OpenCV's default",
    cubic="Choe et al. 2020, the published tool for weak supervision",
)
NORMALIZATION = _axis(
    "normalization",
    max="Selvaraju et al. 2017: rectified, divided by the maximum",
    minmax="Choe et al. 2020, Wang et al. 2020 (Score-CAM)",
)
RULE = Axis(
    "rule",
    MappingProxyType(
        {
            "mean": "Aabid and Sicre; Phang et al. 2020",
            "0.15": "Selvaraju et al. 2017: a share of the maximum",
            "0.2": "Zhou et al. 2016: a share of the maximum",
            "0.25": "Chattopadhay et al. 2018: a share of the maximum",
            "0.5": "Chattopadhay et al. 2018: a share of the maximum",
            "otsu": "Belharbi et al. 2023 (TCAM)",
        }
    ),
)
RULES: Mapping[str, tuple[str, float | None]] = MappingProxyType(
    {
        "mean": ("mean", None),
        "0.15": ("max_fraction", 0.15),
        "0.2": ("max_fraction", 0.2),
        "0.25": ("max_fraction", 0.25),
        "0.5": ("max_fraction", 0.5),
        "otsu": ("otsu", None),
    }
)
"""Rule and fraction of `ops.threshold`, by the choice along the axis."""
COMPARISON = _axis(
    "comparison",
    at_least="Aabid and Sicre; Belharbi et al. 2023",
    above="Phang et al. 2020; Choe et al. 2020",
)
COMPONENT = _axis(
    "component",
    largest="Zhou et al. 2016; Aabid and Sicre",
    all="the notebook published with Aabid and Sicre; Fong and Vedaldi 2017",
)
CONNECTIVITY = Axis(
    "connectivity",
    MappingProxyType(
        {
            "8": "Choe et al. 2020, by OpenCV's contours",
            "4": "Phang et al. 2020, by SciPy's default",
        }
    ),
)
REGION = _axis(
    "region",
    mask="Aabid and Sicre, the masked metrics",
    box="Zhou et al. 2016 and weak supervision since",
)
BORDER = _axis(
    "border",
    ignore="Parkhi et al. 2012, the trimaps' authors; PASCAL VOC",
    foreground="segmentation_models.pytorch, in its data set of these trimaps",
    background="ours: the strictest reading, `trimap == object`",
)
TOLERANCE = Axis(
    "tolerance",
    MappingProxyType(
        {
            "0": "Zhang et al. 2018, as defined",
            "15": "TorchRay, in pixels of its images",
        }
    ),
)
TIES = _axis(
    "ties",
    expected="ours: a maximum drawn at random",
    first="TorchRay and others, by argmax: the first in raster order",
    any="Quantus: a hit if one of the maxima is",
)
OVERLAP = Axis(
    "overlap",
    MappingProxyType(
        {
            "0.5": "Russakovsky et al. 2015, the ImageNet challenge",
            "0.3": "Choe et al. 2022 (MaxBoxAccV2)",
            "0.7": "Choe et al. 2022 (MaxBoxAccV2)",
        }
    ),
)

AXES = (
    RESIZING,
    NORMALIZATION,
    RULE,
    COMPARISON,
    COMPONENT,
    CONNECTIVITY,
    REGION,
    BORDER,
    OVERLAP,
    TOLERANCE,
    TIES,
)
"""Every axis along which saved maps can be read."""

COMPONENTS = (("largest", "8"), ("largest", "4"), ("all", MOOT))
"""Component and connectivity, in the order of the sweep."""

TRUTHS = (
    ("mask", "ignore"),
    ("mask", "foreground"),
    ("mask", "background"),
    ("box", MOOT),
)
"""Region and border, in the order of the sweep."""

REGION_SCORES = (
    ("intersection_over_union", MOOT),
    ("dice", MOOT),
    *(("localization_hit", overlap) for overlap in OVERLAP.values),
)
"""Metric and the overlap that is a hit, in the order of the sweep."""


def region_question() -> Question:
    """Which map points out the object's region best, after thresholding."""
    universes = [
        Universe(
            metric,
            (
                ("resizing", resizing),
                ("normalization", normalization),
                ("rule", rule),
                ("comparison", comparison),
                ("component", component),
                ("connectivity", connectivity),
                ("region", region),
                ("border", border),
                ("overlap", overlap),
            ),
        )
        for resizing in RESIZING.values
        for normalization in NORMALIZATION.values
        for rule in RULE.values
        for comparison in COMPARISON.values
        for component, connectivity in COMPONENTS
        for region, border in TRUTHS
        for metric, overlap in REGION_SCORES
    ]
    return Question(
        "region",
        "which map, once thresholded, points out the object",
        tuple(universes),
        (1,) * len(universes),
        metrics=(
            "intersection_over_union",
            "dice",
            "localization_hit",
            "localization_error",
            "f_score",
        ),
    )


def energy_question() -> Question:
    """Which map puts its energy on the object."""
    universes = [
        Universe(
            "energy_pointing_game",
            (
                ("resizing", resizing),
                ("normalization", normalization),
                ("region", region),
                ("border", border),
            ),
        )
        for resizing in RESIZING.values
        for normalization in NORMALIZATION.values
        for region, border in TRUTHS
    ]
    return Question(
        "energy",
        "which map has its energy on the object",
        tuple(universes),
        (1,) * len(universes),
        metrics=("energy_pointing_game", "soft_precision"),
    )


def pointing_question() -> Question:
    """Which map has its maximum on the object."""
    universes = [
        Universe(
            "pointing_game",
            (
                ("resizing", resizing),
                ("tolerance", tolerance),
                ("ties", ties),
                ("region", region),
                ("border", border),
            ),
        )
        for resizing in RESIZING.values
        for tolerance in TOLERANCE.values
        for ties in TIES.values
        for region, border in TRUTHS
    ]
    return Question(
        "pointing",
        "which map has its maximum on the object",
        tuple(universes),
        (1,) * len(universes),
        metrics=("pointing_game",),
    )


def map_questions() -> tuple[Question, ...]:
    """What maps and truth alone can answer, in the order of the sweep."""
    return region_question(), energy_question(), pointing_question()


def neighbours(question: Question, axis: str) -> list[tuple[int, int]]:
    """Pairs of universes, by position, that differ along one axis only.

    A convention that is moot on one side may be anything on the other: boxes know no
    border, so a universe of boxes is next to one of masks under each border rule.

    >>> question = energy_question()
    >>> first, second = neighbours(question, "region")[0]
    >>> str(question.universes[first])
    'energy_pointing_game[resizing=bilinear,normalization=max,region=mask,border=ignore]'
    >>> str(question.universes[second])
    'energy_pointing_game[resizing=bilinear,normalization=max,region=box,border=-]'
    """
    described = [dict(u.choices, metric=u.metric) for u in question.universes]
    moot = {n for d in described for n, value in d.items() if value == MOOT} - {axis}
    groups: dict[tuple, list[int]] = {}
    for position, own in enumerate(described):
        if own[axis] != MOOT:
            held = tuple((n, own[n]) for n in own if n != axis and n not in moot)
            groups.setdefault(held, []).append(position)

    def agree(a: int, b: int) -> bool:
        sides = ((described[a][n], described[b][n]) for n in moot)
        return all(x == y or MOOT in (x, y) for x, y in sides)

    return [
        (a, b)
        for group in groups.values()
        for a, b in itertools.combinations(group, 2)
        if described[a][axis] != described[b][axis] and agree(a, b)
    ]


def of_columns(columns: Sequence[tuple[str, Mapping[str, str]]]) -> list[Universe]:
    """Universes of one question made of stored columns: name, and what it chose.

    Columns that leave an option open are given the word "default" for it.
    """
    axes = dict.fromkeys(itertools.chain.from_iterable(o for _, o in columns))
    return [
        Universe(metric, tuple((axis, options.get(axis, "default")) for axis in axes))
        for metric, options in columns
    ]
