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
# # 01 · How good are the explanations of a network?
#
# A network names the object in an image; a class activation map shows where it looked.
# This notebook makes such maps, scores them against the truth, and reads the answer:
# which method is better, and how sure is that?
#
# Run time: about a minute on two CPU cores.
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxcam/jaxcam/blob/main/notebooks/01_quick_start.ipynb)

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("jaxcam") is None:  # On Colab; a preinstalled JAX stays.
    command = [sys.executable, "-m", "pip", "install", "-q", "jaxcam-eval[viz]"]
    subprocess.run(command, check=True)

import os
import tempfile
from pathlib import Path

import numpy as np

import jaxcam

TINY = bool(os.environ.get("JAXCAM_TINY"))

# %% [markdown]
# ## One image
#
# The shipped net was trained on procedural images whose objects are known to the pixel.
# `jaxcam.explain` returns one map an image, `float32[B, H, W]`.

# %%
model = jaxcam.models.load("shapes_net")
dataset = jaxcam.data.open_dataset("shapes")
record = dataset.records[3]
image, truth = record.image(), record.truth().object
maps = jaxcam.explain(model, image[None], method=["grad_cam", "layer_cam"])
{name: found.shape for name, found in maps.items()}

# %%
jaxcam.plot.overlay(image, maps["grad_cam"][0], truth=truth, title=record.category)

# %% [markdown]
# Every metric is a function of one map and one mask. This one is the share of the map's
# energy that lies on the object:

# %%
score = jaxcam.metrics.energy_pointing_game(maps["grad_cam"][0], truth)
floor = jaxcam.metrics.energy_pointing_game(np.ones_like(maps["grad_cam"][0]), truth)
print(f"Grad-CAM {float(score):.3f}, a map that says nothing {float(floor):.3f}")

# %% [markdown]
# ## A data set
#
# `jaxcam.evaluate` explains and scores every image. Means come with 95 % intervals, and
# every table shows what a uniform, a centred or a random map would have scored.

# %%
folder = Path(tempfile.mkdtemp()) / "run"
result = jaxcam.evaluate(
    model,
    dataset,
    methods=["cam", "grad_cam", "layer_cam"],
    metrics=["energy_pointing_game", "pointing_game", "localization_error", "dice"],
    limit=16 if TINY else 128,
    out=folder,
)
print(result.to_text())

# %% [markdown]
# ## Which method is better, and how sure is that?
#
# Methods are compared on the same images: the difference with its paired interval, and
# the p-value of a permutation test, corrected after Holm.

# %%
for r in result.compare(metrics=["energy_pointing_game"], floors=()):
    print(
        f"{r['a']} - {r['b']}: {r['difference']:+.3f} "
        f"[{r['low']:+.3f}, {r['high']:+.3f}], p = {r['p_holm']:.4f}, "
        f"wins {r['win_rate']:.0%}"
    )

# %%
jaxcam.plot.distribution(result, "energy_pointing_game")

# %% [markdown]
# ## Everything at once
#
# The report is one HTML file: tables that sort, comparisons, distributions, whether the
# metrics agree, and a gallery of the best, the worst and the misinterpreted images.

# %%
report = jaxcam.report(folder, pictures=2)
print(f"{report.name}: {report.stat().st_size / 1e6:.1f} MB, opens without a network")
