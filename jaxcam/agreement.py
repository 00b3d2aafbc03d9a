"""Which metrics agree: the orders in which they put methods and images."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jaxcam import comparison, correlations, statistics, summaries

NAMES = {"spearman": "Spearman's rho.", "kendall": "Kendall's tau-b."}

CLOSE = 0.5
"""Two metrics whose whole interval lies above are said to agree."""

KENDALL_ROWS = 2000
"""Above so many images Kendall's tau between metrics takes too much memory."""


def rank_agreement(
    runs: comparison.Runs,
    *,
    over: Literal["methods", "images"] = "methods",
    coefficient: Literal["kendall", "spearman"] = "kendall",
    metrics: Sequence[str] | None = None,
    floors: bool = False,
    level: float = 0.95,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
    cluster: str = "id",
) -> list[dict[str, Any]]:
    """Whether two metrics rank the same way: every pair of metrics.

    Values are turned so that larger is better; metrics without a direction are taken
    as they are. 1 means that two metrics agree, -1 that they contradict each other.

    Args:
      runs: One or several results or run directories over the same data, as in
        `jaxcam.compare`; the methods of all of them are ranked together.
      over: "methods" compares the orders in which the metrics' means put the methods;
        "images" those in which their values put the images, method by method, and
        averages over the methods.
      coefficient: "kendall" is tau-b, "spearman" rho; ties count in both.
      metrics: Which; by default all that the runs share and that are means over images.
      floors: Whether floors and ceiling are ranked as well.
      level: Probability that the intervals are to cover, in (0, 1).
      resamples: Of the bootstrap over images.
      seed: Of the bootstrap.
      cluster: Column whose equal rows are drawn together.

    Returns:
      Records with `a`, `b`, `estimate` in [-1, 1], `low`, `high`, and `n`: the methods
      for which both metrics have a mean; or the fewest images of a method for which
      both are defined, where a method with fewer than three such images is left out.
      NaN where fewer than three methods, or no method, are left, or a metric is
      constant.

    Raises:
      FileNotFoundError: A directory holds no run.
      ValueError: There are fewer than three methods to rank; a metric is of the whole
        data set; or there are too many images for Kendall's tau.

    Cost: over methods, a bootstrap of means. Over images O(metrics^2 x methods x
    resamples x n) with rho, and n times that with tau.

    >>> rows = {"index": [0] * 3, "id": ["a"] * 3, "method": ["x", "y", "z"]}
    >>> rows |= {"dice": [0.1, 0.2, 0.3], "recall": [0.9, 0.8, 0.7]}
    >>> [record] = rank_agreement(jaxcam.results.Result.from_columns(rows))
    >>> record["estimate"], record["n"]  # Opposite orders of three methods.
    (-1.0, 3)
    """
    choices = {"kendall", "spearman"}
    if coefficient not in choices or over not in ("methods", "images"):
        raise ValueError(
            f"over={over!r}, coefficient={coefficient!r} is not known; choose methods "
            "or images, kendall or spearman."
        )
    opened = comparison.opened(runs)
    known = {m for r in opened.values() for m in r.methods if r.is_floor(m)}
    sides = comparison.sides(opened, floors=sorted(known) if floors else ())
    made = [side.result for side in sides.values()]
    if metrics is None:
        metrics = comparison.shared_metrics(made, None)
        metrics = [m for m in metrics if summaries.reduction(made[0], m) is None]
    whole = [m for m in metrics if summaries.reduction(made[0], m) is not None]
    if whole:
        raise ValueError(f"{whole[0]} is no mean over images; leave it out.")
    ranked = _Ranked(sides, next(iter(sides.values())).clusters(cluster))
    options = {"resamples": resamples, "seed": seed}
    if over == "methods":
        return _over_methods(ranked, metrics, coefficient, level, options)
    return _over_images(ranked, metrics, coefficient, level, options)


@dataclasses.dataclass(frozen=True)
class _Ranked:
    """What is put in order: methods, on rows that are drawn by cluster."""

    sides: Mapping[str, comparison.Side]
    clusters: np.ndarray

    @property
    def count(self) -> int:
        return int(self.clusters.max(initial=-1)) + 1

    def values(self, side: comparison.Side, metric: str) -> np.ndarray:
        """Larger is better."""
        return side.values(metric) * (side.result.direction(metric) or 1)


def _over_methods(
    ranked: _Ranked,
    metrics: Sequence[str],
    coefficient: str,
    level: float,
    options: Mapping[str, int],
) -> list[dict[str, Any]]:
    if len(ranked.sides) < 3:
        raise ValueError(
            f"An order of {len(ranked.sides)} methods says nothing; evaluate at least "
            "three methods, or take over='images'."
        )
    correlate = getattr(correlations, coefficient)
    means = {}
    for metric in metrics:
        sums, held = np.empty((2, ranked.count, len(ranked.sides)))
        for column, side in enumerate(ranked.sides.values()):
            sums[:, column], held[:, column] = statistics.cluster_sums(
                ranked.values(side, metric), ranked.clusters, ranked.count
            )
        means[metric] = statistics.drawn_means(sums, held, **options)
    records = []
    for a, b in itertools.combinations(metrics, 2):
        kept = ~np.isnan(means[a][0]) & ~np.isnan(means[b][0])
        found = np.full(2, np.nan)
        if kept.sum() > 2:
            found = correlate(means[a][:, kept], means[b][:, kept])
        low, high = statistics.percentiles(found[1:], level)
        records.append(_agreement(a, b, found[0], low, high, int(kept.sum())))
    return records


