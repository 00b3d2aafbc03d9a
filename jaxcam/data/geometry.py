"""The same geometry for an image, its masks and its boxes."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from PIL import Image

Geometry = Literal["squash", "crop", "original"]
Interpolation = Literal["bilinear", "bicubic"]


@dataclasses.dataclass(frozen=True)
class Frame:
    """A rectangle of the original image, and the grid it is resized to.

    Attributes:
      window: float `(y0, x0, y1, x1)` in original pixels.
      size: Rows and columns of the grid.
    """

    window: tuple[float, float, float, float]
    size: tuple[int, int]


def frame(
    original: tuple[int, int],
    size: tuple[int, int],
    geometry: Geometry,
    crop_fraction: float = 1.0,
) -> Frame:
    """Which part of an image goes where.

    Args:
      original: Height and width of the image.
      size: Rows and columns of the model's grid.
      geometry: "squash" resizes the whole image, whatever its aspect; "crop" takes the
        largest centred rectangle of the grid's aspect, shrunk by `crop_fraction`;
        "original" keeps the image's own grid.
      crop_fraction: As image classifiers have it: crop size over resized size.

    Returns:
      The frame.
    """
    height, width = original
    if geometry == "original":
        return Frame((0, 0, height, width), original)
    if geometry == "squash":
        return Frame((0, 0, height, width), size)
    scale = min(height / size[0], width / size[1]) * crop_fraction
    rows, columns = min(size[0] * scale, height), min(size[1] * scale, width)
    y0, x0 = (height - rows) / 2, (width - columns) / 2
    return Frame((y0, x0, y0 + rows, x0 + columns), size)


def resize_image(
    image: np.ndarray, frame: Frame, interpolation: Interpolation = "bilinear"
) -> np.ndarray:
    """uint8[h, w, 3] on the frame's grid, antialiased where it shrinks."""
    y0, x0, y1, x1 = frame.window
    resized = Image.fromarray(image).resize(
        frame.size[::-1], Image.Resampling[interpolation.upper()], box=(x0, y0, x1, y1)
    )
    return np.asarray(resized)


def resize_mask(mask: np.ndarray, frame: Frame) -> np.ndarray:
    """bool[h, w] on the frame's grid: the value at each new pixel's centre."""
    rows = _centres(frame.window[0], frame.window[2], frame.size[0], mask.shape[0])
    columns = _centres(frame.window[1], frame.window[3], frame.size[1], mask.shape[1])
    return mask[rows].take(columns, axis=1)


def _centres(start: float, stop: float, count: int, limit: int) -> np.ndarray:
    at = start + (np.arange(count) + 0.5) * (stop - start) / count
    return np.clip(np.floor(at), 0, limit - 1).astype(np.int64)


def resize_boxes(boxes: np.ndarray, frame: Frame) -> np.ndarray:
    """float[n, 4] on the frame's grid, cut at its edges; boxes outside become zeros."""
    y0, x0, y1, x1 = frame.window
    rows, columns = frame.size
    offset = np.array([y0, x0, y0, x0])
    moved = np.asarray(boxes, np.float64).reshape(-1, 4) - offset
    # Multiplied before divided: whole numbers come out whole.
    scaled = moved * ([rows, columns] * 2) / ([y1 - y0, x1 - x0] * 2)
    cut = np.clip(scaled, 0, [rows, columns] * 2)
    empty = (cut[:, 2] <= cut[:, 0]) | (cut[:, 3] <= cut[:, 1])
    return np.where(empty[:, None], 0, cut)


def tight_box(mask: np.ndarray) -> np.ndarray:
    """float[n, 4] with n = 1: the smallest box around a mask; n = 0 if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.zeros((0, 4))
    return np.array([[rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]], float)
