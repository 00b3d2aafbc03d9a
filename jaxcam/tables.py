"""Tables of results: on the terminal, as plain text, in Markdown, in LaTeX."""

from __future__ import annotations

import dataclasses
import math
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Records = Sequence[Mapping[str, Any]]

ARROWS = {1: "↑", -1: "↓", 0: ""}
WIDTH = 100
GAP = 2
MARK = "*"
"""Behind the best value where nothing can be bold."""

SURE = 0.05
"""Below it a corrected p-value says that a difference is no chance."""

IDS = 3
"""Invalid images that are named for each reason."""

_METRICS_ACROSS = 6


def report(
    result: Any,
    *,
    terminal: bool | None = None,
    skill: bool = True,
    width: int = WIDTH,
) -> list[Any]:
    """What is shown at the end of a run: parts to print with rich, in order.

    Args:
      result: A `jaxcam.results.Result`.
      terminal: Whether bold and dim can be seen; otherwise marks stand for them. By
        default, whether standard output is a terminal.
      skill: Shows the skills over the uniform floor as well.
      width: Characters a line.
    """
    from rich import text

    terminal = sys.stdout.isatty() if terminal is None else terminal

    def table(records: Records) -> Any:
        if terminal:
            return summary_table(records, width=width)
        return text.Text(plain(records, width=width))

    records = result.summary()
    parts: list[Any] = []
    if not result.trained:
        warning = "The network is untrained: its parameters are random."
        parts.append(text.Text(warning, style="bold red"))
    parts.append(table(records))
    skills = result.summary(skill=True) if skill else []
    skills = [r for r in skills if r["method"] != "uniform"]
    if skills:
        heading = "Skill: (value - floor) / (best - floor), floor = uniform map's value"
        parts += [text.Text(f"\n{heading} on the same image"), table(skills)]
    parts += [text.Text(line) for line in notes(result, records, terminal=terminal)]
    return parts


def notes(result: Any, records: Records, *, terminal: bool = True) -> list[str]:
    """Sentences under the tables: what intervals mean, what was left out and why."""
    how = "dim, the best method is bold"
    if not terminal:
        how = f"last, {MARK} is the best method"
    lines = [f"\n95 % bootstrap intervals over images. Floors and ceiling are {how}."]
    if result.n_missing:
        lines.append(
            f"The run is not finished: {result.n_missing} rows are missing; its "
            "command goes on where it stopped."
        )
    if any(r["n_undefined"] for r in records):
        lines.append(
            "n (undefined): values that count, and rows whose value does not exist, "
            "for example for want of an object."
        )
    lines += [f"Invalid rows, left out: {text}." for text in _invalid(result)]
    return lines


