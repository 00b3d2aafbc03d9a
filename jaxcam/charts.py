"""Figures of results: distributions, curves, boxes against masks, correlations.

Needs matplotlib, the extra `viz`; keeps no state. Colours are told apart by people who
do not see all of them: lines take those of Okabe and Ito, matrices a map that is even
in lightness.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcam import _spec, boxes_and_masks, columns, comparison, statistics, summaries

if TYPE_CHECKING:
    from matplotlib import axes as mpl_axes
    from matplotlib import figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of methods, in their order; then they come again, dashed."""

INK, FAINT, GRID = "#24292f", "#7d8590", "#d8dee4"
"""Text and axes; floors; grid lines."""

DIVERGING = "managua_r"
"""Of correlations: evenly light to both sides, safe for colour blindness."""

BINS = 28
BAND_WORK = 2e9
"""Products that the bands of one line may cost; resamples fall to stay below."""

_STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "jaxcam",
}


def require() -> None:
    """Makes sure that pictures can be drawn.

    Raises:
      ModuleNotFoundError: matplotlib is not installed; the message says how it is.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Pictures need matplotlib, which is not installed; get it with "
            'python -m pip install "jaxcam-eval[viz]" or go without pictures.'
        ) from error


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The look of the figures; matplotlib's own settings come back afterwards."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


@dataclasses.dataclass(frozen=True)
class Line:
    """A method of a run, and how it is drawn."""

    name: str
    side: comparison.Side
    is_floor: bool
    colour: str
    dash: Any


def lines(runs: comparison.Runs, *, floors: Sequence[str] | None = None) -> list[Line]:
    """Methods of one or several runs, each with its colour, floors last.

    Args:
      runs: As in `jaxcam.compare`.
      floors: Which floors; all by default.
    """
    opened = comparison.opened(runs)
    known = sorted({m for r in opened.values() for m in r.methods if r.is_floor(m)})
    if floors is not None:
        known = [name for name in known if name in floors]
    found = comparison.sides(opened, floors=known)
    order = sorted(found.items(), key=lambda item: item[1].method in known)
    made = []
    for number, (name, side) in enumerate(order):
        if side.method in known:
            dash = (0, (1 + known.index(side.method), 1.5))
            made.append(Line(name, side, True, FAINT, dash))
        else:
            again, colour = divmod(number, len(COLOURS))
            dash = "-" if not again else (0, (4, 1 + again))
            made.append(Line(name, side, False, COLOURS[colour], dash))
    return made


def distribution(
    runs: comparison.Runs,
    metric: str,
    *,
    floors: Sequence[str] | None = None,
    records: Sequence[Mapping[str, Any]] | None = None,
) -> figure.Figure:
    """How a metric's values spread over the images, method by method.

    A ridge is a histogram of the images' values; none is drawn for a metric of yes and
    no, or of the whole data set. The dot is the mean, the bar its 95 % interval.

    Args:
      runs: As in `jaxcam.compare`.
      metric: A metric that is one number.
      floors: Which floors are shown; all by default.
      records: Of the runs' summaries, where they are at hand, each with its result
        under `of`; they are computed otherwise.

    Returns:
      A figure.

    Raises:
      ValueError: The runs lack the metric, or it is a curve.
    """
    drawn = lines(runs, floors=floors)
    first = drawn[0].side.result
    _require_number(first, metric)
    ends = _intervals(drawn, metric, records)
    values = {line.name: _scalar_values(line, metric) for line in drawn}
    shown = np.concatenate([*values.values(), np.ravel(list(ends.values()))])
    shown = shown[np.isfinite(shown)]
    with style():
        made, axes = _by_method(drawn, 0.31)
        low, high = _limits(shown)
        axes.set_xlim(low, high)
        for place, line in enumerate(drawn):
            _ridge(axes, -place, values[line.name], line, (low, high))
            _mean(axes, -place, ends[line.name], line)
        axes.set_yticks([-i for i in range(len(drawn))], [x.name for x in drawn])
        for tick, line in zip(axes.get_yticklabels(), drawn, strict=True):
            tick.set_color(FAINT if line.is_floor else INK)
        axes.set_ylim(-len(drawn) + 0.55, 0.95)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        _headed(made, _titled(first, metric))
    return made


def curves(
    runs: comparison.Runs,
    metric: str = "insertion_curve",
    *,
    floors: Sequence[str] = ("uniform", "random"),
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> figure.Figure:
    """Mean curves of what the model says as pixels come or go, with bands.

    Args:
      runs: As in `jaxcam.compare`.
      metric: A stored curve: `insertion_curve`, `deletion_curve`, with their options.
      floors: Which floors are shown.
      level: Probability that the band is to cover the mean, point by point.
      resamples: Of the bootstrap over images; fewer where there are many images.
      seed: Of the bootstrap.

    Returns:
      A figure; the x axis is the share of pixels, 0 to 1, in equal steps.

    Raises:
      ValueError: The runs hold no such curve.
    """
    drawn = lines(runs, floors=floors)
    first = drawn[0].side.result
    _require_curve(first, metric)
    goes = "removed" if metric.startswith("deletion") else "inserted"
    with style():
        made, axes = _figure(4.6, 3.2, bottom=0.5)
        for line in drawn:
            band = _band(
                line.side,
                metric,
                statistics.weighted_mean,
                level=level,
                resamples=resamples,
                seed=seed,
            )
            _banded(axes, np.linspace(0, 1, len(band[0])), band, line)
        axes.set_xlabel(f"share of pixels {goes}, most salient first")
        axes.set_ylabel("score of the class")
        _finish(axes, first, metric)
    return made


def box_accuracy(
    runs: comparison.Runs,
    metric: str = "max_box_accuracy",
    *,
    sigma: float | None = None,
    floors: Sequence[str] = ("uniform", "centre"),
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> figure.Figure:
    """Share of images found at every threshold, with bands and the best threshold.

    Args:
      runs: As in `jaxcam.compare`.
      metric: A metric that stores an image's IoU at every threshold:
        `max_box_accuracy`, `max_box_accuracy_v2`, `max_mask_accuracy` or
        `box_accuracy_curve`, with their options.
      sigma: IoU that counts as found; the metric's own by default.
      floors: Which floors are shown.
      level: As in `curves`.
      resamples: As in `curves`.
      seed: As in `curves`.

    Returns:
      A figure; the x axis is the threshold as a share of the map's maximum, dots are
      the thresholds that are best for the whole data set.

    Raises:
      ValueError: The runs hold no such vectors.
    """
    from jaxcam.metrics import box_accuracy as accuracies

    drawn = lines(runs, floors=floors)
    first = drawn[0].side.result
    _require_curve(first, metric)
    if sigma is None:
        sigma = float(dict(_spec.parse(metric).options).get("sigma", 0.5))
    found = functools.partial(accuracies.accuracy_curve, sigma=sigma)
    with style():
        made, axes = _figure(4.6, 3.2, bottom=0.5)
        for line in drawn:
            band = _band(
                line.side, metric, found, level=level, resamples=resamples, seed=seed
            )
            at = np.arange(len(band[0])) / len(band[0])
            _banded(axes, at, band, line)
            if not line.is_floor and np.isfinite(band[0]).all():
                best = int(np.argmax(band[0]))
                axes.plot(at[best], band[0][best], "o", color=line.colour, ms=5)
        axes.set_xlabel("threshold, as a share of the map's maximum")
        axes.set_ylabel(f"share of images with IoU ≥ {sigma:g}")
        _finish(axes, first, metric)
        axes.set_ylim(-0.02, 1.02)
    return made


def correlation(records: Sequence[Mapping[str, Any]]) -> figure.Figure:
    """A matrix of rank correlations between metrics.

    Args:
      records: As `jaxcam.rank_agreement` gives them.

    Returns:
      A figure, one half of the matrix. Pairs whose interval holds 0 are written small;
      metrics without any value, as constant ones, are left out.

    Raises:
      ValueError: There is no pair of metrics.
    """
    records = [r for r in records if not math.isnan(r["estimate"])]
    names = list(dict.fromkeys(r[side] for r in records for side in ("a", "b")))
    if not names:
        raise ValueError("There are no two metrics to correlate.")
    place = {name: i for i, name in enumerate(names)}
    count = len(names)
    values = np.full((count, count), np.nan)
    for r in records:
        low, high = sorted((place[r["a"]], place[r["b"]]))
        values[high, low] = r["estimate"]
    with style():
        import matplotlib
        from matplotlib import cm, colors

        longest = max(map(len, names)) * 0.068
        beside = count < 10  # Too few cells to leave room for the scale among them.
        wide, tall = 0.42 * count + longest + 0.4, 0.42 * count + longest
        wide += 1.2 * beside
        around = {"left": longest + 0.1, "bottom": 0.9 * longest, "top": 0.1}
        around["right"] = 1.4 if beside else 0.1
        made, axes = _figure(wide, tall, **around)
        shades = matplotlib.colormaps[DIVERGING]
        # The upper half would only repeat the lower one.
        shown = np.ma.masked_invalid(values)[1:, :-1]
        axes.pcolormesh(shown, cmap=shades, vmin=-1, vmax=1)
        axes.invert_yaxis()
        for r in records:
            _number(axes, r, place, shades)
        at = np.arange(count - 1) + 0.5
        axes.set_xticks(at, names[:-1], rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(at, names[1:])
        axes.tick_params(length=0, labelsize=8)
        axes.set_aspect("equal")
        for spine in axes.spines.values():
            spine.set_visible(False)
        scale = cm.ScalarMappable(colors.Normalize(-1, 1), shades)
        place = (1.05, 0.1, 0.06, 0.8) if beside else (0.72, 0.62, 0.03, 0.36)
        inside = axes.inset_axes(place)
        bar = made.colorbar(scale, cax=inside)
        bar.set_ticks([-1, 0, 1], labels=["-1 contradict", "0", "1 agree"])
        bar.ax.tick_params(labelsize=8, length=2)
        bar.outline.set_visible(False)
    return made


def box_against_mask(
    runs: comparison.Runs,
    pair: tuple[str, str],
    *,
    floors: Sequence[str] | None = None,
    records: Sequence[Mapping[str, Any]] | None = None,
) -> figure.Figure:
    """One metric on masks and on boxes, method by method, with 95 % intervals.

    Args:
      runs: As in `jaxcam.compare`.
      pair: The metric on masks and on boxes, as `boxes_and_masks.pairs` finds them.
      floors: Which floors are shown; all by default.
      records: As in `distribution`.

    Returns:
      A figure: filled squares are boxes, rings are masks.
    """
    drawn = lines(runs, floors=floors)
    mask, box = pair
    found = [_intervals(drawn, metric, records) for metric in pair]
    with style():
        made, axes = _by_method(drawn, 0.27)
        for place, line in enumerate(drawn):
            ends = [each[line.name] for each in found]
            middles = [end[0] for end in ends]
            if not np.isnan(middles).any():
                axes.plot(middles, [-place] * 2, color=line.colour, lw=1, alpha=0.6)
            for (middle, low, high), marker in zip(ends, "os", strict=True):
                filled = line.colour if marker == "s" else "none"
                axes.plot([low, high], [-place] * 2, color=line.colour, lw=2.2)
                axes.plot(
                    middle, -place, marker, color=line.colour, mfc=filled, ms=5, mew=1.3
                )
        axes.set_yticks([-i for i in range(len(drawn))], [x.name for x in drawn])
        for tick, line in zip(axes.get_yticklabels(), drawn, strict=True):
            tick.set_color(FAINT if line.is_floor else INK)
        axes.set_ylim(-len(drawn) + 0.4, 0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        direction = drawn[0].side.result.direction(mask)
        title = boxes_and_masks.title(mask, box)
        _headed(made, f"{title} {_ARROWS[direction]}")
    return made


_ARROWS = {1: "↑", -1: "↓", 0: ""}


@functools.cache
def _figure_type() -> type:
    from matplotlib import figure

    class Figure(figure.Figure):
        """Shows itself below a notebook's cell, whether pyplot is loaded or not."""

        def _repr_png_(self) -> bytes:
            stream = io.BytesIO()
            self.savefig(stream, dpi=90, facecolor="white", bbox_inches="tight")
            return stream.getvalue()

    return Figure


