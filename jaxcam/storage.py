"""The run directory: a manifest, and shards of rows as Parquet files.

A shard holds a fixed range of rows of the data set and is written whole: to a temporary
file, flushed to the disk, then renamed. It is done if it is there and opens; nothing
else says so, and no summary is kept that the shards could contradict.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import platform
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import numpy as np

from jaxcam import columns

MANIFEST = "manifest.json"
SHARDS = "shards"
SUMMARY = "summary.json"
ERRORS = "errors.jsonl"
MULTIVERSE = "multiverse.json"

_PACKAGES = ("jaxcam-eval", "jax", "jaxlib", "flax", "numpy")
_FOOTER = b"jaxcam"


def manifest(
    *, scientific: Mapping[str, Any], operational: Mapping[str, Any]
) -> dict[str, Any]:
    """A manifest: what decides the values, and what does not.

    Args:
      scientific: Model, weights, data, methods, metrics, options, precision.
        `data.rows` and `shard_size`, where given, say which shards there must be.
      operational: Batch size, devices and the like; versions and the date are added.

    Returns:
      What `open_run` writes: JSON values only.
    """
    return _jsonable(
        {
            "scientific": scientific,
            "operational": {
                **operational,
                "versions": {name: _version(name) for name in _PACKAGES},
                "python": platform.python_version(),
                "platform": platform.platform(),
                "started": datetime.datetime.now(datetime.UTC).isoformat(
                    "T", "seconds"
                ),
            },
        }
    )


def _version(package: str) -> str | None:
    with contextlib.suppress(packages.PackageNotFoundError):
        return packages.version(package)
    return None


def open_run(out: str | Path, wanted: Mapping[str, Any]) -> None:
    """Makes a run directory, or makes sure that an existing one can be continued.

    Processes that share the directory may all call this: one manifest is written, and
    the others are checked against it. What differs in the operational part, but for the
    date, is added to the manifest's list `resumed`.

    Args:
      out: The directory.
      wanted: The manifest of the run to be made.

    Raises:
      ValueError: The directory holds a run of other settings; the message names them.
    """
    out = Path(out)
    (out / SHARDS).mkdir(parents=True, exist_ok=True)
    if not (out / MANIFEST).exists():
        with contextlib.suppress(FileExistsError):
            write_json(out / MANIFEST, wanted, replace=False)
    check_resume(out, wanted)
    found = read_manifest(out)
    now = _jsonable(wanted.get("operational", {}))
    noted = found.get("operational", {}), *found.get("resumed", ())
    if not any(_same_but_for_the_date(now, before) for before in noted):
        found.setdefault("resumed", []).append(now)
        write_json(out / MANIFEST, found)


def _same_but_for_the_date(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """A run may have thousands of processes, which would all be noted."""
    return {**one, "started": ""} == {**other, "started": ""}


def check_resume(out: str | Path, wanted: Mapping[str, Any]) -> None:
    """Refuses to continue a run whose scientific settings differ.

    Batch size, devices, versions and dates may differ.

    Raises:
      FileNotFoundError: The directory holds no run.
      ValueError: The settings differ; the message names every difference.
    """
    differing = differences(read_manifest(out), wanted)
    if differing:
        raise ValueError(
            f"{out} holds a run of other settings:\n  "
            + "\n  ".join(differing)
            + "\nGive another run directory, or the settings of this one."
        )


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What differs in the scientific parts of two manifests, one line each."""
    parts = (_jsonable(manifest["scientific"]) for manifest in (found, wanted))
    return list(_differing(*parts, name=""))


_ABSENT = object()


def _differing(found: Any, wanted: Any, name: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            inner = f"{name}.{key}" if name else key
            yield from _differing(
                found.get(key, _ABSENT), wanted.get(key, _ABSENT), inner
            )
    elif found is _ABSENT or wanted is _ABSENT or found != wanted:
        yield f"{name}: {_difference(found, wanted)}"


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, list) and isinstance(wanted, list):
        only_there = [x for x in found if x not in wanted]
        only_now = [x for x in wanted if x not in found]
        parts = [
            f"{when} {', '.join(map(str, some))}"
            for when, some in (("only there", only_there), ("only now", only_now))
            if some
        ]
        if parts:
            return "; ".join(parts)
    there, now = (
        "nothing" if value is _ABSENT else json.dumps(value)
        for value in (found, wanted)
    )
    return f"there {there}, now {now}"


def read_manifest(out: str | Path) -> dict[str, Any]:
    """The manifest of a run directory.

    Raises:
      FileNotFoundError: The directory holds no run.
      ValueError: The manifest cannot be read.
    """
    path = Path(out) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{out} holds no run: there is no {MANIFEST} in it.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({error}); restore it.") from error
    if not isinstance(found, dict) or "scientific" not in found:
        raise ValueError(f"{path} is no manifest of jaxcam; give a run directory.")
    return found


