"""The construct test on truth that is exact."""

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
