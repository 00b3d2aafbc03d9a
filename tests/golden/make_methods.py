"""Makes `methods_*.npz`: maps of peer libraries for the tests of `jaxcam.methods`.

Run once, in an environment of its own, with the folder of weights as the argument:

    python tests/golden/make_methods.py ../shared/weights

Needs torch, torchvision (imported by the peers), grad-cam, torchcam and captum. Every
file records the versions that made it. The networks are rebuilt from `arch.json` as
modules, so that the peers' hooks work; the images are those of `reference.npz`.
"""

import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

# The wheel of torchvision beside a CPU build of torch lacks its compiled operators.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float threshold) -> Tensor")

import captum.attr as captum  # noqa: E402
import pytorch_grad_cam as pgc  # noqa: E402
import torchcam.methods as torchcam  # noqa: E402
from pytorch_grad_cam.utils import model_targets  # noqa: E402

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PACKAGES = ("torch", "torchvision", "grad-cam", "torchcam", "captum", "numpy")
SCALE = 1000.0


class Shortcut(nn.Module):
    """Every second pixel, and zero channels on both sides."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        pad = (0, 0, 0, 0, self.channels, self.channels)
        return nn.functional.pad(x[:, :, ::2, ::2], pad)


class Add(nn.Module):
    def forward(self, a, b):
        return a + b


class Concat(nn.Module):
    def forward(self, *x):
        return torch.cat(x, dim=1)


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def module_of(node, weights):
    """The module of one node, without its activation."""
    op = node["op"]
    if op == "conv":
        kernel = torch.tensor(weights[node["w"]])
        pad = 0 if node["pad"] == "VALID" else node["pad"][0][0]
        out, inside, size, _ = kernel.shape
        conv = nn.Conv2d(inside, out, size, node["stride"], pad, bias=bool(node["b"]))
        conv.weight.data = kernel
        if node["b"]:
            conv.bias.data = torch.tensor(weights[node["b"]])
        return (
            nn.Sequential(conv, norm_of(node["bn"], weights)) if "bn" in node else conv
        )
    if op == "linear":
        linear = nn.Linear(*weights[node["w"]].shape[::-1])
        linear.weight.data = torch.tensor(weights[node["w"]])
        linear.bias.data = torch.tensor(weights[node["b"]])
        return linear
    if op == "maxpool":
        return nn.MaxPool2d(node["k"], node["stride"])
    if op == "shortcutA":
        return Shortcut(node["pad_channels"])
    return {"add": Add, "concat": Concat, "gap": Mean}[op]()


def norm_of(bn, weights):
    norm = nn.BatchNorm2d(len(weights[bn["gamma"]]), eps=bn["eps"])
    norm.weight.data = torch.tensor(weights[bn["gamma"]])
    norm.bias.data = torch.tensor(weights[bn["beta"]])
    norm.running_mean.data = torch.tensor(weights[bn["mean"]])
    norm.running_var.data = torch.tensor(weights[bn["var"]])
    return norm


class Net(nn.Module):
    """The graph of `arch.json` from one node's output to the logits."""

    def __init__(self, nodes, weights, start="input"):
        super().__init__()
        outs = [node["out"] for node in nodes]
        first = 0 if start == "input" else outs.index(start) + 1
        self.nodes, self.start = nodes[first:], start
        for node in self.nodes:
            layer = [module_of(node, weights)]
            if node.get("act") == "relu":
                layer.append(nn.ReLU())
            name = node["out"].replace(".", "_")
            self.add_module(name, layer[0])
            self.add_module(
                name + "_out", layer[-1] if len(layer) > 1 else nn.Identity()
            )

    def layer(self, name):
        return getattr(self, name.replace(".", "_") + "_out")

    def forward(self, x):
        values = {self.start: x}
        for node in self.nodes:
            name = node["out"].replace(".", "_")
            inputs = [values[i] for i in node["inputs"]]
            values[node["out"]] = getattr(self, name + "_out")(
                getattr(self, name)(*inputs)
            )
        return values["logits"]


def native(method, net, layer, x, targets):
    """A pytorch-grad-cam map before it is rectified, scaled and resized."""
    seen = []
    with method(model=net, target_layers=[layer]) as cam:
        image_of = cam.get_cam_image
        cam.get_cam_image = lambda *a: seen.append(image_of(*a)) or seen[-1]
        cam(input_tensor=x, targets=targets)
    (image,) = seen
    return image.detach().numpy() if isinstance(image, torch.Tensor) else image


