"""The figures of a report, drawn from its runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxcam import _spec, boxes_and_masks, plot
from jaxcam.reports import figures, subject

MOST_FIGURES = 40
"""Distributions drawn; metrics behind them are in the tables alone."""


def box_figures(
    runs: subject.Runs,
    draw: figures.Drawer,
    boxed: Sequence[dict[str, Any]],
    records: Sequence[dict[str, Any]],
) -> list[Any]:
    """A figure for each metric on masks and on boxes."""
    pairs = dict.fromkeys((r["metric"], r["box_metric"]) for r in boxed)
    shown = {"records": records, "floors": subject.floors_drawn(runs)}
    return [
        draw(
            plot.box_against_mask(runs, pair, **shown),
            f"{boxes_and_masks.title(*pair)} on masks and on boxes",
        )
        for pair in pairs
    ]


def threshold_figures(runs: subject.Runs, draw: figures.Drawer) -> list[Any]:
    """The share of images found at every threshold, once for each metric and sigma."""
    made = []
    for metric in subject.vectors(runs):
        name = _spec.parse(metric).name
        sigmas = [None]
        if name == "max_box_accuracy_v2":
            sigmas = [0.3, 0.5, 0.7]
        elif name not in ("max_box_accuracy", "max_mask_accuracy"):
            twin = metric.replace("box_accuracy_curve", "max_box_accuracy")
            if name != "box_accuracy_curve" or twin in subject.first(runs).metrics:
                continue
        for sigma in sigmas:
            figure = plot.box_accuracy(runs, metric, sigma=sigma)
            made.append(draw(figure, f"{metric} at every threshold"))
    return made


def curve_figures(runs: subject.Runs, draw: figures.Drawer) -> list[Any]:
    """What the model says as pixels come and go."""
    return [
        draw(plot.curves(runs, metric), f"{metric}: mean over images")
        for metric in subject.vectors(runs)
        if _spec.parse(metric).name in ("insertion_curve", "deletion_curve")
    ]


def distributions(
    runs: subject.Runs,
    draw: figures.Drawer,
    metrics: Sequence[str],
    records: Sequence[dict[str, Any]],
) -> list[Any]:
    """How the first metrics' values spread over the images."""
    shown = {"records": records, "floors": subject.floors_drawn(runs)}
    return [
        draw(
            plot.distribution(runs, m, **shown),
            f"{m}: values of the images, means and intervals",
        )
        for m in metrics[:MOST_FIGURES]
    ]
