"""The images that a report shows are the ones that it says they are."""

import numpy as np
import pytest

from jaxcam import comparison, results
from jaxcam.reports import choosing

METRIC = "energy_pointing_game"


def some(values, floor=None, correct=None, probability=None, explained="label", **more):
    """Sides of methods by rows of values `[methods][images]`."""
    values = np.asarray(values, float)
    methods = [f"m{i}" for i in range(len(values))]
    table = list(values)
    if floor is not None:
        methods.append("uniform")
        table.append(np.asarray(floor, float))
    count = values.shape[1]
    rows = {
        "index": np.tile(np.arange(count), len(methods)),
        "id": [f"i{k}" for k in range(count)] * len(methods),
        "method": np.repeat(methods, count),
        METRIC: np.concatenate(table),
    }
    if correct is not None:
        rows["correct"] = np.tile(np.asarray(correct, float), len(methods))
    if probability is not None:
        rows["probability"] = np.tile(np.asarray(probability, float), len(methods))
    rows |= {name: np.concatenate(list(v)) for name, v in more.items()}
    manifest = {"scientific": {"explained": explained}}
    result = results.Result.from_columns(rows, manifest)
    sides = comparison.sides(result)
    floors = comparison.sides(result, floors=("uniform",))
    return sides, floors.get("uniform")


def of_kind(choice, kind):
    return {row for row, kinds in choice.rows.items() if kind in kinds}


def test_best_median_and_worst():
    sides, floor = some([[0.1, 0.9, 0.5, 0.3, 0.7]])
    choice = choosing.choose(sides, floor, count=1)
    assert of_kind(choice, "best") == {1}
    assert of_kind(choice, "median") == {2}
    assert of_kind(choice, "worst") == {0}
    assert list(choice.rows) == sorted(choice.rows, key=lambda r: -choice.values[r])
    assert choice.wrong is None


def test_of_few_images_none_is_best_and_worst():
    sides, floor = some([[0.1, 0.9, 0.5, 0.3]])
    choice = choosing.choose(sides, floor, count=4)
    assert of_kind(choice, "best") == {1}
    assert of_kind(choice, "worst") == {0}


def test_lower_can_be_better():
    values = [[0.1, 0.9, 0.5]]
    sides, floor = some([[0.5, 0.5, 0.5]], localization_error=values)
    choice = choosing.choose(sides, floor, by="localization_error", count=1)
    assert of_kind(choice, "best") == {0}
    assert of_kind(choice, "worst") == {1}
    np.testing.assert_allclose(choice.values, values[0])


def test_contested_are_those_that_methods_disagree_on():
    sides, floor = some([[0.5, 0.5, 0.2, 0.5], [0.5, 0.6, 0.9, np.nan]])
    choice = choosing.choose(sides, floor, count=2)
    assert of_kind(choice, "contested") == {2, 1}
    # Of one method: those that its metrics disagree on.
    sides, floor = some([[0.1, 0.5, 0.9]], localization_error=[[0.1, 0.5, 0.9]])
    choice = choosing.choose(sides, floor, count=2)
    assert of_kind(choice, "contested") == {0, 2}


def test_misinterpreted_images():
    value = [0.9, 0.2, 0.6, 0.3, 0.8, np.nan]
    floor = [0.1, 0.2, 0.1, 0.4, 0.1, 0.1]
    correct = [1, 1, 0, 1, 0, 1]
    probability = [0.9, 0.8, 0.4, 0.9, 0.1, 0.9]
    sides, side = some([value], floor, correct, probability)
    choice = choosing.choose(sides, side, count=1)
    # The explained label is least likely in image 4.
    assert of_kind(choice, "wrong") == {4}
    assert choice.wrong == 2
    # Images 1 and 3 are right, and explained no better than by a uniform map.
    assert of_kind(choice, "wrong_reason") == {1}
    assert (choice.wrong_reason, choice.right) == (2, 3)
    # Where predictions are explained, the most certain mistake comes first.
    sides, side = some([value], floor, correct, probability, explained="predicted")
    assert of_kind(choosing.choose(sides, side, count=1), "wrong") == {2}
    parts = sides["m0"].result.split(by="correct")
    assert parts[False].n_images == choice.wrong


def test_what_cannot_decide_is_refused():
    sides, floor = some([[0.1, 0.2, 0.3]])
    with pytest.raises(ValueError, match="choose one of energy_pointing_game"):
        choosing.choose(sides, floor, by="dice")
    assert choosing.choose(sides, floor, count=0) is None
    undefined, floor = some([[np.nan, np.nan]])
    assert choosing.choose(undefined, floor) is None
