"""Does the model agree with its explanation? Grad-CAM and the floors on real pets.

    python -m benchmarks.pets_faithfulness --shared DIR

DIR holds `data/oxford_pets` and `weights`. Every fourteenth photograph (every
forty-second for MobileNetV2) is explained and scored by metrics that ask the model.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import jax

import jaxcam
from benchmarks import pets

METRICS = ("insertion[steps=28]", "deletion[steps=28]", "road", "average_drop")
EVERY = {"squeezenet1_1": 14, "mobilenet_v2": 42}


def records(shared: Path, network: str, every: int) -> list[dict]:
    """One record a method and metric."""
    dataset = jaxcam.data.open_dataset(shared / "data" / "oxford_pets")
    rows = [dataset.records[i] for i in range(0, len(dataset), every)]
    dataset = dataclasses.replace(dataset, name=f"{dataset.name}/{every}", records=rows)
    weights = shared / "weights" / pets.NETWORKS[network]
    result = jaxcam.evaluate(
        jaxcam.models.load(network, weights=weights),
        dataset,
        methods=["grad_cam"],
        metrics=METRICS,
        show_progress=True,
    )
    return [
        {"model": network, "images": len(rows), **row}
        for row in result.summary()
        if row["metric"] in METRICS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--every", type=int, help="takes fewer images, unrecorded")
    arguments = parser.parse_args()
    found = [
        record
        for network, every in EVERY.items()
        for record in records(arguments.shared, network, arguments.every or every)
    ]
    if arguments.every is None:
        path = Path(__file__).parent / "results" / "pets_faithfulness.json"
        versions = {"jaxcam": jaxcam.__version__, "jax": jax.__version__}
        text = json.dumps({"versions": versions, "records": found}, indent=1)
        path.write_text(text + "\n", encoding="utf-8")
    for record in found:
        print(
            record["model"],
            record["method"],
            record["metric"],
            f"{record['estimate']:.3f} [{record['low']:.3f}, {record['high']:.3f}]",
        )


if __name__ == "__main__":
    main()
