"""The peers' side of `bench_probes`: answers requests on its standard input.

Run in an environment of its own, with torch, torchvision and grad-cam. The request
`versions` is answered with those of the libraries, as JSON; `curves net side steps`
after insertion and deletion of one image, a forward pass a step, as published
evaluation scripts do it; `impute FILE` after pytorch-grad-cam's imputation of every
image of an npz file by every mask, `check FILE OUT` after writing the filled images.
"""

import functools
import importlib.metadata
import json
import sys

import numpy as np
import torch

# The wheel of torchvision beside a CPU build of torch lacks its compiled operators.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float threshold) -> Tensor")

import torchvision.models  # noqa: E402
from pytorch_grad_cam.metrics.road import NoisyLinearImputer  # noqa: E402

PACKAGES = ("torch", "torchvision", "grad-cam", "numpy")


@functools.cache
def network(name):
    torch.manual_seed(0)
    return getattr(torchvision.models, name)(weights=None).eval()


@torch.no_grad()
def curves(name, side, steps):
    """Both curves of one image: pixels change in place, a forward pass a step."""
    net, rng = network(name), np.random.default_rng(0)
    image = torch.randn(1, 3, side, side)
    blurred = torch.nn.functional.avg_pool2d(image, 11, 1, 5)
    order = np.argsort(-rng.random(side * side))
    per_step = side * side // steps
    target = int(net(image).argmax())
    for start, finish in ((blurred, image), (image, torch.zeros_like(image))):
        now = start.clone()
        scores = np.empty(steps + 1)
        for step in range(steps + 1):
            scores[step] = float(torch.softmax(net(now), dim=1)[0, target])
            changed = order[step * per_step : (step + 1) * per_step]
            now.view(1, 3, -1)[0, :, changed] = finish.view(1, 3, -1)[0, :, changed]


def imputed(path):
    given = np.load(path)
    imputer = NoisyLinearImputer(noise=0.0)
    return [
        imputer(
            torch.from_numpy(image).permute(2, 0, 1),
            torch.from_numpy(1.0 - removed.astype(np.float32)),
        )
        .permute(1, 2, 0)
        .numpy()
        for image, masks in zip(given["images"], given["removed"], strict=True)
        for removed in masks
    ]


def main():
    for line in sys.stdin:
        request, *words = line.split()
        if request == "versions":
            found = {name: importlib.metadata.version(name) for name in PACKAGES}
            print(json.dumps(found | {"threads": torch.get_num_threads()}), flush=True)
            continue
        if request == "curves":
            curves(words[0], int(words[1]), int(words[2]))
        elif request == "impute":
            imputed(words[0])
        elif request == "check":
            np.save(words[1], np.stack(imputed(words[0])))
        print("done", flush=True)


if __name__ == "__main__":
    main()
