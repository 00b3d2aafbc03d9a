"""Tables show floors apart, the best in bold, intervals to the right digit."""

import io
import math

import pytest
from rich import console

from jaxcam import results, tables

NAN = math.nan


def a_record(method, metric, estimate, half=0.01, **more):
    return {
        "method": method,
        "metric": metric,
        "estimate": estimate,
        "low": estimate - half,
        "high": estimate + half,
        "n": 100,
        "n_undefined": 0,
        "n_invalid": 0,
        "direction": 1,
        "is_floor": method in ("uniform", "truth"),
    } | more


def some_records(metrics=("dice", "localization_error[region=box]")):
    directions = {"localization_error[region=box]": -1, "flat": 0}
    values = {"cam": 0.5, "grad_cam": 0.6, "uniform": 0.2, "truth": 1.0}
    return [
        a_record(method, metric, value, direction=directions.get(metric, 1))
        for method, value in values.items()
        for metric in metrics
    ]


def shown(renderable, width=100, color=None):
    stream = io.StringIO()
    console.Console(
        file=stream, width=width, force_terminal=color is not None, color_system=color
    ).print(renderable)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("estimate", "low", "high", "expected"),
    [
        (0.6894, 0.6771, 0.7012, "0.689 ±0.012"),
        (0.6894, 0.5671, 0.8112, "0.69 ±0.12"),
        (0.01672, 0.007, 0.0267, "0.017 ±0.010"),
        (0.95, 0.86, 0.98, "0.950 +0.030 -0.090"),
        (1.0, 1.0, 1.0, "1.000 ±0.000"),
        (0.25, NAN, NAN, "0.250"),
        (NAN, NAN, NAN, "undefined"),
        (math.inf, NAN, NAN, "inf"),
        (-0.0001, -0.0302, 0.0301, "0.000 ±0.030"),
        (1234.5, 1200.0, 1270.0, "1234 ±35"),
        (3e-8, 1e-8, 5e-8, "3.0e-08 ±2e-08"),
    ],
)
def test_numbers_have_the_digits_that_their_interval_allows(
    estimate, low, high, expected
):
    record = {"estimate": estimate, "low": low, "high": high}
    assert tables.cell(record) == expected


PLAIN = """\
                           localization
                                  error
method           dice ↑  [region=box] ↓
---------------------------------------
cam        0.500 ±0.010   *0.500 ±0.010
grad_cam  *0.600 ±0.010    0.600 ±0.010
---------------------------------------
uniform    0.200 ±0.010    0.200 ±0.010
truth      1.000 ±0.010    1.000 ±0.010
---------------------------------------
n                   100             100"""


def test_plain_table():
    assert tables.plain(some_records()) == PLAIN


def test_the_best_is_no_floor_and_needs_a_rival_and_a_direction():
    both = tables._grid(some_records(("dice", "flat")))
    assert both.best == {("grad_cam", "dice")}
    tie = [a_record("a", "x", 0.5), a_record("b", "x", 0.5), a_record("c", "x", NAN)]
    assert tables._grid(tie).best == {("a", "x"), ("b", "x")}
    assert not tables._grid(
        [a_record("a", "x", 0.5), a_record("uniform", "x", 0.1)]
    ).best


def test_counts_show_what_is_undefined():
    records = [
        a_record("a", "x", 0.5, n=98, n_undefined=2),
        a_record("b", "x", 0.5, n=90, n_undefined=10),
        a_record("uniform", "x", 0.5, n=1),
    ]
    last = tables.plain(records).splitlines()[-1]
    assert last.split("  ")[0] == "n (undefined)"
    assert last.endswith("90-98 (2-10)")


LONG = [f"energy_pointing_game[region=box,border_{i}=1]" for i in range(6)]
SKILLS = [f"{name}.skill" for name in LONG]
SHORT = [f"{name}_{i}" for name in ("dice", "recall") for i in range(9)]


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize(
    "metrics", [LONG, SKILLS, SHORT], ids=["long", "skill", "many"]
)
def test_many_metrics_are_split_to_the_width(width, metrics):
    records = some_records(metrics)
    made = tables.plain(records, width=width)
    assert max(map(len, made.splitlines())) <= width
    assert made.count("uniform") > 1
    assert made.count("0.600 ±0.010") == len(metrics)
    rich = shown(tables.summary_table(records, width=width), width=width)
    assert max(len(line.rstrip()) for line in rich.splitlines()) <= width
    assert rich.count("0.600 ±0.010") == len(metrics)
    assert "…" not in rich


def test_rich_table_is_bold_for_the_best_and_dim_for_floors():
    made = shown(tables.summary_table(some_records()), color="standard")
    best = next(line for line in made.splitlines() if "grad_cam" in line)
    assert "\x1b[1m" in best
    assert "\x1b[2m" not in best
    floor = next(line for line in made.splitlines() if "uniform" in line)
    assert "\x1b[2m" in floor
    assert "[region=box]" in made  # Is no markup.


