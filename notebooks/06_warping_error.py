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
# # 06 · What does the warping error see that pixels do not?
#
# Two predictions can miss the truth by equally many pixels, one because its outline is a
# little off, the other because it is torn. The warping error deforms one mask towards the
# other by flips that keep its topology, and counts what still differs. This notebook
# shows the deformation frame by frame, with what is left coloured by event.
#
# Run time: about a minute on two CPU cores.
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxcam/jaxcam/blob/main/notebooks/06_warping_error.ipynb)

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("jaxcam") is None:  # On Colab; a preinstalled JAX stays.
    command = [sys.executable, "-m", "pip", "install", "-q", "jaxcam-eval[viz]"]
    subprocess.run(command, check=True)

import os

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from jaxcam.metrics import topology
from jaxcam.ops import events, flow, warping

TINY = bool(os.environ.get("JAXCAM_TINY"))
SIDE = 64

# %% [markdown]
# ## A truth and two predictions
#
# The truth has two objects, one of them with a hole. The first prediction is displaced
# and swollen but whole; the second has its left object cut in two, no hole, and a speck.


# %%
def disc(y, x, radius):
    rows, columns = np.indices((SIDE, SIDE))
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


truth = (disc(32, 18, 13) | disc(34, 46, 11)) & ~disc(34, 46, 4)
displaced = (disc(35, 15, 12) | disc(31, 49, 13)) & ~disc(32, 47, 3)
torn = (disc(32, 18, 13) & (abs(np.indices((SIDE, SIDE))[0] - 33) > 1)) | disc(
    34, 46, 11
)
torn = torn | disc(8, 40, 2)

for name, mask in (("displaced", displaced), ("torn", torn)):
    error = topology.warping_error_pixels(
        jnp.asarray(mask), jnp.asarray(truth), radius=None
    )
    pixels = int((mask ^ truth).sum())
    print(f"{name:10s} differs in {pixels:3d} pixels, once warped in {int(error):3d}")

# %% [markdown]
# ## The deformation
#
# Each frame lets the mask move further from where it began (`band`). Dark grey is where
# the mask agrees with the truth, light grey where it differs out of reach; colours are
# the mismatches within reach that no bending can remove, by what their flip would do.

# %%
COLOURS = {
    "merge": "tab:red",
    "split": "tab:purple",
    "object_added": "tab:blue",
    "object_deleted": "tab:cyan",
    "hole_added": "tab:orange",
    "hole_deleted": "tab:green",
}


def picture(mask, target, within):
    """The mask in grey, what differs lighter, and in colour where it is stuck."""
    mask, target, within = (np.asarray(m) for m in (mask, target, within))
    image = np.where((mask & target)[..., None], 0.45, 1.0) * np.ones(3)
    image[mask ^ target] = 0.8
    happens = events.flip_events(jnp.asarray(mask))
    for name, number in happens._asdict().items():
        stuck = (mask ^ target) & within & (np.asarray(number) > 0)
        image[stuck] = to_rgb(COLOURS[name])
    return image


def strip(frames, target):
    """Frames side by side: each a title, a mask and the pixels within its reach."""
    figure, axes = plt.subplots(1, len(frames), figsize=(2.2 * len(frames), 2.6))
    for axis, (title, mask, within) in zip(axes, frames, strict=True):
        axis.imshow(picture(mask, target, within), interpolation="nearest")
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c in COLOURS.values()]
    figure.legend(handles, COLOURS, loc="lower center", ncols=6, fontsize=8)
    plt.show()


def bent(source, target, steps):
    """A frame: the source bent towards the target by at most so many pixels."""
    source, target = jnp.asarray(source), jnp.asarray(target)
    free = warping.flippable(source, band=steps)
    return f"up to {steps} pixels", warping.warp(source, target, may_flip=free), free


# %%
for mask in (displaced, torn):
    steps = [0, 12] if TINY else [0, 1, 2, 3, 5, 12]
    strip([bent(mask, truth, step) for step in steps], truth)

# %% [markdown]
# From the prediction to the truth the events are the repairs that the prediction needs.
# From the truth to the prediction they are the mistakes that it made.

# %%
for direction in ("prediction_to_truth", "truth_to_prediction"):
    counts = topology.warping_events(
        jnp.asarray(torn), jnp.asarray(truth), radius=None, direction=direction
    )
    found = zip(topology.EVENTS, np.asarray(counts, int), strict=True)
    print(direction, {name: int(number) for name, number in found if number})

# %% [markdown]
# ## Where flipping gets stuck
#
# Any mask of one object without a hole is a warping of any other. Flips alone find that
# only where the two overlap well: from afar the source shrinks to a point instead. Led
# along a smooth deformation, found by gradient descent, it gets there.

# %%
far = jnp.asarray(disc(14, 14, 9) | disc(20, 24, 6))
goal = jnp.asarray(disc(46, 46, 11) & ~disc(35, 46, 6))
times = 2 if TINY else 5
stations = flow.path(far, goal, times=times, steps=10 if TINY else 100)

nothing, everything = jnp.zeros_like(far), jnp.ones_like(far)
led = [("source", far, nothing)]
for i, station in enumerate(stations):
    led.append(
        (f"t = {(i + 1) / times:.1f}", warping.warp(led[-1][1], station), nothing)
    )
led.append(("led, at the end", warping.warp(led[-1][1], goal), everything))
led.append(("flips alone", warping.warp(far, goal), everything))
strip(led, goal)

for title, mask, _ in led[-2:]:
    print(f"{title}: {int(jnp.sum(mask ^ goal))} pixels differ")
