"""Comparison of methods on the same images: paired intervals, tests, effect sizes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxcam import results, statistics, summaries

Runs = (
    results.Result
    | str
    | Path
    | Sequence[results.Result | str | Path]
    | Mapping[str, results.Result | str | Path]
)

_BYTES_AT_ONCE = 2**27
"""Of the differences that are drawn together, several copies of which are made."""


@dataclasses.dataclass(frozen=True)
class Side:
    """A method of a result, on the rows that all sides share.

    Attributes:
      result: The result.
      method: What the result calls the method.
      rows: int[n], of the method's rows, those shared, in one order for all sides.
    """

    result: results.Result
    method: str
    rows: np.ndarray

    def values(self, metric: str) -> np.ndarray:
        """float64[n] or float64[n, T] on the shared rows; NaN on invalid ones."""
        positions = self.result.rows_of(self.method)
        values = self.result.values(metric, self.method).astype(np.float64)
        values[~self.result.valid[positions]] = np.nan
        return values[self.rows]

    def clusters(self, column: str = "id") -> np.ndarray:
        """int[n], 0 ... C - 1, equal for shared rows that are drawn together."""
        positions = self.result.rows_of(self.method)[self.rows]
        found = self.result.clusters_by(column)[positions]
        return np.unique(found, return_inverse=True)[1]


def compare(
    runs: Runs,
    *,
    metrics: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    floors: Sequence[str] = (results.FLOOR,),
    family: Literal["metric", "all"] = "metric",
    level: float = 0.95,
    resamples: int = statistics.RESAMPLES,
    permutations: int = statistics.PERMUTATIONS,
    seed: int = 0,
    cluster: str = "id",
) -> list[dict[str, Any]]:
    """Every pair of methods on the same images, metric by metric.

    Paired throughout: intervals come from draws of images that both methods share, the
    p-value from exchanging the two methods' values image by image. Rows that are
    undefined for either method are left out of their pair.

    Args:
      runs: One or several results or run directories over the same data; a mapping
        names them. Methods of several runs are called `method @ run`.
      metrics: Which; by default all that the runs share and that are one number.
      methods: Which; by default all that are no floors.
      floors: Floors that each method is compared with as well.
      family: Holm's correction covers the pairs of each "metric", or "all" records.
        All is the stricter; with many metrics it needs more permutations, since no
        p-value is below 1 / (permutations + 1).
      level: Probability that the intervals are to cover, in (0, 1).
      resamples: Of the bootstrap.
      permutations: Of the test.
      seed: Of bootstrap and test.
      cluster: Column whose equal rows are drawn and exchanged together.

    Returns:
      Records with `metric`, `a`, `b`, the `difference` a - b in the metric's unit with
      `low` and `high`, `p_value`, `p_holm`, `effect_size` (mean over standard
      deviation of the images' differences; NaN for a metric of the whole data set),
      `win_rate` of a (ties half; NaN there too, and where no direction is better),
      `n`, `direction`, and `better`: a, b or "" where they are equal.

    Raises:
      FileNotFoundError: A directory holds no run.
      ValueError: The runs are over other data, have no metric in common, or there are
        no two methods to compare.

    >>> rows = {"index": [0, 0, 1, 1], "id": ["a", "a", "b", "b"]}
    >>> rows["method"] = ["cam", "grad_cam"] * 2
    >>> run = jaxcam.results.Result.from_columns(rows | {"dice": [0.5, 0.75, 0.5, 0.5]})
    >>> record = compare(run)[0]
    >>> record["difference"], record["win_rate"]  # One loss, one tie.
    (-0.125, 0.25)
    """
    found = sides(runs, methods=methods, floors=floors)
    pairs = _pairs(found, floors)
    names = shared_metrics([side.result for side in found.values()], metrics)
    clusters = next(iter(found.values())).clusters(cluster)
    options = {"level": level, "resamples": resamples, "seed": seed}
    result = next(iter(found.values())).result
    reductions = {metric: summaries.reduction(result, metric) for metric in names}
    directions = {metric: result.direction(metric) for metric in names}
    rows: dict[str, list[dict[str, Any]]] = {}
    for some in _together([m for m in names if reductions[m] is None], found, pairs):
        values = {m: {name: s.values(m) for name, s in found.items()} for m in some}
        rows |= _means_compared(
            values, pairs, clusters, options, permutations, directions
        )
    for metric in names:
        if (reduce := reductions[metric]) is not None:
            values = {
                name: side.values(metric).reshape(len(side.rows), -1)
                for name, side in found.items()
            }
            rows[metric] = _reduced_compared(
                values, pairs, clusters, reduce, options, permutations
            )
    records = [
        {"metric": metric, "a": a, "b": b, **row}
        | _verdict(directions[metric], row["difference"], a, b)
        for metric in names
        for (a, b), row in zip(pairs, rows[metric], strict=True)
    ]
    return _corrected(records, family)


def _corrected(
    records: list[dict[str, Any]], family: Literal["metric", "all"]
) -> list[dict[str, Any]]:
    if family not in ("metric", "all"):
        raise ValueError(f"family={family!r} is not known; choose 'metric' or 'all'.")
    corrected: dict[int, float] = {}
    families = (
        [list(range(len(records)))]
        if family == "all"
        else [
            [i for i, record in enumerate(records) if record["metric"] == metric]
            for metric in dict.fromkeys(record["metric"] for record in records)
        ]
    )
    for some in families:
        adjusted = statistics.holm(np.array([records[i]["p_value"] for i in some]))
        corrected.update(zip(some, map(float, adjusted), strict=True))
    return [record | {"p_holm": corrected[i]} for i, record in enumerate(records)]


def _together(
    metrics: Sequence[str],
    sides: Mapping[str, Side],
    pairs: Sequence[tuple[str, str]],
) -> Iterator[Sequence[str]]:
    """Metrics whose draws and signs are made once for all, as memory allows."""
    images = len(next(iter(sides.values())).rows)
    width = max(1, _BYTES_AT_ONCE // (8 * max(images * len(pairs), 1)))
    for start in range(0, len(metrics), width):
        yield metrics[start : start + width]


def _verdict(direction: int, difference: float, a: str, b: str) -> dict[str, Any]:
    gain = direction * difference
    return {
        "direction": direction,
        "better": a if gain > 0 else b if gain < 0 else "",
    }


def _means_compared(
    values: Mapping[str, Mapping[str, np.ndarray]],
    pairs: Sequence[tuple[str, str]],
    clusters: np.ndarray,
    options: Mapping[str, Any],
    permutations: int,
    directions: Mapping[str, int],
) -> dict[str, list[dict[str, Any]]]:
    """What is known of each pair, for metrics that are means over rows."""
    count = int(clusters.max()) + 1
    asked = [(metric, a, b) for metric in values for a, b in pairs]
    sums, held = np.empty((2, count, len(asked)))
    for column, (metric, a, b) in enumerate(asked):
        difference = values[metric][a] - values[metric][b]
        sums[:, column], held[:, column] = statistics.cluster_sums(
            difference, clusters, count
        )
    estimate, low, high = statistics.bootstrap_means(sums, held, **options)
    p_values = statistics.sign_flip_test(
        np.where(held > 0, sums, np.nan),
        permutations=permutations,
        seed=options["seed"],
    )
    means = np.divide(sums, held, out=np.full_like(sums, np.nan), where=held > 0)
    rows: dict[str, list[dict[str, Any]]] = {metric: [] for metric in values}
    for k, (metric, _, _) in enumerate(asked):
        direction = directions[metric]
        rows[metric].append(
            {
                "difference": float(estimate[k]),
                "low": float(low[k]),
                "high": float(high[k]),
                "p_value": float(p_values[k]),
                "effect_size": statistics.paired_effect_size(means[:, k]),
                "win_rate": (
                    statistics.win_rate(direction * means[:, k])
                    if direction
                    else np.nan
                ),
                "n": int(held[:, k].sum()),
            }
        )
    return rows


_EQUAL = dict.fromkeys(("difference", "low", "high"), 0.0) | {
    "p_value": 1.0,
    "effect_size": np.nan,
    "win_rate": np.nan,
}
"""Of two methods whose values are the same: nothing has to be drawn."""


def _reduced_compared(
    values: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[str, str]],
    clusters: np.ndarray,
    reduce: statistics.Reduce,
    options: Mapping[str, Any],
    permutations: int,
) -> list[dict[str, Any]]:
    rows = []
    for a, b in pairs:
        both = np.concatenate([values[a], values[b]], axis=1)
        kept = ~np.isnan(both).any(axis=1)
        if kept.any() and np.array_equal(values[a][kept], values[b][kept]):
            rows.append(_EQUAL | {"n": int(kept.sum())})
            continue
        width = values[a].shape[1]

        def difference(
            both: np.ndarray, weights: np.ndarray, width: int = width
        ) -> np.ndarray:
            one, other = both[:, :width], both[:, width:]
            return reduce(one, weights) - reduce(other, weights)

        estimate, low, high = statistics.bootstrap(
            both[kept],
            clusters[kept],
            count=int(clusters.max()) + 1,
            reduce=difference,
            **options,
        )
        p_value = statistics.exchange_test(
            values[a][kept],
            values[b][kept],
            clusters[kept],
            reduce=reduce,
            permutations=permutations,
            seed=options["seed"],
        )
        rows.append(
            {
                "difference": float(estimate),
                "low": float(low),
                "high": float(high),
                "p_value": p_value,
                "effect_size": np.nan,
                "win_rate": np.nan,
                "n": int(kept.sum()),
            }
        )
    return rows


def sides(
    runs: Runs, *, methods: Sequence[str] | None = None, floors: Sequence[str] = ()
) -> dict[str, Side]:
    """Methods of runs over the same data by name, on the rows that all of them have.

    Args:
      runs: As in `compare`.
      methods: Which; by default all that are no floors.
      floors: Floors to be among them.

    Raises:
      ValueError: The runs are over other data or mean other things by their metrics;
        no run has a method; or the methods share no row.
    """
    found = opened(runs)
    _same_definitions(found)
    chosen: dict[str, tuple[results.Result, str]] = {}
    for label, result in found.items():
        for method in result.methods:
            named = methods is None and not result.is_floor(method)
            if named or method in floors or method in (methods or ()):
                name = method if len(found) == 1 else f"{method} @ {label}"
                chosen[name] = result, method
    unknown = set(methods or ()) - {method for _, method in chosen.values()}
    if unknown:
        raise ValueError(f"No run has the method {min(unknown)!r}.")
    keys = {name: _row_keys(*side) for name, side in chosen.items()}
    shared = set.intersection(*map(set, keys.values())) if keys else set()
    if not shared:
        raise ValueError("There are no two methods on the same images to compare.")
    order = [key for key in next(iter(keys.values())) if key in shared]
    made = {}
    for name, (result, method) in chosen.items():
        place = {key: row for row, key in enumerate(keys[name])}
        rows = np.array([place[key] for key in order], np.intp)
        made[name] = Side(result, method, rows)
    return made


def _row_keys(result: results.Result, method: str) -> list[tuple[str, int]]:
    """Image of each row, and which of the image's rows it is."""
    seen: dict[str, int] = {}
    keys = []
    for image in result.columns["id"][result.rows_of(method)].tolist():
        seen[image] = seen.get(image, -1) + 1
        keys.append((image, seen[image]))
    return keys


def opened(runs: Runs) -> dict[str, results.Result]:
    """Results by name: the one given, the model's, or the directory's.

    Raises:
      FileNotFoundError: A directory holds no run.
      ValueError: No run is named, or a run has no finished shard.
    """
    if isinstance(runs, results.Result | str | Path):
        runs = [runs]
    if isinstance(runs, Mapping):
        return {name: _open(run) for name, run in runs.items()}
    made = [_open(run) for run in runs]
    if not made:
        raise ValueError("Name at least one run directory.")
    models = [
        str((r.manifest["scientific"].get("model") or {}).get("name", "run"))
        for r in made
    ]
    if len(set(models)) == len(models):
        return dict(zip(models, made, strict=True))
    numbered = list(zip(runs, models, range(1, len(models) + 1), strict=True))
    for name_of in (lambda run: run.name, str):
        names = [
            name_of(Path(run)) if isinstance(run, str | Path) else f"{model} {number}"
            for run, model, number in numbered
        ]
        if len(set(names)) == len(names):
            return dict(zip(names, made, strict=True))
    raise ValueError("A run is named twice; name each once, or map names to runs.")


def _open(run: results.Result | str | Path) -> results.Result:
    return run if isinstance(run, results.Result) else results.load_run(run)


def _same_definitions(runs: Mapping[str, results.Result]) -> None:
    """Refuses runs over other data, or whose metrics mean something else."""
    (first, one), *others = runs.items()
    for label, other in others:
        there, here = (r.manifest["scientific"] for r in (one, other))
        for name, a, b in (
            ("data", _fingerprint(there), _fingerprint(here)),
            *((key, there.get(key), here.get(key)) for key in _DEFINING),
        ):
            if a != b and a is not None and b is not None:
                raise ValueError(
                    f"{first} and {label} cannot be compared: {name} differs, {a} and "
                    f"{b}. Evaluate them on the same data with the same settings."
                )


_DEFINING = ("preset", "border", "normalization")


def _fingerprint(scientific: Mapping[str, Any]) -> str | None:
    return (scientific.get("data") or {}).get("fingerprint")


def _pairs(sides: Mapping[str, Side], floors: Sequence[str]) -> list[tuple[str, str]]:
    """Methods with each other, and with the floors of their own run."""
    own = [name for name, side in sides.items() if side.method not in floors]
    floor = [name for name, side in sides.items() if side.method in floors]
    pairs = list(itertools.combinations(own, 2))
    pairs += [
        (a, b)
        for a, b in itertools.product(own, floor)
        if sides[a].result is sides[b].result
    ]
    if not pairs:
        raise ValueError("There are no two methods on the same images to compare.")
    return pairs


def shared_metrics(
    found: Sequence[results.Result], metrics: Sequence[str] | None
) -> list[str]:
    """Metrics that every result has and that are one number."""
    first, *others = found
    if metrics is not None:
        return list(metrics)
    shared = [
        metric
        for metric in first.metrics
        if summaries.is_number(first, metric)
        and all(metric in other.metrics for other in others)
    ]
    if not shared:
        raise ValueError("The runs have no metric in common.")
    return shared
