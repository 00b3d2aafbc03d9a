"""What all universes together say of two methods, and which conventions decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcam import statistics
from jaxcam.multiverse import universes

CLEAR = 1.959963984540054
"""Standard errors from zero at which the mean of many images is clear: two-sided 5 %.
Of few images it takes more, see `t_quantile`."""

FEWEST = 6
"""Images on which two methods must differ for a difference to be clear: five that all
agree come about by chance in 6 of 100 cases."""

MAJORITY = 2 / 3
"""Share of its universes in which a choice must make a method the clear winner."""

HALF = 1 / 2
"""Share of neighbouring universes in which a convention must turn a clear winner."""

ONE_MAP = 1 / 256
"""Largest difference of two maps, as a share of their maximum, that is none: a level of
an eight-bit picture. Methods that are the same on a network differ by rounding of its
gradients, up to 5e-4 where the nearest others differ by .15."""


@dataclasses.dataclass(frozen=True)
class Sums:
    """Sufficient statistics of paired differences, float64[P, U] each.

    Shards are added up, so that a run of any length needs no more memory than one.

    Attributes:
      count: Images on which both methods have a value.
      differing: Images on which the values differ by more than their rounding.
      total: Sum of the differences a - b, in the metric's own unit.
      squares: Sum of their squares.
      scale: Sum of the larger magnitudes of the two values.
    """

    count: np.ndarray
    differing: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    scale: np.ndarray

    def __add__(self, other: Sums) -> Sums:
        pairs = zip(self.parts(), other.parts(), strict=True)
        return Sums(*(a + b for a, b in pairs))

    def parts(self) -> tuple[np.ndarray, ...]:
        """The arrays, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))


def paired_sums(values: np.ndarray, pairs: Sequence[tuple[int, int]]) -> Sums:
    """Sums over images of the differences of pairs of methods.

    Args:
      values: float[M, n, U], NaN where undefined.
      pairs: Positions of the two methods of each pair.
    """
    parts = []
    for a, b in pairs:
        difference = values[a].astype(np.float64) - values[b]
        there = ~np.isnan(difference)
        scale = np.where(there, np.maximum(np.abs(values[a]), np.abs(values[b])), 0.0)
        differing = there & (np.abs(difference) > statistics.FLOAT32 * scale)
        difference = np.where(differing, difference, 0.0)
        parts.append(
            (
                there.sum(axis=0),
                differing.sum(axis=0),
                difference.sum(axis=0),
                np.square(difference).sum(axis=0),
                scale.sum(axis=0),
            )
        )
    return Sums(*(np.array(x, np.float64) for x in zip(*parts, strict=True)))


