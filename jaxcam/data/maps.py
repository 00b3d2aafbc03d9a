"""Saved saliency maps: archives, trees of arrays, the shards of a run.

Maps keep the resolution they were saved at, be it the layer's grid or the image's; they
are read one at a time, so that the maps of a whole data set need not fit in memory.
"""

from __future__ import annotations

import dataclasses
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

_HOW_TO_SAVE = (
    "save it with numpy.savez(path, **{id: map}) or numpy.savez(path, ids=, maps=)."
)


@dataclasses.dataclass(frozen=True)
class SavedMaps:
    """Maps that are loaded when they are asked for.

    Indexing with a position gives that map; iterating yields `(id, map)` in the order
    of `ids`.

    Attributes:
      ids: Image of each map; an image may have several maps if `targets` is given.
      load: From a position to its map, float32[h, w].
      targets: Class that each map explains, or `None` if that was not saved.

    >>> saved = SavedMaps(("a", "b"), lambda position: np.full((2, 2), position))
    >>> print(len(saved), saved[1].max())
    2 1
    """

    ids: tuple[str, ...]
    load: Callable[[int], np.ndarray]
    targets: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, position: int) -> np.ndarray:
        return self.load(range(len(self))[position])

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        for position, image in enumerate(self.ids):
            yield image, self.load(position)


@dataclasses.dataclass(frozen=True)
class Match:
    """Which saved map belongs to which row of the truth.

    Attributes:
      positions: Position of the map of each row of the truth, -1 where there is none.
      missing: Rows of the truth without a map, as `id` or `(id, target)`.
      surplus: Maps that no row of the truth asks for, likewise.
    """

    positions: tuple[int, ...]
    missing: tuple[Any, ...]
    surplus: tuple[Any, ...]


def match(
    maps: SavedMaps, ids: Sequence[str], targets: Sequence[int] | None = None
) -> Match:
    """Finds the map of every row of the truth, and what has no partner.

    Names are compared as they are. What is then left is compared without suffixes
    (`a/b.jpg` finds `a/b`, and the other way round) where that is unambiguous. Targets
    are compared when both sides have them; several rows may share one map if not.

    Args:
      maps: What was saved.
      ids: Image of each row of the truth.
      targets: Class of each row of the truth.

    Returns:
      The partners, and the rows and the maps without one.

    Raises:
      ValueError: An image has several maps and nothing tells them apart.

    >>> saved = SavedMaps(("a.jpg", "c", "d"), lambda position: np.zeros((2, 2)))
    >>> match(saved, ["a.jpg", "b.jpg", "c.png"])
    Match(positions=(0, -1, 1), missing=('b.jpg',), surplus=('d',))
    """
    by_target = targets is not None and maps.targets is not None
    saved = list(zip(maps.ids, maps.targets, strict=True)) if by_target else maps.ids
    wanted = list(zip(ids, map(int, targets), strict=True)) if by_target else list(ids)
    exact = {key: position for position, key in enumerate(saved)}
    if len(exact) < len(saved):
        twice = next(key for i, key in enumerate(saved) if exact[key] != i)
        raise ValueError(
            f"{len(saved) - len(exact)} maps repeat another's image, {twice!r} for "
            "one; keep one map an image, or give the targets of the truth."
        )
    free_maps = _by_bare_name(key for key in saved if key not in set(wanted))
    free_rows = _by_bare_name(key for key in wanted if key not in exact)

    def position(key: Any) -> int:
        bare = _without_suffix(key)
        maps_, rows = free_maps.get(bare, ()), free_rows.get(bare, ())
        if key not in exact and len(maps_) == len(rows) == 1:
            return exact[next(iter(maps_))]
        return exact.get(key, -1)

    positions = tuple(position(key) for key in wanted)
    used = set(positions)
    return Match(
        positions,
        tuple(k for k, found in zip(wanted, positions, strict=True) if found < 0),
        tuple(key for i, key in enumerate(saved) if i not in used),
    )


def _by_bare_name(keys: Iterable[Any]) -> dict[Any, set[Any]]:
    groups: dict[Any, set[Any]] = {}
    for key in keys:
        groups.setdefault(_without_suffix(key), set()).add(key)
    return groups


def _without_suffix(key: Any) -> Any:
    if isinstance(key, tuple):
        return (_without_suffix(key[0]), *key[1:])
    return str(PurePosixPath(key).with_suffix("")) if key else key