def new_figure(**options: Any) -> figure.Figure:
    """An empty figure that shows itself in notebooks and belongs to no window.

    Args:
      options: Of `matplotlib.figure.Figure`.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.
    """
    require()
    return _figure_type()(**options)


LETTER = 0.076
"""Inches of an average letter, generously."""


def _figure(
    width: float,
    tall: float,
    *,
    left: float = 0.6,
    bottom: float = 0.3,
    right: float = 0.1,
    top: float = 0.28,
) -> tuple[figure.Figure, mpl_axes.Axes]:
    """A figure with one field, its margins in inches.

    Margins are known beforehand: having them found would draw every figure twice.
    """
    made = new_figure(figsize=(width, tall))
    inside = (width - left - right) / width, (tall - bottom - top) / tall
    return made, made.add_axes((left / width, bottom / tall, *inside))


def _by_method(drawn: Sequence[Line], each: float) -> tuple[figure.Figure, Any]:
    """A figure with a row for each method."""
    longest = max(len(line.name) for line in drawn)
    left = min(LETTER * longest + 0.15, 1.9)
    return _figure(3.5, 0.62 + each * len(drawn), left=left)


def _headed(made: figure.Figure, title: str) -> None:
    """A title over the whole figure, where long names have room."""
    made.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")


def _titled(result: Any, metric: str) -> str:
    return f"{metric} {_ARROWS[result.direction(metric)]}".strip()


