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
    "image",
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

    >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
    >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
    >>> result.methods, result.metrics, result.n_images
    (('cam',), ('dice',), 2)
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
          rows: Arrays or lists of one length n by name: `index` int[n], the row's
            number in the data set, `id` and `method` among them, metrics as float[n]
            or float[n, T]. `valid` bool[n] marks rows that could be explained.
          manifest: How they came about; see `jaxcam.storage.manifest`.
          specs: Metrics that the registry does not know, by name.

        Returns:
          The results.

        Raises:
          ValueError: A column is missing or of another length, or a row is there twice.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> len(result)
        2
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
        """The rows one after the other, maps left out.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> [row["dice"] for row in result.rows] == [0.5, 1.0]
        True
        """
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
        """Metrics, in the order of the columns; curves and other vectors among them.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> result.metrics
        ('dice',)
        """
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
        """False if the model's parameters were random.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> result.trained
        True
        """
        model = self.manifest["scientific"].get("model") or {}
        return bool(model.get("trained", True))

    @property
    def directory(self) -> Path | None:
        """The run directory; `None` for results in memory or of several directories.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> print(result.directory)
        None
        """
        paths = getattr(self.columns, "paths", ())
        found = {path.parent.parent for path in paths}
        return found.pop() if len(found) == 1 else None

    @property
    def n_missing(self) -> int:
        """Rows of the data set that are not there: the run is not finished.

        0 for a part of a result, which is not meant to be whole.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> result.n_missing
        0
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

        Args:
          method: One of `methods`.

        Returns:
          int[n], positions in the columns.

        Raises:
          ValueError: There is no such method in the results.

        >>> rows = {"index": [1, 0], "id": ["b", "a"], "method": ["cam", "cam"]}
        >>> print(Result.from_columns(rows).rows_of("cam"))
        [1 0]
        """
        if method not in self._layout:
            raise ValueError(
                f"The results have no method {method!r}; they have "
                f"{', '.join(self.methods)}."
            )
        return self._layout[method]

    def spec(self, metric: str) -> _spec.MetricSpec | None:
        """What is known about a metric.

        Args:
          metric: A column, with options; or a skill of one, `metric.skill`.

        Returns:
          Its entry in the registry; `None` for a column nobody registered.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> result.spec("dice").range, result.spec("shoe_size")
        ((0.0, 1.0), None)
        """
        name = metric.removesuffix(summaries.SKILL)
        if name in self.specs:
            return self.specs[name]
        from jaxcam import registry

        try:
            return registry.metric(name)
        except ValueError:
            return None

    def values(self, metric: str, method: str) -> np.ndarray:
        """A metric's values, image by image.

        `name.skill` is (m - floor) / (best - floor), float64, where the floor is the
        uniform map's value on the same image.

        Args:
          metric: One of `metrics` or `skills`.
          method: One of `methods`.

        Returns:
          float[n], or float[n, T] of a curve, one row an image and target, in the
          data's order. NaN where the metric is undefined; a skill also where the floor
          is the best value already.

        Raises:
          ValueError: There is no such metric or method in the results.

        >>> rows = {"index": [0, 0], "id": ["a", "a"], "method": ["cam", "uniform"]}
        >>> result = Result.from_columns(rows | {"energy_pointing_game": [0.7, 0.4]})
        >>> print(result.values("energy_pointing_game.skill", "cam"))  # 0.3 / 0.6
        [0.5]
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
        """The stored maps of a method, in the data's order.

        Args:
          method: One of `methods`.

        Returns:
          float32[h, w] each, raw, on the grid of their layer.

        Raises:
          ValueError: The run kept no maps, or there is no such method.

        >>> rows = {"index": [0], "id": ["a"], "method": ["cam"]}
        >>> rows |= {"saliency_height": [1], "saliency_width": [2]}
        >>> rows["saliency"] = [np.array([0.25, 1.0], np.float32)]
        >>> print(Result.from_columns(rows).maps("cam")[0])
        [[0.25 1.  ]]
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
        """Which rows are resampled together: those that are equal in a column.

        Clusters are numbered in the order of the data set, whatever the order of rows.
        Where several rows are of one image, `id` stands for their column `image`.

        Args:
          column: Of the columns; "id" takes an image with all its targets as one.

        Returns:
          int[rows], 0 ... C - 1, equal for rows of one cluster.

        Raises:
          ValueError: There is no such column.

        >>> rows = {"index": [0, 1, 2], "id": ["a", "a", "b"], "method": ["cam"] * 3}
        >>> print(Result.from_columns(rows).clusters_by())
        [0 0 1]
        """
        if column not in self.columns:
            raise ValueError(f"The results have no column {column!r}.")
        if column == "id" and "image" in self.columns:
            column = "image"
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
        """bool[rows]: the row could be read and explained.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> print(result.valid)
        [ True  True]
        """
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
          level: Probability that the intervals are to cover, in (0, 1).
          resamples: Of the bootstrap.
          seed: Of the bootstrap.
          cluster: Column whose equal rows are drawn together.

        Returns:
          Records with `method`, `metric`, `estimate`, `low`, `high`, `n` (defined
          values), `n_undefined` (valid rows whose value is NaN), `n_invalid` (rows
          that could not be read or explained), `direction`, `is_floor`; `untrained` if
          the network's parameters are random. Curves, which are no single number, are
          left out. An estimate is NaN where no value is defined.

        Raises:
          ValueError: There is no such metric in the results, or it is a curve; there is
            no such column as `cluster`.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> record = result.summary()[0]
        >>> record["method"], record["metric"], record["estimate"], record["n"]
        ('cam', 'dice', 0.75, 2)
        """
        if metrics is None:
            names = self.skills if skill else self.metrics
            metrics = [name for name in names if summaries.is_number(self, name)]
        for name in metrics:
            if name in self.metrics and not summaries.is_number(self, name):
                raise ValueError(
                    f"{name} is no single number an image, so it has no summary; leave "
                    "it out."
                )
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
        """Whether a method is a floor or the ceiling of every table.

        Args:
          method: A name; an unknown one is no floor.

        Returns:
          True for a floor or the ceiling.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> result.is_floor("cam"), result.is_floor("uniform")
        (False, True)
        """
        from jaxcam import registry

        try:
            return registry.method(method).floor
        except ValueError:
            return False

    def direction(self, metric: str) -> int:
        """Which way a metric is better.

        Args:
          metric: A column, with options; or a skill of one, `metric.skill`.

        Returns:
          1 if higher is better, -1 if lower is, 0 if neither or unknown; a skill is 1.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> result.direction("dice"), result.direction("localization_error")
        (1, -1)
        """
        if metric.endswith(summaries.SKILL):
            return 1
        spec = self.spec(metric)
        return 0 if spec is None else spec.direction

    def reasons(self) -> dict[str, int]:
        """How many images and targets are invalid for some method, by reason.

        Returns:
          Numbers by reason.

        >>> rows = {"index": [0], "id": ["a"], "method": ["cam"], "valid": [False]}
        >>> Result.from_columns(rows | {"reason": ["cannot be decoded"]}).reasons()
        {'cannot be decoded': 1}
        """
        found: dict[str, int] = {}
        for error in self.errors():
            found[error["reason"]] = found.get(error["reason"], 0) + 1
        return found

    def errors(self) -> list[dict[str, Any]]:
        """Invalid images and targets: the reason, and the methods it holds for.

        Returns:
          Records with `index`, `id`, `reason` and `methods`, in the data's order.

        >>> rows = {"index": [0], "id": ["a"], "method": ["cam"], "valid": [False]}
        >>> Result.from_columns(rows | {"reason": ["unreadable"]}).errors()
        [{'index': 0, 'id': 'a', 'reason': 'unreadable', 'methods': ['cam']}]
        """
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
        """The results of some rows.

        Args:
          rows: int[m], positions in the columns.

        Returns:
          Results of m rows, of the same manifest.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> print(result.take(np.array([1])).values("dice", "cam"))
        [1.]
        """
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

        >>> rows = {"index": [0, 1, 2], "id": ["a", "b", "c"], "method": ["cam"] * 3}
        >>> parts = Result.from_columns(rows | {"correct": [1.0, 0.0, 1.0]}).split()
        >>> {value: len(part) for value, part in parts.items()}
        {False: 1, True: 2}
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

        Raises:
          ValueError: As `jaxcam.compare` does.

        >>> rows = {"index": [0, 0], "id": ["a", "a"], "method": ["cam", "grad_cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 0.75]})
        >>> record = result.compare()[0]
        >>> record["a"], record["b"], record["difference"], record["better"]
        ('cam', 'grad_cam', -0.25, 'grad_cam')
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

        Raises:
          ValueError: As `jaxcam.rank_agreement` does.

        >>> rows = {"index": [0] * 3, "id": ["a"] * 3, "method": ["x", "y", "z"]}
        >>> rows |= {"dice": [0.1, 0.2, 0.3], "recall": [0.4, 0.5, 0.6]}
        >>> result = Result.from_columns(rows)
        >>> [r["estimate"] for r in result.rank_agreement()]  # One order of methods.
        [1.0]
        """
        import jaxcam

        return jaxcam.rank_agreement([self, *others], **options)

    def table(self, *, skill: bool = False, seed: int = 0) -> Any:
        """The summary as a table for the terminal, methods by metrics.

        Args:
          skill: As in `summary`.
          seed: As in `summary`.

        Returns:
          What `rich.print` shows, with 95 % intervals: the best method in bold, floors
          set off below.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> [column.header.plain for column in result.table().columns]
        ['method', 'dice ↑']
        """
        from jaxcam import tables

        return tables.summary_table(self.summary(skill=skill, seed=seed))

    def to_markdown(self, *, skill: bool = False) -> str:
        """The summary as a table in Markdown, methods by metrics.

        Args:
          skill: As in `summary`.

        Returns:
          Markdown, with 95 % intervals: the best method in bold, floors in italics.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> print(result.to_markdown().splitlines()[0])
        | method | dice ↑ |
        """
        from jaxcam import tables

        return tables.markdown(self.summary(skill=skill))

    def to_latex(self, *, skill: bool = False) -> str:
        r"""The summary as a table in LaTeX, methods by metrics.

        Args:
          skill: As in `summary`.

        Returns:
          A `tabular`, with 95 % intervals: the best method in bold, floors in italics.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> print(result.to_latex().splitlines()[0])
        \begin{tabular}{lr}
        """
        from jaxcam import tables

        return tables.latex(self.summary(skill=skill))

    def to_text(self, *, skill: bool = False, width: int = 100) -> str:
        """The summary as a table in plain characters, methods by metrics.

        Args:
          skill: As in `summary`.
          width: Of a line, in characters; a wider table is broken into several.

        Returns:
          The text, with 95 % intervals.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> "dice" in result.to_text()
        True
        """
        from jaxcam import tables

        return tables.plain(self.summary(skill=skill), width=width)

    def to_pandas(self) -> Any:
        """A pandas data frame of all rows, maps left out.

        Returns:
          A `pandas.DataFrame`, a line for each image, target and method; curves as
          lists.

        Raises:
          ModuleNotFoundError: pandas is not installed.

        >>> rows = {"index": [0, 1], "id": ["a", "b"], "method": ["cam", "cam"]}
        >>> result = Result.from_columns(rows | {"dice": [0.5, 1.0]})
        >>> result.to_pandas()["dice"].mean().item()
        0.75
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

    Returns:
      The results, of the shards that are finished.

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

    Raises:
      FileNotFoundError: The directory holds no run.
      ValueError: No shard is finished, or as `Result.summary`.
    """
    result = load_run(out)
    storage.write_json(Path(out) / storage.SUMMARY, result.summary(**options))
    storage.write_errors(out, result.errors())
    return result
