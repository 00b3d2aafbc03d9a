"""Makes `zoo.npz`: logits and Grad-CAM maps of torch's networks, for `test_zoo_parity`.

Run once, in an environment of its own, with names of networks, all by default:

    python tests/golden/make_zoo.py [NAME ...]

Needs torch, torchvision, timm and grad-cam; the file records their versions. Weights
and statistics are drawn from the names of the parameters (`zoo_weights.py`), so no
weights are kept. What the published weights expect of images is recorded too.
"""

import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
import torch
import zoo_weights
from torch import nn

# The wheel of torchvision beside a CPU build of torch lacks its compiled operators.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float threshold) -> Tensor")

import pytorch_grad_cam as pgc  # noqa: E402
import timm  # noqa: E402
import torchvision.models  # noqa: E402
from pytorch_grad_cam.utils import model_targets  # noqa: E402

PATH = Path(__file__).parent / "zoo.npz"
PACKAGES = ("torch", "torchvision", "timm", "grad-cam", "numpy")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# The DenseNet rectifies its last map in place, which would change the map that is
# explained while it is explained.
torchvision.models.densenet.F.relu = lambda x, inplace=False: torch.relu(x)


class Shortcut(nn.Module):
    """Every second pixel, and zero channels on both sides."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        pad = (0, 0, 0, 0, self.channels, self.channels)
        return nn.functional.pad(x[:, :, ::2, ::2], pad)


class CifarBlock(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = Shortcut((width - inputs) // 2) if stride > 1 else nn.Identity()

    def forward(self, x):
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(out + self.shortcut(x))


class CifarResNet(nn.Module):
    """Section 4.2 of He et al. 2016, shortcuts of option A."""

    def __init__(self, depth):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for number, width in enumerate((16, 32, 64), 1):
            blocks = []
            for block in range(depth):
                stride = 2 if number > 1 and block == 0 else 1
                blocks.append(CifarBlock(inputs, width, stride))
                inputs = width
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class DarknetUnit(nn.Module):
    def __init__(self, inputs, outputs, side):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x):
        return nn.functional.leaky_relu(self.norm(self.conv(x)), 0.1)


class TinyDarknet(nn.Module):
    """darknet's cfg/tiny.cfg: (channels, side of the kernel), "M" for a pooling."""

    UNITS = (
        *((16, 3), "M", (32, 3), "M", (16, 1), (128, 3), (16, 1), (128, 3), "M"),
        *((32, 1), (256, 3), (32, 1), (256, 3), "M"),
        *((64, 1), (512, 3), (64, 1), (512, 3), (128, 1)),
    )

    def __init__(self):
        super().__init__()
        parts, channels = [], 3
        for step in self.UNITS:
            if step == "M":
                parts.append(nn.MaxPool2d(2, 2, ceil_mode=True))
            else:
                parts.append(DarknetUnit(channels, *step))
                channels = step[0]
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Conv2d(channels, 1000, 1)

    def forward(self, x):
        return self.classifier(self.features(x)).mean((2, 3))


def from_torchvision(name, layer, **options):
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    seen = weights.transforms()
    net = torchvision.models.get_model(name, weights=None, **options)
    (side,), (resized,) = seen.crop_size, seen.resize_size
    if options.get("transform_input"):
        # It undoes the normalisation of its images inside.
        mean, std = (0.5,) * 3, (0.5,) * 3
    else:
        mean, std = seen.mean, seen.std
    spec = {
        "size": [side, side],
        "crop_fraction": side / resized,
        "mean": list(mean),
        "std": list(std),
        "interpolation": seen.interpolation.value,
    }
    return net, layer, seen.mean, seen.std, spec


def from_timm(name, layer):
    net = timm.create_model(name, pretrained=False)
    config = net.default_cfg
    spec = {
        "size": list(config["input_size"][1:]),
        "crop_fraction": config["crop_pct"],
        "mean": list(config["mean"]),
        "std": list(config["std"]),
        "interpolation": config["interpolation"],
    }
    return net, layer, config["mean"], config["std"], spec


def own(net, layer, mean, std):
    return net, layer, mean, std, None


def tv(layer, **options):
    return lambda name: from_torchvision(name, layer, **options)


def cifar(depth):
    return lambda name: own(CifarResNet(depth), "layer3", MEAN, STD)


def timms(model, layer):
    return lambda name: from_timm(model, layer)


