"""Operations on one map or mask: pure, jittable, batched with `jax.vmap`."""

from jaxcam.ops.binarization import binarize as binarize
from jaxcam.ops.binarization import threshold as threshold
from jaxcam.ops.boxes import bounding_box as bounding_box
from jaxcam.ops.boxes import box_area as box_area
from jaxcam.ops.boxes import box_iou as box_iou
from jaxcam.ops.boxes import box_mask as box_mask
from jaxcam.ops.component_trees import ComponentTree as ComponentTree
from jaxcam.ops.component_trees import component_tree as component_tree
from jaxcam.ops.components import label_components as label_components
from jaxcam.ops.components import largest_component as largest_component
from jaxcam.ops.components import largest_component_box as largest_component_box
from jaxcam.ops.imputation import impute as impute
from jaxcam.ops.normalization import normalize as normalize
from jaxcam.ops.placing import place as place
from jaxcam.ops.resizing import resize as resize
from jaxcam.ops.thinning import skeleton as skeleton
from jaxcam.ops.warping import flippable as flippable
from jaxcam.ops.warping import warp as warp
