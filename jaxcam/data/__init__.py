"""Data sets with known objects: folders, published layouts, procedural shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jaxcam.data import readers as _readers
from jaxcam.data import shapes as _shapes
from jaxcam.data.maps import SavedMaps as SavedMaps
from jaxcam.data.maps import match as match
from jaxcam.data.maps import read_maps as read_maps
from jaxcam.data.pipeline import batches as batches
from jaxcam.data.records import BadRecord as BadRecord
from jaxcam.data.records import Dataset as Dataset
from jaxcam.data.records import Record as Record
from jaxcam.data.records import Truth as Truth

_LAYOUTS = {
    "shapes": {
        "data": "shapes",
        "what": "procedural images with exact masks; shapes:train, shapes:two_objects",
        "how": "--data shapes",
    },
    "oxford_pets": {
        "data": "oxford_pets",
        "what": "Oxford-IIIT Pet: images/ with annotations/ as published, or with "
        "trimaps/ and labels.csv",
        "how": "--data DIR",
    },
    "folder": {
        "data": "folder",
        "what": "images/ with masks/ or trimaps/ of the same names; labels.csv",
        "how": "--data DIR",
    },
    "classes": {
        "data": "classes",
        "what": "CLASS/*.jpg, a folder a class; masks/CLASS/*.png if wanted",
        "how": "--data DIR",
    },
}


def names() -> tuple[str, ...]:
    """Names of the data sets and layouts that can be read."""
    return tuple(_LAYOUTS)


def describe(name: str) -> dict[str, str]:
    """What a data set or layout is and how it is asked for."""
    return dict(_LAYOUTS[name])


def open_dataset(
    spec: str | Path,
    *,
    layout: str = "auto",
    labels: _readers.Labels = "coarse",
    length: int | None = None,
    threshold: float | None = None,
    label_set: str | None = None,
) -> Dataset:
    """Opens a data set; nothing but names and lists is read before rows are asked for.

    Args:
      spec: "shapes", "shapes:SPLIT", or a folder.
      layout: "auto", "oxford_pets", "folder" or "classes".
      labels: For Oxford pets: which classes count as right, see
        `jaxcam.data.readers.oxford_pets`.
      length: For shapes: number of images.
      threshold: For masks of other values than 0 and 1 or 255: larger is object.
      label_set: For folders with a `labels.csv`: what its class numbers mean.

    Returns:
      The data set.

    Raises:
      FileNotFoundError: The folder is not there.
      ValueError: The folder has no known layout, or a list cannot be read.
    """
    text = str(spec)
    if text == "shapes" or text.startswith("shapes:"):
        split: Any = text.partition(":")[2] or "test"
        return _shapes.dataset(split, length=length)
    folder = Path(text.removeprefix("oxford_pets:"))
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder} and no data set of that name; "
            "`jaxcam list data` shows what can be read."
        )
    if layout == "auto":
        layout = _layout(folder)
    if layout == "oxford_pets":
        return _readers.oxford_pets(folder, labels=labels)
    if layout in ("folder", "classes"):
        return _readers.image_folder(folder, threshold=threshold, label_set=label_set)
    raise ValueError(f"layout={layout!r} is not known; choose one of {names()}.")


def _layout(folder: Path) -> str:
    published = (folder / "annotations" / "list.txt").is_file()
    listed = folder / "labels.csv"
    if published or (listed.is_file() and "imagenet_coarse_range" in _head(listed)):
        return "oxford_pets"
    return "folder"


def _head(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return lines.readline()
