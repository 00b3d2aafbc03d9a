"""Scoring maps that exist already, of any framework: no model is asked."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import (
    _checks,
    data,
    ops,
    plan,
    programs,
    progress,
    registry,
    results,
    rows,
    storage,
)
from jaxcam.metrics import presets

FLOORS = ("uniform", "centre", "random", "truth")
"""Floors and ceiling that need no image."""

Channels = Literal["sum", "mean", "abs_sum", "abs_max", "l2"]

_REDUCTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "sum": lambda x: x.sum(-1),
    "mean": lambda x: x.mean(-1),
    "abs_sum": lambda x: np.abs(x).sum(-1),
    "abs_max": lambda x: np.abs(x).max(-1),
    "l2": lambda x: np.sqrt(np.square(x).sum(-1)),
}
_GRID = 16
"""Maps are padded to multiples of this, so that few shapes are compiled."""

NO_MAP = "no map was given for it"


def score(
    maps: Any,
    truth: Any,
    *,
    metrics: Sequence[str] = ("localization",),
    method: str = "maps",
    where: Any = None,
    boxes: Any = None,
    channels: Channels | None = None,
    out: str | Path | None = None,
    preset: str = "paper",
    size: tuple[int, int] = (224, 224),
    geometry: str = "squash",
    border: str = "ignore",
    normalization: str | None = None,
    seed: int = 0,
    batch_size: int = 32,
    floors: bool = True,
    show_progress: bool = False,
) -> results.Result:
    """Scores saliency maps against truth.

    Args:
      maps: float[N, h, w] or float[N, h, w, C] of any framework that speaks NumPy or
        DLPack, one map for each row of the truth; or a mapping from image id to map; or
        `jaxcam.data.SavedMaps`, or a path that `jaxcam.data.read_maps` reads. Any
        resolution: maps are brought to the truth's grid as the preset says.
      truth: bool[N, H, W] masks; or a data set, or what `jaxcam.data.open_dataset`
        takes.
      metrics: Metrics or suites, none of which asks a model.
      method: What the maps are called in the results; for the maps of a run, which
        method's.
      where: bool[N, H, W], pixels that count; beside masks only.
      boxes: float[N, 4] or float[N, n, 4], `[y0, x0, y1, x1]`, half-open; beside masks
        only, whose tight boxes they are by default. Boxes of NaN are left out.
      channels: How the channels of a map become one: "sum", "mean", "abs_sum",
        "abs_max" or "l2"; without it such maps are refused.
      out: Run directory; `None` keeps the results in memory.
      preset: The convention, as in `jaxcam.evaluate`.
      size: Rows and columns of the grid on which maps meet a data set's truth.
      geometry: As in `jaxcam.evaluate`.
      border: As in `jaxcam.evaluate`.
      normalization: As in `jaxcam.evaluate`.
      seed: Of the `random` floor.
      batch_size: Rows at a time; changes the speed, never a value.
      floors: False leaves out the floors and the ceiling.
      show_progress: Shows a progress bar.

    Returns:
      The results. A row without a map is invalid, with that reason; maps without a row
      are counted in the manifest as `surplus_maps`.

    Raises:
      FileNotFoundError: There is no such file of maps, or data set.
      TypeError: Maps that are not floating point, or masks that are not boolean.
      ValueError: An unknown name or option, a metric that asks a model, or shapes that
        do not fit.

    >>> maps = np.array([[[0.0, 1.0], [0.0, 3.0]]], np.float32)
    >>> masks = np.array([[[False, False], [False, True]]])
    >>> result = score(maps, masks, metrics=["energy_pointing_game"])
    >>> print(result.values("energy_pointing_game", "maps"))  # 3 of 4.
    [0.75]
    """
    columns = plan.resolve_all(
        plan.expand_suites(metrics), preset=preset, normalization=normalization
    )
    refuse_questions(columns)
    names = (method, *(FLOORS * floors))
    if len(set(names)) < len(names):
        raise ValueError(f"method={method!r} is the name of a floor; give another.")
    source = _truth_source(truth, where, boxes, size, geometry, border, batch_size)
    given = _given_maps(maps, source, method, channels)
    manifest = storage.manifest(
        scientific={
            "maps": given.description,
            "data": source.description,
            "methods": names,
            "metrics": [column.label for column in columns],
            "preset": preset,
            "normalization": normalization,
            "size": size,
            "geometry": geometry,
            "border": border,
            "seed": seed,
        },
        operational={"batch_size": batch_size, "surplus_maps": given.surplus},
    )
    run = functools.partial(_scored, names, columns, preset, seed)
    tables = []
    with progress.bar("Scoring", source.count, show=show_progress) as advance:
        for batch in source.batches():
            natives, reasons = given.of(batch)
            tables.append(run(_with_reasons(batch, reasons), natives))
            advance(int(np.sum(batch["index"] >= 0)))
    found = rows.concatenate(tables)
    if out is None:
        return results.Result.from_columns(found, manifest)
    storage.open_run(Path(out), manifest)
    storage.write_shard(Path(out), 0, found)
    return results.finish_run(out)


def refuse_questions(
    columns: Sequence[plan.Column], *, known: Sequence[str] = ("key",)
) -> None:
    """Refuses metrics that only a model can answer.

    Args:
      columns: The metrics.
      known: What is known of a model's answers, of `programs.ANSWERS`.

    Raises:
      ValueError: A metric reads a probe, or an answer that is not known.
    """
    asked = plan.probe_fields(columns)
    unknown = set(programs.ANSWERS) - set(known)
    for column in columns:
        used = {field.name for root in column.inputs for field in root.walk()}
        if used & unknown or used & {field.name for field in asked}:
            raise ValueError(
                f"{column.label} asks a model; leave it out, or use jaxcam.evaluate."
            )


def _with_reasons(batch: Mapping[str, Any], reasons: Sequence[str]) -> dict[str, Any]:
    merged = [old or new for old, new in zip(batch["reason"], reasons, strict=True)]
    return {**batch, "reason": merged}


def _scored(
    names: tuple[str, ...],
    columns: tuple[plan.Column, ...],
    preset: str,
    seed: int,
    batch: Mapping[str, Any],
    natives: tuple[np.ndarray, np.ndarray],
) -> rows.Table:
    """Rows of one batch."""
    truth = programs.truth_fields(batch, preset)
    shape = truth["frame"].shape[1:]
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(
        jax.random.key(seed), programs.id_hashes(batch["id"])
    )
    extent = jnp.asarray(batch["extent"])
    resize = presets.get(preset).resize
    place = _place_program(names[1:], shape, resize)
    given = map(jnp.asarray, natives)
    placed, status = place(*given, extent, truth["mask"], keys)
    zeros = jnp.zeros(len(extent), jnp.int32)
    nothing = zeros > 0
    shared = truth | {
        "target": zeros,
        "predicted_class": zeros,
        "correct": nothing,
        "correct_top5": nothing,
        "label_known": nothing,
        "probability": jnp.full(len(extent), jnp.nan, jnp.float32),
        "logit": jnp.full(len(extent), jnp.nan, jnp.float32),
        "key": keys,
    }
    values = jax.device_get(plan.score_program(columns)(shared, placed))
    return rows.table(
        batch,
        names,
        {column.label: values[column.label] for column in columns},
        np.asarray(status),
    )


@functools.lru_cache(maxsize=32)
def _place_program(floors: tuple[str, ...], shape: tuple[int, int], resize: str):
    """Maps and floors on the truth's grid, and what is wrong with them."""

    def put(native, source, extent):
        return ops.place(native, extent, shape, source=source, method=resize)

    def floor(name, extent, mask, key):
        fields = {"image": jnp.zeros((*shape, 3)), "key": key, "mask": mask}
        spec = registry.method(name)
        native = spec.fn(*(fields[field] for field in spec.inputs))
        if "mask" in spec.inputs:
            return native
        return put(native, jnp.array(native.shape, jnp.int32), extent)

    def program(natives, sources, extents, masks, keys):
        given = jax.vmap(put)(natives, sources, extents)
        made = [
            jax.vmap(functools.partial(floor, name))(extents, masks, keys)
            for name in floors
        ]
        stacked = jnp.stack([given, *made])
        return stacked, jax.vmap(jax.vmap(programs.status))(stacked)

    return jax.jit(program)


