"""Published boxes: the XML files of PASCAL VOC and of ImageNet's localisation task.

A row is an (image, class) pair, as in `jaxcam.data.readers_masks`: all boxes of a class
in an image are its truth.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from jaxcam.data import readers, records

Boxes = dict[str, list[list[float]]]
"""Boxes `[y0, x0, y1, x1]`, half-open, of an image by class."""

_VOC_BOXES, _VOC_IMAGES = "Annotations", "JPEGImages"
_LOC_LIST = "LOC_val_solution.csv"
_LOC_IMAGES = Path("ILSVRC", "Data", "CLS-LOC", "val")
_LOC_BOXES = Path("ILSVRC", "Annotations", "CLS-LOC", "val")
_LOC_CLASSES = "LOC_synset_mapping.txt"


def is_voc_boxes(folder: Path) -> bool:
    """Whether a folder holds boxes as PASCAL VOC lays them out."""
    return (folder / _VOC_BOXES).is_dir() and (folder / _VOC_IMAGES).is_dir()


def is_imagenet_loc(folder: Path) -> bool:
    """Whether a folder is laid out as the localisation task of ImageNet."""
    return (folder / _LOC_CLASSES).is_file()


def voc_boxes(folder: Path) -> records.Dataset:
    """PASCAL VOC's boxes: a row for each image and class in it.

    Args:
      folder: Holds `Annotations/NAME.xml` and `JPEGImages/NAME.jpg`.

    Returns:
      The data set, sorted by image; classes are numbered in alphabetical order. An
      image whose XML cannot be read is one row that is not valid.
    """
    found = {
        path.stem: (folder / _VOC_IMAGES / f"{path.stem}.jpg", path)
        for path in sorted((folder / _VOC_BOXES).glob("*.xml"))
    }
    boxes = {name: _read_or_reason(path) for name, (_, path) in found.items()}
    known = sorted({c for b in boxes.values() if isinstance(b, dict) for c in b})
    return _dataset(folder.name, "voc_boxes", found, boxes, known, known, "voc_boxes")


def imagenet_loc(folder: Path) -> records.Dataset:
    """The validation images of ImageNet's localisation task with their boxes.

    Args:
      folder: Holds `LOC_synset_mapping.txt`, a line a class in the order of ImageNet's
        1000, images in `ILSVRC/Data/CLS-LOC/val/`, and boxes as
        `LOC_val_solution.csv` or, without that list, as XML files in
        `ILSVRC/Annotations/CLS-LOC/val/`.

    Returns:
      The data set, with the label set "imagenet".

    Raises:
      ValueError: A list cannot be read, or there are no boxes.
    """
    lines = (folder / _LOC_CLASSES).read_text(encoding="utf-8").splitlines()
    synsets = [line.partition(" ")[0] for line in lines if line.strip()]
    names = [line.partition(" ")[2] or line for line in lines if line.strip()]
    images, list_, xml = folder / _LOC_IMAGES, folder / _LOC_LIST, folder / _LOC_BOXES
    boxes: dict[str, Boxes | str]
    if list_.is_file():
        boxes = dict(sorted(_read_solution(list_).items()))
        found = {name: (images / f"{name}.JPEG", None) for name in boxes}
    elif xml.is_dir():
        paths = sorted(xml.glob("*.xml"))
        found = {path.stem: (images / f"{path.stem}.JPEG", path) for path in paths}
        boxes = {path.stem: _read_or_reason(path) for path in paths}
    else:
        raise ValueError(f"{folder} has neither {_LOC_LIST} nor {_LOC_BOXES}/.")
    return _dataset(
        folder.name, "imagenet_loc", found, boxes, synsets, names, "imagenet"
    )


def _dataset(
    name: str,
    layout: str,
    found: dict[str, tuple[Path, Path | None]],
    boxes: dict[str, Boxes | str],
    classes: list[str],
    class_names: list[str],
    label_set: str,
) -> records.Dataset:
    numbers = {text: number for number, text in enumerate(classes)}
    rows = [
        row
        for image, (file, path) in found.items()
        for row in _rows(image, file, path, boxes[image], numbers, class_names)
    ]
    most = max(
        (
            len(b)
            for one in boxes.values()
            if isinstance(one, dict)
            for b in one.values()
        ),
        default=1,
    )
    return records.Dataset(
        name=name,
        records=rows,
        label_set=label_set,
        class_names=tuple(class_names),
        boxes=max(most, 1),
        origin=(layout, records.digest(list(boxes.values()))),
    )


def _rows(
    name: str,
    image: Path,
    path: Path | None,
    boxes: Boxes | str,
    numbers: dict[str, int],
    class_names: list[str],
) -> Iterator[records.Record]:
    common = {
        "image": functools.partial(readers.read_image, image),
        "shape": functools.partial(readers.read_shape, image),
        "files": (image,) if path is None else (image, path),
        "image_id": name,
    }
    if isinstance(boxes, str):
        yield records.Record(id=name, truth=functools.partial(_bad, boxes), **common)
        return
    for text, own in sorted(boxes.items()):
        number = numbers.get(text)
        truth = records.Truth(boxes=np.array(own, np.float64).reshape(-1, 4))
        yield records.Record(
            id=name if len(boxes) == 1 else f"{name}#{text}",
            truth=functools.partial(_same, truth),
            candidates=() if number is None else (number,),
            category=text if number is None else class_names[number],
            **common,
        )


def _same(truth: records.Truth) -> records.Truth:
    return truth


def _bad(reason: str) -> records.Truth:
    raise records.BadRecord(reason)


def _read_or_reason(path: Path) -> Boxes | str:
    try:
        return readers.read_truth(path, "XML file", read_xml)
    except records.BadRecord as error:
        return str(error)


def read_xml(path: Path) -> Boxes:
    """Boxes of an annotation as PASCAL VOC writes it, by class.

    Its coordinates are 1-based and inclusive: `xmin` 1 and `xmax` 10 are `[0, 10)`.

    Raises:
      ValueError: It is no such annotation.
    """
    found: Boxes = {}
    try:
        for each in ElementTree.parse(path).getroot().iter("object"):
            corners = (each.findtext(f"bndbox/{side}") for side in _SIDES)
            y0, x0, y1, x1 = (float(text) for text in corners)
            found.setdefault(each.findtext("name"), []).append([y0 - 1, x0 - 1, y1, x1])
    except (ElementTree.ParseError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not found:
        raise ValueError(f"{path} names no object")
    return found


_SIDES = "ymin", "xmin", "ymax", "xmax"


def _read_solution(path: Path) -> dict[str, Boxes]:
    """Rows `ImageId,PredictionString`; the latter is `SYNSET x0 y0 x1 y1` repeated."""

    def parse(row: dict[str, str]) -> tuple[str, Boxes]:
        words, found = row["PredictionString"].split(), {}
        if not words or len(words) % 5:
            raise ValueError
        for at in range(0, len(words), 5):
            x0, y0, x1, y1 = map(float, words[at + 1 : at + 5])
            found.setdefault(words[at], []).append([y0 - 1, x0 - 1, y1, x1])
        return row["ImageId"], found

    with path.open(newline="", encoding="utf-8-sig") as lines:
        return readers.table(path, csv.DictReader(lines), parse)
