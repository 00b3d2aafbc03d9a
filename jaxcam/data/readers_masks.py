"""Published segmentations and plain folders of masks: truth by class, one row each.

A row is an (image, class) pair, so an image with three classes is three rows, named
`image#class`; saved maps are found by the image's name and, where they have one, by
their class.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from jaxcam.data import masks, readers, records

_VOC_CLASSES, _VOC_OBJECTS, _VOC_IMAGES = (
    "SegmentationClass",
    "SegmentationObject",
    "JPEGImages",
)
_S_IMAGES, _S_LABELS = "validation", "validation-segmentation"

Labels = tuple[np.ndarray, np.ndarray]
"""Mask of a class, and the pixels that count."""


def is_voc(folder: Path) -> bool:
    """Whether a folder is laid out as PASCAL VOC."""
    return (folder / _VOC_CLASSES).is_dir()


def is_imagenet_s(folder: Path) -> bool:
    """Whether a folder is laid out as ImageNet-S."""
    return (folder / _S_LABELS).is_dir()


def is_masks(folder: Path) -> bool:
    """Whether a folder holds mask files and no other folders."""
    children = [child for child in folder.iterdir() if not child.name.startswith(".")]
    if any(child.is_dir() for child in children):
        return False
    return any(child.suffix.lower() in readers.MASK_SUFFIXES for child in children)


def voc(folder: Path) -> records.Dataset:
    """PASCAL VOC segmentation: a row for each image and class in it.

    Args:
      folder: Holds `SegmentationClass/`; if there are `SegmentationObject/`, each
        object's box is a truth box, else the tight box of the class is; if there is
        `JPEGImages/`, its images are used. Every label image is read at once, to know
        its classes.

    Returns:
      The data set, sorted by image; class numbers are those of `masks.VOC_CLASSES`,
      from 0. Void pixels do not count.

    Raises:
      FileNotFoundError: There are no label images.
    """
    found = masks.list_masks(folder / _VOC_CLASSES)
    made, most = [], 1
    has_images = (folder / _VOC_IMAGES).is_dir()
    for name, file in found.items():
        image = folder / _VOC_IMAGES / f"{name}.jpg"
        objects = folder / _VOC_OBJECTS / file.name
        most = max(most, _count_objects(objects))
        made += _rows(
            name,
            image if has_images else None,
            file,
            (file, objects) if objects.is_file() else (file,),
            _read_voc,
            masks.VOC_BORDER,
            lambda index: masks.VOC_CLASSES[index - 1],
            functools.partial(_voc_truth, file, objects if objects.is_file() else None),
        )
    return records.Dataset(
        name=folder.name,
        records=made,
        label_set="voc",
        class_names=masks.VOC_CLASSES,
        boxes=most,
        origin=("voc",),
        has_images=has_images,
    )


def imagenet_s(folder: Path) -> records.Dataset:
    """ImageNet-S: a row for each validation image and class in it.

    Args:
      folder: Holds `validation-segmentation/CLASS/*.png`, and if there is
        `validation/CLASS/*.JPEG`, its images are used. Classes are numbered in
        alphabetical order, as the subset's files do from 1. Every label image is read
        at once, to know its classes.

    Returns:
      The data set, sorted by image; class numbers start at 0. Pixels labelled 1000 do
      not count.

    Raises:
      FileNotFoundError: There are no label images.
    """
    found = masks.list_masks(folder / _S_LABELS)
    names = tuple(sorted({name.partition("/")[0] for name in found}))
    made = []
    has_images = (folder / _S_IMAGES).is_dir()
    for name, file in found.items():
        image = folder / _S_IMAGES / f"{name}.JPEG"
        made += _rows(
            name,
            image if has_images else None,
            file,
            (file,),
            masks.read_imagenet_s,
            masks.IMAGENET_S_IGNORED,
            lambda index: names[index - 1] if index <= len(names) else str(index),
            functools.partial(_imagenet_s_truth, file),
        )
    return records.Dataset(
        name=folder.name,
        records=made,
        label_set=folder.name,
        class_names=names,
        origin=("imagenet_s",),
        has_images=has_images,
    )


def mask_folder(folder: Path, *, threshold: float | None = None) -> records.Dataset:
    """Plain masks without images: truth for saved maps.

    Args:
      folder: Holds mask files of 0 and 1, or 0 and 255; in subfolders if wanted, which
        must be asked for as "masks:FOLDER".
      threshold: Makes masks of other values: larger is object.

    Returns:
      The data set: a row for each mask, named by its path without suffix.

    Raises:
      FileNotFoundError: There are none.
    """
    read = functools.partial(readers.read_plain_mask, threshold=threshold)

    def record(name: str, file: Path) -> records.Record:
        return records.Record(
            id=name,
            image=records.no_image,
            truth=lambda: read(file),
            shape=lambda: read(file).object.shape,
            files=(file,),
        )

    return records.Dataset(
        name=folder.name,
        records=[record(*item) for item in masks.list_masks(folder).items()],
        origin=("masks", threshold),
        has_images=False,
    )


def _rows(
    name: str,
    image: Path | None,
    labels: Path,
    files: tuple[Path, ...],
    read: Callable[[Path], np.ndarray],
    ignored: int,
    class_name: Callable[[int], str],
    truth: Callable[[int], records.Truth],
) -> Iterable[records.Record]:
    """A row for each class of a label image; one invalid row if it cannot be read."""

    def label_image() -> np.ndarray:
        return readers.read_truth(labels, "label image", read)

    try:
        classes = np.setdiff1d(label_image(), [0, ignored]).tolist()
    except records.BadRecord:
        classes = [0]
    sized = image is not None and image.is_file()
    for index in classes:
        category = class_name(index) if index else ""
        yield records.Record(
            id=f"{name}#{category}" if index else name,
            image=functools.partial(readers.read_image, image)
            if image
            else records.no_image,
            truth=functools.partial(truth, index),
            shape=functools.partial(readers.read_shape, image)
            if sized
            else lambda: label_image().shape,
            candidates=(index - 1,) if index else (),
            category=category,
            files=(*files, image) if image else files,
            image_id=name,
        )


def _read_voc(path: Path) -> np.ndarray:
    """Labels of an image, refused if they are none of PASCAL VOC."""
    labels = masks.read_labels(path)
    masks.voc_mask(labels)
    return labels


def _voc_truth(file: Path, objects: Path | None, index: int) -> records.Truth:
    labels = readers.read_truth(file, "label image", masks.read_labels)
    mask, counts = readers.read_truth(
        file, "label image", lambda _: masks.voc_mask(labels, index or None)
    )
    if objects is None:
        return records.Truth(mask, ~counts, _tight_boxes([mask]))
    pairs, _ = readers.read_truth(
        objects,
        "image of objects",
        lambda path: masks.voc_instances(masks.read_labels(path), labels),
    )
    own = [instance for number, instance in pairs if number == index]
    return records.Truth(mask, ~counts, _tight_boxes(own))


def _count_objects(path: Path) -> int:
    """How many objects an image of objects has; 0 if it cannot be read."""
    try:
        labels = readers.read_truth(path, "image of objects", masks.read_labels)
    except records.BadRecord:
        return 0
    return len(np.setdiff1d(labels, [0, masks.VOC_BORDER]))


def _imagenet_s_truth(file: Path, index: int) -> records.Truth:
    labels = readers.read_truth(file, "label image", masks.read_imagenet_s)
    mask, counts = masks.imagenet_s_mask(labels, index or None)
    return records.Truth(mask, ~counts, _tight_boxes([mask]))


def _tight_boxes(of: Iterable[np.ndarray]) -> np.ndarray:
    """float[n, 4]: void pixels around an object are not part of its box."""
    boxes = []
    for mask in of:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if rows.size:
            boxes.append([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
    return np.array(boxes, np.float64).reshape(-1, 4)
