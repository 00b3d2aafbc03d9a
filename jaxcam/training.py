"""Trains the small net that comes with jaxcam on the procedural data set.

    python -m jaxcam.training --out DIR --seed 0

writes `shapes_net.safetensors`, which `jaxcam.models.load` reads, and its log
`shapes_net.json`. The same seed gives the same weights, to the bit, on the same machine
with the same versions.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import jaxcam
from jaxcam import explanation, fitting, metrics, models, progress
from jaxcam._types import Array, PyTree
from jaxcam.data import shapes
from jaxcam.models.zoo import layers, shapes_net

NAME = "shapes_net"

LOGIT_SCALE = 10.0
"""Logits are trained as ten times what the linear map gives, and the map is scaled at
the end. Objects are a tenth of an image, so that the pooled features hardly differ from
image to image; without it the map's weights take most of the training to grow."""


@dataclasses.dataclass(frozen=True)
class Training:
    """Train the small net that comes with jaxcam on the procedural data set."""

    out: Path = Path("runs/shapes_net")
    """Folder for the weights and the log."""
    seed: int = 0
    """Seed of the parameters, the order of the images and their augmentation."""
    images: int = 8_000
    """Number of training images."""
    epochs: int = 5
    """Times that every image is shown."""
    batch_size: int = 32
    """Images a step."""
    learning_rate: float = 6e-3
    """Its peak; it rises over the first tenth of the steps and falls to zero."""
    weight_decay: float = 1e-3
    """Of the matrices, decoupled from the gradient."""
    shift: int = 8
    """Largest random shift in pixels, either way."""
    test_images: int = 2048
    """Held-out images for the accuracy; a quarter of them for the maps."""


@dataclasses.dataclass(frozen=True)
class _State:
    """What a step of training changes."""

    params: PyTree
    statistics: PyTree
    optimizer: PyTree


jax.tree_util.register_dataclass(_State, ["params", "statistics", "optimizer"], [])


def train(config: Training, *, show_progress: bool = False) -> dict[str, Any]:
    """Trains the net, writes weights and log into `config.out`, and returns the log.

    Args:
      config: What to train with.
      show_progress: Shows a progress bar, or lines where there is no terminal.

    Returns:
      The log: the settings, one entry an epoch, and the figures on held-out images.

    Raises:
      ValueError: Fewer images than one batch.
    """
    if config.images < config.batch_size:
        raise ValueError(
            f"{config.images} images are less than a batch of {config.batch_size}; "
            "lower --batch-size."
        )
    images, labels, _ = _drawn("train", config.images, config.seed, show_progress)
    with jax.default_matmul_precision("highest"):
        module, epochs = _fit(config, images, labels, show_progress)
        weights = _save(config, module)
        figures = _figures(config, weights, show_progress)
    settings = dataclasses.asdict(config)
    del settings["out"]
    log = {
        "network": NAME,
        "settings": settings,
        "versions": fitting.versions(),
        "epochs": epochs,
        "held_out": figures,
        "bytes": weights.stat().st_size,
    }
    path = weights.with_suffix(".json")
    path.write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    return log


