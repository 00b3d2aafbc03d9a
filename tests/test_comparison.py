"""Paired comparison and the agreement of metrics, against arithmetic and SciPy."""

import itertools

import numpy as np
import pytest
import scipy.stats

import jaxcam
from jaxcam import _spec, agreement, comparison, results, statistics, storage
from jaxcam.metrics import _pooled

NAN = np.nan


def best_share(values, weights):
    return _pooled.shares(values, weights, 0.5).max(axis=1)


def a_spec(name, direction=1, **more):
    return _spec.MetricSpec(
        fn=lambda: None,
        inputs=(),
        family="test",
        formula="",
        range=(0.0, 1.0),
        direction=direction,
        undefined="",
        cost="",
        source="",
        name=name,
        **more,
    )


SPECS = {
    "score": a_spec("score"),
    "error": a_spec("error", -1),
    "size": a_spec("size", 0),
    "best": a_spec("best", reduce=best_share),
}


def a_result(columns, methods=("cam", "other"), scientific=None, ids=None, **more):
    """A result of columns `[images, methods, ...]`."""
    columns = {name: np.asarray(values) for name, values in columns.items()}
    images = len(next(iter(columns.values())))
    index = np.repeat(np.arange(images), len(methods))
    rows = {
        "index": index,
        "id": [f"image {i}" for i in index] if ids is None else np.repeat(ids, 2),
        "method": list(methods) * images,
        **{
            name: values.reshape(images * len(methods), *values.shape[2:])
            for name, values in columns.items()
        },
        **more,
    }
    return results.Result.from_columns(
        rows, {"scientific": scientific or {}}, specs=SPECS
    )


def test_a_comparison_by_hand():
    score = [[0.5, 0.4], [0.7, 0.5], [0.3, 0.3], [0.9, 0.8], [NAN, 0.2]]
    (record,) = jaxcam.compare(a_result({"score": score}))
    differences = np.array([0.1, 0.2, 0.0, 0.1])
    assert (record["a"], record["b"], record["better"]) == ("cam", "other", "cam")
    assert record["difference"] == pytest.approx(0.1)
    assert record["n"] == 4
    assert record["effect_size"] == pytest.approx(0.1 / differences.std(ddof=1))
    assert record["win_rate"] == (1 + 1 + 0.5 + 1) / 4
    # Of 16 sign vectors (the third does nothing) only +++ and --- reach .4.
    assert record["p_value"] == pytest.approx(4 / 16)
    assert record["p_holm"] == record["p_value"]
    assert 0 <= record["low"] < 0.1 < record["high"] <= 0.2


def test_directions_decide_who_is_better():
    values = [[0.2, 0.4], [0.1, 0.2], [0.3, 0.1]]
    same = {"score": values, "error": values, "size": values}
    score, error, size = comparison.compare(a_result(same))
    assert score["difference"] == error["difference"] == size["difference"] < 0
    assert score["better"] == "other"
    assert error["better"] == "cam"
    assert size["better"] == ""
    assert score["win_rate"] == pytest.approx(1 / 3)
    assert error["win_rate"] == pytest.approx(2 / 3)
    assert np.isnan(size["win_rate"])


