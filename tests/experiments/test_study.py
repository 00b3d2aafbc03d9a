"""The study's wiring: every endpoint reads the rows it says, the right way round."""

import numpy as np
import pytest

from jaxcam.experiments import findings, study, versions
from tests.experiments import planted


def measured(built):
    return study.measured(built, planted.BREEDS, methods=planted.METHODS, resamples=100)


@pytest.fixture(scope="module")
def found():
    return measured(planted.made())


def near(value):
    return pytest.approx(value, abs=0.08)


def test_the_primary_endpoint_is_mask_less_box_over_the_centre(found):
    """Means of 0.2 and 1 above the centre at a deviation of 1."""
    primary = found["primary"]
    assert (primary["box"], primary["mask"]) == (near(0.2), near(1.0))
    assert primary["estimate"] == near(0.8)
    assert 0.5 < primary["low"] < primary["high"] < 1.1
    for name, metric in zip(found["metrics"], primary["metrics"], strict=True):
        assert metric["estimate"] == pytest.approx(0.8, abs=0.4), name


def test_breeds_are_drawn_whole_and_images_beside_them(found):
    assert found["primary"]["n_clusters"] == 3
    assert found["primary_over_images"]["n_clusters"] == planted.N
    assert found["primary_over_images"]["estimate"] == found["primary"]["estimate"]
    for name in ("skill", "foreground", "moved", "randomised"):
        assert found[name]["n_clusters"] == 3


def test_every_secondary_difference_reads_runs_of_its_own(found):
    assert found["foreground"]["box"] == near(0.0)
    assert found["foreground"]["mask"] == near(-1.0)
    assert found["moved"]["box"] == near(0.5)
    assert found["moved"]["mask"] == near(0.8)


def test_a_trained_network_is_held_against_its_copy_and_not_the_other_way(found):
    """Differences of 1 and 3 between two independent deviations of 1."""
    assert found["randomised"]["box"] == near(1 / np.sqrt(2))
    assert found["randomised"]["mask"] == near(3 / np.sqrt(2))


def test_skill_is_over_the_uniform_map(found):
    """(m - u) / (best - u) turns all signs where u = 30 lies above the best, 1."""
    by_metric = dict(zip(found["metrics"], found["skill"]["metrics"], strict=True))
    energy = by_metric["energy_pointing_game"]
    assert energy["mask"] == near(-1.0)
    assert energy["box"] == near(-0.2)


def test_cells_are_named_for_what_they_are(found):
    cells = {(c["predicted"], c["truth"]): c["effect"] for c in found["cells"]}
    expected = planted.cells(0.2, 1.0, box_mask=0.4, mask_box=0.6)
    assert cells == {cell: near(value) for cell, value in expected.items()}


def test_rankings_of_opposite_versions_disagree_and_repeat_themselves():
    ranks = {"box": [0, 1, 2], "mask": [2, 1, 0]}
    base = planted.parts(planted.cells(0, 0), 5, noise=0.01, offsets=ranks)
    found = measured(planted.made(base=base))
    rankings = found["rankings"]
    assert rankings["between"]["estimate"] == -1
    assert rankings["box"]["estimate"] == rankings["mask"]["estimate"] == 1
    assert "less than they agree with themselves" in findings.ranking_sentence(found)
    assert found["settled"]["net"]["box"] == [8] * len(versions.METRICS)


def test_versions_are_not_mixed_up_in_rankings_and_settling():
    """On boxes the methods differ, on masks they are noise."""
    base = planted.parts(planted.cells(0, 0), 6, noise=1, offsets={"box": [0, 20, 40]})
    found = measured(planted.made(base=base))
    assert found["rankings"]["box"]["estimate"] == 1
    assert found["rankings"]["mask"]["estimate"] < 0.7
    assert found["settled"]["net"]["box"] == [8] * len(versions.METRICS)
    assert None in found["settled"]["net"]["mask"]


def test_floors_are_beaten_or_win(found):
    won = found["floors_won"]
    assert won["uniform"] == {"box": 1.0, "mask": 1.0}
    assert won["random"] == {"box": 0.0, "mask": 0.0}
    assert won["centre"]["box"] < 0.3
    assert won["centre"]["mask"] == 0


def causal(energy, effect):
    base = planted.parts(planted.cells(0, 0), 0, evidence=(energy, effect))
    return measured(planted.made(base=base))


def test_a_causal_ring_is_found_and_a_spurious_one_refused():
    """The ring's energy is 0.3 both times; its effect is all of the score, or none."""
    assert "smaller share" in findings.causal_sentence(causal(0.3, 9.0))
    assert "larger share" in findings.causal_sentence(causal(0.3, 0.0))


def test_shares_of_the_score_are_pooled_over_probabilities():
    """Effects of 10 e on the images of probability 0.1 and 0 on those of 0.9 are e."""
    found = causal(0.3, 0.1)
    whole = [e for e in found["causal"] if e["breed"] == "all"]
    assert [e["network"] for e in whole] == ["all", "net"] * 3
    by_fill = {e["fill"]: e["effect"]["estimate"] for e in whole}
    assert by_fill == {
        "weak blur": pytest.approx(0.1),
        "strong blur": pytest.approx(0.09),
        "mean colour": pytest.approx(0.08),
    }
    by_breed = [40 * -0.1, 20 * 0.1]
    energy = 0.3 + sum(by_breed) / planted.N
    assert whole[0]["energy"]["estimate"] == pytest.approx(energy)


def test_the_rings_interval_draws_breeds_and_within_a_breed_images():
    """Energies are equal within a breed: draws of images would hardly vary."""
    found = causal(0.3, 0.1)
    named = {(e["breed"], e["network"], e["fill"]): e for e in found["causal"]}
    whole = named["all", "all", "weak blur"]["energy"]
    assert whole["high"] - whole["low"] > 0.1
    (one,) = {e["n"] for e in found["causal"] if e["breed"] == "c"}
    assert one == 20
    within = named["c", "all", "weak blur"]["energy"]
    assert within["low"] == pytest.approx(0.4)
    assert within["high"] == pytest.approx(0.4)


def test_runs_of_other_images_are_refused():
    turned = planted.parts(planted.cells(0, 0), 1, ids=planted.IDS[::-1])
    with pytest.raises(ValueError, match="different images"):
        measured(planted.made(copies=turned))


def test_methods_of_other_images_are_refused():
    one = planted.parts(planted.cells(0, 0), 1)
    other = planted.parts(planted.cells(0, 0), 1, ids=planted.IDS[::-1])
    with pytest.raises(ValueError, match="different images"):
        versions.scores({**one, "cam": other["cam"]})
