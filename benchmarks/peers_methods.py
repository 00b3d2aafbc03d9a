"""The peers' side of `bench_methods`: answers requests on its standard input.

Run by `bench_methods --peers PYTHON` in an environment of its own, with torch,
torchvision, grad-cam and torchcam. A request is `library network method batch`; the
answer is the seconds it took. The networks are torchvision's with random weights, fed
random images: the time of these methods depends on neither.
"""

import contextlib
import io
import sys
import time

import torch

# The wheel of torchvision beside a CPU build of torch lacks its compiled operators.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float threshold) -> Tensor")

import pytorch_grad_cam  # noqa: E402
import torchcam.methods  # noqa: E402
import torchvision.models  # noqa: E402
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: E402

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


def seconds(library, name, method, batch, nets={}):  # noqa: B006
    """One call, as the library's documentation shows it."""
    if name not in nets:
        torch.manual_seed(0)
        nets[name] = getattr(torchvision.models, name)(weights=None).eval()
    net = nets[name]
    layer = net.get_submodule(LAYERS[name])
    x = torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    targets = [0] * batch
    start = time.perf_counter()
    if library == "forward":
        with torch.no_grad():
            net(x)
    elif library == "pytorch-grad-cam":
        extractor = getattr(pytorch_grad_cam, NAMES[library][method])
        with extractor(model=net, target_layers=[layer]) as cam:
            cam(input_tensor=x, targets=[ClassifierOutputTarget(t) for t in targets])
    else:
        extractor = getattr(torchcam.methods, NAMES[library][method])
        with extractor(net, layer) as cam:
            cam(targets, net(x))
    return time.perf_counter() - start


def main():
    for line in sys.stdin:
        library, name, method, batch = line.split()
        with contextlib.redirect_stderr(io.StringIO()):
            answer = seconds(library, name, method, int(batch))
        print(answer, flush=True)


if __name__ == "__main__":
    main()
