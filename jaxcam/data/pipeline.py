"""From records to padded batches of arrays, decoded while the device computes."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import os
import signal
import threading
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jaxcam.data import geometry as geometry_module
from jaxcam.data import records

Border = Literal["ignore", "foreground", "background"]
Row = dict[str, Any]

MOST_THREADS = 4
THREADS = min(MOST_THREADS, max(2, (os.cpu_count() or 2) // 2))
"""Decoding threads: two share two cores with the device's program, four feed a GPU."""

BATCHES_AHEAD = 2
GRACE_S = 60.0
"""Seconds that a decoding process outlives a SIGTERM, for the batch at hand."""
PADDING = "padding"


def batches(
    dataset: records.Dataset,
    *,
    size: tuple[int, int],
    batch_size: int,
    geometry: geometry_module.Geometry = "squash",
    border: Border = "ignore",
    crop_fraction: float = 1.0,
    interpolation: geometry_module.Interpolation = "bilinear",
    canvas: tuple[int, int] | None = None,
    spans: Sequence[range] | None = None,
    images: bool = True,
    threads: int = THREADS,
    workers: int = 0,
) -> Iterator[dict[str, Any]]:
    """Batches of equal shapes; the last of a span is padded, no row is ever left out.

    Args:
      dataset: The rows.
      size: Rows and columns of the model's grid, S.
      batch_size: Rows a batch, B; at least 1.
      geometry: See `jaxcam.data.geometry.frame`. Under "original" the model gets the
        squashed image, and truth stays on its own grid, at the top left of a canvas.
      border: What a trimap's border counts as in masks: nothing, object or background.
        The truth box is that of object and border in every case.
      crop_fraction: Crop size over resized size, under "crop"; in (0, 1].
      interpolation: How images are resized, "bilinear" or "bicubic".
      canvas: Rows and columns of the truth's canvas, under "original"; by default the
        largest of the data set, whatever part of it is read. An image that does not
        fit is not valid.
      spans: Rows to read, one span after the other; all of them by default. No batch
        holds rows of two spans, and what lies behind the last row is left out.
      images: False leaves images unread: `image` is then not among the arrays.
      threads: Decoding threads, at most four.
      workers: Decoding processes instead of threads, where decoding in Python is what
        takes the time; each loads the data set's records anew.

    Returns:
      An iterator of dicts: `index` int64[B] (-1 for padding); `id`, `category` and
      `reason`, lists of strings, and `image_id`, where several rows may be of an image;
      `valid` bool[B]; `image` uint8[B, S, S, 3]; `mask`, `where` and `frame`,
      bool[B, H, W]; `extent` int32[B, 2]; `boxes` float32[B, N, 4] and `box_valid`
      bool[B, N]; `candidates`, a list of tuples; `label` int32[B] (-1 if unknown);
      `size` int32[B, 2], original height and width. A row that cannot be read
      has `valid=False`, its reason, and zeros.

    Raises:
      ValueError: An option is not known, or a number is out of range.

    >>> dataset = jaxcam.data.open_dataset("shapes,n=3")
    >>> rows = [batch["index"] for batch in batches(dataset, size=(8, 8), batch_size=2)]
    >>> print(*rows)
    [0 1] [ 2 -1]
    """
    _check(size, batch_size, geometry, border, crop_fraction, interpolation)
    if geometry != "original":
        canvas = size
    elif canvas is None:
        canvas = dataset.largest_shape
    options = _Options(
        size, canvas, geometry, border, crop_fraction, interpolation, images
    )
    spans = [range(len(dataset))] if spans is None else spans
    rows = _padded(spans, batch_size, len(dataset))
    return _stream(_Reader(dataset, options, rows), batch_size, threads, workers)


@dataclasses.dataclass(frozen=True)
class _Options:
    size: tuple[int, int]
    canvas: tuple[int, int]
    geometry: geometry_module.Geometry
    border: Border
    crop_fraction: float
    interpolation: geometry_module.Interpolation
    images: bool


def _check(size, batch_size, geometry, border, crop_fraction, interpolation) -> None:
    for name, value, kinds in (
        ("geometry", geometry, typing.get_args(geometry_module.Geometry)),
        ("border", border, typing.get_args(Border)),
        (
            "interpolation",
            interpolation,
            typing.get_args(geometry_module.Interpolation),
        ),
    ):
        if value not in kinds:
            known = ", ".join(map(repr, kinds))
            raise ValueError(f"{name}={value!r} is not known; choose one of {known}.")
    if min(*size, batch_size) < 1 or not 0 < crop_fraction <= 1:
        raise ValueError(
            f"size={size}, batch_size={batch_size} and crop_fraction={crop_fraction}: "
            "sizes must be at least 1, and the fraction in (0, 1]."
        )


def _padded(spans: Sequence[range], batch_size: int, length: int) -> np.ndarray:
    """Numbers of the rows, -1 where a span's last batch is padded."""
    if any(span.start < 0 or span.step != 1 for span in spans):
        raise ValueError(f"spans={list(spans)}: spans start at 0 and leave no row out.")
    parts = [np.zeros(0, np.int64)]
    for span in spans:
        rows = np.arange(span.start, min(span.stop, length))
        parts += [rows, np.full(-len(rows) % batch_size, -1)]
    return np.concatenate(parts)


