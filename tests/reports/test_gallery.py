"""Outlines and regions in the gallery are those of the metrics."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

import jaxcam
from jaxcam import comparison, ops
from jaxcam.metrics import fields
from jaxcam.reports import choosing, gallery


def area(path):
    """Area inside an SVG path, holes taken off, by the shoelace formula."""
    total = 0.0
    for ring in re.findall(r"M([^Z]*)Z", path):
        x, y = np.array(ring.split(), float).reshape(-1, 2).T
        total += (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    return abs(total)


def test_an_outline_surrounds_its_mask():
    mask = np.zeros((20, 30), bool)
    mask[3:15, 5:25] = True
    mask[6:9, 8:12] = False
    path = gallery.outline(mask)
    assert path.count("M") == 2
    # Corners are cut: an eighth of a pixel each.
    assert area(path) == pytest.approx(mask.sum(), abs=1)
    points = np.array(re.findall(r"[\d.]+", path), float).reshape(-1, 2)
    assert points[:, 0].min() == pytest.approx(5)
    assert points[:, 0].max() == pytest.approx(25)
    assert points[:, 1].min() == pytest.approx(3)
    # Straight edges keep their two ends only.
    assert len(points) < 24
    assert gallery.outline(np.zeros((4, 4), bool)) == ""
    assert area(gallery.outline(np.ones((4, 6), bool))) == pytest.approx(24, abs=1)


@pytest.mark.parametrize("preset", ["paper", "phang", "seed_code", "wsol"])
def test_regions_follow_the_preset(preset):
    from jaxcam.metrics import presets

    rng = np.random.default_rng(0)
    native = rng.normal(size=(5, 5)).astype(np.float32)
    frame, extent = jnp.ones((24, 24), bool), jnp.array([24, 24])
    options = gallery._region_options(preset, None)
    region, box, placed = gallery._region(native, frame, extent, options)
    convention = presets.get(preset)
    grid = ops.resize(jnp.asarray(native), (24, 24), method=convention.resize)
    np.testing.assert_allclose(placed, grid, atol=1e-5)
    wanted = convention.fields
    unit = fields.saliency(
        grid, frame, normalization=wanted.get("normalization", "max")
    )
    salient = unit > unit.mean() if wanted.get("strict") else unit >= unit.mean()
    if wanted.get("component") != "all":
        salient = ops.largest_component(
            salient, connectivity=wanted.get("connectivity", 8)
        )
    np.testing.assert_array_equal(region, salient)
    rows, columns = np.flatnonzero(salient.any(1)), np.flatnonzero(salient.any(0))
    short = wanted.get("short_boxes", False)
    expected = [rows[0], columns[0], rows[-1] + 1 - short, columns[-1] + 1 - short]
    np.testing.assert_array_equal(box, expected)


def test_cards_show_the_image_that_they_name(result):
    sides = comparison.sides(result)
    choice = choosing.choose(sides, None, count=2)
    dataset = jaxcam.data.open_dataset("shapes:test,n=12")
    cards = gallery.cards(sides, choice, dataset, size=(32, 32))
    assert len(cards) == len(choice.rows)
    for row, card in zip(choice.rows, cards, strict=True):
        record = dataset.records[row]
        truth = record.truth().object
        assert area(card.truth) == pytest.approx(truth.sum() / 4, rel=0.15, abs=4)
        assert card.size == (32, 32)
        assert [panel.name for panel in card.panels] == ["image", *sides]
        assert all(panel.picture for panel in card.panels)
        written = dict(card.values)["energy_pointing_game ↑"]
        expected = [side.values("energy_pointing_game")[row] for side in sides.values()]
        assert list(written) == [f"{value:.3f}" for value in expected]
        assert {name for name, _, _ in card.curves} == {
            "insertion_curve",
            "max_box_accuracy",
        }
    wrong = next(card for card in cards if "wrong" in card.kinds)
    assert wrong.correct is False
    assert wrong.predicted != wrong.target
    invalid = {card.id for card in cards} & {dataset.records[5].id}
    assert not invalid


def test_an_image_that_cannot_be_read_keeps_its_values(result):
    import dataclasses

    from jaxcam.data import records

    def broken():
        raise records.BadRecord("gone")

    sides = comparison.sides(result)
    choice = choosing.choose(sides, None, count=1)
    dataset = jaxcam.data.open_dataset("shapes:test,n=12")
    rows = [dataclasses.replace(dataset.records[i], image=broken) for i in range(12)]
    dataset = dataclasses.replace(dataset, records=rows)
    cards = gallery.cards(sides, choice, dataset, size=(32, 32))
    assert all(card.panels == () and card.values for card in cards)
