"""Other metrics for a finished run, from the maps it keeps: no model is asked."""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import (
    _devices,
    _spec,
    columns,
    data,
    evaluation,
    plan,
    programs,
    progress,
    registry,
    results,
    rows,
    scoring,
    storage,
)
from jaxcam.metrics import presets

KNOWN = (
    "target",
    "predicted_class",
    "correct",
    "label_known",
    "probability",
    "key",
)
"""What a run knows of the model's answers, besides its maps."""

_MAP_COLUMNS = ("saliency", "saliency_height", "saliency_width")


def score_run(
    run: str | Path,
    truth: Any = None,
    *,
    metrics: Sequence[str],
    out: str | Path | None = None,
    batch_size: int = 32,
    show_progress: bool = False,
) -> results.Result:
    """Scores every map that a run keeps, by the run's own conventions.

    Preset, geometry, border, normalisation, grid, seed and precision are those of the
    run, and so are the shards: memory does not grow with the run, and a directory can
    be left at any moment and gone on with. On CPU values are to the bit those that the
    run would have had. Floors are made again, but for `sobel`, which reads the images.

    Args:
      run: Directory of a run that kept its maps and is whole.
      truth: The run's data set, or what `jaxcam.data.open_dataset` takes; by default
        where the run found it.
      metrics: Metrics or suites, none of which asks a model.
      out: Run directory; `None` keeps the results in memory.
      batch_size: Images at a time, as in `jaxcam.evaluate`.
      show_progress: Shows a progress bar.

    Returns:
      The results of the run's methods and floors: what the run says of its rows, and
      the metrics.

    Raises:
      FileNotFoundError: The directory holds no run.
      ValueError: The run is not whole or keeps no maps, the data set is another or not
        to be found, or a metric asks a model.
    """
    manifest = storage.read_manifest(run)
    missing = storage.missing_shards(manifest, storage.finished_shards(run))
    if missing:
        raise ValueError(f"{run} is not whole: {missing}")
    scored = _Scored(Path(run), manifest, metrics, batch_size)
    scored.open(truth)
    with evaluation.matmul_precision(manifest["scientific"]["precision"]):
        if out is None:
            return scored.in_memory(show_progress)
        return scored.on_disk(Path(out), show_progress)