def _stream(
    reader: _Reader, batch_size: int, threads: int, workers: int
) -> Iterator[dict[str, Any]]:
    """Batches are read whole in threads or processes, a bounded number ahead.

    What passes from a process to this one costs by the piece, far more for rows than
    for batches.
    """
    batches = len(reader.rows) // batch_size
    if not batches:
        return
    import grain

    read = functools.partial(reader.batch, batch_size)
    made = grain.MapDataset.range(batches).map(read)
    if workers:
        _parse_flags()
        made = made.to_iter_dataset(grain.ReadOptions(1, 1)).mp_prefetch(
            grain.MultiprocessingOptions(workers, per_worker_buffer_size=1),
            worker_init_fn=_begin_worker,
        )
    else:
        threads = min(max(threads, 1), MOST_THREADS)
        ahead = max(threads, BATCHES_AHEAD)
        made = made.to_iter_dataset(grain.ReadOptions(threads, ahead))
    yield from made


def _begin_worker(index: int, count: int) -> None:
    """Makes a decoding process live as long as the one it decodes for.

    A Ctrl-C, or a scheduler, signals every process of a run; which of them ends when is
    for the main one to say. One that is killed cannot say it.
    """
    del index, count
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_later(number: int, frame: Any) -> None:
    del number, frame
    timer = threading.Timer(GRACE_S, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _parse_flags() -> None:
    """Grain's processes read absl's flags, which nobody parses outside of its apps."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


class _Reader:
    """Reads one row; what it raises becomes the row's reason."""

    def __init__(
        self, dataset: records.Dataset, options: _Options, rows: np.ndarray
    ) -> None:
        self.dataset, self.options, self.rows = dataset, options, rows
        # A data set names the images of all its rows or of none.
        self.names_images = len(dataset) > 0 and bool(dataset.records[0].image_id)

    def batch(self, size: int, number: int) -> Mapping[str, Any]:
        first = int(number) * size
        return _collate([self.row(i) for i in range(first, first + size)])

    def row(self, position: int) -> Row:
        index = int(self.rows[int(position)])
        if index < 0:
            return self.empty(-1, None, PADDING)
        record = self.dataset.records[index]
        try:
            return self.read(index, record)
        except records.BadRecord as error:
            return self.empty(index, record, str(error))

    def read(self, index: int, record: records.Record) -> Row:
        options = self.options
        image = record.image() if options.images else None
        truth = record.truth()
        original = record.shape() if image is None else image.shape[:2]
        _same_shape(truth, original)
        frame = geometry_module.frame(
            original, options.size, options.geometry, options.crop_fraction
        )
        shown = frame
        if options.geometry == "original":
            shown = geometry_module.frame(original, options.size, "squash")
            if original[0] > options.canvas[0] or original[1] > options.canvas[1]:
                raise records.BadRecord(
                    f"the image is {_by(original)}, the canvas {_by(options.canvas)}"
                )
        row = self.empty(index, record, "")
        if image is not None:
            row["image"] = geometry_module.resize_image(
                image, shown, options.interpolation
            )
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
        border = self.options.border
        counted = ~unsure if border == "ignore" else np.ones(frame.size, bool)
        if border == "foreground":
            inside = inside | unsure
        row["mask"][:rows, :columns] = inside
        row["where"][:rows, :columns] = counted
        seen = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
        slots = len(row["boxes"])
        if len(seen) > slots:
            raise records.BadRecord(f"it has {len(seen)} boxes, the data set {slots}")
        row["boxes"][: len(seen)] = seen
        row["box_valid"][: len(seen)] = True

    def empty(self, index: int, record: records.Record | None, reason: str) -> Row:
        canvas, slots = self.options.canvas, max(self.dataset.boxes, 1)
        candidates = () if record is None else record.candidates
        image = np.zeros((*self.options.size, 3), np.uint8)
        image_id = "" if record is None else record.image_id
        return {
            **({"image": image} if self.options.images else {}),
            **({"image_id": image_id} if self.names_images else {}),
            "index": np.int64(index),
            "id": "" if record is None else record.id,
            "category": "" if record is None else record.category,
            "reason": reason,
            "valid": reason == "",
            "candidates": candidates,
            "label": np.int32(candidates[0] if candidates else -1),
            "mask": np.zeros(canvas, bool),
            "where": np.zeros(canvas, bool),
            "frame": np.zeros(canvas, bool),
            "extent": np.zeros(2, np.int32),
            "boxes": np.zeros((slots, 4), np.float32),
            "box_valid": np.zeros(slots, bool),
            "size": np.zeros(2, np.int32),
        }


def _same_shape(truth: records.Truth, original: tuple[int, int]) -> None:
    for name in ("object", "border"):
        mask = getattr(truth, name)
        if mask is None or mask.shape == original:
            continue
        turned = " (upright, as the camera noted)" * (mask.shape == original[::-1])
        raise records.BadRecord(
            f"the {name} mask is {_by(mask.shape)}, the image {_by(original)}{turned}"
        )


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _collate(rows: Sequence[Row]) -> Mapping[str, Any]:
    lists = ("id", "image_id", "category", "reason", "candidates")
    return {
        name: [row[name] for row in rows]
        if name in lists
        else np.stack([np.asarray(row[name]) for row in rows])
        for name in rows[0]
    }
