"""From a finished run to verdicts: its maps and curves, read in every universe."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxcam
from jaxcam import columns, data, progress, registry, rescoring, results, storage
from jaxcam.multiverse import curves, picture, sweep, table, universes, verdicts

FOLDER = "multiverse"
FLOORS = ("centre", "uniform")
"""Floors that need nothing but the shape of the image."""

BATCH = 8


@dataclasses.dataclass(frozen=True)
class Multiverse:
    """What every universe says of the methods of a run.

    Attributes:
      questions: What was asked, by name.
      verdicts: One for each question and pair of methods.
    """

    questions: Mapping[str, universes.Question]
    verdicts: tuple[verdicts.Verdict, ...]

    def of(self, a: str, b: str, question: str = "region") -> verdicts.Verdict:
        """The verdict on two methods, in either order.

        Args:
          a: A method or floor.
          b: Another.
          question: One of `questions`.

        Returns:
          The verdict; its `a` is the one that wins more universes.

        Raises:
          ValueError: There is none.
        """
        for verdict in self.verdicts:
            if verdict.question == question and {verdict.a, verdict.b} == {a, b}:
                return verdict
        known = ", ".join(dict.fromkeys(f"{v.a} and {v.b}" for v in self.verdicts))
        raise ValueError(
            f"There is no verdict on {a} and {b} in the question {question!r}; the "
            f"questions are {', '.join(self.questions)} and the pairs {known}."
        )

    def ranked(self, question: str = "region") -> list[verdicts.Verdict]:
        """Verdicts of one question that have a value, the most certain first.

        Args:
          question: One of `questions`.

        Returns:
          The verdicts, by the share of the universes that the better one wins.

        Raises:
          ValueError: It was not asked, or no pair has a value.
        """
        if question not in self.questions:
            raise ValueError(
                f"The question {question!r} was not asked of this run; choose one of "
                f"{', '.join(self.questions)}."
            )
        own = [v for v in self.verdicts if v.question == question and v.defined]
        if not own:
            raise ValueError(f"No two methods have values in common for {question!r}.")
        return sorted(own, key=lambda v: (v.one_map, -v.share))

    def contested(self, question: str = "region") -> verdicts.Verdict:
        """The verdict that is least certain, of two methods that are not one map.

        Args:
          question: One of `questions`.

        Returns:
          The verdict.

        Raises:
          ValueError: It was not asked, or no such pair has a value.
        """
        own = [v for v in self.ranked(question) if not v.one_map]
        if not own:
            raise ValueError(
                f"All methods are one map up to rounding; nothing ranks them by "
                f"{question!r}."
            )
        return own[-1]

    def table(self, question: str = "region") -> Any:
        """A table of one question's verdicts for the terminal.

        Args:
          question: One of `questions`.

        Returns:
          What `rich.print` shows: a line for each pair, with the shares of universes
          won, and the conventions on which the answer hangs.

        Raises:
          ValueError: As `ranked` does.
        """
        return table.verdict_table(self.questions[question], self.ranked(question))

    def specification_curve(self, a: str, b: str, question: str = "region") -> Any:
        """Every universe's difference between two methods, and what each chose.

        Args:
          a: A method or floor.
          b: Another.
          question: One of `questions`.

        Returns:
          A matplotlib figure; `jaxcam.plot.save` writes it. Above, the differences in
          standard deviations, in order; below, a row for each choice.

        Raises:
          ModuleNotFoundError: matplotlib is not installed.
          ValueError: There is no such verdict, or no universe has a value.
        """
        return picture.specification_curve(
            self.questions[question], self.of(a, b, question)
        )

    def record(self) -> dict[str, Any]:
        """Everything as plain values.

        Returns:
          What `multiverse.json` holds: `questions` by name, and `verdicts`.

        >>> Multiverse({}, ()).record()
        {'questions': {}, 'verdicts': []}
        """
        return {
            "questions": {
                name: {
                    "what": question.what,
                    "metrics": list(question.metrics),
                    "universes": len(question.universes),
                    "axes": {k: list(v) for k, v in question.axes.items()},
                }
                for name, question in self.questions.items()
            },
            "verdicts": [verdict.record() for verdict in self.verdicts],
        }


def explore(
    run: str | Path,
    dataset: Any = None,
    *,
    methods: Sequence[str] | None = None,
    floors: Sequence[str] = FLOORS,
    batch_size: int = BATCH,
    show_progress: bool = False,
) -> Multiverse:
    """Ranks the methods of a run under every published convention.

    Saved maps are read against the truth in every universe of `universes.map_questions`
    by one compiled sweep; stored curves and values of metrics that asked the model make
    universes of their own. No model is needed. What a shard says is kept in the run
    directory, so that an interrupted sweep goes on; the verdicts are written to
    `multiverse.json` there.

    Args:
      run: Run directory, with maps.
      dataset: The run's data set, or what `jaxcam.data.open_dataset` takes; by default
        where the run found it.
      methods: Which; by default all that have maps.
      floors: Floors that each method is compared with, of "centre" and "uniform".
      batch_size: Images at a time; changes the speed, never a value.
      show_progress: Shows a progress bar.

    Returns:
      The verdicts.

    Raises:
      FileNotFoundError: The directory holds no run.
      ValueError: The run kept no maps, is of another data set, that is not to be found,
        or there are no two methods to compare.
    """
    run = Path(run)
    if dataset is None:
        manifest = storage.read_manifest(run)
        dataset = rescoring.noted_data(manifest, run, by="--data or dataset=")
    if isinstance(dataset, str | Path):
        dataset = data.open_dataset(dataset)
    plan = _plan(run, dataset, methods, floors, batch_size)
    total = _Found({}, np.zeros(len(plan.pairs)))
    count = sum(plan.shards.values()) // max(len(plan.stored) + plan.floors_of_run, 1)
    with progress.bar("Sweeping", count, show=show_progress) as advance:
        for number in plan.shards:
            found = plan.kept(number)
            if found is None:
                found = plan.sums(number, advance)
                plan.keep(number, found)
            else:
                advance(len(plan.images(number)))
            total = total + found
    said = [
        verdict
        for name, question in plan.questions.items()
        for verdict in verdicts.judge(
            question, total.sums[name], plan.methods, plan.pairs, total.apart
        )
    ]
    made = Multiverse(plan.questions, tuple(said))
    storage.write_json(run / storage.MULTIVERSE, made.record() | plan.read())
    return made


@dataclasses.dataclass(frozen=True)
class _Found:
    """What images say, to be added up.

    Attributes:
      sums: By question.
      apart: float64[P], the largest difference of the two maps of each pair, as a share
        of their maximum; infinite where they are of two sizes.
    """

    sums: Mapping[str, verdicts.Sums]
    apart: np.ndarray

    def __add__(self, other: _Found) -> _Found:
        sums = dict(self.sums)
        for name, own in other.sums.items():
            sums[name] = sums[name] + own if name in sums else own
        return _Found(sums, np.maximum(self.apart, other.apart))


def _plan(
    run: Path,
    dataset: data.Dataset,
    methods: Sequence[str] | None,
    floors: Sequence[str],
    batch_size: int,
) -> _Plan:
    result = results.load_run(run)
    scientific = result.manifest["scientific"]
    own = scientific.get("data") or {}
    if own.get("fingerprint") != dataset.fingerprint():
        raise ValueError(
            f"{run} is a run over {own.get('name')}, not over this {dataset.name}; "
            "give the data set that it was made with."
        )
    unknown = [floor for floor in floors if floor not in FLOORS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no floor of {', '.join(FLOORS)}.")
    stored = [name for name in result.methods if _has_maps(result, name)]
    if not stored:
        raise ValueError(f"{run} kept no maps; evaluate it with keep_maps=True.")
    lacking = [name for name in methods or () if name not in stored]
    if lacking:
        raise ValueError(
            f"{run} has no maps of {lacking[0]!r}; it has those of {', '.join(stored)}."
        )
    chosen = tuple(dict.fromkeys(methods)) if methods else tuple(stored)
    names = (*chosen, *floors)
    pairs = tuple(
        (i, j)
        for i, j in itertools.combinations(range(len(names)), 2)
        if i < len(chosen)
    )
    if not pairs:
        raise ValueError(
            "There are no two methods to compare; name another or a floor."
        )
    widths = {
        name: 1 if columns.is_scalar(result.columns, name) else _width(result, name)
        for name in result.metrics
    }
    directions = {name: result.direction(name) for name in widths}
    asked, reads = curves.question(widths, directions)
    questions = {q.name: q for q in universes.map_questions()}
    if asked is not None:
        questions[asked.name] = asked
    return _Plan(
        run=run,
        dataset=dataset,
        manifest=result.manifest,
        stored=chosen,
        floors=tuple(floors),
        pairs=pairs,
        questions=questions,
        reads=tuple(reads),
        batch_size=batch_size,
        floors_of_run=len(result.methods) - len(chosen),
        shards=storage.finished_shards(run),
    )


def _has_maps(result: results.Result, method: str) -> bool:
    if "saliency_height" not in result.columns:
        return False
    return bool(np.any(result.columns["saliency_height"][result.rows_of(method)] > 0))


def _width(result: results.Result, column: str) -> int:
    values = result.columns[column]
    return values.shape[1] if values.ndim == 2 else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is swept, and how one shard of it is."""

    run: Path
    dataset: data.Dataset
    manifest: Mapping[str, Any]
    stored: tuple[str, ...]
    floors: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    questions: Mapping[str, universes.Question]
    reads: tuple[tuple[str, curves.Read], ...]
    batch_size: int
    floors_of_run: int
    shards: Mapping[int, int]

    @property
    def methods(self) -> tuple[str, ...]:
        return (*self.stored, *self.floors)

    def images(self, shard: int) -> range:
        size = self.manifest["scientific"]["shard_size"]
        rows = self.manifest["scientific"]["data"]["rows"]
        return range(shard * size, min((shard + 1) * size, rows))

    @functools.cached_property
    def key(self) -> str:
        """Tells what this sweep finds from what another did, or another version of it.

        The sources of this package are part of it: a threshold that was changed and
        kept its name must not meet sums of the old one.
        """
        here = hashlib.sha256(jaxcam.__version__.encode())
        for path in sorted(Path(__file__).parent.glob("*.py")):
            here.update(path.read_bytes())
        said = {
            "methods": self.methods,
            "pairs": self.pairs,
            "universes": {
                k: list(map(str, q.universes)) for k, q in self.questions.items()
            },
            "scientific": self.manifest["scientific"],
        }
        here.update(json.dumps(said, sort_keys=True).encode())
        return here.hexdigest()

    def read(self) -> dict[str, Any]:
        """Sizes of the shards by name: what says later whether the run has changed."""
        paths = sorted(storage.shard_path(self.run, n) for n in self.shards)
        return {"shards": {path.name: path.stat().st_size for path in paths}}

    def path(self, shard: int) -> Path:
        return self.run / FOLDER / f"{shard:05d}.npz"

    def kept(self, shard: int) -> _Found | None:
        """What an earlier sweep found in a shard; `None` if it has to be done."""
        path, source = self.path(shard), storage.shard_path(self.run, shard)
        if not path.is_file() or path.stat().st_mtime_ns < source.stat().st_mtime_ns:
            return None
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"]) != self.key:
                return None
            sums = {k: verdicts.Sums(*file[f"sums {k}"]) for k in self.questions}
            return _Found(sums, file["apart"])

    def keep(self, shard: int, found: _Found) -> None:
        path = self.path(shard)
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.npz")
        arrays = {f"sums {k}": np.stack(v.parts()) for k, v in found.sums.items()}
        np.savez(temporary, key=self.key, apart=found.apart, **arrays)
        os.replace(temporary, path)

    def sums(self, shard: int, advance: progress.Advance) -> _Found:
        """The differences of all pairs over the images of one shard."""
        rows = columns.RunColumns([storage.shard_path(self.run, shard)])
        result = results.Result(rows, self.manifest)
        images = self.images(shard)
        maps = {name: _maps_by_image(result, name) for name in self.stored}
        workers = (os.cpu_count() or 1) if jax.default_backend() == "cpu" else 1
        total = _Found({}, np.zeros(len(self.pairs)))
        with concurrent.futures.ThreadPoolExecutor(workers, "jaxcam-sweep") as pool:
            work = functools.partial(self._of_batch, maps)
            # A few batches ahead of the threads, never the whole shard.
            for batches in _chunks(self._batches(images), 2 * workers):
                for found, seen in pool.map(work, batches):
                    total = total + found
                    advance(seen)
        if self.reads:
            total = total + _Found({"model": self._of_columns(result)}, total.apart)
        return total

    def _batches(self, images: range) -> Iterator[Mapping[str, Any]]:
        scientific = self.manifest["scientific"]
        about = storage.model_input(self.manifest)
        return data.batches(
            self.dataset,
            size=tuple(about.get("size") or (224, 224)),
            batch_size=self.batch_size,
            geometry=scientific.get("geometry", "squash"),
            border="ignore",
            crop_fraction=about.get("crop_fraction") or 1.0,
            spans=[images],
            images=False,
        )

    def _of_batch(
        self, maps: Mapping[str, Mapping[int, np.ndarray]], batch: Mapping[str, Any]
    ) -> tuple[_Found, int]:
        index = np.asarray(batch["index"])
        real = index >= 0
        truth = sweep.Truth(*(jnp.asarray(batch[name]) for name in sweep.Truth._fields))
        whole = self.manifest["scientific"].get("geometry") != "original"
        natives = {name: _natives(maps[name], index) for name in self.stored}
        for name in self.floors:
            native = _floor(name, batch["frame"].shape[1:])
            natives[name] = np.broadcast_to(native, (len(index), *native.shape))
        placed: dict[str, Any] = {}
        for names in _alike(natives):
            together = np.stack([natives[name] for name in names])
            placed |= zip(names, sweep.place(together, truth, whole=whole), strict=True)
        every = jnp.stack([placed[name] for name in self.methods])
        found = jax.device_get(sweep.values(every, truth))
        valid = real & np.asarray(batch["valid"], bool)
        sums = {
            question.name: verdicts.paired_sums(
                getattr(found, question.name)[:, valid], self.pairs
            )
            for question in universes.map_questions()
        }
        return _Found(sums, _apart(natives, self.methods, self.pairs)), int(real.sum())

    def _of_columns(self, result: results.Result) -> verdicts.Sums:
        """Differences in every universe of stored values, one column at a time."""
        parts = []
        kept: tuple[str, list[np.ndarray]] = ("", [])
        for column, read in self.reads:
            if kept[0] != column:
                found = [_by_image(result, column, m) for m in self.methods]
                kept = (column, _aligned(found))
            values = np.stack([read(values) for values in kept[1]])
            parts.append(verdicts.paired_sums(values[..., None], self.pairs))
        joined = zip(*(sums.parts() for sums in parts), strict=True)
        return verdicts.Sums(*(np.concatenate(some, axis=1) for some in joined))