class _Truth:
    """Rows of truth, from a data set or from arrays."""

    def __init__(
        self,
        count: int,
        ids: Sequence[str],
        targets: Sequence[int] | None,
        description: Mapping[str, Any],
        batches: Callable[[], Iterator[Mapping[str, Any]]],
    ) -> None:
        self.count, self.ids, self.targets = count, ids, targets
        self.description, self.batches = description, batches


def _truth_source(
    truth: Any,
    where: Any,
    boxes: Any,
    size: tuple[int, int],
    geometry: str,
    border: str,
    batch_size: int,
) -> _Truth:
    if isinstance(truth, str | Path):
        truth = data.open_dataset(truth)
    if not isinstance(truth, data.Dataset):
        return _array_truth(truth, where, boxes, batch_size)
    if where is not None or boxes is not None:
        raise ValueError("where= and boxes= belong to masks; a data set has its own.")
    if not len(truth):
        raise ValueError(f"{truth.name} has no rows; give another data set.")
    batches = functools.partial(
        data.batches,
        truth,
        size=size,
        batch_size=min(batch_size, len(truth)),
        geometry=geometry,
        border=border,
        images=False,
    )
    ids, targets, several = [], [], False
    for record in truth.records:  # Once: records may be made as they are asked for.
        ids.append(record.image_id or record.id)
        # A row that cannot be read has no class; its neighbours keep theirs.
        targets.append(record.candidates[0] if len(record.candidates) == 1 else -1)
        several = several or bool(record.image_id)
    return _Truth(
        len(truth),
        ids,
        targets if several or -1 not in targets else None,
        {"name": truth.name, "fingerprint": truth.fingerprint(), "rows": len(truth)},
        batches,
    )


