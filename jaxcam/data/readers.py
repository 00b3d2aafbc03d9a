"""Image, trimap and mask files, and the records made of them.

Whatever is wrong with a file becomes a `BadRecord`, whose message is the row's reason.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps

from jaxcam.data import masks as mask_files
from jaxcam.data import records

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
MASK_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff", ".npy", ".jpg", ".jpeg")

OBJECT, BACKGROUND, BORDER = 1, 2, 3
"""Values of a trimap."""

_T = TypeVar("_T")
_V = TypeVar("_V")
_QUARTER_TURNS = (5, 6, 7, 8)
_LONGEST_REASON = 120


def read_image(path: str | os.PathLike) -> np.ndarray:
    """uint8[h, w, 3]: any image file as upright RGB.

    The orientation that a camera noted is applied. Palettes, grey values, CMYK and 16
    bits become 8-bit RGB; transparency is dropped, as classifiers' pipelines do; of
    several frames the first is taken.

    Args:
      path: An image file.

    Returns:
      uint8[h, w, 3].

    Raises:
      BadRecord: The file is missing or cannot be decoded.
    """
    return decoded(path, "image", lambda image: np.asarray(rgb(_upright(image))))


def read_shape(path: str | os.PathLike) -> tuple[int, int]:
    """Height and width of the upright image; pixels are not decoded.

    Raises:
      BadRecord: The file is missing or is no image.
    """

    def shape(image: Image.Image) -> tuple[int, int]:
        width, height = image.size
        turned = _orientation(image) in _QUARTER_TURNS
        return (width, height) if turned else (height, width)

    return decoded(path, "image", shape)


def decoded(
    file: str | os.PathLike | io.BytesIO, what: str, use: Callable[[Image.Image], _T]
) -> _T:
    """What `use` makes of an image file.

    Raises:
      BadRecord: The file is missing, or opening or using it raises anything.
    """
    try:
        with Image.open(file) as image:
            return use(image)
    except FileNotFoundError as error:
        raise records.BadRecord(f"the {what} is missing") from error
    except Exception as error:  # Decoders raise anything on damaged files.
        raise _unreadable(file, what, error) from error


def _unreadable(
    file: str | os.PathLike | io.BytesIO, what: str, error: Exception
) -> records.BadRecord:
    text = str(error).partition("\n")[0]
    if isinstance(file, io.BytesIO):  # Named by its address, another in every run.
        text = text.replace(repr(file), "these bytes")
    else:
        text = text.replace(str(file), Path(file).name)
    reason = f"the {what} cannot be decoded: {text or type(error).__name__}"
    return records.BadRecord(reason[:_LONGEST_REASON])


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Damaged metadata says nothing about the pixels.
        return 1


def _upright(image: Image.Image) -> Image.Image:
    return image if _orientation(image) == 1 else ImageOps.exif_transpose(image)


def rgb(image: Image.Image) -> Image.Image:
    """Any image as 8-bit RGB; see `read_image`."""
    if image.mode.startswith("I"):
        values = np.round(np.asarray(image, np.float64) / 257)
        image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def read_trimap(path: Path) -> records.Truth:
    """Object and border of a trimap with the values 1 object, 2 background, 3 border.

    Raises:
      BadRecord: The file is missing, cannot be decoded, or has other values.
    """
    values = read_truth(path, "trimap", mask_files.read_labels)
    found = _values(values)
    if not found <= {OBJECT, BACKGROUND, BORDER}:
        some = ", ".join(map(str, sorted(found)[:5]))
        raise records.BadRecord(f"the trimap has the values {some}, not 1, 2 and 3")
    return records.Truth(object=values == OBJECT, border=values == BORDER)


def _values(array: np.ndarray) -> set[int]:
    """The values that occur; bytes are counted, which is faster than sorting."""
    if array.dtype == np.uint8:
        return set(np.flatnonzero(np.bincount(array.ravel())).tolist())
    return set(np.unique(array).tolist())


def read_plain_mask(path: Path, threshold: float | None = None) -> records.Truth:
    """Object of a mask image with the values 0 and 1 or 0 and 255.

    Raises:
      BadRecord: The file is missing, cannot be decoded, or has other values and there
        is no `threshold` above which they are object.
    """
    read = functools.partial(mask_files.read_mask, threshold=threshold)
    return records.Truth(object=read_truth(path, "mask", read))


def read_truth(path: Path, what: str, read: Callable[[Path], _T]) -> _T:
    """What `read` makes of a file; any failure is the row's reason.

    Raises:
      BadRecord: The file is missing or cannot be decoded.
    """
    try:
        return read(path)
    except FileNotFoundError as error:
        raise records.BadRecord(f"the {what} is missing") from error
    except ValueError as error:
        if str(path) not in str(error):
            raise _unreadable(path, what, error) from error
        raise records.BadRecord(str(error).replace(str(path), f"the {what}")) from error
    except Exception as error:  # Decoders raise anything on damaged files.
        raise _unreadable(path, what, error) from error


def no_truth() -> records.Truth:
    """Nothing is known about where the object is."""
    return records.Truth()


def record(
    name: str,
    image: Path,
    truth: Path | None,
    read: Callable[[Path], records.Truth],
    *,
    candidates: tuple[int, ...] = (),
    category: str = "",
) -> records.Record:
    """A row read from an image file and, if there is one, a file of its truth."""
    return records.Record(
        id=name,
        image=functools.partial(read_image, image),
        truth=no_truth if truth is None else functools.partial(read, truth),
        shape=functools.partial(read_shape, image),
        candidates=candidates,
        category=category,
        files=(image,) if truth is None else (image, truth),
    )


def files_by_id(
    folder: Path, suffixes: tuple[str, ...]
) -> tuple[Mapping[str, Path], int]:
    """Files of a folder and its subfolders by id, and how many are of other kinds.

    The id is the path inside the folder without its suffix. Hidden files are left out.

    Raises:
      ValueError: Two files have the same id.
    """
    found: dict[str, Path] = {}
    others = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(place).relative_to(folder)
        for file in sorted(names):
            stem, suffix = os.path.splitext(file)
            if file.startswith(".") or suffix.lower() not in suffixes:
                others += 1
                continue
            name = (inside / stem).as_posix()
            if name in found:
                raise ValueError(
                    f"{found[name]} and {file} have the same name but for the suffix; "
                    "rename or remove one of them."
                )
            found[name] = Path(place, file)
    return found, others


def classes(text: str) -> tuple[int, ...]:
    """Classes written as numbers and inclusive ranges.

    >>> classes("281 285"), classes("5-7,9")
    ((281, 285), (5, 6, 7, 9))
    """
    found: list[int] = []
    for part in text.replace(",", " ").split():
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(found)


def table(
    path: Path, rows: Iterable[_T], parse: Callable[[_T], tuple[str, _V]]
) -> dict[str, _V]:
    """Rows of a list by id.

    Raises:
      ValueError: `parse` fails on a row, or two rows have the same id.
    """
    made: dict[str, _V] = {}
    for number, row in enumerate(rows, start=1):
        try:
            name, value = parse(row)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: row {number} cannot be read: {row}.") from error
        if name in made:
            raise ValueError(f"{path} lists {name} twice; keep one row.")
        made[name] = value
    return made
