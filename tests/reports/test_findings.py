"""The first sentences of a report follow from its comparisons."""

import math

from jaxcam.reports import findings


def pair(a, b, metric, better, sure=True, floor=False):
    return {
        "a": a,
        "b": b,
        "metric": metric,
        "better": better,
        "sure": sure,
        "against_floor": floor,
        "direction": 1,
        "p_holm": 0.01 if sure else 0.5,
    }


def test_who_leads_is_who_is_beaten_least():
    compared = [
        pair("x", "y", "dice", "x"),
        pair("x", "y", "recall", "y"),
        pair("x", "z", "dice", "x"),
        pair("x", "z", "recall", "x"),
        pair("y", "z", "dice", "y"),
        pair("y", "z", "recall", "y", sure=False),
        pair("x", "uniform", "dice", "x", floor=True),
        pair("x", "uniform", "recall", "x", sure=False, floor=True),
    ]
    leaders, first, *_, floor = findings.in_short(compared, [], {})
    # x is beaten on recall, y on dice, z on both.
    assert leaders == (
        "x, y lead: each is beaten for certain on 1 of 2 metrics, z on 2. But x beats "
        "a map that says nothing on no more than half of the metrics."
    )
    assert first == "x against y: better on dice; worse on recall."
    assert floor.startswith("x beats uniform, a map that says nothing, on 1 of 2")
    assert floor.endswith("not on recall.")


def test_nothing_certain_is_said_to_be_nothing():
    compared = [
        pair("x", "y", "dice", "x", sure=False),
        pair("x", "uniform", "dice", "x", sure=False, floor=True),
    ]
    leaders, told, floor = findings.in_short(compared, [], {})
    assert leaders == (
        "No method stands out: none is beaten for certain on any of 1 metrics."
    )
    assert told == "x against y: not to be told apart on all of 1 metrics."
    assert "on none of 1 metrics" in floor
    assert "nothing to compare" in findings.in_short([], [], {})[0]


def test_metrics_without_direction_or_test_decide_nothing():
    undirected = pair("x", "y", "size", "") | {"direction": 0}
    undefined = pair("x", "y", "dice", "", sure=False) | {"p_holm": math.nan}
    assert findings.verdicts([undirected, undefined]) == []


def test_boxes_flatter_only_where_it_is_certain():
    def boxed(difference, low, high, direction=1, floor=False):
        return {
            "difference": difference,
            "low": low,
            "high": high,
            "direction": direction,
            "is_floor": floor,
        }

    records = [
        boxed(0.2, 0.1, 0.3),
        boxed(-0.2, -0.3, -0.1, direction=-1),
        boxed(0.2, -0.1, 0.5),
        boxed(-0.2, -0.3, -0.1),
        boxed(0.2, 0.1, 0.3, floor=True),
    ]
    line = findings.in_short([], records, {})[-1]
    assert line.startswith("Boxes flatter: in 2 of 4 cases")
    assert "no method's value" in findings.in_short([], records[2:3], {})[-1]
