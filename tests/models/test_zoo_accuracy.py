"""Trained networks on real photographs: weights, preprocessing and classes together."""

import csv

import numpy as np
import pytest
from PIL import Image

from jaxcam import _compiling, models
from jaxcam.data import geometry


def of_one_breed(folder):
    """Centre crops of the pets whose breed is one class of ImageNet's, and the classes.

    The short side is resized to 256 and 224 x 224 are kept, as classifiers are tested.
    """
    with (folder / "labels.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    rows = [row for row in rows if len(row["imagenet_ok_top1"].split()) == 1]
    images = []
    for row in rows:
        with Image.open(folder / "images" / f"{row['file']}.jpg") as image:
            pixels = np.asarray(image.convert("RGB"))
        frame = geometry.frame(pixels.shape[:2], (224, 224), "crop", 224 / 256)
        images.append(geometry.resize_image(pixels, frame))
    return np.stack(images), np.array([int(row["imagenet_ok_top1"]) for row in rows])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file", "right"),
    [
        ("mobilenet_v2", "mobilenet_v2_1.0_224/mobilenet_v2_1.0_224.npz", 55),
        ("squeezenet1_1", "squeezenet1_1/squeezenet1_1.npz", 47),
        ("darknet_tiny", "darknet_tiny/darknet_tiny.npz", 53),
    ],
)
def test_pets_whose_breed_is_a_class(shared_dir, name, file, right):
    """About as many of 58 as an independent run named, whose resizing is not known."""
    model = models.load(name, weights=shared_dir / "weights" / file)
    images, classes = of_one_breed(shared_dir / "data" / "oxford_pets")
    assert len(images) == 58
    logits = _compiling.jit_network(
        lambda params, x: model.apply(params, model.preprocess(x))[0]
    )
    scores = np.concatenate(
        [np.asarray(logits(model.params, images[i : i + 29])) for i in (0, 29)]
    )
    if model.class_to_output is not None:
        scores = scores[:, model.class_to_output]
    assert abs(int((scores.argmax(1) == classes).sum()) - right) <= 3