class _Scored:
    """One run, scored again: its compiled programs, and rows as they come."""

    def __init__(
        self,
        run: Path,
        manifest: Mapping[str, Any],
        metrics: Sequence[str],
        batch_size: int,
    ) -> None:
        self.run, self.noted = run, manifest
        self.settings = manifest["scientific"]
        self.input = storage.model_input(manifest)
        if not self.input or not _keeps_maps(manifest.get("operational", {})):
            raise ValueError(f"{run} keeps no maps; run it again with keep_maps.")
        self.metrics = plan.expand_suites(metrics)
        self.columns = plan.resolve_all(
            self.metrics,
            preset=self.settings["preset"],
            normalization=self.settings["normalization"],
        )
        scoring.refuse_questions(self.columns, known=KNOWN)
        self.requests = tuple(
            request
            for request in map(_spec.parse, self.settings["methods"])
            if not registry.method(request).floor or request.name in scoring.FLOORS
        )
        self.names = tuple(map(str, self.requests))
        self.batch_size = _devices.rows_at_a_time(batch_size)
        self.shards = evaluation.shard_ranges(
            self.settings["data"]["rows"], self.settings["shard_size"]
        )
        self.whole = self.settings["geometry"] != "original"
        self.score = plan.score_program(self.columns)
        self.floors = _floor_program(
            tuple(r for r in self.requests if registry.method(r).floor),
            tuple(self.input["size"]),
        )

    def open(self, truth: Any) -> None:
        if truth is None:
            truth = noted_data(self.noted, self.run, by="--truth or truth=")
        elif isinstance(truth, str | Path):
            truth = data.open_dataset(truth)
        if truth.fingerprint() != self.settings["data"].get("fingerprint"):
            raise ValueError(
                f"{truth.name} is not what {self.run} evaluated "
                f"({self.settings['data']['name']}, or its files or their number "
                "changed); give that data set."
            )
        self.truth = truth

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        return storage.manifest(
            scientific={
                **self.settings,
                "methods": self.names,
                "metrics": self.metrics,
                "maps": "kept by the run",
            },
            operational={
                "batch_size": self.batch_size,
                "run": str(self.run),
                "devices": [device.device_kind for device in jax.local_devices()],
            },
        )

    def in_memory(self, show_progress: bool) -> results.Result:
        total = self.settings["data"]["rows"]
        with progress.bar("Scoring", total, show=show_progress) as advance:
            numbers = range(len(self.shards))
            parts = [table for _, table in self.shard_tables(numbers, advance)]
        return results.Result.from_columns(rows.concatenate(parts), self.manifest)

    def on_disk(self, out: Path, show_progress: bool) -> results.Result:
        storage.open_run(out, self.manifest)
        finished = storage.finished_shards(out)
        left = [n for n in range(len(self.shards)) if n not in finished]
        total = self.settings["data"]["rows"]
        done = total - sum(len(self.shards[n]) for n in left)
        with progress.bar("Scoring", total, done=done, show=show_progress) as advance:
            for number, table in self.shard_tables(left, advance):
                storage.write_shard(out, number, table)
        return results.finish_run(out)

    def shard_tables(
        self, numbers: Sequence[int], advance: progress.Advance
    ) -> Iterator[tuple[int, rows.Table]]:
        """Shards with their rows, as each is complete."""
        batches = data.batches(
            self.truth,
            size=tuple(self.input["size"]),
            batch_size=self.batch_size,
            geometry=self.settings["geometry"],
            border=self.settings["border"],
            crop_fraction=self.input["crop_fraction"],
            spans=[self.shards[number] for number in numbers],
            images=False,
        )
        for number in numbers:
            held = _Held(storage.shard_path(self.run, number), self.names)
            waiting: collections.deque = collections.deque()
            parts: list[Mapping[str, np.ndarray]] = []

            def fetch(waiting=waiting, parts=parts) -> None:
                count, values = waiting.popleft()
                parts.append(
                    {k: v[:, :count] for k, v in jax.device_get(values).items()}
                )
                advance(count)

            found = 0
            while found < len(self.shards[number]):
                batch = next(batches)
                count = int(np.sum(np.asarray(batch["index"]) >= 0))
                waiting.append((count, self.values(batch, held)))
                found += count
                if len(waiting) >= evaluation.IN_FLIGHT:
                    fetch()
            while waiting:
                fetch()
            yield number, held.table(parts)

    def values(self, batch: Mapping[str, Any], held: _Held) -> Mapping[str, jax.Array]:
        """Starts the metrics of a batch: `[M, B, ...]` each."""
        place = programs.place_program(
            self.requests,
            batch["frame"].shape[1:],
            whole=self.whole,
            method=presets.get(self.settings["preset"]).resize,
        )
        truth = programs.truth_fields(batch, self.settings["preset"])
        answers = _devices.split(held.answers(batch["index"]))
        ids = _devices.split(programs.id_hashes(batch["id"]))
        key = jax.random.key(self.settings["seed"])
        keys, floors = self.floors(key, ids, truth["mask"])
        kept = {
            name: _devices.split(native)
            for name, native in held.maps(batch["index"]).items()
        }
        natives = tuple((floors | kept)[name] for name in self.names)
        placed, _ = place(natives, _devices.split(batch["extent"]))
        unknown = {
            name: jnp.zeros_like(answers["probability"])
            for name in set(programs.ANSWERS) - set(KNOWN)
        }
        return self.score(truth | answers | unknown | {"key": keys}, placed)


