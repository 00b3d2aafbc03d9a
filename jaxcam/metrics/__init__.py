"""Metrics: pure functions of the arrays of one image, batched with `jax.vmap`.

A metric never sees a model, a batch or a device. Its first arguments are fields (a map,
regions, answers of probes), the rest keyword options with the paper's defaults.
Undefined is NaN.
"""

from jaxcam.metrics.box_accuracy import best_box_iou as best_box_iou
from jaxcam.metrics.box_accuracy import best_mask_iou as best_mask_iou
from jaxcam.metrics.box_accuracy import best_threshold as best_threshold
from jaxcam.metrics.box_accuracy import box_accuracy_curve as box_accuracy_curve
from jaxcam.metrics.box_accuracy import max_box_accuracy as max_box_accuracy
from jaxcam.metrics.box_accuracy import max_box_accuracy_v2 as max_box_accuracy_v2
from jaxcam.metrics.box_accuracy import max_mask_accuracy as max_mask_accuracy
from jaxcam.metrics.faithfulness import absolute_drop as absolute_drop
from jaxcam.metrics.faithfulness import average_drop as average_drop
from jaxcam.metrics.faithfulness import average_gain as average_gain
from jaxcam.metrics.faithfulness import average_increase as average_increase
from jaxcam.metrics.faithfulness import saliency_metric as saliency_metric
from jaxcam.metrics.faithfulness import saliency_metric_area as saliency_metric_area
from jaxcam.metrics.faithfulness import (
    saliency_metric_confidence as saliency_metric_confidence,
)
from jaxcam.metrics.faithfulness import seed_average_drop as seed_average_drop
from jaxcam.metrics.localization import energy_pointing_game as energy_pointing_game
from jaxcam.metrics.localization import mean_absolute_error as mean_absolute_error
from jaxcam.metrics.localization import pointing_game as pointing_game
from jaxcam.metrics.localization import (
    relevance_rank_accuracy as relevance_rank_accuracy,
)
from jaxcam.metrics.localization import soft_f_score as soft_f_score
from jaxcam.metrics.localization import soft_precision as soft_precision
from jaxcam.metrics.localization import soft_recall as soft_recall
from jaxcam.metrics.optimal_localization import (
    optimal_localization_recall_precision_error as optimal_localization_recall_precision_error,
)
from jaxcam.metrics.overlap import f_score as f_score
from jaxcam.metrics.overlap import intersection_over_union as intersection_over_union
from jaxcam.metrics.overlap import localization_error as localization_error
from jaxcam.metrics.overlap import localization_hit as localization_hit
from jaxcam.metrics.overlap import (
    official_localization_error as official_localization_error,
)
from jaxcam.metrics.overlap import precision as precision
from jaxcam.metrics.overlap import recall as recall
from jaxcam.metrics.pixel_average_precision import (
    pixel_average_precision as pixel_average_precision,
)

dice = f_score
"""`f_score` at its default beta of 1."""
