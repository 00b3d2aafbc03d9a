"""Fits a trained network of the zoo to classes of your own.

The head, the layer whose outputs are the logits, is fitted first, alone: what reaches
it is computed once for every image, so that this takes seconds to minutes on a CPU. If
all parameters are to be fitted, that goes on from there: a head that knows nothing
would distort the features (Kumar et al. 2022, arXiv:2202.10054). Batch normalisation
keeps the statistics of the trained network in both cases, and nothing is dropped out:
the network that is fitted is the one that is evaluated.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import jaxcam
from jaxcam import _checks, _compiling, data, fitting, labelled_images, models, progress
from jaxcam._types import Array, PyTree
from jaxcam.models import heads, loading

Train = Literal["head", "all"]

HEAD_LEARNING_RATE = 1e-2
"""Of a head whose inputs have unit variance, whatever the network."""

_FORWARD_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a fit depends on, besides the network and the images.

    Attributes:
      train: "head" fits the last layer, "all" every parameter after it.
      epochs: Times that every image is shown, in each of these parts; at least 1.
      batch_size: Images a step; at least 1.
      learning_rate: Its peak, when all is fitted, positive; the head's is its own.
      weight_decay: Of matrices and kernels.
      validation: Share of each class that is held out, in (0, 1).
      geometry: How images are brought to the network's size.
      limit: Only the first images.
      seed: Of the head's first weights and the order of the images.

    >>> Settings(train="all").learning_rate
    0.0001
    """

    train: Train = "head"
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    validation: float = 0.2
    geometry: Literal["squash", "crop"] = "squash"
    limit: int | None = None
    seed: int = 0


