"""Images of known classes, all of them in memory: what a classifier is fitted to."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from jaxcam import data, models, progress


@dataclasses.dataclass(frozen=True)
class Classes:
    """What the outputs of a classifier of a data set stand for.

    Attributes:
      names: Of the outputs.
      label_set: Which classes the data set numbers.
      to_output: int[classes of the label set], -1 where there is no output.
    """

    names: tuple[str, ...]
    label_set: str
    to_output: np.ndarray

    @property
    def in_order(self) -> bool:
        """Whether output `i` is class `i`, of which there are no others."""
        return np.array_equal(self.to_output, np.arange(len(self.names)))


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Images, their classes, and which are kept for validation.

    Attributes:
      images: uint8[n, H, W, 3].
      labels: int32[n], outputs.
      held_out: bool[n].
      skipped: Rows without a class, and rows that cannot be read.
    """

    images: np.ndarray
    labels: np.ndarray
    held_out: np.ndarray
    skipped: dict[str, int]


def find_classes(dataset: data.Dataset, *, limit: int | None = None) -> Classes:
    """The classes of a data set's rows.

    A class is what a row counts as right: one class of the label set, or several, as
    all breeds of a species.

    Args:
      dataset: The rows.
      limit: Only the first rows.

    Raises:
      ValueError: No row has a label, all have the same, an image has two, or what
        counts as right overlaps without being the same.
    """
    categories: dict[tuple[int, ...], set[str]] = {}
    of_image: dict[str, tuple[int, ...]] = {}
    for record in itertools.islice(dataset.records, limit):
        group = tuple(sorted(set(record.candidates)))
        if not group:
            continue
        categories.setdefault(group, set()).add(record.category)
        image = record.image_id or record.id
        if of_image.setdefault(image, group) != group:
            raise ValueError(
                f"{image} of {dataset.name} has several classes; a classifier needs "
                "images of one class each."
            )
    groups = sorted(categories)
    if len(groups) < 2:
        found = "no labels" if not groups else "images of one class only"
        raise ValueError(
            f"{dataset.name} has {found}; a classifier needs two classes or more: a "
            "folder of images for each, or images/ with labels.csv."
        )
    members = [number for group in groups for number in group]
    if len(set(members)) < len(members):
        raise ValueError(
            f"The classes that count as right in {dataset.name} overlap; choose labels "
            "of one class each (labels='exact')."
        )
    to_output = np.full(max(members) + 1, -1)
    for output, group in enumerate(groups):
        to_output[list(group)] = output
    label_set = dataset.label_set or dataset.name
    names = [_name(g, categories[g], dataset.class_names, label_set) for g in groups]
    if len(set(names)) < len(names):
        names = [_numbers(group, label_set) for group in groups]
    return Classes(tuple(names), label_set, to_output)


def _name(
    group: tuple[int, ...],
    categories: set[str],
    class_names: Sequence[str] | None,
    label_set: str,
) -> str:
    if class_names is not None and len(group) == 1:
        return class_names[group[0]]
    if len(categories) == 1 and "" not in categories:
        return next(iter(categories))
    return _numbers(group, label_set)


def _numbers(group: tuple[int, ...], label_set: str) -> str:
    spans = len(group) > 1 and group[-1] - group[0] == len(group) - 1
    said = f"{group[0]}-{group[-1]}" if spans else ", ".join(map(str, group))
    return f"{label_set} {said}"


def read(
    dataset: data.Dataset,
    classes: Classes,
    spec: models.InputSpec,
    *,
    geometry: Literal["squash", "crop"] = "squash",
    validation: float = 0.2,
    limit: int | None = None,
    show_progress: bool = False,
) -> LabelledImages:
    """Reads every image that has a class, in the size that a network expects.

    Args:
      dataset: The rows.
      classes: As `find_classes` gives them.
      spec: What the network expects.
      geometry: How images are brought to its size.
      validation: Share of each class that is held out: the images whose names have the
        smallest hashes, so that an image stays on its side whatever the seed.
      limit: Only the first rows.
      show_progress: Shows a progress bar.

    Raises:
      ValueError: A class has fewer than two images that can be read.
    """
    total = len(dataset) if limit is None else min(limit, len(dataset))
    stream = data.batches(
        dataset,
        size=spec.size,
        batch_size=32,
        geometry=geometry,
        crop_fraction=spec.crop_fraction,
        interpolation=spec.interpolation,
        spans=[range(total)],
    )
    images, labels, ids = [], [], []
    skipped = {"without a class": 0, "unreadable": 0}
    with progress.bar("Reading", total, show=show_progress) as advance:
        for batch in stream:
            real = np.flatnonzero(np.asarray(batch["index"]) >= 0)
            for row in real:
                if not batch["candidates"][row]:
                    skipped["without a class"] += 1
                elif not batch["valid"][row]:
                    skipped["unreadable"] += 1
                else:
                    images.append(batch["image"][row])
                    labels.append(classes.to_output[batch["candidates"][row][0]])
                    ids.append(batch["id"][row])
            advance(len(real))
    outputs = np.array(labels, np.int32)
    _check_counts(outputs, classes)
    held_out = _held_out(ids, outputs, validation)
    return LabelledImages(np.stack(images), outputs, held_out, skipped)


def _check_counts(labels: np.ndarray, classes: Classes) -> None:
    counts = np.bincount(labels, minlength=len(classes.names))
    for name, count in zip(classes.names, counts, strict=True):
        if count < 2:
            raise ValueError(
                f"Class {name} has {count} images that can be read; it needs two, one "
                "to learn from and one for validation."
            )


def _held_out(ids: Sequence[str], labels: np.ndarray, share: float) -> np.ndarray:
    hashes = np.array([hashlib.sha256(name.encode()).hexdigest() for name in ids])
    held_out = np.zeros(len(ids), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = min(max(round(share * len(rows)), 1), len(rows) - 1)
        held_out[rows[np.argsort(hashes[rows])[:count]]] = True
    return held_out


def describe(found: LabelledImages, classes: Classes) -> dict[str, Any]:
    """What a log says of the images."""
    return {
        "classes": list(classes.names),
        "label_set": classes.label_set,
        "training_images": int(np.sum(~found.held_out)),
        "validation_images": int(np.sum(found.held_out)),
        "skipped": found.skipped,
    }
