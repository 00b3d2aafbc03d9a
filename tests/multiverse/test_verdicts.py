import itertools

import numpy as np
import pytest
from scipy import stats

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


def small(**axes):
    """A question whose universes are all combinations of a few choices."""
    made = [
        universes.Universe("dice", tuple(zip(axes, choices, strict=True)))
        for choices in itertools.product(*axes.values())
    ]
    return universes.Question("small", "which", tuple(made), (1,) * len(made))


def chosen(question, axis):
    return np.array(question.choices(axis))


def test_a_ranking_that_flips_under_one_convention_is_said_to_hang_on_it():
    boxes = chosen(REGION, "region") == "box"
    verdict = judged(drawn(np.where(boxes, -0.1, 0.1)))
    assert verdict.a == "a"
    assert verdict.share == verdict.share_clear == pytest.approx(0.75)
    assert verdict.share_against == pytest.approx(0.25)
    assert [axis.axis for axis in verdict.deciding] == ["region"]
    assert verdict.axes[0].axis == "region"
    assert verdict.axes[0].shares == {"mask": 1.0, "box": 0.0}
    assert verdict.axes[0].clear == {"mask": (1.0, 0.0), "box": (0.0, 1.0)}
    assert verdict.axes[0].flips == verdict.axes[0].turns == 1.0
    assert all(axis.flips == axis.turns == 0 for axis in verdict.axes[1:])
    assert str(verdict) == (
        "a beats b in 75 % of 2,880 universes (2 distinct, 50 images), clearly in "
        "75 %, and loses clearly in 25 %. It hangs on region: under mask a wins "
        "clearly in 100 %, under box b in 100 %."
    )
    assert verdict.record()["hangs"] == ["region"]


def test_a_ranking_that_holds_everywhere_hangs_on_nothing():
    verdict = judged(drawn(np.full(len(REGION.universes), -0.3)))
    assert (verdict.a, verdict.b) == ("b", "a")
    assert verdict.share == verdict.share_clear == 1
    assert verdict.deciding == ()
    assert str(verdict) == (
        "b beats a in 100 % of 2,880 universes (1 distinct, 50 images), clearly in "
        "100 %, and loses clearly in 0 %."
    )


def test_a_minority_under_one_choice_is_a_flip_but_decides_nothing():
    otsu, dice = chosen(REGION, "rule") == "otsu", chosen(REGION, "metric") == "dice"
    verdict = judged(drawn(np.where(otsu & dice, -0.1, 0.1)))
    by_name = {axis.axis: axis for axis in verdict.axes}
    assert verdict.deciding == ()
    assert by_name["rule"].shares["otsu"] == pytest.approx(4 / 5)
    # Of the 15 pairs of rules the 5 with Otsu's flip, for one metric of five.
    assert by_name["rule"].flips == pytest.approx(5 / 75)
    assert by_name["resizing"].flips == 0


@pytest.mark.parametrize(
    ("lost", "decides"),
    [((6, 3), True), ((5, 3), False), ((6, 4), False), ((5, 0), True), ((4, 0), False)],
)
def test_a_convention_decides_at_two_thirds_on_both_sides(lost, decides):
    """Of nine universes under each of two choices, the first few go to b.

    Or where it turns half of them, as of (5, 0).
    """
    question = small(x=("p", "q"), y=tuple("123456789"))
    gain = np.full(18, 0.1)
    for start, count in zip((0, 9), lost, strict=True):
        gain[start : start + count] = -0.1
    verdict = judged(drawn(gain), question)
    (axis,) = (axis for axis in verdict.axes if axis.axis == "x")
    assert axis.turns == pytest.approx((lost[0] - lost[1]) / 9)
    assert axis.decides == decides


def test_conventions_that_decide_together_are_both_named():
    """Neither has a side of its own: the winner turns with whether both are chosen."""
    question = small(x=("p", "q"), y=("1", "2"), z=("s", "t"))
    both = (chosen(question, "x") == "p") ^ (chosen(question, "y") == "1")
    verdict = judged(drawn(np.where(both, 0.1, -0.1)), question)
    assert {axis.axis for axis in verdict.deciding} == {"x", "y"}
    assert verdict.axes[0].clear == {"p": (0.5, 0.5), "q": (0.5, 0.5)}
    assert (
        "It hangs on x, together with other conventions: changing it alone turns the "
        "clear winner in 100 % of cases." in str(verdict)
    )


def test_a_flip_that_is_not_clear_decides_nothing():
    """A loss of 1e-4 among differences of .2 is no loss."""
    boxes = chosen(REGION, "region") == "box"
    verdict = judged(drawn(np.where(boxes, -1e-4, 0.1)))
    assert verdict.axes[0].shares == {"mask": 1.0, "box": 0.0}
    assert verdict.axes[0].flips == 1
    assert verdict.axes[0].turns == 0
    assert verdict.share_against == 0
    assert verdict.deciding == ()


