"""The construct test: which version of a metric sees that a map was corrupted?

On procedural shapes the truth is exact, and a map can be made worse without a look at
it: rolled by a quarter of the image, taken from another image, or made for the other
object of the image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxcam import data, explanation, scoring
from jaxcam.data import geometry, records, shapes
from jaxcam.experiments import endpoints, versions
from jaxcam.models import model

METHODS = ("cam", "grad_cam", "layer_cam")
SQUARE, RING = shapes.CLASSES.index("square"), shapes.CLASSES.index("ring")


def construct_test(
    network: model.Model, *, count: int = 512, seed: int = 0
) -> list[dict[str, Any]]:
    """D' of intact against corrupted maps, mask minus box.

    Args:
      network: Explains the label set "shapes".
      count: Images of each data set; the single classes are taken from as many.
      seed: Of the bootstrap.

    Returns:
      A record for each data set and corruption: `data`, `corruption`, and what
      `endpoints.effect_difference` gives, with intervals over images.
    """
    found = []
    single = data.open_dataset(f"shapes:test,n={count}")
    two = data.open_dataset(f"shapes:two_objects,n={count}")
    for name, dataset, kinds in (
        ("shapes", single, ("shifted", "another image's")),
        ("squares that fill their box", filled_squares(single), ("shifted",)),
        ("rings", of_class(single, RING), ("shifted",)),
        ("two objects", two, ("shifted", "the other object's")),
    ):
        if len(dataset) < 2:
            continue
        explained = maps_of(network, dataset)
        intact = scored(explained, dataset, network.input.size)
        for kind in kinds:
            if kind == "the other object's":
                corrupted = maps_of(network, dataset, other=True)
            else:
                corrupted = {m: corrupt(maps, kind) for m, maps in explained.items()}
            worse = scored(corrupted, dataset, network.input.size)
            box, mask = (
                np.stack(
                    [
                        intact.of(m, versions.version(v))
                        - worse.of(m, versions.version(v))
                        for m in METHODS
                    ],
                    axis=1,
                )
                for v in ("box", "mask")
            )
            effect = endpoints.effect_difference(
                box, mask, np.arange(len(dataset)), seed=seed
            )
            found.append({"data": name, "corruption": kind, **effect})
    return found


def corrupt(maps: np.ndarray, kind: str) -> np.ndarray:
    """Maps made worse without a look at the truth.

    Args:
      maps: float[n, h, w].
      kind: "shifted", by a quarter of the image down and across, around its edges; or
        "another image's", the next one's.
    """
    if kind == "shifted":
        height, width = maps.shape[1:]
        return np.roll(maps, (round(height / 4), round(width / 4)), axis=(1, 2))
    return np.roll(maps, 1, axis=0)


def maps_of(
    network: model.Model, dataset: records.Dataset, *, other: bool = False
) -> dict[str, np.ndarray]:
    """float32[n, h, w] of each method, for the labelled class or the other object's."""
    images = np.stack([record.image() for record in dataset.records])
    targets = [record.candidates[0] for record in dataset.records]
    if other:
        split = "two_objects"
        targets = [shapes.labels(i, split=split)[1] for i in range(len(targets))]
    return explanation.explain(
        network, images, np.array(targets), METHODS, batch_size=32
    )


def scored(
    maps: Mapping[str, np.ndarray], dataset: records.Dataset, size: tuple[int, int]
) -> versions.Scores:
    """Scores of given maps, under every cell of every metric."""
    parts = {
        method: scoring.score(
            given,
            dataset,
            method=method,
            metrics=versions.columns(),
            size=size,
            floors=False,
        )
        for method, given in maps.items()
    }
    return versions.scores(parts)


def of_class(dataset: records.Dataset, label: int) -> records.Dataset:
    """The rows of one class."""
    kept = [record for record in dataset.records if record.candidates == (label,)]
    return _made(dataset, f"class {label}", kept)


def filled_squares(dataset: records.Dataset) -> records.Dataset:
    """The squares, painted out to their tight boxes: box and mask are one."""
    kept = [_filled(r) for r in dataset.records if r.candidates == (SQUARE,)]
    return _made(dataset, "filled squares", kept)


def _filled(record: records.Record) -> records.Record:
    def box() -> np.ndarray:
        mask = record.truth().object
        y0, x0, y1, x1 = geometry.tight_box(mask)[0].astype(int)
        filled = np.zeros_like(mask)
        filled[y0:y1, x0:x1] = True
        return filled

    def image() -> np.ndarray:
        pixels = record.image().copy()
        pixels[box()] = pixels[record.truth().object].mean(axis=0).round()
        return pixels

    def truth() -> records.Truth:
        return records.Truth(object=box())

    return dataclasses.replace(record, image=image, truth=truth)


def _made(
    dataset: records.Dataset, what: str, rows: list[records.Record]
) -> records.Dataset:
    return dataclasses.replace(
        dataset,
        name=f"{dataset.name}, {what}",
        records=rows,
        origin=(*dataset.origin, what),
    )
