"""What all universes together say of two methods, and which conventions decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcam.multiverse import universes

CLEAR = 1.959963984540054
"""Standard errors from zero at which a difference is called clear: two-sided 5 %."""


MAJORITY = 2 / 3
"""Share of its universes that a choice must give to one method to speak for it."""


@dataclasses.dataclass(frozen=True)
class Sums:
    """Sufficient statistics of paired differences, float64[P, U] each.

    Shards are added up, so that a run of any length needs no more memory than one.

    Attributes:
      count: Images on which both methods have a value.
      total: Sum of the differences a - b, in the metric's own unit.
      squares: Sum of their squares.
    """

    count: np.ndarray
    total: np.ndarray
    squares: np.ndarray

    def __add__(self, other: Sums) -> Sums:
        pairs = zip(self.parts(), other.parts(), strict=True)
        return Sums(*(a + b for a, b in pairs))

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three arrays, in the order of the fields."""
        return self.count, self.total, self.squares


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
        difference = np.where(there, difference, 0.0)
        squares = np.square(difference).sum(axis=0)
        parts.append((there.sum(axis=0), difference.sum(axis=0), squares))
    return Sums(*(np.array(x, np.float64) for x in zip(*parts, strict=True)))


@dataclasses.dataclass(frozen=True)
class AxisEffect:
    """What one convention does to the answer.

    Attributes:
      axis: The convention.
      shares: For each choice, the share of its universes in which `a` wins.
      flips: Of all pairs of universes that differ in this convention only, the share
        with different winners.
      decides: Whether the answer does: `a` wins two thirds of the universes or more
        under one choice, and `b` under another.
    """

    axis: str
    shares: Mapping[str, float]
    flips: float
    decides: bool


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the universes of one question say of two methods.

    `a` is the one that wins more of them.

    Attributes:
      question: Its name.
      a: A method.
      b: Another.
      effects: float64[U], mean over standard deviation of the images' differences in
        favour of `a`; NaN where it is undefined.
      clear: bool[U], whether the mean differs from zero by more than chance would let
        it in 95 of 100 cases, each universe on its own.
      share: Of the universes with a value, the share that `a` wins; a tie is half.
      share_clear: The share that it wins clearly.
      share_against: The share that `b` wins clearly.
      defined: Number of universes with a value.
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
    axes: tuple[AxisEffect, ...]

    @property
    def deciding(self) -> tuple[AxisEffect, ...]:
        """Conventions on which the answer hangs."""
        return tuple(axis for axis in self.axes if axis.decides)

    def __str__(self) -> str:
        if not self.defined:
            return f"{self.a} and {self.b} have no value in common."
        said = (
            f"{self.a} beats {self.b} in {percent(self.share)} of {self.defined:,} "
            f"universes, clearly in {percent(self.share_clear)}, and loses clearly "
            f"in {percent(self.share_against)}."
        )
        for axis in self.deciding:
            low = min(axis.shares, key=axis.shares.__getitem__)
            high = max(axis.shares, key=axis.shares.__getitem__)
            most, least = percent(axis.shares[high]), percent(axis.shares[low])
            said += (
                f" It hangs on {axis.axis}: {most} under {high}, {least} under {low}."
            )
        return said

    def record(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "question": self.question,
            "a": self.a,
            "b": self.b,
            "universes": self.defined,
            "share": self.share,
            "share_clear": self.share_clear,
            "share_against": self.share_against,
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
) -> list[Verdict]:
    """A verdict on every pair of methods."""
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
        count, total, squares = (part[row] for part in sums.parts())
        effects, clear = _effects(count, total * directions, squares)
        a, b = methods[first], methods[second]
        if np.nansum(np.sign(effects)) < 0:
            a, b, effects = b, a, -effects
        found.append(_verdict(question.name, a, b, effects, clear, axes))
    return found


def _effects(
    count: np.ndarray, total: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over standard deviation of the differences, and whether it is clear."""
    enough = count > 1
    safe = np.where(enough, count, 2)
    mean = total / safe
    # Rounding of a sum of equal differences must not make a tiny spread of them.
    spread = squares - safe * mean**2
    spread = np.where(spread > 1e-12 * squares, spread, 0.0)
    deviation = np.sqrt(spread / (safe - 1))
    steady = deviation > 0
    certain = np.where(mean == 0, 0.0, np.where(mean > 0, np.inf, -np.inf))
    effects = np.divide(mean, deviation, out=certain, where=steady)
    clear = np.abs(effects) * np.sqrt(safe) > CLEAR
    return np.where(enough, effects, np.nan), clear & enough


def _verdict(
    question: str,
    a: str,
    b: str,
    effects: np.ndarray,
    clear: np.ndarray,
    axes: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Verdict:
    there = ~np.isnan(effects)
    wins = np.where(effects > 0, 1.0, np.where(effects < 0, 0.0, 0.5))
    defined = int(there.sum())

    def share(some: np.ndarray) -> float:
        return float(some[there].mean()) if defined else float("nan")

    shown = [
        _axis_effect(name, choices, near, wins, there)
        for name, (choices, near) in axes.items()
    ]
    shown.sort(key=lambda axis: -axis.flips)
    return Verdict(
        question=question,
        a=a,
        b=b,
        effects=effects,
        clear=clear,
        share=share(wins),
        share_clear=share(clear & (effects > 0)),
        share_against=share(clear & (effects < 0)),
        defined=defined,
        axes=tuple(shown),
    )


def _axis_effect(
    name: str,
    choices: np.ndarray,
    near: np.ndarray,
    wins: np.ndarray,
    there: np.ndarray,
) -> AxisEffect:
    shares = {}
    for choice in dict.fromkeys(choices):
        here = there & (choices == choice)
        if choice != universes.MOOT and here.any():
            shares[str(choice)] = float(wins[here].mean())
    near = near[there[near].all(axis=1)] if len(near) else near
    flips = float((wins[near[:, 0]] != wins[near[:, 1]]).mean()) if len(near) else 0.0
    most, least = max(shares.values(), default=0.5), min(shares.values(), default=0.5)
    decides = most >= MAJORITY and least <= 1 - MAJORITY
    return AxisEffect(name, shares, flips, decides)
