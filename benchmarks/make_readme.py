"""Writes the generated parts of the documentation.

    python -m benchmarks.make_readme

The metric and method tables come from the registry, the tables of real photographs and
of performance from the JSON files that the benchmarks leave in `benchmarks/results`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from jaxcam import catalogue, definitions, registry

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"

METRICS_HEAD = """# Every metric

Generated from the registry and the docstrings. `S` is the saliency map, `M` the truth,
`P` the predicted region, `p` the probability of the explained class on the image and
`o` the same on the altered image. Undefined is NaN and counted; each metric's docstring
says more, with a worked example.

"""


METHODS_HEAD = """# Every method

Generated from the docstrings. `x` is the preprocessed image, `y` the score that is
explained (a class's logit, unless another is asked for), `p` its probability, `A` the
activation of the tapped layer, of `h` rows, `w` columns and `C` channels, and `G` the
gradient of `y` in it. Every method that taps a layer takes the options `layer`, one
name or several as `(a,b)`, and `aggregate`, how the maps of several layers become one:
`mean` (the default) and `max` of maps divided by their maxima, `product` of maps
stretched to [0, 1]. Maps are on the layer's grid, not normalised. Options are given in
brackets: `grad_cam_plus_plus[variant=eq19]`.

"""


def replaced(text: str, section: str, content: str) -> str:
    """`text` with one marked section replaced."""
    pattern = rf"(<!-- begin: {section} -->\n).*?(<!-- end: {section} -->)"
    new, count = re.subn(
        pattern, lambda m: f"{m[1]}{content.strip()}\n{m[2]}", text, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"The text has {count} sections {section!r}; one is needed.")
    return new


PETS_SHOWN = ("cam", "uniform", "centre")

PETS_HEAD = """Plain CAM on 658 photographs of pets with pixel masks (Oxford-IIIT Pet,
squashed to 224 x 224), explaining the best-scored class inside the species' range of
ImageNet classes, with 95 % intervals; in brackets an independent run on the same
images, whose resizing differs a little. The first column says what the border class of
the trimap counts as in mask columns: background, object (`foreground`, the paper's
choice), or nothing (`ignore`, the default). `python -m benchmarks.pets --shared DIR`
makes it; one row of it is

```
jaxcam evaluate --model squeezenet1_1 --weights squeezenet1_1.npz \\
  --data oxford_pets:DIR --methods cam --border foreground
```

The table says why floors matter: by the box error (LE) SqueezeNet's CAM cannot be told
from a uniform map, by the mask error (MLE) it can. Box columns do not depend on the
border rule. The one image with an empty trimap is undefined and left out. The centre of
the independent run is a Gaussian of a quarter of the side, the default here one of half
of it, as in the literature on weak supervision; `centre[sigma=0.25]` gives its .408 and
.493.

"""


def pets_table() -> str:
    """CAM on real photographs beside an independent run."""
    path = RESULTS / "pets.json"
    records = json.loads(path.read_text(encoding="utf-8"))["records"]
    shown = {
        "energy_pointing_game": "EPG mask ↑",
        "energy_pointing_game[region=box]": "EPG box ↑",
        "pointing_game": "pointing ↑",
        "localization_error": "MLE ↓",
        "localization_error[region=box]": "LE ↓",
    }
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for record in records:
        if record["metric"] not in shown or record["method"] not in PETS_SHOWN:
            continue
        key = record["border"], record["model"], record["method"]
        half = (record["high"] - record["low"]) / 2
        cell = f"{record['estimate']:.3f} ±{half:.3f}"
        if record["independent"] is not None:
            cell += f" ({record['independent']:.3f})"
        rows.setdefault(key, {})[record["metric"]] = cell
    table = []
    for (border, model, method), cells in rows.items():
        is_floor = method not in ("cam", "grad_cam")
        name = f"*{method}*" if is_floor else f"{method}, {model}"
        table.append((border, name, *(cells.get(m, "") for m in shown)))
    heads = ("border", "explanation", *shown.values())
    return PETS_HEAD + catalogue.markdown(heads, table)


FAITHFULNESS_HEAD = """Metrics that ask the model, on every fourteenth of these
photographs (every forty-second for MobileNetV2), with 95 % intervals: 28 steps a curve,
ROAD's nine shares. `python -m benchmarks.pets_faithfulness --shared DIR` makes it.

"""


def faithfulness_table() -> str:
    """Grad-CAM beside the floors, by metrics that ask the model."""
    path = RESULTS / "pets_faithfulness.json"
    records = json.loads(path.read_text(encoding="utf-8"))["records"]
    metrics = list(dict.fromkeys(record["metric"] for record in records))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for record in records:
        half = (record["high"] - record["low"]) / 2
        name = f"*{record['method']}*" if record["is_floor"] else record["method"]
        cells = rows.setdefault((record["model"], name), {})
        cells[record["metric"]] = f"{record['estimate']:.3f} ±{half:.3f}"
    arrows = {m: catalogue.ARROWS[registry.metric(m).direction] for m in metrics}
    heads = ("network", "explanation", *(f"`{m}` {arrows[m]}" for m in metrics))
    table = [
        (*key, *(cells.get(m, "") for m in metrics)) for key, cells in rows.items()
    ]
    return FAITHFULNESS_HEAD + catalogue.markdown(heads, table)


def performance_table() -> str:
    """Every benchmark with both sides, medians, and the target it was to meet."""
    rows = []
    for path in sorted(RESULTS.glob("*/*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        for result in report.get("results", []):
            if "ratio" not in result or "alone" in result["case"]:
                continue
            case = ", ".join(f"{k} {v}" for k, v in result["case"].items())
            target = result.get("target")
            rows.append(
                (
                    report.get("question", path.stem),
                    case,
                    path.parent.name,
                    f"{result['ratio']:.3g} x",
                    "" if target is None else f"{target:g} x",
                )
            )
    heads = ("question", "case", "device", "measured", "asked for")
    return catalogue.markdown(heads, rows)


def metrics_table() -> str:
    """Every metric of the model-free suite compiled alone, beside its peer."""
    path = RESULTS / "cpu-1core" / "model_free_suite.json"
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    rows = [
        (
            f"`{result['case']['alone']}`",
            f"{result['ours_ms']:.2f}",
            f"{result['theirs_ms']:.2f}",
            f"{result['ratio']:.3g} x",
        )
        for result in results
        if "alone" in result["case"]
    ]
    return catalogue.markdown(("metric", "ms a map", "peer, ms", "ratio"), rows)


ZOO_WAYS = ("as is", "folded", "grouped")


def zoo_tables(report: dict) -> str:
    """Milliseconds an image of every network, and of a first convolution's ways."""
    parts = [f"Of {report['device']}, batch {report['results'][0]['case']['batch']}."]
    stems = [r for r in report["results"] if "first convolution" in r["case"]]
    ways = tuple(stems[0]["ms"])
    rows = [
        (r["case"]["first convolution"], *(f"{r['ms'][way]:.2f}" for way in ways))
        for r in stems
    ]
    parts.append(catalogue.markdown(("first convolution", *ways), rows))
    rows = [
        (
            r["case"]["network"],
            str(r["case"]["side"]),
            *(f"{r['ms'][w]:.1f}" if w in r["ms"] else "" for w in ZOO_WAYS),
        )
        for r in report["results"]
        if "network" in r["case"]
    ]
    parts.append(catalogue.markdown(("network", "side", *ZOO_WAYS), rows))
    return "\n\n".join(parts)


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    text = replaced(text, "metrics", catalogue.metrics_summary_markdown())
    text = replaced(text, "methods", catalogue.methods_markdown())
    if (RESULTS / "pets.json").is_file():
        text = replaced(text, "pets", pets_table())
    if (RESULTS / "pets_faithfulness.json").is_file():
        text = replaced(text, "faithfulness", faithfulness_table())
    text = replaced(text, "performance", performance_table())
    readme.write_text(text, encoding="utf-8")
    if (RESULTS / "cpu-1core" / "model_free_suite.json").is_file():
        costs = ROOT / "benchmarks" / "README.md"
        text = replaced(costs.read_text(encoding="utf-8"), "metrics", metrics_table())
        costs.write_text(text, encoding="utf-8")
    for path in sorted(RESULTS.glob("*/zoo.json"))[:1]:
        notes = ROOT / "benchmarks" / "README.md"
        tables = zoo_tables(json.loads(path.read_text(encoding="utf-8")))
        said = replaced(notes.read_text(encoding="utf-8"), "zoo", tables)
        notes.write_text(said, encoding="utf-8")
    full = ROOT / "jaxcam" / "methods" / "README.md"
    full.write_text(METHODS_HEAD + definitions.methods_markdown(), encoding="utf-8")
    full = ROOT / "jaxcam" / "metrics" / "README.md"
    full.write_text(METRICS_HEAD + catalogue.metrics_markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
