"""Named conventions: the one place that says what each of them changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    return _NOTHING


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Preset:
    """A convention: options that differ from the defaults.

    Attributes:
      summary: What it reproduces.
      fields: Options of the derived fields, for every metric that reads them.
      metrics: Options of single metrics, by name.
      substitutes: Metrics computed by another one's formula, by name.
      resize: How maps are brought to the truth's grid.
      whole_boxes: Drops fractions of the truth boxes' corners on that grid.
    """

    summary: str
    fields: Mapping[str, Any] = dataclasses.field(default_factory=_nothing)
    metrics: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=_nothing
    )
    substitutes: Mapping[str, str] = dataclasses.field(default_factory=_nothing)
    resize: str = "bilinear"
    whole_boxes: bool = False


_RECALL_FOR_IOU = {"denominator": "truth"}
_CURVES = ("insertion", "insertion_curve"), ("deletion", "deletion_curve")


def _curves(insertion: Mapping[str, Any], deletion: Mapping[str, Any]) -> Mapping:
    """Options of both areas and of the curves that they are areas of."""
    pairs = zip(_CURVES, (insertion, deletion), strict=True)
    return {name: options for names, options in pairs for name in names}


# NumPy's argsort, read from the end; among some ties its order is no rule at all.
_FROM_THE_END = {"ties": "reverse_raster"}
_TORCHCAM = {"ties": "raster", "steps": 20, "whole_steps": True}
_TRUTH_WARPED = {"connectivity": 4, "direction": "truth_to_prediction"}

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "paper": Preset(
            summary="the paper's protocol with correct formulas; the default"
        ),
        "seed_code": Preset(
            summary=(
                "the paper's published notebook: no component step, boxes one row and "
                "column short, IoU divided by the truth's area, F on real values"
            ),
            fields={"component": "all", "short_boxes": True},
            metrics={
                "intersection_over_union": _RECALL_FOR_IOU,
                "localization_error": _RECALL_FOR_IOU,
                "localization_hit": _RECALL_FOR_IOU,
            },
            substitutes={"dice": "soft_f_score", "f_score": "soft_f_score"},
        ),
        "phang": Preset(
            summary="Phang et al.: above the mean, 4-connected, hit at IoU above .5",
            fields={"rule": "mean", "strict": True, "connectivity": 4},
            metrics={"localization_hit": {"strict_hit": True}},
        ),
        "wsol": Preset(
            summary=(
                "the published tool for weakly supervised localisation: min-max maps, "
                "256 levels, contours, boxes one pixel large"
            ),
            fields={"normalization": "minmax"},
            metrics={
                name: {"preset": "wsol"}
                for name in (
                    "box_accuracy_curve",
                    "max_box_accuracy",
                    "max_box_accuracy_v2",
                    "best_box_iou",
                )
            },
            resize="cubic",
            whole_boxes=True,
        ),
        "jain": Preset(
            summary=(
                "Jain et al. and the plug-in of Fiji: the truth is warped onto the "
                "prediction, pixels that share only a corner are apart"
            ),
            fields={"connectivity": 4},
            metrics={
                "warping_error": _TRUTH_WARPED,
                "warping_error_unbounded": _TRUTH_WARPED,
                "warping_error_pixels": _TRUTH_WARPED,
                "warping_events": _TRUTH_WARPED,
                "betti_error": {"connectivity": 4},
                "cl_dice": {"connectivity": 4},
            },
        ),
        "scorecam": Preset(
            summary="the drop tables of Score-CAM: min-max maps, top half of pixels",
            fields={"normalization": "minmax"},
            metrics={
                "average_drop": {"top_fraction": 0.5},
                "average_increase": {"top_fraction": 0.5},
            },
        ),
        "rise": Preset(
            summary="the curves of RISE's code: equally salient pixels from the end",
            metrics=_curves(_FROM_THE_END, _FROM_THE_END),
        ),
        "groupcam": Preset(
            summary=(
                "the curves of Group-CAM's code: a 51 x 51 blur of sigma 50, two "
                "rows of 224 pixels a step, equally salient ones from the end"
            ),
            metrics=_curves(
                {
                    **_FROM_THE_END,
                    "pixels_per_step": 448,
                    "canvas": "reflected_blur",
                    "blur_size": 51,
                    "blur_sigma": 50.0,
                },
                {**_FROM_THE_END, "pixels_per_step": 448},
            ),
        ),
        "torchcam": Preset(
            summary="the curves of torch-cam: zeros both ways, 20 steps, raster order",
            metrics=_curves({**_TORCHCAM, "canvas": "zero"}, _TORCHCAM),
        ),
        "xplique": Preset(
            summary=(
                "the curves of Xplique: zeros both ways, 10 steps, equally salient "
                "pixels from the end"
            ),
            metrics=_curves(
                {**_FROM_THE_END, "steps": 10, "canvas": "zero"},
                {**_FROM_THE_END, "steps": 10},
            ),
        ),
    }
)


def names() -> tuple[str, ...]:
    """Names of the presets, the default first."""
    return tuple(PRESETS)


def get(name: str) -> Preset:
    """The preset of that name; another name is refused with the list."""
    if name not in PRESETS:
        raise ValueError(
            f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}."
        )
    return PRESETS[name]


def metric_options(preset: Preset, metric: str) -> Mapping[str, Any]:
    """Options that a preset gives one metric."""
    return preset.metrics.get(metric, _NOTHING)
