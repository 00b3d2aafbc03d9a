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
# # 02 · Can the paper's Table 1 be reproduced?
#
# Table 1 of "Foreground segmentation to measure deep neural networks interpretability"
# (Aabid and Sicre) sets six columns side by side: localisation error, energy pointing
# game and F1, each measured on boxes (LE, EPG, F1) and on pixel masks (MLE, MEPG, MF1).
# This notebook prints the same columns for real photographs of pets, under two readings:
#
# - `paper`: the formulas as the text means them;
# - `seed_code`: what the published notebook computes.
#
# Run time: about ten minutes on two CPU cores; a minute with `TINY`.
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxcam/jaxcam/blob/main/notebooks/02_table1.ipynb)

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("jaxcam") is None:  # On Colab; a preinstalled JAX stays.
    command = [sys.executable, "-m", "pip", "install", "-q", "jaxcam-eval[viz]"]
    subprocess.run(command, check=True)

import os
from pathlib import Path

import jaxcam

TINY = bool(os.environ.get("JAXCAM_TINY"))
SHARED = Path(os.environ.get("JAXCAM_SHARED", "../../shared"))
REAL = (SHARED / "data" / "oxford_pets").is_dir()

# %% [markdown]
# ## Models and images
#
# With the folder of photographs and weights at hand (`JAXCAM_SHARED`), two ImageNet
# networks explain 658 pets; the explained class is the best-scored one inside the
# species' range of classes. Without it, the shipped net explains procedural shapes: the
# columns mean the same, the figures differ.

# %%
if REAL:
    dataset = jaxcam.data.open_dataset(SHARED / "data" / "oxford_pets")
    weights = SHARED / "weights"
    models = {
        name: jaxcam.models.load(name, weights=weights / name / f"{name}.npz")
        for name in ("squeezenet1_1", "darknet_tiny")
    }
else:
    dataset = jaxcam.data.open_dataset("shapes")
    models = {"shapes_net": jaxcam.models.load("shapes_net")}
limit = 8 if TINY else None

# %% [markdown]
# ## The six columns
#
# The border class of the trimap counts as object, the paper's choice.

# %%
COLUMNS = {
    "LE": "localization_error[region=box]",
    "MLE": "localization_error",
    "EPG": "energy_pointing_game[region=box]",
    "MEPG": "energy_pointing_game",
    "F1": "dice[region=box]",
    "MF1": "dice",
}
METHODS = ["cam", "grad_cam"]


def table(model, preset):
    result = jaxcam.evaluate(
        model,
        dataset,
        methods=METHODS,
        metrics=list(COLUMNS.values()),
        preset=preset,
        border="foreground",
        limit=limit,
    )
    return {(r["method"], r["metric"]): r for r in result.summary()}


tables = {
    (name, preset): table(model, preset)
    for name, model in models.items()
    for preset in ("paper", "seed_code")
}

# %%
for (name, preset), found in tables.items():
    print(f"\n{name}, preset {preset}")
    print(f"{'':12}" + "".join(f"{head:>8}" for head in COLUMNS))
    for method in dict.fromkeys(method for method, _ in found):
        values = [found[method, metric]["estimate"] for metric in COLUMNS.values()]
        print(f"{method:12}" + "".join(f"{value:8.3f}" for value in values))

# %% [markdown]
# ## What follows
#
# - **Table 1 cannot be reproduced.** No committed code computes it: the published
#   notebook has no component step, its boxes are one row and one column short, its IoU is
#   the recall (operator precedence), its F is a pixel-wise one on real-valued maps. And
#   the printed table contradicts itself: for every pair of regions F1 = 2 IoU / (1 + IoU),
#   so F1 can never be below IoU = 1 - LE *of the same image*, nor can their means.
# - **The two readings disagree** by more than the methods do: compare a column between
#   presets before comparing rows within one.
# - **Floors first.** Under `paper`, the box LE of a trained network's CAM is about that of
#   a *uniform* map on these photographs, because the pets fill their pictures; the mask
#   version (MLE) tells them apart. A number without its floor says nothing here.

# %%
for (name, preset), found in tables.items():
    for region in ("[region=box]", ""):
        for method in METHODS:
            error = found[method, f"localization_error{region}"]["estimate"]
            floor = found["uniform", f"localization_error{region}"]["estimate"]
            kind = "box" if region else "mask"
            print(
                f"{name:14} {preset:10} {method:9} {kind:5}"
                f" error {error:.3f}, uniform map {floor:.3f}"
            )
