"""What the comparison of boxes and masks found, in words and figures.

Every sentence is made from the numbers and can come out either way; none is written
after a result was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcam.experiments import versions

Found = Mapping[str, Any]

BOX, MASK = "#d95f02", "#1b9e77"


def verdict(effect: Found) -> str:
    """The version whose d' is larger for certain: "mask", "box" or "neither".

    Args:
      effect: `estimate`, `low` and `high` of d'(mask) - d'(box).
    """
    if any(_missing(effect[key]) for key in ("estimate", "low", "high")):
        return "neither"
    if effect["low"] > 0:
        return "mask"
    return "box" if effect["high"] < 0 else "neither"


def report(found: Found) -> str:
    """The results as Markdown: question, answers with intervals, tables, limits."""
    return "\n\n".join(
        [
            "# Box versus mask",
            material(found),
            "## Primary endpoint",
            answer(found),
            metric_table(found),
            found_later(found),
            "## Secondary endpoints",
            "\n".join(f"- {sentence}" for sentence in secondary(found)),
            cell_table(found),
            "## Construct test: corrupted maps on shapes",
            construct_table(found),
            construct_sentence(found),
            "## Causal test: the ring between mask and box",
            causal_sentence(found),
            causal_table(found),
            "## What it does not show",
            limits(found),
            "",
        ]
    )


def material(found: Found) -> str:
    """What was measured on what."""
    s = found["settings"]
    breeds = ", ".join(f"{count} {name}" for name, count in s["breeds"].items())
    part = (
        f"all {s['images']} images"
        if s["images"] == s["of_images"]
        else f"{s['images']} of {s['of_images']} images, spread evenly"
    )
    return (
        f"{s['data']}: {part} ({breeds}); networks "
        f"{', '.join(s['networks'])}; methods {', '.join(s['methods'])}; "
        f"{len(found['metrics'])} metrics. d' is the mean of the differences between "
        "an explanation and the centre floor on the same image over their standard "
        "deviation."
    )


def answer(found: Found) -> str:
    """The primary endpoint in plain words."""
    effect, images = found["primary"], found["primary_over_images"]
    closing = {
        "mask": "**Mask-based metrics tell explanations from the centre floor more "
        "reliably than box-based ones.**",
        "box": "**Box-based metrics tell explanations from the centre floor more "
        "reliably than mask-based ones.**",
        "neither": "**Which of the two is more reliable is not decided by these "
        "images.**",
    }[verdict(effect)]
    second = {
        True: "The interval over images agrees.",
        False: "The interval over images leads to another verdict, so the answer hangs "
        "on whether it is to hold for other breeds.",
    }[verdict(effect) == verdict(images)]
    by_metric = [verdict(metric) for metric in effect["metrics"]]
    return (
        f"Mean d' is {_n(effect['mask'])} for masks and {_n(effect['box'])} for boxes: "
        f"a difference of {_interval(effect)}, drawing {effect['n_clusters']} breeds; "
        f"{_interval(images)} drawing images. {closing} {second} Metric by metric "
        f"the interval is above zero for {by_metric.count('mask')}, below for "
        f"{by_metric.count('box')}, and holds zero for {by_metric.count('neither')} of "
        f"{len(by_metric)}. {effect['n_left_out']} of "
        f"{effect['n_pairs'] + effect['n_left_out']} pairs of explanation and metric "
        "are undefined and left out."
    )


def found_later(found: Found) -> str:
    """What the signs of d' do to the mean; not part of the design."""
    effects = found["primary"]["metrics"]
    below = [
        name
        for name, e in zip(found["metrics"], effects, strict=True)
        if not _missing(e["box"]) and max(e["box"], e["mask"]) <= 0
    ]
    kept = [
        e["estimate"]
        for name, e in zip(found["metrics"], effects, strict=True)
        if name not in below and not _missing(e["estimate"])
    ]
    if not below or not kept:
        return "Found later: no metric puts the centre floor first in both versions."
    return (
        f"Found later, not part of the design: {', '.join(below)} put the centre floor "
        "*above* the explanations in both versions, where a larger d' is a smaller "
        f"error rather than a better separation. Over the other {len(kept)} metrics "
        f"the difference is {sum(kept) / len(kept):+.2f}."
    )


