"""One row of the truth, and data sets as sequences of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


class BadRecord(ValueError):
    """An image or its truth cannot be read; the message is the row's reason.

    Readers raise it; a run goes on without the row and counts it as invalid.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class Truth:
    """What is known about an image, at its original size.

    Attributes:
      object: bool[h, w], the object; `None` where there is no mask.
      border: bool[h, w], pixels of which it is not known; `None` if there are none.
      boxes: float[n, 4], `[y0, x0, y1, x1]`, half-open, in original pixels. `None`
        stands for the tight box of object and border.

    >>> Truth(boxes=np.array([[0.0, 0.0, 4.0, 4.0]])).object is None
    True
    """

    object: np.ndarray | None = None
    border: np.ndarray | None = None
    boxes: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One (image, target) row.

    Attributes:
      id: Unique in its data set.
      image: Returns uint8[h, w, 3]; raises `BadRecord` if it cannot.
      truth: Returns what is known about the image; raises `BadRecord` if it cannot.
      shape: Returns height and width without decoding the image; raises `BadRecord`
        if it cannot.
      candidates: Classes of the data set's label set that count as right.
      category: What the data set calls the object, if it says: a breed, a class.
      files: Files that the row is read from, for the fingerprint.
      image_id: What the image is called, where several rows share it; the row's id if
        empty.

    >>> image, mask = np.zeros((4, 6, 3), np.uint8), np.ones((4, 6), bool)
    >>> row = Record("a", lambda: image, lambda: Truth(mask), lambda: (4, 6))
    >>> print(row.truth().object.sum())
    24
    """

    id: str
    image: Callable[[], np.ndarray]
    truth: Callable[[], Truth]
    shape: Callable[[], tuple[int, int]]
    candidates: tuple[int, ...] = ()
    category: str = ""
    files: tuple[Path, ...] = ()
    image_id: str = ""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Rows in a fixed order.

    Attributes:
      name: What it is called in tables.
      records: The rows.
      label_set: Which classes the candidates number: "imagenet", "shapes", ...
      class_names: Names of the label set's classes, if known.
      boxes: The largest number of truth boxes of a row.
      skipped: Files that are neither images nor truth, and images that are not listed.
      origin: What else decides the rows, for the fingerprint: layout and options.
      self_described: The origin decides every row; no file does.
      has_images: False for truth alone, which serves to score saved maps.
      opened_by: Arguments with which `jaxcam.data.open_dataset` opens it again.

    >>> len(Dataset("mine", records=[]))
    0
    """

    name: str
    records: Sequence[Record]
    label_set: str | None = None
    class_names: tuple[str, ...] | None = None
    boxes: int = 1
    skipped: int = 0
    origin: tuple[Any, ...] = ()
    self_described: bool = False
    has_images: bool = True
    opened_by: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    @functools.cached_property
    def largest_shape(self) -> tuple[int, int]:
        """The largest height and the largest width; reads every header, once."""
        height = width = 1
        for record in self.records:
            try:
                shape = record.shape()
            except BadRecord:
                continue
            height, width = max(height, shape[0]), max(width, shape[1])
        return height, width

    def fingerprint(self) -> str:
        """Tells this data set from another; part of every run's manifest.

        Returns:
          sha256 of the origin, and of ids, candidates and sizes of the files, which
          are not read.

        >>> two, three = jaxcam.data.open_dataset("shapes,n=2"), Dataset("mine", [])
        >>> two.fingerprint() == three.fingerprint()
        False
        """
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(repr(self.origin).encode())
        for record in () if self.self_described else self.records:
            sizes = [_size(file) for file in record.files]
            digest.update(repr((record.id, record.candidates, sizes)).encode())
        return digest.hexdigest()


def digest(value: Any) -> str:
    """What stands for a long list in a data set's `origin`, which is kept."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


def no_image() -> np.ndarray:
    """The image of a row of a data set that has none."""
    raise BadRecord("the data set has no images")


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
