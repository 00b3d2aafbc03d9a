"""What the comparison of boxes and masks found, in words.

Every sentence is made from the numbers and can come out either way. What the design
asked for is said first; what was found later stands beside it and is called so
(`jaxcam.experiments.afterwards`).
"""

from __future__ import annotations

from jaxcam.experiments import afterwards, versions, words


def report(found: words.Found) -> str:
    """The results as Markdown: question, answers with intervals, tables, limits."""
    return "\n\n".join(
        [
            "# Box versus mask",
            material(found),
            "## Primary endpoint",
            answer(found),
            metric_table(found),
            afterwards.primary(found),
            "## Secondary endpoints",
            "\n".join(f"- {sentence}" for sentence in secondary(found)),
            cell_table(found),
            "## Construct test: corrupted maps on shapes",
            construct_table(found),
            construct_sentence(found),
            "## Causal test: the ring between mask and box",
            causal_sentence(found),
            causal_table(found),
            afterwards.causal_sentence(found),
            afterwards.causal_table(found),
            "## What it does not show",
            limits(found),
            "",
        ]
    )


def material(found: words.Found) -> str:
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


def answer(found: words.Found) -> str:
    """The primary endpoint in plain words, and what the signs of d' make of it."""
    effect, images = found["primary"], found["primary_over_images"]
    closing = {
        "mask": "**By the endpoint fixed beforehand, masks are better.**",
        "box": "**By the endpoint fixed beforehand, boxes are better.**",
        "neither": "**By the endpoint fixed beforehand, neither is better for "
        "certain.**",
    }[words.verdict(effect)]
    second = {
        True: "The interval over images agrees.",
        False: "The interval over images leads to another verdict, so the answer hangs "
        "on whether it is to hold for other breeds.",
    }[words.verdict(effect) == words.verdict(images)]
    by_metric = [words.verdict(metric) for metric in effect["metrics"]]
    return (
        f"Mean d' is {words.number(effect['mask'])} for masks and "
        f"{words.number(effect['box'])} for boxes: a difference of "
        f"{words.interval(effect)}, drawing {effect['n_clusters']} breeds; "
        f"{words.interval(images)} drawing images. {closing} {second} Metric by "
        f"metric the interval is above zero for {by_metric.count('mask')}, below for "
        f"{by_metric.count('box')}, and holds zero for {by_metric.count('neither')} "
        f"of {len(by_metric)}. {effect['n_left_out']} of "
        f"{effect['n_pairs'] + effect['n_left_out']} pairs of explanation and metric "
        f"are undefined and left out. {afterwards.signs(found)}"
    )


def metric_table(found: words.Found) -> str:
    """D' of each metric on boxes and on masks."""
    rows = [
        (name, words.number(e["box"]), words.number(e["mask"]), words.interval(e))
        for name, e in zip(found["metrics"], found["primary"]["metrics"], strict=True)
    ]
    return words.table(("metric", "d' box", "d' mask", "mask - box (95 %)"), rows)


def secondary(found: words.Found) -> list[str]:
    """One sentence for each secondary endpoint, and what was found later beside it."""
    named = (
        ("skill", "As skill over the uniform map", afterwards.skill),
        ("foreground", "With the border as object", None),
        ("moved", "On crops that put the object's box at a corner", afterwards.moved),
        (
            "randomised",
            "Against the networks' random copies instead of the centre",
            afterwards.copies,
        ),
    )
    sentences = [
        f"{said}: d' {words.number(found[key]['mask'])} for masks, "
        f"{words.number(found[key]['box'])} for boxes, mask - box "
        f"{words.interval(found[key])}: {words.verdict_words(found[key])}."
        + (f" Found later: {beside(found)}" if beside else "")
        for key, said, beside in named
    ]
    return [
        *sentences,
        f"{ranking_sentence(found)} Found later: {afterwards.rankings(found)}",
        f"{settling_sentence(found)} Found later: {afterwards.settling(found)}",
        floor_sentence(found),
    ]


def floor_sentence(found: words.Found) -> str:
    """How often a floor beats the explanations on average."""
    parts = [
        f"{floor} {won['box']:.0%} and {won['mask']:.0%}"
        for floor, won in found["floors_won"].items()
    ]
    return (
        "Means of explanations that lie below a floor's, of all pairs of explanation "
        f"and metric, on boxes and on masks: {', '.join(parts)}."
    )


def ranking_sentence(found: words.Found) -> str:
    """Whether box and mask rank methods alike."""
    r = found["rankings"]
    between, box, mask = (r[key]["estimate"] for key in ("between", "box", "mask"))
    if any(words.missing(value) for value in (between, box, mask)):
        return "Rankings of the methods are undefined."
    if between >= max(box, mask):
        alike = "as well as they agree with themselves"
    elif between < min(box, mask):
        alike = "less than they agree with themselves"
    else:
        less = "box" if box < mask else "mask"
        other = {"box": "mask", "mask": "box"}[less]
        alike = f"as well as {less} with {less}, less than {other} with {other}"
    return (
        "Rankings of methods on different halves of the images: tau "
        f"{words.number(between)} between box and mask, {words.number(box)} between "
        f"box and box, {words.number(mask)} between mask and mask (95 % of halvings: "
        f"{words.span(r['between'])}, {words.span(r['box'])}, "
        f"{words.span(r['mask'])}): box and mask agree with each other {alike}."
    )


