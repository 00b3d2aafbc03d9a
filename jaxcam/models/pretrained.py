"""Which trained weights there are for the networks of the zoo, and where.

Repositories and settings are those of timm's and torchvision's own tables of pretrained
configurations. A hash or a revision that is not known here is `None`: the sha256 of
what was read and the commit it came from stand in the manifest of every run, and
`weights="TAG@COMMIT"` asks for them again.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

from jaxcam.models import model

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
      form: The `catalogue.Source` of the file in the repository, by its sign; `None`
        if its names are torchvision's.
      licence: As timm's table or torchvision's repository gives it (SPDX).
      label_set: Which classes the outputs stand for.
      crop_fraction: Where it differs from the network's own.
      interpolation: Likewise.
    """

    tag: str
    repository: str | None = None
    revision: str | None = None
    file: str = "model.safetensors"
    sha256: str | None = None
    torch_file: str | None = None
    form: str | None = None
    licence: str = "BSD-3-Clause"
    label_set: str = "imagenet"
    crop_fraction: float | None = None
    interpolation: str | None = None

    @property
    def prefix(self) -> str | None:
        """The beginning of the torch file's sha256, from its name."""
        found = re.search(r"-([0-9a-f]{8,})\.pth$", self.torch_file or "")
        return found and found[1]

    @property
    def folder(self) -> str | None:
        """The last part of the repository's name, as "resnet50.tv2_in1k"."""
        return self.repository and self.repository.rpartition("/")[2]

    @property
    def address(self) -> str:
        """Where the weights are, for messages."""
        return self.repository or f"{TORCHVISION}/{self.torch_file}"

    def at(self, commit: str) -> Pretrained:
        """The same weights as another commit of the repository has them.

        Raises:
          ValueError: They are not on the hub, or it is no commit.
        """
        if self.repository is None:
            raise ValueError(
                f"{self.tag} is not on the hub, so it has no commits; give {self.tag} "
                "alone, whose file names its own hash."
            )
        if not re.fullmatch(r"[0-9a-f]{40}", commit):
            raise ValueError(
                f"{commit!r} is no commit of {self.repository}; give all of its 40 "
                f"hexadecimal digits, as in {self.tag}@{self.revision or 40 * '0'}."
            )
        known = self.sha256 if commit == self.revision else None
        return dataclasses.replace(self, revision=commit, sha256=known, torch_file=None)

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


def called(network: str, path: PurePath) -> Pretrained | None:
    """The published weights after which a file's folder is called.

    Without a hash nothing is sure, but what the network expects of images is likely
    that; files in repositories all have one name.
    """
    return next((row for row in of(network) if row.folder == path.parent.name), None)


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


# Commits of timm's repositories and the sha256 of model.safetensors there, as others
# have recorded them in public code: dollspace-gay/ferrotorch (hashes alone),
# bkc39/rktorch (ResNets), LibreYOLO/libreyolo (DeiT, ViT), and model files listed by
# their hash or their path in the hub's cache. Where two record one file they agree.
PINS: Mapping[str, tuple[str | None, str]] = MappingProxyType(
    {
        "resnet18.tv_in1k": (
            "bbd144b3e5565108aad885f145491d11bc6ce807",
            "694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81",
        ),
        "resnet18.a1_in1k": (
            "491b427b45c94c7fb0e78b5474cc919aff584bbf",
            "80c49dee3da4822c009c5a7fe591e9223c5a2cfcf95a4067ca4dfb5a7b89c612",
        ),
        "resnet34.tv_in1k": (
            "1b7b21cca82ff974d341713f777bf740c2db38c4",
            "0bb82595a564991a9d424708b33f5d843f5aaed7f6c0886ff10849ff97022235",
        ),
        "resnet34.a1_in1k": (
            None,
            "829a220f9529d2b1ffdc8719d3273463001e0daf411eaf1916865d9db62c0ed2",
        ),
        "resnet50.tv_in1k": (
            "78f3ecfdb38e06d9b8397f662e7ab8fee96026fa",
            "5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
        ),
        "resnet50.a1_in1k": (
            "767268603ca0cb0bfe326fa87277f19c419566ef",
            "773525d5821de224f8f30c33377b7a795d7863e08522698200d3217d3f2a41bb",
        ),
        "vgg11.tv_in1k": (
            None,
            "682c023808812148d4e60c76d80ad83dbeaf5d50eb1a952a0b836895003151e5",
        ),
        "vgg16.tv_in1k": (
            "b8d8aa2dd860af9233c8c67385a8097fd6c35d3f",
            "57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8",
        ),
        "mobilenetv2_100.ra_in1k": (
            None,
            "55ea4fb3a96010b933710ebf44fc965b070d5cd054d3f35e44f2d1320b4a714e",
        ),
        "mobilenetv3_large_100.ra_in1k": (
            "96f46a1c52932f27492dff66c72378eb99b443a7",
            "f425af34cc1cead2b5d6211f789a1f30b94835dc32f9c0fcc5a916e4fd2dde85",
        ),
        "mobilenetv3_small_100.lamb_in1k": (
            "1824797e7887cbec1990e4adbd6675960a36c589",
            "46d2c063b18125884c48937afa4c49e18128869e52e8db96df48bf0a4d7ff697",
        ),
        "densenet121.tv_in1k": (
            "f0d0f2698a02cb133b09d48396db6e1e46fe9f3b",
            "c894c6d9caa317a8ca1942986dee7a16a86c77734a4d691d2abe05389cfef358",
        ),
        "efficientnet_b0.ra_in1k": (
            "1b5383e5f79cc0f7fc067e372f8f26a5fa73f26a",
            "d569899762ea9b1384ee07f4af64805cf8caa1c55f9253ebb1080dc40e87a2cd",
        ),
        "convnext_tiny.fb_in1k": (
            "b43a6303c9fcf176d2d707478a128c2c91e93528",
            "08b9dc9c3a3a29421de7996761e176501896d1ae7fc3085cf56a643772329276",
        ),
        "inception_v3.tv_in1k": (
            None,
            "9c452c63a67fd03a38a78c401ba12d4be0e926df63c93403de3a29f6df20fefb",
        ),
        "vit_base_patch16_224.augreg2_in21k_ft_in1k": (
            "063c6c38a5d8510b2e57df480445e94b231dad2c",
            "32aa17d6e17b43500f531d5f6dc9bc93e56ed8841b8a75682e1bb295d722405b",
        ),
        "deit_small_patch16_224.fb_in1k": (
            "91327a9c99f98fe6b524cd4d397b7226b80e1365",
            "1e747b4a8d0df2cfbd3c450e8c97685d867448ab0c2ddbfb34b6885f5cb23e5b",
        ),
        "deit_base_patch16_224.fb_in1k": (
            "b78cc5532a69df6bcad9c3a8d76653fd20b31ac6",
            "cd2da27b74ed7f68b599f16c77af3e1e80f01c75f9ad96029d22ce747a247e8e",
        ),
    }
)


