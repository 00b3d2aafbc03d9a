"""Makes `methods_*.npz`: maps of peer libraries for the tests of `jaxcam.methods`.

Run once, in an environment of its own, with the folder of weights as the argument, and
names of the files to make, all by default:

    python tests/golden/make_methods.py ../shared/weights [NAME ...]

Needs torch, torchvision (imported by the peers), grad-cam, torchcam and captum. Every
file records the versions that made it. The networks are rebuilt from `arch.json` as
modules, so that the peers' hooks work; the images are those of `reference.npz`. The
ResNet-18 is torchvision's, with weights and BatchNorm statistics drawn by NumPy.
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
import torchvision.models  # noqa: E402
from pytorch_grad_cam.utils import model_targets  # noqa: E402

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PACKAGES = ("torch", "torchvision", "grad-cam", "torchcam", "captum", "numpy")
SCALE = 1000.0
AXES = {"OIHW": (0, 1, 2, 3), "OHWI": (0, 3, 1, 2), "1HWC": (3, 0, 1, 2)}
ACTIVATIONS = {"relu": nn.ReLU, "relu6": nn.ReLU6}


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
    def __init__(self, keep):
        super().__init__()
        self.keep = keep

    def forward(self, x):
        return x.mean((2, 3), keepdim=self.keep)


def module_of(node, weights):
    """The module of one node, without its activation."""
    op = node["op"]
    if op == "conv":
        kernel = torch.tensor(weights[node["w"]])
        kernel = kernel.permute(*AXES[node.get("layout", "OIHW")])
        same = node["pad"] == "SAME"
        pad = 0 if same or node["pad"] == "VALID" else node["pad"][0][0]
        out, _, size, _ = kernel.shape
        groups = node.get("groups", 1)
        conv = nn.Conv2d(
            kernel.shape[1] * groups,
            out,
            size,
            node["stride"],
            pad,
            groups=groups,
            bias=bool(node["b"]),
        )
        conv.weight.data = kernel.contiguous()
        if node["b"]:
            conv.bias.data = torch.tensor(weights[node["b"]])
        if same and size == 3:  # TensorFlow's rule, for sides that are even.
            before = 2 - node["stride"]
            return nn.Sequential(nn.ZeroPad2d((before, 1, before, 1)), conv)
        return (
            nn.Sequential(conv, norm_of(node["bn"], weights)) if "bn" in node else conv
        )
    if op == "linear":
        linear = nn.Linear(*weights[node["w"]].shape[::-1])
        linear.weight.data = torch.tensor(weights[node["w"]])
        linear.bias.data = torch.tensor(weights[node["b"]])
        return nn.Sequential(nn.Flatten(), linear)
    if op == "maxpool":
        return nn.MaxPool2d(node["k"], node["stride"])
    if op == "shortcutA":
        return Shortcut(node["pad_channels"])
    if op == "gap":
        return Mean(node.get("keepdims", False))
    return {"add": Add, "concat": Concat, "flatten": nn.Flatten}[op]()


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
            if node.get("act") in ACTIVATIONS:
                layer.append(ACTIVATIONS[node["act"]]())
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


def pgc_maps(net, layer, x, classes, leave_out=()):
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
        if name in leave_out:
            continue
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


def torchcam_maps(net, layer, x, classes, linear, leave_out=()):
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
        if name in leave_out:
            continue
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


def load(folder, name, count, mean=MEAN, std=STD):
    """Nodes, weights and preprocessed images of a network."""
    arch = json.loads((folder / name / "arch.json").read_text())
    weights = dict(np.load(next((folder / name).glob(f"{name}*.npz"))))
    images = np.load(folder / name / "reference.npz")
    image = images[next(k for k in images.files if images[k].dtype == np.uint8)][:count]
    x = (image / 255 - np.array(mean)) / np.array(std)
    return arch, weights, torch.tensor(x.transpose(0, 3, 1, 2), dtype=torch.float32)


def save(name, out):
    versions = {p: importlib.metadata.version(p) for p in PACKAGES}
    out = {
        k: v if np.asarray(v).dtype.kind == "U" else np.asarray(v, np.float32)
        for k, v in out.items()
    }
    path = Path(__file__).parent / f"methods_{name}.npz"
    np.savez_compressed(path, versions=json.dumps(versions), **out)


def make(folder, name, layers, count):
    arch, weights, x = load(folder, name, count)
    net = Net(arch["nodes"], weights).eval()
    with torch.no_grad():
        logits = net(x).numpy()
    classes = [int(c) for c in logits.argmax(1)]
    classes[-1] = int(np.argsort(logits[-1])[-2])  # Not only winners.
    out = {"logits": logits, "classes": np.array(classes)}
    for layer in layers:
        maps = pgc_maps(net, net.layer(layer), x, classes)
        linear = dict(net.named_modules()).get("logits.1")
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
    save(name, out)


def make_mobilenet(folder):
    """One image, at the last map and at one of 14 x 14."""
    arch, weights, x = load(folder, "mobilenet_v2_1.0_224", 1, 0.5, 0.5)
    net = Net(arch["nodes"], weights).eval()
    with torch.no_grad():
        logits = net(x).numpy()
    classes = [int(logits[0].argmax())]
    out = {"logits": logits, "classes": np.array(classes)}
    for layer in ("add46", "conv51"):
        left = ("score_cam", "cam")
        maps = pgc_maps(net, net.layer(layer), x, classes, left)
        maps |= torchcam_maps(net, net.layer(layer), x, classes, None, left)
        out |= {f"{layer}/{key}": value for key, value in maps.items()}
    save("mobilenet_v2", out)


def drawn_weights(shapes):
    """Arrays for a torch state dict, as `test_golden_zoo.py` draws them."""
    rng = np.random.default_rng(7)
    arrays = {}
    for name, shape in shapes:
        leaf = name.rpartition(".")[2]
        if len(shape) == 2:
            value = rng.normal(0, 0.01, shape)
        elif len(shape) == 4:
            value = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        elif leaf in ("running_mean", "bias"):
            value = rng.normal(0, 0.3, shape)
        else:
            value = rng.uniform(0.5, 1.5, shape)
        arrays[name] = value.astype(np.float32)
    return arrays


def make_resnet18():
    net = torchvision.models.resnet18(weights=None).eval()
    state = net.state_dict()
    shapes = [
        (name, list(value.shape))
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    ]
    drawn = drawn_weights(shapes)
    net.load_state_dict({n: torch.tensor(a) for n, a in drawn.items()}, strict=False)
    x = np.random.default_rng(8).normal(size=(2, 96, 96, 3)).astype(np.float32)
    x = torch.tensor(x.transpose(0, 3, 1, 2))
    with torch.no_grad():
        logits = net(x).numpy()
    classes = [int(logits[0].argmax()), int(np.argsort(logits[1])[-2])]
    out = {"logits": logits, "classes": np.array(classes)}
    out["shapes"] = np.array(json.dumps(shapes))
    for layer in ("layer3", "layer4"):
        module = net.get_submodule(layer)
        maps = pgc_maps(net, module, x, classes, ("score_cam",))
        linear = "fc" if layer == "layer4" else None
        maps |= torchcam_maps(net, module, x, classes, linear, ("score_cam",))
        out |= {f"{layer}/{key}": value for key, value in maps.items()}
    save("resnet18_random", out)


def make_score_cam(folder):
    """At a map as large as the image, where ways to upsample do not differ."""
    arch, weights, x = load(folder, "resnet20_cifar10", 2)
    net, layer = Net(arch["nodes"], weights).eval(), "layer1.2.out"
    with torch.no_grad():
        logits = net(x).numpy()
    classes = [int(c) for c in logits.argmax(1)]
    targets = [model_targets.ClassifierOutputTarget(c) for c in classes]
    maps = native(pgc.ScoreCAM, net, net.layer(layer), x, targets)
    key = f"{layer}/pytorch-grad-cam/score_cam"
    save("score_cam", {"logits": logits, "classes": np.array(classes), key: maps})


if __name__ == "__main__":
    torch.manual_seed(0)
    shared = Path(sys.argv[1])
    made = {
        "resnet20_cifar10": lambda: make(
            shared, "resnet20_cifar10", ["layer2.2.out", "layer3.2.out"], 2
        ),
        "squeezenet1_1": lambda: make(shared, "squeezenet1_1", ["fire10", "fire22"], 1),
        "mobilenet_v2": lambda: make_mobilenet(shared),
        "resnet18_random": make_resnet18,
        "score_cam": lambda: make_score_cam(shared),
    }
    for wanted in sys.argv[2:] or made:
        made[wanted]()