def _require_number(result: Any, metric: str) -> None:
    known = metric in result.metrics or metric in result.skills
    if not known or not summaries.is_number(result, metric):
        raise ValueError(f"The results have no number {metric!r} to draw.")


def _require_curve(result: Any, metric: str) -> None:
    if metric not in result.metrics or columns.is_scalar(result.columns, metric):
        raise ValueError(
            f"The results hold no curve {metric!r}; evaluate with --metrics {metric}."
        )


def _scalar_values(line: Line, metric: str) -> np.ndarray:
    """Values of the images; none for a metric of the whole data set."""
    if summaries.reduction(line.side.result, metric) is not None:
        return np.zeros(0)
    values = line.side.values(metric)
    return values[np.isfinite(values)]


def _intervals(
    drawn: Sequence[Line], metric: str, records: Sequence[Mapping[str, Any]] | None
) -> dict[str, tuple[float, float, float]]:
    """Estimate, lower and upper end of each line, over its method's own rows."""
    if records is None:
        records = []
        for result in {id(x.side.result): x.side.result for x in drawn}.values():
            records += [r | {"of": result} for r in result.summary(metrics=[metric])]
    found = {
        (id(r["of"]), r["method"]): (r["estimate"], r["low"], r["high"])
        for r in records
        if r["metric"] == metric
    }
    return {x.name: found[id(x.side.result), x.side.method] for x in drawn}


