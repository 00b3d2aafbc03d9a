"""Procedural images: exact masks, uniform places, colours that give nothing away."""

import numpy as np
import pytest
from scipy import ndimage

from jaxcam import data
from jaxcam.data import shapes
from jaxcam.models import catalogue

MANY = 300


@pytest.fixture(scope="module")
def drawn():
    """The first images of the test split: images, labels, masks."""
    images, labels, masks = zip(*(shapes.draw(i) for i in range(MANY)), strict=True)
    return np.array(images), np.array(labels), np.array(masks)


def test_an_image_depends_on_split_seed_size_and_index_alone():
    first = shapes.draw(3)
    for other in (shapes.draw(3), shapes.draw(3, split="test", seed=0, size=64)):
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)
    images = [
        first[0],
        shapes.draw(4)[0],
        shapes.draw(3, seed=1)[0],
        shapes.draw(3, split="train")[0],
        shapes.draw(3, split="two_objects")[0],
    ]
    assert len({image.tobytes() for image in images}) == 5
    assert shapes.draw(3, size=96)[0].shape == (96, 96, 3)


@pytest.mark.parametrize("split", shapes.LENGTHS)
def test_labels_are_known_without_drawing(split):
    for i in range(5):
        assert (
            shapes.label(i, split=split, seed=2)
            == shapes.draw(i, split=split, seed=2)[1]
        )


def test_masks_are_what_was_painted(drawn):
    """One colour inside the mask, but for noise; another outside its edge."""
    images, _, masks = drawn
    spread = [
        image[mask].std(axis=0).max() for image, mask in zip(images, masks, strict=True)
    ]
    assert max(spread) < 9  # Noise of standard deviation 6.
    for image, mask in zip(images[:50].astype(float), masks, strict=False):
        ring = ndimage.binary_dilation(mask, iterations=2) & ~mask
        inside = np.median(image[mask], axis=0)
        differs = abs(image[ring] - inside).max(axis=1) > 24
        assert differs.mean() > 0.8


def test_every_class_occurs_and_objects_are_whole(drawn):
    _, labels, masks = drawn
    counts = np.bincount(labels, minlength=8)
    assert counts.min() > MANY / 8 / 2
    for label, mask in zip(labels, masks, strict=True):
        pieces = ndimage.label(mask, np.ones((3, 3)))[1]
        holes = ndimage.label(~np.pad(mask, 1))[1] - 1
        assert pieces == 1
        assert holes == (1 if shapes.CLASSES[label] == "ring" else 0)
    shares = masks.mean(axis=(1, 2))
    assert 0.02 < shares.min() < 0.04
    assert 0.2 < shares.max() < 0.3


def test_places_are_uniform(drawn):
    """Mean position in the middle, and as many objects left as right, top as bottom."""
    masks = drawn[2]
    centres = np.array([ndimage.center_of_mass(mask) for mask in masks])
    np.testing.assert_allclose(centres.mean(axis=0), [31.5, 31.5], atol=2.5)
    # Uniform in [r, 64 - r] with r about 16: standard deviation near 32 / sqrt(12).
    assert (centres.std(axis=0) > 8).all()


def test_colour_and_size_tell_nothing_of_the_class(drawn):
    """Means of each class lie within the chance spread around the common mean."""
    images, labels, masks = drawn
    colours = np.array([i[m].mean(axis=0) for i, m in zip(images, masks, strict=True)])
    for channel in colours.T:
        for label in range(8):
            own = channel[labels == label]
            error = channel.std() / np.sqrt(len(own))
            assert abs(own.mean() - channel.mean()) < 4 * error


def test_two_objects_of_which_one_is_explained():
    others = []
    for i in range(40):
        image, label, mask = shapes.draw(i, split="two_objects")
        assert shapes.CLASSES[label]
        rng = shapes._stream(i, "two_objects", 0)
        classes = shapes._classes(rng, "two_objects")
        assert len(set(classes)) == 2
        assert classes[0] == label
        shapes._background(rng, 64)
        first, second = shapes._place(rng, classes, 64)
        np.testing.assert_array_equal(first, mask)
        assert not (ndimage.binary_dilation(first) & second).any()
        others.append(image[second].std(axis=0).max())
    assert max(others) < 9  # The other object is there, painted in one colour.


def test_the_data_set():
    dataset = data.open_dataset("shapes:two_objects,n=5,seed=3,size=48")
    assert len(dataset) == 5
    assert dataset.class_names == shapes.CLASSES == catalogue.SHAPES
    assert dataset.label_set == "shapes"
    row = dataset.records[2]
    image, label, mask = shapes.draw(2, split="two_objects", seed=3, size=48)
    np.testing.assert_array_equal(row.image(), image)
    np.testing.assert_array_equal(row.truth().object, mask)
    assert row.candidates == (label,)
    assert row.category == shapes.CLASSES[label]
    assert row.shape() == (48, 48)
    assert dataset.records[-1].id == "two_objects-000004"
    assert [r.id for r in dataset.records] == sorted(r.id for r in dataset.records)
    with pytest.raises(IndexError):
        dataset.records[5]


def test_nothing_is_drawn_before_it_is_read(monkeypatch):
    monkeypatch.setattr(shapes, "draw", None)
    dataset = data.open_dataset("shapes:train")
    assert len({dataset.records[i].candidates for i in range(50)}) > 3
    assert len(dataset.fingerprint()) == 64


def test_fingerprints_follow_the_options():
    specs = [
        "shapes",
        "shapes:train",
        "shapes:test,n=9",
        "shapes,seed=1",
        "shapes,size=32",
    ]
    found = {data.open_dataset(spec).fingerprint() for spec in specs}
    assert len(found) == len(specs)
    assert data.open_dataset("shapes", length=9).fingerprint() in found


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("shapes:validation", "no split 'validation'; choose one of train, test"),
        ("shapes:test,count=3", "the options of shapes are n=, seed= and size="),
        ("shapes:test,n=many", "whole numbers"),
        ("shapes:test,n=0", "n must be at least 1"),
        ("shapes:test,size=8", "size 16"),
    ],
)
def test_specs_that_cannot_be_read(spec, message):
    with pytest.raises(ValueError, match=message):
        data.open_dataset(spec)


def test_the_classes_of_all_objects_begin_with_the_explained_one():
    for index in range(20):
        assert shapes.labels(index) == (shapes.label(index),)
        first, second = shapes.labels(index, split="two_objects")
        assert first == shapes.label(index, split="two_objects") != second
