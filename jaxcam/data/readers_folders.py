"""Folders of images: with masks or trimaps beside them, or one folder a class."""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Mapping
from pathlib import Path

from jaxcam.data import readers, records


def image_folder(
    folder: Path, *, threshold: float | None = None, label_set: str | None = None
) -> records.Dataset:
    """Images with masks or trimaps of the same names beside them.

    Args:
      folder: Holds `images/`, and if there is truth `masks/` (0 and 1, or 0 and 255) or
        `trimaps/` (1 object, 2 background, 3 border), and if there are labels
        `labels.csv` with the columns `file` and `label`: class numbers of `label_set`,
        several separated by spaces, or names, numbered in alphabetical order.
      threshold: Makes masks of other values: larger is object.
      label_set: What class numbers mean; "imagenet" by default.

    Returns:
      The data set, sorted by id: a row for each image, mask and labelled name.

    Raises:
      ValueError: There is no `images/`, or a list cannot be read.
    """
    if not (folder / "images").is_dir():
        raise ValueError(f"{folder} has no folder images/.")
    images, skipped = readers.files_by_id(folder / "images", readers.IMAGE_SUFFIXES)
    candidates, class_names = _label_table(folder / "labels.csv")
    if (folder / "trimaps").is_dir():
        place, read = folder / "trimaps", readers.read_trimap
    else:
        place = folder / "masks"
        read = functools.partial(readers.read_plain_mask, threshold=threshold)
    truth, others = readers.files_by_id(place, readers.MASK_SUFFIXES)
    made = [
        readers.record(
            name,
            images.get(name, folder / "images" / name),
            truth.get(name, place / name) if truth else None,
            read,
            candidates=candidates.get(name, ()),
            category=_category(candidates.get(name, ()), class_names),
        )
        for name in sorted({*images, *truth, *candidates})
    ]
    numbers = "imagenet" if candidates else None
    return records.Dataset(
        name=folder.name,
        records=made,
        label_set=label_set or (folder.name if class_names else numbers),
        class_names=class_names,
        skipped=skipped + others,
        origin=("folder", threshold),
    )


def _label_table(
    path: Path,
) -> tuple[Mapping[str, tuple[int, ...]], tuple[str, ...] | None]:
    """Classes by id, and their names where the table holds names and not numbers."""
    if not path.is_file():
        return {}, None
    with path.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        if not {"file", "label"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path} must have the columns file and label.")
        text = readers.table(path, rows, lambda row: (_id(row["file"]), row["label"]))
    try:
        return {name: readers.classes(label) for name, label in text.items()}, None
    except ValueError:
        names = tuple(sorted(set(text.values())))
        return {name: (names.index(label),) for name, label in text.items()}, names


def _id(file: str) -> str:
    stem, suffix = os.path.splitext(file)
    return stem if suffix.lower() in readers.IMAGE_SUFFIXES else file


def _category(candidates: tuple[int, ...], names: tuple[str, ...] | None) -> str:
    return names[candidates[0]] if names and candidates else ""


def class_folders(
    folder: Path, *, threshold: float | None = None, label_set: str | None = None
) -> records.Dataset:
    """Images in one folder a class, numbered in alphabetical order.

    Args:
      folder: Holds `class_name/*.jpg`, and if there is truth `masks/class_name/*.png`.
      threshold: Makes masks of other values: larger is object.
      label_set: What the numbers of the classes mean; the folder's name by default.
        Give a model's own to say that its outputs are in this order.

    Returns:
      The data set, sorted by id: a row for each image and each mask.

    Raises:
      ValueError: There is no folder of images.
    """
    found = {
        child.name: readers.files_by_id(child, readers.IMAGE_SUFFIXES)
        for child in sorted(folder.iterdir())
        if child.is_dir() and child.name != "masks" and not child.name.startswith(".")
    }
    classes = tuple(name for name, (images, _) in found.items() if images)
    if not classes:
        raise ValueError(f"{folder} has no folder of images.")
    read = functools.partial(readers.read_plain_mask, threshold=threshold)
    with_masks = (folder / "masks").is_dir()
    made, skipped = [], 0
    for number, name in enumerate(classes):
        images, others = found[name]
        place = folder / "masks" / name
        masks, more = readers.files_by_id(place, readers.MASK_SUFFIXES)
        skipped += others + more
        made += [
            readers.record(
                f"{name}/{stem}",
                images.get(stem, folder / name / stem),
                masks.get(stem, place / stem) if with_masks else None,
                read,
                candidates=(number,),
                category=name,
            )
            for stem in sorted({*images, *masks})
        ]
    return records.Dataset(
        name=folder.name,
        records=made,
        label_set=label_set or folder.name,
        class_names=classes,
        skipped=skipped,
        origin=("classes", threshold),
    )
