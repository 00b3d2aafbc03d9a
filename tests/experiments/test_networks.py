"""Networks by folder, and their random copies."""

import jax
import numpy as np
import pytest

import jaxcam
from jaxcam.experiments import networks


def test_a_random_copy_holds_its_networks_entries_in_another_order():
    trained = jaxcam.models.load("shapes_net")
    copy = networks.randomised(trained)
    assert not copy.trained
    assert copy.name == "shapes_net-randomised"
    changed = 0
    for old, new in zip(
        jax.tree.leaves(trained.params), jax.tree.leaves(copy.params), strict=True
    ):
        assert old.shape == new.shape
        assert set(np.ravel(new).tolist()) <= set(np.ravel(old).tolist())
        changed += bool(np.any(old != new))
    assert changed > 4
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    assert np.isfinite(copy(images)).all()
    assert np.abs(copy(images) - trained(images)).max() > 0.1


def test_a_folder_must_hold_one_file_of_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds 0 files"):
        networks.load("squeezenet1_1", tmp_path)
