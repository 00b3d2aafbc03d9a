"""The peers' side of `bench_methods`: answers requests on its standard input.

Run in an environment of its own, with torch, torchvision, grad-cam and torchcam. The
request `versions` is answered with those of the libraries, as JSON; any other is
`library net method batch side`, answered with `done` when the maps are made. The
networks are torchvision's with random weights, fed random images: the time of these
methods depends on neither.
"""

import contextlib
import functools
import importlib.metadata
import io
import json
import sys

import torch

# The wheel of torchvision beside a CPU build of torch lacks its compiled operators.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float threshold) -> Tensor")

import pytorch_grad_cam  # noqa: E402
import torchcam.methods  # noqa: E402
import torchvision.models  # noqa: E402
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: E402

PACKAGES = ("torch", "torchvision", "grad-cam", "torchcam", "numpy")
LAYERS = {
    "squeezenet1_1": "features.12",
    "mobilenet_v2": "features.18",
    "resnet18": "layer4",
    "resnet50": "layer4",
}
NAMES = {
    "pytorch-grad-cam": {
        "grad_cam": "GradCAM",
        "grad_cam_plus_plus": "GradCAMPlusPlus",
        "xgrad_cam": "XGradCAM",
        "layer_cam": "LayerCAM",
        "hires_cam": "HiResCAM",
        "grad_cam_elementwise": "GradCAMElementWise",
        "eigen_grad_cam": "EigenGradCAM",
        "score_cam": "ScoreCAM",
    },
    "torch-cam": {
        "grad_cam": "GradCAM",
        "grad_cam_plus_plus": "GradCAMpp",
        "xgrad_cam": "XGradCAM",
        "layer_cam": "LayerCAM",
    },
}


@functools.cache
def network(name):
    torch.manual_seed(0)
    return getattr(torchvision.models, name)(weights=None).eval()


@functools.cache
def images(batch, side):
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


def explain(library, name, method, batch, side):
    """One call, as the library's documentation shows it."""
    net, x = network(name), images(batch, side)
    layer = net.get_submodule(LAYERS[name])
    targets = [0] * batch
    if library == "forward":
        with torch.no_grad():
            net(x)
    elif library == "pytorch-grad-cam":
        extractor = getattr(pytorch_grad_cam, NAMES[library][method])
        with extractor(model=net, target_layers=[layer]) as cam:
            cam(input_tensor=x, targets=[ClassifierOutputTarget(t) for t in targets])
    else:
        extractor = getattr(torchcam.methods, NAMES[library][method])
        with extractor(net, layer, input_shape=tuple(x.shape[1:])) as cam:
            cam(targets, net(x))


def main():
    for line in sys.stdin:
        if line.strip() == "versions":
            found = {name: importlib.metadata.version(name) for name in PACKAGES}
            print(json.dumps(found | {"threads": torch.get_num_threads()}), flush=True)
            continue
        library, name, method, batch, side = line.split()
        with contextlib.redirect_stderr(io.StringIO()):
            explain(library, name, method, int(batch), int(side))
        print("done", flush=True)


if __name__ == "__main__":
    main()
