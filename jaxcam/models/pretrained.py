"""Which trained weights there are for the networks of the zoo, and where.

Repositories and settings are those of timm's and torchvision's own tables of pretrained
configurations. A hash or a revision that is not known here is `None`: the sha256 of
what was read and the commit it came from stand in the manifest of every run.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType

import numpy as np

from jaxcam.models import model

Arrays = dict[str, np.ndarray]

TORCHVISION = "https://download.pytorch.org/models"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Published weights of one network.

    Attributes:
      tag: What they are called among those of the network: `weights="tv_in1k"`.
      repository: On the Hugging Face hub; `None` if they are not there in a form whose
        names fit.
      revision: Commit of the repository; `None` takes its newest.
      file: In the repository.
      sha256: Of that file, if known.
      torch_file: What torchvision calls the same weights; its end is the beginning of
        their sha256.
      licence: As timm's table or torchvision's repository gives it (SPDX).
      label_set: Which classes the outputs stand for.
      crop_fraction: Where it differs from the network's own.
      interpolation: Likewise.
      adapt: From the names in the file to torchvision's, where they differ; leaves
        other names as they are.
    """

    tag: str
    repository: str | None = None
    revision: str | None = None
    file: str = "model.safetensors"
    sha256: str | None = None
    torch_file: str | None = None
    licence: str = "BSD-3-Clause"
    label_set: str = "imagenet"
    crop_fraction: float | None = None
    interpolation: str | None = None
    adapt: Callable[[Arrays], Arrays] | None = None

    @property
    def prefix(self) -> str | None:
        """The beginning of the torch file's sha256, from its name."""
        found = re.search(r"-([0-9a-f]{8,})\.pth$", self.torch_file or "")
        return found and found[1]

    @property
    def address(self) -> str:
        """Where the weights are, for messages."""
        return self.repository or f"{TORCHVISION}/{self.torch_file}"

    def input(self, spec: model.InputSpec) -> model.InputSpec:
        """What the network expects of images with these weights."""
        own = {"crop_fraction": self.crop_fraction, "interpolation": self.interpolation}
        changed = {name: value for name, value in own.items() if value is not None}
        return dataclasses.replace(spec, **changed)


def of(network: str) -> tuple[Pretrained, ...]:
    """Published weights of a network, the default ones first."""
    return ROWS.get(network, ())


def recognise(network: str, name: str, sha256: str) -> Pretrained | None:
    """The published weights that a file holds, by its hash.

    Args:
      network: Whose weights they should be.
      name: What the file is called.
      sha256: Its hash.

    Raises:
      ValueError: It is called like a published file and has another hash.
    """
    for row in of(network):
        known = [row.sha256] if row.sha256 else []
        known += [row.prefix] if row.prefix else []
        if any(sha256.startswith(digits) for digits in known):
            return row
    for row in of(network):
        if row.prefix and PurePath(name).name == row.torch_file:
            check(name, sha256, row.prefix)
    return None


def adapted(network: str, arrays: Arrays) -> Arrays:
    """Arrays under torchvision's names; other names than published ones stay."""
    for row in of(network):
        arrays = row.adapt(arrays) if row.adapt else arrays
    return arrays


def check(name: str, found: str, expected: str) -> None:
    """Refuses a file of another sha256 than expected; `expected` may be its beginning.

    Raises:
      ValueError: They differ.
    """
    if not found.startswith(expected):
        raise ValueError(
            f"{name} has the sha256 {found[:12]}... instead of {expected[:12]}...; it "
            "is damaged or not what it is called: fetch it again."
        )


def _vgg_from_timm(arrays: Arrays) -> Arrays:
    """In timm the first two linear maps are convolutions over the whole map."""
    names = {"pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3"}
    names["head.fc"] = "classifier.6"
    renamed = {}
    for key, array in arrays.items():
        module, _, leaf = key.rpartition(".")
        if module.startswith("pre_logits") and leaf == "weight":
            array = array.reshape(len(array), -1)
        renamed[f"{names.get(module, module)}.{leaf}"] = array
    return renamed


def _convnext_from_timm(arrays: Arrays) -> Arrays:
    """In timm stages and blocks are numbered apart, and the layer scale is a vector."""
    parts = {"conv_dw": 0, "norm": 2, "mlp.fc1": 3, "mlp.fc2": 5}
    fixed = {"stem.0": "features.0.0", "stem.1": "features.0.1"}
    fixed |= {"head.norm": "classifier.0", "head.fc": "classifier.2"}
    renamed = {}
    for key, array in arrays.items():
        module, _, leaf = key.rpartition(".")
        block = re.fullmatch(r"stages\.(\d)\.blocks\.(\d+)(?:\.(.+))?", module)
        between = re.fullmatch(r"stages\.(\d)\.downsample\.(\d)", module)
        if block is not None:
            place = f"features.{2 * int(block[1]) + 1}.{block[2]}"
            if leaf == "gamma":
                renamed[f"{place}.layer_scale"] = array.reshape(-1, 1, 1)
                continue
            module = f"{place}.block.{parts[block[3]]}"
        elif between is not None:
            module = f"features.{2 * int(between[1])}.{between[2]}"
        renamed[f"{fixed.get(module, module)}.{leaf}"] = array
    return renamed


