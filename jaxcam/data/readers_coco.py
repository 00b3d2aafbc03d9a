"""COCO's instances: masks from polygons and run lengths, and boxes.

A row is an (image, class) pair, as in `jaxcam.data.readers_masks`. A pixel belongs to a
polygon if its centre does; COCO's own tools decide otherwise along some edges.
"""

from __future__ import annotations

import array
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from jaxcam.data import readers, records

_LISTS = "annotations/instances_*.json"
_FINER = 5
"""Pillow also fills pixels that an edge only touches: polygons are drawn finer, odd so
that a pixel's centre is one of the finer ones."""


def is_coco(folder: Path) -> bool:
    """Whether a folder holds exactly one list of instances."""
    return len(list(folder.glob(_LISTS))) == 1


def coco(folder: Path) -> records.Dataset:
    """COCO's instances: a row for each image and class in it.

    Args:
      folder: Holds `annotations/instances_SPLIT.json` and the images in `SPLIT/`.

    Returns:
      The data set, sorted by image; classes are numbered from 0 in the order of their
      COCO numbers. Crowds are no instances: their pixels do not count, and they have
      no box.

    Raises:
      ValueError: There is not exactly one list, or it cannot be read.
    """
    lists = sorted(folder.glob(_LISTS))
    if len(lists) != 1:
        raise ValueError(
            f"{folder} must hold one {_LISTS} but has {len(lists)}; keep one split."
        )
    (path,) = lists
    images = folder / path.stem.removeprefix("instances_")
    content = path.read_bytes()
    try:
        listed = json.loads(content, object_hook=_packed)
        kinds = sorted(listed["categories"], key=lambda kind: kind["id"])
        by_image: dict[int, list[_Instance]] = {}
        for instance in listed["annotations"]:
            by_image.setdefault(instance.image, []).append(instance)
        rows = [
            row
            for image in sorted(listed["images"], key=lambda image: image["file_name"])
            for row in _rows(image, by_image.get(image["id"], ()), kinds, images)
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no list of COCO's instances: {error}.") from error
    return records.Dataset(
        name=path.stem,
        records=[row for row, _ in rows],
        label_set="coco",
        class_names=tuple(kind["name"] for kind in kinds),
        boxes=max((boxes for _, boxes in rows), default=1) or 1,
        origin=("coco", hashlib.sha256(content).hexdigest()),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Instance:
    """What is kept of an annotation; a list may have a million of them.

    Attributes:
      image: Number of its image.
      kind: Number of its class.
      crowd: Whether it stands for many.
      box: `[x, y, width, height]` as written; `None` if it has none.
      segmentation: As `read_segmentation` takes it; `None` if it has none.
    """

    image: int
    kind: int
    crowd: bool
    box: Any
    segmentation: Any


def _packed(found: dict[str, Any]) -> Any:
    """An object of the list as the parser meets it, a tenth of its size in memory.

    What cannot be packed is left as it is: the row that reads it says what is wrong.
    """
    if "counts" in found:
        return {**found, "counts": _numbers("q", found["counts"])}
    if "image_id" not in found:
        kept = ("id", "name", "file_name", "height", "width")
        lists = ("categories", "annotations", "images")
        return {key: found[key] for key in (*kept, *lists) if key in found}
    segmentation = found.get("segmentation")
    if isinstance(segmentation, list):
        segmentation = [_numbers("d", corners) for corners in segmentation]
    return _Instance(
        image=found["image_id"],
        kind=found["category_id"],
        crowd=bool(found.get("iscrowd")),
        box=_numbers("d", found.get("bbox")),
        segmentation=segmentation,
    )


def _numbers(kind: str, values: Any) -> Any:
    if not isinstance(values, list):
        return values
    try:
        return array.array(kind, values)
    except (OverflowError, TypeError):
        return values


def _rows(
    image: Mapping[str, Any],
    instances: Sequence[_Instance],
    kinds: Sequence[Mapping[str, Any]],
    folder: Path,
) -> Iterator[tuple[records.Record, int]]:
    """Rows of an image, and how many boxes each has."""
    file, size = folder / image["file_name"], (image["height"], image["width"])
    name = Path(image["file_name"]).with_suffix("").as_posix()
    by_kind: dict[int, list[_Instance]] = {}
    for instance in instances:
        by_kind.setdefault(instance.kind, []).append(instance)
    for number, kind in enumerate(kinds):
        own = by_kind.get(kind["id"], ())
        boxes = sum(not instance.crowd for instance in own)
        if not boxes:
            continue
        row = records.Record(
            id=f"{name}#{kind['name']}",
            image=functools.partial(readers.read_image, file),
            truth=functools.partial(_truth, tuple(own), size),
            shape=lambda size=size: size,
            candidates=(number,),
            category=kind["name"],
            files=(file,),
            image_id=name,
        )
        yield row, boxes


def _truth(instances: Sequence[_Instance], size: tuple[int, int]) -> records.Truth:
    inside, crowd, boxes = np.zeros(size, bool), np.zeros(size, bool), []
    for instance in instances:
        try:
            mask = read_segmentation(instance.segmentation, size)
            x, y, width, height = map(float, instance.box)
        except (KeyError, TypeError, ValueError) as error:
            raise records.BadRecord(
                f"an instance cannot be read: {str(error)[:80]}"
            ) from error
        if instance.crowd:
            crowd |= mask
        else:
            inside |= mask
            boxes.append([y, x, y + height, x + width])
    return records.Truth(inside, crowd & ~inside, np.array(boxes))


def read_segmentation(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """bool[h, w]: polygons, or run lengths, as COCO writes an instance.

    Args:
      segmentation: Polygons `[[x0, y0, x1, y1, ...], ...]`; or a mapping with `size`
        `[h, w]` and `counts`, run lengths down the columns, the first of background,
        as numbers or packed into text.
      size: Height and width of the image.

    Raises:
      ValueError: It is neither, or of another size.

    >>> read_segmentation({"size": [2, 2], "counts": [1, 2, 1]}, (2, 2)).astype(int)
    array([[0, 1],
           [1, 0]])
    """
    if segmentation is None:
        raise ValueError("it has no segmentation")
    if isinstance(segmentation, list):
        return _polygons(segmentation, size)
    counts = segmentation["counts"]
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    if tuple(segmentation["size"]) != tuple(size) or sum(runs) != size[0] * size[1]:
        raise ValueError(f"run lengths of another size than {size}")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(size[::-1]).T


def _polygons(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> np.ndarray:
    canvas = Image.new("1", (size[1] * _FINER, size[0] * _FINER))
    draw = ImageDraw.Draw(canvas)
    for corners in polygons:
        if len(corners) < 6 or len(corners) % 2:
            raise ValueError(f"a polygon of {len(corners)} numbers")
        # Corners lie between pixels, Pillow's at their centres.
        draw.polygon([float(at) * _FINER - 0.5 for at in corners], fill=1)
    return np.array(canvas, bool)[_FINER // 2 :: _FINER, _FINER // 2 :: _FINER]


def _unpacked(text: str) -> list[int]:
    """Run lengths from text: six bits a character, the last says that more follow.

    From the fourth on each is the difference to the one two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text.encode():
        bits = character - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{chr(character)!r} among packed run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if min(runs, default=0) < 0:
        raise ValueError("a negative run length")
    return runs