def metric_table(found: Found) -> str:
    """D' of each metric on boxes and on masks."""
    rows = [
        (name, _n(e["box"]), _n(e["mask"]), _interval(e))
        for name, e in zip(found["metrics"], found["primary"]["metrics"], strict=True)
    ]
    return _table(("metric", "d' box", "d' mask", "mask - box (95 %)"), rows)


def secondary(found: Found) -> list[str]:
    """One sentence for each secondary endpoint."""
    named = (
        ("skill", "As skill over the uniform map"),
        ("foreground", "With the border as object"),
        ("moved", "With objects moved off the centre"),
        ("randomised", "Against the networks' random copies instead of the centre"),
    )
    sentences = [
        f"{words}: d' {_n(found[key]['mask'])} for masks, {_n(found[key]['box'])} for "
        f"boxes, mask - box {_interval(found[key])}: {_verdict_words(found[key])}."
        for key, words in named
    ]
    return [
        *sentences,
        ranking_sentence(found),
        settling_sentence(found),
        floor_sentence(found),
    ]


def floor_sentence(found: Found) -> str:
    """How often a floor beats the explanations on average."""
    parts = [
        f"{floor} {won['box']:.0%} and {won['mask']:.0%}"
        for floor, won in found["floors_won"].items()
    ]
    return (
        "Means of explanations that lie below a floor's, of all pairs of explanation "
        f"and metric, on boxes and on masks: {', '.join(parts)}."
    )


def ranking_sentence(found: Found) -> str:
    """Whether box and mask rank methods alike."""
    r = found["rankings"]
    between, box, mask = (r[key]["estimate"] for key in ("between", "box", "mask"))
    if any(_missing(value) for value in (between, box, mask)):
        return "Rankings of the methods are undefined."
    limit = min(box, mask)
    alike = (
        "box and mask agree with each other as well as they agree with themselves"
        if between >= limit
        else "box and mask agree with each other less than they agree with themselves"
    )
    return (
        f"Rankings of methods on different halves of the images: tau {_n(between)} "
        f"between box and mask, {_n(box)} between box and box, {_n(mask)} between mask "
        f"and mask (95 % of halvings: {_span(r['between'])}, {_span(r['box'])}, "
        f"{_span(r['mask'])}): {alike}."
    )


def settling_sentence(found: Found) -> str:
    """Images until a ranking settles."""
    parts = []
    for kind in ("box", "mask"):
        sizes = [size for one in found["settled"].values() for size in one[kind]]
        known = sorted(size for size in sizes if size is not None)
        middle = f"median {known[(len(known) - 1) // 2]} images" if known else "none"
        parts.append(
            f"{kind}: {len(known)} of {len(sizes)} rankings settle below the whole set"
            f" ({middle})"
        )
    return f"Images until a ranking of the methods settles: {'; '.join(parts)}."


def cell_table(found: Found) -> str:
    """D' of the metrics of regions in the four cells."""
    rows = [
        (
            {"box": "box", "mask": "component"}[cell["predicted"]],
            cell["truth"],
            _n(cell["effect"]),
        )
        for cell in found["cells"]
    ]
    return _table(("predicted region", "truth", "mean d' against centre"), rows)


