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
# # 05 · Are mask-based metrics more accurate than box-based ones?
#
# A localisation metric holds a map of saliency against the object's *box* or against its
# *mask*. "Foreground segmentation to measure deep neural networks interpretability"
# (Aabid and Sicre) proposes masks. Two questions follow. Do mask versions tell an
# explanation from a map that knows nothing of the network more reliably? And do both
# rank methods the same way?
#
# The design was written before the first run and stands in
# [`jaxcam/experiments/README.md`](../jaxcam/experiments/README.md). One command makes all
# of it, and goes on where it was stopped:
#
# ```
# python -m jaxcam.experiments.box_versus_mask --data oxford_pets:DIR --weights DIR \
#     --out DIR
# ```
#
# This notebook reads its results (`05_box_versus_mask.json`; `JAXCAM_RESULTS` names
# another file). Its text says what was asked; what came out is printed by the cells,
# whose sentences are made from the numbers and can come out either way. What the design
# asked for is said first; what was asked only after results had been seen stands beside
# it as *found later*. Run time: seconds. With `JAXCAM_TINY` it runs the whole study
# instead, on eight procedural images: about a minute.
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxcam/jaxcam/blob/main/notebooks/05_box_versus_mask.ipynb)

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("jaxcam") is None:  # On Colab; a preinstalled JAX stays.
    command = [sys.executable, "-m", "pip", "install", "-q", "jaxcam-eval[viz]"]
    subprocess.run(command, check=True)

import json
import os
import tempfile
import textwrap
from pathlib import Path

from jaxcam.experiments import afterwards, box_versus_mask, findings


def say(text):
    print(textwrap.fill(text, 92), end="\n\n")


if os.environ.get("JAXCAM_TINY"):
    with tempfile.TemporaryDirectory() as folder:
        tiny = {"limit": 8, "shapes": 16, "resamples": 50}
        found = box_versus_mask.run(
            box_versus_mask.Options(
                data="shapes", networks="shapes_net", out=Path(folder), **tiny
            )
        )
else:
    path = Path(os.environ.get("JAXCAM_RESULTS", "05_box_versus_mask.json"))
    found = json.loads(path.read_text(encoding="utf-8"))
say(findings.material(found))

# %% [markdown]
# ## Design
#
# - **Two by two.** Going from the error of boxes to that of masks changes two things at
#   once: what the map predicts (the box of its largest component, or the component) and
#   what it is held against (box or mask). All four cells are measured.
# - **Floors and random copies.** Explanations of trained networks stand beside those of
#   the same networks with every parameter array redrawn from its own entries, and beside
#   maps that know nothing of a network: uniform, centre, random, Sobel.
# - **Primary endpoint.** d' is the mean of the differences between an explanation and the
#   centre floor on the same image over their standard deviation. The endpoint is d' of
#   the mask versions minus d' of the box versions, over networks, methods and metrics,
#   with a bootstrap that draws whole breeds.
#
# ## Result

# %%
say(findings.answer(found))
print(findings.metric_table(found), end="\n\n")
say(afterwards.primary(found))

# %% [markdown]
# Left d' of each metric in both versions, right their difference. A metric left of zero
# in the first panel puts the centre floor *above* the explanations; an arrow at the edge
# stands for the value beside it. (`figures.draw` makes the figures from the results.)
#
# ![d' of each metric on boxes and on masks](05_box_versus_mask_effects.png)

# %% [markdown]
# ## Does it hold under other readings?
#
# Skill is to take out the object's area; the border of the trimap may count as object; a
# crop is to take its knowledge from the centre floor; a random copy of the network is
# another thing to be told from. Whether these readings do what they were meant to is
# printed with each.

# %%
for sentence in findings.secondary(found):
    say(f"- {sentence}")
print(findings.cell_table(found))

# %% [markdown]
# ## Where the truth is exact
#
# On procedural shapes, maps are made worse without a look at the truth: rolled by a
# quarter of the image, taken from another image, or made for the other object. On squares
# that fill their box, the box and the mask of the truth are one: versions of metrics of
# *maps* must agree there. Those of *regions* need not, for the largest component of a map
# and its box are two.

# %%
print(findings.construct_table(found), end="\n\n")
say(findings.construct_sentence(found))

# %% [markdown]
# ## Does the ring between mask and box matter to the network?
#
# Box metrics reward energy in the *ring*: inside of the box, outside of the object. If the
# network's score fell as much without the ring as the map's energy there suggests, that
# would be fair. The ring is replaced by a blurred image or the mean colour.

# %%
say(findings.causal_sentence(found))
say(afterwards.causal_sentence(found))
print(afterwards.causal_table(found))

# %% [markdown]
# The ring for each fill and breed (`findings.causal_table` has the numbers, and each
# network's):
#
# ![Energy in the ring beside the score lost without it](05_box_versus_mask_ring.png)
#
# ## What this does not show

# %%
say(findings.limits(found))
