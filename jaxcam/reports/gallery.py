"""Cards of images: what the methods point out, beside what is true."""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from PIL import Image

from jaxcam import _spec, columns, comparison, data, ops, plot, tables
from jaxcam.metrics import fields, presets
from jaxcam.reports import choosing

SIDE = 256
"""Longest side of a picture in pixels, and fewer where there are many pictures."""

MOST_PICTURES = 240
"""Above so many pictures each becomes smaller, so that the file's size is bounded."""

QUALITY = 72
CURVE_POINTS = 64


@dataclasses.dataclass(frozen=True)
class Panel:
    """One picture of a card: the image, or a method's map over it."""

    name: str
    picture: str  # A data URI; "" where no image or no map is at hand.
    outline: str = ""  # SVG path of the predicted region.
    box: tuple[float, float, float, float] | None = None  # x, y, width, height.
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Card:
    """One image with everything that the report says of it."""

    id: str
    kinds: tuple[str, ...]
    target: str
    predicted: str
    correct: bool | None
    probability: float
    value: float
    size: tuple[int, int]
    aspect: float
    truth: str
    boxes: tuple[tuple[float, float, float, float], ...]
    panels: tuple[Panel, ...]
    values: tuple[tuple[str, tuple[str, ...]], ...]
    curves: tuple[tuple[str, str, tuple[tuple[int, str], ...]], ...]


def cards(
    sides: Mapping[str, comparison.Side],
    choice: choosing.Choice,
    dataset: data.Dataset | None,
    *,
    size: tuple[int, int],
    crop_fraction: float = 1.0,
) -> list[Card]:
    """Cards of the chosen images, in their order.

    Args:
      sides: Methods, no floors among them.
      choice: Which images.
      dataset: Where the images are; `None` makes cards without pictures.
      size: The grid on which maps met the truth.
      crop_fraction: As the model has it.
    """
    rows = list(choice.rows)
    first = next(iter(sides.values()))
    positions = first.result.rows_of(first.method)[first.rows[rows]]
    index = np.asarray(first.result.columns["index"])[positions]
    images = _images(first, dataset, index, size, crop_fraction)
    maps = {name: _maps(side, rows) for name, side in sides.items()}
    side = SIDE
    if len(rows) * (1 + len(sides)) > MOST_PICTURES:
        side = int(SIDE * math.sqrt(MOST_PICTURES / (len(rows) * (1 + len(sides)))))
    tables_of = _values(sides, rows)
    drawn = _curves(sides, rows)
    facts = _facts(first, positions)
    made = []
    for number, row in enumerate(rows):
        image = images.get(int(index[number]))
        of_row = {name: found[number] for name, found in maps.items()}
        made.append(
            Card(
                kinds=choice.rows[row],
                value=float(choice.values[row]),
                values=tables_of[number],
                curves=drawn[number],
                **facts[number],
                **_pictures(image, of_row, first.result, max(96, side)),
            )
        )
    return made


def _images(
    first: comparison.Side,
    dataset: data.Dataset | None,
    index: np.ndarray,
    size: tuple[int, int],
    crop_fraction: float,
) -> dict[int, Mapping[str, Any]]:
    """What was read of each row that could be read, by its place in the data set."""
    if dataset is None:
        return {}
    settings = first.result.manifest["scientific"]
    records = [dataset.records[int(i)] for i in index]
    chosen = dataclasses.replace(dataset, records=records, self_described=False)
    found = {}
    for batch in data.batches(
        chosen,
        size=size,
        batch_size=min(8, max(len(records), 1)),
        geometry=settings.get("geometry", "squash"),
        border=settings.get("border", "ignore"),
        crop_fraction=crop_fraction,
    ):
        for place, number in enumerate(batch["index"]):
            if number >= 0 and batch["valid"][place] and "image" in batch:
                row = {name: values[place] for name, values in batch.items()}
                found[int(index[number])] = row
    return found


