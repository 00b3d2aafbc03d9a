"""How much faster is the model-free suite than its peers called one by one?

Every metric that needs only maps and truth, 224 x 224, in one compiled program on one
core, against scikit-learn, scikit-image, SciPy, OpenCV and NumPy. A line for each
metric, each compiled alone, shows which are slow; the last one is the suite's time over
that of its slowest metric.
"""

from __future__ import annotations

# isort: off
from benchmarks import _timing  # First: it pins the process before JAX starts.

# isort: on
import jax.numpy as jnp
import numpy as np

from benchmarks import bench_paper_columns, peers_maps
from jaxcam import plan

SUITE, SIDE, BATCH, TARGET, AIM, MOST = "model_free", 224, 64, 30, 150, 2
QUICK = ("region against region", "map against region", "the map alone")
"""Families whose programs compile in seconds."""

TOLERANCES = {
    "cl_dice": None,  # Thinned by other rules: lines that lie a pixel apart.
    "pixel_average_precision": 4,  # Pixels that round into the next bin.
}


def check(label: str, actual: np.ndarray, expected: object) -> None:
    """Equal up to float32, a few pixels at edges of bins apart."""
    most = TOLERANCES.get(label, 2e-5)
    if most is not None:
        expected = np.broadcast_to(np.asarray(expected, float), actual.shape)
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=most)


def main(tiny: bool = False) -> dict:
    side, batch, rounds = (48, 3, 2) if tiny else (SIDE, BATCH, 9)
    maps, masks = bench_paper_columns.inputs(batch, side)
    maps = maps / maps.max(axis=(1, 2), keepdims=True)
    given = bench_paper_columns.shared_fields(masks), jnp.asarray(maps)[None]
    columns = plan.resolve_all(plan.SUITES[SUITE])
    if tiny:
        columns = tuple(c for c in columns if c.spec.family in QUICK)
    whole = plan.score_program(columns)
    values = {name: np.asarray(x)[0] for name, x in whole(*given).items()}

    region = peers_maps.predicted_region(maps[0])
    peers = {
        column.label: peers_maps.peer(column.label, maps[0], masks[0], region)
        for column in columns
    }
    for label, call in peers.items():
        check(label, values[label][0], call())

    def one_by_one():
        for call in peers.values():
            call()

    def line(case, program, call, **aims):
        compared = _timing.compare(
            lambda: program(*given), call, rounds=rounds, compiled=(program, *given)
        )
        return _timing.entry(case, compared, ours=batch, theirs=1, **aims)

    size = {"batch": batch, "side": side}
    suite = line(
        {"suite": SUITE, "columns": len(columns), **size},
        whole,
        one_by_one,
        target=TARGET,
        aim=AIM,
    )
    lines, shown = [suite], columns[-2:] if tiny else columns
    for column in shown:
        alone = plan.score_program((column,))
        lines.append(line({"alone": column.label, **size}, alone, peers[column.label]))
    slowest = max(lines[1:], key=lambda found: found["ours_ms"])
    lines.append(
        {
            "case": {"suite over": slowest["case"]["alone"], **size},
            "times": suite["ours_ms"] / slowest["ours_ms"],
            "at most": MOST,
        }
    )
    return _timing.report("model_free_suite", lines, tiny=tiny)


if __name__ == "__main__":
    _timing.cli(main)