def _timm(name: str, tag: str = "tv_in1k", **more) -> Pretrained:
    return Pretrained(tag=tag, repository=f"timm/{name}.{tag}", **more)


def _torchvision(tag: str, torch_file: str, **more) -> Pretrained:
    return Pretrained(tag=tag, torch_file=torch_file, **more)


def _resnet(name: str, first: str, second: str | None = None) -> tuple:
    """The original recipe, and torchvision's newer one, resized to 232."""
    rows = (_timm(name, torch_file=f"{name}-{first}.pth"),)
    if second is not None:
        newer = {"torch_file": f"{name}-{second}.pth", "crop_fraction": 224 / 232}
        rows += (_timm(name, "tv2_in1k", **newer),)
    return rows


def _vgg(name: str, digits: str) -> tuple:
    return (_timm(name, torch_file=f"{name}-{digits}.pth", adapt=_vgg_from_timm),)


_NEWER = {"tag": "tv2_in1k", "crop_fraction": 224 / 232}

ROWS: Mapping[str, tuple[Pretrained, ...]] = MappingProxyType(
    {
        "resnet18": _resnet("resnet18", "f37072fd"),
        "resnet34": _resnet("resnet34", "b627a593"),
        "resnet50": _resnet("resnet50", "0676ba61", "11ad3fa6"),
        "resnet101": _resnet("resnet101", "63fe2227", "cd907fc2"),
        "resnet152": _resnet("resnet152", "394f9c45", "f82ba261"),
        "vgg11": _vgg("vgg11", "8a719046"),
        "vgg13": _vgg("vgg13", "19584684"),
        "vgg16": _vgg("vgg16", "397923af"),
        "vgg19": _vgg("vgg19", "dcbb9e9d"),
        "vgg11_bn": _vgg("vgg11_bn", "6002323d"),
        "vgg13_bn": _vgg("vgg13_bn", "abd245e5"),
        "vgg16_bn": _vgg("vgg16_bn", "6c64b313"),
        "vgg19_bn": _vgg("vgg19_bn", "c79401a0"),
        "mobilenet_v2": (
            _torchvision("tv_in1k", "mobilenet_v2-b0353104.pth"),
            _torchvision(torch_file="mobilenet_v2-7ebf99e0.pth", **_NEWER),
        ),
        "mobilenet_v3_large": (
            _torchvision("tv_in1k", "mobilenet_v3_large-8738ca79.pth"),
            _torchvision(torch_file="mobilenet_v3_large-5c1a4163.pth", **_NEWER),
        ),
        "mobilenet_v3_small": (
            _torchvision("tv_in1k", "mobilenet_v3_small-047dcff4.pth"),
        ),
        "squeezenet1_0": (_torchvision("tv_in1k", "squeezenet1_0-b66bff10.pth"),),
        "squeezenet1_1": (_torchvision("tv_in1k", "squeezenet1_1-b8a52dc0.pth"),),
        "densenet121": (_timm("densenet121", torch_file="densenet121-a639ec97.pth"),),
        "efficientnet_b0": (
            _torchvision("ra_in1k", "efficientnet_b0_rwightman-7f5810bc.pth"),
        ),
        "convnext_tiny": (
            _timm(
                "convnext_tiny",
                "fb_in1k",
                licence="Apache-2.0",
                crop_fraction=0.875,
                interpolation="bicubic",
                adapt=_convnext_from_timm,
            ),
            _torchvision(
                "tv_in1k", "convnext_tiny-983f1562.pth", crop_fraction=224 / 236
            ),
        ),
        "inception_v3": (
            _timm(
                "inception_v3",
                torch_file="inception_v3_google-0cc3c7bd.pth",
                licence="Apache-2.0",
            ),
        ),
        "vit_b_16": (_torchvision("tv_in1k", "vit_b_16-c867db91.pth"),),
        "deit_small_patch16_224": (
            _timm("deit_small_patch16_224", "fb_in1k", licence="Apache-2.0"),
        ),
        "deit_base_patch16_224": (
            _timm("deit_base_patch16_224", "fb_in1k", licence="Apache-2.0"),
        ),
    }
)