def test_equal_methods_hang_on_a_convention_by_chance_alone_hardly_ever():
    """Noise of each choice's own, on six and two choices, is no finding.

    Expected is about 1 in 50: six choices, of which one is clear for a and another for
    b by chance, each in 2.5 of 100 cases.
    """
    question = small(x=tuple("pqrstu"), y=("1", "2"))
    rng = np.random.default_rng(0)
    hanging, clear = 0, []
    for _ in range(300):
        noise = rng.normal(size=(40, 6)).repeat(2, axis=1)
        verdict = judged(np.stack([noise, np.zeros_like(noise)]), question)
        hanging += bool(verdict.deciding)
        clear.append(verdict.share_clear + verdict.share_against)
    assert hanging <= 300 / 20
    assert np.mean(clear) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("images", [2, 3, 5, 10])
def test_few_images_are_not_clear_more_often_than_said(images):
    rng = np.random.default_rng(images)
    question = small(x=tuple(map(str, range(4000))))
    values = np.stack([rng.normal(size=(images, 4000)), np.zeros((images, 4000))])
    sums = verdicts.paired_sums(values, PAIR)
    own = verdicts.Sums(*(part[0] for part in sums.parts()))
    _, clear = verdicts._effects(own, np.array(question.directions))
    assert clear.mean() == pytest.approx(0.05 if images > 5 else 0, abs=0.012)


def test_students_t_is_that_of_scipy():
    freedom = np.array([5, 6, 9, 30, 657])
    expected = stats.t.ppf(0.975, freedom)
    np.testing.assert_allclose(verdicts.t_quantile(freedom), expected, rtol=2e-4)


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
    t = abs(expected) * np.sqrt(29)
    assert verdict.clear[7] == (t > stats.t.ppf(0.975, 28))
    assert verdict.images == 30


def test_equal_methods_tie_and_missing_ones_have_no_verdict():
    values = np.ones((2, 5, len(REGION.universes)))
    verdict = judged(values)
    assert verdict.share == 0.5
    assert verdict.share_clear == verdict.share_against == 0
    assert verdict.deciding == ()
    verdict = judged(np.full_like(values, np.nan))
    assert verdict.defined == 0
    assert "no value in common" in str(verdict)


def test_a_constant_difference_is_clear_and_its_rounding_is_none():
    values = np.stack([np.full((9, 2880), 0.1), np.full((9, 2880), 0.3)])
    verdict = judged(values)
    assert verdict.a == "b"
    assert np.isposinf(verdict.effects).all()
    assert verdict.clear.all()
    rng = np.random.default_rng(3)
    one = rng.random((9, 2880), np.float32)
    verdict = judged(np.stack([one, one * np.float32(1 - 1e-7)]))
    assert verdict.share == 0.5
    assert not verdict.clear.any()


def test_a_sum_that_is_rounding_is_a_tie():
    """Differences of single images that cancel up to a millionth of the values."""
    values = np.full((2, 10, len(REGION.universes)), 0.5)
    values[0, :5] += 1e-3
    values[0, 5:] -= 1e-3 * (1 - 1e-4)
    verdict = judged(values)
    assert verdict.share == 0.5
    assert (verdict.effects == 0).all()


def test_five_images_that_differ_are_never_clear():
    """The others differ by the rounding of their values, which is no difference."""
    values = np.full((2, 90, len(REGION.universes)), 0.5)
    values[0] *= 1 + 1e-7
    values[0, :5] = 1
    verdict = judged(values)
    assert (verdict.share, verdict.share_clear) == (1, 0)
    values[0, 5] = 1
    assert judged(values).share_clear == 1


def test_methods_that_are_one_map_are_not_ranked():
    values = drawn(np.full(len(REGION.universes), 0.3))
    sums = verdicts.paired_sums(values, PAIR)
    for apart, one_map in ((5e-4, True), (0.1, False), (np.inf, False)):
        (verdict,) = verdicts.judge(REGION, sums, AB, PAIR, np.array([apart]))
        assert verdict.one_map == one_map
        assert verdict.share == (0.5 if one_map else 1)
        assert verdict.share_clear == (0 if one_map else 1)
    (verdict,) = verdicts.judge(REGION, sums, AB, PAIR, np.array([0.0]))
    assert str(verdict) == "a and b are one map up to rounding: none is better."


def test_universes_that_say_the_same_are_counted_once():
    gain = np.arange(len(REGION.universes)) % 7 / 10
    assert judged(drawn(gain)).distinct == 7


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
