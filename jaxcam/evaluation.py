"""The main job: explain a model's decisions on images, score the explanations."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import (
    _spec,
    data,
    methods,
    plan,
    programs,
    progress,
    registry,
    results,
    rows,
    storage,
)
from jaxcam.metrics import presets

Targets = Literal["auto", "predicted", "label"]

DEFAULT_METHODS = ("cam", "grad_cam")

EVALUATING = "Evaluating"

IN_FLIGHT = 2
"""Batches explained but not yet scored: bounds memory, keeps the device busy."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the values of a run; everything here is part of its manifest.

    Attributes:
      methods: Explanation methods, floors included, as written.
      metrics: Metrics, as written.
      preset: The convention that fills in what the metrics leave open.
      targets: "label" explains the best-scored class among those that count as right,
        "predicted" the top-1, "auto" the label where a row has one.
      geometry: How images meet the model's grid: "squash", "crop" or "original".
      border: What a trimap's border class is: "ignore", "foreground", "background".
      normalization: How maps are brought to [0, 1]; the preset's way if `None`.
      precision: "highest" computes matrix products in float32 on every device; "fast"
        leaves the device its own choice.
      seed: Seed of everything random, folded with the image id.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    preset: str = "paper"
    targets: Targets = "auto"
    geometry: str = "squash"
    border: str = "ignore"
    normalization: str | None = None
    precision: Literal["highest", "fast"] = "highest"
    seed: int = 0


def evaluate(
    model: Any,
    dataset: Any,
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    metrics: Sequence[str] = ("default",),
    out: str | Path | None = None,
    preset: str = "paper",
    targets: Targets = "auto",
    geometry: str = "squash",
    border: str = "ignore",
    normalization: str | None = None,
    precision: Literal["highest", "fast"] = "highest",
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 16,
    shard_size: int = 512,
    keep_maps: bool = True,
    floors: bool = True,
    show_progress: bool = False,
) -> results.Result:
    """Explains a model's decisions on a data set and scores the explanations.

    Every image is explained by every method; every map is scored by every metric. The
    floors (`uniform`, `random`, `centre`, `sobel`) and the ceiling (`truth`) are scored
    with the methods. A run directory can be left at any moment: called again with the
    same settings, it goes on after the last whole shard.

    Args:
      model: From `jaxcam.models.load` or `jaxcam.models.wrap`.
      dataset: From `jaxcam.data.open_dataset`, or what that function takes.
      methods: Names of methods, with options where wanted:
        `"grad_cam[layer=layer3]"`.
      metrics: Names of metrics or suites, with options where wanted:
        `"f_score[beta=2,region=box]"`.
      out: Run directory. `None` keeps the results in memory only.
      preset: See `Settings`, as for the arguments up to `seed`.
      targets: See `Settings`.
      geometry: See `Settings`.
      border: See `Settings`.
      normalization: See `Settings`.
      precision: See `Settings`.
      seed: See `Settings`.
      limit: Only the first images.
      batch_size: Images at a time. Changes the speed, never a value.
      shard_size: Images a file.
      keep_maps: Stores the methods' maps at their native resolution, so that other
        metrics can be computed later without the model.
      floors: False leaves out the floors and the ceiling.
      show_progress: Shows a progress bar.

    Returns:
      The results, one row an image, target and method.

    Raises:
      ValueError: An unknown name or option; a run directory of other settings.
    """
    if isinstance(dataset, str | Path):
        dataset = data.open_dataset(dataset)
    requested = [str(_spec.parse(method)) for method in methods]
    settings = Settings(
        methods=tuple(dict.fromkeys([*requested, *(registry.floors() * floors)])),
        metrics=plan.expand_suites(metrics),
        preset=preset,
        targets=targets,
        geometry=geometry,
        border=border,
        normalization=normalization,
        precision=precision,
        seed=seed,
    )
    total = len(dataset) if limit is None else min(limit, len(dataset))
    if total == 0:
        raise ValueError(f"{dataset.name} has no images; give another data set.")
    run = _Run(model, dataset, settings, total, batch_size, shard_size, keep_maps)
    with _matmul_precision(precision):
        if out is None:
            return run.in_memory(show_progress)
        return run.on_disk(Path(out), show_progress)