def _apart(
    natives: Mapping[str, np.ndarray],
    methods: Sequence[str],
    pairs: Sequence[tuple[int, int]],
) -> np.ndarray:
    """float64[P]: the largest difference of two methods' maps, their scale apart."""
    units = {}
    for name, maps in natives.items():
        highest = np.abs(maps).max(axis=(1, 2), keepdims=True)
        units[name] = maps / np.where(highest == 0, 1.0, highest)

    def largest(a: np.ndarray, b: np.ndarray) -> float:
        if a.shape != b.shape:
            return np.inf
        return float(np.nanmax(np.abs(a - b), initial=0.0))

    return np.array([largest(units[methods[a]], units[methods[b]]) for a, b in pairs])


def _chunks(batches: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while chunk := list(itertools.islice(batches, size)):
        yield chunk


def _maps_by_image(result: results.Result, method: str) -> dict[int, np.ndarray]:
    rows = result.rows_of(method)
    index = np.asarray(result.columns["index"])[rows]
    valid = result.valid[rows]
    maps = zip(index.tolist(), valid, result.maps(method), strict=True)
    return {i: native for i, good, native in maps if good and native.size}


def _alike(natives: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Methods whose maps are of one shape go through one call."""
    groups: dict[Any, list[str]] = {}
    for name, own in natives.items():
        groups.setdefault(own.shape, []).append(name)
    return list(groups.values())


def _natives(maps: Mapping[int, np.ndarray], index: np.ndarray) -> np.ndarray:
    """float32[B, h, w]; NaN for rows without a valid map."""
    shape = max({native.shape for native in maps.values()} or {(1, 1)})
    missing = np.full(shape, np.nan, np.float32)
    return np.stack([maps.get(int(i), missing) for i in index])


@functools.lru_cache(maxsize=8)
def _floor(name: str, shape: tuple[int, int]) -> np.ndarray:
    return np.asarray(registry.method(name).fn(jnp.zeros((*shape, 3))))


def _by_image(
    result: results.Result, column: str, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the images of a method and its values there; none if it has none."""
    if method not in result.methods:
        return np.zeros(0, int), np.zeros((0, 1))
    index = np.asarray(result.columns["index"])[result.rows_of(method)]
    return index, result.values(column, method)


def _aligned(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """Values of all methods on the images that any has; NaN where one lacks."""
    everywhere = np.unique(np.concatenate([index for index, _ in found]))
    width = max(values.shape[1] if values.ndim > 1 else 1 for _, values in found)
    aligned = []
    for index, values in found:
        own = np.full((len(everywhere), width), np.nan)
        own[np.searchsorted(everywhere, index)] = values.reshape(len(index), -1)
        aligned.append(own)
    return aligned
