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
# # 07 · How is a large data set evaluated on TPUs or GPUs?
#
# A run is a folder of shards: fixed ranges of images, each written whole. A run can be
# stopped at any moment and goes on after its last shard; several processes can each make
# some of the shards; and nothing, not the batch size, the number of devices or where the
# run was cut, changes a value: on CPU to the bit, elsewhere to rounding. This notebook
# shows each of these on a small run.
#
# Run time: less than a minute on two CPU cores. On Colab choose a TPU or GPU runtime:
# the code is the same.
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxcam/jaxcam/blob/main/notebooks/07_large_scale.ipynb)

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
import numpy as np

import jaxcam
from jaxcam import rescoring, storage

print(jax.device_count(), "x", jax.devices()[0].device_kind)

# %% [markdown]
# ## On one machine
#
# All local devices share each batch. On a large card raise the batch size; maps are kept
# at their native resolution, some 28 MB for 50,000 of 14 x 14.
#
# ```
# jaxcam evaluate --model resnet50 --weights resnet50.safetensors \
#   --data imagenet_s:DIR --methods cam,grad_cam,layer_cam --batch-size 256 --out runs/big
# ```

# %%
model = jaxcam.models.load("shapes_net")
folder = Path(tempfile.mkdtemp())
settings = {
    "methods": ["cam", "grad_cam"],
    "metrics": ["energy_pointing_game", "localization_error"],
    "shard_size": 8,
}
whole = jaxcam.evaluate(model, "shapes:test,n=24", out=folder / "whole", **settings)
sorted(path.name for path in (folder / "whole" / "shards").iterdir())

# %% [markdown]
# ## Interrupted
#
# A machine is taken away after the first shard. The same call goes on with the second.

# %%
for path in list((folder / "whole" / "shards").iterdir())[1:]:
    path.unlink()
again = jaxcam.evaluate(model, "shapes:test,n=24", out=folder / "whole", **settings)
for metric in again.metrics:
    same = np.array_equal(
        again.values(metric, "cam"), whole.values(metric, "cam"), equal_nan=True
    )
    print(f"{metric}: {'the same values' if same else 'OTHER VALUES'}")

# %% [markdown]
# ## On several machines
#
# Independent processes make every N-th part of the shards, `--shard I/N`, into one folder
# that all of them see or into folders of their own; no process waits for another:
#
# ```
# jaxcam evaluate ... --shard 0/2 --out runs/part-0
# jaxcam evaluate ... --shard 1/2 --out runs/part-1
# jaxcam merge runs/part-0 runs/part-1 --out runs/all
# ```
#
# In a SLURM array the share need not be written (`B:` sends the signal to the command
# itself, which then ends after the batch at hand):
#
# ```
# sbatch --array=0-7 --gres=gpu:1 --time=04:00:00 --requeue --signal=B:TERM@60 --wrap \
#   "exec jaxcam evaluate --model resnet50 --weights resnet50.safetensors \
#   --data /data/imagenet --batch-size 128 --out /scratch/runs/resnet50"
# ```
#
# nor in an indexed Job of Kubernetes, which has to say how many pods it has:
#
# ```
# apiVersion: batch/v1
# kind: Job
# metadata: {name: jaxcam}
# spec:
#   completionMode: Indexed
#   completions: 8
#   parallelism: 8
#   backoffLimitPerIndex: 5
#   template:
#     spec:
#       restartPolicy: Never
#       containers:
#         - name: evaluate
#           image: REGISTRY/jaxcam
#           env: [{name: JOB_COMPLETIONS, value: "8"}]
#           command: [jaxcam, evaluate, --model, resnet50,
#                     --weights, /data/resnet50.safetensors,
#                     --data, /data/imagenet, --out, /data/runs/resnet50]
#           resources: {limits: {nvidia.com/gpu: 1}}
#           volumeMounts: [{name: data, mountPath: /data}]
#       volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
# ```
#
# or into one folder that all see, `--out runs/all`, where there is nothing to merge.
#
# On a TPU pod, or wherever `jax.distributed` finds its processes:
#
# ```
# jaxcam evaluate ... --engine jax --out gs-mounted/runs/all
# ```
#
# Processes exchange nothing while they compute, and one that dies does not end the
# others. `--engine ray` makes every shard a task of a Ray cluster (the extra `ray`,
# `--gpus-per-task 1`), done again when the machine it ran on dies.
#
# `merge` refuses runs of different settings, missing images and images counted twice.
# Here two folders are made of the shards above, as two machines would leave them.

# %%
manifest = storage.read_manifest(folder / "whole")
for part, numbers in (("a", (0, 2)), ("b", (1,))):
    storage.open_run(folder / part, manifest)
    for number in numbers:
        source = storage.shard_path(folder / "whole", number)
        storage.shard_path(folder / part, number).write_bytes(source.read_bytes())
storage.merge([folder / "a", folder / "b"], folder / "all")
merged = jaxcam.load_run(folder / "all")
print(merged.to_text())

# %% [markdown]
# ## Other metrics later, without the model
#
# Maps are stored, so metrics that need only maps and truth are computed afterwards:
#
# ```
# jaxcam score --run runs/all --metrics warping_error,max_box_accuracy
# ```
#
# A metric that the run had comes out as the run had it.

# %%
later = rescoring.score_run(
    folder / "all", metrics=["energy_pointing_game", "precision"]
)
difference = np.max(
    np.abs(
        later.values("energy_pointing_game", "grad_cam")
        - merged.values("energy_pointing_game", "grad_cam")
    )
)
print(f"largest difference to the values of the run: {difference:.1e}")

# %% [markdown]
# ## The report
#
# ```
# jaxcam report runs/all --data imagenet_s:DIR
# ```
#
# Intervals are computed from the rows of the shards, never from running sums.
