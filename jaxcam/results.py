"""Results: rows of images, targets and methods, and what follows from them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcam import _spec, columns, statistics, storage, summaries

DESCRIBING = (
    "index",
    "id",
    "method",
    "target",
    "target_name",
    "label",
    "predicted_class",
    "correct",
    "correct_top5",
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

_DECIDED_BY_THE_MODEL = (
    "target",
    "target_name",
    "predicted_class",
    "correct",
    "correct_top5",
    "probability",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """Rows as columns, and the manifest of how they came about.

    A row is an image with a target and a method. Every figure is computed from the rows
    when it is asked for.

    Attributes:
      columns: Arrays of one length; text as arrays of objects. See `load_run` and
        `from_columns`.
      manifest: See `jaxcam.storage.manifest`.
      specs: Metrics that the registry does not know, by name.
    """

    columns: Mapping[str, np.ndarray]
    manifest: Mapping[str, Any]
    specs: Mapping[str, _spec.MetricSpec] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_columns(
        cls,
        rows: Mapping[str, Any],
        manifest: Mapping[str, Any] | None = None,
        *,
        specs: Mapping[str, _spec.MetricSpec] | None = None,
    ) -> Result:
        """Results in memory.

        Args:
          rows: Arrays or lists of one length, `index`, `id` and `method` among them.
          manifest: How they came about.
          specs: Metrics that the registry does not know, by name.

        Raises:
          ValueError: A column is missing or of another length, or a row is there twice.
        """
        arrays = {name: columns.as_array(values) for name, values in rows.items()}
        lengths = {name: len(values) for name, values in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Columns must be of one length but have {lengths}.")
        return _checked(cls(arrays, manifest or {"scientific": {}}, specs or {}))

    def __len__(self) -> int:
        return len(self.columns["method"])

    @property
    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows one after the other, maps left out."""
        names = [name for name in self.columns if name != "saliency"]
        kept = [self.columns[name] for name in names]
        for values in zip(*kept, strict=True):
            yield dict(zip(names, values, strict=True))

    @functools.cached_property
    def methods(self) -> tuple[str, ...]:
        """Methods in the order of their rows, floors and ceiling after the others."""
        return tuple(sorted(self._layout, key=self.is_floor))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics, in the order of the columns; curves and other vectors among them."""
        return tuple(name for name in self.columns if name not in DESCRIBING)

    @functools.cached_property
    def skills(self) -> tuple[str, ...]:
        """Names `metric.skill` of the metrics that have a skill over the floor."""
        if FLOOR not in self._layout:
            return ()
        specs = {metric: self.spec(metric) for metric in self.metrics}
        return tuple(
            metric + summaries.SKILL
            for metric, spec in specs.items()
            if spec is not None and spec.skill and spec.reduce is None
        )

    @property
    def trained(self) -> bool:
        """False if the model's parameters were random."""
        model = self.manifest["scientific"].get("model") or {}
        return bool(model.get("trained", True))

    @property
    def directory(self) -> Path | None:
        """The run directory; `None` for results in memory or of several directories."""
        paths = getattr(self.columns, "paths", ())
        found = {path.parent.parent for path in paths}
        return found.pop() if len(found) == 1 else None

    @property
    def n_missing(self) -> int:
        """Rows of the data set that are not there: the run is not finished.

        0 for a part of a result, which is not meant to be whole.
        """
        if isinstance(self.columns, columns.TakenColumns):
            return 0
        data = self.manifest["scientific"].get("data") or {}
        expected = data.get("rows") if isinstance(data, Mapping) else None
        return 0 if expected is None else max(0, expected - self.n_images)

    @functools.cached_property
    def n_images(self) -> int:
        """Rows of the data set that are there, whatever the number of methods."""
        return len(np.unique(self.columns["index"]))

    @functools.cached_property
    def _layout(self) -> dict[str, np.ndarray]:
        """Positions of the rows of each method, in the order of the data set."""
        methods = self.columns["method"]
        names = {name: code for code, name in enumerate(dict.fromkeys(methods))}
        codes = np.fromiter((names[m] for m in methods), np.intp, len(methods))
        index = np.asarray(self.columns["index"])
        order = np.lexsort((index, codes))
        starts = np.searchsorted(codes[order], np.arange(len(names) + 1))
        return {name: order[starts[c] : starts[c + 1]] for name, c in names.items()}

    def rows_of(self, method: str) -> np.ndarray:
        """Positions of a method's rows, in the order of the data set.

        Raises:
          ValueError: There is no such method in the results.
        """
        if method not in self._layout:
            raise ValueError(
                f"The results have no method {method!r}; they have "
                f"{', '.join(self.methods)}."
            )
        return self._layout[method]

    def spec(self, metric: str) -> _spec.MetricSpec | None:
        """What is known about a metric; `None` for a column nobody registered."""
        name = metric.removesuffix(summaries.SKILL)
        if name in self.specs:
            return self.specs[name]
        from jaxcam import registry

        try:
            return registry.metric(name)
        except ValueError:
            return None

    def values(self, metric: str, method: str) -> np.ndarray:
        """float[n] or float[n, T], one row an image and target, in the data's order.

        `name.skill` is (m - floor) / (best - floor), float64, where the floor is the
        uniform map's value on the same image; it is undefined where the floor is the
        best value already.

        Raises:
          ValueError: There is no such metric or method in the results.
        """
        if metric in self.skills:
            return self._skill(metric.removesuffix(summaries.SKILL), method)
        if metric not in self.metrics:
            raise ValueError(
                f"The results have no metric {metric!r}; they have "
                f"{', '.join(self.metrics)}."
            )
        return self.columns[metric][self.rows_of(method)]

    def _skill(self, metric: str, method: str) -> np.ndarray:
        value = self.values(metric, method).astype(np.float64)
        floor = self.values(metric, FLOOR).astype(np.float64)
        index = np.asarray(self.columns["index"])
        here, there = index[self.rows_of(method)], index[self.rows_of(FLOOR)]
        place = np.minimum(np.searchsorted(there, here), len(there) - 1)
        floor = np.where(there[place] == here, floor[place], np.nan)
        room = self.spec(metric).best - floor
        skill = np.full(len(value), np.nan)
        return np.divide(value - floor, room, out=skill, where=room != 0)

    def maps(self, method: str) -> list[np.ndarray]:
        """The stored maps of a method, float32[h, w] each, in the data's order.

        Raises:
          ValueError: The run kept no maps, or there is no such method.
        """
        if "saliency" not in self.columns:
            raise ValueError("The run kept no maps; evaluate it with keep_maps=True.")
        rows = self.rows_of(method)
        shapes = [
            self.columns[f"saliency_{side}"][rows] for side in ("height", "width")
        ]
        kept = self.columns["saliency"][rows]
        return [
            np.asarray(flat).reshape(int(height), int(width))
            for flat, height, width in zip(kept, *shapes, strict=True)
        ]

    def clusters_by(self, column: str = "id") -> np.ndarray:
        """int[rows], 0 ... C - 1, equal for rows that are resampled together.

        Clusters are numbered in the order of the data set, whatever the order of rows.

        Raises:
          ValueError: There is no such column.
        """
        if column not in self.columns:
            raise ValueError(f"The results have no column {column!r}.")
        if column not in self._clusters:
            order = np.argsort(self.columns["index"], kind="stable")
            found: dict[Any, int] = {}
            values = self.columns[column][order].tolist()
            codes = np.empty(len(values), np.intp)
            codes[order] = [found.setdefault(value, len(found)) for value in values]
            self._clusters[column] = codes
        return self._clusters[column]

    @functools.cached_property
    def _clusters(self) -> dict[str, np.ndarray]:
        return {}

    @property
    def valid(self) -> np.ndarray:
        """bool[rows]: the row could be read and explained."""
        if "valid" not in self.columns:
            return np.ones(len(self), bool)
        return np.asarray(self.columns["valid"], bool)

    def summary(
        self,
        *,
        skill: bool = False,
        metrics: Sequence[str] | None = None,
        level: float = 0.95,
        resamples: int = statistics.RESAMPLES,
        seed: int = 0,
        cluster: str = "id",
    ) -> list[dict[str, Any]]:
        """One record a method and metric: estimate, interval, counts.

        Intervals are percentiles of a bootstrap over images: rows of one image are
        drawn together, and all methods and metrics see the same draws.

        Args:
          skill: Summarises the skills, named `metric.skill`, instead of the metrics.
          metrics: Only these, skills among them.
          level: Probability that the intervals are to cover.
          resamples: Of the bootstrap.
          seed: Of the bootstrap.
          cluster: Column whose equal rows are drawn together.

        Returns:
          Records with `method`, `metric`, `estimate`, `low`, `high`, `n` (defined
          values), `n_undefined` (valid rows whose value is NaN), `n_invalid` (rows
          that could not be read or explained), `direction`, `is_floor`; `untrained` if
          the network's parameters are random. Curves, which are no single number, are
          left out.
        """
        if metrics is None:
            names = self.skills if skill else self.metrics
            metrics = [name for name in names if summaries.is_number(self, name)]
        found = summaries.summarize(
            self,
            metrics,
            self.clusters_by(cluster),
            level=level,
            resamples=resamples,
            seed=seed,
        )
        return found if self.trained else [r | {"untrained": True} for r in found]

    def is_floor(self, method: str) -> bool:
        """Whether a method is a floor or the ceiling of every table."""
        from jaxcam import registry

        try:
            return registry.method(method).floor
        except ValueError:
            return False

    def direction(self, metric: str) -> int:
        """1 if higher is better, -1 if lower is, 0 if neither; a skill is 1."""
        if metric.endswith(summaries.SKILL):
            return 1
        spec = self.spec(metric)
        return 0 if spec is None else spec.direction

    def reasons(self) -> dict[str, int]:
        """How many images are invalid for some method, by reason."""
        found: dict[str, int] = {}
        for error in self.errors():
            found[error["reason"]] = found.get(error["reason"], 0) + 1
        return found

    def errors(self) -> list[dict[str, Any]]:
        """Invalid images and targets: the reason, and the methods it holds for."""
        found: dict[tuple, dict[str, Any]] = {}
        for row in np.flatnonzero(~self.valid):
            index, name, method, reason = (
                self.columns[column][row] if column in self.columns else ""
                for column in ("index", "id", "method", "reason")
            )
            key = (int(index), str(reason))
            error = {"index": key[0], "id": name, "reason": key[1], "methods": []}
            found.setdefault(key, error)["methods"].append(method)
        return [found[key] for key in sorted(found)]

    def take(self, rows: np.ndarray) -> Result:
        """The results of some rows."""
        kept = columns.TakenColumns(self.columns, np.asarray(rows, np.intp))
        return Result(kept, self.manifest, self.specs)

    def split(self, by: str = "correct") -> dict[Any, Result]:
        """The results apart by the value of a column.

        Args:
          by: A column of text, of whole numbers or of yes and no; `correct` tells
            decisions that were right from wrong ones.

        Returns:
          Results by value, in order. `None` holds the rows whose value is unknown; in
          a column that the model decides these are also the invalid rows.

        Raises:
          ValueError: There is no such column, or it holds fractions.
        """
        if by not in self.columns:
            raise ValueError(f"The results have no column {by!r}.")
        values = self.columns[by]
        if by in ("correct", "correct_top5"):
            values = [None if np.isnan(v) else bool(v) for v in values.astype(float)]
        elif values.ndim > 1 or values.dtype.kind == "f":
            raise ValueError(
                f"{by} is no category; split by a column of names or flags."
            )
        values = np.array(values, object)
        if by in _DECIDED_BY_THE_MODEL:
            values[~self.valid] = None
        found: dict[Any, list[int]] = {}
        for row, value in enumerate(values):
            found.setdefault(value, []).append(row)
        keys = sorted(found, key=lambda value: (value is None, value))
        return {value: self.take(np.array(found[value])) for value in keys}

    def compare(self, *others: Result, **options: Any) -> list[dict[str, Any]]:
        """Every pair of methods on the same images; see `jaxcam.compare`.

        Args:
          others: Results over the same data, whose methods are compared as well.
          options: Of `jaxcam.compare`.

        Returns:
          Records, one a pair of methods and metric.
        """
        import jaxcam

        return jaxcam.compare([self, *others], **options)

    def rank_agreement(self, *others: Result, **options: Any) -> list[dict[str, Any]]:
        """Which metrics agree; see `jaxcam.rank_agreement`.

        Args:
          others: Results over the same data, whose methods are ranked as well.
          options: Of `jaxcam.rank_agreement`.

        Returns:
          Records, one a pair of metrics.
        """
        import jaxcam

        return jaxcam.rank_agreement([self, *others], **options)

    def table(self, *, skill: bool = False, seed: int = 0) -> Any:
        """A rich renderable, methods by metrics, with intervals."""
        from jaxcam import tables

        return tables.summary_table(self.summary(skill=skill, seed=seed))

    def to_markdown(self, *, skill: bool = False) -> str:
        """Markdown, methods by metrics, with intervals."""
        from jaxcam import tables

        return tables.markdown(self.summary(skill=skill))

    def to_latex(self, *, skill: bool = False) -> str:
        """A LaTeX tabular, methods by metrics, with intervals."""
        from jaxcam import tables

        return tables.latex(self.summary(skill=skill))

    def to_text(self, *, skill: bool = False, width: int = 100) -> str:
        """Plain characters, methods by metrics, with intervals."""
        from jaxcam import tables

        return tables.plain(self.summary(skill=skill), width=width)

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
        kept = [name for name in self.columns if not name.startswith("saliency")]
        read = {name: self.columns[name] for name in kept}
        if not self.trained:
            read["untrained"] = np.ones(len(read["index"]), bool)
        return pd.DataFrame({n: list(v) if v.ndim > 1 else v for n, v in read.items()})


