"""Results: rows of images, targets and methods, and what follows from them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcam import _spec, registry, statistics, storage

DESCRIBING = (
    "index",
    "id",
    "method",
    "target",
    "target_name",
    "predicted_class",
    "correct",
    "probability",
    "valid",
    "reason",
    "map",
    "saliency",
    "saliency_height",
    "saliency_width",
)
"""Columns that are no metrics."""

FLOOR = "uniform"


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """Rows as columns, and the manifest of how they came about.

    Attributes:
      columns: Arrays and lists of one length.
      manifest: See `jaxcam.storage.manifest`.
    """

    columns: Mapping[str, Any]
    manifest: Mapping[str, Any]

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, Any], manifest: Mapping[str, Any]
    ) -> Result:
        """Results in memory."""
        return cls(dict(columns), dict(manifest))

    def __len__(self) -> int:
        return len(self.columns["method"])

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods in the order of their rows, floors after the others."""
        found = dict.fromkeys(self.columns["method"])
        return tuple(sorted(found, key=_is_floor))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics, in the order of the columns."""
        return tuple(name for name in self.columns if name not in DESCRIBING)

    @property
    def trained(self) -> bool:
        """False if the model's parameters were random."""
        model = self.manifest.get("scientific", {}).get("model", {})
        return bool(model.get("trained", True))

    def rows_of(self, method: str) -> np.ndarray:
        """Positions of a method's rows.

        Raises:
          ValueError: There is no such method in the results.
        """
        found = np.flatnonzero(np.array(self.columns["method"], object) == method)
        if not len(found):
            raise ValueError(
                f"The results have no method {method!r}; they have "
                f"{', '.join(self.methods)}."
            )
        return found

    def values(self, metric: str, method: str) -> np.ndarray:
        """float[n] or float[n, T], one row an image and target, in the data's order.

        Raises:
          ValueError: There is no such metric or method in the results.
        """
        if metric not in self.metrics:
            raise ValueError(
                f"The results have no metric {metric!r}; they have "
                f"{', '.join(self.metrics)}."
            )
        return np.asarray(self.columns[metric])[self.rows_of(method)]

    def skill(self, metric: str, method: str) -> np.ndarray:
        """float[n], (m - floor) / (best - floor), the floor from the uniform map.

        Undefined where the floor is the best value already.

        Raises:
          ValueError: The metric has no skill, or the results have no uniform map.
        """
        spec = registry.metric(metric)
        if not spec.skill or spec.reduce is not None:
            raise ValueError(f"{metric} has no skill over a floor.")
        value = self.values(metric, method).astype(np.float64)
        floor = self.values(metric, FLOOR).astype(np.float64)
        room = spec.best - floor
        skill = np.full(len(value), np.nan)
        return np.divide(value - floor, room, out=skill, where=room != 0)

    def clusters(self, rows: np.ndarray) -> np.ndarray:
        """int[n], equal for rows of one image."""
        ids = np.array(self.columns["id"], object)[rows]
        return np.unique(ids.astype(str), return_inverse=True)[1]

    def summary(
        self, *, skill: bool = False, level: float = 0.95, seed: int = 0
    ) -> list[dict[str, Any]]:
        """One record a method and metric: estimate, interval, counts.

        Args:
          skill: Summarises the skill of the metrics that have one instead.
          level: Probability that the intervals are to cover.
          seed: Of the bootstrap.

        Returns:
          Records with `method`, `metric`, `estimate`, `low`, `high`, `n` (defined
          values), `n_undefined` (valid rows whose value is NaN), `n_invalid` (rows
          that could not be read or explained), `direction`, `is_floor`.
        """
        wanted = [m for m in self.metrics if not skill or self._has_skill(m)]
        records = []
        for method in self.methods:
            rows = self.rows_of(method)
            valid = np.asarray(self.columns["valid"])[rows]
            take = self.skill if skill else self.values
            values = {metric: take(metric, method) for metric in wanted}
            intervals = self._intervals(values, self.clusters(rows), level, seed)
            for metric in wanted:
                flat = values[metric].reshape(len(rows), -1)
                undefined = np.isnan(flat).any(axis=1)
                estimate, low, high = intervals[metric]
                records.append(
                    {
                        "method": method,
                        "metric": metric,
                        "estimate": float(estimate),
                        "low": float(low),
                        "high": float(high),
                        "n": int(np.sum(valid & ~undefined)),
                        "n_undefined": int(np.sum(valid & undefined)),
                        "n_invalid": int(np.sum(~valid)),
                        "direction": registry.metric(metric).direction,
                        "is_floor": _is_floor(method),
                    }
                )
        return records

    def _has_skill(self, metric: str) -> bool:
        spec = registry.metric(metric)
        return spec.skill and spec.reduce is None and FLOOR in self.methods

    def _intervals(
        self, values: Mapping[str, np.ndarray], clusters: np.ndarray, level, seed
    ) -> dict[str, tuple[Any, Any, Any]]:
        """Bootstrap of every metric on the same resamples; means all at once."""
        settings = {"level": level, "seed": seed}
        means = [m for m in values if registry.metric(m).reduce is None]
        found: dict[str, tuple[Any, Any, Any]] = {}
        if means:
            stacked = np.stack([values[m] for m in means], axis=1)
            ends = statistics.bootstrap(stacked, clusters, **settings)
            found |= dict(zip(means, zip(*ends, strict=True), strict=True))
        for metric in values.keys() - set(means):
            reduce = registry.metric(metric).reduce
            found[metric] = statistics.bootstrap(
                values[metric], clusters, reduce=reduce, **settings
            )
        return found

    def reasons(self) -> dict[str, int]:
        """How many images are invalid, by reason."""
        first = np.array(self.columns["method"], object) == self.methods[0]
        found: dict[str, int] = {}
        for reason in np.array(self.columns["reason"], object)[first]:
            if reason:
                found[reason] = found.get(reason, 0) + 1
        return found

    def take(self, rows: np.ndarray) -> Result:
        """The results of some rows."""
        kept = {
            name: values[rows]
            if isinstance(values, np.ndarray)
            else [values[i] for i in rows]
            for name, values in self.columns.items()
        }
        return Result(kept, self.manifest)

    def split(self, by: str = "correct") -> dict[Any, Result]:
        """The results apart by the value of a column; NaN rows are left out.

        Raises:
          ValueError: There is no such column.
        """
        if by not in self.columns:
            raise ValueError(f"The results have no column {by!r}.")
        values = np.array(self.columns[by], object)
        found: dict[Any, list[int]] = {}
        for row, value in enumerate(values):
            if value == value:  # NaN is not itself.
                found.setdefault(value, []).append(row)
        return {value: self.take(np.array(rows)) for value, rows in found.items()}

    def table(self, *, skill: bool = False, seed: int = 0) -> Any:
        """A rich table, methods by metrics, with intervals."""
        from jaxcam import tables

        return tables.summary_table(self.summary(skill=skill, seed=seed))

    def to_markdown(self, *, skill: bool = False) -> str:
        """A Markdown table, methods by metrics, with intervals."""
        from jaxcam import tables

        return tables.markdown(self.summary(skill=skill))

    def to_latex(self, *, skill: bool = False) -> str:
        """A LaTeX tabular, methods by metrics, with intervals."""
        from jaxcam import tables

        return tables.latex(self.summary(skill=skill))

    def to_pandas(self) -> Any:
        """A pandas data frame of all rows, maps left out.

        Raises:
          ModuleNotFoundError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "to_pandas needs pandas; install it with pip install pandas."
            ) from error
        return pd.DataFrame(
            {
                name: list(values)
                for name, values in self.columns.items()
                if not name.startswith("saliency")
            }
        )


def load_run(path: str | Path) -> Result:
    """The results of a run directory, from its finished shards; maps are left there.

    Raises:
      FileNotFoundError: The directory holds no run.
      ValueError: No shard is finished.
    """
    out = Path(path)
    manifest = storage.read_manifest(out)
    maps = ("saliency", "saliency_height", "saliency_width")
    return Result(storage.read_shards(out, skip=maps), manifest)


def compare(
    runs: Result | Sequence[Result | str | Path],
    *,
    metrics: Iterable[str] | None = None,
    permutations: int = 10_000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Every pair of methods on the same images, metric by metric.

    Args:
      runs: Results or run directories over the same rows; methods of several runs are
        named `method @ model`.
      metrics: Which metrics; by default all that are means over images.
      permutations: Of the sign-flip test.
      seed: Of bootstrap and test.

    Returns:
      Records with `metric`, `better` and `worse` (by the metric's direction), the mean
      `difference` in the metric's own unit with `low` and `high`, `effect_size`,
      `win_rate` of the better one, `p_value` and `p_holm`, corrected over all records.

    Raises:
      ValueError: The runs are over other rows, or have no metric in common.
    """
    found = _gathered([runs] if isinstance(runs, Result) else runs)
    shared = [set(metrics_of) for metrics_of, _, _ in found.values()]
    common = [m for m in next(iter(found.values()))[0] if all(m in s for s in shared)]
    wanted = list(common if metrics is None else metrics)
    records = []
    for metric in wanted:
        spec = registry.metric(metric)
        if metric not in common or spec.reduce is not None or not spec.direction:
            continue
        for one, other in itertools.combinations(found, 2):
            records.append(
                _compared(spec, metric, one, other, found, permutations, seed)
            )
    if not records:
        raise ValueError("There are no two methods with a metric in common to compare.")
    corrected = statistics.holm(np.array([r["p_value"] for r in records]))
    return [r | {"p_holm": float(p)} for r, p in zip(records, corrected, strict=True)]


