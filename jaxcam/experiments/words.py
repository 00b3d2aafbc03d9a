"""Numbers of the comparison of boxes and masks in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxcam import catalogue

Found = Mapping[str, Any]
"""What `jaxcam.experiments.study.study` returns, or its JSON."""

KINDS = {"mask": "masks", "box": "boxes", "neither": "undecided"}


def verdict(effect: Found) -> str:
    """The version whose d' is larger for certain: "mask", "box" or "neither".

    Args:
      effect: `estimate`, `low` and `high` of d'(mask) - d'(box).
    """
    if any(missing(effect[key]) for key in ("estimate", "low", "high")):
        return "neither"
    if effect["low"] > 0:
        return "mask"
    return "box" if effect["high"] < 0 else "neither"


def missing(value: float | None) -> bool:
    """Whether a number is undefined: NaN, or null in JSON."""
    return value is None or value != value


def number(value: float | None) -> str:
    """Two digits."""
    return "undefined" if missing(value) else f"{value:.2f}"


def interval(effect: Found) -> str:
    """A difference with its interval.

    >>> interval({"estimate": 0.5, "low": 0.25, "high": 0.75})
    '+0.50 (+0.25 to +0.75)'
    """
    if missing(effect["estimate"]):
        return "undefined"
    if missing(effect["low"]):
        return f"{effect['estimate']:+.2f}"
    return f"{effect['estimate']:+.2f} ({effect['low']:+.2f} to {effect['high']:+.2f})"


def span(effect: Found) -> str:
    """The ends of an interval."""
    return f"{number(effect['low'])} to {number(effect['high'])}"


def share(value: float | None) -> str:
    """A part of a whole.

    >>> share(0.624), share(0.9996), share(0.0004), share(1.0)
    ('62 %', 'over 99 %', 'under 1 %', '100 %')
    """
    if missing(value):
        return "undefined"
    if 0.995 <= value < 1:
        return "over 99 %"
    return "under 1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"


def percent(effect: Found) -> str:
    """A share with its interval, to a tenth of a percent."""
    if missing(effect["estimate"]):
        return "undefined"
    middle = f"{100 * effect['estimate']:.1f} %"
    if missing(effect["low"]):
        return middle
    return f"{middle} ({100 * effect['low']:.1f} to {100 * effect['high']:.1f})"


def verdict_words(effect: Found) -> str:
    """The better version, or that there is none for certain."""
    return KINDS[verdict(effect)]


def listed(words: Sequence[str]) -> str:
    """Words with commas, "none" for none."""
    return ", ".join(words) or "none"


def settled(sizes: Found) -> str:
    """Images until rankings settle.

    Args:
      sizes: For each network the sizes of each metric on "box" and on "mask".
    """
    parts = []
    for kind in ("box", "mask"):
        some = [size for one in sizes.values() for size in one[kind]]
        known = sorted(size for size in some if size is not None)
        middle = f"median {known[(len(known) - 1) // 2]} images" if known else "none"
        parts.append(
            f"{kind}: {len(known)} of {len(some)} rankings settle below the whole set"
            f" ({middle})"
        )
    return "; ".join(parts)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return catalogue.markdown(tuple(heads), [tuple(row) for row in rows]).strip()