class _Held:
    """A shard of the run: what it says of its rows, and its maps."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        stored = columns.RunColumns([path])
        if "saliency" not in stored:
            raise ValueError(f"{path} keeps no maps; run it again with keep_maps.")
        self.names = names
        every = stored["method"]
        self.rows = {name: np.flatnonzero(every == name) for name in names}
        self.order = np.stack([*self.rows.values()], axis=1).ravel()
        self.stored = {
            name: stored[name][self.order]
            for name in stored
            if name in results.DESCRIBING and name not in _MAP_COLUMNS
        }
        self.first = int(stored["index"].min())
        self.natives = {
            name: self.stacked(name, *(stored[column] for column in _MAP_COLUMNS))
            for name in names
            if not registry.method(name).floor
        }

    def stacked(
        self, name: str, flat: np.ndarray, heights: np.ndarray, widths: np.ndarray
    ) -> np.ndarray:
        own = self.rows[name]
        return np.stack([flat[i].reshape(heights[i], widths[i]) for i in own])

    def maps(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """Native maps of a batch's rows by method; those of padding are any others."""
        places = np.maximum(index - self.first, 0)
        return {name: native[places] for name, native in self.natives.items()}

    def answers(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """What the model said of a batch's rows."""
        own = np.maximum(index - self.first, 0) * len(self.names)
        said = {name: self.stored[name][own] for name in KNOWN if name in self.stored}
        correct = np.asarray(said["correct"])
        return {
            **{name: said[name].astype(np.int32) for name in KNOWN[:2]},
            "correct": correct == 1,
            "label_known": ~np.isnan(correct),
            "probability": said["probability"].astype(np.float32),
        }

    def table(self, parts: Sequence[Mapping[str, np.ndarray]]) -> rows.Table:
        """The shard's rows with new values `[M, B, ...]`; what is invalid has none."""
        found: rows.Table = dict(self.stored)
        for label in parts[0]:
            together = np.concatenate([part[label] for part in parts], axis=1)
            values = np.moveaxis(together, 0, 1).astype(np.float32)
            values = values.reshape(len(self.order), *values.shape[2:])
            values[~np.asarray(found["valid"], bool)] = np.nan
            found[label] = values
        return found


@functools.lru_cache(maxsize=8)
def _floor_program(floors: tuple[_spec.Request, ...], size: tuple[int, int]) -> Any:
    """`(key, ids, masks) -> (keys, {name: float32[B, h, w]})`: floors of a run.

    Args:
      floors: Floors that read no image.
      size: The model's grid.
    """

    def program(key, ids, masks):
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, ids)
        image = jnp.zeros((len(ids), *size, 3), jnp.float32)
        fields = {"image": image, "key": keys, "mask": masks}
        made = {}
        for request in floors:
            spec = registry.method(request)
            fn = functools.partial(spec.fn, **dict(request.options))
            made[str(request)] = jax.vmap(fn)(*(fields[name] for name in spec.inputs))
        return keys, made

    return _devices.over_batch(program, (None, 0, 0), 0)


def _keeps_maps(noted: Mapping[str, Any]) -> bool:
    if "merged" in noted:
        return all(map(_keeps_maps, noted["merged"]))
    return bool(noted.get("keep_maps"))


def noted_data(
    manifest: Mapping[str, Any], run: str | Path, *, by: str
) -> data.Dataset:
    """The data set of a run, where the run found it.

    Args:
      manifest: Of the run.
      run: What the run is called in a complaint.
      by: How the data set is given otherwise, for the complaint.

    Returns:
      The data set; whether its files are still the same is for the caller to ask.

    Raises:
      ValueError: It is not there, or the run does not say where that was.
    """
    noted = manifest.get("operational", {})
    while "merged" in noted:
        noted = noted["merged"][0]
    try:
        return data.open_dataset(**noted.get("data") or {})
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"The data set of {run} is not where the run found it; say where, by {by}."
        ) from error
