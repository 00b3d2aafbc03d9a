"""Models: your own linen and nnx modules, unedited, and a zoo of networks by name."""

from jaxcam.models.loading import describe as describe
from jaxcam.models.loading import flat_arrays as flat_arrays
from jaxcam.models.loading import load as load
from jaxcam.models.loading import names as names
from jaxcam.models.loading import published_weights as published_weights
from jaxcam.models.model import InputSpec as InputSpec
from jaxcam.models.model import Model as Model
from jaxcam.models.wrapping import wrap as wrap