def construct_sentence(found: Found) -> str:
    """What the negative control says."""
    control = [
        e for e in found["construct"] if e["data"] == "squares that fill their box"
    ]
    if not control:
        return "The construct test was left out."
    gains = [
        metric["estimate"]
        for e in control
        for name, metric in zip(found["metrics"], e["metrics"], strict=True)
        if name in versions.MAP_METRICS
    ]
    same = all(_missing(gain) or abs(gain) < 1e-4 for gain in gains)
    said = "do not differ, as they must" if same else "differ, which they must not"
    return (
        "On squares that fill their box, box and mask versions of the metrics of maps "
        f"{said}; those of regions can differ there by the predicted region alone."
    )


def construct_table(found: Found) -> str:
    """D' of intact against corrupted maps."""
    rows = [
        (
            e["data"],
            e["corruption"],
            str(e["n"]),
            _n(e["box"]),
            _n(e["mask"]),
            _interval(e),
            _verdict_words(e),
        )
        for e in found["construct"]
    ]
    heads = ("data", "corruption", "n", "d' box", "d' mask", "mask - box", "better")
    return _table(heads, rows)


def causal_sentence(found: Found) -> str:
    """Whether box metrics reward energy that the decision does not rest on."""
    whole = [
        e for e in found["causal"] if e["breed"] == "all" and e["network"] == "all"
    ]
    sentences, verdicts = [], []
    for e in whole:
        low, high = e["excess"]["low"], e["excess"]["high"]
        known = not (_missing(low) or _missing(high))
        more, less = known and low > 0, known and high < 0
        verdicts.append("more" if more else "less" if less else "undecided")
        sentences.append(
            f"{e['fill']}: {_percent(e['energy'])} of the energy, "
            f"{_percent(e['effect'])} of the score (difference "
            f"{_percent(e['excess'])})"
        )
    if set(verdicts) == {"more"}:
        closing = (
            "**Under every fill the ring holds more of the energy than of the "
            "evidence: box metrics reward energy on which the decision does not rest.**"
        )
    elif set(verdicts) == {"less"}:
        closing = (
            "**Under every fill the ring holds less of the energy than of the "
            "evidence: box metrics do not reward energy without evidence.**"
        )
    else:
        closing = "**The fills do not agree, or leave it open.**"
    return f"In the ring lie, by {'; by '.join(sentences)}. {closing}"


def causal_table(found: Found) -> str:
    """Energy and effect of the ring for each fill, network and breed."""
    rows = [
        (
            e["fill"],
            e["network"],
            e["breed"],
            str(e["n"]),
            *(_percent(e[key]) for key in ("energy", "effect", "excess")),
        )
        for e in found["causal"]
    ]
    heads = ("fill", "network", "breed", "n", "energy", "score lost", "difference")
    return _table(heads, rows)


def limits(found: Found) -> str:
    """What the design cannot show."""
    breeds = found["settings"]["breeds"]
    most = sum(sorted(breeds.values(), reverse=True)[:3])
    return (
        f"{most} of the {sum(breeds.values())} images show three of {len(breeds)} "
        "breeds, so intervals that draw breeds are rough. Boxes are derived from the "
        "masks; boxes drawn by people are not tested. The explained class is often a "
        "neighbour of the true breed. Where the box covers the whole picture, box "
        "metrics cannot separate anything. d' measures separation from one floor, not "
        "use. Replacing a region takes the image off the distribution that the network "
        "knows."
    )


def draw(found: Found, folder: Path) -> list[str]:
    """Writes the figures; none where matplotlib is not installed.

    Returns:
      The names of the files.
    """
    from jaxcam import plot

    try:
        plot.require()
    except ModuleNotFoundError:
        return []
    made = {"effects.png": effect_figure(found), "ring.png": ring_figure(found)}
    for name, figure in made.items():
        plot.save(figure, folder / name)
    return list(made)


