"""Sentences that come out either way, from numbers made up for each."""

import copy
import json

import numpy as np
import pytest

from jaxcam.experiments import (
    afterwards,
    box_versus_mask,
    figures,
    findings,
    later,
    runs,
    versions,
    words,
)


def interval(estimate, half):
    return {"estimate": estimate, "low": estimate - half, "high": estimate + half}


def effect(gain, half=0.1):
    one = {**interval(gain, half), "box": 0.5, "mask": 0.5 + gain}
    return {
        **one,
        "n": 12,
        "n_clusters": 3,
        "n_pairs": 24,
        "n_left_out": 0,
        "metrics": [dict(one) for _ in versions.METRICS],
        "explanations": [gain, gain],
    }


def results(gain=0.4, excess=0.1, between=0.8, changes=None):
    shares = {
        "energy": interval(0.2, 0.02),
        "effect": interval(0.2 - excess, 0.02),
        "excess": interval(excess, 0.03),
    }
    halves = {name: interval(0.7, 0.1) for name in ("box", "mask")}
    return {
        "settings": {
            "data": "made",
            "images": 12,
            "of_images": 24,
            "breeds": {"a": 6, "b": 4, "c": 2},
            "networks": ["net"],
            "methods": ["cam", "grad_cam"],
            "seed": 0,
        },
        "metrics": list(versions.METRICS),
        **{
            name: effect(gain)
            for name in (
                "primary",
                "primary_over_images",
                "skill",
                "foreground",
                "moved",
                "randomised",
            )
        },
        "cells": [
            {"predicted": p, "truth": t, "effect": 0.5} for p, t in versions.CELLS
        ],
        "rankings": {"between": interval(between, 0.1), **halves},
        "settled": {"net": {"box": [8, None], "mask": [16, 32]}},
        "floors_won": {"centre": {"box": 0.25, "mask": 0.125}},
        "construct": [construct("squares that fill their box", 0.0)],
        "causal": [
            {"fill": fill, "breed": "all", "network": "all", "n": 12, **shares}
            for fill in runs.FILLS
        ],
        "later": found_later() | (changes or {}),
    }


def construct(data, gain):
    return {"data": data, "corruption": "shifted"} | effect(gain)


def contrast(gain, box=0.5):
    return {**interval(gain, 0.1), "box": box, "mask": box + gain, "n_pairs": 20}


def found_later():
    places = {"n": 12, "before": 0.1, "after": 0.0, "nearer": 0.8, "farther": 0.1}
    places |= {"whole_before": 0.1, "whole_after": 0.6}
    taus = {key: interval(0.7, 0.1) for key in ("between", "box", "mask")}
    taus |= {f"under_{key}": interval(-0.3, 0.1) for key in ("box", "mask")}
    part = {key: interval(0.2, 0.1) for key in later.PARTS}
    return {
        "below": {"box": 0.6, "mask": 0.3},
        "size": contrast(0.0),
        "above": contrast(0.6) | {"n_of": 24, "n_gains": 19},
        "first": contrast(0.5),
        "left_out": ["recall"],
        "distinct": {
            "groups": {"net": [["cam", "grad_cam"], ["gradient"]]},
            "primary": contrast(0.3),
            "rankings": taus,
            "settled": {"net": {"box": [8, None], "mask": [16, 32]}},
        },
        "rankings": taus,
        "skill": {
            "metrics": [
                {"box": 5, "mask": 12, "both": 5, "five": 0.5} for _ in versions.METRICS
            ],
            "common": contrast(0.5),
            "smaller": contrast(0.7),
            "n_smaller": 9,
        },
        "moved": {
            "all": places,
            "off": places | {"n": 3},
            "crops": contrast(0.4),
            "images": contrast(0.3),
        },
        "copies": {
            "net": {"other": 0.9, "classes": [51, 1], "probability": [0.4, 0.0009]}
        },
        "causal": [
            {
                "fill": fill,
                **{key: dict(part) for key in ("energy", "uniform", "effect")},
                "evidence": interval(0.05, 0.01),
                "excess": interval(0.15, 0.05),
                "below_uniform": 0.7,
            }
            for fill in runs.FILLS
        ],
        "border": 0.13,
        "coverage": [
            {"breed_sd": 0.0, "covered": 0.84},
            {"breed_sd": 1.0, "covered": 0.81},
        ],
    }


