"""The comparison of boxes and masks in figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxcam import plot
from jaxcam.experiments import words

BOX, MASK = "#d95f02", "#1b9e77"

FARTHEST = 3.0
"""Of d', as far as a figure shows; what lies beyond is an arrow at its edge."""


def draw(found: words.Found, folder: Path) -> list[str]:
    """Writes the figures; none where matplotlib is not installed.

    Returns:
      The names of the files.
    """
    try:
        plot.require()
    except ModuleNotFoundError:
        return []
    made = {"effects.png": effect_figure(found), "ring.png": ring_figure(found)}
    for name, figure in made.items():
        plot.save(figure, folder / name)
    return list(made)


def effect_figure(found: words.Found) -> Any:
    """D' of each metric on boxes and on masks, and their difference.

    What lies beyond `FARTHEST` is drawn as an arrow at the edge, with its value.
    """
    from matplotlib import figure

    effects = found["primary"]["metrics"]
    names = [name.replace("_", " ") for name in found["metrics"]]
    made = figure.Figure(figsize=(9, 0.36 * len(names) + 1.3), layout="constrained")
    left, right = made.subplots(1, 2, sharey=True)
    for place, e in enumerate(effects):
        low, high = sorted(map(_held, _drawn(e, ("box", "mask"))))
        left.plot([low, high], [place, place], color="0.75", zorder=1)
        for kind, colour in (("box", BOX), ("mask", MASK)):
            _point(left, e[kind], place, colour, kind if place == 0 else None)
        low, high = map(_held, _drawn(e, ("low", "high")))
        right.plot([low, high], [place, place], color="0.4")
        _point(right, e["estimate"], place, "0.2")
    left.set_yticks(range(len(names)), names, fontsize=8)
    left.invert_yaxis()
    left.set_title("d' against the centre floor", fontsize=9)
    right.set_title("mask - box, 95 % over breeds", fontsize=9)
    left.legend(fontsize=8)
    for axes in (left, right):
        values = [key for e in effects for key in _drawn(e, _SHOWN[axes is right])]
        axes.set_xlim(*_limits(values))
        axes.axvline(0, color="black", linewidth=0.6)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return made


_SHOWN = (("box", "mask"), ("low", "estimate", "high"))


def _held(value: float) -> float:
    return min(max(value, -FARTHEST), FARTHEST) if value == value else value


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that holds the values as they are drawn."""
    held = [_held(value) for value in values if value == value] or [0.0]
    low, high = min(0.0, *held), max(0.0, *held)
    room = 0.08 * max(high - low, 0.1)
    return low - room, high + room


def _point(
    axes: Any,
    value: float | None,
    place: int,
    colour: str,
    label: str | None = None,
) -> None:
    """A point, or an arrow with its value for what lies beyond the axis."""
    if words.missing(value):
        return
    held = _held(value)
    if held == value:
        axes.scatter([value], [place], color=colour, label=label, zorder=2)
        return
    # Two that leave by one side stand above and below their line.
    place += 0.2 if colour == MASK else -0.2
    marker = "<" if value < 0 else ">"
    axes.scatter([held], [place], color=colour, marker=marker, label=label, zorder=2)
    axes.annotate(
        f"{value:.1f}",
        (held, place),
        xytext=(7 if value < 0 else -7, 0),
        textcoords="offset points",
        ha="left" if value < 0 else "right",
        va="center",
        fontsize=7,
        color=colour,
    )


def ring_figure(found: words.Found) -> Any:
    """Energy in the ring beside the share of the score lost without it.

    A dashed line shows what the uniform map holds there.
    """
    from matplotlib import figure

    shown = [e for e in found["causal"] if e["network"] == "all"]
    fills = list(dict.fromkeys(e["fill"] for e in shown))
    uniform = {r["fill"]: r["uniform"]["ring"] for r in found["later"]["causal"]}
    made = figure.Figure(figsize=(3 * max(len(fills), 1), 3.1), layout="constrained")
    panels = made.subplots(1, max(len(fills), 1), sharey=True, squeeze=False)[0]
    for axes, fill in zip(panels, fills, strict=True):
        groups = [e for e in shown if e["fill"] == fill]
        for shift, key, colour in ((-0.12, "energy", BOX), (0.12, "effect", MASK)):
            for place, e in enumerate(groups):
                low, middle, high = _drawn(e[key], ("low", "estimate", "high"))
                axes.plot([place + shift] * 2, [low, high], color=colour)
                label = {"energy": "energy", "effect": "score lost"}[key]
                axes.scatter(
                    [place + shift],
                    [middle],
                    color=colour,
                    s=18,
                    label=label if place == 0 else None,
                )
        if fill in uniform:
            (flat,) = _drawn(uniform[fill], ("estimate",))
            label = "energy of the uniform map"
            axes.axhline(flat, color="0.5", linestyle="--", linewidth=0.8, label=label)
        names = [e["breed"].replace("_", " ") for e in groups]
        axes.set_xticks(range(len(names)), names, fontsize=7, rotation=25)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_title(fill, fontsize=9)
        axes.axhline(0, color="black", linewidth=0.6)
        axes.tick_params(axis="y", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("share in the ring", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return made


def _drawn(effect: words.Found, keys: Sequence[str]) -> list[float]:
    """Numbers for a figure; NaN for what is undefined."""
    return [float("nan") if words.missing(effect[k]) else effect[k] for k in keys]