def effect_figure(found: Found) -> Any:
    """D' of each metric on boxes and on masks, and their difference."""
    from matplotlib import figure

    effects = found["primary"]["metrics"]
    names = [name.replace("_", " ") for name in found["metrics"]]
    made = figure.Figure(figsize=(9, 0.32 * len(names) + 1.3), layout="constrained")
    left, right = made.subplots(1, 2, sharey=True)
    places = list(range(len(names)))
    for place, e in zip(places, effects, strict=True):
        left.plot(_drawn(e, ("box", "mask")), [place, place], color="0.75", zorder=1)
    for kind, colour in (("box", BOX), ("mask", MASK)):
        values = [_drawn(e, (kind,))[0] for e in effects]
        left.scatter(values, places, color=colour, label=kind, zorder=2)
    for place, e in zip(places, effects, strict=True):
        low, middle, high = _drawn(e, ("low", "estimate", "high"))
        right.plot([low, high], [place, place], color="0.4")
        right.scatter([middle], [place], color="0.2", zorder=2)
    left.set_yticks(places, names, fontsize=8)
    left.invert_yaxis()
    left.set_title("d' against the centre floor", fontsize=9)
    right.set_title("mask - box, 95 % over breeds", fontsize=9)
    left.legend(fontsize=8)
    for axes in (left, right):
        axes.axvline(0, color="black", linewidth=0.6)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return made


def ring_figure(found: Found) -> Any:
    """Energy in the ring beside the share of the score lost without it."""
    from matplotlib import figure

    shown = [e for e in found["causal"] if e["network"] == "all"]
    fills = list(dict.fromkeys(e["fill"] for e in shown))
    made = figure.Figure(figsize=(3 * max(len(fills), 1), 2.8), layout="constrained")
    panels = made.subplots(1, max(len(fills), 1), sharey=True, squeeze=False)[0]
    for axes, fill in zip(panels, fills, strict=True):
        groups = [e for e in shown if e["fill"] == fill]
        for shift, key, colour in ((-0.12, "energy", BOX), (0.12, "effect", MASK)):
            for place, e in enumerate(groups):
                low, middle, high = _drawn(e[key], ("low", "estimate", "high"))
                axes.plot([place + shift] * 2, [low, high], color=colour)
                label = {"energy": "energy", "effect": "score lost"}[key]
                axes.scatter(
                    [place + shift],
                    [middle],
                    color=colour,
                    s=18,
                    label=label if place == 0 else None,
                )
        names = [e["breed"].replace("_", " ") for e in groups]
        axes.set_xticks(range(len(names)), names, fontsize=7, rotation=25)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_title(fill, fontsize=9)
        axes.axhline(0, color="black", linewidth=0.6)
        axes.tick_params(axis="y", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("share in the ring", fontsize=8)
    panels[0].legend(fontsize=8)
    return made


def _drawn(effect: Found, keys: Sequence[str]) -> list[float]:
    """Numbers for a figure; NaN for what is undefined."""
    return [float("nan") if _missing(effect[k]) else effect[k] for k in keys]


def _missing(value: float | None) -> bool:
    return value is None or value != value


def _n(value: float | None) -> str:
    return "undefined" if _missing(value) else f"{value:.2f}"


def _interval(effect: Found) -> str:
    if _missing(effect["estimate"]):
        return "undefined"
    if _missing(effect["low"]):
        return f"{effect['estimate']:+.2f}"
    return f"{effect['estimate']:+.2f} ({effect['low']:+.2f} to {effect['high']:+.2f})"


def _span(effect: Found) -> str:
    return f"{_n(effect['low'])} to {_n(effect['high'])}"


def _percent(effect: Found) -> str:
    if _missing(effect["estimate"]):
        return "undefined"
    middle = f"{effect['estimate']:.1%}"
    if _missing(effect["low"]):
        return middle
    return f"{middle} ({effect['low']:.1%} to {effect['high']:.1%})"


def _verdict_words(effect: Found) -> str:
    words = {"mask": "masks", "box": "boxes", "neither": "undecided"}
    return words[verdict(effect)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from jaxcam import catalogue

    return catalogue.markdown(tuple(heads), [tuple(row) for row in rows]).strip()
