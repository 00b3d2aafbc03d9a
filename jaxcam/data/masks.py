"""Decoders of mask files: PASCAL VOC, ImageNet-S, folders of plain masks.

Every function returns NumPy arrays: a mask is bool[H, W]; pixels that count are
bool[H, W] too.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""Classes 1 to 20 of PASCAL VOC; 0 is the background."""

VOC_BORDER = 255
IMAGENET_S_IGNORED = 1000

_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff", ".npy")


def read_labels(path: str | os.PathLike) -> np.ndarray:
    """The integers of a one-channel image: grey values, or indices into its palette.

    Args:
      path: An image file with or without a palette; three equal channels count as one.

    Returns:
      An integer array [H, W].

    Raises:
      ValueError: The image has colours or transparency, so no integer stands for a
        class; or it is a JPEG, whose values are not those that were saved.
    """
    with Image.open(path) as image:
        return labels_of(image, str(path))


def labels_of(image: Image.Image, name: str) -> np.ndarray:
    """What `read_labels` gives for an image that is open; errors call it `name`."""
    if image.format == "JPEG":
        raise ValueError(
            f"{name} is a JPEG, which does not keep labels exactly; save PNG."
        )
    values = np.asarray(image)
    mode = image.mode
    if values.ndim == 3 and mode == "RGB" and not np.ptp(values, axis=2).any():
        values = values[..., 0]
    if values.ndim != 2 or mode == "F":
        raise ValueError(
            f"{name} is an image of mode {mode} with colours or fractions; labels are "
            "the integers of a grey or palette image."
        )
    return values.astype(np.uint8) if values.dtype == bool else values