def model_input(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the model of a run does to images; nothing where there was none.

    See `jaxcam.models.model.InputSpec`.
    """
    model = manifest["scientific"].get("model") or {}
    return model.get("input") or {}


def _jsonable(value: Any) -> Any:
    """JSON values: tuples and arrays as lists, NaN as null, infinities as text."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _jsonable(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        ordered = sorted(value) if isinstance(value, set | frozenset) else value
        return [_jsonable(inner) for inner in ordered]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if isinstance(value, bool | int | float | None) else str(value)


def write_json(path: Path, value: Any, *, replace: bool = True) -> None:
    """Writes a JSON file whole or not at all.

    Raises:
      FileExistsError: It is there and `replace` is false.
    """
    text = json.dumps(_jsonable(value), indent=1, ensure_ascii=False) + "\n"
    with _whole(path, replace=replace) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_errors(out: str | Path, errors: Iterable[Mapping[str, Any]]) -> None:
    """Writes `errors.jsonl`, one line an invalid row, whole or not at all."""
    with _whole(Path(out) / ERRORS) as temporary:
        lines = (json.dumps(_jsonable(e), ensure_ascii=False) + "\n" for e in errors)
        temporary.write_text("".join(lines), encoding="utf-8")


@contextlib.contextmanager
def _whole(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """A temporary file that becomes `path` once it is safely on the disk."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        _flush(temporary)
        if replace or not _linked(temporary, path):
            os.replace(temporary, path)
        with contextlib.suppress(OSError):  # Not every file system flushes folders.
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _linked(temporary: Path, path: Path) -> bool:
    """Gives a file its name unless that is taken; false where links are unknown."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shard_path(out: str | Path, number: int) -> Path:
    """Where a shard is or will be."""
    return Path(out) / SHARDS / f"{number:05d}.parquet"


def write_shard(
    out: str | Path,
    number: int,
    rows: columns.Columns,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes one shard whole or not at all.

    Temporary files that a killed process left of this shard are removed.

    Args:
      out: The run directory.
      number: Which shard.
      rows: Columns of one length, see `columns.to_arrow`.
      metadata: What else the file's footer shall say, JSON values.

    Raises:
      ValueError: The columns differ in length, or one cannot be stored.
    """
    import pyarrow.parquet as pq

    table = columns.to_arrow(rows)
    footer = {**(metadata or {}), "shard": number, "rows": table.num_rows}
    table = table.replace_schema_metadata({_FOOTER: json.dumps(_jsonable(footer))})
    path = shard_path(out, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)
    with _whole(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            use_dictionary=[f.name for f in table.schema if columns.is_text(f.type)],
            write_page_checksum=True,
        )


def shard_states(out: str | Path) -> dict[int, tuple[int, str]]:
    """Rows of each shard that is there, and why it is not finished, "" if it is."""
    found = {}
    for path in sorted((Path(out) / SHARDS).glob("*.parquet")):
        if path.stem.isdigit():
            found[int(path.stem)] = _state(path)
    return dict(sorted(found.items()))


def finished_shards(out: str | Path) -> dict[int, int]:
    """Rows of every shard that is there and opens; a truncated one is not finished."""
    return {n: rows for n, (rows, wrong) in shard_states(out).items() if not wrong}


def unfinished_shards(out: str | Path) -> dict[int, str]:
    """Why shards that are there do not count: truncated, or not what they say."""
    return {n: wrong for n, (_, wrong) in shard_states(out).items() if wrong}


def _state(path: Path) -> tuple[int, str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(path)
        recorded = json.loads((footer.metadata or {})[_FOOTER])
    except (pa.ArrowException, OSError) as error:
        return 0, f"does not open: {str(error).splitlines()[0]}"
    except (KeyError, ValueError):
        return 0, "was not written by jaxcam"
    if recorded["rows"] != footer.num_rows:
        return 0, f"holds {footer.num_rows} rows instead of {recorded['rows']}"
    if recorded["shard"] != int(path.stem):
        return 0, f"is shard {recorded['shard']} under another name"
    return footer.num_rows, ""


def finished_paths(out: str | Path) -> list[Path]:
    """Files of the finished shards, in order."""
    return [shard_path(out, number) for number in finished_shards(out)]


def expected_shards(manifest: Mapping[str, Any]) -> range | None:
    """Numbers of the shards of the whole data set, if the manifest tells."""
    scientific = manifest["scientific"]
    rows, size = scientific.get("data", {}).get("rows"), scientific.get("shard_size")
    return range(-(-rows // size)) if rows is not None and size else None


def merge(runs: Sequence[str | Path], out: str | Path) -> None:
    """Joins runs of the same settings over different shards.

    Every row of the data set must be there once for every method. The manifest is
    written last: a merge that was killed leaves no run behind and can be repeated.

    Args:
      runs: Run directories.
      out: Directory of the joined run, empty or new.

    Raises:
      FileNotFoundError: A directory holds no run.
      ValueError: The settings differ, a shard or a row is missing or there twice, or
        `out` holds a run.
    """
    out = Path(out)
    if (out / MANIFEST).exists():
        raise ValueError(f"{out} holds a run already; give a new directory.")
    manifest, owners = gather(runs)
    missing = missing_shards(manifest, owners)
    if missing:
        raise ValueError(missing + _unreadable(runs))
    left = sorted({path.stem for path in (out / SHARDS).glob("*.parquet")})
    other = [stem for stem in left if not stem.isdigit() or int(stem) not in owners]
    if other:
        raise ValueError(
            f"{out} holds shards that are in none of the runs, {other[0]}.parquet for "
            "one; give a new directory."
        )
    for number, run in owners.items():
        _check_rows(shard_path(run, number), number, manifest)

    (out / SHARDS).mkdir(parents=True, exist_ok=True)
    for number, run in owners.items():
        with _whole(shard_path(out, number)) as temporary:
            shutil.copyfile(shard_path(run, number), temporary)
    parts = [read_manifest(run).get("operational", {}) for run in runs]
    manifest = {"scientific": manifest["scientific"], "operational": {"merged": parts}}
    write_json(out / MANIFEST, manifest)


def gather(runs: Sequence[str | Path]) -> tuple[dict[str, Any], dict[int, Path]]:
    """The manifest that runs share, and which of them holds each finished shard.

    Raises:
      FileNotFoundError: A directory holds no run.
      ValueError: The settings differ, or a shard is in two of the runs.
    """
    if not runs:
        raise ValueError("Name at least one run directory.")
    first, *others = [Path(run) for run in runs]
    manifest = read_manifest(first)
    for run in others:
        differing = differences(manifest, read_manifest(run))
        if differing:
            lines = "\n  ".join(["", *differing])
            raise ValueError(
                f"{first} and {run} are runs of different settings:{lines}\n"
                "Only runs of the same settings can be joined; `jaxcam compare` takes "
                "different ones."
            )
    owners: dict[int, list[Path]] = {}
    for run in (first, *others):
        for number in finished_shards(run):
            owners.setdefault(number, []).append(run)
    double = {number: held for number, held in owners.items() if len(held) > 1}
    if double:
        number, held = next(iter(double.items()))
        raise ValueError(
            f"Shards in two of the runs: {_ranges(double)}; shard {number} is in "
            f"{held[0]} and {held[1]}. Leave one of them out."
        )
    return manifest, {number: owners[number][0] for number in sorted(owners)}


def missing_shards(manifest: Mapping[str, Any], found: Iterable[int]) -> str:
    """What is missing of the data set, in words; "" if nothing is."""
    expected, found = expected_shards(manifest), set(found)
    if expected is None:
        return ""
    absent = [number for number in expected if number not in found]
    surplus = found - set(expected)
    if surplus:
        return f"Shards {_ranges(surplus)} lie behind the end of the data set."
    if not absent:
        return ""
    size = manifest["scientific"]["shard_size"]
    return (
        f"{len(absent)} of {len(expected)} shards missing: {_ranges(absent)} ({size} "
        f"rows each, the first from row {absent[0] * size})."
    )


def _unreadable(runs: Sequence[str | Path]) -> str:
    lines = [
        f"\n  {shard_path(run, number)} {wrong}"
        for run in runs
        for number, wrong in unfinished_shards(run).items()
    ]
    return "".join(lines) + "\nFinish the runs with their own commands, then merge."


def _ranges(numbers: Iterable[int]) -> str:
    """`0-2, 5` for 0, 1, 2, 5."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def _check_rows(path: Path, number: int, manifest: Mapping[str, Any]) -> None:
    """Refuses a shard that lacks a row of its range, or has one twice."""
    scientific = manifest["scientific"]
    size, methods = scientific.get("shard_size"), scientific.get("methods")
    if not size:
        return
    rows = columns.RunColumns([path])
    stop = min((number + 1) * size, scientific["data"]["rows"])
    expected = set(range(number * size, stop))
    by_method: dict[str, list[int]] = {method: [] for method in methods or ()}
    for method, index in zip(rows["method"], rows["index"].tolist(), strict=True):
        by_method.setdefault(method, []).append(index)
    for method, found in by_method.items():
        if len(found) != len(set(found)):
            raise ValueError(f"{path} holds a row of {method} twice.")
        if set(found) != expected:
            wrong = sorted(set(found) ^ expected)
            raise ValueError(
                f"{path} must hold rows {number * size} to {stop - 1} of {method} but "
                f"differs at {_ranges(wrong)}; delete it and finish its run."
            )
