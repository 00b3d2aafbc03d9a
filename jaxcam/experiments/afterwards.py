"""What was found after the first results, in words; none of it is part of the design.

Every sentence is made from the numbers of `jaxcam.experiments.later` and can come out
either way.
"""

from __future__ import annotations

from jaxcam.experiments import later, words

AS_SAID = 0.93
"""Coverage from which a nominal 95 % interval is not called too narrow."""


def signs(found: words.Found) -> str:
    """What the signs of d' do to the primary endpoint."""
    effect, more = found["primary"], found["later"]
    size, above = more["size"], more["above"]
    reading = {
        "mask": "whatever the sign, masks tell maps apart more reliably",
        "box": "whatever the sign, boxes tell maps apart more reliably",
        "neither": "how reliably the two tell maps apart does not differ for certain",
    }[words.verdict(size)]
    return (
        f"But d' has a sign, and {_level(effect)}: it is negative in "
        f"{words.share(more['below']['box'])} of the pairs on boxes and in "
        f"{words.share(more['below']['mask'])} on masks. Found later: of its size "
        f"alone, |d'| is {words.number(size['mask'])} for masks and "
        f"{words.number(size['box'])} for boxes, a difference of "
        f"{words.interval(size)}, so {reading}{_turned(found)}. In {above['n_pairs']} "
        f"of {above['n_of']} pairs both versions put the explanation first; there d' "
        f"is {words.number(above['mask'])} for masks and {words.number(above['box'])} "
        f"for boxes, a difference of {words.interval(above)}, and masks have the "
        f"larger one in {above['n_gains']} of {above['n_pairs']} pairs (chosen by the "
        "estimates themselves)."
    )


def _level(effect: words.Found) -> str:
    """On which side of the floor the two means lie."""
    if words.missing(effect["box"]) or words.missing(effect["mask"]):
        return "its mean is undefined"
    below = {kind: effect[kind] < 0 for kind in ("box", "mask")}
    if all(below.values()):
        return "both versions put the explanations *below* the centre floor on average"
    if not any(below.values()):
        return "both versions put the explanations above the centre floor on average"
    low, high = ("boxes", "masks") if below["box"] else ("masks", "boxes")
    return (
        f"on average {low} put the explanations *below* the centre floor and {high} "
        "above it"
    )


def _turned(found: words.Found) -> str:
    """What is left for the primary difference to be, where sizes do not differ."""
    decided = words.verdict(found["primary"]) != "neither"
    if decided and words.verdict(found["later"]["size"]) == "neither":
        return "; what the endpoint counts is how often the sign is the right one"
    return ""


def primary(found: words.Found) -> str:
    """The primary difference without metrics and methods that may be questioned."""
    more = found["later"]
    first, left_out = more["first"], more["left_out"]
    parts = [
        "Found later, not part of the design: "
        + (
            f"{words.listed(left_out)} put the centre floor *above* the explanations "
            "in both versions, where a larger d' is a smaller error rather than a "
            "better separation; without them the difference is "
            f"{words.interval(first)}."
            if left_out
            else "no metric puts the centre floor first in both versions."
        )
    ]
    same = _groups(found)
    if same:
        parts.append(
            f"Some methods make one map, to rounding ({same}), and count several "
            "times; counted once the difference is "
            f"{words.interval(more['distinct']['primary'])}."
        )
    else:
        parts.append("No two methods make the same map.")
    return " ".join(parts)


def _groups(found: words.Found) -> str:
    """Methods that are one, by network."""
    parts = []
    for network, groups in found["later"]["distinct"]["groups"].items():
        same = [" = ".join(group) for group in groups if len(group) > 1]
        if same:
            parts.append(f"{network}: {', '.join(same)}")
    return "; ".join(parts)