def finetune(
    network: str,
    dataset: data.Dataset | str | Path,
    *,
    out: str | Path,
    weights: str | Path | None = None,
    show_progress: bool = False,
    report: Callable[[dict[str, Any]], None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Fits a network to the classes of a data set, and writes weights and a log.

    `jaxcam.models.load(network, weights=...)` reads the weights back: the file says
    which classes the outputs stand for. The same seed gives the same file, to the bit,
    on the same machine with the same versions. All images are kept in memory, and what
    reaches the head from each of them.

    Args:
      network: Its name; see `jaxcam.models.names`.
      dataset: What `jaxcam.data.open_dataset` gives or takes; its labels decide the
        classes. Rows without a label are left out.
      out: Folder for `NETWORK.safetensors` and `NETWORK.json`.
      weights: Where to start; as in `jaxcam.models.load`.
      show_progress: Shows progress bars.
      report: Called with each epoch's entry of the log, as soon as there is one.
      **settings: See `Settings`.

    Returns:
      The log: settings, classes, one entry an epoch with the accuracies in [0, 1] on
      training and held-out images, and where the weights lie, under `weights`.

    Raises:
      FileNotFoundError: The data set or the weights are not there.
      TypeError: There is no such setting.
      ValueError: The data set has no labels or one class, an image has two classes, a
        class has one image, or a setting is out of range.
    """
    chosen = Settings(**settings)
    _check(chosen)
    if isinstance(dataset, str | Path):
        dataset = data.open_dataset(dataset)
    classes = labelled_images.find_classes(dataset, limit=chosen.limit)
    parts = loading.read(network, weights=weights, seed=chosen.seed)
    model = loading.assemble(parts)
    found = labelled_images.read(
        dataset,
        classes,
        model.input,
        geometry=chosen.geometry,
        validation=chosen.validation,
        limit=chosen.limit,
        show_progress=show_progress,
    )
    log: list[dict[str, Any]] = []
    fit = functools.partial(_epochs, found, chosen, log, report, show_progress)
    with jax.default_matmul_precision("highest"):
        module = _fit(parts, model, found, classes, chosen, fit, show_progress)
    path = _save(Path(out), parts, module, model, classes, chosen)
    written = {
        "network": network,
        "started_from": dict(parts.provenance),
        "settings": dataclasses.asdict(chosen),
        "data": {"name": dataset.name, "fingerprint": dataset.fingerprint()}
        | labelled_images.describe(found, classes),
        "versions": fitting.versions(),
        "epochs": log,
        "validation_accuracy": log[-1]["validation_accuracy"],
        "chance": _chance(found),
    }
    text = json.dumps(written, indent=1) + "\n"
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    return written | {"weights": str(path)}


def epoch_line(entry: Mapping[str, Any]) -> str:
    """An entry of the log as a line.

    Args:
      entry: As `finetune` reports them.

    Returns:
      The text, without a newline.

    >>> entry = {"part": "head", "epoch": 0, "loss": 1.0, "accuracy": 0.5}
    >>> epoch_line(entry | {"validation_accuracy": 0.25})
    'head, epoch 0: loss 1.000, accuracy 0.500, validation accuracy 0.250'
    """
    return (
        f"{entry['part']}, epoch {entry['epoch']}: loss {entry['loss']:.3f}, accuracy "
        f"{entry['accuracy']:.3f}, validation accuracy "
        f"{entry['validation_accuracy']:.3f}"
    )


def _check(chosen: Settings) -> None:
    _checks.choice("train", chosen.train, ("head", "all"))
    _checks.choice("geometry", chosen.geometry, ("squash", "crop"))
    for name, value in (
        ("epochs", chosen.epochs),
        ("batch_size", chosen.batch_size),
        ("learning_rate", chosen.learning_rate),
        ("limit", 1 if chosen.limit is None else chosen.limit),
    ):
        if not value > 0:
            raise ValueError(f"{name}={value} must be positive.")
    for name, value in (("weight_decay", chosen.weight_decay), ("seed", chosen.seed)):
        if not value >= 0:
            raise ValueError(f"{name}={value} must not be negative.")
    if chosen.train == "head" and chosen.learning_rate != Settings.learning_rate:
        raise ValueError(
            f"learning_rate={chosen.learning_rate} is of train='all', and the head has "
            "one of its own; leave it out, or fit all."
        )
    if not 0 < chosen.validation < 1:
        raise ValueError(
            f"validation={chosen.validation} must lie between 0 and 1: it is the share "
            "of each class that is held out."
        )


def _chance(found: labelled_images.LabelledImages) -> float:
    """Accuracy of always naming the commonest class, on the held-out images."""
    common = np.argmax(np.bincount(found.labels[~found.held_out]))
    return round(float(np.mean(found.labels[found.held_out] == common)), 5)


def _fit(
    parts: loading.Parts,
    model: models.Model,
    found: labelled_images.LabelledImages,
    classes: labelled_images.Classes,
    chosen: Settings,
    fit: Callable[..., PyTree],
    show_progress: bool,
) -> nnx.Module:
    """The fitted module."""
    size = model.input.size
    path = heads.find(parts.structure, parts.params, size)
    features = _features(parts, model, path, found.images, show_progress)
    module = nnx.merge(parts.structure, parts.params, copy=True)
    rng = np.random.default_rng(chosen.seed)
    heads.replace(module, path, len(classes.names), rng=rng)
    module.eval()

    head = heads.at(module, path)
    scale, shift = _standardisation(features[~found.held_out])
    params = {"kernel": head.kernel[...]}
    if head.bias is not None:
        params["bias"] = head.bias[...]
    logits = _head_logits(module, path, size, scale, shift)
    params = fit("head", params, logits, features)
    for name, value in _unstandardised(params, scale, shift).items():
        getattr(head, name)[...] = value
    if chosen.train == "all":
        structure, params, rest = nnx.split(module, nnx.Param, ...)

        def all_logits(params, images):
            module = nnx.merge(structure, params, rest, copy=True)
            return module(model.preprocess(images))

        params = fit("all", params, all_logits, found.images)
        module = nnx.merge(structure, params, rest)
    return module


def _standardisation(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the channels of the features are multiplied by, and then less by."""
    axes = tuple(range(features.ndim - 1))
    deviation = features.std(axis=axes, dtype=np.float64)
    scale = 1.0 / np.where(deviation > 0, deviation, 1.0)
    shift = features.mean(axis=axes, dtype=np.float64) * scale
    return scale.astype(np.float32), shift.astype(np.float32)


def _unstandardised(
    head: dict[str, Array], scale: np.ndarray, shift: np.ndarray
) -> dict[str, Array]:
    """The weights of a head on features as they are; exact for a 1 x 1 kernel."""
    kernel = head["kernel"] * scale[:, None]
    if "bias" not in head:
        return {"kernel": kernel}
    flat = head["kernel"].reshape(len(shift), -1)
    return {"kernel": kernel, "bias": head["bias"] - shift @ flat}


def _head_logits(
    module: nnx.Module,
    path: heads.Path,
    size: tuple[int, int],
    scale: np.ndarray,
    shift: np.ndarray,
) -> Callable[[dict[str, Array], Array], Array]:
    """Logits from what reaches the head, through whatever comes behind it.

    The network is traced on nothing, with parameters of zero before the head; all of
    that is without effect, and the compiler drops it.
    """
    structure, params = nnx.split(module)

    def logits(head, features):
        zeros = jax.tree.map(lambda p: jnp.zeros(p.shape, p.dtype), params)
        module = nnx.merge(structure, zeros, copy=True)

        def given(inner):
            for name, value in _unstandardised(head, scale, shift).items():
                getattr(inner, name)[...] = value
            return lambda _: inner(features)

        heads.tap(module, path, given)
        return module(jnp.zeros((len(features), *size, 3)))

    return logits


def _features(
    parts: loading.Parts,
    model: models.Model,
    path: heads.Path,
    images: np.ndarray,
    show_progress: bool,
) -> np.ndarray:
    """What reaches the head from each image: float32[n, ..., C]."""

    def watched(params, images):
        module = nnx.merge(parts.structure, params, copy=True)
        module.eval()
        seen = []

        def watch(inner):
            return lambda h: (seen.append(h), inner(h))[1]

        heads.tap(module, path, watch)
        module(model.preprocess(images))
        return seen[0]

    program = _compiling.jit_network(watched)
    chunks = []
    with progress.bar("Features", len(images), show=show_progress) as advance:
        for rows, count in _chunks(len(images)):
            chunks.append(np.asarray(program(parts.params, images[rows]))[:count])
            advance(count)
    return np.concatenate(chunks)


def _chunks(count: int) -> list[tuple[np.ndarray, int]]:
    """Positions of images in batches of one size, and how many of each are new."""
    starts = range(0, count, _FORWARD_BATCH)
    rows = [np.minimum(np.arange(s, s + _FORWARD_BATCH), count - 1) for s in starts]
    return [
        (r, min(_FORWARD_BATCH, count - s)) for r, s in zip(rows, starts, strict=True)
    ]


def _epochs(
    found: labelled_images.LabelledImages,
    chosen: Settings,
    log: list[dict[str, Any]],
    report: Callable[[dict[str, Any]], None] | None,
    show_progress: bool,
    part: Train,
    params: PyTree,
    logits: Callable[[PyTree, Array], Array],
    inputs: np.ndarray,
) -> PyTree:
    """Parameters fitted so that `logits(params, inputs)` name the labels."""
    train, test = np.flatnonzero(~found.held_out), np.flatnonzero(found.held_out)
    size = min(chosen.batch_size, len(train))
    steps = len(train) // size * chosen.epochs
    rate = HEAD_LEARNING_RATE if part == "head" else chosen.learning_rate
    optimizer = fitting.optimizer(rate, chosen.weight_decay, steps=steps)
    params = jax.tree.map(jnp.copy, params)  # Each step gives its arguments away.
    state = optimizer.init(params)
    step, predict = _step(logits, optimizer), _compiling.jit_network(logits)
    with progress.bar(
        f"Fitting {part}", steps, unit="steps", show=show_progress
    ) as advance:
        for epoch in range(chosen.epochs):
            measured = []
            order = fitting.order(len(train), size, seed=chosen.seed, epoch=epoch)
            for rows in order:
                given = inputs[train[rows]], found.labels[train[rows]]
                params, state, figures = step(params, state, *given)
                measured.append(figures)
                advance(1)
            loss, accuracy = np.mean(jax.device_get(measured), axis=0)
            predicted = [
                np.argmax(predict(params, inputs[test[rows]]), axis=1)[:count]
                for rows, count in _chunks(len(test))
            ]
            right = np.mean(np.concatenate(predicted) == found.labels[test])
            entry = fitting.epoch_entry(
                epoch, loss=loss, accuracy=accuracy, validation_accuracy=right
            )
            log.append({"part": part, **entry})
            if report is not None:
                report(log[-1])
    return params


def _step(
    logits: Callable[[PyTree, Array], Array], optimizer: optax.GradientTransformation
) -> Callable[..., tuple[PyTree, PyTree, Array]]:
    """`(params, state, inputs, labels) -> (params, state, [loss, accuracy])`."""

    def loss(params, inputs, labels):
        found = logits(params, inputs)
        losses = optax.softmax_cross_entropy_with_integer_labels(found, labels)
        return jnp.mean(losses), jnp.mean(jnp.argmax(found, axis=-1) == labels)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, inputs, labels):
        (value, right), gradients = jax.value_and_grad(loss, has_aux=True)(
            params, inputs, labels
        )
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, jnp.stack([value, right])

    return step


def _save(
    out: Path,
    parts: loading.Parts,
    module: nnx.Module,
    model: models.Model,
    classes: labelled_images.Classes,
    chosen: Settings,
) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{parts.name}.safetensors"
    about = {
        "network": parts.name,
        "form": None if parts.source is None else parts.source.sign,
        "classes": classes.names,
        "label_set": classes.label_set,
        "class_to_output": None if classes.in_order else classes.to_output.tolist(),
        "input": dataclasses.asdict(model.input),
        # A head alone does not make a random network a trained one.
        "trained": model.trained or chosen.train == "all",
        "seed": chosen.seed,
        "made_by": f"jaxcam {jaxcam.__version__}, jaxcam finetune",
    }
    models.files.write(path, models.flat_arrays(module), about)
    return path
