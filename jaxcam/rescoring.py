"""Other metrics for a finished run, from the maps it keeps: no model is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcam import data, registry, results, scoring, storage


def score_run(
    run: str | Path,
    truth: Any,
    *,
    metrics: Sequence[str],
    out: str | Path | None = None,
    batch_size: int = 32,
    show_progress: bool = False,
) -> results.Result:
    """Scores every map that a run keeps, by the run's own conventions.

    Preset, geometry, border, normalisation, grid and seed are those of the run.
    Floors are made again, but for `sobel`, which reads the images.

    Args:
      run: Directory of a run that kept its maps and is whole.
      truth: The run's data set, or what `jaxcam.data.open_dataset` takes.
      metrics: Metrics or suites, none of which asks a model.
      out: Run directory; `None` keeps the results in memory.
      batch_size: Maps at a time; changes the speed, never a value.
      show_progress: Shows a progress bar for each method.

    Returns:
      The results of the run's methods and the floors. A row whose map is not kept, as
      the image could not be read, is invalid.

    Raises:
      FileNotFoundError: The directory holds no run.
      ValueError: The run is not whole or keeps no maps, the data set is another, or a
        metric asks a model.
    """
    manifest = storage.read_manifest(run)
    settings = manifest["scientific"]
    missing = storage.missing_shards(manifest, storage.finished_shards(run))
    if missing:
        raise ValueError(f"{run} is not whole: {missing}")
    if isinstance(truth, str | Path):
        truth = data.open_dataset(truth)
    if truth.fingerprint() != settings["data"].get("fingerprint"):
        raise ValueError(
            f"{truth.name} is not what {run} evaluated ({settings['data']['name']}, or "
            "its files or their number changed); give that data set."
        )
    grid, crop_fraction = _grid(run, manifest)
    if settings["geometry"] == "crop" and crop_fraction != 1:
        raise ValueError(
            "Maps of images that were cropped from a larger resize cannot be scored "
            "again; run jaxcam evaluate with the new metrics."
        )
    methods = [m for m in settings["methods"] if not registry.method(m).floor]
    parts = [
        scoring.score(
            run,
            truth,
            metrics=metrics,
            method=method,
            preset=settings["preset"],
            size=grid,
            geometry=settings["geometry"],
            border=settings["border"],
            normalization=settings["normalization"],
            seed=settings["seed"],
            batch_size=batch_size,
            floors=method == methods[-1],
            show_progress=show_progress,
        )
        for method in methods
    ]
    limit = settings["data"]["rows"]
    columns = {
        name: np.concatenate([p.columns[name][_first(p, limit)] for p in parts])
        for name in parts[0].columns
    }
    made = storage.manifest(
        scientific={
            **{k: v for k, v in settings.items() if k != "shard_size"},
            "methods": sorted(set(columns["method"]), key=settings["methods"].index),
            "metrics": list(parts[0].metrics),
            "maps": "kept by the run",
        },
        operational={"batch_size": batch_size, "run": str(run)},
    )
    if out is None:
        return results.Result.from_columns(columns, made)
    storage.open_run(out, made)
    storage.write_shard(out, 0, columns)
    return results.finish_run(out)


def _grid(run: str | Path, manifest: dict) -> tuple[tuple[int, int], float]:
    """The model's grid and crop fraction, which a run notes beside its settings."""
    noted = manifest["operational"]
    noted = noted["merged"][0] if "merged" in noted else noted
    if "grid" not in noted or not noted.get("keep_maps"):
        raise ValueError(f"{run} keeps no maps; run it again with keep_maps.")
    return tuple(noted["grid"]), noted["crop_fraction"]


def _first(result: results.Result, limit: int) -> np.ndarray:
    """Rows of the images that the run had, where it had not all."""
    return result.columns["index"] < limit