def skill(found: words.Found) -> str:
    """The skill on common images, and on those whose box leaves something outside."""
    more = found["later"]["skill"]
    rows = list(zip(found["metrics"], more["metrics"], strict=True))
    name, most = max(rows, key=lambda row: abs(row[1]["mask"] - row[1]["box"]))
    known = [(n, r) for n, r in rows if not words.missing(r["five"])]
    parts = []
    if most["mask"] != most["box"]:
        parts.append(
            f"the two have a skill on different images ({name}: {most['box']} on boxes,"
            f" {most['mask']} on masks)"
        )
    if known:
        heavy, row = max(known, key=lambda pair: pair[1]["five"])
        parts.append(
            "and a box skill has no lower bound, so that a few images decide (five own "
            f"up to {words.share(row['five'])} of the sum of squares of {heavy})"
        )
    common, smaller = more["common"], more["smaller"]
    parts.append(
        f"on images where both are defined mask - box is {words.interval(common)} "
        f"({words.verdict_words(common)}), and where besides the box covers at most "
        f"{words.share(later.MOST_OF_THE_IMAGE)} of the picture ({more['n_smaller']} "
        f"images) {words.interval(smaller)} ({words.verdict_words(smaller)})."
    )
    return "; ".join(parts)


def moved(found: words.Found) -> str:
    """What the crops did to the objects, and the endpoint where they moved them."""
    more = found["later"]["moved"]
    whole, off = more["all"], more["off"]
    if not whole["n"]:
        return "no object's place is known."
    held = whole["after"] > whole["before"] and whole["nearer"] < 0.5
    said = (
        "the crops move the objects off the centre"
        if held
        else "the crops do not move objects off the centre, for long boxes fill them"
    )
    text = (
        f"{said}: the median distance of the box from the centre went from "
        f"{whole['before']:.3f} to {whole['after']:.3f} sides, "
        f"{words.share(whole['nearer'])} of the objects came nearer to it and "
        f"{words.share(whole['farther'])} went farther, and boxes that cover "
        f"{words.share(later.WHOLE)} of the picture, on which a box metric can "
        f"separate nothing, went from {words.share(whole['whole_before'])} to "
        f"{words.share(whole['whole_after'])}."
    )
    if not off["n"]:
        return f"{text} No object came to lie farther off."
    crops, images = more["crops"], more["images"]
    return (
        f"{text} On the {off['n']} images whose object went farther off, to at least "
        f"{later.OFF:.1f} sides (median {off['before']:.3f} before, "
        f"{off['after']:.3f} after), d' is {words.number(crops['mask'])} for masks "
        f"and {words.number(crops['box'])} for boxes, mask - box "
        f"{words.interval(crops)} ({words.verdict_words(crops)}); on the same images "
        f"uncropped {words.interval(images)}."
    )


def copies(found: words.Found) -> str:
    """Which classes the random copies explain."""
    parts = [
        f"{network} in {words.share(e['other'])} of the images (the copy names "
        f"{_many(e['classes'][1])}, at a median probability of "
        f"{e['probability'][1]:.2g}; the network {_many(e['classes'][0])}, at "
        f"{e['probability'][0]:.2g})"
        for network, e in found["later"]["copies"].items()
    ]
    if all(e["other"] == 0 for e in found["later"]["copies"].values()):
        return "the copies explain the same classes as their networks."
    return (
        "a copy explains its own best class, which differs from the network's: "
        f"{'; '.join(parts)}. What is told apart is thus also a map of another class."
    )


def _many(classes: int) -> str:
    return f"{classes} class" if classes == 1 else f"{classes} classes"


def rankings(found: words.Found) -> str:
    """Agreement over the same metrics, and over methods that differ."""
    more = found["later"]
    whole = more["rankings"]
    parts = [f"over the metrics for which all three are defined {_taus(whole)}"]
    distinct = more["distinct"]["rankings"]
    if _groups(found) and distinct:
        parts.append(f"with methods that make one map counted once {_taus(distinct)}")
    return "; ".join(parts) + "."


def _taus(r: words.Found) -> str:
    if any(words.missing(r[key]["estimate"]) for key in ("between", "box", "mask")):
        return "they are undefined"
    return (
        f"tau is {words.number(r['between']['estimate'])}, "
        f"{words.number(r['box']['estimate'])} and "
        f"{words.number(r['mask']['estimate'])}, and that of box with mask differs "
        f"from that of box with box by {words.interval(r['under_box'])}, from that of "
        f"mask with mask by {words.interval(r['under_mask'])} (95 % of halvings): "
        f"{_alike(r)}"
    )