def _over_images(
    ranked: _Ranked,
    metrics: Sequence[str],
    coefficient: str,
    level: float,
    options: Mapping[str, int],
) -> list[dict[str, Any]]:
    if coefficient == "kendall" and len(ranked.clusters) > KENDALL_ROWS:
        raise ValueError(
            f"Kendall's tau over more than {KENDALL_ROWS} images takes too much "
            "memory; choose coefficient='spearman'."
        )
    correlate = getattr(correlations, f"weighted_{coefficient}")
    read = {
        (name, metric): ranked.values(side, metric)
        for name, side in ranked.sides.items()
        for metric in metrics
    }
    records = []
    for a, b in itertools.combinations(metrics, 2):
        found, images = [], []
        for name in ranked.sides:
            x, y = read[name, a], read[name, b]
            kept = ~np.isnan(x) & ~np.isnan(y)
            if kept.sum() < 3:
                continue
            images.append(int(kept.sum()))
            found.append(
                statistics.drawn(
                    functools.partial(correlate, x[kept], y[kept]),
                    ranked.clusters[kept],
                    count=ranked.count,
                    **options,
                )
            )
        if not found:
            records.append(_agreement(a, b, np.nan, np.nan, np.nan, 0))
            continue
        average = np.mean(found, axis=0)
        low, high = statistics.percentiles(average[1:], level)
        records.append(_agreement(a, b, average[0], low, high, min(images)))
    return records


def _agreement(
    a: str, b: str, estimate: float, low: float, high: float, n: int
) -> dict[str, Any]:
    ends = {"estimate": estimate, "low": low, "high": high}
    return {"a": a, "b": b, **{k: float(v) for k, v in ends.items()}, "n": n}


def overview(
    runs: comparison.Runs,
    *,
    metrics: Sequence[str] | None = None,
    coefficients: Sequence[Literal["kendall", "spearman"]] = ("spearman",),
    **options: Any,
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Agreement over images and over methods, wherever it can be had.

    Args:
      runs: As in `rank_agreement`.
      metrics: As in `rank_agreement`; those of the whole data set are left out.
      coefficients: Which. Kendall's tau over too many images is left out.
      options: Of `rank_agreement`.

    Returns:
      Records by ("images" or "methods", coefficient); over methods from three on.
    """
    opened = comparison.opened(runs)
    sides = comparison.sides(opened)
    first = next(iter(sides.values()))
    metrics = comparison.shared_metrics([s.result for s in sides.values()], metrics)
    means = [m for m in metrics if summaries.reduction(first.result, m) is None]
    found = {}
    for over in ("images", "methods") if len(means) > 1 else ():
        for coefficient in coefficients:
            many = over == "images" and len(first.rows) > KENDALL_ROWS
            few = over == "methods" and len(sides) < 3
            if few or (many and coefficient == "kendall"):
                continue
            chosen = {"over": over, "coefficient": coefficient, "metrics": means}
            records = rank_agreement(opened, **chosen, **options)
            found[over, coefficient] = records
    return found


def verdict(record: Mapping[str, Any]) -> str:
    """What an interval of a correlation says of two metrics.

    Args:
      record: As `rank_agreement` gives it.

    Returns:
      "agree" if the whole interval lies above one half, "lean together" if only above
      0, "contradict" if below 0, "unclear" if 0 lies inside, "undefined" without one.

    >>> verdict({"estimate": 0.7, "low": 0.6, "high": 0.8})
    'agree'
    >>> verdict({"estimate": -0.2, "low": -0.4, "high": 0.1})
    'unclear'
    """
    low, high = record["low"], record["high"]
    if math.isnan(low) or math.isnan(high):
        return "undefined"
    if low > 0:
        return "agree" if low > CLOSE else "lean together"
    return "contradict" if high < 0 else "unclear"


def in_words(records: Sequence[Mapping[str, Any]], *, most: int = 5) -> list[str]:
    """Sentences: which metrics agree, which contradict each other, which are unclear.

    Args:
      records: As `rank_agreement` gives them.
      most: Pairs named in a sentence, the clearest first; the others are counted.

    >>> in_words([{"a": "x", "b": "y", "estimate": -0.4, "low": -0.6, "high": -0.1}])
    ['Contradict each other (interval below 0): x and y (-0.40).']
    """
    heads = {
        "agree": f"Agree (interval above {CLOSE:g})",
        "contradict": "Contradict each other (interval below 0)",
    }
    found: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        found.setdefault(verdict(record), []).append(record)
    lines = []
    for kind, head in heads.items():
        some = sorted(found.get(kind, ()), key=lambda r: -abs(r["estimate"]))
        named = [f"{r['a']} and {r['b']} ({r['estimate']:.2f})" for r in some[:most]]
        if len(some) > most:
            more = len(some) - most
            named.append(f"and {more} more pair{'s' if more > 1 else ''}")
        if named:
            lines.append(f"{head}: {'; '.join(named)}.")
    counted = [
        f"{len(found[kind])} {'pair' if len(found[kind]) == 1 else 'pairs'} {said}"
        for kind, said in (
            ("lean together", "lean together (interval above 0)"),
            ("unclear", "cannot be told (0 lies in the interval)"),
            ("undefined", "without a value"),
        )
        if kind in found
    ]
    rest = [f"{'Besides, ' if lines else ''}{', '.join(counted)}."] if counted else []
    return lines + rest
