"""The networks of a study: found in a folder of weights, and their random copies."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax

from jaxcam import models
from jaxcam.models import model
from jaxcam.probes import randomize


def load(name: str, folder: Path | None) -> model.Model:
    """A network with the weights that a folder holds for it.

    Args:
      name: As `jaxcam.models.names()` has it.
      folder: Searched, with its subfolders, for `NAME*.npz`; `None` takes the weights
        that come with the package.

    Raises:
      FileNotFoundError: There is none, or several.
      ValueError: The network is unknown, or the file does not fit it.
    """
    if folder is None:
        return models.load(name)
    found = sorted(folder.rglob(f"{name}*.npz"))
    if len(found) != 1:
        raise FileNotFoundError(
            f"{folder} holds {len(found)} files {name}*.npz; give the folder that "
            "holds one for each network."
        )
    return models.load(name, weights=found[0])


def randomised(trained: model.Model, *, seed: int = 0) -> model.Model:
    """A copy whose parameter arrays hold entries drawn from their own.

    The distribution of each array stays, so that activations keep their scale and
    variances stay positive; what was learnt goes.
    """
    leaves, tree = jax.tree.flatten(trained.params)
    drawn = [randomize.redrawn(leaf, seed, i) for i, leaf in enumerate(leaves)]
    return dataclasses.replace(
        trained,
        name=f"{trained.name}-randomised",
        params=jax.tree.unflatten(tree, drawn),
        trained=False,
        provenance={**trained.provenance, "trained": False, "redrawn_with_seed": seed},
    )