def _alike(r: words.Found) -> str:
    """Whether the shortfalls are clear over halvings."""
    clear = [
        name
        for name in ("box", "mask")
        if not words.missing(r[f"under_{name}"]["high"])
        and r[f"under_{name}"]["high"] < 0
    ]
    if len(clear) == 2:
        return "they agree clearly less with each other than either with itself"
    if clear:
        return f"they agree clearly less than {clear[0]} with {clear[0]} only"
    return "they do not agree clearly less than with themselves"


def settling(found: words.Found) -> str:
    """Images until rankings of methods that differ settle."""
    if not _groups(found):
        return "no two methods make the same map, so nothing changes."
    settled = found["later"]["distinct"]["settled"]
    said = words.settled(settled)
    return f"with methods that make one map counted once, {said}."


def causal_sentence(found: words.Found) -> str:
    """Whether the conclusion about the ring survives when like is held against like."""
    rows = found["later"]["causal"]
    if not rows:
        return "Found later: the ring's effects are undefined."
    first = rows[0]
    ring = first["energy"]["ring"]["estimate"]
    flat = first["uniform"]["ring"]["estimate"]
    side = "less" if ring < flat else "more"
    avoid = "avoid" if ring < flat else "favour"
    excess = [r["excess"] for r in rows]
    known = [
        e for e in excess if not (words.missing(e["low"]) or words.missing(e["high"]))
    ]
    more = [e for e in known if e["low"] > 0]
    less = [e for e in known if e["high"] < 0]
    if len(more) == len(rows):
        stands = "more of the energy than of the evidence under every fill"
    elif len(less) == len(rows):
        stands = "less of the energy than of the evidence under every fill"
    else:
        stands = (
            f"more of the energy than of the evidence under {len(more)}, less under "
            f"{len(less)} of {len(rows)} fills"
        )
    shares = "; ".join(
        f"{r['fill']} {words.percent(r['evidence'])}, energy less that "
        f"{words.percent(r['excess'])}"
        for r in rows
    )
    return (
        "Found later: energies add up to one over object, ring and context; effects "
        "need not, so the test above compares unlike things. Of the positive effects "
        f"of the three parts the ring has: {shares}. The ring holds {stands}. The "
        f"explanations hold {side} there than a map that knows nothing: "
        f"{words.percent(first['energy']['ring'])} against "
        f"{words.percent(first['uniform']['ring'])} of the uniform map, below it in "
        f"{words.share(first['below_uniform'])} of the images: they {avoid} the ring. "
        "The ring leaves out the trimap's border, "
        f"{words.share(found['later']['border'])} of a picture on average, which "
        "belongs to no part, so that this is the box without object and border."
    )


def causal_table(found: words.Found) -> str:
    """Energy, that of the uniform map, and effect of each part."""
    rows = [
        (r["fill"], part, *(words.percent(r[key][part]) for key in _COLUMNS))
        for r in found["later"]["causal"]
        for part in later.PARTS
    ]
    heads = ("fill", "part", "energy", "energy of the uniform map", "score lost")
    return words.table(heads, rows)


_COLUMNS = ("energy", "uniform", "effect")


def coverage(found: words.Found) -> str:
    """How often intervals that draw these breeds hold the truth."""
    rows = found["later"]["coverage"]
    if not rows:
        return "with a single breed there are none."
    covered = [row["covered"] for row in rows]
    sds = words.listed([f"{row['breed_sd']:g}" for row in rows])
    reading = (
        "It is too narrow; a verdict whose interval ends near zero is not to be relied "
        "on."
        if min(covered) < AS_SAID
        else "It is about as wide as it says."
    )
    return (
        "in simulated data with breeds of these sizes a nominal 95 % interval covered "
        f"the truth in {words.share(min(covered))} to {words.share(max(covered))} of "
        f"cases, with breeds that differ by {sds} deviations between images. {reading}"
    )