def read_maps(path: str | os.PathLike, *, method: str | None = None) -> SavedMaps:
    """Opens saved maps; nothing but names is read before a map is asked for.

    * `x.npz` with one array an image, named by its id; or with arrays `ids[N]` and
      `maps[N, h, w]`.
    * A folder of `.npy` files, each named by its image's path and `.npy`: the map of
      `a/b.jpg` is `a/b.jpg.npy`, as the tools for weakly supervised localisation
      write it, or `a/b.npy`.
    * `x.parquet`, or a folder with such files (a run of jaxcam): columns `id`,
      `saliency`, `saliency_height`, `saliency_width`; `method`, `target` and `valid`
      if they are there. Rows marked invalid, or without a map, are left out.

    Args:
      path: File or folder.
      method: Which method's maps to read from a run that has several.

    Returns:
      The maps. Each is float32[h, w]; values and resolution are as saved.

    Raises:
      FileNotFoundError: Nothing is there, or a folder holds no maps.
      ValueError: The file is not of a known kind, needs unpickling, has a wrong
        layout, or holds several methods; when a map is loaded: it is not (h, w).
      TypeError: When a map is loaded: it holds integers.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/maps.npz", cat=np.eye(2), dog=np.ones((3, 3)))
    ...     saved = read_maps(f"{folder}/maps.npz")
    ...     print(saved.ids, saved[1].shape)
    ('cat', 'dog') (3, 3)
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; give a file or a folder.")
    shards = [path] if path.suffix == ".parquet" else sorted(path.rglob("*.parquet"))
    if shards:
        return _from_parquet(shards, method)
    if method is not None:
        raise ValueError(
            f"method={method!r} chooses among the methods of a run, but {path} is "
            "not one; leave it out."
        )
    if path.is_dir():
        return _from_tree(path)
    if path.suffix == ".npz":
        return _from_archive(path)
    raise ValueError(
        f"{path} is neither a .npz nor a .parquet file nor a folder; {_HOW_TO_SAVE}"
    )


def _checked(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == bool or not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            f"The map {name} is {array.dtype}; save floating-point values, divided by "
            "255 if they are bytes."
        )
    if array.ndim != 2:
        raise ValueError(
            f"The map {name} has shape {array.shape}; save one map of shape (h, w)."
        )
    return array.astype(np.float32)


def _load(open_array: Callable[[], np.ndarray], name: str) -> np.ndarray:
    try:
        return open_array()
    except ValueError as error:
        raise ValueError(
            f"{name} cannot be read without unpickling, which could run anything it "
            f"says, or is damaged ({error}); save plain arrays of numbers."
        ) from error


def _from_tree(folder: Path) -> SavedMaps:
    files = sorted(folder.rglob("*.npy"))
    if not files:
        raise FileNotFoundError(
            f"{folder} holds neither .npy nor .parquet files; give the folder whose "
            "relative paths are the ids of the images."
        )

    def load(position: int) -> np.ndarray:
        file = files[position]
        array = _load(lambda: np.load(file, allow_pickle=False), str(file))
        return _checked(array, str(file))

    ids = tuple(file.relative_to(folder).as_posix()[: -len(".npy")] for file in files)
    return SavedMaps(ids, load)


def _from_archive(path: Path) -> SavedMaps:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not a zip archive, as .npz is; {_HOW_TO_SAVE}")
    archive = np.load(path, allow_pickle=False)
    if set(archive.files) == {"ids", "maps"}:
        return _from_two_arrays(archive, path)
    if not archive.files:
        raise ValueError(f"{path} holds no arrays; {_HOW_TO_SAVE}")

    def load(position: int) -> np.ndarray:
        name = archive.files[position]
        return _checked(_load(lambda: archive[name], f"{path}: {name}"), name)

    return SavedMaps(tuple(archive.files), load)


def _from_two_arrays(archive: Any, path: Path) -> SavedMaps:
    ids = _load(lambda: archive["ids"], f"{path}: ids")
    maps = _load(lambda: archive["maps"], f"{path}: maps")
    if ids.ndim != 1 or maps.ndim != 3 or len(ids) != len(maps):
        raise ValueError(
            f"{path} holds ids of shape {ids.shape} and maps of shape {maps.shape}; "
            "they must be (N,) and (N, h, w)."
        )
    if ids.dtype.kind not in "USiu":
        raise TypeError(f"{path} holds ids of type {ids.dtype}; save strings.")
    text = np.char.decode(ids) if ids.dtype.kind == "S" else ids
    names = tuple(str(name) for name in text)
    return SavedMaps(names, lambda position: _checked(maps[position], names[position]))


def _from_parquet(shards: Sequence[Path], method: str | None) -> SavedMaps:
    import pyarrow.parquet as pq  # Slower to import than this whole package.

    files = [pq.ParquetFile(shard) for shard in shards]
    required = {"id", "saliency", "saliency_height", "saliency_width"}
    for shard, file in zip(shards, files, strict=True):
        absent = required - set(file.schema_arrow.names)
        if absent:
            raise ValueError(
                f"{shard} has no column {', '.join(sorted(absent))}; it holds no maps. "
                "Keep them when evaluating, or give another file."
            )
    rows, methods = [], set()
    for number, file in enumerate(files):
        for group in range(file.num_row_groups):
            for row in _described_rows(file, group):
                methods.add(row["method"])
                rows.append(((number, group), row))
    if method is None and len(methods) > 1:
        raise ValueError(
            f"The run holds several methods; choose one of {sorted(methods)}."
        )
    if method is not None and method not in methods:
        raise ValueError(f"method={method!r} is not in the run: {sorted(methods)}.")
    rows = [(at, row) for at, row in rows if method in (None, row["method"])]
    opened: dict[str, Any] = {}

    def load(position: int) -> np.ndarray:
        at, row = rows[position]
        if opened.get("at") != at:
            columns = ["saliency", "saliency_height", "saliency_width"]
            table = files[at[0]].read_row_group(at[1], columns=columns)
            opened.update(at=at, table=table)
        height, width = (
            opened["table"][f"saliency_{side}"][row["row"]].as_py()
            for side in ("height", "width")
        )
        values = opened["table"]["saliency"][row["row"]].values.to_numpy(
            zero_copy_only=False
        )
        if values.size != height * width:
            raise ValueError(
                f"The map of {row['id']} has {values.size} values for a grid of "
                f"{height} x {width}; the run is damaged."
            )
        return _checked(values.reshape(height, width), row["id"])

    targets = tuple(row["target"] for _, row in rows)
    ids = tuple(row["id"] for _, row in rows)
    return SavedMaps(ids, load, None if None in targets else targets)


def _described_rows(file: Any, group: int) -> Iterator[dict[str, Any]]:
    """What is known of the rows of a group that have a map, without the maps."""
    there = set(file.schema_arrow.names)
    optional = [name for name in ("method", "target", "valid") if name in there]
    columns = ["id", "saliency_height", *optional]
    for number, row in enumerate(file.read_row_group(group, columns).to_pylist()):
        if row.get("valid", True) and row["saliency_height"]:
            yield {"method": None, "target": None, **row, "row": number}
