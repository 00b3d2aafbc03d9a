"""Procedural images whose objects are known to the pixel.

Every image has a textured background, one object of eight classes (two of different
classes in the split `two_objects`) whose place is uniform among those where it fits,
and distractors too small and too thin to be an object. Objects are tilted a little
either way; sizes, tilts and colours are drawn alike for every class, colours alike for
the distractors too: only the outline tells the class.
Image `i` of a split depends on the seed, the size and `i` alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from jaxcam.data import records

Split = Literal["train", "test", "two_objects"]
Blob = tuple[tuple[slice, slice], np.ndarray]

VERSION = 1
"""Of the way images are drawn: part of the fingerprint, raised with every change."""

SIZE, SMALLEST = 64, 16
MOST_TILT = 0.4
"""In radians, either way."""

LENGTHS = {"train": 20_000, "test": 256, "two_objects": 256}

_SPLIT_SEEDS = {"train": 0, "test": 1, "two_objects": 2}
_STAR_INNER = 0.42
_LEAST_CONTRAST = 100.0


def _disc(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u**2 + v**2 <= 0.8**2


def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(abs(u), abs(v)) <= 0.7


def _triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    slope = np.sqrt(3.0)
    return (v >= -0.5) & (v <= 1.0 - slope * abs(u))


def _ring(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    radius = u**2 + v**2
    return (radius >= 0.55**2) & (radius <= 0.95**2)


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    thin, long = 0.27, 0.95
    across = (abs(u) <= long) & (abs(v) <= thin)
    return across | ((abs(v) <= long) & (abs(u) <= thin))


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Five points: a polygon given by its radius at each angle."""
    sector = np.pi / 5
    angle = np.arctan2(u, v) % (2 * sector)
    angle = np.minimum(angle, 2 * sector - angle)
    tip = np.array([1.0, 0.0])
    notch = _STAR_INNER * np.array([np.cos(sector), np.sin(sector)])
    edge = notch - tip
    along = np.cos(angle) * edge[1] - np.sin(angle) * edge[0]
    limit = (tip[0] * edge[1] - tip[1] * edge[0]) / along
    return np.hypot(u, v) <= limit


def _crescent(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (u**2 + v**2 <= 0.9**2) & ((u - 0.45) ** 2 + v**2 > 0.75**2)


def _bar(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (abs(u) <= 0.95) & (abs(v) <= 0.25)


_SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "disc": _disc,
    "square": _square,
    "triangle": _triangle,
    "ring": _ring,
    "cross": _cross,
    "star": _star,
    "crescent": _crescent,
    "bar": _bar,
}

CLASSES = tuple(_SHAPES)


def draw(
    index: int, *, split: Split = "test", seed: int = 0, size: int = SIZE
) -> tuple[np.ndarray, int, np.ndarray]:
    """One image, its explained class, and the exact mask of that class' object.

    Args:
      index: Position in the split.
      split: Which split.
      seed: Seed of the data set.
      size: Side of the image.

    Returns:
      uint8[size, size, 3]; the class, an index into `CLASSES`; bool[size, size], the
      pixels that the object paints.
    """
    rng = _stream(index, split, seed)
    classes = _classes(rng, split)
    canvas = _background(rng, size)
    masks = _place(rng, classes, size)
    free = ~np.any(masks, axis=0)
    for window, blob in _distractors(rng, size):
        _paint(rng, canvas[window], blob & free[window])
    for mask in masks:
        _paint(rng, canvas, mask)
    canvas += rng.normal(0, 6, canvas.shape)
    return np.clip(canvas, 0, 255).astype(np.uint8), int(classes[0]), masks[0]


def label(index: int, *, split: Split = "test", seed: int = 0) -> int:
    """The explained class of one image, without drawing it."""
    return int(_classes(_stream(index, split, seed), split)[0])


def labels(index: int, *, split: Split = "test", seed: int = 0) -> tuple[int, ...]:
    """The classes of all objects of one image, the explained one first."""
    return tuple(int(c) for c in _classes(_stream(index, split, seed), split))


def _stream(index: int, split: Split, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, _SPLIT_SEEDS[split], index])


def _classes(rng: np.random.Generator, split: Split) -> np.ndarray:
    """The explained class first; the first draw of a stream, so that it is cheap."""
    objects = 2 if split == "two_objects" else 1
    return rng.choice(len(CLASSES), objects, replace=False)


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """float[size, size, 3]: smooth colour noise with stripes."""
    coarse = rng.uniform(70, 185, (5, 5, 3))
    at = np.linspace(0, 4, size)
    low = np.minimum(at.astype(int), 3)
    part = at - low
    down, across = part[:, None, None], part[None, :, None]
    rows = coarse[low] * (1 - down) + coarse[low + 1] * down
    smooth = rows[:, low] * (1 - across) + rows[:, low + 1] * across
    y, x = _grid(size)
    angle, waves = rng.uniform(0, np.pi), rng.uniform(3, 12)
    phase = 2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)) / size
    return smooth + rng.uniform(0, 15) * np.sin(phase)[..., None]


