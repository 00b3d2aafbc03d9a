"""Runs whose scores are made up, so that every endpoint has a known answer."""

import numpy as np

from jaxcam import _spec, results
from jaxcam.experiments import later, runs, versions

METHODS = ("cam", "grad_cam", "layer_cam")
FLOORS = ("uniform", "centre", "random", "sobel")
BREEDS = ["a"] * 40 + ["b"] * 30 + ["c"] * 20
N = len(BREEDS)
IDS = [f"image {i}" for i in range(N)]
FLOOR_VALUES = {"uniform": 30.0, "centre": 0.0, "random": -30.0, "sobel": -30.0}
"""Larger is better. An explanation held against the wrong floor is far off."""

DIRECTIONS = {"localization_error": -1, "mean_absolute_error": -1}


def kind_of(request):
    """The version "box" or "mask" that a request is of, or the cell between."""
    options = dict(part.split("=") for part in request[:-1].split("[")[1].split(","))
    predicted = options.get("predicted", options["truth"])
    return predicted, options["truth"]


def parts(
    means,
    seed,
    *,
    noise=1.0,
    offsets=None,
    ids=None,
    evidence=None,
    target=1,
    methods=METHODS,
):
    """Results of one network as `runs.explained` gives them.

    Args:
      means: From predicted region and truth to the mean of the explanations.
      seed: Of the noise, which every explanation and metric has of its own.
      noise: Its deviation.
      offsets: From a version "box" or "mask" to what each method has above the mean.
      ids: Of the images.
      evidence: From a fill to `(energies, effects)` and `probability`, see `evidence`.
      target: Explained class.
      methods: The explanations.
    """
    rng = np.random.default_rng(seed)
    names = (*methods, *FLOORS)
    rows = {
        "index": np.tile(np.arange(N), len(names)),
        "id": list(ids or IDS) * len(names),
        "method": [name for name in names for _ in range(N)],
        "valid": [True] * N * len(names),
        "target": np.full(N * len(names), target),
        "probability": np.tile(PROBABILITY, len(names)),
    }
    for request in versions.columns():
        turned = []
        for place, name in enumerate(names):
            if name in FLOORS:
                turned.append(np.full(N, FLOOR_VALUES[name]))
                continue
            kind = kind_of(request)
            above = (offsets or {}).get(kind[0], [0] * len(names))[place]
            turned.append(means[kind] + above + noise * rng.normal(size=N))
        sign = DIRECTIONS.get(request.split("[")[0], 1)
        rows[request] = sign * np.concatenate(turned)
    rows |= evidence_columns(evidence or (0.3, 0.1), names)
    rows |= map_columns(rng, names)
    return dict.fromkeys(names, results.Result.from_columns(rows))


PROBABILITY = np.where(np.arange(N) % 2, 0.9, 0.1)


def evidence_columns(planted, names):
    """Columns of the causal test.

    The ring's energy differs by breed around the planted one, and its effect is found
    on the images of low probability alone, so that the share of the score that is lost
    is a tenth of what a mean over images would have.
    """
    energy, effect = planted
    by_breed = np.array([{"a": -0.1, "b": 0.0, "c": 0.1}[breed] for breed in BREEDS])
    ring = energy + by_breed
    uniform = np.concatenate(
        [np.full(N, 0.2) if name == "uniform" else ring for name in names]
    )
    columns = {
        "region_energy[part=ring]": uniform,
        "region_energy[part=context]": np.full(len(uniform), 0.05),
        "region_energy[part=object]": 0.95 - uniform,
    }
    low = np.where(PROBABILITY < 0.5, effect * 10, 0.0)
    for share, fill in zip((1.0, 0.9, 0.8), runs.FILLS.values(), strict=True):
        for part, values in (
            ("ring", share * low),
            ("context", np.full(N, -0.5)),
            ("object", np.full(N, 0.9)),
        ):
            name = str(_spec.parse(f"region_effect[{fill},part={part}]"))
            columns[name] = np.tile(values, len(names))
    return columns


def map_columns(rng, names):
    """Stored maps: `grad_cam` makes that of `cam`, others their own."""
    own = {name: rng.random((N, 4)).astype(np.float32) for name in names}
    own["grad_cam"] = 2 * own["cam"]
    flat = [list(row) for name in names for row in own[name]]
    sides = {f"saliency_{side}": [2] * len(flat) for side in ("height", "width")}
    return {"saliency": flat, **sides}


def cells(box, mask, *, box_mask=None, mask_box=None):
    """Means of the four cells of predicted region and truth."""
    return {
        ("box", "box"): box,
        ("box", "mask"): box if box_mask is None else box_mask,
        ("mask", "box"): mask if mask_box is None else mask_box,
        ("mask", "mask"): mask,
    }


def made(**changes):
    """The runs of one network, each kind with differences of its own."""
    kinds = {
        "base": parts(cells(0.2, 1.0, box_mask=0.4, mask_box=0.6), 0),
        "copies": parts(cells(-0.8, -2.0), 1, target=2),
        "foreground": parts(cells(0.0, -1.0), 2),
        "moved": parts(cells(0.5, 0.8), 3),
    }
    kinds |= changes
    return runs.Made(**{kind: {"net": one} for kind, one in kinds.items()})


def places(boxes):
    """What `selections.places` gives, with a tenth of border."""
    boxes = np.asarray(boxes, float)
    return np.column_stack([boxes, np.full(len(boxes), 0.1)])


CENTRAL = places([(0.25, 0.25, 0.75, 0.75)] * N)
CORNER = places([(0.5, 0.5, 1.0, 1.0)] * N)


def later_of(built, where=(CENTRAL, CORNER), **options):
    """What `later.measured` finds."""
    options = {"methods": METHODS, "resamples": 100, **options}
    return later.measured(built, BREEDS, where, **options)