def voc_mask(
    labels: np.ndarray, class_index: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mask of a class in a PASCAL VOC `SegmentationClass` image.

    Args:
      labels: What `read_labels` gives: 0 background, 1 to 20 classes, 255 border.
      class_index: From 1 to 20 as in the file; `None` takes every class as object.

    Returns:
      The mask, and the pixels that count: all but the border.

    Raises:
      ValueError: The labels are none of PASCAL VOC, or so is `class_index`.

    >>> mask, where = voc_mask(np.array([[0, 8, 255, 12]]), 8)
    >>> mask.tolist(), where.tolist()
    ([[False, True, False, False]], [[True, True, False, True]])
    """
    _refuse_labels_above(labels, len(VOC_CLASSES), VOC_BORDER, "SegmentationClass")
    if class_index is not None and not 1 <= class_index <= len(VOC_CLASSES):
        raise ValueError(f"class_index={class_index} is not one of 1 to 20.")
    where = labels != VOC_BORDER
    wanted = labels != 0 if class_index is None else labels == class_index
    return wanted & where, where


def voc_instances(
    objects: np.ndarray, classes: np.ndarray
) -> tuple[list[tuple[int, np.ndarray]], np.ndarray]:
    """Objects of a PASCAL VOC `SegmentationObject` image, each with its class.

    Args:
      objects: What `read_labels` gives for it: 0 background, 1, 2, ... objects, 255
        border.
      classes: The same for the `SegmentationClass` image of that name.

    Returns:
      Pairs of a class from 1 to 20 and a mask, in the order of the objects; and the
      pixels that count: all but the border.

    Raises:
      ValueError: The sizes differ, or an object's pixels are of several classes.

    >>> pairs, where = voc_instances(np.array([[1, 2, 255]]), np.array([[8, 12, 255]]))
    >>> [(index, mask.tolist()) for index, mask in pairs]
    [(8, [[True, False, False]]), (12, [[False, True, False]])]
    """
    if objects.shape != classes.shape:
        raise ValueError(
            f"The image of objects is {objects.shape} but the image of classes is "
            f"{classes.shape}; give two files of one name."
        )
    where = objects != VOC_BORDER
    instances = []
    for number in np.setdiff1d(objects, [0, VOC_BORDER]):
        mask = objects == number
        found = np.setdiff1d(classes[mask], [0, VOC_BORDER])
        if len(found) != 1:
            raise ValueError(
                f"Object {number} has the classes {found.tolist()} in the other image; "
                "give the SegmentationObject and SegmentationClass of one name."
            )
        instances.append((int(found[0]), mask))
    return instances, where


def read_imagenet_s(path: str | os.PathLike) -> np.ndarray:
    """Labels of an ImageNet-S image: the red channel plus 256 times the green one.

    Args:
      path: A PNG file of ImageNet-S.

    Returns:
      int32[H, W]: 0 for what belongs to no class, 1 and up for the classes in the
      order of the subset (50, 300 or 919), 1000 for pixels to be ignored.

    Raises:
      ValueError: The file has not three channels, or labels beyond 1000.
    """
    with Image.open(path) as image:
        values, mode = np.asarray(image), image.mode
    if mode != "RGB":
        raise ValueError(
            f"{path} is an image of mode {mode}; ImageNet-S keeps its labels in the "
            "red and green channels of an RGB image."
        )
    labels = values[..., 0].astype(np.int32) + 256 * values[..., 1].astype(np.int32)
    _refuse_labels_above(labels, IMAGENET_S_IGNORED, IMAGENET_S_IGNORED, "ImageNet-S")
    return labels


def imagenet_s_mask(
    labels: np.ndarray, class_index: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mask of a class in an ImageNet-S image.

    Args:
      labels: What `read_imagenet_s` gives.
      class_index: From 1 as in the file; `None` takes every class as object.

    Returns:
      The mask, and the pixels that count: all but those labelled 1000.

    >>> mask, where = imagenet_s_mask(np.array([[0, 300, 1000]]), 300)
    >>> mask.tolist(), where.tolist()
    ([[False, True, False]], [[True, True, False]])
    """
    where = labels != IMAGENET_S_IGNORED
    wanted = labels != 0 if class_index is None else labels == class_index
    return wanted & where, where


def read_mask(path: str | os.PathLike, *, threshold: float | None = None) -> np.ndarray:
    """A mask from an image with the values 0 and 1 or 0 and 255, or a `.npy` file.

    Args:
      path: A grey or palette image, or an array [H, W] saved by NumPy.
      threshold: If given, any values are allowed and those above it are the object.

    Returns:
      bool[H, W].

    Raises:
      ValueError: Without `threshold`: other values occur, which may be classes or
        probabilities. The array is not (H, W).
    """
    if Path(path).suffix == ".npy":
        values = np.load(path, allow_pickle=False)
    else:
        values = read_labels(path)
    if values.ndim != 2:
        raise ValueError(f"{path} has shape {values.shape}; a mask is (H, W).")
    if threshold is not None:
        return values > threshold
    top = values.max(initial=0)
    if top not in (0, 1, 255) or not np.all((values == 0) | (values == top)):
        found = np.unique(values).tolist()
        some = ", ".join(str(value) for value in found[:5])
        raise ValueError(
            f"{path} has the values {some}{', ...' if len(found) > 5 else ''}, where a "
            "mask has 0 and 1 or 0 and 255; give threshold= if larger means object."
        )
    return values != 0


def list_masks(folder: str | os.PathLike) -> dict[str, Path]:
    """Mask files of a folder and its subfolders by id: relative path, no suffix.

    Args:
      folder: Where the masks are.

    Returns:
      Files by id, sorted.

    Raises:
      FileNotFoundError: There are none.
      ValueError: Two files have the same id.
    """
    folder = Path(folder)
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise ValueError(f"{files[name]} and {path} share an id; keep one.")
        files[name] = path
    if not files:
        raise FileNotFoundError(f"{folder} holds no masks ({', '.join(_SUFFIXES)}).")
    return files


def _refuse_labels_above(labels: np.ndarray, last: int, extra: int, kind: str) -> None:
    wrong = np.unique(labels[(labels < 0) | ((labels > last) & (labels != extra))])
    if wrong.size:
        raise ValueError(
            f"{wrong[:5].tolist()} are no labels of {kind}; give the file as it was "
            "published."
        )