@dataclasses.dataclass(frozen=True)
class AxisEffect:
    """What one convention does to the answer.

    Attributes:
      axis: The convention.
      shares: For each choice, the share of its universes in which `a` wins.
      clear: For each choice, the shares in which `a` and `b` win clearly.
      flips: Of all pairs of universes that differ in this convention only, the share
        with different winners.
      turns: The share of them with different clear winners.
      decides: Whether the answer does: `a` wins two thirds of the universes or more
        clearly under one choice, and `b` under another; or half of the pairs or more
        turn, which also finds a convention that matters together with others.
    """

    axis: str
    shares: Mapping[str, float]
    clear: Mapping[str, tuple[float, float]]
    flips: float
    turns: float
    decides: bool

    @property
    def extremes(self) -> tuple[str, str]:
        """The choices under which `a` and `b` win clearly most often."""
        return tuple(
            max(self.clear, key=lambda choice: self.clear[choice][side])
            for side in (0, 1)
        )


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the universes of one question say of two methods.

    `a` is the one that wins more of them.

    Attributes:
      question: Its name.
      a: A method.
      b: Another.
      effects: float64[U], mean over standard deviation of the images' differences in
        favour of `a`, 0 where that is no more than rounding; NaN where it is undefined.
      clear: bool[U], whether the mean differs from zero by more than chance would let
        it in 95 of 100 cases, each universe on its own, by Student's t of the images as
        if they were independent. Images of one class resemble each other, and then it
        is clear too often.
      share: Of the universes with a value, the share that `a` wins; a tie is half.
      share_clear: The share that it wins clearly.
      share_against: The share that `b` wins clearly.
      defined: Number of universes with a value.
      distinct: How many different answers they give; conventions often make no
        difference to two maps.
      images: Images on which both have a value, in the universe that has most.
      one_map: Whether the maps are the same up to rounding, so that nothing ranks them.
      axes: The conventions, those that flip most first.
    """

    question: str
    a: str
    b: str
    effects: np.ndarray
    clear: np.ndarray
    share: float
    share_clear: float
    share_against: float
    defined: int
    distinct: int
    images: int
    one_map: bool
    axes: tuple[AxisEffect, ...]

    @property
    def deciding(self) -> tuple[AxisEffect, ...]:
        """Conventions on which the answer hangs."""
        return tuple(axis for axis in self.axes if axis.decides)

    def __str__(self) -> str:
        if not self.defined:
            return f"{self.a} and {self.b} have no value in common."
        if self.one_map:
            return f"{self.a} and {self.b} are one map up to rounding: none is better."
        return " ".join([self._share_said(), *map(self._axis_said, self.deciding)])

    def _share_said(self) -> str:
        return (
            f"{self.a} beats {self.b} in {percent(self.share)} of {self.defined:,} "
            f"universes ({self.distinct:,} distinct, {self.images:,} images), clearly "
            f"in {percent(self.share_clear)}, and loses clearly in "
            f"{percent(self.share_against)}."
        )

    def _axis_said(self, axis: AxisEffect) -> str:
        high, low = axis.extremes
        if high == low:
            return (
                f"It hangs on {axis.axis}, together with other conventions: changing "
                f"it alone turns the clear winner in {percent(axis.turns)} of cases."
            )
        return (
            f"It hangs on {axis.axis}: under {high} {self.a} wins clearly in "
            f"{percent(axis.clear[high][0])}, under {low} {self.b} in "
            f"{percent(axis.clear[low][1])}."
        )

    def record(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "question": self.question,
            "a": self.a,
            "b": self.b,
            "universes": self.defined,
            "distinct": self.distinct,
            "images": self.images,
            "one_map": self.one_map,
            "share": self.share,
            "share_clear": self.share_clear,
            "share_against": self.share_against,
            "won": percent(self.share),
            "lost": percent(1 - self.share),
            "hangs": [axis.axis for axis in self.deciding],
            "axes": [dataclasses.asdict(axis) for axis in self.axes],
            "text": str(self),
        }


def percent(share: float) -> str:
    """A share in whole percent; never 0 or 100 unless it is exactly that.

    >>> percent(0.999), percent(1.0), percent(0.834)
    ('over 99 %', '100 %', '83 %')
    """
    if 0 < share < 0.005:
        return "under 1 %"
    if 0.995 <= share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def judge(
    question: universes.Question,
    sums: Sums,
    methods: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    apart: np.ndarray | None = None,
) -> list[Verdict]:
    """A verdict on every pair of methods.

    Args:
      question: What was asked.
      sums: Of all images.
      methods: Their names.
      pairs: Positions of the two methods of each pair.
      apart: float[P], the largest difference of the two maps on any image, as a share
        of their maximum; by default no two methods are one map.
    """
    directions = np.array(question.directions)
    axes = {
        axis: (
            np.array(question.choices(axis)),
            np.array(universes.neighbours(question, axis), int).reshape(-1, 2),
        )
        for axis in question.axes
    }
    found = []
    for row, (first, second) in enumerate(pairs):
        own = Sums(*(part[row] for part in sums.parts()))
        effects, clear = _effects(own, directions)
        one_map = apart is not None and bool(apart[row] <= ONE_MAP)
        if one_map:
            effects, clear = np.where(np.isnan(effects), np.nan, 0.0), clear & False
        a, b = methods[first], methods[second]
        if np.nansum(np.sign(effects)) < 0:
            a, b, effects = b, a, -effects
        there = ~np.isnan(effects)
        wins = np.where(effects > 0, 1.0, np.where(effects < 0, 0.0, 0.5))
        winner = np.where(clear, np.sign(effects), 0.0)
        shown = [
            _axis_effect(name, choices, near, wins, winner, there)
            for name, (choices, near) in axes.items()
        ]
        found.append(
            Verdict(
                question=question.name,
                a=a,
                b=b,
                effects=effects,
                clear=clear,
                share=_share(wins, there),
                share_clear=_share(winner > 0, there),
                share_against=_share(winner < 0, there),
                defined=int(there.sum()),
                distinct=_distinct(own, directions, there),
                images=int(own.count.max(initial=0)),
                one_map=one_map,
                axes=tuple(sorted(shown, key=lambda axis: -axis.flips)),
            )
        )
    return found


def _share(some: np.ndarray, where: np.ndarray) -> float:
    return float(some[where].mean()) if where.any() else float("nan")


def _effects(sums: Sums, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over standard deviation of the differences, and whether it is clear."""
    enough = sums.count > 1
    count = np.where(enough, sums.count, 2)
    total = np.where(
        np.abs(sums.total) > statistics.FLOAT32 * sums.scale,
        sums.total * directions,
        0.0,
    )
    mean = total / count
    # Rounding of a sum of equal differences must not make a tiny spread of them.
    spread = sums.squares - count * mean**2
    spread = np.where(spread > 1e-12 * sums.squares, spread, 0.0)
    deviation = np.sqrt(spread / (count - 1))
    certain = np.where(mean == 0, 0.0, np.where(mean > 0, np.inf, -np.inf))
    effects = np.divide(mean, deviation, out=certain, where=deviation > 0)
    clear = np.abs(effects) * np.sqrt(count) > t_quantile(count - 1)
    clear &= enough & (sums.differing >= FEWEST)
    return np.where(enough, effects, np.nan), clear