def _maps(side: comparison.Side, rows: Sequence[int]) -> list[np.ndarray | None]:
    """The stored maps of some rows; `None` where the run kept none."""
    if "saliency" not in side.result.columns:
        return [None] * len(rows)
    positions = side.result.rows_of(side.method)[side.rows[list(rows)]]
    stored = side.result.columns["saliency"][positions]
    shapes = [
        side.result.columns[f"saliency_{name}"][positions].astype(int)
        for name in ("height", "width")
    ]
    return [
        np.asarray(flat, np.float32).reshape(h, w) if h * w else None
        for flat, h, w in zip(stored, *shapes, strict=True)
    ]


def _pictures(
    row: Mapping[str, Any] | None,
    maps: Mapping[str, np.ndarray | None],
    result: Any,
    side: int,
) -> dict[str, Any]:
    if row is None:
        return {"size": (0, 0), "aspect": 1.0, "truth": "", "boxes": (), "panels": ()}
    height, width = (int(n) for n in row["extent"])
    mask, frame = (np.asarray(row[n]) for n in ("mask", "frame"))
    image = np.asarray(row["image"])
    if image.shape[:2] != (height, width):  # On a canvas of another grid.
        image = np.asarray(Image.fromarray(image).resize((width, height)))
    original = np.asarray(row["size"], float)
    squashed = result.manifest["scientific"].get("geometry", "squash") == "squash"
    panels = [Panel("image", _data_uri(image, side))]
    settings = result.manifest["scientific"]
    options = _region_options(settings["preset"], settings.get("normalization"))
    for name, native in maps.items():
        if native is None:
            panels.append(Panel(name, "", note="its maps were not stored"))
            continue
        extent = np.asarray(row["extent"])
        region, box, placed = _region(native, frame, extent, options)
        shown = plot.blended(image, np.asarray(placed)[:height, :width])
        panels.append(
            Panel(
                name,
                _data_uri((shown * 255).astype(np.uint8), side),
                outline(np.asarray(region)[:height, :width]),
                _placed_box(np.asarray(box, float)),
            )
        )
    valid = np.asarray(row["boxes"])[np.asarray(row["box_valid"])]
    return {
        "size": (height, width),
        "aspect": float(original[1] / original[0]) if squashed else width / height,
        "truth": outline(mask[:height, :width]),
        "boxes": tuple(_placed_box(box) for box in valid),
        "panels": tuple(panels),
    }


@functools.lru_cache(maxsize=8)
def _region_options(preset: str, normalization: str | None) -> tuple[Any, ...]:
    """Options of the steps from a map to its region, as the run took them."""
    convention = presets.get(preset)
    wanted = dict(convention.fields)
    if normalization is not None:
        wanted["normalization"] = normalization
    steps = (
        fields.saliency,
        fields.salient_mask,
        fields.predicted_mask,
        fields.predicted_box,
    )
    chosen = tuple(
        tuple((k, v) for k, v in wanted.items() if k in _spec.keyword_options(step))
        for step in steps
    )
    return convention.resize, *chosen


@functools.partial(jax.jit, static_argnames="options")
def _region(native: Any, frame: Any, extent: Any, options: tuple[Any, ...]) -> Any:
    """The region that a map points out, its box, and the map on the truth's grid."""
    resize, scale, salient, component, box = options
    placed = ops.place(native, extent, frame.shape, method=resize)
    unit = fields.saliency(placed, frame, **dict(scale))
    salient_mask = fields.salient_mask(unit, frame, **dict(salient))
    region = fields.predicted_mask(salient_mask, **dict(component))
    return region, fields.predicted_box(region, **dict(box)), placed


def _placed_box(box: np.ndarray) -> tuple[float, float, float, float]:
    y0, x0, y1, x1 = (round(float(v), 1) for v in box)
    return x0, y0, round(x1 - x0, 1), round(y1 - y0, 1)


