"""Questions to the model: what it says of a masked, cropped or perturbed image.

Only probes call a model; metrics read the arrays that probes return. A probe is a pure
function of a batch, `fn(predict, *fields, **options) -> {name: array}`; those that ask
for other maps are given an explainer instead (`_spec.ProbeSpec`).
"""

from jaxcam.probes.again import masked_explanation, other_explanation
from jaxcam.probes.cells import cell_effects, cell_sums, revealed_scores
from jaxcam.probes.crop import crop_score, cut_out_score
from jaxcam.probes.curves import (
    deletion_scores,
    flipping_scores,
    insertion_scores,
    patch_scores,
)
from jaxcam.probes.masking import masked_score
from jaxcam.probes.neighbours import neighbour_changes, relative_neighbour_changes
from jaxcam.probes.perturbations import perturbation_drops, perturbation_products
from jaxcam.probes.randomize import randomized_explanations
from jaxcam.probes.regions import region_drops
from jaxcam.probes.road import road_lerf_scores, road_morf_scores
from jaxcam.probes.subsets import (
    sized_subset_drops,
    sized_subset_sums,
    subset_drops,
    subset_sums,
)

__all__ = [
    "cell_effects",
    "cell_sums",
    "crop_score",
    "cut_out_score",
    "deletion_scores",
    "flipping_scores",
    "insertion_scores",
    "masked_explanation",
    "masked_score",
    "neighbour_changes",
    "other_explanation",
    "patch_scores",
    "perturbation_drops",
    "perturbation_products",
    "randomized_explanations",
    "region_drops",
    "relative_neighbour_changes",
    "revealed_scores",
    "road_lerf_scores",
    "road_morf_scores",
    "sized_subset_drops",
    "sized_subset_sums",
    "subset_drops",
    "subset_sums",
]
