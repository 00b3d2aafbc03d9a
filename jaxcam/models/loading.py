"""Networks by name, with their weights."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxcam._types import PyTree
from jaxcam.models import (
    catalogue,
    convert,
    files,
    heads,
    hub,
    model,
    nnx_adapter,
    pretrained,
    wrapping,
)

SHIPPED = Path(__file__).parent / "weights"


def names() -> tuple[str, ...]:
    """Names of the networks that `load` knows.

    Returns:
      The names, families together.

    >>> [name for name in names() if name.startswith("squeezenet")]
    ['squeezenet1_0', 'squeezenet1_1']
    """
    return tuple(catalogue.ROWS)


def describe(name: str) -> dict[str, str]:
    """What a listing says of a network.

    Args:
      name: See `names`.

    Returns:
      Texts by heading: the model, the size of its input, its classes, the layers that
      are tapped by default, what it is.

    Raises:
      ValueError: The network is unknown.

    >>> describe("resnet20")["input"], describe("resnet20")["classes"]
    ('32x32', 'cifar10')
    """
    row = _row(name)
    return {
        "model": name,
        "input": "x".join(map(str, row.input.size)),
        "classes": row.label_set,
        "default layer": row.default_layer,
        "cam layer": row.cam_layer,
        "what": row.what,
    }


def published_weights(name: str) -> list[dict[str, str]]:
    """What is known of the published weights of a network, the default ones first.

    What is not known, or does not apply, is empty; of a file of torchvision's only the
    beginning of its hash is known.

    Args:
      name: Of a network, as `jaxcam.models.names()` has it.

    Returns:
      A record for each set of weights, all text: `model`, `weights` (what `load`
      takes), where they come from, `commit` and `sha256`, `licence`, `classes`, and
      what the network expects of images.

    Raises:
      ValueError: There is no such network.

    >>> first, *_ = published_weights("resnet50")
    >>> first["weights"], first["size"]
    ('tv_in1k', '224x224')
    """
    row = _row(name)
    forms = {source.sign: source for source in row.sources}
    found = []
    for weights in pretrained.of(name):
        source = None if weights.form is None else forms[weights.form]
        spec = _input(row, source, weights, {})
        hub_has_them = weights.repository is not None
        found.append(
            {
                "model": name,
                "weights": weights.tag,
                "from": weights.address,
                "file": weights.file if hub_has_them else weights.torch_file,
                "commit": weights.revision or "",
                "sha256": (weights.sha256 if hub_has_them else weights.prefix) or "",
                "torch file": weights.torch_file or "",
                "licence": weights.licence,
                "classes": weights.label_set,
                "size": "x".join(map(str, spec.size)),
                "resized to": str(round(spec.size[0] / spec.crop_fraction)),
                "interpolation": spec.interpolation,
                "mean": " ".join(map(str, spec.mean)),
                "std": " ".join(map(str, spec.std)),
                "cam layer": row.cam_layer,
            }
        )
    return found


def load(name: str, *, weights: str | Path | None = None, seed: int = 0) -> model.Model:
    """A network by name.

    Args:
      name: See `names`.
      weights: A file of weights (safetensors, npz, Flax msgpack, torch's pth or pt) or
        the folder of an Orbax checkpoint, with the names of torch's state dict or of
        the network's published form; "random" for untrained parameters, which every
        output then says; the tag of published weights, as "tv2_in1k", or a tag and a
        commit of the hub, "tv2_in1k@" and 40 digits; `None` for those that come with
        the package, or the network's first published ones. A file that jaxcam wrote
        says itself which classes the outputs stand for.
      seed: Of random parameters.

    Returns:
      The model, which gives logits float[B, K] of images.

    Raises:
      FileNotFoundError: The file is not there, or no published weights are on this
        machine and the hub cannot be reached.
      ValueError: The network is unknown, no weights come with it, or the file does not
        fit it.

    >>> model = load("shapes_net")
    >>> model.input.size, model.class_names[:3]
    ((64, 64), ('disc', 'square', 'triangle'))
    """
    return assemble(read(name, weights=weights, seed=seed))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """A network before it becomes a model.

    Attributes:
      name: What it is called.
      row: Its row in the catalogue.
      source: The published form of its weights, if not torch's.
      structure: As `nnx.split` gives it.
      params: Likewise.
      input: What it expects of images.
      class_to_output: Output of each class of the label set, where they differ.
      label_set: Which classes the outputs stand for.
      class_names: Names of the outputs.
      provenance: Where the parameters come from.
    """

    name: str
    row: catalogue.Row
    source: catalogue.Source | None
    structure: Any
    params: PyTree
    input: model.InputSpec
    class_to_output: np.ndarray | None
    label_set: str | None
    class_names: tuple[str, ...] | None
    provenance: Mapping[str, Any]


def read(name: str, *, weights: str | Path | None = None, seed: int = 0) -> Parts:
    """A network and its parameters; see `load`."""
    row = _row(name)
    if str(weights) == "random":
        structure, params = _random(row.build, seed)
        return Parts(
            name=name,
            row=row,
            source=None,
            structure=structure,
            params=params,
            input=row.input,
            class_to_output=None,
            label_set=row.label_set,
            class_names=row.class_names,
            provenance={
                "name": name,
                "trained": False,
                "weights": wrapping.digest(params),
            },
        )
    found = _locate(name, row, weights)
    files.check_exists(found.path)
    sha256 = files.sha256(found.path)
    if found.expected:
        pretrained.check(found.path.name, sha256, found.expected)
    published = pretrained.recognise(name, found.path.name, sha256) or found.row
    about = files.about(found.path)
    _check_network(name, found.path, about)
    arrays = files.read(found.path)
    source = _source(row, arrays, about)
    if source is not None and source.adapt is not None and not about:
        arrays = source.adapt(arrays)
    structure, params = _placed(name, row, source, arrays, about)
    label_set, outputs = _labels(row, source, found.path, about)
    provenance = {
        "name": name,
        "trained": about.get("trained", True),
        "file": found.path.name,
        "weights": sha256,
    }
    if published is not None:
        provenance |= {"published": published.address, "licence": published.licence}
    if found.revision is not None:
        provenance["revision"] = found.revision
    return Parts(
        name=name,
        row=row,
        source=source,
        structure=structure,
        params=params,
        input=_input(
            row, source, published or pretrained.called(name, found.path), about
        ),
        class_to_output=outputs,
        label_set=label_set,
        class_names=tuple(about.get("classes", ())) or row.class_names,
        provenance=provenance,
    )


def assemble(parts: Parts) -> model.Model:
    """The model of a network and its parameters."""
    module = nnx.eval_shape(lambda: parts.row.build(nnx.Rngs(0)))
    return wrapping.build(
        nnx_adapter.tapped_call(parts.structure, type(module)),
        parts.params,
        name=parts.name,
        input_spec=parts.input,
        default_layer=parts.row.default_layer,
        cam_layer=parts.row.cam_layer,
        class_names=parts.class_names,
        label_set=parts.label_set,
        class_to_output=parts.class_to_output,
        trained=parts.provenance["trained"],
        provenance=parts.provenance,
    )


@dataclasses.dataclass(frozen=True)
class _Found(hub.Located):
    """A file of weights, and the published ones that it holds if it was asked for."""

    row: pretrained.Pretrained | None = None


def _locate(name: str, row: catalogue.Row, weights: str | Path | None) -> _Found:
    """Order: what comes with the package, a local file, caches, the hub."""
    if weights is None and row.shipped is not None:
        return _Found(SHIPPED / row.shipped)
    published = pretrained.of(name)
    if weights is not None:
        tag, at, commit = str(weights).partition("@")
        tagged = [p for p in published if p.tag == tag]
        if Path(weights).exists() or not published:
            return _Found(Path(weights))
        if not tagged:
            raise FileNotFoundError(
                f"There is no file of weights {weights}, and no published weights of "
                f"{name} are called so; give the path of a file, "
                f"{', '.join(p.tag for p in published)}, or 'random' for untrained "
                "parameters."
            )
        published = [tagged[0].at(commit)] if at else tagged
    if not published:
        raise ValueError(
            f"No weights of {name} come with jaxcam; give weights=FILE (safetensors, "
            "npz, Flax msgpack, torch's pth, or an Orbax folder), or weights='random' "
            "for an untrained net."
        )
    located = hub.locate(name, published[0])
    return _Found(**vars(located), row=published[0])


def _check_network(name: str, path: Path, about: Mapping[str, Any]) -> None:
    network = about.get("network", name)
    if network != name:
        raise ValueError(
            f"{path.name} holds weights of {network}, not of {name}; load it as "
            f"{network}."
        )


def _placed(
    name: str,
    row: catalogue.Row,
    source: catalogue.Source | None,
    arrays: Mapping[str, np.ndarray],
    about: Mapping[str, Any],
) -> tuple[Any, PyTree]:
    """Structure and parameters, with the outputs that the file is for."""
    build = source.build if source and source.build else row.build
    structure, abstract = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))
    wanted = _by_name(abstract)
    classes = about.get("classes")
    if classes and len(classes) != len(row.class_names or ()):
        head = heads.find(structure, abstract, row.input.size)
        rng = np.random.default_rng(0)

        def other_outputs():
            module = build(nnx.Rngs(0))
            heads.replace(module, head, len(classes), rng=rng)
            return module

        structure, abstract = nnx.split(nnx.eval_shape(other_outputs))
        wanted = _by_name(abstract)
    rename = None if about or source is None else source.rename
    rename = rename or convert.torch_names(wanted)
    placed = convert.convert(arrays, wanted, rename, network=name)
    flat = [
        (key, leaf.replace(jax.numpy.asarray(placed[".".join(map(str, key))])))
        for key, leaf in nnx.to_flat_state(abstract)
    ]
    return structure, nnx.from_flat_state(flat)


def _by_name(abstract: PyTree) -> dict[str, Any]:
    return {
        ".".join(map(str, key)): leaf.get_value()
        for key, leaf in nnx.to_flat_state(abstract)
    }


def _input(
    row: catalogue.Row,
    source: catalogue.Source | None,
    published: pretrained.Pretrained | None,
    about: Mapping[str, Any],
) -> model.InputSpec:
    if "input" in about:
        known = about["input"].items()
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in known}
        return model.InputSpec(**lists)
    spec = source.input if source and source.input else row.input
    return spec if published is None else published.input(spec)


def _labels(
    row: catalogue.Row,
    source: catalogue.Source | None,
    path: Path,
    about: Mapping[str, Any],
) -> tuple[str | None, np.ndarray | None]:
    """The label set, and the output of each of its classes where they differ."""
    if "label_set" in about:
        outputs = about.get("class_to_output")
        return about["label_set"], None if outputs is None else np.array(outputs, int)
    if source is not None and source.sidecar is not None:
        outputs = _sidecar(path.parent / source.sidecar)
        return (None if outputs is None else row.label_set), outputs
    if source is not None and source.first_class:
        return row.label_set, np.arange(1000) + source.first_class
    return row.label_set, None


def flat_arrays(module: nnx.Module) -> dict[str, np.ndarray]:
    """Every parameter and statistic by its dotted path, as `load` reads them back.

    Args:
      module: A network.

    Returns:
      Arrays by path, in the layout of Flax: kernels are (rows, columns, in, out).

    >>> flat = flat_arrays(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    >>> {name: array.shape for name, array in flat.items()}
    {'bias': (3,), 'kernel': (2, 3)}
    """
    return named_arrays(nnx.split(module)[1])


def named_arrays(params: PyTree) -> dict[str, np.ndarray]:
    """Parameters of a network of the zoo by their dotted paths."""
    return {name: np.asarray(array) for name, array in _by_name(params).items()}


def _row(name: str) -> catalogue.Row:
    if name not in catalogue.ROWS:
        near = difflib.get_close_matches(name, catalogue.ROWS, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise ValueError(
            f"There is no model {name!r}{hint} `jaxcam list models` shows them all."
        )
    return catalogue.ROWS[name]


def _source(
    row: catalogue.Row, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> catalogue.Source | None:
    """The form of the weights; a file that jaxcam wrote names it."""
    for source in row.sources:
        if about.get("form") == source.sign:
            return source
        if not about and any(key.startswith(source.sign) for key in arrays):
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


def _sidecar(path: Path) -> np.ndarray | None:
    """Output of each class, from a file beside the weights if it is there."""
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))["standard_to_output"]
    return np.array(found)
