"""Explanation methods: from a model and images to saliency maps.

`explain_batch` runs any of them; `jaxcam.explain` is the call for users. A method of
the gradient family is a pure function of one image's activations and gradients and can
be called on them directly.
"""

from jaxcam.methods.baselines import centre as centre
from jaxcam.methods.baselines import random as random
from jaxcam.methods.baselines import sobel as sobel
from jaxcam.methods.baselines import truth as truth
from jaxcam.methods.baselines import uniform as uniform
from jaxcam.methods.eigen import eigen_cam as eigen_cam
from jaxcam.methods.eigen import eigen_grad_cam as eigen_grad_cam
from jaxcam.methods.gradient_weighted import cam as cam
from jaxcam.methods.gradient_weighted import grad_cam as grad_cam
from jaxcam.methods.gradient_weighted import (
    grad_cam_elementwise as grad_cam_elementwise,
)
from jaxcam.methods.gradient_weighted import grad_cam_plus_plus as grad_cam_plus_plus
from jaxcam.methods.gradient_weighted import hires_cam as hires_cam
from jaxcam.methods.gradient_weighted import layer_cam as layer_cam
from jaxcam.methods.gradient_weighted import xgrad_cam as xgrad_cam
from jaxcam.methods.input_gradient import gradient as gradient
from jaxcam.methods.input_gradient import input_x_gradient as input_x_gradient
from jaxcam.methods.input_gradient import integrated_gradients as integrated_gradients
from jaxcam.methods.input_gradient import smooth_grad as smooth_grad
from jaxcam.methods.question import Question as Question
from jaxcam.methods.question import Score as Score
from jaxcam.methods.question import class_contrast as class_contrast
from jaxcam.methods.question import class_logit as class_logit
from jaxcam.methods.saliency import explain_batch as explain_batch
from jaxcam.methods.saliency import resolve as resolve
from jaxcam.methods.saliency import saliency_maps as saliency_maps
from jaxcam.methods.saliency import table as table
from jaxcam.methods.saliency import validate as validate
from jaxcam.methods.smoothed import (
    smooth_grad_cam_plus_plus as smooth_grad_cam_plus_plus,
)