def t_quantile(freedom: np.ndarray) -> np.ndarray:
    """Student's t that is exceeded in 5 of 100 cases, on either side.

    From five degrees of freedom on it is exact to three digits: four terms of the
    expansion about the normal quantile (Abramowitz and Stegun 1964, 26.7.5).

    >>> print(t_quantile(np.array([5.0, 100.0])).round(2))
    [2.57 1.98]
    """
    z = CLEAR
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    freedom = np.asarray(freedom, np.float64)
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def _distinct(sums: Sums, directions: np.ndarray, there: np.ndarray) -> int:
    """How many different answers the universes give: by count, sum and squares."""
    told = np.stack([sums.count, sums.total * directions, sums.squares])
    return np.unique(told[:, there], axis=1).shape[1]


def _axis_effect(
    name: str,
    choices: np.ndarray,
    near: np.ndarray,
    wins: np.ndarray,
    winner: np.ndarray,
    there: np.ndarray,
) -> AxisEffect:
    shares, clear = {}, {}
    for choice in dict.fromkeys(choices):
        here = there & (choices == choice)
        if choice != universes.MOOT and here.any():
            shares[str(choice)] = _share(wins, here)
            clear[str(choice)] = _share(winner > 0, here), _share(winner < 0, here)
    near = near[there[near].all(axis=1)]
    one, other = near.T
    flips = turns = 0.0
    if len(near):
        flips = float((wins[one] != wins[other]).mean())
        turns = float((winner[one] * winner[other] < 0).mean())
    most_a, most_b = (max((c[i] for c in clear.values()), default=0) for i in (0, 1))
    decides = min(most_a, most_b) >= MAJORITY or turns >= HALF
    return AxisEffect(name, shares, clear, flips, turns, decides)
