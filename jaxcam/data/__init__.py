"""Data sets with known objects: folders, published layouts, procedural shapes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from jaxcam.data import readers_boxes as _readers_boxes
from jaxcam.data import readers_coco as _readers_coco
from jaxcam.data import readers_folders as _readers_folders
from jaxcam.data import readers_masks as _readers_masks
from jaxcam.data import readers_pets as _readers_pets
from jaxcam.data import readers_tfds as _readers_tfds
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
        "benchmark: truth for `jaxcam score`; with a folder images/, more",
        "how": "--truth DIR",
    },
    "voc": {
        "data": "voc",
        "what": "PASCAL VOC: SegmentationClass/, SegmentationObject/, JPEGImages/; a "
        "row for each image and class",
        "how": "--data DIR",
    },
    "voc_boxes": {
        "data": "voc_boxes",
        "what": "PASCAL VOC's boxes: Annotations/*.xml, JPEGImages/; a row for each "
        "image and class",
        "how": "--data DIR",
    },
    "coco": {
        "data": "coco",
        "what": "COCO: annotations/instances_SPLIT.json, SPLIT/; masks and boxes, a "
        "row for each image and class",
        "how": "--data DIR",
    },
    "imagenet_loc": {
        "data": "imagenet_loc",
        "what": "ImageNet's localisation task: ILSVRC/, LOC_synset_mapping.txt, and "
        "LOC_val_solution.csv or XML files",
        "how": "--data DIR",
    },
    "imagenet_s": {
        "data": "imagenet_s",
        "what": "ImageNet-S: validation-segmentation/CLASS/*.png, validation/; a row "
        "for each image and class",
        "how": "--data DIR",
    },
    "tfds": {
        "data": "tfds",
        "what": "tfds:NAME, a data set that TensorFlow Datasets has prepared as "
        "ArrayRecords; tfds:oxford_iiit_pet,split=test,data_dir=DIR",
        "how": "--data tfds:NAME",
    },
    "masks": {
        "data": "masks",
        "what": "a folder of mask files: truth for `jaxcam score`, no images",
        "how": "--truth DIR",
    },
    "classes": {
        "data": "classes",
        "what": "CLASS/*.jpg, a folder a class; masks/CLASS/*.png if wanted",
        "how": "--data DIR",
    },
}

_READ_BY = {
    "labels": ("oxford_pets",),
    "length": ("shapes",),
    "threshold": ("folder", "masks", "classes"),
    "label_set": ("folder", "classes"),
}
"""Options of `open_dataset`, and the layouts that have a use for them."""


def names() -> tuple[str, ...]:
    """Names of the data sets and layouts that can be read.

    Returns:
      The names; `describe` says what each is.

    >>> "shapes" in names(), "coco" in names()
    (True, True)
    """
    return tuple(_LAYOUTS)


def describe(name: str) -> dict[str, str]:
    """What a data set or layout is and how it is asked for.

    Args:
      name: See `names`.

    Returns:
      Texts by heading: `data`, its name; `what` it holds; `how` the command line asks
      for it.

    Raises:
      ValueError: There is no such layout.

    >>> describe("coco")["how"]
    '--data DIR'
    """
    if name not in _LAYOUTS:
        raise ValueError(
            f"There is no layout {name!r}; `jaxcam list data` shows them all."
        )
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
    """Opens a data set.

    Nothing but names and lists is read before rows are asked for; of layouts that list
    no classes, VOC's and ImageNet-S's label images too.

    Args:
      spec: A folder; "LAYOUT:FOLDER", as "masks:FOLDER"; "shapes", "shapes:SPLIT",
        each with options if wanted: "shapes:two_objects,n=512,seed=1,size=96"; or
        "tfds:NAME", see `jaxcam.data.readers_tfds.tfds`.
      layout: "auto", "oxford_pets", "folder", "wsol", "voc", "voc_boxes",
        "coco", "imagenet_loc", "imagenet_s", "masks" or "classes".
      labels: For Oxford pets: which classes count as right, see
        `jaxcam.data.readers_pets.oxford_pets`.
      length: For shapes: number of images, at least 1.
      threshold: For "folder", "masks" and "classes" with masks of other values than 0
        and 1 or 255: larger is object.
      label_set: For "folder" and "classes": what the numbers of their classes mean;
        the published layouts have their own.

    Returns:
      The data set.

    Raises:
      FileNotFoundError: The folder is not there.
      ValueError: The folder has no known layout, a list cannot be read, or an option
        is given that the layout has no use for.

    >>> dataset = open_dataset("shapes,n=2")
    >>> len(dataset), dataset.records[0].image().shape
    (2, (64, 64, 3))
    """
    given = {
        "labels": None if labels == "coarse" else labels,
        "length": length,
        "threshold": threshold,
        "label_set": label_set,
    }
    made = _opened(str(spec), layout, given)
    options = {name: value for name, value in given.items() if value is not None}
    spec = _absolute(str(spec))
    return dataclasses.replace(
        made, opened_by={"spec": spec, "layout": layout, **options}
    )


def _absolute(spec: str) -> str:
    """A spec that means the same in another folder."""
    kind, _, rest = spec.partition(":")
    if kind.partition(",")[0] == "shapes" or _readers_tfds.is_spec(spec):
        return spec
    layout, folder = (f"{kind}:", rest) if kind in _LAYOUTS and rest else ("", spec)
    return layout + str(Path(folder).absolute())


def _opened(spec: str, layout: str, given: dict[str, Any]) -> Dataset:
    kind, _, rest = spec.partition(":")
    if kind == "shapes" or kind.startswith("shapes,"):
        _refuse_unread("shapes", given)
        return _open_shapes(spec, given["length"])
    if _readers_tfds.is_spec(spec):
        _refuse_unread("tfds", given)
        return _readers_tfds.tfds(spec)
    if kind in _LAYOUTS and rest:
        spec, layout = rest, kind
    folder = Path(spec)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder} and no data set of that name; give a folder, "
            "LAYOUT:FOLDER or shapes; `jaxcam list data` shows what can be read."
        )
    if layout == "auto":
        layout = _layout(folder)
    threshold, labels = given["threshold"], given["labels"] or "coarse"
    common = {"threshold": threshold, "label_set": given["label_set"]}
    openers = {
        "oxford_pets": lambda: _readers_pets.oxford_pets(folder, labels=labels),
        "folder": lambda: _readers_folders.image_folder(folder, **common),
        "wsol": lambda: _readers_wsol.wsol_metadata(folder),
        "voc": lambda: _readers_masks.voc(folder),
        "coco": lambda: _readers_coco.coco(folder),
        "voc_boxes": lambda: _readers_boxes.voc_boxes(folder),
        "imagenet_loc": lambda: _readers_boxes.imagenet_loc(folder),
        "imagenet_s": lambda: _readers_masks.imagenet_s(folder),
        "masks": lambda: _readers_masks.mask_folder(folder, threshold=threshold),
        "classes": lambda: _readers_folders.class_folders(folder, **common),
    }
    if layout not in openers:
        known = ", ".join(["auto", *openers])
        raise ValueError(f"layout={layout!r} is not known; choose one of {known}.")
    _refuse_unread(layout, given)
    return openers[layout]()


def _refuse_unread(layout: str, given: dict[str, Any]) -> None:
    """Refuses an option that would change nothing."""
    for name, value in given.items():
        if value is not None and layout not in _READ_BY[name]:
            raise ValueError(
                f"{name}={value!r} is for {' and '.join(_READ_BY[name])}, and "
                f"changes nothing of {layout}; leave it out."
            )


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
    if _readers_masks.is_voc(folder):
        return "voc"
    if _readers_coco.is_coco(folder):
        return "coco"
    if _readers_boxes.is_imagenet_loc(folder):
        return "imagenet_loc"
    if _readers_boxes.is_voc_boxes(folder):
        return "voc_boxes"
    if _readers_masks.is_imagenet_s(folder):
        return "imagenet_s"
    if (folder / "images").is_dir():
        return "folder"
    if _readers_masks.is_masks(folder):
        return "masks"
    if any(child.is_dir() and child.name != "masks" for child in folder.iterdir()):
        return "classes"
    raise ValueError(
        f"{folder} has no known layout: it holds neither images/ (with masks/, "
        "trimaps/ or labels.csv), nor annotations/list.txt, nor label images of VOC or "
        "ImageNet-S, nor boxes of VOC, COCO or ImageNet, nor masks, nor a folder "
        "of images for each class; `jaxcam list data` shows the layouts."
    )
