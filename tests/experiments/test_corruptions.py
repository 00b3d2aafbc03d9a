"""The construct test on truth that is exact."""

import dataclasses

import numpy as np
import pytest

import jaxcam
from jaxcam.experiments import corruptions, versions

SHAPES = jaxcam.data.open_dataset("shapes:test,n=64")


def test_maps_are_corrupted_without_the_truth():
    maps = np.arange(2 * 4 * 8, dtype=float).reshape(2, 4, 8)
    shifted = corruptions.corrupt(maps, "shifted")
    for y, x in np.ndindex(4, 8):
        np.testing.assert_array_equal(
            shifted[:, (y + 1) % 4, (x + 2) % 8], maps[:, y, x]
        )
    np.testing.assert_array_equal(
        corruptions.corrupt(maps, "another image's"), maps[::-1]
    )


def test_filled_squares_fill_their_box():
    squares = corruptions.filled_squares(SHAPES)
    assert len(squares) > 2
    for record in squares.records:
        mask = record.truth().object
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, rows[:, None] & columns[None, :])
        assert np.ptp(record.image()[mask], axis=0).max() == 0
    assert squares.fingerprint() != SHAPES.fingerprint()


def test_rings_are_rings():
    rings = corruptions.of_class(SHAPES, corruptions.RING)
    assert {record.category for record in rings.records} == {"ring"}


@pytest.mark.slow
@pytest.mark.shared
def test_corruption_is_seen_and_the_control_holds():
    network = jaxcam.models.load("shapes_net")
    found = corruptions.construct_test(network, count=64)
    named = {(e["data"], e["corruption"]): e for e in found}
    shifted = named["shapes", "shifted"]
    assert min(shifted["box"], shifted["mask"]) > 0.5
    control = named["squares that fill their box", "shifted"]
    for name, metric in zip(versions.METRICS, control["metrics"], strict=True):
        if name in versions.MAP_METRICS and not np.isnan(metric["estimate"]):
            assert metric["estimate"] == pytest.approx(0, abs=1e-4)


def planted_scores(value, n):
    """Box versions of all metrics at one value, mask versions at another."""
    rng = np.random.default_rng(0)
    columns = versions.columns()
    noise = rng.normal(0, 1, (n, len(corruptions.METHODS), len(columns)))
    means = [value[0 if "truth=box" in column else 1] for column in columns]
    values = noise + np.array(means)
    return versions.Scores(
        values, values, corruptions.METHODS, columns, tuple(map(str, range(n)))
    )


def test_intact_maps_are_held_against_corrupted_ones_in_both_versions(monkeypatch):
    """Intact maps have 1 on boxes and 3 on masks, corrupted ones 0.5 and -3."""
    seen = []

    def maps_of(network, dataset, *, other=False):
        name = "other" if other else "intact"
        maps = np.full((len(dataset), 4, 4), 1.0 if other else 0.0)
        maps[:, 0, 0] = 2.0
        seen.append((dataset.name, name))
        return dict.fromkeys(corruptions.METHODS, maps)

    def scored(maps, dataset, size):
        first = maps["cam"]
        intact = first[0, 0, 0] == 2.0 and first[0, 1, 1] == 0.0
        rolled = np.random.default_rng(1).permutation(len(dataset))
        whole = planted_scores((1.0, 3.0) if intact else (0.5, -3.0), len(dataset))
        if intact:
            return whole
        return dataclasses.replace(whole, values=whole.values[rolled])

    monkeypatch.setattr(corruptions, "maps_of", maps_of)
    monkeypatch.setattr(corruptions, "scored", scored)
    network = jaxcam.models.load("shapes_net")
    found = corruptions.construct_test(network, count=64)
    named = {(e["data"], e["corruption"]): e for e in found}
    assert ("two objects", "the other object's") in named
    for key in (("shapes", "shifted"), ("two objects", "the other object's")):
        e = named[key]
        assert e["box"] == pytest.approx(0.5 / np.sqrt(2), abs=0.1)
        assert e["mask"] == pytest.approx(6 / np.sqrt(2), abs=0.6)
        assert e["low"] > 0
    assert [name for _, name in seen].count("other") == 1