def _checked(result: Result) -> Result:
    """Refuses rows without a name, and rows that are there twice."""
    lacking = [n for n in ("index", "id", "method") if n not in result.columns]
    if lacking:
        raise ValueError(f"Results need the column {lacking[0]!r}.")
    index = np.asarray(result.columns["index"])
    for method, rows in result._layout.items():
        double = np.flatnonzero(np.diff(index[rows]) == 0)
        if len(double):
            again = rows[double[0]]
            raise ValueError(
                f"{len(double)} rows of {method} are there twice, row {index[again]} "
                f"({result.columns['id'][again]}) first; each must be counted once."
            )
    return result


def load_run(
    path: str | Path | Sequence[str | Path],
    *,
    specs: Mapping[str, _spec.MetricSpec] | None = None,
) -> Result:
    """The results of a run directory, from its finished shards.

    Columns are read when they are needed; vectors and maps stay on the disk.

    Args:
      path: A run directory, or several that hold different shards of one run.
      specs: Metrics that the registry does not know, by name.

    Raises:
      FileNotFoundError: A directory holds no run.
      ValueError: No shard is finished; the runs differ in their settings; a shard is
        in two of them.
    """
    runs = [path] if isinstance(path, str | Path) else list(path)
    manifest, owners = storage.gather(runs)
    if not owners:
        raise ValueError(f"{runs[0]} has no finished shard yet; run its command again.")
    paths = [storage.shard_path(run, number) for number, run in owners.items()]
    return _checked(Result(columns.RunColumns(paths), manifest, specs or {}))


def finish_run(out: str | Path, **options: Any) -> Result:
    """Writes `summary.json` and `errors.jsonl` of a run from its shards.

    Args:
      out: The run directory.
      options: Of `Result.summary`.

    Returns:
      The results.
    """
    result = load_run(out)
    storage.write_json(Path(out) / storage.SUMMARY, result.summary(**options))
    storage.write_errors(out, result.errors())
    return result
