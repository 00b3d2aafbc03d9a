"""Metadata files of the benchmark for weakly supervised object localisation.

One folder describes one split, one line an image or a box:

* `image_ids.txt`: `id`, the image's path;
* `image_sizes.txt`: `id,width,height`;
* `class_labels.txt`: `id,label`;
* `localization.txt`: `id,x0,y0,x1,y1` in original pixels, several lines for several
  boxes; or `id,mask,ignore_mask`, paths of image files, the ignore mask on the first of
  an image's lines only.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from jaxcam.data import masks as mask_files


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the metadata say of one image.

    Attributes:
      id: Its path.
      size: Height and width of the original image, or `None`.
      label: Its class, or `None`.
      boxes: float64[N, 4], `[y0, x0, y1, x1]` in original pixels, half-open; N is 0
        where none are given.
      masks: Paths of the masks of its instances.
      ignore: Path of the mask of pixels that do not count, or `None`.
    """

    id: str
    size: tuple[int, int] | None
    label: int | None
    boxes: np.ndarray
    masks: tuple[str, ...] = ()
    ignore: str | None = None


def read_metadata(folder: str | os.PathLike, *, prefix: str = "") -> tuple[Entry, ...]:
    """Reads the files of one split, in the order of its list of images.

    Only `image_ids.txt` must be there. What other files say of images that are not
    listed is left out.

    Args:
      folder: Where the files are.
      prefix: What their names start with, for example `"CUB_"`.

    Returns:
      One entry an image.

    Raises:
      FileNotFoundError: The list of images is not there.
      ValueError: A line is not as described in the module's docstring, or an image is
        listed twice.
    """
    folder = Path(folder)
    ids = [fields[0] for _, fields in _lines(folder / f"{prefix}image_ids.txt", (1,))]
    if len(set(ids)) < len(ids):
        twice = next(name for i, name in enumerate(ids) if name in ids[:i])
        raise ValueError(f"{prefix}image_ids.txt lists {twice!r} more than once.")
    sizes = _integers(folder / f"{prefix}image_sizes.txt", 2)
    labels = _integers(folder / f"{prefix}class_labels.txt", 1)
    boxes, masks = _localization(folder / f"{prefix}localization.txt")

    def entry(image: str) -> Entry:
        width_height = sizes.get(image)
        files = masks.get(image, [])
        return Entry(
            id=image,
            size=None if width_height is None else width_height[::-1],
            label=labels.get(image, (None,))[0],
            boxes=np.array(boxes.get(image, []), np.float64).reshape(-1, 4),
            masks=tuple(mask for mask, _ in files),
            ignore=next((ignore for _, ignore in files if ignore), None),
        )

    return tuple(entry(image) for image in ids)


def scale_boxes(
    boxes: np.ndarray,
    size: tuple[int, int],
    new_size: tuple[int, int],
    *,
    rule: Literal["exact", "truncate"] = "exact",
) -> np.ndarray:
    """Boxes of an image after it was squashed to another size.

    Args:
      boxes: float[N, 4], `[y0, x0, y1, x1]` in pixels of the original.
      size: Height and width of the original.
      new_size: Height and width of the new image.
      rule: `"exact"` multiplies by the ratio of the sizes; `"truncate"` also drops
        the fraction, `int(x * new_width / width)`, as the benchmark's tool does.

    Returns:
      float64[N, 4].

    Raises:
      ValueError: `rule` is another word.

    >>> boxes = np.array([[2.0, 1.0, 3.0, 4.0]])
    >>> scale_boxes(boxes, (20, 10), (10, 35))
    array([[ 1. ,  3.5,  1.5, 14. ]])
    >>> scale_boxes(boxes, (20, 10), (10, 35), rule="truncate")
    array([[ 1.,  3.,  1., 14.]])
    """
    if rule not in ("exact", "truncate"):
        raise ValueError(f"rule={rule!r} is not known; choose 'exact' or 'truncate'.")
    scaled = np.asarray(boxes, np.float64) * np.tile(new_size, 2) / np.tile(size, 2)
    return np.trunc(scaled) if rule == "truncate" else scaled


