"""Nested parameters in Flax msgpack files and Orbax checkpoints."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, serialization

from jaxcam import models
from jaxcam.models import files, tree_files


@pytest.fixture(scope="module")
def net():
    return models.load("shapes_net")


def pure(model):
    """Parameters as nested dicts of arrays."""
    return nnx.to_pure_dict(model.params)


def linen(tree):
    """The same tree as linen has it: collections first."""
    found = {"params": {}, "batch_stats": {}}
    for path, leaf in nnx.traversals.flatten_mapping(tree).items():
        kind = "batch_stats" if path[-1] in ("mean", "var") else "params"
        place = found[kind]
        for part in path[:-1]:
            place = place.setdefault(str(part), {})
        place[path[-1]] = leaf
    return found


def as_strings(tree):
    return {
        str(k): as_strings(v) if isinstance(v, dict) else np.asarray(v)
        for k, v in tree.items()
    }


TREES = {
    "plain": lambda tree: tree,
    "linen": linen,
    "train state": lambda tree: {"step": 3, **linen(tree), "opt_state": {"0": tree}},
    "variables": lambda tree: {"params": linen(tree)},
    "model": lambda tree: {"model": tree, "optimizer": {"step": np.array(1)}},
}


def test_the_test_trees_differ(net):
    tree = as_strings(pure(net))
    assert set(linen(tree)["batch_stats"]["features"]["1"]) == {"mean", "var"}


@pytest.mark.parametrize("form", TREES)
def test_msgpack_gives_the_same_net(tmp_path, net, form):
    path = tmp_path / "net.msgpack"
    tree = TREES[form](as_strings(pure(net)))
    path.write_bytes(serialization.msgpack_serialize(tree))
    again = models.load("shapes_net", weights=path)
    same = jax.tree.map(np.array_equal, again.params, net.params)
    assert all(jax.tree.leaves(same))
    assert again.trained
    assert again.provenance["weights"] == files.sha256(path)


def saved(path, tree):
    from orbax import checkpoint

    with checkpoint.StandardCheckpointer() as writer:
        writer.save(path.absolute(), tree)
    return path


@pytest.mark.parametrize("form", ["plain", "linen", "state"])
def test_orbax_gives_the_same_net(tmp_path, net, form):
    tree = net.params if form == "state" else TREES[form](as_strings(pure(net)))
    path = saved(tmp_path / "net", tree)
    again = models.load("shapes_net", weights=path)
    same = jax.tree.map(np.array_equal, again.params, net.params)
    assert all(jax.tree.leaves(same))
    assert again.provenance["file"] == "net"
    assert len(again.provenance["weights"]) == 64


def test_a_step_of_a_manager_is_read_and_several_are_refused(tmp_path):
    from orbax import checkpoint

    with checkpoint.CheckpointManager(tmp_path / "run") as manager:
        for step in (1, 2):
            tree = {"a": np.full(3, step), "b": jnp.ones(2, jnp.bfloat16)}
            manager.save(step, args=checkpoint.args.StandardSave(tree))
        manager.wait_until_finished()
    found = files.read(tmp_path / "run" / "2")
    np.testing.assert_array_equal(found["a"], [2, 2, 2])
    assert str(found["b"].dtype) == "bfloat16"
    with pytest.raises(
        ValueError, match=r"holds checkpoints: 1, 2; give the folder of"
    ):
        files.read(tmp_path / "run")


def test_other_and_damaged_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no Orbax checkpoint.*give the folder"):
        files.read(tmp_path)
    path = saved(tmp_path / "net", {"a": np.arange(1000.0)})
    for folder in (path / "d", *path.glob("ocdbt*")):
        shutil.rmtree(folder)
    with pytest.raises(ValueError, match="net is damaged or no Orbax checkpoint"):
        files.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged or no Flax msgpack"),
        (b"\xc1", "damaged or no Flax msgpack"),
        (b"\x81\xa1a\xc7\x05\x01junk!", "damaged or no Flax msgpack"),
        (b"\x93\x01\x02\x03", "holds a list"),
        (b"\x81" * 3000, "damaged or no Flax msgpack"),
    ],
)
def test_damaged_msgpack_is_refused(tmp_path, content, message):
    path = tmp_path / "net.msgpack"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        files.read(path)


def test_truncated_msgpack_is_refused(tmp_path):
    path = tmp_path / "net.msgpack"
    whole = serialization.msgpack_serialize({"a": np.arange(100.0)})
    for cut in (1, 20, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="damaged or no Flax msgpack"):
            files.read(path)


def test_names_of_variables_and_numbers():
    tree = {"layer": {0: {"kernel": {"value": np.ones(2)}}}, "value": np.zeros(1)}
    found = dict(tree_files._flat([tree]))
    assert list(found) == ["layer.0.kernel", "value"]
