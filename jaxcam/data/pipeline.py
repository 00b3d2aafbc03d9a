"""From records to padded batches of arrays, decoded while the device computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jaxcam.data import geometry as geometry_module
from jaxcam.data import records

Border = Literal["ignore", "foreground", "background"]
Row = dict[str, Any]

THREADS = 2
ROWS_AHEAD = 64
PADDING = "padding"


def batches(
    dataset: records.Dataset,
    *,
    size: tuple[int, int],
    batch_size: int,
    geometry: geometry_module.Geometry = "squash",
    border: Border = "ignore",
    crop_fraction: float = 1.0,
    start: int = 0,
    stop: int | None = None,
    threads: int = THREADS,
) -> Iterator[dict[str, Any]]:
    """Batches of equal shapes; the last one is padded, no row is ever left out.

    Args:
      dataset: The rows.
      size: Rows and columns of the model's grid.
      batch_size: Rows a batch, B.
      geometry: See `jaxcam.data.geometry.frame`. Under "original" the model gets the
        squashed image, and truth stays on its own grid, at the top left of a canvas
        that fits the largest image of the data set.
      border: What a trimap's border counts as in masks: nothing, object or background.
        The truth box is that of object and border in every case.
      crop_fraction: Crop size over resized size, under "crop".
      start: First row.
      stop: One past the last row.
      threads: Decoding threads.

    Yields:
      `index` int64[B] (-1 for padding), `id` and `reason` lists of strings, `valid`
      bool[B], `image` uint8[B, S, S, 3], `mask`, `where`, `frame` bool[B, H, W],
      `extent` int32[B, 2], `boxes` float32[B, N, 4], `box_valid` bool[B, N],
      `candidates` a list of tuples, `label` int32[B] (-1 if unknown), `size`
      int32[B, 2] (original height and width). A row that cannot be read has
      `valid=False`, its reason, and zeros.
    """
    import grain

    stop = len(dataset) if stop is None else min(stop, len(dataset))
    canvas = _canvas(dataset, stop) if geometry == "original" else size
    reader = _Reader(
        dataset, size, canvas, geometry, border, crop_fraction, start, stop
    )
    count = -(-max(stop - start, 0) // batch_size) * batch_size
    if count == 0:
        return
    rows = grain.MapDataset.range(start, start + count).map(reader.row)
    ahead = grain.ReadOptions(
        num_threads=max(threads, 1), prefetch_buffer_size=max(ROWS_AHEAD, batch_size)
    )
    yield from rows.to_iter_dataset(ahead).batch(batch_size, batch_fn=_collate)


class _Reader:
    """Reads one row; what it raises becomes the row's reason."""

    def __init__(
        self, dataset, size, canvas, geometry, border, crop_fraction, start, stop
    ) -> None:
        self.dataset, self.size, self.canvas = dataset, size, canvas
        self.geometry, self.border = geometry, border
        self.crop_fraction, self.start, self.stop = crop_fraction, start, stop

    def row(self, index: int) -> Row:
        index = int(index)
        if index >= self.stop:
            return self.empty(-1, "", (), PADDING)
        record = self.dataset.records[index]
        try:
            return self.read(index, record)
        except records.BadRecord as error:
            return self.empty(index, record.id, record.candidates, str(error))

    def read(self, index: int, record: records.Record) -> Row:
        image = record.image()
        truth = record.truth()
        original = image.shape[:2]
        for name in ("object", "border"):
            mask = getattr(truth, name)
            if mask is not None and mask.shape != original:
                raise records.BadRecord(
                    f"the {name} mask is {mask.shape[0]} x {mask.shape[1]}, "
                    f"the image {original[0]} x {original[1]}"
                )
        frame = geometry_module.frame(
            original, self.size, self.geometry, self.crop_fraction
        )
        shown = frame
        if self.geometry == "original":
            shown = geometry_module.frame(original, self.size, "squash")
        row = self.empty(index, record.id, record.candidates, "")
        row["image"] = geometry_module.resize_image(image, shown)
        row["size"] = np.array(original, np.int32)
        self.add_truth(row, truth, frame)
        return row

    def add_truth(
        self, row: Row, truth: records.Truth, frame: geometry_module.Frame
    ) -> None:
        rows, columns = frame.size
        row["extent"] = np.array(frame.size, np.int32)
        row["frame"][:rows, :columns] = True
        inside = np.zeros(frame.size, bool)
        unsure = np.zeros(frame.size, bool)
        if truth.object is not None:
            inside = geometry_module.resize_mask(truth.object, frame)
        if truth.border is not None:
            unsure = geometry_module.resize_mask(truth.border, frame)
        boxes = geometry_module.tight_box(inside | unsure)
        if truth.boxes is not None:
            boxes = geometry_module.resize_boxes(truth.boxes, frame)
        counted = ~unsure if self.border == "ignore" else np.ones(frame.size, bool)
        if self.border == "foreground":
            inside = inside | unsure
        row["mask"][:rows, :columns] = inside
        row["where"][:rows, :columns] = counted
        seen = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
        row["boxes"][: len(seen)] = seen
        row["box_valid"][: len(seen)] = True

    def empty(
        self, index: int, name: str, candidates: tuple[int, ...], reason: str
    ) -> Row:
        slots = max(self.dataset.boxes, 1)
        return {
            "index": np.int64(index),
            "id": name,
            "reason": reason,
            "valid": reason == "",
            "candidates": candidates,
            "label": np.int32(candidates[0] if candidates else -1),
            "image": np.zeros((*self.size, 3), np.uint8),
            "mask": np.zeros(self.canvas, bool),
            "where": np.zeros(self.canvas, bool),
            "frame": np.zeros(self.canvas, bool),
            "extent": np.zeros(2, np.int32),
            "boxes": np.zeros((slots, 4), np.float32),
            "box_valid": np.zeros(slots, bool),
            "size": np.zeros(2, np.int32),
        }


def _collate(rows: Sequence[Row]) -> Mapping[str, Any]:
    lists = ("id", "reason", "candidates")
    return {
        name: [row[name] for row in rows]
        if name in lists
        else np.stack([np.asarray(row[name]) for row in rows])
        for name in rows[0]
    }


def _canvas(dataset: records.Dataset, stop: int) -> tuple[int, int]:
    """The largest height and width of the rows that can be read."""
    height = width = 1
    for index in range(stop):
        try:
            shape = dataset.records[index].image().shape
        except records.BadRecord:
            continue
        height, width = max(height, shape[0]), max(width, shape[1])
    return height, width