def run_directory(model: Any, dataset: data.Dataset, settings: Mapping) -> Path:
    """Where a run of these settings lies unless another place is given."""
    described = json.dumps(settings, sort_keys=True, default=str)
    described += str(model.provenance) + dataset.fingerprint()
    digest = hashlib.sha256(described.encode()).hexdigest()[:8]
    data_name = "".join(c if c.isalnum() or c in "-_." else "-" for c in dataset.name)
    return Path("runs") / f"{model.name}-{data_name}-{digest}"


def _matmul_precision(precision: str) -> contextlib.AbstractContextManager:
    if precision == "highest":
        return jax.default_matmul_precision("highest")
    return contextlib.nullcontext()


class _Run:
    """One evaluation: its compiled programs, and rows as they come."""

    def __init__(
        self, model, dataset, settings, total, batch_size, shard_size, keep_maps
    ) -> None:
        self.model, self.dataset, self.settings = model, dataset, settings
        self.total, self.shard_size, self.keep_maps = total, shard_size, keep_maps
        self.batch_size = max(1, min(batch_size, total, shard_size))
        self.classes = programs.outputs_of_classes(model, dataset)
        self.follow_labels = _follows_labels(
            model, dataset, settings.targets, fits=self.classes is not None
        )
        self.columns = plan.resolve_all(
            settings.metrics,
            preset=settings.preset,
            normalization=settings.normalization,
        )
        self.requests = tuple(_spec.parse(method) for method in settings.methods)
        methods.validate(model, self.requests)
        self.explain = programs.explain_program(
            model, self.requests, follow_labels=self.follow_labels
        )
        self.score = plan.score_program(self.columns)
        self.probes = plan.probe_fields(self.columns)
        self.whole = settings.geometry != "original"
        self.resize = presets.get(settings.preset).resize
        self.ask = programs.probe_program(
            model,
            self.probes,
            self.requests,
            whole=self.whole,
            method=self.resize,
        )
        self.outputs = programs.count_outputs(model)
        self.long_steps = plan.long_steps(self.probes, len(self.requests))
        self.stopped = threading.Event()

    def manifest(self) -> dict[str, Any]:
        return storage.manifest(
            scientific={
                **json.loads(json.dumps(dataclasses.asdict(self.settings))),
                "model": dict(self.model.provenance),
                "data": {
                    "name": self.dataset.name,
                    "fingerprint": self.dataset.fingerprint(),
                    "rows": self.total,
                    "skipped_files": self.dataset.skipped,
                },
                "explained": "label" if self.follow_labels else "predicted",
                "shard_size": self.shard_size,
            },
            operational={
                "batch_size": self.batch_size,
                "keep_maps": self.keep_maps,
                "grid": list(self.model.input.size),
                "crop_fraction": self.model.input.crop_fraction,
                "devices": [device.device_kind for device in jax.local_devices()],
            },
        )

    def in_memory(self, show_progress: bool) -> results.Result:
        with self.bars(show_progress) as advance:
            parts = list(self.tables(0, self.total, advance))
        return results.Result.from_columns(rows.concatenate(parts), self.manifest())

    def on_disk(self, out: Path, show_progress: bool) -> results.Result:
        storage.open_run(out, self.manifest())
        done = storage.finished_shards(out)
        shards = range(-(-self.total // self.shard_size))
        finished = sum(len(self.images_of(shard)) for shard in shards if shard in done)
        with self.bars(show_progress, done=finished) as advance:
            for shard in shards:
                if shard in done:
                    continue
                images = self.images_of(shard)
                parts = list(self.tables(images.start, images.stop, advance))
                storage.write_shard(out, shard, rows.concatenate(parts))
        return results.finish_run(out)

    def bars(self, show: bool, done: int = 0) -> contextlib.AbstractContextManager:
        """A bar for the images, and one for each probe that takes long."""
        names = (EVALUATING, *self.long_steps)
        return progress.bars(names, self.total, done=done, show=show)

    def images_of(self, shard: int) -> range:
        start = shard * self.shard_size
        return range(start, min(start + self.shard_size, self.total))

    def tables(
        self, start: int, stop: int, advance: progress.AdvanceOne
    ) -> Iterator[rows.Table]:
        """Rows of the images `[start, stop)`, a batch at a time, fetched late."""
        stream = data.batches(
            self.dataset,
            size=self.model.input.size,
            batch_size=self.batch_size,
            geometry=self.settings.geometry,
            border=self.settings.border,
            crop_fraction=self.model.input.crop_fraction,
            interpolation=self.model.input.interpolation,
            start=start,
            stop=stop,
        )
        self.stopped.clear()
        # Scores are computed and fetched beside the next batches' explanations.
        with concurrent.futures.ThreadPoolExecutor(1, "jaxcam-score") as worker:
            waiting: collections.deque = collections.deque()
            try:
                for batch in stream:
                    explained = self.explained(batch)
                    work = self.scored, batch, *explained, advance
                    waiting.append(worker.submit(*work))
                    if len(waiting) >= IN_FLIGHT:
                        yield self.counted(waiting.popleft(), advance)
                while waiting:
                    yield self.counted(waiting.popleft(), advance)
            finally:
                self.stopped.set()  # Ends the running one before its next long step.
                for future in waiting:
                    future.cancel()

    def counted(self, future: Any, advance: progress.AdvanceOne) -> rows.Table:
        table, images = future.result()
        advance(EVALUATING, images)
        return table

    def explained(self, batch: Mapping[str, Any]) -> tuple[Any, Any, dict, tuple]:
        """Starts the explanation of a batch; what it returns may not be ready yet."""
        truth = programs.truth_fields(batch, self.settings.preset)
        images = jnp.asarray(batch["image"])
        answer, maps = self.explain(
            self.model.params,
            images,
            programs.allowed_classes(self.classes, batch["candidates"], self.outputs),
            jax.random.key(self.settings.seed),
            programs.id_hashes(batch["id"]),
            truth["mask"],
        )
        return truth, images, answer, maps

    def scored(
        self,
        batch: Mapping[str, Any],
        truth: Any,
        images: Any,
        answer: dict,
        maps: Any,
        advance: progress.AdvanceOne,
    ) -> tuple[rows.Table, int]:
        """The rows of an explained batch, and how many images they are of."""
        count = int(np.sum(np.asarray(batch["index"]) >= 0))

        def step(probe: str, steps: int) -> None:
            if self.stopped.is_set():
                raise concurrent.futures.CancelledError
            advance(probe, steps * count / self.long_steps[probe])

        with _matmul_precision(self.settings.precision):  # Belongs to the thread.
            out = self.score_maps(batch, truth, images, answer, maps, step)
        fetched = jax.device_get(out)
        table = rows.table(
            batch,
            self.settings.methods,
            {c.label: fetched["values"][c.label] for c in self.columns},
            fetched["status"],
            answer=fetched["answer"],
            maps=fetched["maps"],
            class_names=self.model.class_names,
        )
        return table, count

    def score_maps(
        self,
        batch: Mapping[str, Any],
        truth: Any,
        images: Any,
        answer: dict,
        maps: Any,
        step: progress.AdvanceOne,
    ) -> dict[str, Any]:
        """Starts the probes and metrics on an explained batch."""
        shape = batch["frame"].shape[1:]
        place = programs.place_program(
            self.requests, shape, whole=self.whole, method=self.resize
        )
        placed, status = place(maps, jnp.asarray(batch["extent"]))
        shared = truth | {name: answer[name] for name in programs.ANSWERS}
        asked = ()
        if self.probes:
            inputs = programs.model_inputs(self.model, images)
            asked = self.ask(self.model.params, inputs, shared, placed, step)
        return {
            "values": self.score(shared, placed, asked),
            "status": status,
            "answer": {k: v for k, v in answer.items() if k != "key"},
            "maps": self.kept(maps),
        }

    def kept(self, maps: tuple) -> dict[str, Any]:
        """Maps to be stored; floors can be made again from nothing."""
        if not self.keep_maps:
            return {}
        named = zip(self.requests, self.settings.methods, maps, strict=True)
        return {
            label: native
            for request, label, native in named
            if not registry.method(request).floor
        }


def _follows_labels(
    model: Any, dataset: data.Dataset, targets: Targets, *, fits: bool
) -> bool:
    """Whether the explained class is that of the label.

    Raises:
      ValueError: Labels are asked for that the model's outputs do not stand for.
    """
    if targets == "predicted":
        return False
    if targets == "label" and not fits:
        raise ValueError(
            f"{dataset.name} is labelled with classes of {dataset.label_set!r}, but "
            f"the outputs of {model.name} stand for {model.label_set!r}; explain the "
            "predicted class (targets='predicted'), or give the model its label_set."
        )
    return fits
