"""Boxes against masks: which metrics pair, and what the difference is."""

import numpy as np
import pytest

from jaxcam import boxes_and_masks, results

NAN = np.nan


def a_result(columns, methods=("cam", "uniform")):
    """A result of columns `[images, methods, ...]`."""
    columns = {name: np.asarray(values, float) for name, values in columns.items()}
    images = len(next(iter(columns.values())))
    index = np.repeat(np.arange(images), len(methods))
    flat = {
        name: values.reshape(len(index), *values.shape[2:])
        for name, values in columns.items()
    }
    return results.Result.from_columns(
        {"index": index, "id": [f"i{i}" for i in index], "method": [*methods] * images}
        | flat
    )


def test_pairs_have_equal_options():
    names = [
        "f_score[beta=2]",
        "f_score[beta=2,region=box]",
        "f_score",
        "f_score[beta=3,region=box]",
        "official_localization_error[region=box]",
        "max_mask_accuracy",
        "max_box_accuracy",
    ]
    assert boxes_and_masks.pairs(names) == [
        ("f_score[beta=2]", "f_score[beta=2,region=box]"),
        ("max_mask_accuracy", "max_box_accuracy"),
    ]


def test_the_difference_is_paired_by_image():
    mask = np.array([[0.2, 0.1], [0.4, 0.1], [0.9, 0.1], [0.5, 0.1]])
    box = mask + np.array([[0.1, 0.2]] * 4)
    box[3, 0] = NAN
    result = a_result({"dice": mask, "dice[region=box]": box})
    (cam,) = boxes_and_masks.against(result)
    assert (cam["method"], cam["n"], cam["is_floor"]) == ("cam", 3, False)
    assert cam["mask"] == pytest.approx(0.5)
    assert cam["box"] == pytest.approx(0.6)
    assert cam["difference"] == pytest.approx(0.1)
    # Every image gains the same, so there is nothing to be unsure of.
    assert cam["low"] == pytest.approx(0.1)
    assert cam["high"] == pytest.approx(0.1)
    both = boxes_and_masks.against(result, floors=("uniform",))
    assert [(r["method"], r["is_floor"]) for r in both] == [
        ("cam", False),
        ("uniform", True),
    ]
    assert both[1]["difference"] == pytest.approx(0.2)


def test_metrics_of_the_whole_data_set_are_reduced_before():
    mask = [[[0.6, 0.1]], [[0.1, 0.6]], [[0.6, 0.1]]]
    box = [[[0.6, 0.6]], [[0.6, 0.1]], [[0.6, 0.1]]]
    columns = {"max_mask_accuracy": mask, "max_box_accuracy": box}
    (record,) = boxes_and_masks.against(a_result(columns, ("cam",)))
    assert record["mask"] == pytest.approx(2 / 3)
    assert record["box"] == pytest.approx(1)
    assert record["difference"] == pytest.approx(1 / 3)
    assert 0 <= record["low"] <= 1 / 3 <= record["high"] <= 1


def test_what_is_undefined_everywhere_is_said():
    columns = {"dice": [[NAN], [NAN]], "dice[region=box]": [[0.1], [0.2]]}
    (record,) = boxes_and_masks.against(a_result(columns, ("cam",)))
    assert record["n"] == 0
    assert np.isnan([record["mask"], record["difference"], record["low"]]).all()
