"""Questions to the model: what it says of a masked, cropped or perturbed image.

Only probes call a model; metrics read the arrays that probes return. A probe is a pure
function of a batch, `fn(predict, *fields, **options) -> {name: array}`.
"""

from jaxcam.probes.cells import cell_effects, cell_sums, revealed_scores
from jaxcam.probes.crop import crop_score
from jaxcam.probes.masking import masked_score
from jaxcam.probes.perturbations import perturbation_drops, perturbation_products
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
    "masked_score",
    "perturbation_drops",
    "perturbation_products",
    "revealed_scores",
    "sized_subset_drops",
    "sized_subset_sums",
    "subset_drops",
    "subset_sums",
]
