"""The metadata of weakly supervised localisation as a data set."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from jaxcam.data import readers, records, wsol

_IMAGES = "images"


def is_metadata(folder: Path) -> bool:
    """Whether a folder holds such metadata, with or without a prefix."""
    return len(list(folder.glob("*image_ids.txt"))) == 1


def wsol_metadata(folder: Path, *, masks: Path | None = None) -> records.Dataset:
    """Truth boxes, or masks, of a split of CUB, ImageNet or OpenImages.

    Images are no part of the metadata: without them the data set serves to score saved
    maps. A folder `images` in it, or a link to one, holds them under the paths of the
    list.

    Args:
      folder: Holds `image_ids.txt` and `localization.txt`, `image_sizes.txt` for boxes;
        all may share a prefix. Holds `images/` for `jaxcam evaluate`.
      masks: Where the paths of masks start; the folder itself by default.

    Returns:
      The data set, in the order of the list of images.

    Raises:
      FileNotFoundError: There is no list of images.
      ValueError: A file cannot be read.
    """
    (ids,) = folder.glob("*image_ids.txt")
    prefix = ids.name.removesuffix("image_ids.txt")
    entries = wsol.read_metadata(folder, prefix=prefix)
    root = folder if masks is None else masks
    images = folder / _IMAGES if (folder / _IMAGES).is_dir() else None
    return records.Dataset(
        name=folder.name,
        records=[_record(entry, root, images) for entry in entries],
        boxes=max((len(entry.boxes) for entry in entries), default=1),
        origin=("wsol", prefix, records.digest([e.boxes.tolist() for e in entries])),
        has_images=images is not None,
    )


def _record(entry: wsol.Entry, root: Path, images: Path | None) -> records.Record:
    named = (*entry.masks, *((entry.ignore,) if entry.ignore else ()))
    files = [root / name for name in named]
    image = records.no_image
    if images is not None:
        files.append(images / entry.id)
        image = functools.partial(_image, entry, images / entry.id)
    return records.Record(
        id=entry.id,
        image=image,
        truth=functools.partial(_truth, entry, root),
        shape=functools.partial(_shape, entry, root),
        candidates=() if entry.label is None else (entry.label,),
        files=tuple(files),
    )


def _shape(entry: wsol.Entry, root: Path) -> tuple[int, int]:
    if entry.size is not None:
        return entry.size
    if entry.masks:
        return _masks(entry, root)[0].shape
    raise records.BadRecord("the metadata say nothing of its size")


def _image(entry: wsol.Entry, path: Path) -> np.ndarray:
    image = readers.read_image(path)
    if entry.size not in (None, image.shape[:2]):
        found, said = ("{} x {}".format(*s) for s in (image.shape[:2], entry.size))
        raise records.BadRecord(f"the image is {found}, the metadata say {said}")
    return image


def _masks(entry: wsol.Entry, root: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        return wsol.read_masks(entry, root, size=entry.size)
    except (OSError, ValueError) as error:
        raise records.BadRecord(f"the masks cannot be read: {error}") from error


def _truth(entry: wsol.Entry, root: Path) -> records.Truth:
    if not entry.masks:
        return records.Truth(boxes=entry.boxes)
    mask, counts = _masks(entry, root)
    return records.Truth(object=mask, border=~counts)
