"""The networks that can be loaded by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

from flax import nnx

from jaxcam.models import convert, model
from jaxcam.models.zoo import darknet, mobilenet, resnet, shapes_net, squeezenet

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

CIFAR10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

SHAPES = ("disc", "square", "triangle", "ring", "cross", "star", "crescent", "bar")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A network that can be loaded by name.

    Attributes:
      build: From random number generators to a module.
      input: What it expects of images.
      default_layer: The last spatial feature map.
      cam_layer: The map that global average pooling reads.
      what: One line for listings.
      label_set: Which classes the outputs stand for.
      class_names: Names of the outputs, where they are few.
      sources: Forms of weight files besides torch's: a name that only such a file has,
        the renaming, and the module to build for it.
      shipped: File of weights in this package.
    """

    build: Callable[[nnx.Rngs], nnx.Module]
    input: model.InputSpec
    default_layer: str
    cam_layer: str
    what: str
    label_set: str = "imagenet"
    class_names: tuple[str, ...] | None = None
    sources: tuple[Source, ...] = ()
    shipped: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A form of weights under other names than torch's.

    Attributes:
      sign: How one of its keys begins.
      rename: See `jaxcam.models.convert`.
      build: The module for it, if it differs.
      input: What it expects of images, if that differs.
      first_class: Output of the first class of the label set.
      sidecar: A JSON file beside the weights whose `standard_to_output` lists the
        output of each class; without it the outputs have no known classes.
    """

    sign: str
    rename: convert.Rename
    build: Callable[[nnx.Rngs], nnx.Module] | None = None
    input: model.InputSpec | None = None
    first_class: int = 0
    sidecar: str | None = None


def _imagenet(size: int = 224) -> model.InputSpec:
    return model.InputSpec(
        size=(size, size), mean=IMAGENET_MEAN, std=IMAGENET_STD, crop_fraction=0.875
    )


def _resnet(block: type, depths: tuple[int, ...], name: str) -> Row:
    return Row(
        build=lambda rngs: resnet.ResNet(block, depths, rngs=rngs),
        input=_imagenet(),
        default_layer="layer4",
        cam_layer="layer4",
        what=f"{name} (He et al. 2016)",
    )


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "shapes_net": Row(
            build=lambda rngs: shapes_net.ShapesNet(len(SHAPES), rngs=rngs),
            input=model.InputSpec(size=(64, 64), mean=(0.5,), std=(0.25,)),
            default_layer="features.13",
            cam_layer="features.13",
            what="small net for the procedural data set; weights in the package",
            label_set="shapes",
            class_names=SHAPES,
            shipped="shapes_net.safetensors",
        ),
        "squeezenet1_1": Row(
            build=lambda rngs: squeezenet.SqueezeNet(rngs=rngs),
            input=_imagenet(),
            default_layer="features.12",
            cam_layer="classifier.2",
            what="SqueezeNet 1.1 (Iandola et al. 2016)",
            sources=(Source(sign="squeezenet0_", rename=convert.squeezenet_mxnet),),
        ),
        "mobilenet_v2": Row(
            build=lambda rngs: mobilenet.MobileNetV2(rngs=rngs),
            input=_imagenet(),
            default_layer="features.18",
            cam_layer="features.18",
            what="MobileNetV2, width 1 (Sandler et al. 2018)",
            sources=(
                Source(
                    sign="MobilenetV2/",
                    rename=convert.mobilenet_tensorflow,
                    build=lambda rngs: mobilenet.MobileNetV2(
                        1001, folded=True, same=True, rngs=rngs
                    ),
                    input=model.InputSpec(
                        size=(224, 224), mean=(0.5,), std=(0.5,), crop_fraction=0.875
                    ),
                    first_class=1,
                ),
            ),
        ),
        "darknet_tiny": Row(
            build=lambda rngs: darknet.TinyDarknet(rngs=rngs),
            input=model.InputSpec(size=(224, 224)),
            default_layer="features.17",
            cam_layer="classifier",
            what="Tiny Darknet (Redmon); outputs in an order of its own",
            sources=(
                Source(
                    sign="batch_normalization_",
                    rename=convert.darknet_keras,
                    sidecar="arch.json",
                ),
            ),
        ),
        "resnet20": Row(
            build=lambda rngs: resnet.CifarResNet(3, rngs=rngs),
            input=model.InputSpec(size=(32, 32), mean=IMAGENET_MEAN, std=IMAGENET_STD),
            default_layer="layer3",
            cam_layer="layer3",
            what="ResNet-20 for CIFAR-10 (He et al. 2016)",
            label_set="cifar10",
            class_names=CIFAR10,
        ),
        "resnet18": _resnet(resnet.BasicBlock, (2, 2, 2, 2), "ResNet-18"),
        "resnet34": _resnet(resnet.BasicBlock, (3, 4, 6, 3), "ResNet-34"),
        "resnet50": _resnet(resnet.Bottleneck, (3, 4, 6, 3), "ResNet-50"),
        "resnet101": _resnet(resnet.Bottleneck, (3, 4, 23, 3), "ResNet-101"),
        "resnet152": _resnet(resnet.Bottleneck, (3, 8, 36, 3), "ResNet-152"),
    }
)
