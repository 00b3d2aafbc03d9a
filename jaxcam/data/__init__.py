"""Data sets with known objects: folders, published layouts, procedural shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jaxcam.data import readers_folders as _readers_folders
from jaxcam.data import readers_pets as _readers_pets
from jaxcam.data import readers_wsol as _readers_wsol
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
        "what": "procedural images with exact masks; shapes:train, shapes:two_objects, "
        "shapes:test,n=512,seed=1,size=96",
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
    "wsol": {
        "data": "wsol",
        "what": "image_ids.txt, image_sizes.txt, localization.txt of the WSOL "
        "benchmark: truth for `jaxcam score`, no images",
        "how": "--truth DIR",
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
    labels: _readers_pets.Labels = "coarse",
    length: int | None = None,
    threshold: float | None = None,
    label_set: str | None = None,
) -> Dataset:
    """Opens a data set; nothing but names and lists is read before rows are asked for.

    Args:
      spec: A folder; "oxford_pets:FOLDER"; or "shapes", "shapes:SPLIT", each with
        options if wanted: "shapes:two_objects,n=512,seed=1,size=96".
      layout: "auto", "oxford_pets", "folder", "classes" or "wsol".
      labels: For Oxford pets: which classes count as right, see
        `jaxcam.data.readers_pets.oxford_pets`.
      length: For shapes: number of images.
      threshold: For masks of other values than 0 and 1 or 255: larger is object.
      label_set: For folders: what the numbers of their classes mean.

    Returns:
      The data set.

    Raises:
      FileNotFoundError: The folder is not there.
      ValueError: The folder has no known layout, or a list cannot be read.
    """
    kind, _, rest = str(spec).partition(":")
    if kind == "shapes" or kind.startswith("shapes,"):
        return _open_shapes(str(spec), length)
    if kind == "oxford_pets" and rest:
        spec, layout = rest, "oxford_pets"
    folder = Path(spec)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder} and no data set of that name; give a folder, "
            "oxford_pets:FOLDER or shapes; `jaxcam list data` shows what can be read."
        )
    if layout == "auto":
        layout = _layout(folder)
    if layout == "wsol":
        return _readers_wsol.wsol_metadata(folder)
    if layout == "oxford_pets":
        return _readers_pets.oxford_pets(folder, labels=labels)
    readers = {
        "folder": _readers_folders.image_folder,
        "classes": _readers_folders.class_folders,
    }
    if layout not in readers:
        known = ", ".join(["auto", "oxford_pets", "wsol", *readers])
        raise ValueError(f"layout={layout!r} is not known; choose one of {known}.")
    return readers[layout](folder, threshold=threshold, label_set=label_set)


def _open_shapes(spec: str, length: int | None) -> Dataset:
    """Reads "shapes:SPLIT,n=512,seed=1,size=96"."""
    head, *parts = spec.split(",")
    options: dict[str, Any] = {} if length is None else {"length": length}
    for part in parts:
        name, _, value = part.strip().partition("=")
        if name not in ("n", "seed", "size") or not value.isdecimal():
            raise ValueError(
                f"{part!r} in {spec!r} cannot be read; the options of shapes are n=, "
                "seed= and size=, whole numbers: shapes:test,n=512."
            )
        options[{"n": "length"}.get(name, name)] = int(value)
    split: Any = head.partition(":")[2] or "test"
    return _shapes.dataset(split, **options)


def _layout(folder: Path) -> str:
    if _readers_pets.is_shared(folder) or _readers_pets.is_published(folder):
        return "oxford_pets"
    if _readers_wsol.is_metadata(folder):
        return "wsol"
    if (folder / "images").is_dir():
        return "folder"
    if any(child.is_dir() and child.name != "masks" for child in folder.iterdir()):
        return "classes"
    raise ValueError(
        f"{folder} has no known layout: it holds neither images/ (with masks/, "
        "trimaps/ or labels.csv), nor annotations/list.txt, nor a folder of images for "
        "each class; `jaxcam list data` shows the layouts."
    )
