"""What was found later, on runs whose answer is known."""

import numpy as np
import pytest

from jaxcam.experiments import later, versions
from tests.experiments import planted


@pytest.fixture(scope="module")
def found():
    return planted.later_of(planted.made())


def near(value):
    return pytest.approx(value, abs=0.1)


def test_signs_and_sizes_are_told_apart():
    """D' of -1 on boxes and +1 on masks: the sign differs, the size does not."""
    built = planted.made(base=planted.parts(planted.cells(-1.0, 1.0), 0))
    found = planted.later_of(built)
    assert found["below"] == {"box": 1.0, "mask": 0.0}
    assert found["size"]["box"] == near(1.0)
    assert found["size"]["low"] < 0 < found["size"]["high"]
    assert found["above"]["n_pairs"] == 0
    assert np.isnan(found["above"]["estimate"])
    assert found["left_out"] == []


def test_pairs_in_which_both_are_positive(found):
    above = found["above"]
    assert above["n_of"] == len(planted.METHODS) * len(versions.METRICS)
    assert above["n_pairs"] > 0.8 * above["n_of"]
    assert above["estimate"] == near(0.8)
    assert above["n_gains"] == above["n_pairs"]
    turned = planted.made(base=planted.parts(planted.cells(1.0, 0.2), 0))
    assert planted.later_of(turned)["above"]["n_gains"] == 0


def test_metrics_that_put_the_floor_first_in_both_are_left_out():
    """Two metrics have the floor first in both versions."""
    n, metrics = 60, len(versions.METRICS)
    rng = np.random.default_rng(0)
    means = np.full(metrics, 1.0)
    means[[3, 7]] = -2.0
    box = rng.normal(means, 1.0, (n, 3, metrics))
    mask = rng.normal(np.where(means > 0, 1.5, -1.0), 1.0, (n, 3, metrics))
    signs = later.signs(box, mask, np.arange(n) % 6, resamples=50, seed=0)
    assert signs["left_out"] == [versions.METRICS[3], versions.METRICS[7]]
    assert signs["first"]["n_pairs"] == 3 * (metrics - 2)
    assert signs["first"]["estimate"] == near(0.5)


def test_methods_of_one_map_are_found():
    rng = np.random.default_rng(0)
    first = [rng.normal(size=(3, 3)) for _ in range(4)]
    rounded = [3 * m * (1 + 1e-6) for m in first]
    rectified = [np.maximum(m, 0) for m in first]
    other = [*first[:3], first[3][::-1]]
    larger = [np.pad(m, 1) for m in first]
    maps = {"a": first, "b": other, "c": rounded, "d": rectified, "e": larger}
    assert later.identical(maps) == [["a", "c", "d"], ["b"], ["e"]]
    nothing = {"a": [np.zeros((2, 2))], "b": [-np.ones((2, 2))]}
    assert later.identical(nothing) == [["a", "b"]]


def test_a_method_of_two_names_counts_once(found):
    assert found["distinct"]["groups"] == {"net": [["cam", "grad_cam"], ["layer_cam"]]}
    assert found["distinct"]["primary"]["n_pairs"] == 2 * len(versions.METRICS)
    assert found["distinct"]["rankings"] == {}


def test_rankings_count_metrics_for_which_all_three_are_defined():
    """All methods are equal in one metric on boxes, which leaves the mask's out too."""
    n, metrics = 40, len(versions.METRICS)
    columns = versions.columns()
    rng = np.random.default_rng(0)
    values = rng.normal(np.arange(3)[None, :, None], 0.01, (n, 3, len(columns)))
    spoilt = versions.version("box")[0], versions.version("mask")[0]
    values[:, :, columns.index(spoilt[0])] = 0.0
    values[:, :, columns.index(spoilt[1])] = rng.normal(0, 1, (n, 3))
    scores = versions.Scores(values, values, planted.METHODS, columns, tuple("x" * n))
    found = later.rankings({"net": scores}, {"net": planted.METHODS})
    assert metrics > 2
    for key in ("between", "box", "mask"):
        assert found[key]["estimate"] == found[key]["low"] == 1
    assert found["under_box"]["estimate"] == found["under_mask"]["high"] == 0


