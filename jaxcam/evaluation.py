"""The main job: explain a model's decisions on images, score the explanations."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import json
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import jax
import numpy as np

from jaxcam import (
    _devices,
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

Stop: TypeAlias = Callable[[], bool]
"""Whether a run shall end after the batch at hand."""

DEFAULT_METHODS = ("cam", "grad_cam")

EVALUATING = "Evaluating"

IN_FLIGHT = 2
"""Batches explained but not yet scored: bounds memory, keeps the device busy."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the values of a run; everything here is part of its manifest.

    Attributes:
      methods: Explanation methods, floors included, as written.
      metrics: Metrics, as written, suites spelled out.
      preset: As in `evaluate`, like all that follow.
      targets: Which class is explained.
      geometry: How images meet the model's grid.
      border: What a trimap's border class is.
      normalization: How maps are brought to [0, 1].
      precision: Of matrix products.
      seed: Of everything random.
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
    share: tuple[int, int] = (0, 1),
    workers: int = 0,
    keep_maps: bool = True,
    floors: bool = True,
    stop: Stop = lambda: False,
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
      preset: The convention that fills in what the metrics leave open, as "paper" or
        "wsol"; see `jaxcam list presets`.
      targets: "label" explains the best-scored class among those that count as right,
        "predicted" the top-1, "auto" the label where a row has one.
      geometry: How images meet the model's grid, truth with them: "squash" resizes the
        whole image, "crop" takes its centre, "original" scores maps on the image's own
        grid.
      border: What a trimap's border class is in masks: "ignore", "foreground" or
        "background".
      normalization: How maps are brought to [0, 1], a rule of `jaxcam.ops.normalize`;
        the preset's way if `None`.
      precision: "highest" computes matrix products in float32 on every device; "fast"
        leaves the device its own choice.
      seed: Of everything random, folded with the image id.
      limit: Only the first images.
      batch_size: Images at a time, split between the devices of this process and
        rounded up to their number; halved if they run out of memory. CPUs take
        `_devices.CPU_ROWS` each, whatever it is, so that values are equal to the bit;
        elsewhere they agree to rounding.
      shard_size: Images a file, which is what is done again after an interruption.
      share: `(i, n)`: only the i-th of n shares of the shards, from 0. The shares are
        computed by as many processes, into one directory or into several that
        `jaxcam.storage.merge` joins.
      workers: Decoding processes instead of threads, see `jaxcam.data.batches`.
      keep_maps: Stores the methods' maps at their native resolution, so that other
        metrics can be computed later without the model.
      floors: False leaves out the floors and the ceiling.
      stop: Asked after every batch; once it is true the run ends there with a
        `KeyboardInterrupt`, and can be gone on with as after any other end.
      show_progress: Shows a progress bar.

    Returns:
      The results, one row an image, target and method.

    Raises:
      FileNotFoundError: There is no such data set.
      ValueError: An unknown name or option, or a number that is too small; a data set
        without images; a run directory of other settings; a share without images, or
        without a directory.

    >>> model = jaxcam.models.load("shapes_net")
    >>> metrics = ["energy_pointing_game"]
    >>> result = evaluate(model, "shapes,n=2", methods=["grad_cam"], metrics=metrics)
    >>> result.n_images, result.methods
    (2, ('grad_cam', 'uniform', 'centre', 'random', 'sobel', 'truth'))
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
    _check_numbers(limit=limit, batch_size=batch_size, shard_size=shard_size)
    if workers < 0:
        raise ValueError(f"workers={workers}: give a number of processes, or 0.")
    if not dataset.has_images:
        raise ValueError(
            f"{dataset.name} is truth without images: score saved maps with it by "
            "jaxcam score, or give a data set with images."
        )
    total = len(dataset) if limit is None else min(limit, len(dataset))
    if total == 0:
        raise ValueError(f"{dataset.name} has no images; give another data set.")
    _check_share(share, out)
    run = _Run(
        model, dataset, settings, total, batch_size, shard_size, workers, keep_maps
    )
    with matmul_precision(precision):
        if out is None:
            return run.in_memory(stop, show_progress)
        return run.on_disk(Path(out), share, stop, show_progress)


