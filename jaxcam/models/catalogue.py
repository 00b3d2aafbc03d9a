"""The networks that can be loaded by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

from flax import nnx

from jaxcam.models import convert, model, timm_names
from jaxcam.models.zoo import (
    convnext,
    darknet,
    densenet,
    efficientnet,
    inception,
    mobilenet,
    mobilenet_v3,
    resnet,
    shapes_net,
    squeezenet,
    vgg,
    vision_transformer,
    xception,
)

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
      default_layer: The last spatial feature map; of a transformer the normalisation
        before its last attention, the last map of which the class token reads patches.
      cam_layer: The map that global average pooling reads; the default layer where the
        head is more than a pooling and a linear map.
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
    """A form of weights under other names than torchvision's.

    Attributes:
      sign: How one of its keys begins.
      rename: See `jaxcam.models.convert`; `None` once they are torchvision's.
      adapt: From its arrays to those of torchvision's names.
      build: The module for it, if it differs.
      input: What it expects of images, if that differs.
      first_class: Output of the first class of the label set.
      sidecar: A JSON file beside the weights whose `standard_to_output` lists the
        output of each class; without it the outputs have no known classes.
    """

    sign: str
    rename: convert.Rename | None = None
    adapt: Callable[[timm_names.Arrays], timm_names.Arrays] | None = None
    build: Callable[[nnx.Rngs], nnx.Module] | None = None
    input: model.InputSpec | None = None
    first_class: int = 0
    sidecar: str | None = None


def _imagenet(
    *, resized: int = 256, interpolation: str = "bilinear"
) -> model.InputSpec:
    return model.InputSpec(
        size=(224, 224),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        crop_fraction=224 / resized,
        interpolation=interpolation,
    )


def _centred(resized: int, interpolation: str) -> model.InputSpec:
    """299 x 299 with values in [-1, 1].

    torchvision's Inception takes images normalised by the statistics of ImageNet and
    undoes that inside (`transform_input`); the network itself reads [-1, 1].
    """
    return model.InputSpec(
        size=(299, 299),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        crop_fraction=299 / resized,
        interpolation=interpolation,
    )


def _vgg(depths: tuple[int, ...], *, normalized: bool) -> Row:
    count = sum(depths)
    last = f"features.{(3 if normalized else 2) * count + 4}"
    return Row(
        build=lambda rngs: vgg.VGG(depths, normalized=normalized, rngs=rngs),
        input=_imagenet(),
        default_layer=last,
        cam_layer=last,
        what=f"VGG-{count + 3}{' with batch normalisation' * normalized} "
        "(Simonyan & Zisserman 2014)",
        sources=(Source(sign="pre_logits.", adapt=timm_names.vgg),),
    )


def _mobilenet_v3(size: str, last: int) -> Row:
    return Row(
        build=lambda rngs: mobilenet_v3.MobileNetV3(size, rngs=rngs),
        input=_imagenet(),
        default_layer=f"features.{last}",
        cam_layer=f"features.{last}",
        what=f"MobileNetV3 {size} (Howard et al. 2019)",
        sources=(
            Source(
                sign="conv_stem.",
                adapt=timm_names.mobilenet_v3,
                build=lambda rngs: mobilenet_v3.MobileNetV3(
                    size, epsilon=1e-5, rngs=rngs
                ),
            ),
        ),
    )


def _cifar_resnet(depth: int) -> Row:
    name = f"ResNet-{6 * depth + 2}"
    return Row(
        build=lambda rngs: resnet.CifarResNet(depth, rngs=rngs),
        input=model.InputSpec(size=(32, 32), mean=IMAGENET_MEAN, std=IMAGENET_STD),
        default_layer="layer3",
        cam_layer="layer3",
        what=f"{name} for CIFAR-10 (He et al. 2016)",
        label_set="cifar10",
        class_names=CIFAR10,
    )


def _deit(width: int, heads: int, what: str) -> Row:
    return Row(
        build=lambda rngs: vision_transformer.DeiT(width, 12, heads, rngs=rngs),
        input=_imagenet(resized=248, interpolation="bicubic"),
        default_layer="blocks.11.norm1",
        cam_layer="blocks.11.norm1",
        what=what,
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
        "squeezenet1_0": Row(
            build=lambda rngs: squeezenet.SqueezeNet("1_0", rngs=rngs),
            input=_imagenet(),
            default_layer="features.12",
            cam_layer="classifier.2",
            what="SqueezeNet 1.0 (Iandola et al. 2016)",
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
                Source(sign="conv_stem.", adapt=timm_names.mobilenet_v2),
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
        "resnet20": _cifar_resnet(3),
        "resnet56": _cifar_resnet(9),
        "resnet18": _resnet(resnet.BasicBlock, (2, 2, 2, 2), "ResNet-18"),
        "resnet34": _resnet(resnet.BasicBlock, (3, 4, 6, 3), "ResNet-34"),
        "resnet50": _resnet(resnet.Bottleneck, (3, 4, 6, 3), "ResNet-50"),
        "resnet101": _resnet(resnet.Bottleneck, (3, 4, 23, 3), "ResNet-101"),
        "resnet152": _resnet(resnet.Bottleneck, (3, 8, 36, 3), "ResNet-152"),
        "vgg11": _vgg((1, 1, 2, 2, 2), normalized=False),
        "vgg13": _vgg((2, 2, 2, 2, 2), normalized=False),
        "vgg16": _vgg((2, 2, 3, 3, 3), normalized=False),
        "vgg19": _vgg((2, 2, 4, 4, 4), normalized=False),
        "vgg11_bn": _vgg((1, 1, 2, 2, 2), normalized=True),
        "vgg13_bn": _vgg((2, 2, 2, 2, 2), normalized=True),
        "vgg16_bn": _vgg((2, 2, 3, 3, 3), normalized=True),
        "vgg19_bn": _vgg((2, 2, 4, 4, 4), normalized=True),
        "mobilenet_v3_small": _mobilenet_v3("small", 12),
        "mobilenet_v3_large": _mobilenet_v3("large", 16),
        "densenet121": Row(
            build=lambda rngs: densenet.DenseNet((6, 12, 24, 16), rngs=rngs),
            input=_imagenet(),
            default_layer="features.norm5",
            cam_layer="relu",
            what="DenseNet-121 (Huang et al. 2016)",
        ),
        "efficientnet_b0": Row(
            build=lambda rngs: efficientnet.EfficientNet(rngs=rngs),
            input=_imagenet(interpolation="bicubic"),
            default_layer="features.8",
            cam_layer="features.8",
            what="EfficientNet-B0 (Tan & Le 2019)",
            sources=(Source(sign="conv_stem.", adapt=timm_names.efficientnet),),
        ),
        "convnext_tiny": Row(
            build=lambda rngs: convnext.ConvNeXt(rngs=rngs),
            input=_imagenet(resized=236),
            default_layer="features.7",
            cam_layer="features.7",
            what="ConvNeXt-T (Liu et al. 2022)",
            sources=(Source(sign="stem.", adapt=timm_names.convnext),),
        ),
        "inception_v3": Row(
            build=lambda rngs: inception.InceptionV3(rngs=rngs),
            input=_centred(342, "bilinear"),
            default_layer="Mixed_7c",
            cam_layer="Mixed_7c",
            what="Inception v3 (Szegedy et al. 2015)",
        ),
        "xception": Row(
            build=lambda rngs: xception.Xception(rngs=rngs),
            input=_centred(333, "bicubic"),
            default_layer="act4",
            cam_layer="act4",
            what="Xception (Chollet 2016)",
        ),
        "vit_b_16": Row(
            build=lambda rngs: vision_transformer.VisionTransformer(
                768, 12, 12, rngs=rngs
            ),
            input=_imagenet(),
            default_layer="encoder.layers.encoder_layer_11.ln_1",
            cam_layer="encoder.layers.encoder_layer_11.ln_1",
            what="ViT-B/16 (Dosovitskiy et al. 2020)",
            sources=(
                Source(
                    sign="cls_token",
                    adapt=timm_names.vision_transformer,
                    input=model.InputSpec(
                        size=(224, 224),
                        mean=(0.5,) * 3,
                        std=(0.5,) * 3,
                        crop_fraction=224 / 248,
                        interpolation="bicubic",
                    ),
                ),
            ),
        ),
        "deit_small_patch16_224": _deit(384, 6, "DeiT-S (Touvron et al. 2020)"),
        "deit_base_patch16_224": _deit(768, 12, "DeiT-B (Touvron et al. 2020)"),
    }
)