def settling_sentence(found: words.Found) -> str:
    """Images until a ranking settles."""
    said = words.settled(found["settled"])
    return f"Images until a ranking of the methods settles: {said}."


def cell_table(found: words.Found) -> str:
    """D' of the metrics of regions in the four cells."""
    rows = [
        (
            {"box": "box", "mask": "component"}[cell["predicted"]],
            cell["truth"],
            words.number(cell["effect"]),
        )
        for cell in found["cells"]
    ]
    return words.table(("predicted region", "truth", "mean d' against centre"), rows)


def construct_sentence(found: words.Found) -> str:
    """How often each version sees the corruption better, and the negative control."""
    if not found["construct"]:
        return "The construct test was left out."
    tests = [e for e in found["construct"] if e["data"] != SQUARES]
    by_verdict: dict[str, list[str]] = {kind: [] for kind in words.KINDS}
    for e in tests:
        by_verdict[words.verdict(e)].append(
            f"{e['data']}, {e['corruption']} map, {words.interval(e)}"
        )
    counts = {kind: len(some) for kind, some in by_verdict.items()}
    boxes = "; ".join(by_verdict["box"])
    said = (
        f"Of {len(tests)} corruptions masks see {counts['mask']} better, boxes "
        f"{counts['box']}{f' ({boxes})' if boxes else ''}, and {counts['neither']} "
        "are undecided."
    )
    return f"{said} {_control(found)}"


SQUARES = "squares that fill their box"


def _control(found: words.Found) -> str:
    control = [e for e in found["construct"] if e["data"] == SQUARES]
    gains, regions = [], []
    for e in control:
        for name, metric in zip(found["metrics"], e["metrics"], strict=True):
            if not words.missing(metric["estimate"]):
                group = gains if name in versions.MAP_METRICS else regions
                group.append((name, metric["estimate"]))
    if not gains:
        return "The negative control is undefined, so nothing is known of it."
    moved = [name for name, gain in gains if abs(gain) >= 1e-4]
    said = (
        "differ, which they must not"
        if moved
        else f"do not differ, as they must ({len(gains)} metrics)"
    )
    most = max(regions, key=lambda pair: abs(pair[1]), default=None)
    differing = f" (most: {most[0]}, {most[1]:+.2f})" if most else ""
    return (
        "On squares that fill their box, the negative control of the truth, box and "
        f"mask versions of the metrics of maps {said}. Metrics of regions can differ "
        f"there by the predicted region alone{differing}: of them, squares are no "
        "control."
    )


def construct_table(found: words.Found) -> str:
    """D' of intact against corrupted maps."""
    rows = [
        (
            e["data"],
            e["corruption"],
            str(e["n"]),
            words.number(e["box"]),
            words.number(e["mask"]),
            words.interval(e),
            words.verdict_words(e),
        )
        for e in found["construct"]
    ]
    heads = ("data", "corruption", "n", "d' box", "d' mask", "mask - box", "better")
    return words.table(heads, rows)


def causal_sentence(found: words.Found) -> str:
    """Energy in the ring beside what the score loses without it."""
    whole = [
        e for e in found["causal"] if e["breed"] == "all" and e["network"] == "all"
    ]
    sentences, verdicts = [], []
    for e in whole:
        low, high = e["excess"]["low"], e["excess"]["high"]
        known = not (words.missing(low) or words.missing(high))
        more, less = known and low > 0, known and high < 0
        verdicts.append("more" if more else "less" if less else "undecided")
        sentences.append(
            f"{e['fill']}: {words.percent(e['energy'])} of the energy, "
            f"{words.percent(e['effect'])} of the score (difference "
            f"{words.percent(e['excess'])})"
        )
    if set(verdicts) == {"more"}:
        closing = (
            "**Under every fill the ring holds a larger share of the energy than of "
            "the score: by the test fixed beforehand, box metrics reward energy on "
            "which the decision does not rest.**"
        )
    elif set(verdicts) == {"less"}:
        closing = (
            "**Under every fill the ring holds a smaller share of the energy than of "
            "the score: the test fixed beforehand finds no energy in the ring that "
            "box metrics reward for nothing.**"
        )
    else:
        closing = "**The fills do not agree, or leave it open.**"
    return f"In the ring lie, by {'; by '.join(sentences)}. {closing}"


def causal_table(found: words.Found) -> str:
    """Energy and effect of the ring for each fill, network and breed."""
    rows = [
        (
            e["fill"],
            e["network"],
            e["breed"],
            str(e["n"]),
            *(words.percent(e[key]) for key in ("energy", "effect", "excess")),
        )
        for e in found["causal"]
    ]
    heads = ("fill", "network", "breed", "n", "energy", "score lost", "difference")
    return words.table(heads, rows)


def limits(found: words.Found) -> str:
    """What the design cannot show."""
    breeds = found["settings"]["breeds"]
    most = sum(sorted(breeds.values(), reverse=True)[:3])
    count = min(3, len(breeds))
    return (
        f"{most} of the {sum(breeds.values())} images show {count} of {len(breeds)} "
        "breeds, so intervals that draw breeds are rough: "
        f"{afterwards.coverage(found)} Boxes are derived from the masks; boxes drawn "
        "by people are not tested. The explained class is often a neighbour of the "
        "true breed. Where the box covers the whole picture, box metrics cannot "
        "separate anything. d' measures separation from one floor, not use. Replacing "
        "a region takes the image off the distribution that the network knows. "
        f"Methods: {words.listed(found['settings']['methods'])}; other methods and "
        "networks may come out otherwise."
    )