def _check_numbers(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise ValueError(f"{name}={value}: give at least 1.")


def _check_share(share: tuple[int, int], out: Any) -> None:
    index, shares = share
    if not 0 <= index < shares:
        raise ValueError(
            f"share={index}/{shares}: shares are numbered from 0 to {shares - 1}."
        )
    if shares > 1 and out is None:
        raise ValueError("A share of a run needs a run directory; give out=.")


def run_directory(model: Any, dataset: data.Dataset, settings: Mapping) -> Path:
    """Where a run of these settings lies unless another place is given."""
    described = json.dumps(settings, sort_keys=True, default=str)
    described += str(model.description) + dataset.fingerprint()
    digest = hashlib.sha256(described.encode()).hexdigest()[:8]
    data_name = "".join(c if c.isalnum() or c in "-_." else "-" for c in dataset.name)
    return Path("runs") / f"{model.name}-{data_name}-{digest}"


def shard_ranges(
    images: int, shard_size: int, limit: int | None = None
) -> tuple[range, ...]:
    """The images of each shard: fixed ranges, whatever computes them."""
    _check_numbers(limit=limit, shard_size=shard_size)
    total = images if limit is None else min(images, limit)
    starts = range(0, total, shard_size)
    return tuple(range(start, min(start + shard_size, total)) for start in starts)


def matmul_precision(precision: str) -> contextlib.AbstractContextManager:
    """How matrix products are computed inside, see `Settings`."""
    if precision == "highest":
        return jax.default_matmul_precision("highest")
    return contextlib.nullcontext()


class _Run:
    """One evaluation: its compiled programs, and rows as they come."""

    def __init__(
        self,
        model,
        dataset,
        settings,
        total,
        batch_size,
        shard_size,
        workers,
        keep_maps,
    ) -> None:
        self.model, self.dataset, self.settings = model, dataset, settings
        self.total, self.shard_size, self.keep_maps = total, shard_size, keep_maps
        self.workers = workers
        self.shards = shard_ranges(total, shard_size)
        self.batch_size = max(1, min(batch_size, total, shard_size))
        self.rows = _devices.rows_at_a_time(self.batch_size)
        self.params = _devices.replicate(model.params)
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

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        return storage.manifest(
            scientific={
                **json.loads(json.dumps(dataclasses.asdict(self.settings))),
                "model": self.model.description,
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
                "data": dict(self.dataset.opened_by),
                "devices": [device.device_kind for device in jax.local_devices()],
            },
        )

    def in_memory(self, stop: Stop, show_progress: bool) -> results.Result:
        with self.bars(show_progress) as advance:
            numbers = range(len(self.shards))
            shards = self.shard_tables(numbers, advance, stop)
            parts = [table for _, table in shards]
        return results.Result.from_columns(rows.concatenate(parts), self.manifest)

    def on_disk(
        self, out: Path, share: tuple[int, int], stop: Stop, show_progress: bool
    ) -> results.Result:
        index, shares = share
        own = range(len(self.shards))[index::shares]
        if not own:
            raise ValueError(
                f"Share {index} of {shares} is empty: {self.total} images are "
                f"{len(self.shards)} shards of {self.shard_size}; take fewer shares, "
                "or a smaller shard_size."
            )
        storage.open_run(out, self.manifest)
        finished = storage.finished_shards(out)
        left = [shard for shard in own if shard not in finished]
        images = {shard: len(self.shards[shard]) for shard in own}
        total = sum(images.values())
        done = total - sum(images[shard] for shard in left)
        with self.bars(show_progress, total=total, done=done) as advance:
            for shard, table in self.shard_tables(left, advance, stop):
                storage.write_shard(out, shard, table)
        # Of several processes the last to finish sees every shard, and writes the end.
        if storage.missing_shards(self.manifest, storage.finished_shards(out)):
            return results.load_run(out)
        return results.finish_run(out)

    def bars(
        self, show: bool, total: int | None = None, done: int = 0
    ) -> contextlib.AbstractContextManager:
        """A bar for the images, and one for each probe that takes long."""
        names = (EVALUATING, *self.long_steps)
        return progress.bars(names, total or self.total, done=done, show=show)

    def shard_tables(
        self, shards: Sequence[int], advance: progress.AdvanceOne, stop: Stop
    ) -> Iterator[tuple[int, rows.Table]]:
        """Shards with their rows, as each is complete.

        Raises:
          KeyboardInterrupt: After the batch in which `stop` came to be true.
        """
        images = {shard: self.shards[shard] for shard in shards}
        left, parts, found = list(shards), [], 0
        with contextlib.closing(self.tables([*images.values()], advance)) as tables:
            while True:
                try:
                    table, count = next(tables)
                except StopIteration:
                    return
                except RuntimeError:
                    if stop():  # It ended processes that were just starting, too.
                        raise KeyboardInterrupt from None
                    raise
                parts.append(table)
                found += count
                if found == len(images[left[0]]):
                    yield left.pop(0), rows.concatenate(parts)
                    parts, found = [], 0
                if stop():
                    raise KeyboardInterrupt

    def tables(
        self, spans: Sequence[range], advance: progress.AdvanceOne
    ) -> Iterator[tuple[rows.Table, int]]:
        """Rows of the images, a batch at a time; smaller ones if memory runs out."""
        left = [span for span in spans if span]
        while left:
            try:
                with contextlib.closing(self.stream(left, advance)) as tables:
                    for table, count in tables:
                        left[0] = left[0][count:]
                        left = [span for span in left if span]
                        yield table, count
            except jax.errors.JaxRuntimeError as error:
                fewer = _devices.halved(self.rows)
                if fewer is None or not _devices.is_out_of_memory(error):
                    raise
                warnings.warn(
                    f"The device has too little memory for {self.rows} images at once; "
                    f"going on with {fewer}.",
                    RuntimeWarning,
                    stacklevel=2,
                )
                self.rows = fewer

    def stream(
        self, spans: Sequence[range], advance: progress.AdvanceOne
    ) -> Iterator[tuple[rows.Table, int]]:
        """Rows of the images, a batch at a time, fetched late."""
        stream = data.batches(
            self.dataset,
            size=self.model.input.size,
            batch_size=self.rows,
            geometry=self.settings.geometry,
            border=self.settings.border,
            crop_fraction=self.model.input.crop_fraction,
            interpolation=self.model.input.interpolation,
            spans=spans,
            workers=self.workers,
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

    def counted(
        self, future: Any, advance: progress.AdvanceOne
    ) -> tuple[rows.Table, int]:
        table, images = future.result()
        advance(EVALUATING, images)
        return table, images

    def explained(self, batch: Mapping[str, Any]) -> tuple[Any, Any, dict, tuple]:
        """Starts the explanation of a batch; what it returns may not be ready yet."""
        truth = programs.truth_fields(batch, self.settings.preset)
        candidates = batch["candidates"]
        images, allowed, ids = _devices.split(
            (
                batch["image"],
                programs.allowed_classes(self.classes, candidates, self.outputs),
                programs.id_hashes(batch["id"]),
            )
        )
        key = jax.random.key(self.settings.seed)
        answer, maps = self.explain(
            self.params, images, allowed, key, ids, truth["mask"]
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

        shown = dict.fromkeys(self.long_steps, 0.0)

        def step(probe: str, steps: int) -> None:
            if self.stopped.is_set():
                raise concurrent.futures.CancelledError
            shown[probe] += steps * count / self.long_steps[probe]
            advance(probe, steps * count / self.long_steps[probe])

        try:
            with matmul_precision(self.settings.precision):  # Belongs to the thread.
                out = self.score_maps(batch, truth, images, answer, maps, step)
            fetched = jax.device_get(out)
        except jax.errors.JaxRuntimeError:
            for probe, done in shown.items():  # The batch is done again if it can be.
                advance(probe, -done)
            raise
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
        placed, status = place(maps, _devices.split(batch["extent"]))
        shared = truth | {name: answer[name] for name in programs.ANSWERS}
        asked = ()
        if self.probes:
            inputs = programs.model_inputs(self.model, images)
            asked = self.ask(self.params, inputs, shared, placed, step)
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