def test_p_values_agree_with_scipy_and_are_corrected_per_metric():
    rng = np.random.default_rng(0)
    values = rng.normal(loc=[0.8, 0.3, 0], size=(10, 3))
    methods = ("a", "b", "c")
    records = comparison.compare(
        a_result({"score": values, "error": -(values**3)}, methods), floors=()
    )
    assert len(records) == 6
    for record, (i, j) in zip(records, 2 * [(0, 1), (0, 2), (1, 2)], strict=True):
        column = values if record["metric"] == "score" else -(values**3)
        difference = column.astype(np.float64)[:, i] - column[:, j]
        expected = scipy.stats.permutation_test(
            (difference,),
            lambda x, axis: np.mean(x, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
        ).pvalue
        assert record["p_value"] == pytest.approx(expected)
    for some in (records[:3], records[3:]):
        expected = statistics.holm(np.array([r["p_value"] for r in some]))
        np.testing.assert_allclose([r["p_holm"] for r in some], expected)
    stricter = comparison.compare(
        a_result({"score": values, "error": -(values**3)}, methods),
        floors=(),
        family="all",
    )
    expected = statistics.holm(np.array([r["p_value"] for r in records]))
    np.testing.assert_allclose([r["p_holm"] for r in stricter], expected)


def test_floors_are_compared_with_methods_only():
    values = np.random.default_rng(0).random((5, 4))
    result = a_result({"score": values}, ("cam", "other", "uniform", "random"))
    records = comparison.compare(result)
    pairs = [(r["a"], r["b"]) for r in records]
    assert pairs == [("cam", "other"), ("cam", "uniform"), ("other", "uniform")]
    chosen = comparison.compare(result, methods=["cam", "random"], floors=())
    assert [(r["a"], r["b"]) for r in chosen] == [("cam", "random")]


def test_invalid_rows_and_clusters_are_minded():
    values = np.random.default_rng(1).normal(size=(12, 2))
    valid = np.ones(24, bool)
    valid[4] = False  # cam on image 2.
    rows = {"score": values}
    (record,) = comparison.compare(a_result(rows, valid=valid))
    kept = np.delete(np.arange(12), 2)
    difference = (values[:, 0] - values[:, 1])[kept]
    assert record["n"] == 11
    assert record["difference"] == pytest.approx(difference.mean())
    ids = np.array([f"scene {i // 4}" for i in range(12)])
    (clustered,) = comparison.compare(a_result(rows, ids=ids, valid=valid))
    assert clustered["difference"] == pytest.approx(difference.mean())
    # Three clusters have eight sign vectors.
    sums = [values[k : k + 4, 0] - values[k : k + 4, 1] for k in (0, 4, 8)]
    sums[0] = sums[0][[0, 1, 3]]
    observed = abs(sum(s.sum() for s in sums))
    reached = [
        abs(sum(sign * s.sum() for sign, s in zip(signs, sums, strict=True)))
        >= observed - 1e-12
        for signs in itertools.product([-1, 1], repeat=3)
    ]
    assert clustered["p_value"] == pytest.approx(np.mean(reached))


def test_a_metric_of_the_whole_data_set():
    rng = np.random.default_rng(0)
    values = rng.random((40, 2, 5)).astype(np.float32)
    values[:, 0] += 0.15
    values[7, 1, 2] = NAN
    (record,) = comparison.compare(
        a_result({"best": values}), permutations=999, resamples=300
    )
    kept = np.delete(values, 7, axis=0)
    shares = (kept >= 0.5).mean(axis=0).max(axis=1)
    assert record["difference"] == pytest.approx(shares[0] - shares[1])
    assert record["n"] == 39
    assert np.isnan(record["effect_size"])
    reached = 0
    for signs in np.concatenate(list(statistics.signs(40, permutations=999))):
        swapped = np.stack(
            [v if s > 0 else v[::-1] for s, v in zip(signs, values, strict=True)]
        )
        mixed = (np.delete(swapped, 7, axis=0) >= 0.5).mean(axis=0).max(axis=1)
        reached += abs(mixed[0] - mixed[1]) >= abs(shares[0] - shares[1]) - 1e-12
    assert record["p_value"] == pytest.approx((1 + reached) / 1000)
    assert record["low"] < record["difference"] < record["high"]
    (same,) = comparison.compare(
        a_result({"best": values[:, [0, 0]]}), permutations=99, resamples=50
    )
    assert same["p_value"] == 1
    assert same["better"] == ""


def test_runs_are_paired_by_image():
    values = np.random.default_rng(0).normal(size=(6, 2))
    model = {"name": "one"}, {"name": "two"}
    one = a_result({"score": values}, ("cam", "uniform"), {"model": model[0]})
    order = [3, 0, 5, 1]
    ids = np.array([f"image {i}" for i in order])
    two = a_result(
        {"score": values[order] + 1}, ("cam", "uniform"), {"model": model[1]}, ids=ids
    )
    records = comparison.compare([one, two])
    pairs = {(r["a"], r["b"]): r for r in records}
    assert list(pairs) == [
        ("cam @ one", "cam @ two"),
        ("cam @ one", "uniform @ one"),
        ("cam @ two", "uniform @ two"),
    ]
    record = pairs["cam @ one", "cam @ two"]
    assert record["n"] == 4
    assert record["difference"] == pytest.approx(-1)
    assert record["low"] == pytest.approx(record["high"])
    named = comparison.compare({"x": one, "y": two}, floors=())
    assert [(r["a"], r["b"]) for r in named] == [("cam @ x", "cam @ y")]


def test_runs_that_mean_something_else_are_refused():
    values = np.zeros((3, 2))

    def run(**scientific):
        return a_result({"score": values}, scientific=scientific)

    data = {"fingerprint": "f"}
    with pytest.raises(ValueError, match="data differs, f and g"):
        comparison.compare({"a": run(data=data), "b": run(data={"fingerprint": "g"})})
    with pytest.raises(ValueError, match="border differs, ignore and foreground"):
        comparison.compare({"a": run(border="ignore"), "b": run(border="foreground")})
    with pytest.raises(ValueError, match="no two methods"):
        comparison.compare(run(), methods=["cam"])
    with pytest.raises(ValueError, match="No run has the method 'eye'"):
        comparison.compare(run(), methods=["cam", "eye"])
    with pytest.raises(ValueError, match="no metric in common"):
        comparison.compare({"a": run(), "b": a_result({"error": values})})
    with pytest.raises(ValueError, match="family='some'"):
        comparison.compare(run(), family="some")
    others = np.array([f"other {i}" for i in range(3)])
    with pytest.raises(ValueError, match="same images"):
        comparison.compare({"a": run(), "b": a_result({"score": values}, ids=others)})


def test_run_directories_can_be_compared(tmp_path):
    values = np.random.default_rng(0).random((4, 2))
    for name, shift in (("x", 0), ("y", 1)):
        result = a_result({"score": values + shift})
        storage.open_run(
            tmp_path / name, storage.manifest(scientific={}, operational={})
        )
        storage.write_shard(tmp_path / name, 0, result.columns)
    records = jaxcam.compare([tmp_path / "x", tmp_path / "y"])
    assert len(records) == 6
    assert (records[1]["a"], records[1]["b"]) == ("cam @ x", "cam @ y")
    assert records[1]["difference"] == pytest.approx(-1)


def ranked(images=60, methods=4, seed=0):
    rng = np.random.default_rng(seed)
    quality = np.arange(methods) * 0.3
    noise = rng.normal(size=(3, images, methods))
    score = quality + noise[0]
    return a_result(
        {"score": score, "error": -2 * score + noise[1], "size": noise[2]},
        tuple("abcdefgh"[:methods]),
    )


@pytest.mark.parametrize("coefficient", ["kendall", "spearman"])
def test_agreement_over_methods(coefficient):
    result = ranked()
    records = agreement.rank_agreement(result, coefficient=coefficient, resamples=200)
    assert [(r["a"], r["b"]) for r in records] == [
        ("score", "error"),
        ("score", "size"),
        ("error", "size"),
    ]
    means = {
        m: [result.values(m, name).mean() for name in result.methods]
        for m in result.metrics
    }
    oracle = {"kendall": scipy.stats.kendalltau, "spearman": scipy.stats.spearmanr}
    for record in records:
        sign = -1 if "error" in (record["a"], record["b"]) else 1
        expected = oracle[coefficient](means[record["a"]], means[record["b"]]).statistic
        assert record["estimate"] == pytest.approx(sign * expected)
        assert record["low"] <= record["estimate"] <= record["high"]
        assert record["n"] == 4


@pytest.mark.parametrize("coefficient", ["kendall", "spearman"])
def test_agreement_over_images(coefficient):
    result = ranked(images=40, methods=2)
    records = agreement.rank_agreement(
        result, over="images", coefficient=coefficient, resamples=100
    )
    oracle = {"kendall": scipy.stats.kendalltau, "spearman": scipy.stats.spearmanr}
    for record in records:
        sign = -1 if "error" in (record["a"], record["b"]) else 1
        found = [
            oracle[coefficient](
                result.values(record["a"], m), result.values(record["b"], m)
            ).statistic
            for m in result.methods
        ]
        assert record["estimate"] == pytest.approx(sign * np.mean(found))
        assert record["low"] < record["estimate"] < record["high"]
    assert records[0]["estimate"] > 0.5
    assert records[0]["low"] > 0


def test_agreement_leaves_out_what_is_undefined():
    values = np.random.default_rng(0).random((5, 4))
    values[:, 3] = NAN
    score = {"score": values, "error": values[::-1].copy()}
    (record,) = agreement.rank_agreement(a_result(score, tuple("abcd")), resamples=20)
    assert record["n"] == 3
    assert -1 <= record["estimate"] <= 1
    (record,) = agreement.rank_agreement(
        a_result(score, tuple("abcd")), over="images", resamples=20
    )
    assert record["n"] == 5
    assert -1 <= record["estimate"] <= 1
    (record,) = agreement.rank_agreement(
        a_result({"score": values * NAN, "error": values}, tuple("abcd")),
        over="images",
        resamples=20,
    )
    assert np.isnan(record["estimate"])


def test_agreement_refuses_what_it_cannot_rank():
    two = ranked(methods=2)
    with pytest.raises(ValueError, match="order of 2 methods says nothing"):
        agreement.rank_agreement(two)
    with pytest.raises(ValueError, match="choose methods or images"):
        agreement.rank_agreement(two, over="pixels")
    many = ranked(images=agreement.KENDALL_ROWS + 1, methods=2)
    with pytest.raises(ValueError, match="coefficient='spearman'"):
        agreement.rank_agreement(many, over="images")
    vectors = a_result({"best": np.zeros((3, 3, 2))}, tuple("abc"))
    with pytest.raises(ValueError, match="best is no mean over images"):
        agreement.rank_agreement(vectors, metrics=["best", "best"])


def test_results_compare_themselves():
    result = ranked(images=10)
    assert result.compare(permutations=99) == jaxcam.compare(result, permutations=99)
    assert result.rank_agreement(resamples=20) == jaxcam.rank_agreement(
        result, resamples=20
    )
    other = ranked(images=10, seed=1)
    several = result.compare(other, metrics=["score"], permutations=99)
    assert len(several) == 8 * 7 / 2


def test_agreement_ranks_the_methods_of_several_runs():
    one, two = ranked(images=10, methods=2), ranked(images=10, methods=2, seed=1)
    records = jaxcam.rank_agreement({"x": one, "y": two}, resamples=50)
    assert {r["n"] for r in records} == {4}
    means = {
        metric: [run.values(metric, m).mean() for run in (one, two) for m in "ab"]
        for metric in ("score", "error")
    }
    expected = scipy.stats.kendalltau(means["score"], means["error"]).statistic
    assert records[0]["estimate"] == pytest.approx(-expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.51, 0.9, "agree"),
        (0.5, 0.9, "lean together"),
        (0.0, 0.9, "unclear"),
        (-0.2, 0.0, "unclear"),
        (-0.9, -0.1, "contradict"),
        (NAN, NAN, "undefined"),
    ],
)
def test_verdicts_read_the_interval(low, high, expected):
    record = {"estimate": (low + high) / 2, "low": low, "high": high}
    assert agreement.verdict(record) == expected


