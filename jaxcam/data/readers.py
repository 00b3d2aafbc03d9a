"""Readers: folders of images with masks, trimaps or class names."""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from jaxcam.data import masks as mask_files
from jaxcam.data import records

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")

CATS, DOGS = (281, 285), (151, 268)
"""First and last class of each species in the order of ImageNet-1k."""

OBJECT, BACKGROUND, BORDER = 1, 2, 3
"""Values of a trimap."""

Labels = Literal["coarse", "exact"]


def read_image(path: str | os.PathLike) -> np.ndarray:
    """uint8[h, w, 3]: any image file as upright RGB.

    The orientation that a camera noted is applied; palettes, grey values, 16-bit
    values, CMYK and transparency become RGB.

    Args:
      path: An image file.

    Returns:
      uint8[h, w, 3].

    Raises:
      BadRecord: The file is missing or cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):
                grey = np.asarray(upright, np.float64) / 257.0
                upright = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
            return np.asarray(upright.convert("RGB"))
    except FileNotFoundError as error:
        raise records.BadRecord("the image is missing") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = f"the image cannot be decoded: {error}"
        raise records.BadRecord(reason.replace(str(path), Path(path).name)) from error


def read_trimap(path: Path) -> records.Truth:
    """Object and border of a trimap with the values 1 object, 2 background, 3 border.

    Raises:
      BadRecord: The file is missing, cannot be decoded, or has other values.
    """
    try:
        values = mask_files.read_labels(path)
    except FileNotFoundError as error:
        raise records.BadRecord("the trimap is missing") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise records.BadRecord("the trimap cannot be decoded") from error
    found = set(np.unique(values).tolist())
    if not found <= {OBJECT, BACKGROUND, BORDER}:
        raise records.BadRecord(f"the trimap has the values {sorted(found)[:5]}")
    return records.Truth(object=values == OBJECT, border=values == BORDER)


def read_plain_mask(path: Path, threshold: float | None) -> records.Truth:
    """Object of a mask image with the values 0 and 1 or 0 and 255.

    Raises:
      BadRecord: The file is missing, cannot be decoded, or has other values.
    """
    try:
        return records.Truth(object=mask_files.read_mask(path, threshold=threshold))
    except FileNotFoundError as error:
        raise records.BadRecord("the mask is missing") from error
    except (OSError, SyntaxError, ValueError) as error:
        reason = str(error).replace(str(path), "the mask")
        raise records.BadRecord(reason) from error


def no_truth() -> records.Truth:
    """Nothing is known about where the object is."""
    return records.Truth()


def oxford_pets(folder: Path, *, labels: Labels = "coarse") -> records.Dataset:
    """The Oxford-IIIT Pet data set, as published or with a `labels.csv`.

    Args:
      folder: Holds `images/`, and either `annotations/trimaps/` with
        `annotations/list.txt`, as the archives unpack, or `trimaps/` and `labels.csv`
        with the columns `file`, `imagenet_ok_top1` and `imagenet_coarse_range`.
      labels: Which ImageNet classes count as right: "coarse", every class of the
        species (cats 281-285, dogs 151-268); "exact", those of the breed, none for
        most breeds.

    Returns:
      The data set, sorted by id.

    Raises:
      FileNotFoundError: A list is missing.
      ValueError: A list cannot be read.
    """
    if (folder / "labels.csv").is_file():
        rows, trimaps = _pets_csv(folder / "labels.csv", labels), folder / "trimaps"
    else:
        rows = _pets_list(folder / "annotations" / "list.txt", labels)
        trimaps = folder / "annotations" / "trimaps"
    found = _files_by_stem(folder / "images", IMAGE_SUFFIXES)
    made = []
    for name, candidates in sorted(rows.items()):
        image = found.get(name, folder / "images" / f"{name}.jpg")
        trimap = trimaps / f"{name}.png"
        made.append(_record(name, image, trimap, read_trimap, candidates))
    return records.Dataset(
        name="oxford_pets",
        records=made,
        label_set="imagenet",
        skipped=len(set(found) - set(rows)),
        origin=(labels,),
    )


def _pets_csv(path: Path, labels: Labels) -> dict[str, tuple[int, ...]]:
    column = {"coarse": "imagenet_coarse_range", "exact": "imagenet_ok_top1"}[labels]
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        missing = {"file", column} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path} has no column {', '.join(sorted(missing))}.")
        return {row["file"]: _classes(row[column]) for row in reader}


def _classes(text: str) -> tuple[int, ...]:
    """Classes written as numbers and inclusive ranges: "281 285", "151-268"."""
    found: list[int] = []
    for part in text.replace(",", " ").split():
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(found)


def _pets_list(path: Path, labels: Labels) -> dict[str, tuple[int, ...]]:
    if labels == "exact":
        raise ValueError(
            "The published lists do not name ImageNet classes of breeds; use "
            "labels='coarse'."
        )
    rows = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        try:
            name, _, species, *_ = line.split()
            first, last = {"1": CATS, "2": DOGS}[species]
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{path}: {line!r} cannot be read; a line is NAME CLASS SPECIES BREED."
            ) from error
        rows[name] = tuple(range(first, last + 1))
    return rows


def image_folder(
    folder: Path, *, threshold: float | None = None, label_set: str | None = None
) -> records.Dataset:
    """Images with masks or trimaps beside them, or in one folder a class.

    Args:
      folder: One of

        * `images/` with `masks/` (0 and 1, or 0 and 255) or `trimaps/` (1, 2, 3), files
          of one name, and if wanted `labels.csv` with the columns `file` and `label`
          (class numbers of `label_set`, several separated by spaces);
        * `class_name/*.jpg`, a folder a class, and if wanted `masks/class_name/*.png`.
      threshold: Makes masks of other values: larger is object.
      label_set: What the class numbers of `labels.csv` mean; "imagenet" for models
        trained there. Class folders are numbered in alphabetical order.

    Returns:
      The data set, sorted by id.

    Raises:
      ValueError: The folder has another layout.
    """
    if (folder / "images").is_dir():
        return _parallel_folders(folder, threshold, label_set)
    return _class_folders(folder, threshold)


def _parallel_folders(
    folder: Path, threshold: float | None, label_set: str | None
) -> records.Dataset:
    found = _files_by_stem(folder / "images", IMAGE_SUFFIXES)
    candidates = _label_table(folder / "labels.csv")
    if (folder / "trimaps").is_dir():
        truth_folder, read = folder / "trimaps", read_trimap
    else:
        truth_folder = folder / "masks"
        read = functools.partial(read_plain_mask, threshold=threshold)
    truth = _files_by_stem(truth_folder, (*IMAGE_SUFFIXES, ".npy"))
    made = [
        _record(
            name,
            found.get(name, folder / "images" / name),
            truth.get(name, truth_folder / name) if truth else None,
            read,
            candidates.get(name, ()),
        )
        for name in sorted({*found, *candidates})
    ]
    return records.Dataset(
        name=folder.name,
        records=made,
        label_set=label_set or ("imagenet" if candidates else None),
        skipped=_others(folder / "images"),
        origin=(threshold,),
    )


def _label_table(path: Path) -> dict[str, tuple[int, ...]]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if not {"file", "label"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{path} must have the columns file and label.")
        return {Path(row["file"]).stem: _classes(row["label"]) for row in reader}


def _class_folders(folder: Path, threshold: float | None) -> records.Dataset:
    classes = sorted(
        child.name
        for child in folder.iterdir()
        if child.is_dir() and child.name != "masks" and _has_images(child)
    )
    if not classes:
        raise ValueError(
            f"{folder} holds neither images/ (with masks/ or trimaps/) nor folders of "
            "images, one a class; `jaxcam list data` shows the layouts."
        )
    read = functools.partial(read_plain_mask, threshold=threshold)
    made, skipped = [], 0
    for number, name in enumerate(classes):
        found = _files_by_stem(folder / name, IMAGE_SUFFIXES)
        masks = _files_by_stem(folder / "masks" / name, (*IMAGE_SUFFIXES, ".npy"))
        skipped += _others(folder / name)
        for stem, path in sorted(found.items()):
            truth = masks.get(stem, folder / "masks" / name / stem) if masks else None
            made.append(_record(f"{name}/{stem}", path, truth, read, (number,)))
    return records.Dataset(
        name=folder.name,
        records=made,
        label_set=folder.name,
        class_names=tuple(classes),
        skipped=skipped,
        origin=(threshold,),
    )


def _record(
    name: str,
    image: Path,
    truth: Path | None,
    read: Callable[[Path], records.Truth],
    candidates: tuple[int, ...],
) -> records.Record:
    return records.Record(
        id=name,
        image=functools.partial(read_image, image),
        truth=no_truth if truth is None else functools.partial(read, truth),
        candidates=candidates,
        files=(image,) if truth is None else (image, truth),
    )


def _files_by_stem(folder: Path, suffixes: Iterable[str]) -> Mapping[str, Path]:
    """Files of the given kinds by name without suffix; hidden files are no files."""
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            if path.stem in found:
                raise ValueError(f"{found[path.stem]} and {path} share a name.")
            found[path.stem] = path
    return found


def _has_images(folder: Path) -> bool:
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())


def _others(folder: Path) -> int:
    """Number of files that are no images."""
    return sum(
        path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES
        for path in folder.iterdir()
    )
