"""The real-photograph table of the README: plain CAM on 658 pets with pixel masks.

    python -m benchmarks.pets --shared DIR

DIR holds `data/oxford_pets` and `weights`. The explained class is the best-scored one
inside the species' range of ImageNet classes; images are squashed to 224 x 224; both
readings of the trimap's border class are shown beside an independent run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import jax

import jaxcam

METRICS = (
    "energy_pointing_game",
    "energy_pointing_game[region=box]",
    "pointing_game",
    "localization_error[region=box]",
    "localization_error",
)
NETWORKS = {
    "squeezenet1_1": "squeezenet1_1/squeezenet1_1.npz",
    "darknet_tiny": "darknet_tiny/darknet_tiny.npz",
    "mobilenet_v2": "mobilenet_v2_1.0_224/mobilenet_v2_1.0_224.npz",
}
INDEPENDENT = {
    ("background", "squeezenet1_1", "cam", "energy_pointing_game"): 0.519,
    ("background", "squeezenet1_1", "cam", "pointing_game"): 0.922,
    ("background", "darknet_tiny", "cam", "energy_pointing_game"): 0.635,
    ("background", "darknet_tiny", "cam", "pointing_game"): 0.906,
    ("background", "mobilenet_v2", "cam", "energy_pointing_game"): 0.429,
    ("background", "mobilenet_v2", "cam", "pointing_game"): 0.600,
    ("background", "squeezenet1_1", "uniform", "energy_pointing_game"): 0.278,
    ("background", "squeezenet1_1", "centre", "pointing_game"): 0.866,
    ("foreground", "squeezenet1_1", "cam", "energy_pointing_game"): 0.689,
    ("foreground", "squeezenet1_1", "cam", "pointing_game"): 0.983,
    ("foreground", "squeezenet1_1", "cam", "energy_pointing_game[region=box]"): 0.844,
    ("foreground", "squeezenet1_1", "cam", "localization_error[region=box]"): 0.352,
    ("foreground", "squeezenet1_1", "cam", "localization_error"): 0.453,
    ("foreground", "squeezenet1_1", "uniform", "energy_pointing_game"): 0.405,
    ("foreground", "squeezenet1_1", "uniform", "localization_error[region=box]"): 0.347,
    ("foreground", "squeezenet1_1", "uniform", "localization_error"): 0.595,
    ("foreground", "squeezenet1_1", "centre", "localization_error[region=box]"): 0.409,
    ("foreground", "squeezenet1_1", "centre", "localization_error"): 0.494,
    ("foreground", "darknet_tiny", "cam", "energy_pointing_game[region=box]"): 0.922,
    ("foreground", "darknet_tiny", "cam", "energy_pointing_game"): 0.816,
    ("foreground", "darknet_tiny", "cam", "localization_error[region=box]"): 0.339,
    ("foreground", "darknet_tiny", "cam", "localization_error"): 0.431,
}
"""Figures of an independent run on the same images; differences are the resizing's."""


def records(shared: Path, out: Path, limit: int | None = None) -> list[dict]:
    """One record a border rule, network, method and metric."""
    dataset = jaxcam.data.open_dataset(shared / "data" / "oxford_pets")
    found = []
    for border in ("background", "foreground", "ignore"):
        for name, file in NETWORKS.items():
            model = jaxcam.models.load(name, weights=shared / "weights" / file)
            result = jaxcam.evaluate(
                model,
                dataset,
                methods=["cam"],
                metrics=METRICS,
                border=border,
                limit=limit,
                out=out / f"{name}-{border}",
                show_progress=True,
            )
            for row in result.summary():
                if row["is_floor"] and name != "squeezenet1_1":
                    continue
                key = border, name, row["method"], row["metric"]
                found.append(
                    {
                        "border": border,
                        "model": name,
                        **row,
                        "independent": INDEPENDENT.get(key),
                    }
                )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path, help="keeps the runs here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = arguments.out or Path(scratch)
        found = records(arguments.shared, out, arguments.limit)
    if arguments.limit is None:
        path = Path(__file__).parent / "results" / "pets.json"
        versions = {"jaxcam": jaxcam.__version__, "jax": jax.__version__}
        text = json.dumps({"versions": versions, "records": found}, indent=1)
        path.write_text(text + "\n")
    for record in found:
        reference = record["independent"]
        shown = "" if reference is None else f"  (independent {reference:.3f})"
        print(
            record["border"],
            record["model"],
            record["method"],
            record["metric"],
            f"{record['estimate']:.3f}{shown}",
        )


if __name__ == "__main__":
    main()
