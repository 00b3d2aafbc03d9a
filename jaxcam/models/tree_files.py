"""Files of nested parameters: Flax msgpack and Orbax checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

_COLLECTIONS = ("params", "batch_stats")
_ORBAX_MARK = "_METADATA"


def read_msgpack(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a file of `flax.serialization`, by dotted path.

    Raises:
      ValueError: It is damaged or of another kind.
    """
    from flax import serialization

    try:
        tree = serialization.msgpack_restore(path.read_bytes())
    except Exception as error:  # Whatever a damaged file makes of its types.
        raise ValueError(_damaged(path, "Flax msgpack file", error)) from error
    return _arrays(path, tree)


def read_orbax(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an Orbax checkpoint, by dotted path, as whole NumPy arrays.

    Args:
      path: The folder of a tree, or that of a step of a manager, with one tree in it.

    Raises:
      ValueError: The folder is no checkpoint, or a damaged one.
    """
    folder = _orbax_folder(path)
    import jax
    from orbax import checkpoint

    reader = checkpoint.Checkpointer(checkpoint.PyTreeCheckpointHandler())
    try:
        found: Any = reader.metadata(folder.absolute())
        for name in ("item_metadata", "tree"):
            found = getattr(found, name, found)
        wanted = checkpoint.RestoreArgs(restore_type=np.ndarray)
        restore = checkpoint.args.PyTreeRestore(
            restore_args=jax.tree.map(lambda _: wanted, found)
        )
        tree = reader.restore(folder.absolute(), args=restore)
    except Exception as error:  # Readers of arrays raise anything on damaged files.
        raise ValueError(_damaged(path, "Orbax checkpoint", error)) from error
    finally:
        reader.close()
    return _arrays(path, tree)


def _orbax_folder(path: Path) -> Path:
    if (path / _ORBAX_MARK).is_file():
        return path
    inside = sorted(mark.parent for mark in path.glob(f"*/{_ORBAX_MARK}"))
    if len(inside) == 1:
        return inside[0]
    steps = inside or sorted({m.parents[1] for m in path.glob(f"*/*/{_ORBAX_MARK}")})
    if steps:
        some = ", ".join(step.name for step in steps[:5])
        raise ValueError(f"{path} holds checkpoints: {some}; give the folder of one.")
    raise ValueError(
        f"{path} is no Orbax checkpoint: it holds no {_ORBAX_MARK}; give the folder "
        "that Orbax wrote, or a file of weights."
    )


def _damaged(path: Path, what: str, error: Exception) -> str:
    said = str(error).partition("\n")[0] or type(error).__name__
    return f"{path.name} is damaged or no {what}; fetch it again ({said.rstrip('.')})."


def _arrays(path: Path, tree: Any) -> dict[str, np.ndarray]:
    """Arrays by dotted path, without the names of collections."""
    if not isinstance(tree, Mapping):
        raise ValueError(
            f"{path.name} holds a {type(tree).__name__}, not parameters by name; save "
            "the parameters alone."
        )
    if isinstance(tree.get("model"), Mapping):
        tree = tree["model"]  # Beside an optimiser's state.
    found: dict[str, np.ndarray] = {}
    for name, array in _flat(_without_collections(tree)):
        if name in found:
            raise ValueError(f"{path.name} holds {name} twice; save it once.")
        found[name] = array
    return found


def _without_collections(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Linen's collections, or the tree itself; a train state's other parts are left."""
    if not isinstance(tree.get("params"), Mapping):
        return [tree]
    if set(tree["params"]) <= set(_COLLECTIONS):
        return _without_collections(tree["params"])
    return [tree[name] for name in _COLLECTIONS if isinstance(tree.get(name), Mapping)]


def _flat(trees: list[Mapping[str, Any]]) -> Iterator[tuple[str, np.ndarray]]:
    waiting: list[tuple[str, Any]] = [("", tree) for tree in reversed(trees)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping) and set(value) == {"value"} and name:
            waiting.append((name, value["value"]))  # A variable of nnx.
        elif isinstance(value, Mapping):
            inner = [
                (f"{name}.{key}" if name else str(key), v) for key, v in value.items()
            ]
            waiting += reversed(inner)
        elif isinstance(value, np.ndarray | np.generic | int | float):
            yield name, np.asarray(value)
