import itertools

import numpy as np
import pytest

from jaxcam.multiverse import curves, universes, verdicts

REGION = universes.region_question()
AB = ("a", "b")
PAIR = [(0, 1)]


def judged(values, question=REGION):
    sums = verdicts.paired_sums(values, PAIR)
    (verdict,) = verdicts.judge(question, sums, AB, PAIR)
    return verdict


def drawn(gain, images=50, seed=0):
    """Values of two methods whose mean difference in universe u is `gain[u]`."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.2, (images, 1))
    noise -= noise.mean()
    b = rng.random((images, 1)) * np.ones(len(gain))
    return np.stack([b + gain + noise, b])


def test_a_ranking_that_flips_under_one_convention_is_said_to_hang_on_it():
    boxes = np.array(REGION.choices("region")) == "box"
    verdict = judged(drawn(np.where(boxes, -0.1, 0.1)))
    assert verdict.a == "a"
    assert verdict.share == verdict.share_clear == pytest.approx(0.75)
    assert verdict.share_against == pytest.approx(0.25)
    assert [axis.axis for axis in verdict.deciding] == ["region"]
    assert verdict.axes[0].axis == "region"
    assert verdict.axes[0].shares == {"mask": 1.0, "box": 0.0}
    assert verdict.axes[0].flips == 1.0
    assert all(axis.flips == 0 for axis in verdict.axes[1:])
    assert "It hangs on region: 100 % under mask, 0 % under box." in str(verdict)


def test_a_ranking_that_holds_everywhere_hangs_on_nothing():
    verdict = judged(drawn(np.full(len(REGION.universes), -0.3)))
    assert (verdict.a, verdict.b) == ("b", "a")
    assert verdict.share == verdict.share_clear == 1
    assert verdict.deciding == ()
    assert str(verdict) == (
        "b beats a in 100 % of 1,728 universes, clearly in 100 %, and loses clearly in "
        "0 %."
    )


def test_a_minority_under_one_choice_is_a_flip_but_decides_nothing():
    choices = np.array(REGION.choices("rule"))
    metric = np.array(REGION.choices("metric"))
    lost = (choices == "otsu") & (metric == "dice")
    verdict = judged(drawn(np.where(lost, -0.1, 0.1)))
    by_name = {axis.axis: axis for axis in verdict.axes}
    assert verdict.deciding == ()
    assert by_name["rule"].shares["otsu"] == pytest.approx(2 / 3)
    # Of the 15 pairs of rules the 5 with Otsu's flip, for one metric of three.
    assert by_name["rule"].flips == pytest.approx(5 / 45)
    assert by_name["resizing"].flips == 0


def test_directions_are_minded():
    universe = universes.of_columns([("average_drop", {}), ("average_increase", {})])
    question = universes.Question("model", "", tuple(universe), (-1, 1))
    verdict = judged(drawn(np.array([-0.1, 0.1])), question)
    assert (verdict.a, verdict.share) == ("a", 1)


def test_effects_equal_the_formula():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, 30, len(REGION.universes)))
    values[0, 4, 7] = np.nan
    verdict = judged(values)
    sign = 1 if verdict.a == "a" else -1
    difference = sign * (values[0, :, 7] - values[1, :, 7])
    kept = np.delete(difference, 4)
    expected = kept.mean() / kept.std(ddof=1)
    assert verdict.effects[7] == pytest.approx(expected)
    z = abs(expected) * np.sqrt(29)
    assert verdict.clear[7] == (z > verdicts.CLEAR)


def test_equal_methods_tie_and_missing_ones_have_no_verdict():
    values = np.ones((2, 5, len(REGION.universes)))
    verdict = judged(values)
    assert verdict.share == 0.5
    assert verdict.share_clear == verdict.share_against == 0
    assert verdict.deciding == ()
    verdict = judged(np.full_like(values, np.nan))
    assert verdict.defined == 0
    assert "no value in common" in str(verdict)


def test_a_constant_difference_is_clear_however_small():
    values = np.stack([np.full((9, 1728), 0.1), np.full((9, 1728), 0.3)])
    verdict = judged(values)
    assert verdict.a == "b"
    assert np.isposinf(verdict.effects).all()
    assert verdict.clear.all()


def test_shards_add_up():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3, 20, 11))
    pairs = list(itertools.combinations(range(3), 2))
    whole = verdicts.paired_sums(values, pairs)
    parts = [
        verdicts.paired_sums(values[:, s], pairs)
        for s in np.split(np.arange(20), [6, 13])
    ]
    added = parts[0] + parts[1] + parts[2]
    for one, other in zip(whole.parts(), added.parts(), strict=True):
        np.testing.assert_allclose(one, other)


def test_neighbours_differ_along_one_axis():
    for axis in REGION.axes:
        for a, b in universes.neighbours(REGION, axis)[::97]:
            one, other = (
                dict(REGION.universes[i].choices, metric=REGION.universes[i].metric)
                for i in (a, b)
            )
            differing = {
                name
                for name in one
                if one[name] != other[name]
                and universes.MOOT not in (one[name], other[name])
            }
            assert differing == {axis}


def test_curves_are_read_in_every_published_way():
    widths = {"deletion_curve": 225, "deletion": 1, "average_drop": 1, "dice": 1}
    signs = {"deletion_curve": -1, "deletion": -1, "average_drop": -1, "dice": 1}
    question, reads = curves.question(widths, signs)
    assert len(question.universes) == len(reads) == 9  # 2 areas, 2 scales, 2 steps, 1.
    curve = np.linspace(0.8, 0.2, 225)[None] ** 2
    by_name = {
        str(u): read(curve)
        for u, (c, read) in zip(question.universes, reads, strict=True)
        if c == "deletion_curve"
    }
    trapezoid = np.trapezoid(curve[0], dx=1 / 224)
    key = "deletion[steps=all,area=trapezoid,relative=no]"
    assert by_name[key] == pytest.approx(trapezoid)
    key = "deletion[steps=112,area=trapezoid,relative=no]"
    assert by_name[key] == pytest.approx(np.trapezoid(curve[0, ::2], dx=1 / 112))
    key = "deletion[steps=all,area=mean,relative=whole]"
    assert by_name[key] == pytest.approx(curve[0].mean() / curve[0, 0])


def test_columns_that_leave_no_choice_make_no_question():
    assert curves.question({"dice": 1}, {"dice": 1}) == (None, [])
    assert curves.question({"road": 1}, {"road": 1}) == (None, [])
