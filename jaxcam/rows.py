"""From the arrays of a batch to columns of a table, one row an image and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcam import programs

Table = dict[str, Any]


def table(
    batch: Mapping[str, Any],
    methods: Sequence[str],
    values: Mapping[str, np.ndarray],
    status: np.ndarray,
    *,
    answer: Mapping[str, np.ndarray] | None = None,
    maps: Mapping[str, np.ndarray] | None = None,
    class_names: Sequence[str] | None = None,
) -> Table:
    """Columns of the results of one batch; padding is left out, bad rows are kept.

    Args:
      batch: As `data.batches` yields it.
      methods: Names of the maps.
      values: `[M, B, ...]` of each metric.
      status: int[M, B], indices into `programs.STATUS`.
      answer: What the model decided; `None` where no model was asked.
      maps: Native maps `[B, h, w]` to be stored, by method.
      class_names: Names of the model's outputs.

    Returns:
      Columns as `storage.write_shard` takes them. Values of a row that is not valid
      are NaN, and its `reason` says why.
    """
    real = np.flatnonzero(np.asarray(batch["index"]) >= 0)
    rows, columns = len(real), len(methods)

    def tiled(x: Any) -> np.ndarray:
        """One value an image, repeated for every method; images vary slowest."""
        return np.repeat(np.asarray(x)[real], columns, axis=0)

    def flat(x: np.ndarray) -> np.ndarray:
        """`[M, B, ...]` in the order of the rows."""
        x = np.moveaxis(np.asarray(x)[:, real], 0, 1)
        return x.reshape(rows * columns, *x.shape[2:])

    reason = tiled(np.asarray(batch["reason"], object))
    if answer is not None:
        finite = tiled(answer["logits_finite"])
        reason[~finite & (reason == "")] = "the model's logits are not finite"
    found = flat(status)
    reason[(found == 1) & (reason == "")] = programs.STATUS[1]
    valid = reason == ""

    out: Table = {
        "index": tiled(batch["index"]),
        "id": list(tiled(np.asarray(batch["id"], object))),
        **(
            {"image": list(tiled(np.asarray(batch["image_id"], object)))}
            if "image_id" in batch
            else {}
        ),
        "method": list(methods) * rows,
        "valid": valid,
        "reason": list(reason),
        "map": [programs.STATUS[s] for s in np.where(valid, found, 0)],
    }
    if answer is not None:
        out |= _answers(answer, tiled, class_names)
    for name, value in values.items():
        value = flat(value).astype(np.float32)
        value[~valid] = np.nan
        out[name] = value
    if maps:
        out |= _maps(maps, methods, real)
    return out


def _maps(
    maps: Mapping[str, np.ndarray], methods: Sequence[str], real: np.ndarray
) -> Table:
    """Native maps row by row; empty for a method that is not stored."""
    nothing = np.zeros((0, 0), np.float32)
    kept = [
        np.asarray(maps[method], np.float32)[i] if method in maps else nothing
        for i in real
        for method in methods
    ]
    return {
        "saliency": [native.ravel() for native in kept],
        "saliency_height": np.array([native.shape[0] for native in kept], np.int32),
        "saliency_width": np.array([native.shape[1] for native in kept], np.int32),
    }


def _answers(
    answer: Mapping[str, np.ndarray], tiled: Any, class_names: Sequence[str] | None
) -> Table:
    target = tiled(answer["target"])
    names = [str(i) if class_names is None else class_names[i] for i in target]
    known = tiled(answer["label_known"])
    return {
        "target": target,
        "target_name": names,
        "predicted_class": tiled(answer["predicted_class"]),
        "correct": np.where(known, tiled(answer["correct"]), np.nan).astype(np.float32),
        "probability": tiled(answer["probability"]).astype(np.float32),
    }


def concatenate(tables: Sequence[Table]) -> Table:
    """Rows of several tables, in order."""
    return {
        name: np.concatenate([t[name] for t in tables])
        if isinstance(tables[0][name], np.ndarray)
        else [value for t in tables for value in t[name]]
        for name in tables[0]
    }