NETWORKS = {
    **{f"resnet{depth}": tv("layer4") for depth in (18, 34, 50, 101, 152)},
    "resnet20": cifar(3),
    "resnet56": cifar(9),
    **{
        f"vgg{depth}{end}": tv("features.-1")
        for end in ("", "_bn")
        for depth in (11, 13, 16, 19)
    },
    "squeezenet1_0": tv("features.-1"),
    "squeezenet1_1": tv("features.-1"),
    "mobilenet_v2": tv("features.-1"),
    "mobilenet_v3_small": tv("features.-1"),
    "mobilenet_v3_large": tv("features.-1"),
    "densenet121": tv("features.norm5"),
    "efficientnet_b0": tv("features.-1"),
    "convnext_tiny": tv("features.-1"),
    "inception_v3": tv("Mixed_7c", transform_input=True, init_weights=False),
    "xception": lambda name: from_timm("legacy_xception", "act4"),
    "vit_b_16": tv("encoder.layers.encoder_layer_11.ln_1"),
    "deit_small_patch16_224": lambda name: from_timm(name, "blocks.11.norm1"),
    "deit_base_patch16_224": lambda name: from_timm(name, "blocks.11.norm1"),
    "darknet_tiny": lambda name: own(TinyDarknet(), "features.17", (0,), (1,)),
    # The same networks as timm has them, under names and with constants of its own.
    "mobilenet_v2.timm": timms("mobilenetv2_100.ra_in1k", "bn2"),
    "mobilenet_v3_small.timm": timms("mobilenetv3_small_100.lamb_in1k", "blocks.-1"),
    "mobilenet_v3_large.timm": timms("mobilenetv3_large_100.ra_in1k", "blocks.-1"),
    "efficientnet_b0.timm": timms("efficientnet_b0.ra_in1k", "bn2"),
    "convnext_tiny.timm": timms("convnext_tiny.fb_in1k", "stages.-1"),
    "vit_b_16.timm": timms(
        "vit_base_patch16_224.augreg2_in21k_ft_in1k", "blocks.11.norm1"
    ),
    "vgg11_bn.timm": timms("vgg11_bn.tv_in1k", "features.-1"),
}


def submodule(net, path):
    parent, _, last = path.rpartition(".")
    return net.get_submodule(parent)[-1] if last == "-1" else net.get_submodule(path)


def on_grid(tokens):
    """float[B, C, h, w] of the patches' tokens, the class token left out."""
    side = round((tokens.shape[1] - 1) ** 0.5)
    patches = tokens[:, 1:].reshape(len(tokens), side, side, -1)
    return patches.permute(0, 3, 1, 2)


def grad_cam(net, layer, x, classes):
    """pytorch-grad-cam's map before it is rectified, scaled and resized."""
    seen, targets = [], [model_targets.ClassifierOutputTarget(c) for c in classes]
    transform = on_grid if isinstance(layer, nn.LayerNorm) else None
    with pgc.GradCAM(net, [layer], reshape_transform=transform) as cam:
        image_of = cam.get_cam_image
        cam.get_cam_image = lambda *a: seen.append(image_of(*a)) or seen[-1]
        cam(input_tensor=x, targets=targets)
    (image,) = seen
    return np.asarray(image)


def check(name, logits, maps):
    """Weights so scaled that a comparison means something."""
    apart = np.abs(logits[0] - logits[1]).max() / np.abs(logits).max()
    contrast = min(m.std() / np.abs(m).max() for m in maps)
    sys.stdout.write(
        f"{name} {maps.shape[1:]} largest {np.abs(logits).max():.3g} "
        f"apart {apart:.2f} contrast {contrast:.2f}\n"
    )
    assert np.isfinite(logits).all(), name
    assert apart > 0.01, name
    assert contrast > 0.1, name


def make(name):
    """State dict's shapes, what is expected of images, logits, maps."""
    net, layer, mean, std, spec = NETWORKS[name](name)
    shapes = {n: list(a.shape) for n, a in net.state_dict().items()}
    drawn = zoo_weights.state_dict(shapes, zoo_weights.gain_of(name))
    net.load_state_dict({n: torch.tensor(a) for n, a in drawn.items()})
    net.eval()
    x = (zoo_weights.images(name) - np.array(mean)) / np.array(std)
    x = torch.tensor(x.transpose(0, 3, 1, 2), dtype=torch.float32)
    with torch.no_grad():
        logits = net(x).numpy()
    classes = zoo_weights.classes(name)
    maps = grad_cam(net, submodule(net, layer), x, classes)
    check(name, logits, maps)
    step = zoo_weights.STEP if logits.shape[1] == 1000 else 1
    return shapes, spec, logits[:, ::step], maps


def main(names):
    out = dict(np.load(PATH)) if names and PATH.exists() else {}
    about = json.loads(str(out["about"])) if out else {"shapes": {}, "specs": {}}
    for name in names or NETWORKS:
        shapes, spec, logits, maps = make(name)
        about["shapes"][name], about["specs"][name] = shapes, spec
        out[f"{name}/logits"] = logits.astype(np.float32)
        out[f"{name}/grad_cam"] = maps.astype(np.float32)
        about["versions"] = {p: importlib.metadata.version(p) for p in PACKAGES}
        np.savez_compressed(PATH, **out | {"about": np.array(json.dumps(about))})


if __name__ == "__main__":
    main(sys.argv[1:])
