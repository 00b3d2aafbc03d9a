"""Trained networks on real photographs: weights, preprocessing and classes together."""

import csv

import numpy as np
import pytest
from PIL import Image

from jaxcam import _compiling, models

BATCH = 47


@pytest.fixture(scope="module")
def pets(shared_dir):
    """Rows of 658 pets, and their images as classifiers are tested.

    The short side is resized to 256 and the 224 x 224 pixels in the middle are kept,
    whole pixels of the resized image. Most of these photographs have that size already.
    """
    folder = shared_dir / "data" / "oxford_pets"
    with (folder / "labels.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return rows, np.stack(
        [middle(folder / "images" / f"{row['file']}.jpg") for row in rows]
    )


def middle(path):
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    scale = 256 / min(image.size)
    columns, rows = (round(side * scale) for side in image.size)
    image = image.resize((columns, rows), Image.Resampling.BILINEAR)
    left, top = (columns - 224) // 2, (rows - 224) // 2
    return np.asarray(image.crop((left, top, left + 224, top + 224)))


def best_classes(model, images):
    logits = _compiling.jit_network(
        lambda params, x: model.apply(params, model.preprocess(x))[0]
    )
    scores = np.concatenate(
        [
            np.asarray(logits(model.params, images[i : i + BATCH]))
            for i in range(0, len(images), BATCH)
        ]
    )
    if model.class_to_output is not None:
        scores = scores[:, model.class_to_output]
    return scores.argmax(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file", "species", "breed"),
    [
        ("mobilenet_v2", "mobilenet_v2_1.0_224/mobilenet_v2_1.0_224.npz", 93.6, 51),
        ("squeezenet1_1", "squeezenet1_1/squeezenet1_1.npz", 84.2, 48),
        ("darknet_tiny", "darknet_tiny/darknet_tiny.npz", 83.9, 53),
    ],
)
def test_pets_are_named_as_often_as_by_an_independent_run(
    shared_dir, pets, name, file, species, breed
):
    """Percent with a cat for a cat and a dog for a dog; 58 whose breed is one class.

    The run's percentages come out to their last digit. Of the 58 it named 55, 47 and
    53, on the photographs from before they were made smaller and saved again.
    """
    rows, images = pets
    model = models.load(name, weights=shared_dir / "weights" / file)
    found = best_classes(model, images)
    ranges = [row["imagenet_coarse_range"].split("-") for row in rows]
    first, last = np.array(ranges, int).T
    of_species = (first <= found) & (found <= last)
    assert len(rows) == 658
    assert abs(100 * of_species.mean() - species) < 0.2
    exact = [row["imagenet_ok_top1"].split() for row in rows]
    of_breed = [
        f == int(e[0]) for f, e in zip(found, exact, strict=True) if len(e) == 1
    ]
    assert len(of_breed) == 58
    assert abs(sum(of_breed) - breed) <= 1
