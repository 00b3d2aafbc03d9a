"""Writes the generated parts of the documentation.

    python -m benchmarks.make_readme

The metric and method tables come from the registry, the tables of real photographs and
of performance from the JSON files that the benchmarks leave in `benchmarks/results`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks import _performance, _scale_tables
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

PETS_BORDER = "foreground"
"""What the README's table shows: the paper's choice, for which there is more than one
independent figure."""


def pets_table(border: str | None = None) -> str:
    """CAM on real photographs beside an independent run, for one border rule or all."""
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
        if border not in (None, record["border"]):
            continue
        key = record["border"], record["model"], record["method"]
        half = (record["high"] - record["low"]) / 2
        cell = f"{record['estimate']:.3f} ±{half:.3f}"
        if record["independent"] is not None:
            cell += f" ({record['independent']:.3f})"
        rows.setdefault(key, {})[record["metric"]] = cell
    table = []
    for (of, model, method), cells in rows.items():
        is_floor = method not in ("cam", "grad_cam")
        name = f"*{method}*" if is_floor else f"{method}, {model}"
        own = (of,) if border is None else ()
        table.append((*own, name, *(cells.get(m, "") for m in shown)))
    heads = ("border",) if border is None else ()
    return catalogue.markdown((*heads, "explanation", *shown.values()), table)


FAITHFULNESS_SHOWN = "squeezenet1_1"


def faithfulness_table(network: str | None = None) -> str:
    """Grad-CAM beside the floors, by metrics that ask the model: one network or all."""
    path = RESULTS / "pets_faithfulness.json"
    records = json.loads(path.read_text(encoding="utf-8"))["records"]
    metrics = list(dict.fromkeys(record["metric"] for record in records))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for record in records:
        if network not in (None, record["model"]):
            continue
        half = (record["high"] - record["low"]) / 2
        name = f"*{record['method']}*" if record["is_floor"] else record["method"]
        cells = rows.setdefault((record["model"], name), {})
        cells[record["metric"]] = f"{record['estimate']:.3f} ±{half:.3f}"
    arrows = {m: catalogue.ARROWS[registry.metric(m).direction] for m in metrics}
    whole = int(network is not None)  # Leaves out the column that names one network.
    heads = ("network", "explanation", *(f"`{m}` {arrows[m]}" for m in metrics))
    table = [
        (*key, *(cells.get(m, "") for m in metrics))[whole:]
        for key, cells in rows.items()
    ]
    return catalogue.markdown(heads[whole:], table)


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


def _reports(question: str, device: str = "*") -> list[dict]:
    """What a benchmark left, device by device."""
    found = sorted(RESULTS.glob(f"{device}/{question}.json"))
    return [json.loads(path.read_text("utf-8")) for path in found]


def written() -> dict[Path, str]:
    """Every file that has generated parts, as it has to be."""
    package = ROOT / "jaxcam"
    measured = _performance.measurements(RESULTS)
    zoo, gpu = _reports("zoo")[0], _reports("throughput", "nvidia-h200")[0]
    generated = {
        ROOT / "README.md": {
            "metrics": catalogue.metric_families_markdown(),
            "methods": catalogue.methods_summary_markdown(),
            "pets": pets_table(PETS_BORDER),
            "faithfulness": faithfulness_table(FAITHFULNESS_SHOWN),
            "performance": _performance.short_table(measured),
            "throughput": _scale_tables.throughput_sentence(gpu),
        },
        ROOT / "benchmarks" / "README.md": {
            "performance": _performance.full_table(measured),
            "pets": pets_table(),
            "faithfulness": faithfulness_table(),
            "metrics": metrics_table(),
            "zoo": zoo_tables(zoo),
            "throughput": _scale_tables.throughput_tables(_reports("throughput")),
            "scaling": _scale_tables.scaling_table(_reports("scaling")[0]),
            "estimate": _scale_tables.estimate(
                _reports("throughput", "nvidia-h200")[0]
            ),
        },
    }
    files = {
        package / "methods" / "README.md": METHODS_HEAD
        + catalogue.methods_markdown()
        + "\n"
        + definitions.methods_markdown(),
        package / "metrics" / "README.md": METRICS_HEAD + catalogue.metrics_markdown(),
    }
    for path, sections in generated.items():
        text = path.read_text(encoding="utf-8")
        for name, content in sections.items():
            text = replaced(text, name, content)
        files[path] = text
    return files


def main() -> None:
    for path, text in written().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
