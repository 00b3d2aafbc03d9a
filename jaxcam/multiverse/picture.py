"""The specification curve: a comparison of two methods in every universe at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcam import plot
from jaxcam.multiverse import universes, verdicts

if TYPE_CHECKING:
    from matplotlib import figure

WIDTH = 7.2
CURVE = 2.2
ROW = 0.17
FOR, AGAINST, UNSURE = "#0072b2", "#d55e00", "#9a9a9a"
"""Colours that the colour-blind can tell apart (Okabe and Ito)."""

_BINS = 160


def specification_curve(
    question: universes.Question, verdict: verdicts.Verdict
) -> figure.Figure:
    """Every universe's difference between two methods, and what each chose.

    Above, the universes from the worst to the best for `verdict.a`: how large the mean
    difference is in standard deviations of the images' differences. Below, a row for
    each choice: the darker, the more of the universes at that place make it.

    Args:
      question: What was asked.
      verdict: On two methods.

    Returns:
      A figure; `jaxcam.plot.save` writes it.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.
      ValueError: No universe has a value.
    """
    plot.require()
    from matplotlib import figure

    there = np.isfinite(verdict.effects)
    if not there.any():
        raise ValueError(f"{verdict.a} and {verdict.b} have no finite difference.")
    order = np.flatnonzero(there)[np.argsort(verdict.effects[there], kind="stable")]
    rows = [
        (axis.axis, choice)
        for axis in verdict.axes
        for choice in axis.shares
        if len(axis.shares) > 1
    ]
    height = CURVE + ROW * len(rows) + 1.1
    made = figure.Figure(figsize=(WIDTH, height), facecolor="white")
    left, width = 0.3, 0.67
    bottom = 1 - (CURVE + 0.45) / height
    above = made.add_axes((left, bottom, width, CURVE / height))
    _curve(above, verdict, order)
    below = made.add_axes((left, 0.42 / height, width, ROW * len(rows) / height))
    _choices(below, question, verdict, order, rows)
    made.text(
        0.01,
        1 - 0.08 / height,
        f"{verdict.a} against {verdict.b}: {question.what}",
        va="top",
        size=10,
        weight="bold",
    )
    return made


def _curve(axes, verdict: verdicts.Verdict, order: np.ndarray) -> None:
    effects, clear = verdict.effects[order], verdict.clear[order]
    place = np.arange(len(order))
    for shown, colour, label in (
        (clear & (effects > 0), FOR, f"{verdict.a} clearly"),
        (~clear, UNSURE, "not clear"),
        (clear & (effects < 0), AGAINST, f"{verdict.b} clearly"),
    ):
        if shown.any():
            axes.scatter(
                place[shown],
                effects[shown],
                s=5,
                color=colour,
                linewidths=0,
                rasterized=True,
                label=f"{label}, {verdicts.percent(shown.mean())}",
            )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlim(-0.5, len(order) - 0.5)
    axes.set_xticks([])
    axes.set_ylabel("effect size", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, frameon=False, markerscale=2.5, loc="upper left")
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _choices(
    axes,
    question: universes.Question,
    verdict: verdicts.Verdict,
    order: np.ndarray,
    rows: list[tuple[str, str]],
) -> None:
    """How many of the universes at each place make each choice."""
    bins = min(_BINS, len(order))
    edges = np.linspace(0, len(order), bins + 1)
    place = np.minimum(np.searchsorted(edges, np.arange(len(order)), "right") - 1, bins)
    total = np.bincount(place, minlength=bins)
    shown = np.zeros((len(rows), bins))
    for row, (axis, choice) in enumerate(rows):
        made = np.array(question.choices(axis))[order] == choice
        shown[row] = np.bincount(place, made, minlength=bins) / total
        if made.any():
            shown[row] /= shown[row].max()
    axes.imshow(
        shown,
        aspect="auto",
        cmap="Greys",
        vmin=0,
        vmax=1.15,
        interpolation="nearest",
        extent=(-0.5, len(order) - 0.5, len(rows) - 0.5, -0.5),
    )
    shares = {axis.axis: axis.shares for axis in verdict.axes}
    labels = [
        f"{choice.replace('_', ' ')}  {verdicts.percent(shares[axis][choice])}"
        for axis, choice in rows
    ]
    axes.set_yticks(range(len(rows)), labels, fontsize=6.5)
    axes.tick_params(length=0)
    deciding = {axis.axis for axis in verdict.deciding}
    for axis in dict.fromkeys(axis for axis, _ in rows):
        own = [row for row, (name, _) in enumerate(rows) if name == axis]
        axes.text(
            -0.42,
            1 - (np.mean(own) + 0.5) / len(rows),
            axis,
            transform=axes.transAxes,
            fontsize=7,
            va="center",
            weight="bold" if axis in deciding else "normal",
            color=AGAINST if axis in deciding else "black",
        )
        if own[-1] < len(rows) - 1:
            axes.axhline(own[-1] + 0.5, color="white", linewidth=2)
    axes.set_xlabel(
        f"{len(order):,} universes, from the worst to the best for {verdict.a}; beside "
        f"each choice the share it wins",
        fontsize=7.5,
    )
    axes.set_xticks([])
    for side in axes.spines.values():
        side.set_visible(False)