def read_masks(
    entry: Entry,
    root: str | os.PathLike,
    *,
    size: tuple[int, int] | None = None,
    rule: Literal["centre", "truncate"] = "centre",
) -> tuple[np.ndarray, np.ndarray]:
    """Union of an image's instance masks, and the pixels that count.

    A pixel is true where the file's value is above zero. What the ignore mask covers
    does not count, unless an instance covers it too.

    Args:
      entry: An image whose metadata name masks.
      root: The folder that their paths start from.
      size: Height and width to resize each file to, by nearest neighbour; `None`
        keeps the files' own, which must then agree.
      rule: Which neighbour: `"centre"`, the one under the new pixel's centre, or
        `"truncate"`, `int(x * width / new_width)`, as the benchmark's tool does.

    Returns:
      The mask and the pixels that count, both bool[H, W].

    Raises:
      ValueError: The metadata name no mask, or the files' sizes differ.
    """
    if not entry.masks:
        raise ValueError(f"The metadata name no mask for {entry.id!r}.")

    def load(path: str) -> np.ndarray:
        values = mask_files.read_labels(Path(root) / path) > 0
        return values if size is None else _nearest(values, size, rule)

    instances = [load(path) for path in entry.masks]
    ignore = load(entry.ignore) if entry.ignore else np.zeros_like(instances[0])
    shapes = {mask.shape for mask in (*instances, ignore)}
    if len(shapes) > 1:
        raise ValueError(
            f"The masks of {entry.id!r} differ in size, {sorted(shapes)}; give size=."
        )
    mask = np.any(instances, axis=0)
    return mask, ~ignore | mask


def _nearest(x: np.ndarray, size: tuple[int, int], rule: str) -> np.ndarray:
    if rule not in ("centre", "truncate"):
        raise ValueError(f"rule={rule!r} is not known; choose 'centre' or 'truncate'.")
    offset = 0.5 if rule == "centre" else 0.0
    rows, columns = (
        ((np.arange(new) + offset) * old / new).astype(int)
        for old, new in zip(x.shape, size, strict=True)
    )
    return x[rows[:, None], columns]


def _lines(path: Path, counts: Sequence[int]) -> Iterator[tuple[str, list[str]]]:
    """Where each line is and its fields; the first field may contain commas."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\r\n")
            if not line.strip():
                continue
            where = f"{path.name}, line {number}"
            fields = line.rsplit(",", max(counts) - 1) if max(counts) > 1 else [line]
            if len(fields) not in counts:
                raise ValueError(
                    f"{where} has {len(fields)} fields, not "
                    f"{' or '.join(map(str, counts))}: {line!r}."
                )
            yield where, fields


def _numbers(where: str, fields: Sequence[str], kind: type) -> tuple:
    try:
        return tuple(kind(field) for field in fields)
    except ValueError as error:
        raise ValueError(f"{where}: {list(fields)} are not all numbers.") from error


def _integers(path: Path, count: int) -> dict[str, tuple[int, ...]]:
    if not path.exists():
        return {}
    return {
        image: _numbers(where, rest, int)
        for where, (image, *rest) in _lines(path, (count + 1,))
    }


def _localization(
    path: Path,
) -> tuple[dict[str, list[list[float]]], dict[str, list[tuple[str, str]]]]:
    boxes: dict[str, list[list[float]]] = {}
    masks: dict[str, list[tuple[str, str]]] = {}
    if not path.exists():
        return boxes, masks
    for where, (image, *rest) in _lines(path, (3, 5)):
        if len(rest) == 2:
            masks.setdefault(image, []).append((rest[0], rest[1]))
            continue
        x0, y0, x1, y1 = _numbers(where, rest, float)
        if min(x0, y0) < 0 or x1 < x0 or y1 < y0:
            raise ValueError(
                f"{where}: {rest} is not a box x0,y0,x1,y1 with 0 <= x0 <= x1 and "
                "0 <= y0 <= y1."
            )
        boxes.setdefault(image, []).append([y0, x0, y1, x1])
    return boxes, masks
