"""Networks by name, with their weights."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxcam._types import PyTree
from jaxcam.models import catalogue, convert, files, model, nnx_adapter, wrapping

SHIPPED = Path(__file__).parent / "weights"


def names() -> tuple[str, ...]:
    """Names of the networks that `load` knows."""
    return tuple(catalogue.ROWS)


def describe(name: str) -> dict[str, str]:
    """What a listing says of a network."""
    row = _row(name)
    return {
        "model": name,
        "input": "x".join(map(str, row.input.size)),
        "classes": row.label_set,
        "default layer": row.default_layer,
        "cam layer": row.cam_layer,
        "what": row.what,
    }


def load(name: str, *, weights: str | Path | None = None, seed: int = 0) -> model.Model:
    """A network by name.

    Args:
      name: See `names`.
      weights: An npz or safetensors file, with the names of torch's state dict or of
        the network's published form; "random" for untrained parameters, which every
        output then says; `None` for weights that come with the package.
      seed: Of random parameters.

    Returns:
      The model.

    Raises:
      FileNotFoundError: The file is not there.
      ValueError: The network is unknown, no weights come with it, or the file does not
        fit it.
    """
    row = _row(name)
    if weights is None:
        if row.shipped is None:
            raise ValueError(
                f"No weights of {name} come with jaxcam; give weights=FILE (npz or "
                "safetensors, torch's names), or weights='random' for an untrained net."
            )
        weights = SHIPPED / row.shipped
    if str(weights) == "random":
        return _assemble(name, row, None, _random(row.build, seed), trained=False)
    path = Path(weights)
    arrays = files.read(path)
    source = _source(row, arrays)
    build = source.build if source and source.build else row.build
    structure, abstract = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))
    wanted = {
        ".".join(map(str, key)): leaf.get_value()
        for key, leaf in nnx.to_flat_state(abstract)
    }
    rename = source.rename if source else convert.torch_names(wanted)
    placed = convert.convert(arrays, wanted, rename, network=name)
    flat = [
        (key, leaf.replace(jax.numpy.asarray(placed[".".join(map(str, key))])))
        for key, leaf in nnx.to_flat_state(abstract)
    ]
    params = nnx.from_flat_state(flat)
    return _assemble(name, row, source, (structure, params), path=path)


def flat_arrays(module: nnx.Module) -> dict[str, np.ndarray]:
    """Every parameter and statistic by its dotted path, as `load` reads them back."""
    _, state = nnx.split(module)
    return {
        ".".join(map(str, key)): np.asarray(leaf.get_value())
        for key, leaf in nnx.to_flat_state(state)
    }


def _row(name: str) -> catalogue.Row:
    if name not in catalogue.ROWS:
        near = difflib.get_close_matches(name, catalogue.ROWS, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise ValueError(
            f"There is no model {name!r}{hint} `jaxcam list models` shows them all."
        )
    return catalogue.ROWS[name]


def _source(
    row: catalogue.Row, arrays: dict[str, np.ndarray]
) -> catalogue.Source | None:
    for source in row.sources:
        if any(key.startswith(source.sign) for key in arrays):
            return source
    return None


def _random(build: Any, seed: int) -> tuple[Any, PyTree]:
    """He-normal kernels, biases zero, statistics of a unit normal.

    Drawn on the host: compiling a network's own initialisation takes far longer.
    """
    structure, abstract = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))
    rng = np.random.default_rng(seed)

    def drawn(leaf: str, shape: tuple[int, ...]) -> np.ndarray:
        if leaf == "kernel":
            scale = np.sqrt(2.0 / np.prod(shape[:-1]))
            return rng.normal(0, scale, shape).astype(np.float32)
        return np.full(shape, leaf in ("scale", "var"), np.float32)

    flat = [
        (key, leaf.replace(jax.numpy.asarray(drawn(key[-1], leaf.get_value().shape))))
        for key, leaf in nnx.to_flat_state(abstract)
    ]
    return structure, nnx.from_flat_state(flat)


def _assemble(
    name: str,
    row: catalogue.Row,
    source: catalogue.Source | None,
    parts: tuple[Any, PyTree],
    *,
    path: Path | None = None,
    trained: bool = True,
) -> model.Model:
    structure, params = parts
    module = nnx.eval_shape(lambda: row.build(nnx.Rngs(0)))
    label_set, outputs = row.label_set, None
    if source is not None and source.sidecar is not None:
        outputs = _sidecar(path.parent / source.sidecar)
        label_set = None if outputs is None else label_set
    elif source is not None and source.first_class:
        outputs = np.arange(1000) + source.first_class
    provenance: dict[str, Any] = {"name": name, "trained": trained}
    if path is None:
        provenance["weights"] = wrapping.digest(params)
    else:
        provenance |= {"file": path.name, "weights": files.sha256(path)}
    return wrapping.build(
        nnx_adapter.tapped_call(structure, type(module)),
        params,
        name=name,
        input_spec=(source.input if source and source.input else row.input),
        default_layer=row.default_layer,
        cam_layer=row.cam_layer,
        class_names=row.class_names,
        label_set=label_set,
        class_to_output=outputs,
        trained=trained,
        provenance=provenance,
    )


def _sidecar(path: Path) -> np.ndarray | None:
    """Output of each class, from a file beside the weights if it is there."""
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))["standard_to_output"]
    return np.array(found)
