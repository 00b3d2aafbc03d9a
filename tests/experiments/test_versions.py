"""The cells of every metric, and scores turned so that larger is better."""

import numpy as np
import pytest

from jaxcam import plan, results
from jaxcam.experiments import runs, versions


def test_every_cell_is_a_column_of_its_own():
    columns = versions.columns()
    regions, maps = len(versions.REGION_METRICS), len(versions.MAP_METRICS)
    assert len(columns) == 4 * regions + 2 * maps
    resolved = plan.resolve_all(columns)
    assert [column.label for column in resolved] == list(columns)
    seen = {(c.spec.fn, c.inputs, c.options, c.where) for c in resolved}
    assert len(seen) == len(columns)


def test_the_versions_are_those_that_region_means():
    for kind in ("box", "mask"):
        for request in versions.version(kind):
            column = plan.resolve(request)
            plain = plan.resolve(f"{column.spec.name}[region={kind}]")
            assert column.inputs == plain.inputs
            assert column.where == plain.where


def test_the_fills_of_the_causal_test_resolve():
    for request, fill in zip(runs.evidence_columns(), runs.FILLS.values(), strict=True):
        labels = [column.label for column in plan.resolve_all([request])]
        assert f"region_effect[{fill},part=ring]" in labels
        assert "region_energy[part=ring]" in labels


def test_scores_are_turned_and_skill_is_over_the_uniform_map():
    rows = {
        "index": [0, 1, 0, 1],
        "id": ["a", "b", "a", "b"],
        "method": ["cam", "cam", "uniform", "uniform"],
        "valid": [True, False, True, True],
    }
    for request in versions.columns():
        rows[request] = np.array([0.2, 0.3, 0.6, 0.6])
    result = results.Result.from_columns(rows)
    scores = versions.scores({"cam": result, "uniform": result})
    (error,) = scores.of("cam", ["localization_error[predicted=box,truth=box]"]).T
    np.testing.assert_allclose(error, [-0.2, np.nan])
    (dice,) = scores.of("cam", ["dice[predicted=mask,truth=mask]"]).T
    np.testing.assert_allclose(dice, [0.2, np.nan])
    request = "mean_absolute_error[truth=box]"
    (skill,) = scores.of("cam", [request], skill=True).T
    assert skill[0] == pytest.approx((0.2 - 0.6) / (0 - 0.6))
    assert scores.ids == ("a", "b")
