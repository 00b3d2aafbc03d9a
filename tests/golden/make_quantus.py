"""Makes `quantus.json`: what Quantus gives for maps without ties, found by seed.

Run `python tests/golden/make_quantus.py` where Quantus is installed; versions are kept.
Only metrics whose definitions agree: its top-k intersection is divided by k, so k is no
larger than the objects; its epsilons (1e-7, 1e-12) stay below the tolerance.
"""

import json
from importlib import metadata
from pathlib import Path

import numpy as np

SIDE, COUNT, K = 12, 6, 9


def inputs():
    """Positive maps without equal values, and rectangles of at least K pixels."""
    rng = np.random.default_rng(20)
    maps = np.stack([1.0 + rng.permutation(SIDE * SIDE) for _ in range(COUNT)])
    maps = maps ** rng.uniform(0.5, 6, (COUNT, 1))
    masks = np.zeros((COUNT, SIDE, SIDE), bool)
    for mask in masks:
        y, x = rng.integers(0, SIDE - 4, 2)
        mask[y : y + rng.integers(3, 9), x : x + rng.integers(3, 9)] = True
    maps = maps / maps.max(axis=1, keepdims=True)
    return maps.reshape(COUNT, SIDE, SIDE).astype(np.float32), masks


def main():
    import quantus  # The test of the goldens reads `inputs` without it.

    maps, masks = inputs()
    options = {"abs": False, "normalise": False, "disable_warnings": True}
    on_truth = {
        "relevance_rank_accuracy": quantus.RelevanceRankAccuracy(**options),
        "energy_pointing_game": quantus.RelevanceMassAccuracy(**options),
        "top_k_intersection": quantus.TopKIntersection(k=K, **options),
        "concept_influence": quantus.TopKIntersection(
            k=K, concept_influence=True, **options
        ),
    }
    alone = {
        "gini_sparseness": quantus.Sparseness(**options),
        "entropy_complexity": quantus.Complexity(**options),
    }
    given = maps[:, None].astype(float)
    found = {
        name: metric.evaluate_batch(a_batch=given.copy(), s_batch=masks[:, None])
        for name, metric in on_truth.items()
    }
    for name, metric in alone.items():
        found[name] = metric.evaluate_batch(x_batch=None, a_batch=given.copy())
    report = {
        "versions": {name: metadata.version(name) for name in ("quantus", "numpy")},
        "k": K,
        "values": {name: np.asarray(x, float).tolist() for name, x in found.items()},
    }
    path = Path(__file__).with_name("quantus.json")
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
