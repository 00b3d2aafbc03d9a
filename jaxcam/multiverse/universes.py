"""Which universes there are: every way in which the field asks one question.

A universe is one metric under one choice along every axis of conventions. The values of
an axis are those that somebody has published, and the table says who. All universes of
a question are enumerated in one order, in which the compiled sweep returns its values.
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
    """

    name: str
    what: str
    universes: tuple[Universe, ...]
    directions: tuple[int, ...]

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
    bilinear="most codes, by torch's or OpenCV's default",
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
            "0.5": "half of the maximum",
            "otsu": "Otsu 1979",
            "energy": "Fong and Vedaldi 2017: 90 % of the map's sum",
        }
    ),
)
RULES: Mapping[str, tuple[str, float | None]] = MappingProxyType(
    {
        "mean": ("mean", None),
        "0.15": ("max_fraction", 0.15),
        "0.2": ("max_fraction", 0.2),
        "0.5": ("max_fraction", 0.5),
        "otsu": ("otsu", None),
        "energy": ("energy", 0.9),
    }
)
"""Rule and fraction of `ops.threshold`, by the choice along the axis."""
COMPARISON = _axis(
    "comparison",
    at_least="Aabid and Sicre",
    above="Phang et al. 2020; Choe et al. 2020",
)
COMPONENT = _axis(
    "component",
    largest="Zhou et al. 2016; Aabid and Sicre",
    all="the notebook published with Aabid and Sicre",
)
CONNECTIVITY = Axis(
    "connectivity",
    MappingProxyType({"8": "OpenCV's default", "4": "SciPy's default; Phang et al."}),
)
REGION = _axis(
    "region",
    mask="the masked metrics of Aabid and Sicre",
    box="Zhou et al. 2016 and weak supervision since",
)
BORDER = _axis(
    "border",
    ignore="the trimap's authors, Parkhi et al. 2012; PASCAL VOC",
    foreground="binary masks made from trimaps by `trimap != background`",
    background="binary masks made from trimaps by `trimap == object`",
)
TOLERANCE = Axis(
    "tolerance",
    MappingProxyType({"0": "Zhang et al. 2018, as defined", "15": "TorchRay"}),
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
    TOLERANCE,
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

REGION_METRICS = ("intersection_over_union", "dice", "localization_hit")


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
            ),
        )
        for resizing in RESIZING.values
        for normalization in NORMALIZATION.values
        for rule in RULE.values
        for comparison in COMPARISON.values
        for component, connectivity in COMPONENTS
        for region, border in TRUTHS
        for metric in REGION_METRICS
    ]
    what = "which map, once thresholded, points out the object"
    return Question("region", what, tuple(universes), (1,) * len(universes))


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
    what = "which map has its energy on the object"
    return Question("energy", what, tuple(universes), (1,) * len(universes))


def pointing_question() -> Question:
    """Which map has its maximum on the object."""
    universes = [
        Universe(
            "pointing_game",
            (
                ("resizing", resizing),
                ("tolerance", tolerance),
                ("region", region),
                ("border", border),
            ),
        )
        for resizing in RESIZING.values
        for tolerance in TOLERANCE.values
        for region, border in TRUTHS
    ]
    what = "which map has its maximum on the object"
    return Question("pointing", what, tuple(universes), (1,) * len(universes))


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