def _limits(shown: np.ndarray) -> tuple[float, float]:
    """A little more than the middle 99 % of what is shown, so that outliers fit not."""
    if not len(shown):
        return 0.0, 1.0
    low, high = np.quantile(shown, [0.005, 0.995])
    margin = 0.04 * (high - low) or 0.05 * max(abs(high), 1.0)
    return low - margin, high + margin


def _ridge(
    axes: mpl_axes.Axes,
    base: float,
    values: np.ndarray,
    line: Line,
    limits: tuple[float, float],
) -> None:
    if len(np.unique(values)) < 3:
        return
    counts, edges = np.histogram(np.clip(values, *limits), BINS, limits)
    tall = 0.78 * counts / counts.max()
    axes.stairs(base + tall, edges, baseline=base, fill=True, color=line.colour, lw=0)
    axes.patches[-1].set_alpha(0.22 if line.is_floor else 0.38)


def _mean(
    axes: mpl_axes.Axes, base: float, ends: tuple[float, float, float], line: Line
) -> None:
    middle, low, high = ends
    if math.isnan(middle):
        axes.text(
            0.5,
            base,
            "undefined",
            transform=axes.get_yaxis_transform(),
            ha="center",
            fontsize=8,
            color=FAINT,
        )
        return
    axes.plot([low, high], [base] * 2, color=line.colour, lw=2.4)
    axes.plot(middle, base, "o", color=line.colour, ms=4.5)


def _band(
    side: comparison.Side,
    metric: str,
    found: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    level: float,
    resamples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A data set's curve, and the ends of its band at each point."""
    values, clusters = side.values(metric), side.clusters()
    kept = ~np.isnan(values).any(axis=1)
    values, clusters = values[kept], clusters[kept]
    width = values.shape[1]
    if not len(values):
        nothing = np.full(width, np.nan)
        return nothing, nothing, nothing
    affordable = int(BAND_WORK / max(values.size, 1))
    draws = min(resamples, max(100, affordable))
    drawn = statistics.drawn(
        functools.partial(found, values),
        np.unique(clusters, return_inverse=True)[1],
        resamples=draws,
        seed=seed,
    )
    low, high = statistics.percentiles(drawn[1:], level)
    return drawn[0], low, high


def _banded(
    axes: mpl_axes.Axes,
    at: np.ndarray,
    band: tuple[np.ndarray, np.ndarray, np.ndarray],
    line: Line,
) -> None:
    """A line with its band, of at most 251 points: more would only fill the file."""
    points = np.unique(np.linspace(0, len(at) - 1, min(len(at), 251)).astype(int))
    middle, low, high = (part[points] for part in band)
    wide = 1.2 if line.is_floor else 1.8
    axes.plot(
        at[points],
        middle,
        color=line.colour,
        linestyle=line.dash,
        lw=wide,
        label=line.name,
    )
    if not line.is_floor:
        axes.fill_between(
            at[points], low, high, color=line.colour, alpha=0.18, linewidth=0
        )


def _finish(axes: mpl_axes.Axes, result: Any, metric: str) -> None:
    axes.grid()
    axes.set_xlim(0, 1)
    axes.set_title(_titled(result, metric), loc="left")
    axes.legend(fontsize=8, handlelength=2.4)


def _number(
    axes: mpl_axes.Axes,
    record: Mapping[str, Any],
    place: Mapping[str, int],
    shades: Any,
) -> None:
    """A correlation on its cell, small if it cannot be told from none."""
    value = record["estimate"]
    red, green, blue, _ = shades((value + 1) / 2)
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
    sure = not record["low"] <= 0 <= record["high"]
    low, high = sorted((place[record["a"]], place[record["b"]]))
    axes.text(
        low + 0.5,
        high - 0.5,
        f"{value:.2f}".replace("0.", "."),
        ha="center",
        va="center",
        fontsize=7.5 if sure else 6,
        color="#ffffff" if dark else "#000000",
    )
