"""Intervals and comparisons: bootstrap over images, paired tests.

Everything is float64 and a matrix product: draws are rows of weights, a block of them
at a time, so that 2000 draws of 50,000 images never lie in memory at once.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np

RESAMPLES = 2000
PERMUTATIONS = 9999
BLOCK_BYTES = 8 * 2**20
FLOAT32 = 1e-6
"""Rounding of stored values, relative to them: differences below it are none."""
CACHED = 2**16
"""Counters that a processor's cache holds."""

Reduce = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From values `[n, ...]` and weights `[R, n]` to a number for each row of weights."""

Interval = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Estimate, lower end, upper end."""


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the rows that are not NaN; NaN where none has weight.

    Args:
      values: float[n] or float[n, K], every column with rows of its own undefined.
      weights: float[R, n].

    Returns:
      float64[R] or float64[R, K].
    """
    defined = ~np.isnan(values)
    sums = weights @ np.where(defined, values, 0.0).astype(np.float64)
    return ratio(sums, weights @ defined.astype(np.float64))


def cluster_sums(
    values: np.ndarray, clusters: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the rows of each cluster that are not NaN, and how many those are.

    Args:
      values: float[n].
      clusters: int[n], in [0, count).
      count: Number of clusters.

    Returns:
      float64[count] and float64[count].
    """
    defined = ~np.isnan(values)
    sums = np.bincount(clusters, np.where(defined, values, 0.0), minlength=count)
    return sums, np.bincount(clusters, defined, minlength=count)


def draws(
    count: int, *, resamples: int = RESAMPLES, seed: int = 0, columns: int = 1
) -> Iterator[np.ndarray]:
    """How often each cluster is drawn, resample after resample.

    The draws depend on the number of clusters and the seed alone, so that methods and
    metrics over the same images are resampled alike.

    Args:
      count: Number of clusters.
      resamples: Number of resamples.
      seed: Of the draws.
      columns: How many arrays of the blocks' size a caller makes of each block.

    Yields:
      float64[r, count] in blocks that add up to `resamples` rows.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, CACHED // max(count, 1))
    for size in _block_sizes(resamples, count * max(columns, 1)):
        block = np.empty((size, count))
        for start in range(0, size, at_once):
            rows = block[start : start + at_once]
            drawn = rng.integers(0, count, rows.shape)
            drawn += count * np.arange(len(rows))[:, None]
            times = np.bincount(drawn.ravel(), minlength=rows.size)
            rows[:] = times.reshape(rows.shape)
        yield block


def bootstrap_means(
    sums: np.ndarray,
    counts: np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Means with percentile bootstrap intervals, all columns under the same draws.

    A mean is the sum of the drawn clusters over the number of their defined rows. An
    interval says nothing about what never occurred: where all rows agree it has no
    width.

    Percentiles rather than BCa: they hold for every reduction alike (a maximum over
    thresholds has no smooth jackknife) and never leave a metric's range. Where BCa can
    be had it gains nothing here: in simulations with 40 images (normal, exponential,
    hits at 10 and 30 %) nominal 95 % covered 93 to 96 %, BCa 92 to 97 %; with 20 images
    of the skewed kinds both fall to about 87 to 91 %.

    Args:
      sums: float64[C, K], of the defined rows of each cluster.
      counts: float64[C, K], how many those are.
      level: Probability that the interval is to cover.
      resamples: Number of resamples.
      seed: Of the draws.

    Returns:
      float64[K] three times. The estimate is NaN without a defined row; the ends are
      NaN with fewer than two clusters that have one, or where a value is infinite.

    Cost: O(resamples x C x K).
    """
    estimate = ratio(sums.sum(axis=0), counts.sum(axis=0))
    drawable = np.isfinite(estimate) & (np.count_nonzero(counts, axis=0) > 1)
    low, high = np.full((2, len(estimate)), np.nan)
    if drawable.any():
        if not drawable.all():  # A copy of a large data set is worth avoiding.
            sums, counts = sums[:, drawable], counts[:, drawable]
        means = drawn_means(sums, counts, resamples=resamples, seed=seed)
        low[drawable], high[drawable] = percentiles(means[1:], level)
    return estimate, low, high


