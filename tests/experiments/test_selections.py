"""Parts of data sets, and crops that move the object with its truth."""

import numpy as np
import pytest

from jaxcam.data import records
from jaxcam.experiments import selections

SHAPE = (40, 60)


def dataset(boxes):
    """Images whose red channel is the row's number and green the column's."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.stack([y, x, 0 * x], axis=-1).astype(np.uint8)

    def record(number, box):
        mask = np.zeros(SHAPE, bool)
        mask[box[0] : box[2], box[1] : box[3]] = True
        border = np.zeros(SHAPE, bool)
        border[box[0], box[1]] = bool(mask.any())
        return records.Record(
            id=f"row {number}",
            image=lambda: image,
            truth=lambda: records.Truth(object=mask & ~border, border=border),
            shape=lambda: SHAPE,
        )

    made = [record(i, box) for i, box in enumerate(boxes)]
    return records.Dataset(name="made", records=made, origin=("made",))


def test_a_part_is_spread_evenly():
    whole = dataset([(1, 1, 5, 5)] * 10)
    assert selections.spread(whole, None) is whole
    assert selections.spread(whole, 10) is whole
    part = selections.spread(whole, 4)
    assert [r.id for r in part.records] == ["row 0", "row 2", "row 5", "row 7"]
    assert part.fingerprint() != whole.fingerprint()
    with pytest.raises(ValueError, match="at least 1"):
        selections.spread(whole, 0)


@pytest.mark.parametrize(
    ("box", "corner", "expected"),
    [
        ((15, 25, 25, 35), (0, 0), (10, 15, 40, 60)),
        ((15, 25, 25, 35), (1, 1), (0, 0, 30, 45)),
        ((5, 10, 25, 35), (0, 1), (5, 0, 35, 45)),
        ((0, 0, 40, 60), (0, 0), (0, 0, 40, 60)),
        ((2, 3, 38, 57), (1, 0), (2, 3, 38, 57)),
    ],
)
def test_windows_worked_by_hand(box, corner, expected):
    found = selections.crop_window(np.array(box), SHAPE, np.array(corner))
    assert found == expected


def test_image_and_truth_move_together_and_the_box_stays_whole():
    boxes = [(15, 25, 25, 35), (3, 40, 20, 55), (0, 0, 40, 60), (30, 2, 38, 12)]
    whole = dataset(boxes)
    for one, other in zip(whole.records, selections.moved(whole).records, strict=True):
        image, truth, shape = other.image(), other.truth(), other.shape()
        assert image.shape[:2] == truth.object.shape == truth.border.shape == shape
        assert shape[0] >= 30
        assert shape[1] >= 45
        here = image[truth.object | truth.border][:, :2]
        there = np.argwhere(one.truth().object | one.truth().border)
        np.testing.assert_array_equal(here, there)


def test_crops_are_deterministic_and_move_objects_off_the_centre():
    whole = dataset([(15, 25, 25, 35)] * 30)
    shapes = [r.shape() for r in selections.moved(whole).records]
    again = [r.shape() for r in selections.moved(whole).records]
    assert shapes == again
    corners = set()
    for record in selections.moved(whole).records:
        y, x = np.argwhere(record.truth().object).mean(axis=0) / record.shape()
        assert abs(y - 0.5) > 0.1
        assert abs(x - 0.5) > 0.1
        corners.add((y > 0.5, x > 0.5))
    assert len(corners) == 4


def test_a_row_without_truth_stays():
    (record,) = selections.moved(dataset([(0, 0, 0, 0)])).records
    assert record.shape() == SHAPE


def test_places_are_shares_of_the_sides():
    whole = dataset([(10, 30, 20, 60), (0, 0, 0, 0)])
    first, second = selections.places(whole)
    expected = [10 / 40, 30 / 60, 20 / 40, 60 / 60, 1 / (40 * 60)]
    np.testing.assert_allclose(first, expected)
    assert np.isnan(second).all()


def test_a_long_box_becomes_the_whole_crop():
    """Why crops do not move every object: its axis has no room left."""
    (crop,) = selections.moved(dataset([(2, 20, 38, 30)])).records
    y0, x0, y1, x1, _ = selections.places(selections.moved(dataset([(2, 20, 38, 30)])))[
        0
    ]
    assert (y0, y1) == (0, 1)
    assert abs((x0 + x1) / 2 - 0.5) > 0.2
    assert crop.shape()[0] == 36
