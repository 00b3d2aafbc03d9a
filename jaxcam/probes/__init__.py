"""Questions to the model: what it says of a masked, cropped or perturbed image.

Only probes call a model; metrics read the arrays that probes return. A probe is a pure
function of a batch, `fn(predict, *fields, **options) -> {name: array}`.
"""

from jaxcam.probes.crop import crop_score
from jaxcam.probes.masking import masked_score

__all__ = ["crop_score", "masked_score"]
