"""The Oxford-IIIT Pet data set: cats and dogs with trimaps."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal

from jaxcam.data import readers, records

CATS, DOGS = (281, 285), (151, 268)
"""First and last class of each species in the order of ImageNet-1k."""

Labels = Literal["coarse", "exact"]
_COLUMNS = {"coarse": "imagenet_coarse_range", "exact": "imagenet_ok_top1"}


def oxford_pets(folder: Path, *, labels: Labels = "coarse") -> records.Dataset:
    """The Oxford-IIIT Pet data set, as published or with a `labels.csv`.

    Args:
      folder: Holds `images/`, and either `annotations/trimaps/` with
        `annotations/list.txt`, as the archives unpack, or `trimaps/` and `labels.csv`
        with the columns `file`, `breed`, `imagenet_ok_top1` and
        `imagenet_coarse_range`. The boxes in `annotations/xmls/` are of heads and not
        read: an animal's box is that of its trimap.
      labels: Which ImageNet classes count as right: "coarse", every class of the
        species (cats 281-285, dogs 151-268); "exact", those of the breed, none for
        some breeds.

    Returns:
      The data set, sorted by id, a row for each line of the list. Images that are not
      in the list are counted in `skipped`.

    Raises:
      FileNotFoundError: There is no list.
      ValueError: The list cannot be read, or does not know the labels asked for.
    """
    if labels not in _COLUMNS:
        raise ValueError(f"labels={labels!r} is not known; choose 'coarse' or 'exact'.")
    if is_shared(folder):
        rows, trimaps = _read_csv(folder / "labels.csv", labels), folder / "trimaps"
    elif is_published(folder):
        rows = _read_list(folder / "annotations" / "list.txt", labels)
        trimaps = folder / "annotations" / "trimaps"
    else:
        raise FileNotFoundError(
            f"{folder} holds neither annotations/list.txt nor labels.csv; give the "
            "folder into which the archives of Oxford-IIIT Pet were unpacked."
        )
    found, others = readers.files_by_id(folder / "images", readers.IMAGE_SUFFIXES)
    made = [
        readers.record(
            name,
            found.get(name, folder / "images" / f"{name}.jpg"),
            trimaps / f"{name}.png",
            readers.read_trimap,
            candidates=candidates,
            category=breed,
        )
        for name, (candidates, breed) in sorted(rows.items())
    ]
    return records.Dataset(
        name="oxford_pets",
        records=made,
        label_set="imagenet",
        skipped=others + len(set(found) - set(rows)),
        origin=("oxford_pets", labels),
    )


def is_shared(folder: Path) -> bool:
    """Whether there is a `labels.csv` with ImageNet classes."""
    path = folder / "labels.csv"
    if not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        return _COLUMNS["coarse"] in lines.readline()


def is_published(folder: Path) -> bool:
    """Whether the archives were unpacked here."""
    return (folder / "annotations" / "list.txt").is_file()


_Row = tuple[tuple[int, ...], str]


def _read_csv(path: Path, labels: Labels) -> dict[str, _Row]:
    """Candidates and breed by id."""

    def parse(row: dict[str, str]) -> tuple[str, _Row]:
        return row["file"], (readers.classes(row[_COLUMNS[labels]]), row["breed"])

    with path.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        missing = {"file", "breed", _COLUMNS[labels]} - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"{path} has no column {', '.join(sorted(missing))}.")
        return readers.table(path, rows, parse)


def _read_list(path: Path, labels: Labels) -> dict[str, _Row]:
    """Candidates and breed by id; a line is NAME CLASS SPECIES BREED."""
    if labels == "exact":
        raise ValueError(
            "The published lists do not name ImageNet classes of breeds; use "
            "labels='coarse'."
        )
    species = {"1": CATS, "2": DOGS}

    def parse(line: str) -> tuple[str, _Row]:
        name, _, kind, *_ = line.split()
        first, last = species[kind]
        return name, (tuple(range(first, last + 1)), name.rpartition("_")[0])

    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.strip() and not line.startswith("#")]
    return readers.table(path, rows, parse)