def pgc_maps(net, layer, x, classes):
    plain = [model_targets.ClassifierOutputTarget(c) for c in classes]
    rest = [model_targets.ClassifierOutputReST(c) for c in classes]

    def scaled(c):
        return lambda logits: SCALE * logits[c]

    methods = {
        "grad_cam": (pgc.GradCAM, plain),
        "grad_cam_plus_plus": (pgc.GradCAMPlusPlus, [scaled(c) for c in classes]),
        "xgrad_cam": (pgc.XGradCAM, plain),
        "layer_cam": (pgc.LayerCAM, plain),
        "hires_cam": (pgc.HiResCAM, plain),
        "grad_cam_elementwise": (pgc.GradCAMElementWise, plain),
        "eigen_cam": (pgc.EigenCAM, plain),
        "eigen_grad_cam": (pgc.EigenGradCAM, plain),
        "ablation_cam": (pgc.AblationCAM, plain),
        "score_cam": (pgc.ScoreCAM, plain),
        "shapley_cam": (pgc.ShapleyCAM, rest),
    }
    maps = {}
    for name, (method, targets) in methods.items():
        maps[f"pytorch-grad-cam/{name}"] = native(method, net, layer, x, targets)
    with torch.no_grad():
        logits = net(x).numpy()
    finer = []
    for row, c in zip(logits, classes, strict=True):
        near = np.argsort(np.abs(row - row[c]), kind="stable")
        near = [int(i) for i in near if i != c][:3]
        finer.append(model_targets.FinerWeightedTarget(int(c), near, 1.0))
    maps["pytorch-grad-cam/finer_cam"] = native(pgc.GradCAM, net, layer, x, finer)
    return maps


def torchcam_maps(net, layer, x, classes, linear):
    methods = {
        "grad_cam": (torchcam.GradCAM, {}),
        "grad_cam_plus_plus": (torchcam.GradCAMpp, {}),
        "xgrad_cam": (torchcam.XGradCAM, {}),
        "layer_cam": (torchcam.LayerCAM, {}),
        "score_cam": (torchcam.ScoreCAM, {}),
        "finer_cam": (torchcam.FinerCAM, {}),
    }
    if linear is not None:
        methods["cam"] = (torchcam.CAM, {"fc_layer": linear})
    maps, shape = {}, tuple(x.shape[1:])
    for name, (method, options) in methods.items():
        with method(net, layer, input_shape=shape, **options) as extractor:
            scores = net(x)
            out = extractor(list(classes), scores, normalized=False)
        maps[f"torch-cam/{name}"] = out[0].detach().numpy()
    return maps


def captum_maps(net, x, classes):
    """Attributions to the image, summed over channels."""
    target = torch.tensor(classes)
    zero = torch.zeros_like(x)
    saliency = captum.Saliency(net).attribute(x, target)
    occlusion = captum.Occlusion(net).attribute(
        x, (3, 8, 8), strides=(3, 4, 4), baselines=0, target=target
    )
    integrated = captum.IntegratedGradients(net).attribute(
        x, zero, target, n_steps=50, method="gausslegendre"
    )
    product = captum.InputXGradient(net).attribute(x, target)
    return {
        "captum/gradient": saliency.max(1).values.detach().numpy(),
        "captum/input_x_gradient": product.sum(1).detach().numpy(),
        "captum/integrated_gradients": integrated.sum(1).detach().numpy(),
        "captum/occlusion": occlusion.mean(1).detach().numpy(),
    }


def lift_maps(net, head, name, x, classes):
    """LIFT-CAM by captum's DeepLIFT of the part above the layer."""
    kept = []
    handle = net.layer(name).register_forward_hook(lambda m, i, o: kept.append(o))
    net(x)
    handle.remove()
    a = kept[0].detach()
    contributions = captum.DeepLift(head).attribute(
        a, torch.zeros_like(a), torch.tensor(classes)
    )
    weights = contributions.sum((2, 3), keepdim=True)
    return {"captum/lift_cam": torch.relu((weights * a).sum(1)).detach().numpy()}


def make(folder, name, layers, count):
    arch = json.loads((folder / name / "arch.json").read_text())
    weights = dict(np.load(next((folder / name).glob(f"{name}*.npz"))))
    images = np.load(folder / name / "reference.npz")
    image = images[next(k for k in images.files if images[k].dtype == np.uint8)][:count]
    x = (image / 255 - np.array(MEAN)) / np.array(STD)
    x = torch.tensor(x.transpose(0, 3, 1, 2), dtype=torch.float32)
    net = Net(arch["nodes"], weights).eval()
    with torch.no_grad():
        logits = net(x).numpy()
    classes = [int(c) for c in logits.argmax(1)]
    classes[-1] = int(np.argsort(logits[-1])[-2])  # Not only winners.
    out = {"logits": logits, "classes": np.array(classes)}
    for layer in layers:
        maps = pgc_maps(net, net.layer(layer), x, classes)
        linear = getattr(net, "logits", None)
        last = layer == layers[-1] and isinstance(linear, nn.Linear)
        maps |= torchcam_maps(
            net, net.layer(layer), x, classes, linear if last else None
        )
        if name.startswith("resnet"):
            head = Net(arch["nodes"], weights, start=layer).eval()
            maps |= lift_maps(net, head, layer, x, classes)
        out |= {f"{layer}/{key}": value for key, value in maps.items()}
    if x.shape[-1] <= 32:
        out |= {f"input/{k}": v for k, v in captum_maps(net, x, classes).items()}
    versions = {p: importlib.metadata.version(p) for p in PACKAGES}
    out = {k: np.asarray(v, np.float32) for k, v in out.items()}
    path = Path(__file__).parent / f"methods_{name}.npz"
    np.savez_compressed(path, versions=json.dumps(versions), **out)


if __name__ == "__main__":
    torch.manual_seed(0)
    shared = Path(sys.argv[1])
    make(shared, "resnet20_cifar10", ["layer2.2.out", "layer3.2.out"], 2)
    make(shared, "squeezenet1_1", ["fire10", "fire22"], 1)
