"""Everything that the template shows, section by section."""

from __future__ import annotations

import json
from typing import Any

from jaxcam import (
    boxes_and_masks,
    comparison,
    data,
    results,
    storage,
    summaries,
    tables,
)
from jaxcam.reports import (
    appendix,
    choosing,
    comparisons,
    drawings,
    figures,
    findings,
    gallery,
    heading,
    subject,
    universes,
    values,
)

DEFAULT_SIZE = (224, 224)


def content(runs: subject.Runs) -> dict[str, Any]:
    """Everything that the template shows but the gallery."""
    draw = figures.Drawer()
    metrics = subject.shown_metrics(runs)
    records = values.summary(runs, metrics)
    skills = values.summary(
        runs,
        [
            skill
            for skill in subject.first(runs).skills
            if skill.removesuffix(summaries.SKILL) in metrics
            and all(skill in result.skills for result in runs.values())
        ],
    )
    compared = comparisons.compared(runs, metrics)
    boxed = boxes_and_masks.against(runs, floors=(results.FLOOR,))
    ranked = comparisons.ranked(runs, metrics)
    known = universes.read(runs)
    verdicts = findings.verdicts(compared)
    for verdict in verdicts:
        verdict["universes"] = known.line(verdict["a"], verdict["b"])
    for record in compared:
        record["universes"] = known.brief(record["metric"], record["a"], record["b"])
    pairs = list(dict.fromkeys((r["a"], r["b"]) for r in compared))
    return {
        "title": heading.title(runs),
        "facts": heading.facts(runs),
        "warnings": heading.warnings(runs) + universes.warnings(known, pairs),
        "short": findings.in_short(compared, boxed, ranked, known),
        "tables": values.grids(runs, records),
        "skills": values.grids(runs, skills, floors_left_out=(results.FLOOR,)),
        "comparison": compared,
        "verdicts": verdicts,
        "universes": known,
        "box_table": boxed,
        "box_figures": drawings.box_figures(runs, draw, boxed, records),
        "thresholds": drawings.threshold_figures(runs, draw),
        "curves": drawings.curve_figures(runs, draw),
        "distributions": drawings.distributions(runs, draw, metrics, records),
        "agreement": comparisons.agreements(runs, draw, ranked),
        "decisions": values.decisions(runs, metrics),
        "errors": appendix.errors(runs),
        "glossary": appendix.glossary(subject.first(runs), metrics),
        "manifests": {
            label: json.dumps(result.manifest, indent=1, ensure_ascii=False)
            for label, result in runs.items()
        },
        "arrows": tables.ARROWS,
        "floor": results.FLOOR,
    }


def chosen_images(
    runs: subject.Runs,
    *,
    by: str | None,
    pictures: int,
    images: data.Dataset | None,
    missing: str,
    size: tuple[int, int] | None,
    crop_fraction: float,
) -> dict[str, Any]:
    """The gallery: cards of good, bad and misinterpreted images.

    Args:
      runs: The opened runs.
      by: As in `jaxcam.report`, as are `pictures`, `size` and `crop_fraction`.
      pictures: Images of each kind.
      images: Where they are.
      missing: Why they are not at hand.
      size: Rows and columns of the grid; by default what the run says.
      crop_fraction: Of the network.
    """
    own = comparison.sides(runs)
    floors = comparison.sides(
        runs,
        methods=[side.method for side in own.values()],
        floors=(results.FLOOR,),
    )
    floor = next((s for s in floors.values() if s.method == results.FLOOR), None)
    if floor is not None and len(floor.rows) != len(next(iter(own.values())).rows):
        floor = None  # It lacks rows of the methods.
    choice = choosing.choose(own, floor, by=by, count=pictures)
    if choice is None:
        return {"cards": []}
    cards = gallery.cards(
        own,
        choice,
        images,
        size=size or _input_size(subject.first(runs)),
        crop_fraction=crop_fraction,
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
        "missing": missing,
        "arrow": tables.ARROWS[subject.first(runs).direction(choice.by)],
    }


def _input_size(result: results.Result) -> tuple[int, int]:
    size = storage.model_input(result.manifest).get("size")
    return tuple(size) if size else DEFAULT_SIZE