def test_skill_is_compared_on_common_images():
    """Box skill is undefined on two thirds; there the mask's is 5 lower."""
    n, columns = 90, versions.columns()
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (n, 2, len(columns)))
    values[:, 1] = 0.0
    some = np.arange(n) % 3 > 0
    for box, mask in zip(
        versions.version("box"), versions.version("mask"), strict=True
    ):
        values[:, 0, columns.index(box)] += 1.0
        values[some, 0, columns.index(box)] = np.nan
        values[:, 0, columns.index(mask)] += np.where(some, -4.0, 2.0)
    scores = versions.Scores(
        values, values, ("cam", "centre"), columns, tuple(map(str, range(n)))
    )
    where = planted.places([(0, 0, 1, 1)] * 45 + [(0, 0, 0.5, 1)] * 45)
    found = later.skill(
        {"net": scores}, ("cam",), np.arange(n) % 9, where, resamples=50, seed=0
    )
    assert found["metrics"][0] | {"five": 0} == {
        **{"box": 30, "mask": 90, "both": 30},
        "five": 0,
    }
    assert 5 / 30 < found["metrics"][0]["five"] < 1
    assert found["common"]["estimate"] == pytest.approx(1.0, abs=0.3)
    assert found["n_smaller"] == 45


def test_moves_by_hand():
    """Boxes of 0.4 x 0.4; one moves to a corner, one to the centre, one stays."""
    before = planted.places([(0.3, 0.3, 0.7, 0.7), (0, 0, 0.4, 0.4), (0, 0, 1, 1)])
    after = planted.places([(0, 0, 0.4, 0.4), (0.3, 0.3, 0.7, 0.7), (0, 0, 1, 1)])
    found = later._moves(before, after)
    assert (found["n"], found["before"], found["after"]) == (3, 0.0, 0.0)
    assert found["nearer"] == found["farther"] == pytest.approx(1 / 3)
    assert found["whole_before"] == found["whole_after"] == pytest.approx(1 / 3)


def test_the_endpoint_is_asked_where_crops_moved_objects_off():
    """Half of the crops move; there masks win by 2, elsewhere boxes."""
    half = np.arange(planted.N) % 2 == 0
    after = np.where(half[:, None], planted.CORNER, planted.CENTRAL)
    moved = planted.parts(planted.cells(0.0, 0.0), 3)
    result = moved["cam"]
    for request in versions.columns():
        if "truth=mask" in request:
            sign = planted.DIRECTIONS.get(request.split("[")[0], 1)
            for method in planted.METHODS:
                rows = result.rows_of(method)
                result.columns[request][rows] += sign * np.where(half, 2.0, -6.0)
    found = planted.later_of(planted.made(moved=moved), (planted.CENTRAL, after))
    assert found["moved"]["all"]["farther"] == 0.5
    assert found["moved"]["off"]["n"] == 45
    assert found["moved"]["crops"]["mask"] == near(2.0)
    assert found["moved"]["crops"]["box"] == near(0.0)
    assert found["moved"]["images"]["mask"] == near(1.0)


def test_nothing_is_asked_where_no_crop_moved():
    found = planted.later_of(planted.made(), (planted.CENTRAL, planted.CENTRAL))
    assert found["moved"]["off"] == {"n": 0}
    assert np.isnan(found["moved"]["crops"]["estimate"])


def test_the_copies_classes_are_held_against_the_networks(found):
    assert found["copies"]["net"]["other"] == 1.0
    assert found["copies"]["net"]["classes"] == [1, 1]
    same = planted.made(copies=planted.parts(planted.cells(0, 0), 1, target=1))
    assert planted.later_of(same)["copies"]["net"]["other"] == 0.0


def test_effects_become_shares_of_the_positive_ones(found):
    """Ring 0.1, object 0.9, context -0.5: a tenth of what counts for the class."""
    first = found["causal"][0]
    assert first["effect"]["ring"]["estimate"] == pytest.approx(0.1)
    assert first["effect"]["context"]["estimate"] == pytest.approx(-0.5)
    assert first["evidence"]["estimate"] == pytest.approx(0.1)
    energy = first["energy"]["ring"]["estimate"]
    assert first["excess"]["estimate"] == pytest.approx(energy - 0.1)
    assert first["uniform"]["ring"]["estimate"] == pytest.approx(0.2)


@pytest.mark.parametrize(("energy", "below"), [(0.32, 0.0), (0.25, 40 / 90)])
def test_the_ring_is_held_against_the_uniform_map(energy, below):
    """It holds 0.2; the methods 0.1 less or more than `energy`, by breed."""
    base = planted.parts(planted.cells(0, 0), 0, evidence=(energy, 0.1))
    first = planted.later_of(planted.made(base=base))["causal"][0]
    assert first["below_uniform"] == pytest.approx(below)


def test_border_and_coverage_are_told(found):
    assert found["border"] == pytest.approx(0.1)
    assert [row["breed_sd"] for row in found["coverage"]] == list(later.BREED_SDS)
    assert all(0.5 < row["covered"] < 0.95 for row in found["coverage"])