def outline(mask: np.ndarray) -> str:
    """The outline of a mask as an SVG path, in pixels from the top left corner.

    >>> outline(np.array([[False, False], [False, True]]))
    'M1 1.5 1.5 1 2 1.5 1.5 2 1 1.5Z'
    """
    import contourpy

    padded = np.pad(np.asarray(mask, np.float64), 1)
    found = contourpy.contour_generator(z=padded, line_type="Separate").lines(0.5)
    parts = []
    for points in found:
        steps = np.diff(points, axis=0)
        turns = np.any(np.abs(steps[1:] - steps[:-1]) > 1e-9, axis=1)
        kept = np.concatenate([[True], turns, [True]])
        written = " ".join(f"{x - 0.5:g} {y - 0.5:g}" for x, y in points[kept])
        parts.append(f"M{written}Z")
    return "".join(parts)


def _data_uri(image: np.ndarray, side: int) -> str:
    """A picture inside the page, no larger than is seen."""
    picture = Image.fromarray(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def _facts(first: comparison.Side, positions: np.ndarray) -> list[dict[str, Any]]:
    """Name, classes and decision of each row."""
    known = first.result.columns

    def column(name: str, default: Any) -> Sequence[Any]:
        there = name in known
        return known[name][positions] if there else [default] * len(positions)

    names: dict[int, str] = {}
    if "target" in known and "target_name" in known:
        names = dict(zip(known["target"].tolist(), known["target_name"], strict=True))
    made = []
    for name, target, predicted, correct, probability in zip(
        column("id", ""),
        column("target_name", ""),
        column("predicted_class", -1),
        column("correct", math.nan),
        column("probability", math.nan),
        strict=True,
    ):
        number = int(predicted)
        unnamed = f"class {number}" if number >= 0 else ""
        made.append(
            {
                "id": str(name),
                "target": str(target),
                "predicted": names.get(number, unnamed),
                "correct": None if math.isnan(correct) else bool(correct),
                "probability": float(probability),
            }
        )
    return made


def _values(
    sides: Mapping[str, comparison.Side], rows: Sequence[int]
) -> list[tuple[tuple[str, tuple[str, ...]], ...]]:
    """Of each row: metrics with the methods' values, as they are written."""
    first = next(iter(sides.values())).result
    metrics = [m for m in first.metrics if columns.is_scalar(first.columns, m)]
    metrics = [m for m in metrics if all(m in s.result.metrics for s in sides.values())]
    table = {
        metric: [side.values(metric)[list(rows)] for side in sides.values()]
        for metric in metrics
    }
    return [
        tuple(
            (
                f"{metric} {tables.ARROWS[first.direction(metric)]}".strip(),
                tuple(_number(values[k]) for values in found),
            )
            for metric, found in table.items()
        )
        for k in range(len(rows))
    ]


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"


def _curves(
    sides: Mapping[str, comparison.Side], rows: Sequence[int]
) -> list[tuple[tuple[str, str, tuple[tuple[int, str], ...]], ...]]:
    """Of each row: name, x axis and the methods' lines of the stored curves."""
    found: list[list[Any]] = [[] for _ in rows]
    for metric, axis in _stored_curves(next(iter(sides.values())).result):
        if not all(metric in side.result.metrics for side in sides.values()):
            continue
        values = [side.values(metric)[list(rows)] for side in sides.values()]
        for k, of_row in enumerate(found):
            lines = tuple(
                (number, _polyline(curves[k]))
                for number, curves in enumerate(values)
                if not np.isnan(curves[k]).any()
            )
            of_row.append((metric, axis, lines))
    return [tuple(of_row) for of_row in found]


def _stored_curves(result: Any) -> Iterator[tuple[str, str]]:
    for metric in result.metrics:
        if metric.startswith(("insertion_curve", "deletion_curve")):
            yield metric, "share of pixels"
        elif metric.startswith(("max_box_accuracy", "max_mask_accuracy", "box_accu")):
            yield metric, "IoU by threshold"


def _polyline(values: np.ndarray) -> str:
    """Points of a curve on a field of 100 x 50, its values from 0 to 1."""
    kept = np.unique(np.linspace(0, len(values) - 1, CURVE_POINTS).astype(int))
    across = 100 * kept / max(len(values) - 1, 1)
    down = 50 * (1 - np.clip(values[kept], 0, 1))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