@pytest.mark.parametrize(
    ("gain", "expected", "said"),
    [
        (0.4, "mask", "beforehand, masks are better.**"),
        (-0.4, "box", "beforehand, boxes are better.**"),
        (0.05, "neither", "neither is better for certain"),
        (np.nan, "neither", "neither is better for certain"),
    ],
)
def test_the_answer_follows_the_interval(gain, expected, said):
    found = results(gain=gain)
    assert words.verdict(found["primary"]) == expected
    assert said in findings.answer(found)


def test_disagreement_of_breeds_and_images_is_said():
    found = results()
    assert "over images agrees" in findings.answer(found)
    found["primary_over_images"] = effect(0.0)
    assert "hangs" in findings.answer(found)


@pytest.mark.parametrize(
    ("excess", "said"),
    [(0.1, "larger share"), (-0.1, "smaller share"), (0.0, "leave it open")],
)
def test_the_ring_is_called_spurious_only_if_every_fill_says_so(excess, said):
    assert said in findings.causal_sentence(results(excess=excess))
    mixed = results(excess=excess)
    mixed["causal"][1] = results(excess=0.0)["causal"][1]
    assert "leave it open" in findings.causal_sentence(mixed)


def test_rankings_are_compared_with_both_that_they_agree_with_themselves():
    found = results(between=0.7)
    assert "as well as they agree with themselves" in findings.ranking_sentence(found)
    found = results(between=0.6)
    assert "less than they agree with themselves" in findings.ranking_sentence(found)
    found["rankings"]["mask"] = interval(0.5, 0.1)
    said = findings.ranking_sentence(found)
    assert "as well as mask with mask, less than box with box" in said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0.3, "whatever the sign, masks"),
        (-0.3, "whatever the sign, boxes"),
        (0.0, "does not differ for certain; what the endpoint counts"),
    ],
)
def test_sizes_of_effects_stand_beside_the_answer(size, said):
    found = results(changes={"size": contrast(size)})
    assert said in findings.answer(found)
    assert "negative in 60 % of the pairs on boxes and in 30 % on masks" in (
        findings.answer(found)
    )
    assert "In 20 of 24 pairs both versions put the explanation first" in (
        findings.answer(found)
    )
    assert "larger one in 19 of 20 pairs" in findings.answer(found)


@pytest.mark.parametrize(
    ("box", "mask", "said"),
    [
        (-0.9, -0.1, "both versions put the explanations *below*"),
        (0.1, 0.9, "both versions put the explanations above"),
        (-0.9, 0.1, "boxes put the explanations *below* the centre floor and masks"),
        (0.9, -0.1, "masks put the explanations *below* the centre floor and boxes"),
    ],
)
def test_the_side_of_the_floor_is_said(box, mask, said):
    found = results()
    found["primary"] |= {"box": box, "mask": mask}
    assert said in findings.answer(found)


def test_metrics_that_put_the_floor_first_are_named_and_left_out():
    said = afterwards.primary(results())
    assert "recall put the centre floor" in said
    assert "without them the difference is +0.50" in said
    assert "no metric" in afterwards.primary(results(changes={"left_out": []}))


def test_methods_of_one_map_are_named_and_counted_once():
    said = afterwards.primary(results())
    assert "net: cam = grad_cam" in said
    assert "counted once the difference is +0.30" in said
    apart = results()
    apart["later"]["distinct"]["groups"] = {"net": [["cam"], ["grad_cam"]]}
    assert "No two methods" in afterwards.primary(apart)
    assert "nothing changes" in afterwards.settling(apart)


def test_rankings_differ_clearly_or_not():
    found = results()
    assert "clearly less with each other" in afterwards.rankings(found)
    assert afterwards.rankings(found).count("tau is") == 2
    found["later"]["rankings"]["under_mask"] = interval(0.0, 0.1)
    assert "than box with box only" in afterwards.rankings(found)
    found["later"]["rankings"]["under_box"] = interval(0.0, 0.1)
    assert "do not agree clearly less" in afterwards.rankings(found)


def test_crops_are_said_to_move_objects_only_if_they_do():
    found = results()
    assert "the crops do not move objects off" in afterwards.moved(found)
    assert "On the 3 images" in afterwards.moved(found)
    found["later"]["moved"]["all"] |= {"after": 0.3, "nearer": 0.1}
    assert "the crops move the objects off" in afterwards.moved(found)
    found["later"]["moved"]["off"] = {"n": 0}
    assert "No object came" in afterwards.moved(found)


def test_skill_says_on_how_many_images():
    said = afterwards.skill(results())
    assert "(localization_error: 5 on boxes, 12 on masks)" in said
    assert "+0.50 (+0.40 to +0.60) (masks)" in said