def _drawn(
    split: shapes.Split, count: int, seed: int, show_progress: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first images of a split, their classes and the masks of their objects."""
    images = np.empty((count, shapes.SIZE, shapes.SIZE, 3), np.uint8)
    masks = np.empty((count, shapes.SIZE, shapes.SIZE), bool)
    labels = np.empty(count, np.int32)
    with progress.bar(f"Drawing {split}", count, show=show_progress) as advance:
        for i in range(count):
            images[i], labels[i], masks[i] = shapes.draw(i, split=split, seed=seed)
            advance(1)
    return images, labels, masks


def _fit(
    config: Training, images: np.ndarray, labels: np.ndarray, show_progress: bool
) -> tuple[nnx.Module, list[dict[str, float]]]:
    """The trained module in evaluation mode, and what each epoch was like."""
    module = _module(config.seed)
    structure, params, statistics = nnx.split(module, nnx.Param, ...)
    per_epoch = config.images // config.batch_size
    optimizer = fitting.optimizer(
        config.learning_rate, config.weight_decay, steps=per_epoch * config.epochs
    )
    state = _State(params, statistics, optimizer.init(params))
    step = _step(structure, optimizer, config.shift)
    key = jax.random.key(config.seed)

    epochs = []
    total = per_epoch * config.epochs
    with progress.bar("Training", total, unit="steps", show=show_progress) as advance:
        for epoch in range(config.epochs):
            measured = []
            for rows in fitting.order(
                config.images, config.batch_size, seed=config.seed, epoch=epoch
            ):
                key, now = jax.random.split(key)
                state, figures = step(state, images[rows], labels[rows], now)
                measured.append(figures)
                advance(1)
            loss, accuracy = np.mean(jax.device_get(measured), axis=0)
            epochs.append(fitting.epoch_entry(epoch, loss=loss, accuracy=accuracy))
    module = nnx.merge(structure, state.params, state.statistics)
    module.fc.kernel[...] *= LOGIT_SCALE
    module.fc.bias[...] *= LOGIT_SCALE
    module.eval()
    return module, epochs


def _module(seed: int) -> nnx.Module:
    """The net in training mode, its pooling written so that its gradient is cheap."""
    module = shapes_net.ShapesNet(len(shapes.CLASSES), rngs=nnx.Rngs(seed))
    for position in module.features.order:
        if isinstance(getattr(module.features, str(position)), layers.MaxPool):
            setattr(module.features, str(position), layers.Activation(_halved))
    module.fc.kernel[...] = jnp.zeros_like(module.fc.kernel[...])
    module.train()
    return module


def _halved(x: Array) -> Array:
    """Maxima of 2 x 2 windows. The gradient of `max_pool` costs 8 times this on CPU."""
    batch, height, width, channels = x.shape
    windows = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return jnp.max(windows, axis=(2, 4))


def _step(
    structure: Any, optimizer: optax.GradientTransformation, shift: int
) -> Callable[..., tuple[_State, Array]]:
    """A compiled step `(state, images, labels, key) -> (state, [loss, accuracy])`."""
    preprocess = models.load(NAME, weights="random").preprocess

    def loss(params, statistics, x, labels):
        module = nnx.merge(structure, params, statistics, copy=True)
        logits = LOGIT_SCALE * module(x)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        right = jnp.mean(jnp.argmax(logits, axis=-1) == labels)
        statistics = nnx.split(module, nnx.Param, ...)[2]
        return jnp.mean(losses), (right, statistics)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, images, labels, key):
        x = preprocess(_augmented(images, key, shift))
        differentiated = jax.value_and_grad(loss, has_aux=True)
        (value, (right, statistics)), gradients = differentiated(
            state.params, state.statistics, x, labels
        )
        updates, optimizer_state = optimizer.update(
            gradients, state.optimizer, state.params
        )
        params = optax.apply_updates(state.params, updates)
        return _State(params, statistics, optimizer_state), jnp.stack([value, right])

    return step


def _augmented(images: Array, key: Array, shift: int) -> Array:
    """Each image shifted (edges repeated), mirrored, its colours exchanged, at random.

    No outline changes its class by this, and no place or colour stays tied to one.
    """

    def one(image, key):
        at, mirrored, colours = jax.random.split(key, 3)
        wide = jnp.pad(image, ((shift, shift), (shift, shift), (0, 0)), mode="edge")
        start = jax.random.randint(at, (2,), 0, 2 * shift + 1)
        image = jax.lax.dynamic_slice(wide, (*start, 0), image.shape)
        image = jnp.where(jax.random.bernoulli(mirrored), image[:, ::-1], image)
        return image[..., jax.random.permutation(colours, image.shape[-1])]

    return jax.vmap(one)(images, jax.random.split(key, len(images)))


def _save(config: Training, module: nnx.Module) -> Path:
    config.out.mkdir(parents=True, exist_ok=True)
    path = config.out / f"{NAME}.safetensors"
    about = {
        "network": NAME,
        "classes": shapes.CLASSES,
        "seed": config.seed,
        "made_by": f"jaxcam {jaxcam.__version__}, python -m jaxcam.training",
    }
    models.files.write(path, models.flat_arrays(module), about)
    return path


def _figures(config: Training, weights: Path, show_progress: bool) -> dict[str, Any]:
    """Accuracy on held-out images, and how well plain CAM points beside the floor."""
    model = models.load(NAME, weights=weights)
    images, labels, masks = _drawn(
        "test", config.test_images, config.seed, show_progress
    )
    program = jax.jit(lambda params, x: model.apply(params, model.preprocess(x))[0])
    predicted = np.concatenate(
        [
            np.argmax(program(model.params, images[i : i + 64]), axis=1)
            for i in range(0, len(images), 64)
        ]
    )
    mapped = max(config.test_images // 4, 1)
    maps = explanation.explain(model, images[:mapped], labels[:mapped], "cam")
    maps = np.maximum(maps, 0)
    score = jax.jit(jax.vmap(metrics.energy_pointing_game))
    pointing = np.asarray(score(maps, masks[:mapped]))
    return {
        "images": config.test_images,
        "accuracy": float(np.mean(predicted == labels)),
        "accuracy_by_class": {
            name: round(float(np.mean(predicted[labels == i] == i)), 4)
            for i, name in enumerate(shapes.CLASSES)
            if np.any(labels == i)
        },
        "maps": mapped,
        "maps_undefined": int(np.isnan(pointing).sum()),
        "energy_pointing_game": {
            "cam": _mean_of_defined(pointing),
            "uniform": round(float(np.mean(masks[:mapped])), 4),
        },
    }


def _mean_of_defined(values: np.ndarray) -> float | None:
    defined = values[~np.isnan(values)]
    return round(float(np.mean(defined)), 4) if len(defined) else None


def main(arguments: list[str] | None = None) -> int:
    """Reads the command line and trains."""
    import tyro

    config = tyro.cli(Training, args=arguments)
    log = train(config, show_progress=True)
    held_out = log["held_out"]
    pointing = held_out["energy_pointing_game"]
    sys.stdout.write(
        f"Accuracy on {held_out['images']} held-out images "
        f"{held_out['accuracy']:.4f}; energy pointing game {pointing['cam']} "
        f"(uniform {pointing['uniform']}); {log['bytes']} bytes in "
        f"{config.out / NAME}.safetensors\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
