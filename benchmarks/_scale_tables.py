"""What benchmarks of throughput and scaling left, as tables; what follows for pods."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxcam import catalogue

Report = Mapping[str, Any]


def throughput_tables(reports: Sequence[Report]) -> str:
    """Images a second and where the time goes; suites without a model."""
    runs, suites = [], []
    for report in reports:
        device = report["device"]
        for line in report["results"]:
            if "suite" in line["case"]:
                suites.append(_suite_row(device, line))
            else:
                runs.append(_run_row(device, line))
    heads = (
        "device",
        "network",
        "precision",
        "batch",
        "images/s",
        "ms an image",
        "explanations",
        "probes",
        "scores",
        "input alone",
        "device busy",
    )
    suite_heads = ("device", "suite", "columns", "maps at once", "ms a map", "maps/s")
    return "\n\n".join(
        [catalogue.markdown(heads, runs), catalogue.markdown(suite_heads, suites)]
    )


def _run_row(device: str, line: Mapping[str, Any]) -> tuple[str, ...]:
    case, alone = line["case"], line["ms"]
    return (
        device,
        case["network"],
        case["precision"],
        str(case["batch"]),
        f"{line['images_per_s']:.0f}",
        f"{1e3 / line['images_per_s']:.2f}",
        *(f"{alone[stage]:.2f}" for stage in ("explanations", "probes", "scores")),
        f"{line['input']['threads']['ms']:.2f}",
        f"{line['utilisation']:.0%}",
    )


def _suite_row(device: str, line: Mapping[str, Any]) -> tuple[str, ...]:
    case = line["case"]
    return (
        device,
        f"`{case['suite']}`",
        str(case["columns"]),
        str(case["maps"]),
        f"{line['ms']:.4f}",
        f"{line['maps_per_s']:,.0f}",
    )


def throughput_sentence(report: Report) -> str:
    """The same in a sentence, for the README."""
    runs = [line for line in report["results"] if "network" in line["case"]]
    best = {
        line["case"]["network"]: f"{line['images_per_s']:,.0f} images a second with "
        f"{line['case']['network']}"
        for line in runs
        if line["case"]["precision"] == "highest"
    }
    maps = {
        line["case"]["suite"]: line["maps_per_s"]
        for line in report["results"]
        if "suite" in line["case"]
    }
    return (
        f"On one {report['device']} the default suite with floors runs at "
        f"{' and '.join(best.values())} in float32; the paper's columns alone score "
        f"{maps['paper']:,.0f} maps a second, the model-free suite "
        f"{maps['model_free']:,.0f} "
        "([stage by stage](benchmarks/README.md#throughput))."
    )


def scaling_table(report: Report) -> str:
    """Cost of an image and memory against the number of images and processes."""
    heads = (
        "images",
        "processes",
        "ms an image",
        "compute",
        "last steps, s",
        "peak while scoring, MB",
        "peak at the end, MB",
        "weak scaling",
    )
    rows = [
        (
            f"{line['case']['images']:,}",
            str(line["case"]["processes"]),
            f"{line['ms']:.2f}",
            f"{line['utilisation']:.0%}" if "utilisation" in line else "",
            f"{line['finishing_s']:.1f}",
            f"{line['loop_peak_mb']:.0f}",
            f"{line['peak_mb']:.0f}",
            f"{line['weak_scaling']:.2f}" if "weak_scaling" in line else "",
        )
        for line in report["results"]
        if "images" in line["case"]
    ]
    return catalogue.markdown(heads, rows)


@dataclasses.dataclass(frozen=True)
class Chip:
    """What its maker says of an accelerator.

    Attributes:
      name: What it is called.
      float32: TFLOP/s of matrix products whose result is good to float32.
      bandwidth: TB/s of its memory.
    """

    name: str
    float32: float
    bandwidth: float


# NVIDIA's data sheets of H200 and H100 SXM; Google's documentation of TPU v5e, whose
# 197 TFLOP/s are of bfloat16, six of which make a float32 product.
H200 = Chip("H200", 67, 4.8)
MACHINES = ((Chip("H100", 67, 3.35), 8, 8), (Chip("TPU v5e", 197 / 6, 0.819), 256, 32))
"""Chips, how many, and on how many hosts or processes that read images."""

RESNET50_GFLOP = 8.18
IMAGES, METHODS, FLOORS, COLUMNS, MAPS_MEASURED, METHODS_MEASURED = (
    50_000,
    10,
    5,
    14,
    7,
    2,
)
PIXELS = 224 * 224
GRID = 7 * 7


def estimate(report: Report) -> str:
    """What the measured costs of ResNet-50 on one chip say about many."""
    line = next(
        line
        for line in report["results"]
        if line["case"].get("network") == "resnet50"
        and line["case"]["precision"] == "highest"
    )
    alone, maps = line["ms"], METHODS + FLOORS
    reached = RESNET50_GFLOP / alone["forward pass"]
    explained = alone["explanations"] * METHODS / METHODS_MEASURED
    asked = alone["probes"] * maps / MAPS_MEASURED
    scored = alone["scores"] * maps / MAPS_MEASURED
    reads = 1e3 / line["input"]["threads"]["ms"]
    to_device = PIXELS * (3 + 3) / 1e6
    stored = (METHODS * GRID + maps * COLUMNS) * 4 / 1e3
    lines = [
        f"The task: {IMAGES:,} images x {METHODS} methods, with {FLOORS} floors and "
        f"ceiling {maps} maps an image, the default suite, ResNet-50 in float32.",
        "",
        f"- Measured on one {H200.name}, milliseconds an image: a forward pass "
        f"{alone['forward pass']:.3f}, that is {reached:.0f} TFLOP/s of the "
        f"{H200.float32:g} it can do at most; explanations of {METHODS_MEASURED} "
        f"methods {alone['explanations']:.2f}; probes of {MAPS_MEASURED} maps "
        f"{alone['probes']:.2f}; scores of {MAPS_MEASURED} maps "
        f"{alone['scores']:.3f}.",
        f"- So here: explanations at most {METHODS} / {METHODS_MEASURED} x "
        f"{alone['explanations']:.2f} = {explained:.2f}; probes {maps} / "
        f"{MAPS_MEASURED} x {alone['probes']:.2f} = {asked:.2f}; scores {maps} / "
        f"{MAPS_MEASURED} x {alone['scores']:.3f} = {scored:.2f} ms an image.",
        "- Networks scale with what a chip can compute in float32, at the same share "
        "of it; scores with its memory's bandwidth.",
        f"- Bytes an image: {to_device:.2f} MB to the device (uint8 pixels, three "
        f"boolean masks), {stored:.1f} kB stored before compression (maps of 7 x 7 and "
        f"{maps} x {COLUMNS} values, float32), none between chips: "
        f"{IMAGES * stored / 1e6:.2f} GB for the whole task.",
        f"- One process reads and decodes {reads:.0f} images of 256 x 256 a second by "
        "its threads.",
        "",
    ]
    rows = []
    for chip, count, hosts in MACHINES:
        slower, narrower = H200.float32 / chip.float32, H200.bandwidth / chip.bandwidth
        ms = (explained + asked) * slower + scored * narrower
        whole = IMAGES * ms / 1e3 / count
        rows.append(
            (
                f"{count} x {chip.name}",
                f"({explained:.2f} + {asked:.2f}) x {slower:.2f} + {scored:.2f} x "
                f"{narrower:.2f} = {ms:.1f}",
                f"{IMAGES:,} x {ms:.1f} ms / {count} = {whole:.0f} s",
                f"{count / hosts * 1e3 / ms:.0f}",
                f"{count / hosts * 1e3 / ms * to_device:.0f}",
            )
        )
    heads = (
        "machine",
        "ms an image and chip",
        "the task",
        "images/s to read, each process",
        "MB/s to the devices, each process",
    )
    end = (
        f"Beside it every process needs {line['until_warm_s']:.0f} s until its "
        "programs are compiled (kept on disk for the next), and one of them some "
        "seconds for the summary. Estimates, not measurements: nothing was run on "
        "these machines."
    )
    return "\n".join(lines) + "\n" + catalogue.markdown(heads, rows) + "\n\n" + end
