"""Sentences that come out either way, from numbers made up for each."""

import copy
import json

import numpy as np
import pytest

from jaxcam.experiments import box_versus_mask, findings, runs, versions


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


def results(gain=0.4, excess=0.1, between=0.8):
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
        "construct": [
            {"data": "squares that fill their box", "corruption": "shifted"}
            | effect(0.0)
        ],
        "causal": [
            {"fill": fill, "breed": "all", "network": "all", "n": 12, **shares}
            for fill in runs.FILLS
        ],
    }


@pytest.mark.parametrize(
    ("gain", "expected", "said"),
    [
        (0.4, "mask", "**Mask-based metrics tell"),
        (-0.4, "box", "**Box-based metrics tell"),
        (0.05, "neither", "is not decided"),
        (np.nan, "neither", "is not decided"),
    ],
)
def test_the_answer_follows_the_interval(gain, expected, said):
    found = results(gain=gain)
    assert findings.verdict(found["primary"]) == expected
    assert said in findings.answer(found)


def test_disagreement_of_breeds_and_images_is_said():
    found = results()
    assert "over images agrees" in findings.answer(found)
    found["primary_over_images"] = effect(0.0)
    assert "hangs" in findings.answer(found)


@pytest.mark.parametrize(
    ("excess", "said"),
    [(0.1, "more of the energy"), (-0.1, "less of the energy"), (0.0, "leave it open")],
)
def test_the_ring_is_called_spurious_only_if_every_fill_says_so(excess, said):
    assert said in findings.causal_sentence(results(excess=excess))
    mixed = results(excess=excess)
    mixed["causal"][1] = results(excess=0.0)["causal"][1]
    assert "leave it open" in findings.causal_sentence(mixed)


def test_rankings_are_compared_with_what_they_agree_with_themselves():
    assert "as well as" in findings.ranking_sentence(results(between=0.7))
    assert "less than" in findings.ranking_sentence(results(between=0.6))


def test_metrics_that_put_the_floor_first_are_named_and_left_out():
    found = results(gain=0.4)
    assert "no metric" in findings.found_later(found)
    found["primary"]["metrics"][0].update(box=-9.0, mask=-7.0, estimate=2.0)
    said = findings.found_later(found)
    assert "localization_error put" in said
    assert "other 11 metrics the difference is +0.40" in said


def test_floors_that_win_are_named():
    said = findings.floor_sentence(results())
    assert "centre 25% and 12%" in said


def test_the_negative_control_must_hold():
    found = results()
    assert "do not differ, as they must" in findings.construct_sentence(found)
    broken = copy.deepcopy(found)
    broken["construct"][0]["metrics"][-1]["estimate"] = 0.3
    assert "must not" in findings.construct_sentence(broken)


def test_a_report_of_written_results_is_that_of_the_results(tmp_path):
    """Undefined values become null and are said as undefined."""
    found = results()
    found["primary"]["metrics"][0] = dict.fromkeys(
        ("estimate", "low", "high", "box", "mask"), float("nan")
    )
    box_versus_mask.write(tmp_path / "results.json", found)
    read = json.loads((tmp_path / "results.json").read_text())
    assert read["primary"]["metrics"][0]["box"] is None
    assert findings.report(read) == findings.report(found)
    assert "| localization_error | undefined | undefined | undefined |" in (
        findings.report(read)
    )


def test_figures_are_drawn(tmp_path):
    names = findings.draw(results(), tmp_path)
    assert sorted(names) == ["effects.png", "ring.png"]
    assert all((tmp_path / name).stat().st_size > 5000 for name in names)