def test_copies_that_explain_the_same_class_are_no_other():
    found = results()
    assert "net in 90 % of the images (the copy names 1 class" in (
        afterwards.copies(found)
    )
    found["later"]["copies"]["net"]["other"] = 0.0
    assert "the same classes" in afterwards.copies(found)


def test_the_ring_is_held_against_evidence_and_the_uniform_map():
    found = results()
    assert "more of the energy than of the evidence under every fill" in (
        afterwards.causal_sentence(found)
    )
    assert "they favour the ring" in afterwards.causal_sentence(found)
    for row in found["later"]["causal"]:
        row["excess"] = interval(-0.1, 0.05)
        row["uniform"]["ring"] = interval(0.5, 0.1)
    said = afterwards.causal_sentence(found)
    assert "less of the energy than of the evidence under every fill" in said
    assert "they avoid the ring" in said
    found["later"]["causal"][0]["excess"] = interval(0.0, 0.1)
    assert "under 0, less under 2 of 3 fills" in afterwards.causal_sentence(found)


def test_limits_say_how_often_intervals_hold():
    said = findings.limits(results())
    assert "covered the truth in 81 % to 84 % of cases" in said
    assert "too narrow" in said
    wide = [{"breed_sd": 0.0, "covered": 0.95}]
    assert "as wide as it says" in findings.limits(results(changes={"coverage": wide}))
    assert "there are none" in findings.limits(results(changes={"coverage": []}))


def test_floors_that_win_are_named():
    said = findings.floor_sentence(results())
    assert "centre 25% and 12%" in said


def test_the_negative_control_must_hold():
    found = results()
    assert "do not differ, as they must" in findings.construct_sentence(found)
    broken = copy.deepcopy(found)
    broken["construct"][0]["metrics"][-1]["estimate"] = 0.3
    assert "must not" in findings.construct_sentence(broken)
    for metric in broken["construct"][0]["metrics"]:
        metric["estimate"] = None
    assert "control is undefined" in findings.construct_sentence(broken)
    broken["construct"] = []
    assert "left out" in findings.construct_sentence(broken)


def test_regions_may_differ_on_squares_and_it_is_said():
    found = results()
    found["construct"][0]["metrics"][0]["estimate"] = 1.2
    said = findings.construct_sentence(found)
    assert "do not differ" in said
    assert "most: localization_error, +1.20" in said


def test_corruptions_are_counted_by_verdict():
    found = results()
    gains = {"a": 0.4, "b": -0.4, "c": 0.0, "d": 0.5}
    found["construct"] += [construct(data, gain) for data, gain in gains.items()]
    said = findings.construct_sentence(found)
    assert "Of 4 corruptions masks see 2 better, boxes 1 (b, shifted map, -0.40" in said
    assert "1 are undecided" in said


def test_a_report_of_written_results_is_that_of_the_results(tmp_path):
    """Undefined values become null and are said as undefined."""
    found = results()
    found["primary"]["metrics"][0] = dict.fromkeys(
        ("estimate", "low", "high", "box", "mask"), float("nan")
    )
    found["primary"]["metrics"][1] |= {"low": 0.00003, "estimate": 0.1, "high": 0.2}
    written = box_versus_mask.write(tmp_path / "results.json", found)
    read = json.loads((tmp_path / "results.json").read_text())
    assert read["primary"]["metrics"][0]["box"] is None
    assert read == written
    assert findings.report(read) == findings.report(found)
    assert words.verdict(read["primary"]["metrics"][1]) == "mask"
    assert "| localization_error | undefined | undefined | undefined |" in (
        findings.report(read)
    )


def test_figures_are_drawn(tmp_path):
    names = figures.draw(results(), tmp_path)
    assert sorted(names) == ["effects.png", "ring.png"]
    assert all((tmp_path / name).stat().st_size > 5000 for name in names)


def test_one_far_value_does_not_squeeze_the_rest():
    found = results()
    found["primary"]["metrics"][7].update(box=-9.0, mask=-7.0, estimate=2.0)
    left, _ = figures.effect_figure(found).axes
    low, high = left.get_xlim()
    assert -4 < low < high < 2
    assert {text.get_text() for text in left.texts} == {"-9.0", "-7.0"}


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0 %"), (0.004, "under 1 %"), (0.5, "50 %"), (0.997, "over 99 %")],
)
def test_a_share_is_all_or_none_only_if_it_is(value, said):
    assert words.share(value) == said
