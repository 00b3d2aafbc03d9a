# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · What does each metric see?
#
# Six maps of one image, from perfect to useless, and what every metric that needs no
# model makes of them. A picture first, then the numbers, then one family after the other.
#
# Run time: about two minutes on two CPU cores, most of it compiling.
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxcam/jaxcam/blob/main/notebooks/03_every_metric.ipynb)

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("jaxcam") is None:  # On Colab; a preinstalled JAX stays.
    command = [sys.executable, "-m", "pip", "install", "-q", "jaxcam-eval[viz]"]
    subprocess.run(command, check=True)

import os

import matplotlib.pyplot as plt
import numpy as np

import jaxcam
from jaxcam import ops, plan, registry

TINY = bool(os.environ.get("JAXCAM_TINY"))
SIDE = 64

# %% [markdown]
# ## Six maps
#
# The object is a ring on the left and a small disc on the right.

# %%
rows, columns = np.indices((SIDE, SIDE))


def distance(y, x):
    return np.hypot(rows - y, columns - x)


truth = (distance(32, 22) < 15) & (distance(32, 22) > 6) | (distance(30, 52) < 5)
noise = np.random.default_rng(0).random((SIDE, SIDE))
MAPS = {
    "truth": truth.astype(float),
    "blurred": np.exp(-(np.abs(distance(32, 22) - 10) ** 2) / 60),
    "one part": np.exp(-(distance(32, 12) ** 2) / 20),
    "shifted": np.exp(-(distance(42, 34) ** 2) / 160),
    "scattered": np.where(truth, 1.0, 0.55) * noise**4,
    "uniform": np.ones((SIDE, SIDE)),
}
MAPS = {name: values.astype(np.float32) for name, values in MAPS.items()}


def strip(draw):
    _, axes = plt.subplots(1, len(MAPS), figsize=(11, 2.2))
    for axis, (name, saliency) in zip(axes, MAPS.items(), strict=True):
        draw(axis, saliency)
        axis.contour(truth, [0.5], colors="#00e5ff", linewidths=1)
        axis.set_title(name, fontsize=9)
        axis.axis("off")
    plt.show()


strip(lambda axis, saliency: axis.imshow(saliency, cmap="plasma", vmin=0, vmax=1))

# %% [markdown]
# ## What overlap metrics see
#
# They cut the map at its mean and keep the largest connected component. Small objects
# and scattered energy are lost at this step; boxes (dotted) hide holes and gaps.


# %%
def region(axis, saliency):
    salient = ops.binarize(ops.normalize(saliency, rule="max"), rule="mean")
    component = ops.largest_component(salient)
    axis.imshow(np.where(component, 0.45, np.where(salient, 0.8, 1.0)), "gray", vmin=0)
    y0, x0, y1, x1 = (int(v) for v in ops.bounding_box(component))
    frame = plt.Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, ls=":")
    axis.add_patch(frame)


strip(region)

# %% [markdown]
# ## What pointing sees: one pixel. What energy sees: all of them


# %%
def peak(axis, saliency):
    axis.imshow(saliency, cmap="gray_r", vmin=0, vmax=2)
    y, x = np.unravel_index(np.argmax(saliency), saliency.shape)
    axis.plot(x, y, "x", color="#D55E00", ms=9, mew=2)


strip(peak)

# %% [markdown]
# ## What ranking sees: the order of the pixels
#
# `relevance_rank_accuracy` takes as many pixels as the object has, the most salient
# first. Any increasing transform of the map leaves it as it is.


# %%
def ranked(axis, saliency):
    top = np.argsort(-saliency, axis=None, kind="stable")[: truth.sum()]
    chosen = np.isin(np.arange(saliency.size), top).reshape(saliency.shape)
    shades = np.where(chosen & truth, 0.35, np.where(chosen, 0.75, 1.0))
    axis.imshow(shades, "gray", vmin=0, vmax=1)


strip(ranked)

# %% [markdown]
# ## What thresholds searched see: every cut at once
#
# `max_box_accuracy` stores the IoU of the largest component's box at each threshold; the
# data set then takes the one that is best for all images.

# %%
curves = {
    name: jaxcam.score(
        saliency[None],
        truth[None],
        metrics=["max_box_accuracy[thresholds=100]"],
        floors=False,
    ).values("max_box_accuracy[thresholds=100]", "maps")[0]
    for name, saliency in MAPS.items()
}
_, axis = plt.subplots(figsize=(5, 2.6))
for (name, curve), dash in zip(curves.items(), ["-", "--", ":"] * 2, strict=True):
    axis.plot(np.arange(100) / 100, curve, dash, label=name)
axis.set_xlabel("threshold")
axis.set_ylabel("IoU of the box")
axis.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## Every metric that needs only map and truth
#
# Arrows say which way is better; the ceiling is what the truth itself would score.

# %%
suite = ["localization"] if TINY else ["model_free", "warping_error"]
names = [m for m in plan.expand_suites(suite) if "max_" not in m]
maps = np.stack(list(MAPS.values()))
masks = np.repeat(truth[None], len(maps), axis=0)
result = jaxcam.score(maps, masks, metrics=names, floors=False)
arrows = {1: "↑", -1: "↓", 0: ""}
print(" " * 44 + "".join(f"{name:>11}" for name in MAPS))
for name in result.metrics:
    values = result.values(name, "maps")
    if values.ndim == 1:
        label = f"{name} {arrows[result.direction(name)]}"
        print(f"{label:44}" + "".join(f"{value:11.3f}" for value in values))

# %% [markdown]
# ## Which of them agree?
#
# Orders of the six maps, metric against metric, from methods turned into rows.

# %%
ordered = [m for m in result.metrics if result.values(m, "maps").ndim == 1]
ordered = [m for m in ordered if result.direction(m)]
records = jaxcam.rank_agreement(
    result, over="images", coefficient="spearman", metrics=ordered[:16], resamples=100
)
jaxcam.plot.correlation(records)

# %% [markdown]
# ## Metrics that ask the model
#
# These hide or reveal pixels and ask the network again; `insertion` puts the most salient
# pixels on a blurred canvas, and its area is large if few pixels convince the network.

# %%
asked = jaxcam.evaluate(
    jaxcam.models.load("shapes_net"),
    "shapes",
    methods=["grad_cam"],
    metrics=["insertion[steps=16]", "insertion_curve[steps=16]", "average_drop"],
    limit=4 if TINY else 32,
)
print(asked.to_text())
jaxcam.plot.curves(asked, "insertion_curve[steps=16]")

# %% [markdown]
# What each metric means, its formula and its source are in its docstring:

# %%
for name in ("energy_pointing_game", "warping_error", "insertion"):
    spec = registry.metric(name)
    print(f"{name}: {spec.summary}\n  {spec.formula}  ({spec.source})")