def _invalid(result: Any) -> Iterator[str]:
    """Which images are invalid for which methods, reason by reason."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for error in result.errors():
        key = error["reason"], tuple(error["methods"])
        found.setdefault(key, []).append(str(error["id"]))
    for (reason, methods), ids in found.items():
        everywhere = len(methods) == len(result.methods)
        of = "" if everywhere else f" ({', '.join(methods)})"
        named = ", ".join(ids[:IDS])
        more = f" and {len(ids) - IDS} more" if len(ids) > IDS else ""
        yield f"{len(ids)} x {reason.removesuffix('.')}{of}: {named}{more}"


@dataclasses.dataclass(frozen=True)
class _Grid:
    """Records by method and metric.

    Attributes:
      methods: Whether each is a floor.
      metrics: The direction of each.
      cells: Records.
      best: Pairs of method and metric that no other method beats.
      untrained: The network's parameters are random.
    """

    methods: dict[str, bool]
    metrics: dict[str, int]
    cells: dict[tuple[str, str], Mapping[str, Any]]
    best: frozenset[tuple[str, str]]
    untrained: bool = False

    def head(self, what: str) -> str:
        """The first cell of a table, which says so if the network is untrained."""
        return f"{what} (untrained)" if self.untrained else what

    def cell(self, method: str, metric: str) -> str:
        record = self.cells.get((method, metric))
        return "" if record is None else cell(record)

    def counts(self, metric: str) -> str:
        """How many values are defined, and in brackets how many are not."""
        some = [r for (_, name), r in self.cells.items() if name == metric]
        own = [r for r in some if not r["is_floor"]] or some
        n, undefined = (_extent([r[key] for r in own]) for key in ("n", "n_undefined"))
        return n if undefined == "0" else f"{n} ({undefined})"


def _grid(records: Records) -> _Grid:
    cells = {(r["method"], r["metric"]): r for r in records}
    metrics = {r["metric"]: r["direction"] for r in records}
    return _Grid(
        methods={r["method"]: r["is_floor"] for r in records},
        metrics=metrics,
        cells=cells,
        best=frozenset(pair for metric in metrics for pair in best(records, metric)),
        untrained=any(r.get("untrained") for r in records),
    )


def best(records: Records, metric: str) -> Iterator[tuple[str, str]]:
    """Methods that no other beats, floors left out, if there are two to compare."""
    own = [
        r
        for r in records
        if r["metric"] == metric and not r["is_floor"] and not math.isnan(r["estimate"])
    ]
    if len(own) < 2 or not own[0]["direction"]:
        return
    top = max(r["direction"] * r["estimate"] for r in own)
    for record in own:
        if record["direction"] * record["estimate"] == top:
            yield record["method"], metric


def summary_table(records: Records, *, width: int = WIDTH) -> Any:
    """A rich renderable, methods by metrics: as many tables as the width asks for."""
    from rich import table, text

    grid = _grid(records)
    made = []
    for metrics in _packed(grid, width):
        one = table.Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
        one.add_column(text.Text(grid.head("method"), style="bold"), no_wrap=True)
        for metric in metrics:
            heading = text.Text("\n".join(_heading(metric, grid)), style="bold")
            one.add_column(heading, justify="right", no_wrap=True, vertical="bottom")
        previous = False
        for method, is_floor in grid.methods.items():
            if is_floor and not previous:
                one.add_row(text.Text("floors, ceiling", style="dim italic"))
            previous = is_floor
            row = [text.Text(method, style="dim" if is_floor else "")]
            for metric in metrics:
                style = "bold" if (method, metric) in grid.best else ""
                style = "dim" if is_floor else style
                row.append(text.Text(grid.cell(method, metric), style=style))
            one.add_row(*row)
        counts = [text.Text(grid.counts(metric), style="dim") for metric in metrics]
        one.add_row(text.Text(_counted(grid, metrics), style="dim"), *counts)
        made.append(one)
    return made[0] if len(made) == 1 else _stacked(made)


def _stacked(tables: Sequence[Any]) -> Any:
    """Tables below each other, on a terminal and in a notebook."""
    from rich import console, jupyter, text

    class Tables(console.Group, jupyter.JupyterMixin):
        """Several tables as one renderable."""

    parts: list[Any] = []
    for one in tables:
        parts += [text.Text(""), one] if parts else [one]
    return Tables(*parts)


def plain(records: Records, *, width: int = WIDTH) -> str:
    """Aligned plain text, methods by metrics: several tables if the width asks."""
    grid = _grid(records)
    return "\n\n".join(_plain(grid, metrics) for metrics in _packed(grid, width))


def _plain(grid: _Grid, metrics: Sequence[str]) -> str:
    headings = [_heading(metric, grid) for metric in metrics]
    tall = max((len(lines) for lines in headings), default=1)
    headings = [[""] * (tall - len(lines)) + lines for lines in headings]
    rows = [["", *line] for line in zip(*headings, strict=True)]
    rows[-1][0] = grid.head("method")
    ruled = []
    previous = False
    for method, is_floor in grid.methods.items():
        if is_floor and not previous:
            ruled.append(len(rows))
        previous = is_floor
        marks = [MARK if (method, m) in grid.best else "" for m in metrics]
        cells = [grid.cell(method, m) for m in metrics]
        cells = [mark + c for mark, c in zip(marks, cells, strict=True)]
        rows.append([method, *cells])
    ruled.append(len(rows))
    rows.append([_counted(grid, metrics), *map(grid.counts, metrics)])
    return "\n".join(_aligned(rows, {tall, *ruled}))


def _aligned(
    rows: Sequence[Sequence[str]], ruled: set[int], *, left: int = 1
) -> Iterator[str]:
    """Lines of columns, the first ones to the left; a rule above the rows named."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        if number in ruled:
            yield "-" * (sum(widths) + GAP * (len(widths) - 1))
        placed = (
            text.ljust(width) if column < left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield (" " * GAP).join(placed).rstrip()


def _packed(grid: _Grid, width: int) -> list[list[str]]:
    """Metrics that fit beside each other, table by table."""
    labels = [*grid.methods, "floors, ceiling", _counted(grid, list(grid.metrics))]
    room = width - max(map(len, labels))
    tables: list[list[str]] = []
    left = 0
    for metric in grid.metrics:
        cells = [grid.cell(method, metric) for method in grid.methods]
        lines = [*_heading(metric, grid), *(MARK + c for c in cells)]
        needed = GAP + max(map(len, [*lines, grid.counts(metric)]))
        if not tables or needed > left:
            tables.append([])
            left = room
        tables[-1].append(metric)
        left -= needed
    return tables or [[]]


def _heading(metric: str, grid: _Grid) -> list[str]:
    """A metric's name in lines no longer than its values, if its words allow that."""
    name, bracket, rest = metric.partition("[")
    options, _, after = rest.rpartition("]")
    words = [*name.replace("_", " ").split(".")[0].split()]
    if name.endswith(".skill") or after == ".skill":
        words.append("skill")
    if bracket:
        words += [f"[{options}]"]
    if grid.metrics[metric]:
        words[-1] += f" {ARROWS[grid.metrics[metric]]}"
    cells = [len(grid.cell(method, metric)) + 1 for method in grid.methods]
    return _wrapped(words, max([*cells, *map(len, words)]))


def _wrapped(words: Sequence[str], width: int) -> list[str]:
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _counted(grid: _Grid, metrics: Sequence[str]) -> str:
    undefined = any("(" in grid.counts(metric) for metric in metrics)
    return "n (undefined)" if undefined else "n"


def _extent(numbers: Sequence[int]) -> str:
    """One number, or the smallest and largest of several."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"


def cell(record: Mapping[str, Any]) -> str:
    """An estimate with its interval, to the digits that the interval allows.

    `0.689 ±0.012` where both sides are alike when written so, `0.95 +0.03 -0.09` where
    they are not, and the estimate alone where there is no interval.
    """
    estimate, low, high = (record[key] for key in ("estimate", "low", "high"))
    if math.isnan(estimate):
        return "undefined"
    if not (math.isfinite(low) and math.isfinite(high) and math.isfinite(estimate)):
        return f"{estimate:.3f}"
    above, below, half = high - estimate, estimate - low, (high - low) / 2
    digits = _digits(half)
    if max(abs(estimate), half) < 1e-4 and half > 0:
        return f"{estimate:.1e} ±{half:.0e}"
    alike = max(1.5 * 10.0**-digits, 0.15 * half)

    def written(value: float) -> str:
        return f"{round(value, digits) + 0.0:.{digits}f}"  # No minus zero.

    if abs(above - half) <= alike:
        return f"{written(estimate)} ±{written(half)}"
    return f"{written(estimate)} +{written(above)} -{written(below)}"


def _digits(width: float) -> int:
    """Decimals that show the first two digits of a width, one if it is below .01."""
    if not width > 0:
        return 3
    digits = 1 - math.floor(math.log10(width))
    return max(digits if digits <= 3 else min(digits - 1, 9), 0)


def markdown(records: Records) -> str:
    """A Markdown table; metrics become the rows where there are many.

    The best method is bold; floors and ceiling are in italics.
    """
    heads, rows = _document(
        _grid(records),
        escaped=lambda text: text.replace("|", "\\|"),
        strong=lambda text: f"**{text}**",
        weak=lambda text: f"*{text}*" if text else text,
        arrows=ARROWS,
    )
    rule = ["---", *("---:" for _ in heads[1:])]
    return "".join("| " + " | ".join(row) + " |\n" for row in [heads, rule, *rows])


def latex(records: Records) -> str:
    """A LaTeX tabular; metrics become the rows where there are many.

    The best method is bold; floors and ceiling are in italics.
    """
    heads, rows = _document(
        _grid(records),
        escaped=_latex_text,
        strong=lambda text: rf"\textbf{{{text}}}",
        weak=lambda text: rf"\textit{{{text}}}" if text else text,
        arrows={1: r"$\uparrow$", -1: r"$\downarrow$", 0: ""},
    )
    lines = [" & ".join(row) + r" \\" for row in [heads, *rows]]
    columns = "l" + "r" * (len(heads) - 1)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\hline",
            lines[0],
            r"\hline",
            *lines[1:],
            r"\hline",
            r"\end{tabular}",
            "",
        ]
    )


def _latex_text(text: str) -> str:
    special = {"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "±": r"$\pm$"}
    written = "".join(special.get(character, character) for character in text)
    return written.replace(" +", " $+$").replace(" -", " $-$")


def _document(
    grid: _Grid, *, escaped: Any, strong: Any, weak: Any, arrows: Mapping[int, str]
) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a table for a document."""

    def named(metric: str) -> str:
        return f"{escaped(metric)} {arrows[grid.metrics[metric]]}".strip()

    def method(name: str) -> str:
        return weak(escaped(name)) if grid.methods[name] else escaped(name)

    def value(name: str, metric: str) -> str:
        text = escaped(grid.cell(name, metric))
        return strong(text) if (name, metric) in grid.best else text

    if len(grid.metrics) <= _METRICS_ACROSS:
        heads = [grid.head("method"), *map(named, grid.metrics)]
        rows = [[method(a), *(value(a, m) for m in grid.metrics)] for a in grid.methods]
        counted = _counted(grid, list(grid.metrics))
        return heads, [*rows, [counted, *map(grid.counts, grid.metrics)]]
    heads = [grid.head("metric"), *map(method, grid.methods), "n (undefined)"]
    rows = [
        [named(m), *(value(a, m) for a in grid.methods), grid.counts(m)]
        for m in grid.metrics
    ]
    return heads, rows


def comparison(records: Records, *, width: int = WIDTH) -> str:
    """Plain text: differences between methods, a block of lines a metric.

    Args:
      records: As `jaxcam.compare` gives them.
      width: Characters a line; methods are cut to fit.
    """
    heads = ["a", "b", "a - b", "p (Holm)", "d", "a wins", "n"]
    label = max(8, (width - 58) // 2)
    blocks = []
    for metric in dict.fromkeys(r["metric"] for r in records):
        some = [r for r in records if r["metric"] == metric]
        rows = [heads]
        for r in some:
            certain = r["better"] if r["p_holm"] < SURE else ""
            names = [
                _cut(r[side], label - 1) + (MARK if certain == r[side] else "")
                for side in ("a", "b")
            ]
            difference = cell({**r, "estimate": r["difference"]})
            rows.append(
                [
                    *names,
                    difference,
                    _probability(r["p_holm"]),
                    _number(r["effect_size"], 2),
                    "" if math.isnan(r["win_rate"]) else f"{r['win_rate']:.0%}",
                    str(r["n"]),
                ]
            )
        title = f"{metric} {ARROWS[some[0]['direction']]}".strip()
        blocks.append("\n".join([title, *_aligned(rows, {1}, left=2)]))
    legend = (
        f"{MARK} is better: p, corrected after Holm, is below {SURE:g}. d is the mean "
        "over the deviation of the images' differences; a wins says on which share of "
        "the images, ties half."
    )
    blocks.append(textwrap.fill(legend, width))
    return "\n\n".join(blocks)


def agreement(records: Records, *, width: int = WIDTH) -> str:
    """Plain text: rank correlations of metrics, the strongest agreement first.

    Args:
      records: As `jaxcam.agreement.rank_agreement` gives them.
      width: Characters a line; metrics are cut to fit.
    """
    label = (width - 30) // 2
    order = sorted(records, key=lambda r: (math.isnan(r["estimate"]), -r["estimate"]))
    rows = [["metric", "metric", "correlation", "n"]]
    rows += [
        [_cut(r["a"], label), _cut(r["b"], label), cell(r), str(r["n"])] for r in order
    ]
    return "\n".join(_aligned(rows, {1}, left=2))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _probability(p: float) -> str:
    if math.isnan(p):
        return ""
    return "< .001" if p < 0.001 else f"{p:.3f}"