def test_markdown_by_hand():
    assert tables.markdown(some_records(("dice",))) == (
        "| method | dice ↑ |\n"
        "| --- | ---: |\n"
        "| cam | 0.500 ±0.010 |\n"
        "| grad_cam | **0.600 ±0.010** |\n"
        "| *uniform* | 0.200 ±0.010 |\n"
        "| *truth* | 1.000 ±0.010 |\n"
        "| n | 100 |\n"
    )


def test_documents_turn_round_when_metrics_are_many():
    names = tuple(f"m{i}" for i in range(8))
    lines = tables.markdown(some_records(names)).splitlines()
    assert lines[0] == (
        "| metric | cam | grad_cam | *uniform* | *truth* | n (undefined) |"
    )
    assert len(lines) == 2 + 8
    assert lines[2].startswith("| m0 ↑ | 0.500 ±0.010 | **0.600 ±0.010** |")


def test_latex_by_hand():
    records = some_records(("f_score[beta=2]",))
    records[0] |= {"low": 0.3}
    assert tables.latex(records).splitlines() == [
        r"\begin{tabular}{lr}",
        r"\hline",
        r"method & f\_score[beta=2] $\uparrow$ \\",
        r"\hline",
        r"cam & 0.50 $+$0.01 $-$0.20 \\",
        r"grad\_cam & \textbf{0.600 $\pm$0.010} \\",
        r"\textit{uniform} & 0.200 $\pm$0.010 \\",
        r"\textit{truth} & 1.000 $\pm$0.010 \\",
        r"n & 100 \\",
        r"\hline",
        r"\end{tabular}",
    ]


EACH = [i for i in range(8) for _ in range(3)]


def a_result(**manifest):
    methods = ("cam", "grad_cam", "uniform")
    rows = {
        "index": EACH,
        "id": [f"i{i}" for i in EACH],
        "method": list(methods) * 8,
        "valid": [
            i not in (3, 6) or (i == 6 and m > 0) for i in range(8) for m in range(3)
        ],
        "reason": ["no such file" if i == 3 else "NaN in the map" for i in EACH],
        "dice": [0.1 * i + 0.01 * m for i in range(8) for m in range(3)],
    }
    return results.Result.from_columns(rows, {"scientific": manifest})


def test_every_form_of_a_table_says_that_the_network_is_untrained():
    for trained in (False, True):
        result = a_result(model={"name": "m", "trained": trained})
        forms = [result.to_markdown(), result.to_latex(), result.to_text()]
        forms += [shown(result.table()), result.to_pandas().to_csv()]
        assert [("untrained" in form) for form in forms] == [not trained] * 5
        stamped = [record.get("untrained", False) for record in result.summary()]
        assert stamped == [not trained] * len(stamped)
        assert stamped


@pytest.mark.parametrize("terminal", [False, True])
def test_report_says_what_is_missing(terminal):
    result = a_result(model={"name": "m", "trained": False}, data={"rows": 10})
    parts = tables.report(result, terminal=terminal)
    assert all(not isinstance(part, str) for part in parts)  # Nothing is markup.
    made = "".join(map(shown, parts))
    assert "The network is untrained" in made
    assert "not finished: 2 rows are missing" in made
    assert "Invalid rows, left out: 1 x no such file: i3.\n" in made
    assert "Invalid rows, left out: 1 x NaN in the map (cam): i6.\n" in made
    assert "Skill: (value - floor)" in made
    assert "dice skill" in made
    assert "95 % bootstrap intervals" in made


def test_results_render_themselves():
    result = a_result()
    assert "uniform" in shown(result.table())
    assert "dice" in result.to_text()
    assert result.to_markdown().startswith("| method | dice ↑ |")
    assert r"\begin{tabular}" in result.to_latex(skill=True)


def test_comparison_and_agreement_fit():
    record = {
        "metric": "dice",
        "direction": 1,
        "a": "a_method_with_a_very_long_name[layer=one]",
        "b": "cam @ another_model_with_a_long_name",
        "difference": 0.1,
        "low": 0.05,
        "high": 0.15,
        "p_holm": 0.0002,
        "effect_size": 0.7,
        "win_rate": 0.625,
        "n": 40,
        "better": "a_method_with_a_very_long_name[layer=one]",
    }
    other = record | {"p_holm": NAN, "effect_size": NAN, "win_rate": NAN, "better": ""}
    made = tables.comparison([record, other], width=80)
    lines = made.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "dice ↑"
    assert "…*" in lines[3]
    assert lines[3].split()[-5:] == ["<", ".001", "0.70", "62%", "40"]
    unsure = tables.comparison([record | {"p_holm": 0.3}], width=80)
    assert unsure.count("*") == 1  # In the legend: a better mean alone is no verdict.
    assert "\n* is better: p" in unsure
    agreeing = [
        {"a": "x", "b": "y" * 60, "estimate": e, "low": e, "high": e, "n": 4}
        for e in (-0.5, NAN, 0.5)
    ]
    made = tables.agreement(agreeing, width=80)
    assert max(map(len, made.splitlines())) <= 80
    assert [line.split()[2] for line in made.splitlines()[2:]] == [
        "0.500",
        "-0.500",
        "undefined",
    ]
