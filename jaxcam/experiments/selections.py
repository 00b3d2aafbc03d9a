"""Data sets made from others: spread parts, and crops that move the object."""

from __future__ import annotations

import dataclasses
import functools
import zlib

import numpy as np

from jaxcam.data import geometry, records

Window = tuple[int, int, int, int]
"""`y0, x0, y1, x1`, half-open, in pixels of the original image."""

SMALLEST_SIDE = 0.75
"""A crop keeps at least so much of either side of the image."""


def spread(dataset: records.Dataset, count: int | None) -> records.Dataset:
    """So many rows, evenly spread over the data set; all if there are no more.

    Raises:
      ValueError: `count` is not positive.
    """
    if count is None or count >= len(dataset):
        return dataset
    if count < 1:
        raise ValueError(f"limit={count} must be at least 1.")
    kept = np.arange(count) * len(dataset) // count
    return dataclasses.replace(
        dataset,
        records=[dataset.records[int(i)] for i in kept],
        origin=(*dataset.origin, "spread", count),
    )


def moved(dataset: records.Dataset, *, seed: int = 0) -> records.Dataset:
    """The data set with each image cropped so that its object lies at a corner.

    A crop keeps the boxes whole and at least three quarters of either side; of the
    corners one is drawn by the row's id and the seed, and the object is put as near to
    it as that allows. Truth is cropped alike. A row without truth stays as it is.
    """
    return dataclasses.replace(
        dataset,
        name=f"{dataset.name}-moved",
        records=[_moved(record, seed) for record in dataset.records],
        origin=(*dataset.origin, "moved", SMALLEST_SIDE, seed),
    )


def _moved(record: records.Record, seed: int) -> records.Record:
    @functools.cache
    def window() -> Window:
        shape = record.shape()
        box = _box(record.truth())
        if box is None:
            return 0, 0, *shape
        corner = np.random.default_rng([seed, zlib.crc32(record.id.encode())])
        return crop_window(box, shape, corner.integers(0, 2, 2))

    def image() -> np.ndarray:
        return _cut(record.image(), window())

    def truth() -> records.Truth:
        whole, (y0, x0, _, _) = record.truth(), window()
        return records.Truth(
            object=None if whole.object is None else _cut(whole.object, window()),
            border=None if whole.border is None else _cut(whole.border, window()),
            boxes=None
            if whole.boxes is None
            else np.asarray(whole.boxes) - np.array([y0, x0, y0, x0]),
        )

    def shape() -> tuple[int, int]:
        y0, x0, y1, x1 = window()
        return y1 - y0, x1 - x0

    return dataclasses.replace(record, image=image, truth=truth, shape=shape)


def crop_window(box: np.ndarray, shape: tuple[int, int], corner: np.ndarray) -> Window:
    """The crop that puts a box at a corner.

    Args:
      box: `[y0, x0, y1, x1]`, half-open, to be kept.
      shape: Of the image.
      corner: int[2], for rows and columns: 0 puts the box at the crop's beginning, 1 at
        its end.
    """
    starts, ends = [], []
    for axis, length in enumerate(shape):
        low = int(np.floor(np.clip(box[axis], 0, length)))
        high = int(np.ceil(np.clip(box[axis + 2], 0, length)))
        side = max(high - low, int(np.ceil(SMALLEST_SIDE * length)))
        start = low if corner[axis] == 0 else high - side
        start = min(max(start, 0), length - side)
        starts.append(start)
        ends.append(start + side)
    return starts[0], starts[1], ends[0], ends[1]


def _box(truth: records.Truth) -> np.ndarray | None:
    """The tight box of all truth."""
    boxes = truth.boxes
    if boxes is None:
        masks = [mask for mask in (truth.object, truth.border) if mask is not None]
        boxes = geometry.tight_box(np.any(masks, axis=0)) if masks else np.zeros((0, 4))
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    boxes = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
    if not len(boxes):
        return None
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _cut(pixels: np.ndarray, window: Window) -> np.ndarray:
    y0, x0, y1, x1 = window
    return pixels[y0:y1, x0:x1]


def places(dataset: records.Dataset) -> np.ndarray:
    """Where the objects lie: their boxes as shares of the images' sides.

    Returns:
      float64[n, 5]: `y0, x0, y1, x1` of the tight box of all truth, and the share of
      the image that is border; NaN for a row without truth.
    """
    return np.array([_place(record) for record in dataset.records])


def _place(record: records.Record) -> list[float]:
    try:
        (height, width), truth = record.shape(), record.truth()
    except records.BadRecord:
        return [np.nan] * 5
    box = _box(truth)
    if box is None:
        return [np.nan] * 5
    border = 0.0 if truth.border is None else float(truth.border.mean())
    return [*(box / [height, width, height, width]), border]
