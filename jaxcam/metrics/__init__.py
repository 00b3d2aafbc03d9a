"""Metrics: pure functions of the arrays of one image, batched with `jax.vmap`.

A metric never sees a model, a batch or a device. Its first arguments are fields (a map,
regions, answers of probes), the rest keyword options with the paper's defaults.
Undefined is NaN.
"""

import importlib
import pkgutil
from typing import Any

from jaxcam.metrics.attribution_faithfulness import (
    faithfulness_correlation,
    infidelity,
    infidelity_raw,
    monotonicity,
    monotonicity_correlation,
    mu_fidelity,
    sensitivity_n,
)
from jaxcam.metrics.box_accuracy import (
    best_box_iou,
    best_threshold,
    box_accuracy_curve,
    max_box_accuracy,
    max_box_accuracy_v2,
)
from jaxcam.metrics.coherency import adcc, arcc, coherency
from jaxcam.metrics.complexity import (
    effective_size,
    entropy_complexity,
    gini_sparseness,
    l1_complexity,
)
from jaxcam.metrics.evidence import evidence_ring, region_effect, region_energy
from jaxcam.metrics.faithfulness import (
    absolute_drop,
    average_drop,
    average_gain,
    average_increase,
    saliency_metric,
    saliency_metric_area,
    saliency_metric_confidence,
    seed_average_drop,
)
from jaxcam.metrics.localization import (
    energy_pointing_game,
    mean_absolute_error,
    pointing_game,
    soft_f_score,
    soft_precision,
    soft_recall,
)
from jaxcam.metrics.map_similarity import (
    kendall,
    pearson,
    spearman,
    ssim,
    top_k_overlap,
)
from jaxcam.metrics.mask_accuracy import best_mask_iou, max_mask_accuracy
from jaxcam.metrics.optimal_localization import (
    localization_recall_precision_error,
    optimal_localization_recall_precision_error,
)
from jaxcam.metrics.overlap import (
    f_score,
    intersection_over_union,
    localization_error,
    localization_hit,
    official_localization_error,
    precision,
    recall,
)
from jaxcam.metrics.pixel_precision import (
    pixel_average_precision,
)
from jaxcam.metrics.pixel_ranking import (
    average_precision,
    concept_influence,
    relevance_rank_accuracy,
    roc_auc,
    top_k_intersection,
)
from jaxcam.metrics.randomization import (
    parameter_randomization,
    random_logit,
)
from jaxcam.metrics.removal_curves import (
    aopc,
    deletion,
    deletion_crop,
    deletion_curve,
    insertion,
    insertion_curve,
    pixel_flipping,
)
from jaxcam.metrics.remove_and_debias import road, road_accuracy, road_lerf, road_morf
from jaxcam.metrics.robustness import (
    avg_sensitivity,
    max_sensitivity,
    relative_input_stability,
)
from jaxcam.metrics.structure import betti_error, cl_dice
from jaxcam.metrics.topology import (
    differentiable_warping_error,
    warping_error,
    warping_error_pixels,
    warping_events,
)

dice = f_score
"""`f_score` at its default beta of 1."""

__all__ = [
    "absolute_drop",
    "adcc",
    "aopc",
    "arcc",
    "average_drop",
    "average_gain",
    "average_increase",
    "average_precision",
    "avg_sensitivity",
    "best_box_iou",
    "best_mask_iou",
    "best_threshold",
    "betti_error",
    "box_accuracy_curve",
    "cl_dice",
    "coherency",
    "concept_influence",
    "deletion",
    "deletion_crop",
    "deletion_curve",
    "dice",
    "differentiable_warping_error",
    "effective_size",
    "energy_pointing_game",
    "entropy_complexity",
    "evidence_ring",
    "f_score",
    "faithfulness_correlation",
    "gini_sparseness",
    "infidelity",
    "infidelity_raw",
    "insertion",
    "insertion_curve",
    "intersection_over_union",
    "kendall",
    "l1_complexity",
    "localization_error",
    "localization_hit",
    "localization_recall_precision_error",
    "max_box_accuracy",
    "max_box_accuracy_v2",
    "max_mask_accuracy",
    "max_sensitivity",
    "mean_absolute_error",
    "monotonicity",
    "monotonicity_correlation",
    "mu_fidelity",
    "official_localization_error",
    "optimal_localization_recall_precision_error",
    "parameter_randomization",
    "pearson",
    "pixel_average_precision",
    "pixel_flipping",
    "pointing_game",
    "precision",
    "random_logit",
    "recall",
    "region_effect",
    "region_energy",
    "relative_input_stability",
    "relevance_rank_accuracy",
    "road",
    "road_accuracy",
    "road_lerf",
    "road_morf",
    "roc_auc",
    "saliency_metric",
    "saliency_metric_area",
    "saliency_metric_confidence",
    "seed_average_drop",
    "sensitivity_n",
    "soft_f_score",
    "soft_precision",
    "soft_recall",
    "spearman",
    "ssim",
    "top_k_intersection",
    "top_k_overlap",
    "warping_error",
    "warping_error_pixels",
    "warping_events",
]


def __getattr__(name: str) -> Any:
    """A metric of a module that nothing above names: a new one needs its file alone."""
    if not name.startswith("_"):
        for info in pkgutil.iter_modules(__path__):
            module = importlib.import_module(f"{__name__}.{info.name}")
            for spec in getattr(module, "SPECS", ()):
                if spec.name == name:
                    return spec.fn
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
