"""Columns of rows between NumPy, Arrow and the shards of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Columns = Mapping[str, Any]

KEPT_BYTES = 32 * 2**20
"""Of numbers and text of a run that are kept in memory."""


def to_arrow(columns: Columns) -> Any:
    """A pyarrow table of columns.

    Args:
      columns: Of one length: numbers `[n]` (floats become float32), vectors `[n, T]`
        (fixed-size lists), strings (dictionary-encoded), lists of vectors of any
        lengths (lists of float32).

    Raises:
      ValueError: The columns differ in length, or one cannot be stored.
    """
    import pyarrow as pa

    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Columns must be of one length but have {lengths}.")
    return pa.table(
        {name: _arrow_column(name, values) for name, values in columns.items()}
    )


def _arrow_column(name: str, values: Any) -> Any:
    import pyarrow as pa

    values = as_array(values)
    if np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float32)
    if values.ndim == 2 and values.shape[1]:
        flat = pa.array(np.ascontiguousarray(values).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    if values.ndim != 1:
        raise ValueError(
            f"Column {name!r} has shape {values.shape}; store numbers [n], vectors "
            "[n, T] or a list of vectors."
        )
    if values.dtype != object:
        return pa.array(values)
    if any(isinstance(value, np.ndarray) for value in values):
        vectors = [np.asarray(value, np.float32).ravel() for value in values]
        ends = np.cumsum([0, *map(len, vectors)])
        if ends[-1] > np.iinfo(np.int32).max:
            raise ValueError(f"Column {name!r} is too large; use smaller shards.")
        flat = np.concatenate([*vectors, np.zeros(0, np.float32)])
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(flat))
    return pa.array(list(values), pa.string()).dictionary_encode()


def as_array(values: Any) -> np.ndarray:
    """A column as an array: text, and vectors of several lengths, as objects."""
    if isinstance(values, np.ndarray):
        return values.astype(object) if values.dtype.kind in "US" else values
    values = list(values)
    if values and all(isinstance(v, bool | int | float | np.generic) for v in values):
        return np.asarray(values)
    array = np.empty(len(values), object)
    for row, value in enumerate(values):
        is_vector = isinstance(value, list | tuple)
        array[row] = np.asarray(value) if is_vector else value
    return array


def is_text(kind: Any) -> bool:
    """Whether a stored column holds text."""
    import pyarrow as pa

    return pa.types.is_dictionary(kind)


def is_vector_type(kind: Any) -> bool:
    """Whether a stored column holds more than one number a row."""
    import pyarrow as pa

    return pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind)


class RunColumns(Mapping[str, np.ndarray]):
    """Columns of finished shards, read from the disk when they are first asked for.

    Memory does not grow with the run beyond what is asked for: numbers and text are
    kept up to `KEPT_BYTES`, what was asked for longest ago makes room, and of vectors
    and maps only the column read last is kept.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        import pyarrow.parquet as pq

        self.paths = tuple(paths)
        self._kinds: dict[str, Any] = {}
        for path in self.paths:
            for field in pq.read_schema(path):
                self._kinds.setdefault(field.name, field.type)
        self._kept: dict[str, np.ndarray] = {}
        self._last: dict[str, np.ndarray] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def __getitem__(self, name: str) -> np.ndarray:
        if is_vector_type(self._kinds[name]):
            if name not in self._last:
                self._last = {}  # Frees the memory before the next one is read.
                self._last = {name: self._read(name)}
            return self._last[name]
        values = self._kept.pop(name) if name in self._kept else self._read(name)
        self._kept[name] = values  # The last one asked for is the last to go.
        while len(self._kept) > 1 and self._size() > KEPT_BYTES:
            del self._kept[next(iter(self._kept))]
        return values

    def _size(self) -> int:
        return sum(values.nbytes for values in self._kept.values())

    def is_scalar(self, name: str) -> bool:
        """Whether a column holds one number a row."""
        kind = self._kinds[name]
        return not is_vector_type(kind) and not is_text(kind)

    def _read(self, name: str) -> np.ndarray:
        parts: list[np.ndarray] = []
        for path in self.paths:
            column, rows = _read_column(path, name)
            if column is None:
                parts.append(_missing(self._kinds[name], rows))
            else:
                parts += [_numpy_of(chunk) for chunk in column.chunks]
        return np.concatenate(parts)


def _read_column(path: Path, name: str) -> tuple[Any, int]:
    """A column of a shard, `None` if it lacks it, and how many rows the shard has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            rows = file.metadata.num_rows
            if name not in file.schema_arrow.names:
                return None, rows
            return file.read(columns=[name])[name], rows
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{path} is damaged ({str(error).splitlines()[0]}); delete it and run its "
            "command again."
        ) from error


def _numpy_of(chunk: Any) -> np.ndarray:
    """One arrow array as a column."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(chunk.type):
        flat = chunk.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(-1, chunk.type.list_size)
    if pa.types.is_list(chunk.type):
        values = chunk.values.to_numpy(zero_copy_only=False)
        ends = chunk.offsets.to_numpy()
        vectors = np.empty(len(chunk), object)
        for row in range(len(chunk)):
            vectors[row] = values[ends[row] : ends[row + 1]]
        return vectors
    if pa.types.is_dictionary(chunk.type):
        words = np.array([*chunk.dictionary.to_pylist(), None], object)
        return words[chunk.indices.fill_null(len(words) - 1).to_numpy()]
    return chunk.to_numpy(zero_copy_only=False)


def _missing(kind: Any, rows: int) -> np.ndarray:
    """Rows of a shard that lacks a column."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(kind):
        return np.full((rows, kind.list_size), np.nan, np.float32)
    if pa.types.is_list(kind):
        return as_array([np.zeros(0, np.float32)] * rows)
    if pa.types.is_dictionary(kind):
        return np.full(rows, None, object)
    return np.full(rows, np.nan, np.float32)


class TakenColumns(Mapping[str, np.ndarray]):
    """Some rows of columns, taken when they are asked for."""

    def __init__(self, columns: Mapping[str, np.ndarray], rows: np.ndarray) -> None:
        self.columns, self.rows = columns, rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name][self.rows]

    def is_scalar(self, name: str) -> bool:
        """Whether a column holds one number a row."""
        return is_scalar(self.columns, name)


def is_scalar(columns: Mapping[str, np.ndarray], name: str) -> bool:
    """Whether a column holds one number a row; what is on the disk is not read."""
    if isinstance(columns, RunColumns | TakenColumns):
        return columns.is_scalar(name)
    return columns[name].ndim == 1 and columns[name].dtype.kind in "biuf"