def _array_truth(truth: Any, where: Any, boxes: Any, batch_size: int) -> _Truth:
    masks = _array(truth)
    if masks.dtype != bool or masks.ndim != 3:
        raise TypeError(
            f"truth is {masks.dtype} of shape {masks.shape}; give masks bool[N, H, W] "
            "(masks == 1, say), or a data set."
        )
    if masks.size == 0:
        raise ValueError(f"truth has shape {masks.shape}; give at least one mask.")
    where = np.ones(masks.shape, bool) if where is None else _array(where)
    if where.dtype != bool or where.shape != masks.shape:
        raise ValueError(
            f"where is {where.dtype} of shape {where.shape}; it must be boolean and of "
            f"the shape of the masks, {masks.shape}."
        )
    boxes = _tight_boxes(masks) if boxes is None else _array(boxes).astype(np.float32)
    boxes = boxes[:, None] if boxes.ndim == 2 else boxes
    if boxes.ndim != 3 or boxes.shape[::2] != (len(masks), 4):
        raise ValueError(
            f"boxes have shape {boxes.shape}; give (N, 4) or (N, n, 4) for "
            f"{len(masks)} masks, NaN where a row has fewer."
        )
    count, ids = len(masks), [str(i) for i in range(len(masks))]

    def batches() -> Iterator[Mapping[str, Any]]:
        size = min(batch_size, count)
        for start in range(0, count, size):
            index = np.arange(start, start + size)
            real = index < count
            rows_ = np.minimum(index, count - 1)
            valid = ~np.isnan(boxes[rows_]).any(-1)
            yield {
                "index": np.where(real, index, -1),
                "id": [ids[i] for i in rows_],
                "reason": ["" if ok else "padding" for ok in real],
                "mask": masks[rows_],
                "where": where[rows_],
                "frame": np.ones((size, *masks.shape[1:]), bool),
                "extent": np.tile(np.int32(masks.shape[1:]), (size, 1)),
                "boxes": np.nan_to_num(boxes[rows_]),
                "box_valid": valid,
            }

    return _Truth(count, ids, None, {"name": "arrays", "rows": count}, batches)