def test_words_name_the_clearest_pairs():
    def record(a, b, middle, half=0.1):
        ends = {"estimate": middle, "low": middle - half, "high": middle + half}
        return {"a": a, "b": b, **ends}

    records = [
        record("p", "q", 0.7),
        record("p", "r", 0.9),
        record("q", "r", -0.5),
        record("p", "s", 0.05),
        record("q", "s", 0.3),
    ]
    agree, contradict, rest = agreement.in_words(records, most=1)
    assert agree == "Agree (interval above 0.5): p and r (0.90); and 1 more pair."
    assert "q and r (-0.50)" in contradict
    assert "1 pair lean together" in rest
    assert "1 pair cannot be told" in rest


def test_an_overview_leaves_out_what_cannot_be_had():
    few = ranked(images=10, methods=2)
    assert set(agreement.overview(few, resamples=20)) == {("images", "spearman")}
    found = agreement.overview(
        ranked(images=10), coefficients=("spearman", "kendall"), resamples=20
    )
    assert set(found) == {
        (over, c) for over in ("images", "methods") for c in ("spearman", "kendall")
    }
    many = ranked(images=agreement.KENDALL_ROWS + 1, methods=2)
    assert not agreement.overview(many, coefficients=("kendall",), resamples=2)


def test_runs_in_folders_of_equal_names_are_told_apart(tmp_path):
    values = np.random.default_rng(0).random((4, 2))
    for name in ("x/run", "y/run"):
        result = a_result({"score": values})
        storage.open_run(
            tmp_path / name, storage.manifest(scientific={}, operational={})
        )
        storage.write_shard(tmp_path / name, 0, result.columns)
    runs = [tmp_path / "x" / "run", tmp_path / "y" / "run"]
    assert list(comparison.opened(runs)) == [str(run) for run in runs]
    with pytest.raises(ValueError, match="named twice"):
        comparison.opened([runs[0], runs[0]])
    with pytest.raises(ValueError, match="at least one run"):
        comparison.opened([])