def _timm(name: str, tag: str = "tv_in1k", **more) -> Pretrained:
    revision, sha256 = PINS.get(f"{name}.{tag}", (None, None))
    return Pretrained(
        tag=tag,
        repository=f"timm/{name}.{tag}",
        revision=revision,
        sha256=sha256,
        **more,
    )


def _torchvision(tag: str, torch_file: str, **more) -> Pretrained:
    return Pretrained(tag=tag, torch_file=torch_file, **more)


_TIMMS_OWN = {"licence": "Apache-2.0", "interpolation": "bicubic"}
_NEWER = {"tag": "tv2_in1k", "crop_fraction": 224 / 232}


def _resnet(name: str, first: str, second: str | None = None) -> tuple[Pretrained, ...]:
    """By the original recipe, by torchvision's newer one, and by timm's, at 235."""
    rows = [_timm(name, torch_file=f"{name}-{first}.pth")]
    if second is not None:
        newer = {"torch_file": f"{name}-{second}.pth", "crop_fraction": 224 / 232}
        rows.append(_timm(name, "tv2_in1k", **newer))
    rows.append(_timm(name, "a1_in1k", crop_fraction=224 / 235, **_TIMMS_OWN))
    return tuple(rows)


def _vgg(name: str, digits: str) -> tuple[Pretrained, ...]:
    return (_timm(name, torch_file=f"{name}-{digits}.pth", form="pre_logits."),)


def _mobile(name: str, tag: str, **more) -> Pretrained:
    return _timm(name, tag, form="conv_stem.", **_TIMMS_OWN, **more)


# The default comes first, and is on the hub where one is. SqueezeNets are not in timm.
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
            _mobile("mobilenetv2_100", "ra_in1k"),
            _torchvision("tv_in1k", "mobilenet_v2-b0353104.pth"),
            _torchvision(torch_file="mobilenet_v2-7ebf99e0.pth", **_NEWER),
        ),
        "mobilenet_v3_large": (
            _mobile("mobilenetv3_large_100", "ra_in1k"),
            _torchvision("tv_in1k", "mobilenet_v3_large-8738ca79.pth"),
            _torchvision(torch_file="mobilenet_v3_large-5c1a4163.pth", **_NEWER),
        ),
        "mobilenet_v3_small": (
            _mobile("mobilenetv3_small_100", "lamb_in1k"),
            _torchvision("tv_in1k", "mobilenet_v3_small-047dcff4.pth"),
        ),
        "squeezenet1_0": (_torchvision("tv_in1k", "squeezenet1_0-b66bff10.pth"),),
        "squeezenet1_1": (_torchvision("tv_in1k", "squeezenet1_1-b8a52dc0.pth"),),
        "densenet121": (_timm("densenet121", torch_file="densenet121-a639ec97.pth"),),
        "efficientnet_b0": (
            _mobile(
                "efficientnet_b0",
                "ra_in1k",
                torch_file="efficientnet_b0_rwightman-7f5810bc.pth",
            ),
        ),
        "convnext_tiny": (
            _timm(
                "convnext_tiny",
                "fb_in1k",
                form="stem.",
                crop_fraction=0.875,
                **_TIMMS_OWN,
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
        "xception": (_timm("legacy_xception", "tf_in1k", licence="Apache-2.0"),),
        "vit_b_16": (
            _timm(
                "vit_base_patch16_224",
                "augreg2_in21k_ft_in1k",
                form="cls_token",
                licence="Apache-2.0",
            ),
            _torchvision("tv_in1k", "vit_b_16-c867db91.pth"),
        ),
        "deit_small_patch16_224": (
            _timm("deit_small_patch16_224", "fb_in1k", licence="Apache-2.0"),
        ),
        "deit_base_patch16_224": (
            _timm("deit_base_patch16_224", "fb_in1k", licence="Apache-2.0"),
        ),
    }
)
