"""The report: what runs found, gathered and written as one HTML file."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcam import (
    _spec,
    agreement,
    boxes_and_masks,
    columns,
    comparison,
    data,
    plot,
    registry,
    results,
    statistics,
    storage,
    summaries,
    tables,
)
from jaxcam.reports import choosing, figures, findings, gallery

NAME = "report.html"
PICTURES = 4
"""Images of each kind in the gallery."""

MOST_FIGURES = 40
"""Distributions drawn; metrics behind them are in the tables alone."""

MOST_ERRORS = 200
SURE = 0.05
WORK = 1e10
"""Products that an interval or a test may cost; draws fall to stay below."""

DEFAULT_SIZE = (224, 224)
UNTRAINED = "The network is untrained: its parameters are random."


def require() -> None:
    """Makes sure that a report can be written.

    Raises:
      ModuleNotFoundError: jinja2 or matplotlib is missing; the message says how they
        are installed.
    """
    plot.require()
    try:
        import jinja2  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Reports need jinja2, which is not installed; get it with "
            'python -m pip install "jaxcam-eval[viz]".'
        ) from error


def report(
    runs: comparison.Runs,
    out: str | Path | None = None,
    *,
    dataset: data.Dataset | str | Path | None = None,
    pictures: int = PICTURES,
    by: str | None = None,
    size: tuple[int, int] | None = None,
    crop_fraction: float = 1.0,
) -> Path:
    """Writes one HTML file that shows what one or several runs found.

    The file needs no network and nothing beside it: tables with intervals and floors,
    paired comparisons, boxes against masks, curves, distributions, the agreement of
    the metrics, a gallery, invalid rows and the manifests.

    Args:
      runs: One or several results or run directories over the same data; a mapping
        names them.
      out: The file; by default `report.html` in the run directory, or the first of
        them.
      dataset: Where the images of the gallery are, or what `jaxcam.data.open_dataset`
        takes; by default the data set that the run names, if it can be opened and is
        the same. Without images the gallery says how to get them.
      pictures: Images of each kind in the gallery; 0 leaves it out.
      by: Metric that decides which images are good or bad; the energy pointing game by
        default.
      size: Rows and columns of the grid on which maps met the truth; by default what
        the run's manifest says, or 224 x 224.
      crop_fraction: Of the network, for runs with `geometry="crop"`.

    Returns:
      The file.

    Raises:
      FileNotFoundError: A directory holds no run, or the data set is not there.
      ModuleNotFoundError: matplotlib or jinja2 is not installed.
      ValueError: The runs are over different data, `dataset` is not theirs, or no
        place for the file is known.
    """
    require()
    opened = comparison.opened(runs)
    place = _place(runs, out)
    images, missing = _images(opened, dataset)
    shown = _Shown(opened, by, pictures, images, missing, size, crop_fraction)
    page = _rendered(shown.content())
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.tmp")
    temporary.write_text(page, encoding="utf-8")
    os.replace(temporary, place)
    return place


def _universes_of(result: results.Result) -> Path | None:
    """What `jaxcam multiverse` wrote, unless shards were added since."""
    path = result.directory / storage.MULTIVERSE
    if not path.is_file():
        return None
    newest = max(shard.stat().st_mtime_ns for shard in result.columns.paths)
    return path if path.stat().st_mtime_ns >= newest else None


def _place(runs: comparison.Runs, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    several = list(runs.values()) if isinstance(runs, Mapping) else runs
    several = several if isinstance(several, Sequence) else [several]
    several = [several] if isinstance(several, str) else several
    for run in several:
        if isinstance(run, str | Path):
            return Path(run) / NAME
    raise ValueError("Say where the report is to be written, as out='report.html'.")


def _images(
    opened: Mapping[str, results.Result], dataset: data.Dataset | str | Path | None
) -> tuple[data.Dataset | None, str]:
    """The data set of the runs, or why it is not at hand."""
    described = next(iter(opened.values())).manifest["scientific"].get("data")
    described = described if isinstance(described, Mapping) else {}
    name, wanted = described.get("name"), described.get("fingerprint")
    if dataset is not None:
        if isinstance(dataset, str | Path):
            dataset = data.open_dataset(dataset)
        found = dataset.fingerprint()
        if wanted is not None and found != wanted:
            raise ValueError(
                f"{dataset.name} is not the data set of the run, {name}: its files, "
                "labels or options differ. Give what the run was evaluated on."
            )
        return dataset, ""
    how = "run jaxcam report with --data and what the run was evaluated on"
    if name is None or name == "arrays":
        return None, f"The run does not say which images it is about; {how}."
    try:
        dataset = data.open_dataset(name)
        same = wanted is None or dataset.fingerprint() == wanted
    except (OSError, ValueError):
        same = False
    if same:
        return dataset, ""
    return None, f"The images of {name} are not at hand here; {how} to see them."


@dataclasses.dataclass(frozen=True)
class _Shown:
    """What a report is made of."""

    runs: Mapping[str, results.Result]
    by: str | None
    pictures: int
    images: data.Dataset | None
    missing: str
    size: tuple[int, int] | None
    crop_fraction: float

    @property
    def first(self) -> results.Result:
        return next(iter(self.runs.values()))

    def name(self, method: str, label: str) -> str:
        return method if len(self.runs) == 1 else f"{method} @ {label}"

    def content(self) -> dict[str, Any]:
        """Everything that the template shows."""
        draw = figures.Drawer()
        metrics = _shown_metrics(self.runs)
        records = self.summary(metrics)
        skills = self.summary(
            [
                skill
                for skill in self.first.skills
                if skill.removesuffix(summaries.SKILL) in metrics
                and all(skill in result.skills for result in self.runs.values())
            ]
        )
        own = comparison.sides(self.runs)
        compared = self.compared(metrics)
        boxed = boxes_and_masks.against(self.runs, floors=(results.FLOOR,))
        ranked = self.ranked(metrics)
        return {
            "title": self.title(),
            "facts": self.facts(),
            "warnings": self.warnings(),
            "short": findings.in_short(compared, boxed, ranked),
            "tables": self.grids(records),
            "skills": self.grids(skills, floors_left_out=(results.FLOOR,)),
            "comparison": compared,
            "verdicts": findings.verdicts(compared),
            "universes": self.universes(),
            "box_table": boxed,
            "box_figures": self.box_figures(draw, boxed, records),
            "thresholds": self.threshold_figures(draw),
            "curves": self.curve_figures(draw),
            "distributions": self.distributions(draw, metrics, records),
            "agreement": self.agreement(draw, ranked),
            "decisions": self.decisions(metrics),
            "gallery": self.gallery(own),
            "errors": self.errors(),
            "glossary": _glossary(self.first, metrics),
            "manifests": {
                label: json.dumps(result.manifest, indent=1, ensure_ascii=False)
                for label, result in self.runs.items()
            },
            "arrows": tables.ARROWS,
            "floor": results.FLOOR,
        }

    def universes(self) -> dict[str, dict[str, Any]]:
        """What all conventions say of two methods, by `a b` and `b a`."""
        found = {}
        for label, result in self.runs.items():
            path = None if result.directory is None else _universes_of(result)
            if path is None:
                continue
            record = json.loads(path.read_text(encoding="utf-8"))
            for said in record["verdicts"]:
                if said["question"] == "region" and said["universes"]:
                    a, b = (self.name(said[side], label) for side in ("a", "b"))
                    hangs = [axis["axis"] for axis in said["axes"] if axis["decides"]]
                    found[f"{a} {b}"] = said | {"wins": said["share"], "hangs": hangs}
                    lost = {"wins": 1 - said["share"], "hangs": hangs}
                    found[f"{b} {a}"] = said | lost
        return found

    def title(self) -> str:
        names = [_model(result) for result in self.runs.values()]
        what = ", ".join(dict.fromkeys(name for name in names if name)) or "saved maps"
        described = self.first.manifest["scientific"].get("data")
        where = described.get("name") if isinstance(described, Mapping) else None
        return f"{what} on {where}" if where else what

    def facts(self) -> list[tuple[str, str]]:
        settings = self.first.manifest["scientific"]
        found = [
            ("images", str(self.first.n_images)),
            ("methods", str(sum(len(_own(r)) for r in self.runs.values()))),
            ("metrics", str(len(_shown_metrics(self.runs)))),
        ]
        for name in ("preset", "explained", "geometry", "border"):
            if settings.get(name):
                found.append((name, str(settings[name])))
        started = self.first.manifest.get("operational", {}).get("started")
        return [*found, ("evaluated", str(started)[:10])] if started else found

    def warnings(self) -> list[str]:
        found = []
        for label, result in self.runs.items():
            of = "" if len(self.runs) == 1 else f" ({label})"
            if not result.trained:
                found.append(UNTRAINED + of)
            if result.n_missing:
                found.append(
                    f"The run is not finished: {result.n_missing} rows are missing{of}."
                )
        return found

    def summary(self, metrics: Sequence[str]) -> list[dict[str, Any]]:
        """Records of all runs, each with the name shown and the result it is of."""
        found = []
        for label, result in self.runs.items():
            draws = _draws(result, metrics)
            for record in result.summary(metrics=metrics, resamples=draws):
                shown = self.name(record["method"], label)
                found.append(record | {"of": result, "shown": shown})
        return found

    def grids(
        self, records: Sequence[dict[str, Any]], floors_left_out: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """A table for each family of metrics, methods in rows, floors last."""
        kept = [r for r in records if r["method"] not in floors_left_out]
        kept = [r | {"method": r["shown"]} for r in kept]
        families: dict[str, list[str]] = {}
        for metric in dict.fromkeys(r["metric"] for r in kept):
            families.setdefault(_family(self.first, metric), []).append(metric)
        methods = sorted({r["shown"]: r["is_floor"] for r in kept}.items(), key=_floor)
        best = {
            pair for m in {r["metric"] for r in kept} for pair in tables.best(kept, m)
        }
        cells = {(r["shown"], r["metric"]): r for r in kept}
        made = []
        for family, metrics in families.items():
            rows = [
                (name, is_floor, [_cell(cells.get((name, m)), best) for m in metrics])
                for name, is_floor in methods
            ]
            counts = [_counts([r for r in kept if r["metric"] == m]) for m in metrics]
            heads = [(m, tables.ARROWS[self.first.direction(m)]) for m in metrics]
            made.append(
                {"family": family, "heads": heads, "rows": rows, "counts": counts}
            )
        return made

    def compared(self, metrics: Sequence[str]) -> list[dict[str, Any]]:
        """Paired comparisons; none where there are no two methods."""
        if sum(len(_own(r)) for r in self.runs.values()) < 2 and not any(
            results.FLOOR in r.methods for r in self.runs.values()
        ):
            return []
        found = []
        for metric in metrics:
            draws = _draws(self.first, [metric])
            tests = max(199, min(statistics.PERMUTATIONS, 5 * draws))
            found += comparison.compare(
                self.runs, metrics=[metric], resamples=draws, permutations=tests
            )
        for record in found:
            record["written"] = tables.cell(record | {"estimate": record["difference"]})
            record["sure"] = record["p_holm"] < SURE
            record["against_floor"] = record["b"].partition(" @ ")[0] == results.FLOOR
        return found

    def ranked(self, metrics: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Rank agreement of metrics, over images and, with three methods, over them."""
        scalars = [m for m in metrics if summaries.reduction(self.first, m) is None]
        count = sum(len(_own(r)) for r in self.runs.values())
        n = max(self.first.n_images, 1)
        pairs = max(len(scalars) * (len(scalars) - 1) / 2 * count, 1)
        draws = int(max(100, min(500, WORK / 10 / (n * pairs))))
        if len(scalars) < 2:
            return {}
        found = {
            "images": agreement.rank_agreement(
                self.runs,
                over="images",
                coefficient="spearman",
                metrics=scalars,
                resamples=draws,
            )
        }
        if count > 2:
            found["methods"] = agreement.rank_agreement(
                self.runs, coefficient="kendall", metrics=scalars, resamples=1000
            )
        return found

    def agreement(
        self, draw: figures.Drawer, ranked: Mapping[str, Sequence[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        said = {
            "images": "Over images: Spearman's correlation of the orders in which two "
            "metrics put the images, averaged over the methods.",
            "methods": "Over methods: Kendall's tau-b of the orders in which two "
            "metrics put the methods.",
        }
        return [
            {
                "said": said[over],
                "words": agreement.in_words(records),
                "figure": _drawn(draw, records, said[over]),
                "records": [
                    r | {"verdict": agreement.verdict(r), "written": tables.cell(r)}
                    for r in records
                ],
            }
            for over, records in ranked.items()
        ]

    def box_figures(
        self,
        draw: figures.Drawer,
        boxed: Sequence[dict[str, Any]],
        records: Sequence[dict[str, Any]],
    ) -> list[Any]:
        pairs = dict.fromkeys((r["metric"], r["box_metric"]) for r in boxed)
        shown = {"records": records, "floors": self.floors_drawn()}
        return [
            draw(
                plot.box_against_mask(self.runs, pair, **shown),
                f"{boxes_and_masks.title(*pair)} on masks and on boxes",
            )
            for pair in pairs
        ]

    def threshold_figures(self, draw: figures.Drawer) -> list[Any]:
        made = []
        for metric in self.vectors():
            name = _spec.parse(metric).name
            sigmas = [None]
            if name == "max_box_accuracy_v2":
                sigmas = [0.3, 0.5, 0.7]
            elif name not in ("max_box_accuracy", "max_mask_accuracy"):
                twin = metric.replace("box_accuracy_curve", "max_box_accuracy")
                if name != "box_accuracy_curve" or twin in self.first.metrics:
                    continue
            for sigma in sigmas:
                figure = plot.box_accuracy(self.runs, metric, sigma=sigma)
                made.append(draw(figure, f"{metric} at every threshold"))
        return made

    def curve_figures(self, draw: figures.Drawer) -> list[Any]:
        return [
            draw(plot.curves(self.runs, metric), f"{metric}: mean over images")
            for metric in self.vectors()
            if _spec.parse(metric).name in ("insertion_curve", "deletion_curve")
        ]

    def vectors(self) -> list[str]:
        """Metrics stored as vectors that all runs have."""
        return [
            metric
            for metric in self.first.metrics
            if not columns.is_scalar(self.first.columns, metric)
            and self.first.spec(metric) is not None
            and all(metric in result.metrics for result in self.runs.values())
        ]

    def floors_drawn(self) -> tuple[str, ...] | None:
        """All floors of one run; of several only one each, or they fill the figure."""
        return None if len(self.runs) == 1 else (results.FLOOR,)

    def distributions(
        self,
        draw: figures.Drawer,
        metrics: Sequence[str],
        records: Sequence[dict[str, Any]],
    ) -> list[Any]:
        shown = {"records": records, "floors": self.floors_drawn()}
        return [
            draw(
                plot.distribution(self.runs, m, **shown),
                f"{m}: values of the images, means and intervals",
            )
            for m in metrics[:MOST_FIGURES]
        ]

    def decisions(self, metrics: Sequence[str]) -> dict[str, Any]:
        """Means of right and of wrong decisions, where it is known which are right."""
        rows = []
        counts: dict[str, int] = {}
        for label, result in self.runs.items():
            if "correct" not in result.columns:
                continue
            parts = result.split(by="correct")
            if True not in parts or False not in parts:
                continue
            for name, part in (("right", parts[True]), ("wrong", parts[False])):
                counts[name] = counts.get(name, 0) + part.n_images
                draws = _draws(part, metrics)
                for record in part.summary(metrics=metrics, resamples=draws):
                    if not record["is_floor"]:
                        key = self.name(record["method"], label), record["metric"]
                        rows.append((key, name, tables.cell(record)))
        cells: dict[tuple[str, str], dict[str, str]] = {}
        for key, name, cell in rows:
            cells.setdefault(key, {})[name] = cell
        return {"counts": counts, "rows": [(*key, v) for key, v in cells.items()]}

    def gallery(self, own: Mapping[str, comparison.Side]) -> dict[str, Any]:
        floors = comparison.sides(
            self.runs,
            methods=[side.method for side in own.values()],
            floors=(results.FLOOR,),
        )
        floor = next((s for s in floors.values() if s.method == results.FLOOR), None)
        if floor is not None and len(floor.rows) != len(next(iter(own.values())).rows):
            floor = None  # It lacks rows of the methods.
        choice = choosing.choose(own, floor, by=self.by, count=self.pictures)
        if choice is None:
            return {"cards": []}
        cards = gallery.cards(
            own,
            choice,
            self.images,
            size=self.size or _input_size(self.first),
            crop_fraction=self.crop_fraction,
        )
        classes = sorted({card.target for card in cards if card.target})
        return {
            "cards": cards,
            "choice": choice,
            "classes": classes,
            "kinds": {
                kind: said
                for kind, said in choosing.KINDS.items()
                if any(kind in card.kinds for card in cards)
            },
            "methods": list(own),
            "missing": self.missing,
            "arrow": tables.ARROWS[self.first.direction(choice.by)],
        }

    def errors(self) -> dict[str, Any]:
        rows, reasons = [], []
        for label, result in self.runs.items():
            errors = result.errors()
            reasons += [
                (label, reason, count) for reason, count in result.reasons().items()
            ]
            for error in errors:
                everywhere = len(error["methods"]) == len(result.methods)
                methods = "all" if everywhere else ", ".join(error["methods"])
                rows.append((label, error["id"], error["reason"], methods))
        return {"rows": rows[:MOST_ERRORS], "total": len(rows), "reasons": reasons}


def _drawn(draw: figures.Drawer, records: Sequence[dict[str, Any]], said: str) -> Any:
    try:
        return draw(plot.correlation(records), said)
    except ValueError:  # Every metric is constant.
        return None


def _own(result: results.Result) -> list[str]:
    return [method for method in result.methods if not result.is_floor(method)]


def _model(result: results.Result) -> str:
    return str((result.manifest["scientific"].get("model") or {}).get("name", ""))


def _floor(item: tuple[str, bool]) -> bool:
    return item[1]


def _shown_metrics(runs: Mapping[str, results.Result]) -> list[str]:
    """Metrics that are one number in all runs; curves whose area is there left out."""
    first = next(iter(runs.values()))
    shared = comparison.shared_metrics(list(runs.values()), None)
    areas = set()
    for metric in shared:
        spec, request = first.spec(metric), _spec.parse(metric)
        for companion in () if spec is None else spec.companions:
            areas.add(str(_spec.Request(companion, request.options)))
    return [m for m in shared if m not in areas or columns.is_scalar(first.columns, m)]


def _draws(result: results.Result, metrics: Sequence[str]) -> int:
    """Resamples of the bootstrap: fewer where vectors of many images are reduced."""
    n = max(result.n_images, 1)
    widest = 1
    for metric in metrics:
        if summaries.reduction(result, metric) is not None:
            widest = max(widest, result.values(metric, result.methods[0]).shape[-1])
    return int(max(200, min(statistics.RESAMPLES, WORK / (n * widest))))


def _family(result: results.Result, metric: str) -> str:
    spec = result.spec(metric)
    return spec.family if spec is not None else "other"


def _cell(record: Mapping[str, Any] | None, best: set[tuple[str, str]]) -> dict:
    if record is None:
        return {"text": "", "value": "", "best": False}
    estimate, undefined = record["estimate"], record["n_undefined"]
    if math.isnan(estimate):
        return {"text": f"undefined ({undefined})", "value": "", "best": False}
    chosen = (record["shown"], record["metric"]) in best
    return {"text": tables.cell(record), "value": repr(estimate), "best": chosen}


def _counts(records: Sequence[Mapping[str, Any]]) -> str:
    own = [r for r in records if not r["is_floor"]] or records
    n, undefined = ({r[key] for r in own} for key in ("n", "n_undefined"))
    text = "-".join(map(str, sorted({min(n), max(n)})))
    if undefined == {0}:
        return text
    return f"{text} ({'-'.join(map(str, sorted({min(undefined), max(undefined)})))})"


def _glossary(result: results.Result, metrics: Sequence[str]) -> list[dict[str, str]]:
    found = []
    for name in dict.fromkeys(_spec.parse(metric).name for metric in metrics):
        try:
            spec = registry.metric(name)
        except ValueError:
            continue
        low, high = spec.range
        found.append(
            {
                "name": name,
                "arrow": tables.ARROWS[spec.direction],
                "range": f"[{low:g}, {high:g}]".replace("inf", "∞"),
                "summary": spec.summary,
                "undefined": spec.undefined,
                "source": spec.source,
            }
        )
    return found


def _input_size(result: results.Result) -> tuple[int, int]:
    grid = result.manifest.get("operational", {}).get("grid")
    return tuple(grid) if grid else DEFAULT_SIZE


def _rendered(content: Mapping[str, Any]) -> str:
    import jinja2

    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (
        (folder / name).read_text(encoding="utf-8")
        for name in ("report.css", "report.js")
    )
    template = environment.get_template("report.html")
    return template.render(**content, style=style, script=script)