def drawn_means(
    sums: np.ndarray, counts: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Means of the data, then of each resample.

    Args:
      sums: float64[C, K], of the defined rows of each cluster.
      counts: float64[C, K], how many those are.
      resamples: Number of resamples.
      seed: Of the draws.

    Returns:
      float64[1 + resamples, K]; NaN where a resample holds no defined row.
    """
    pattern, column_of = _distinct_columns(counts)
    blocks = draws(len(sums), resamples=resamples, seed=seed)
    weights = itertools.chain([np.ones((1, len(sums)))], blocks)
    return np.concatenate(
        [ratio(block @ sums, (block @ pattern)[:, column_of]) for block in weights]
    )


def drawn(
    reduce: Callable[[np.ndarray], np.ndarray],
    clusters: np.ndarray,
    *,
    count: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Any quantity of the data, then of each resample.

    Args:
      reduce: From weights of the rows `[R, n]` to the quantity `[R, ...]`.
      clusters: int[n], 0 ... C - 1: rows that are resampled together.
      count: C, if there are clusters without a row here.
      resamples: Number of resamples.
      seed: Of the draws.

    Returns:
      float[1 + resamples, ...].
    """
    if count is None:
        count = int(clusters.max(initial=-1)) + 1
    found = [np.asarray(reduce(np.ones((1, len(clusters)))))]
    for block in draws(count, resamples=resamples, seed=seed, columns=4):
        found.append(np.asarray(reduce(block[:, clusters])))
    return np.concatenate(found)


def bootstrap(
    values: np.ndarray,
    clusters: np.ndarray,
    *,
    count: int | None = None,
    reduce: Reduce = weighted_mean,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """An estimate with its percentile bootstrap interval, for any reduction.

    Args:
      values: float[n, ...], one row an image and target.
      clusters: int[n], 0 ... C - 1: rows that are resampled together.
      count: C, if there are clusters without a row here.
      reduce: From rows and weights to one quantity, or to several at once.
      level: Probability that the interval is to cover.
      resamples: Number of resamples.
      seed: Of the draws.

    Returns:
      Estimate, lower and upper end: one number each, or as many as `reduce` gives; NaN
      where no row is defined, the ends also with fewer than two clusters that have one.
    """
    values = np.asarray(values)
    defined = ~np.isnan(values).reshape(len(values), -1).all(axis=1)
    few = len(np.unique(clusters[defined])) < 2
    found = drawn(
        functools.partial(reduce, values),
        clusters,
        count=count,
        resamples=0 if few else resamples,
        seed=seed,
    )
    estimate = found[0]
    if few:
        ends = np.full(np.shape(estimate), np.nan)
        return estimate, ends, ends
    low, high = percentiles(found[1:], level)
    finite = np.isfinite(estimate)
    return estimate, np.where(finite, low, np.nan), np.where(finite, high, np.nan)


def signs(
    count: int, *, permutations: int = PERMUTATIONS, seed: int = 0, columns: int = 1
) -> Iterator[np.ndarray]:
    """Random signs, or every vector of signs once if there are no more of those.

    Yields:
      float64[r, count] of -1 and 1, in blocks.
    """
    rng = np.random.default_rng(seed)
    exact = all_signs(count, permutations)
    total = 2**count if exact else permutations
    done = 0
    for size in _block_sizes(total, count * max(columns, 1)):
        if exact:
            bits = (np.arange(done, done + size)[:, None] >> np.arange(count)) & 1
        else:
            words = rng.bit_generator.random_raw(size * -(-count // 64))
            drawn = np.unpackbits(words.astype("<u8").view(np.uint8))
            bits = drawn.reshape(size, -1)[:, :count]
        done += size
        yield 1.0 - 2.0 * bits


def all_signs(count: int, permutations: int) -> bool:
    """Whether a test of this size goes through every vector of signs."""
    return count < 30 and 2**count <= permutations


def sign_flip_test(
    differences: np.ndarray, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> np.ndarray:
    """Two-sided p-values of paired differences under random signs.

    If the two members of each pair could as well be exchanged, every sign is as likely
    as the other; the p-value is the share of sign vectors whose sum is at least as far
    from zero as the sum observed. With few pairs all sign vectors are gone through.

    Args:
      differences: float[C] or float[C, K], a column a test; sums of the differences of
        one cluster, which change sign together. NaN counts as no difference.
      permutations: Number of random sign vectors.
      seed: Of the signs.

    Returns:
      float64[] or float64[K]: exact, or (1 + extreme) / (1 + permutations); NaN for a
      column without a defined difference.

    Source: Fisher, The Design of Experiments, 1935, section 21; the added one after
    Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9,
    2010.
    """
    table = np.asarray(differences, np.float64)
    columns = table.reshape(len(table), -1)
    defined = ~np.isnan(columns)
    columns = np.where(defined, columns, 0.0)
    observed = np.abs(columns.sum(axis=0))
    # Sums of the same numbers in another order are equal up to rounding.
    rounding = 1e-12 * np.abs(columns).sum(axis=0)
    extreme = np.zeros(columns.shape[1])
    for block in signs(len(columns), permutations=permutations, seed=seed):
        extreme += np.sum(np.abs(block @ columns) >= observed - rounding, axis=0)
    return np.where(
        defined.any(axis=0), _p_value(extreme, len(columns), permutations), np.nan
    ).reshape(table.shape[1:])


def exchange_test(
    first: np.ndarray,
    second: np.ndarray,
    clusters: np.ndarray,
    *,
    reduce: Reduce,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> float:
    """The sign-flip test for a quantity of the whole data set.

    Rows of the two methods are exchanged, cluster by cluster, and the quantity is
    computed anew. For a mean it is `sign_flip_test`.

    Args:
      first: float[n, ...], rows of one method.
      second: float[n, ...], rows of the other.
      clusters: int[n], 0 ... C - 1: rows that are exchanged together.
      reduce: From rows and weights to the quantity.
      permutations: Number of random exchanges.
      seed: Of the exchanges.

    Returns:
      Two-sided p-value; NaN if the quantity is undefined.
    """
    both, n = np.concatenate([first, second]), len(first)
    count = int(clusters.max(initial=-1)) + 1

    def differences(kept: np.ndarray) -> np.ndarray:
        straight = np.concatenate([kept, 1.0 - kept], axis=1)
        crossed = np.concatenate([1.0 - kept, kept], axis=1)
        return np.abs(reduce(both, straight) - reduce(both, crossed))

    observed = differences(np.ones((1, n)))[0]
    if not np.isfinite(observed):
        return np.nan
    blocks = signs(count, permutations=permutations, seed=seed, columns=6)
    threshold = observed - 1e-12 * max(observed, 1.0)
    extreme = sum(
        np.sum(differences((block[:, clusters] + 1) / 2) >= threshold)
        for block in blocks
    )
    return float(_p_value(extreme, count, permutations))


def _p_value(extreme: np.ndarray, count: int, permutations: int) -> np.ndarray:
    if all_signs(count, permutations):
        return np.asarray(extreme / 2**count)
    return np.asarray((extreme + 1) / (permutations + 1))


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values corrected for their number by Holm's step-down procedure.

    NaN stays NaN and is no test.

    >>> print(holm(np.array([0.01, 0.04, 0.03])))
    [0.03 0.06 0.06]
    """
    p_values = np.asarray(p_values, np.float64)
    corrected = np.full(p_values.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected


def paired_effect_size(differences: np.ndarray) -> float:
    """Mean of paired differences over their standard deviation (Cohen's d_z).

    NaN below two defined differences, or if all are equal.
    """
    kept = np.asarray(differences, np.float64)
    kept = kept[~np.isnan(kept)]
    if len(kept) < 2 or np.ptp(kept) == 0 or not np.all(np.isfinite(kept)):
        return np.nan
    return float(kept.mean() / kept.std(ddof=1))


def drawn_effect_sizes(
    differences: np.ndarray,
    clusters: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Mean over standard deviation of paired differences, of the data and resamples.

    Args:
      differences: float[n, K], a column an effect size; NaN where undefined.
      clusters: int[n], 0 ... C - 1: rows that are resampled together.
      resamples: Number of resamples.
      seed: Of the draws.

    Returns:
      float64[1 + resamples, K]; NaN with fewer than two defined rows or where all are
      equal, as `paired_effect_size` has it, here up to the rounding of float32.

    Cost: O(resamples x C x K).
    """
    values = np.asarray(differences, np.float64)
    count = int(clusters.max(initial=-1)) + 1
    held = ~np.isnan(values)
    rows = np.maximum(held.sum(axis=0), 1)
    shift = np.where(held, values, 0.0).sum(axis=0) / rows
    # Squares of what is left around the mean do not cancel.
    centred = np.where(held, values - shift, 0.0)
    member = np.zeros((count, len(values)))
    member[clusters, np.arange(len(values))] = 1.0
    sums, squares = member @ centred, member @ np.square(centred)
    counts = member @ held.astype(np.float64)
    rounding = np.square(FLOAT32 * np.abs(np.where(held, values, 0.0)).max(axis=0))
    found = []
    blocks = draws(count, resamples=resamples, seed=seed, columns=4)
    for weights in itertools.chain([np.ones((1, count))], blocks):
        n = weights @ counts
        mean = ratio(weights @ sums, n)
        variance = ratio(weights @ squares - n * np.square(mean), n - 1)
        variance = np.where((n > 1) & (variance > rounding), variance, np.nan)
        found.append((mean + shift) / np.sqrt(variance))
    return np.concatenate(found)


def win_rate(differences: np.ndarray) -> float:
    """Share of differences that are positive, ties counted half; NaN for none."""
    kept = differences[~np.isnan(differences)]
    if not len(kept):
        return np.nan
    return float(np.mean((kept > 0) + 0.5 * (kept == 0)))


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """`numerator / denominator`, NaN where that is x / 0."""
    nan = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    return np.divide(numerator, denominator, out=nan, where=denominator != 0)


def _distinct_columns(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different columns `[C, k]`, and which of them each column is."""
    found: dict[bytes, int] = {}
    which = [
        found.setdefault(column.tobytes(), len(found))
        for column in np.ascontiguousarray(columns.T)
    ]
    firsts = [which.index(number) for number in range(len(found))]
    return columns[:, firsts], np.array(which, np.intp)


def percentiles(drawn: np.ndarray, level: float) -> np.ndarray:
    """Both ends `[2, ...]` of what draws along the first axis gave, NaN left out."""
    tail = (1 - level) / 2
    lost = np.isnan(drawn).all(axis=0)
    ends = np.nanquantile(np.where(lost, 0.0, drawn), [tail, 1 - tail], axis=0)
    return np.where(lost, np.nan, ends)


def _block_sizes(total: int, columns: int) -> Iterator[int]:
    size = max(1, BLOCK_BYTES // (8 * max(columns, 1)))
    for start in range(0, total, size):
        yield min(size, total - start)
