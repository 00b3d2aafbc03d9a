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
# another file) and says what they say: every sentence below is made from the numbers.
# Run time: seconds.
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxcam/jaxcam/blob/main/notebooks/05_box_versus_mask.ipynb)

# %%
# On Colab first: %pip install -q jaxcam-eval   (a preinstalled JAX is left as it is)
import json
import os
from pathlib import Path

from jaxcam.experiments import findings

path = Path(os.environ.get("JAXCAM_RESULTS", "05_box_versus_mask.json"))
found = json.loads(path.read_text(encoding="utf-8"))
print(findings.material(found))

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
print(findings.answer(found))
print()
print(findings.metric_table(found))
print()
print(findings.found_later(found))

# %% [markdown]
# Left d' of each metric in both versions, right their difference. A metric left of zero
# in the first panel puts the centre floor *above* the explanations. (`findings.draw`
# makes the figures from the results.)
#
# ![d' of each metric on boxes and on masks](05_box_versus_mask_effects.png)

# %% [markdown]
# ## Does it hold under other readings?
#
# Skill takes out the object's area; the border of the trimap may count as object; a crop
# that moves the object to a corner takes its knowledge from the centre floor; a random
# copy of the network is another thing to be told from.

# %%
for sentence in findings.secondary(found):
    print("-", sentence)
print()
print(findings.cell_table(found))

# %% [markdown]
# ## Where the truth is exact
#
# On procedural shapes, maps are made worse without a look at the truth: rolled by a
# quarter of the image, taken from another image, or made for the other object. On squares
# that fill their box, box and mask are one, and the versions must not differ there.

# %%
print(findings.construct_table(found))
print()
print(findings.construct_sentence(found))

# %% [markdown]
# ## Does the ring between mask and box matter to the network?
#
# Box metrics reward energy in the *ring*: inside of the box, outside of the object. If the
# network's score fell as much without the ring as the map's energy there suggests, that
# would be fair. The ring is replaced by a blurred image or the mean colour.

# %%
print(findings.causal_sentence(found))
print()
print(findings.causal_table(found))

# %% [markdown]
# ![Energy in the ring beside the score lost without it](05_box_versus_mask_ring.png)
#
# ## What this does not show

# %%
print(findings.limits(found))