@functools.lru_cache(maxsize=4)
def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows [size, 1] and columns [1, size] of the pixels' centres."""
    centres = np.arange(size) + 0.5
    return centres[:, None], centres[None, :]


def _place(
    rng: np.random.Generator, classes: Sequence[int], size: int
) -> list[np.ndarray]:
    """Masks of the objects, none touching another; drawn anew until that holds."""
    while True:
        masks = [_object(rng, CLASSES[c], size, len(classes)) for c in classes]
        if len(masks) == 1 or not (_grown(masks[0]) & masks[1]).any():
            return masks


def _object(rng: np.random.Generator, name: str, size: int, objects: int) -> np.ndarray:
    largest = 0.36 if objects == 1 else 0.25
    radius = rng.uniform(0.17, largest) * size
    centre = rng.uniform(radius, size - radius, 2)
    angle = rng.uniform(-MOST_TILT, MOST_TILT)
    y, x = _grid(size)
    dy, dx = (y - centre[0]) / radius, (x - centre[1]) / radius
    u = np.cos(angle) * dx + np.sin(angle) * dy
    v = np.cos(angle) * dy - np.sin(angle) * dx
    return _SHAPES[name](u, v)


def _grown(mask: np.ndarray) -> np.ndarray:
    grown = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            grown |= np.roll(mask, step, axis)
    return grown


def _distractors(rng: np.random.Generator, size: int) -> Iterator[Blob]:
    """Specks and lines, too small and too thin to be an object."""
    y, x = _grid(size)
    unit = size / SIZE
    for _ in range(rng.integers(4, 10)):
        centre, spread = rng.uniform(0, size, 2), rng.uniform(0.8, 2.0) * unit
        first = np.maximum(np.floor(centre - spread), 0).astype(int)
        last = np.ceil(centre + spread).astype(int)
        rows, columns = (slice(*ends) for ends in zip(first, last, strict=True))
        distance = np.hypot(y[rows] - centre[0], x[:, columns] - centre[1])
        yield (rows, columns), distance <= spread
    for _ in range(rng.integers(1, 4)):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(0, size)
        distance = (x - size / 2) * np.cos(angle) + (y - offset) * np.sin(angle)
        yield (slice(None), slice(None)), abs(distance) <= 0.7 * unit


def _paint(rng: np.random.Generator, canvas: np.ndarray, mask: np.ndarray) -> None:
    """Fills a mask with one colour that stands out from what it covers."""
    if not mask.any():
        return
    under = canvas[mask].mean(axis=0)
    colour = rng.uniform(0, 255, 3)
    while np.abs(colour - under).max() < _LEAST_CONTRAST:
        colour = rng.uniform(0, 255, 3)
    canvas[mask] = colour


def dataset(
    split: Split = "test", *, length: int | None = None, seed: int = 0, size: int = SIZE
) -> records.Dataset:
    """The first images of a split as a data set; nothing is drawn before it is read.

    Args:
      split: "train", "test" or "two_objects", where only one of two objects has the
        explained class.
      length: Number of images.
      seed: Seed of the data set.
      size: Side of the images.

    Returns:
      The data set, with the label set "shapes".

    Raises:
      ValueError: The split is unknown, or a number is out of range.
    """
    if split not in LENGTHS:
        raise ValueError(
            f"shapes has no split {split!r}; choose one of {', '.join(LENGTHS)}."
        )
    length = LENGTHS[split] if length is None else length
    if length < 1 or seed < 0 or size < SMALLEST:
        raise ValueError(
            f"n={length}, seed={seed}, size={size}: n must be at least 1, seed 0, and "
            f"size {SMALLEST}, where an outline is still seen."
        )
    return records.Dataset(
        name="shapes" if split == "test" else f"shapes:{split}",
        records=_Rows(split, length, seed, size),
        label_set="shapes",
        class_names=CLASSES,
        origin=("shapes", VERSION, split, length, seed, size),
        self_described=True,
    )


class _Rows(Sequence):
    """Records made when they are asked for."""

    def __init__(self, split: Split, length: int, seed: int, size: int) -> None:
        self.key = split, seed, size
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> records.Record:
        index = range(self.length)[index]
        split, seed, size = self.key

        @functools.cache
        def drawn() -> tuple[np.ndarray, int, np.ndarray]:
            return draw(index, split=split, seed=seed, size=size)

        return records.Record(
            id=f"{split}-{index:06d}",
            image=lambda: drawn()[0],
            truth=lambda: records.Truth(object=drawn()[2]),
            shape=lambda: (size, size),
            candidates=(label(index, split=split, seed=seed),),
            category=CLASSES[label(index, split=split, seed=seed)],
        )
