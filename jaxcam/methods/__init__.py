"""Explanation methods: from a model and images to saliency maps.

`explain_batch` runs any of them; `jaxcam.explain` is the call for users. A method of
the gradient family is a pure function of one image's activations and gradients and can
be called on them directly.
"""

from jaxcam.methods.ablation import ablation_cam as ablation_cam
from jaxcam.methods.ablation import lift_cam as lift_cam
from jaxcam.methods.baselines import centre as centre
from jaxcam.methods.baselines import random as random
from jaxcam.methods.baselines import sobel as sobel
from jaxcam.methods.baselines import truth as truth
from jaxcam.methods.baselines import uniform as uniform
from jaxcam.methods.eigen import eigen_cam as eigen_cam
from jaxcam.methods.eigen import eigen_grad_cam as eigen_grad_cam
from jaxcam.methods.full_gradient import full_grad as full_grad
from jaxcam.methods.gradient_weighted import cam as cam
from jaxcam.methods.gradient_weighted import grad_cam as grad_cam
from jaxcam.methods.gradient_weighted import (
    grad_cam_elementwise as grad_cam_elementwise,
)
from jaxcam.methods.gradient_weighted import grad_cam_plus_plus as grad_cam_plus_plus
from jaxcam.methods.gradient_weighted import hires_cam as hires_cam
from jaxcam.methods.gradient_weighted import layer_cam as layer_cam
from jaxcam.methods.gradient_weighted import xgrad_cam as xgrad_cam
from jaxcam.methods.hidden import occlusion as occlusion
from jaxcam.methods.hidden import rise as rise
from jaxcam.methods.input_gradient import gradient as gradient
from jaxcam.methods.input_gradient import input_x_gradient as input_x_gradient
from jaxcam.methods.input_gradient import integrated_gradients as integrated_gradients
from jaxcam.methods.input_gradient import smooth_grad as smooth_grad
from jaxcam.methods.masked import group_cam as group_cam
from jaxcam.methods.masked import is_cam as is_cam
from jaxcam.methods.masked import score_cam as score_cam
from jaxcam.methods.masked import ss_cam as ss_cam
from jaxcam.methods.optimized import opti_cam as opti_cam
from jaxcam.methods.own_score import finer_cam as finer_cam
from jaxcam.methods.own_score import shapley_cam as shapley_cam
from jaxcam.methods.question import Question as Question
from jaxcam.methods.question import Score as Score
from jaxcam.methods.question import class_contrast as class_contrast
from jaxcam.methods.question import class_logit as class_logit
from jaxcam.methods.refined import refine_cam as refine_cam
from jaxcam.methods.saliency import explain_batch as explain_batch
from jaxcam.methods.saliency import resolve as resolve
from jaxcam.methods.saliency import saliency_maps as saliency_maps
from jaxcam.methods.saliency import table as table
from jaxcam.methods.saliency import validate as validate
from jaxcam.methods.smoothed import (
    smooth_grad_cam_plus_plus as smooth_grad_cam_plus_plus,
)
