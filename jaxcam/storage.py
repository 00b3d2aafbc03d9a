"""The run directory: a manifest, and shards of rows as Parquet files.

A shard holds a fixed range of images and is written whole: to a temporary file, flushed
to the disk, then renamed. It is done if it is there and opens. Nothing else says so.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import os
import platform
import secrets
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

MANIFEST = "manifest.json"
SHARDS = "shards"
SUMMARY = "summary.json"
ERRORS = "errors.jsonl"

Columns = Mapping[str, Any]

_PACKAGES = ("jax", "jaxlib", "flax", "numpy")


def manifest(
    *, scientific: Mapping[str, Any], operational: Mapping[str, Any]
) -> dict[str, Any]:
    """A manifest: what decides the values, and what does not.

    Args:
      scientific: Model, weights, data, methods, metrics, options, precision.
      operational: Batch size, devices and the like; versions and the date are added.

    Returns:
      What `open_run` writes.
    """
    versions = {name: _version(name) for name in ("jaxcam-eval", *_PACKAGES)}
    return {
        "scientific": dict(scientific),
        "operational": {
            **operational,
            "versions": versions,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "started": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"),
        },
    }


def _version(package: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def open_run(out: Path, wanted: Mapping[str, Any]) -> None:
    """Makes a run directory, or makes sure that an existing one can be continued.

    Args:
      out: The directory.
      wanted: The manifest of the run to be made.

    Raises:
      ValueError: The directory holds a run of other settings; the message names them.
    """
    path = out / MANIFEST
    if path.is_file():
        check_resume(out, wanted)
        return
    (out / SHARDS).mkdir(parents=True, exist_ok=True)
    write_json(path, wanted)


def check_resume(out: Path, wanted: Mapping[str, Any]) -> None:
    """Refuses to continue a run whose scientific settings differ.

    Raises:
      ValueError: They differ; the message names the differences.
    """
    found = read_manifest(out)["scientific"]
    wanted = json.loads(json.dumps(wanted["scientific"]))
    differing = list(_differences(found, wanted))
    if differing:
        raise ValueError(
            f"{out} holds a run of other settings:\n  "
            + "\n  ".join(differing)
            + "\nGive another --out, or the same settings."
        )


def _differences(found: Any, wanted: Any, name: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            inner = f"{name}.{key}" if name else key
            yield from _differences(found.get(key), wanted.get(key), inner)
    elif found != wanted:
        yield f"{name}: there {found!r}, now {wanted!r}"


def read_manifest(out: Path) -> dict[str, Any]:
    """The manifest of a run directory.

    Raises:
      FileNotFoundError: The directory holds no run.
    """
    path = out / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{out} holds no run: there is no {MANIFEST} in it.")
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole or not at all."""
    with _whole(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def shard_path(out: Path, number: int) -> Path:
    """Where a shard is or will be."""
    return out / SHARDS / f"{number:05d}.parquet"


def write_shard(out: Path, number: int, columns: Columns) -> None:
    """Writes one shard whole or not at all.

    Args:
      out: The run directory.
      number: Which shard.
      columns: Arrays and lists of one length: numbers, strings, vectors `[n, T]`, or
        lists of vectors of different lengths.
    """
    import pyarrow.parquet as pq

    table = to_arrow(columns)
    table = table.replace_schema_metadata({"rows": str(table.num_rows)})
    path = shard_path(out, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _whole(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary file that becomes `path` once it is safely on the disk."""
    temporary = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def finished_shards(out: Path) -> dict[int, int]:
    """Rows of every shard that is there and opens; a truncated one is not finished."""
    found = {}
    for path in sorted((out / SHARDS).glob("*.parquet")):
        rows = _rows_of(path)
        if rows is not None and path.stem.isdigit():
            found[int(path.stem)] = rows
    return found


def _rows_of(path: Path) -> int | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return None
    recorded = (footer.metadata or {}).get(b"rows")
    whole = recorded is None or int(recorded) == footer.num_rows
    return footer.num_rows if whole else None


def read_shards(out: Path, *, skip: Sequence[str] = ()) -> dict[str, Any]:
    """Rows of all finished shards, in order, as columns.

    Args:
      out: The run directory.
      skip: Columns to leave on the disk.

    Returns:
      Columns as `write_shard` takes them.

    Raises:
      ValueError: No shard is finished.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for number in finished_shards(out):
        file = pq.ParquetFile(shard_path(out, number))
        wanted = [name for name in file.schema_arrow.names if name not in skip]
        tables.append(file.read(columns=wanted))
    if not tables:
        raise ValueError(f"{out} has no finished shard yet; run its command again.")
    return from_arrow(pa.concat_tables(tables, promote_options="default"))


def to_arrow(columns: Columns) -> Any:
    """A pyarrow table of columns."""
    import pyarrow as pa

    arrays = {}
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.ndim == 2:
            flat = pa.array(np.ascontiguousarray(values).ravel())
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        elif isinstance(values, np.ndarray) and values.dtype != object:
            arrays[name] = pa.array(values)
        elif len(values) and isinstance(values[0], np.ndarray):
            arrays[name] = pa.array(list(values), pa.list_(pa.float32()))
        else:
            arrays[name] = pa.array(list(values), pa.string()).dictionary_encode()
    return pa.table(arrays)


def from_arrow(table: Any) -> dict[str, Any]:
    """Columns of a pyarrow table."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name in table.schema.names:
        column, kind = table[name].combine_chunks(), table.schema.field(name).type
        if pa.types.is_fixed_size_list(kind):
            flat = column.flatten().to_numpy(zero_copy_only=False)
            columns[name] = flat.reshape(-1, kind.list_size)
        elif pa.types.is_list(kind):
            values = column.values.to_numpy(zero_copy_only=False)
            ends = column.offsets.to_numpy()
            columns[name] = [values[a:b] for a, b in itertools.pairwise(ends)]
        elif pa.types.is_dictionary(kind) or pa.types.is_string(kind):
            columns[name] = column.to_pylist()
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
    return columns


def merge(runs: Sequence[Path], out: Path) -> None:
    """Joins runs of the same settings over different shards.

    Args:
      runs: Run directories.
      out: Directory of the joined run, empty or new.

    Raises:
      ValueError: The settings differ, a shard is missing or in two runs, or `out`
        holds a run.
    """
    if not runs:
        raise ValueError("Name at least one run directory.")
    if (out / MANIFEST).exists():
        raise ValueError(f"{out} holds a run already; give a new directory.")
    first = read_manifest(runs[0])
    owner: dict[int, Path] = {}
    for run in runs:
        check_resume(run, first)
        for number in finished_shards(run):
            if number in owner:
                raise ValueError(f"Shard {number} is in {owner[number]} and in {run}.")
            owner[number] = run
    data, size = first["scientific"]["data"], first["scientific"]["shard_size"]
    expected = range(-(-data["rows"] // size))
    missing = [number for number in expected if number not in owner]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(expected)} shards are missing, shard {missing[0]} "
            f"(images {missing[0] * size} and up) the first."
        )
    (out / SHARDS).mkdir(parents=True)
    for number, run in sorted(owner.items()):
        with _whole(shard_path(out, number)) as temporary:
            temporary.write_bytes(shard_path(run, number).read_bytes())
    write_json(out / MANIFEST, first)