def _tight_boxes(masks: np.ndarray) -> np.ndarray:
    """float32[N, 4], NaN for empty masks."""
    found = np.asarray(jax.vmap(ops.bounding_box)(jnp.asarray(masks)), np.float32)
    found[~masks.any((1, 2))] = np.nan
    return found


class _Given:
    """Maps, looked up for the rows of a batch."""

    def __init__(
        self,
        load: Callable[[int], np.ndarray],
        positions: Sequence[int],
        surplus: int,
        description: Any,
        channels: str | None,
    ) -> None:
        self.load, self.positions, self.surplus = load, positions, surplus
        self.description, self.channels = description, channels

    def of(
        self, batch: Mapping[str, Any]
    ) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:
        """Padded maps with their sizes, and why a row has none."""
        natives, reasons = [], []
        for index in np.asarray(batch["index"]):
            native, reason = np.zeros((1, 1), np.float32), ""
            if index >= 0:
                native, reason = self.one(self.positions[index])
            natives.append(native)
            reasons.append(reason)
        sides = np.max([native.shape for native in natives], axis=0)
        sides = -(-sides // _GRID) * _GRID
        padded = np.zeros((len(natives), *sides), np.float32)
        for row, native in zip(padded, natives, strict=True):
            row[: native.shape[0], : native.shape[1]] = native
        shapes = np.array([native.shape for native in natives], np.int32)
        return (padded, shapes), reasons

    def one(self, position: int) -> tuple[np.ndarray, str]:
        nothing = np.zeros((1, 1), np.float32)
        if position < 0:
            return nothing, NO_MAP
        native = self.load(position)
        if native.ndim == 2 and self.channels is not None:
            raise ValueError(
                f"channels={self.channels!r} is given, but a map has shape "
                f"{native.shape} and no channels; leave it out."
            )
        if native.ndim == 3 and self.channels is not None:
            native = _REDUCTIONS[self.channels](native)
        if native.ndim != 2 or native.size == 0:
            raise ValueError(
                f"A map has shape {native.shape}; maps are (h, w), or (h, w, C) with "
                f"channels= one of {', '.join(_REDUCTIONS)}."
            )
        if not jnp.issubdtype(native.dtype, jnp.floating):
            raise TypeError(
                f"A map is {native.dtype}; give floating-point values, divided by 255 "
                "if they are bytes."
            )
        with np.errstate(over="ignore"):  # What float32 cannot hold is not finite.
            native = native.astype(np.float32)
        if not np.isfinite(native).all():
            return nothing, "the map is not finite"
        return native, ""


def _given_maps(maps: Any, truth: _Truth, method: str, channels: str | None) -> _Given:
    if channels is not None and channels not in _REDUCTIONS:
        raise ValueError(
            f"channels={channels!r} is not known; choose one of "
            f"{', '.join(_REDUCTIONS)}."
        )
    description: Any = "given in memory"
    if isinstance(maps, str | Path):
        description = str(Path(maps).name)
        several = None if method == "maps" else method
        maps = data.read_maps(maps, method=several)
    if isinstance(maps, Mapping):
        names = tuple(map(str, maps))
        arrays = [_array(array) for array in maps.values()]
        maps = data.SavedMaps(names, lambda position: arrays[position])
    if isinstance(maps, data.SavedMaps):
        found = data.match(maps, truth.ids, truth.targets)
        surplus = len(found.surplus)
        return _Given(maps.load, found.positions, surplus, description, channels)
    array = _array(maps)
    if len(array) != truth.count:
        raise ValueError(
            f"There are {len(array)} maps for {truth.count} rows of truth; give one a "
            "row, or name them by image id."
        )
    positions = range(truth.count)
    return _Given(lambda i: array[i], positions, 0, description, channels)


def _array(x: Any) -> np.ndarray:
    """A NumPy array of anything that speaks NumPy or DLPack."""
    return np.asarray(_checks.foreign(x))