def _gathered(runs: Sequence[Any]) -> dict[str, tuple[tuple[str, ...], Result, str]]:
    """Methods that are no floors, by name, over rows that must be the same."""
    opened = [r if isinstance(r, Result) else load_run(r) for r in runs]
    found: dict[str, tuple[tuple[str, ...], Result, str]] = {}
    ids = None
    for result in opened:
        model = result.manifest.get("scientific", {}).get("model", {}).get("name", "?")
        for method in result.methods:
            if _is_floor(method):
                continue
            rows = result.rows_of(method)
            these = np.array(result.columns["id"], object)[rows].tolist()
            if ids is not None and these != ids:
                raise ValueError(
                    "The runs are over other images; compare runs of one data set."
                )
            ids = these
            name = method if len(opened) == 1 else f"{method} @ {model}"
            if name in found:
                raise ValueError(f"{name} is in two of the runs; give each once.")
            found[name] = (result.metrics, result, method)
    return found


def _compared(
    spec: _spec.MetricSpec,
    metric: str,
    one: str,
    other: str,
    found: Mapping[str, tuple[Any, Result, str]],
    permutations: int,
    seed: int,
) -> dict[str, Any]:
    first, second = (found[n][1].values(metric, found[n][2]) for n in (one, other))
    gain = spec.direction * (first.astype(np.float64) - second.astype(np.float64))
    better, worse = (one, other) if np.nanmean(gain) >= 0 else (other, one)
    gain = gain if better == one else -gain
    result, method = found[one][1], found[one][2]
    clusters = result.clusters(result.rows_of(method))
    estimate, low, high = map(float, statistics.bootstrap(gain, clusters, seed=seed))
    return {
        "metric": metric,
        "better": better,
        "worse": worse,
        "difference": estimate,
        "low": low,
        "high": high,
        "effect_size": statistics.paired_effect_size(gain),
        "win_rate": statistics.win_rate(gain),
        "p_value": statistics.sign_flip_test(
            gain, permutations=permutations, seed=seed
        ),
    }


def _is_floor(method: str) -> bool:
    return registry.method(method).floor if method in registry.all_methods() else False
