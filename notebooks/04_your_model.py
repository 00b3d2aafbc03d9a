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
# # 04 · How do I explain and score my own Flax model?
#
# An nnx or linen model is taken as it is: nothing is edited, no layer is renamed. This
# notebook wraps one of each, lists what can be tapped, and evaluates it on a folder of
# images and masks.
#
# Run time: less than a minute on two CPU cores.
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxcam/jaxcam/blob/main/notebooks/04_your_model.ipynb)

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("jaxcam") is None:  # On Colab; a preinstalled JAX stays.
    command = [sys.executable, "-m", "pip", "install", "-q", "jaxcam-eval[viz]"]
    subprocess.run(command, check=True)

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from PIL import Image

import jaxcam

# %% [markdown]
# ## A folder of images and masks
#
# `images/` and `masks/` hold files of the same names; a mask is 0 and 255, or 0 and 1.
# `labels.csv` names the classes, if they are known. Here the files are drawn.

# %%
folder = Path(tempfile.mkdtemp()) / "my_images"
for part in ("images", "masks"):
    (folder / part).mkdir(parents=True)
shapes = jaxcam.data.open_dataset("shapes:test,n=12")
lines = ["file,label"]
for record in shapes.records:
    Image.fromarray(record.image()).save(folder / "images" / f"{record.id}.png")
    mask = np.uint8(255 * record.truth().object)
    Image.fromarray(mask).save(folder / "masks" / f"{record.id}.png")
    lines.append(f"{record.id}.png,{record.category}")
(folder / "labels.csv").write_text("\n".join(lines))
dataset = jaxcam.data.open_dataset(folder)
print(len(dataset), "images of", ", ".join(dataset.class_names))

# %% [markdown]
# ## An nnx model
#
# Any `nnx.Module` that maps images to logits. `size`, `mean` and `std` are what it was
# trained with.


# %%
class Net(nnx.Module):
    def __init__(self, classes, rngs):
        self.first = nnx.Conv(3, 16, (3, 3), strides=2, rngs=rngs)
        self.second = nnx.Conv(16, 32, (3, 3), strides=2, rngs=rngs)
        self.head = nnx.Linear(32, classes, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.second(nnx.relu(self.first(x))))
        return self.head(x.mean(axis=(1, 2)))


classes = len(dataset.class_names)
model = jaxcam.models.wrap(
    Net(classes, nnx.Rngs(0)),
    size=64,
    mean=0.5,
    std=0.25,
    class_names=dataset.class_names,
    label_set=dataset.label_set,
)
print("can be tapped:", ", ".join(model.layers))

# %%
result = jaxcam.evaluate(
    model,
    dataset,
    methods=["grad_cam[layer=second]", "layer_cam[layer=second]"],
    metrics=["energy_pointing_game", "localization_error[region=box]"],
)
print(result.to_text())

# %% [markdown]
# The parameters are random, so the maps are hardly better than the floors: as it should
# be. `label_set` says that the outputs are the folder's classes in alphabetical order;
# without it the predicted class is explained.

# %%
image = dataset.records[0].image()
jaxcam.plot.overlay(
    image,
    jaxcam.explain(model, image[None], method="grad_cam", layer="second")[0],
    truth=dataset.records[0].truth().object,
    title="an untrained net",
)

# %% [markdown]
# ## A linen model
#
# A pair of the module and its variables.


# %%
class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(16, (3, 3), strides=2, name="first")(x))
        x = linen.relu(linen.Conv(32, (3, 3), strides=2, name="second")(x))
        return linen.Dense(classes)(x.mean(axis=(1, 2)))


module = LinenNet()
variables = module.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
linen_model = jaxcam.models.wrap((module, variables), size=64)
maps = jaxcam.explain(
    linen_model, image[None], method=["grad_cam", "eigen_cam"], layer="second"
)
{name: found.shape for name, found in maps.items()}

# %% [markdown]
# ## Maps that exist already
#
# Maps of any framework are scored without a model; their ids are the files' names.

# %%
saved = {record.id: np.ones((7, 7), np.float32) for record in dataset.records}
print(jaxcam.score(saved, dataset, metrics=["energy_pointing_game"]).to_text())
