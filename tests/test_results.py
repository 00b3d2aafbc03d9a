"""What follows from rows: values, skill, summaries, parts, all from the rows alone."""

import json
import subprocess
import sys

import numpy as np
import pytest

from jaxcam import _spec, columns, results, statistics, storage
from jaxcam.metrics import _pooled

NAN = np.nan


def best_share(values, weights, *, sigma=0.5):
    return _pooled.shares(values, weights, sigma).max(axis=1)


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
    "score": a_spec("score", skill=True),
    "error": a_spec("error", -1, skill=True),
    "best": a_spec("best", reduce=best_share, skill=True),
    "best[sigma=0.9]": a_spec("best", reduce=best_share),
}


def some_rows(images=6, methods=("cam", "other", "uniform"), seed=0):
    """Rows with every trouble: NaN, an invalid image, a constant floor."""
    rng = np.random.default_rng(seed)
    rows = images * len(methods)
    index = np.repeat(np.arange(images), len(methods))
    made = {
        "index": index,
        "id": [f"image {i}" for i in index],
        "method": list(methods) * images,
        "valid": index != 1,
        "reason": ["cannot be decoded" if i == 1 else "" for i in index],
        "correct": np.where(index < 4, (index % 2 == 0) * 1.0, NAN),
        "target_name": ["cat" if i < 3 else "dog" for i in index],
        "score": rng.random(rows).astype(np.float32),
        "error": rng.random(rows).astype(np.float32),
        "best": rng.random((rows, 3)).astype(np.float32),
        "best[sigma=0.9]": rng.random((rows, 3)).astype(np.float32),
        "curve": rng.random((rows, 5)).astype(np.float32),
    }
    for name in ("score", "error", "best"):
        made[name][index == 1] = NAN
    made["score"][3 * len(methods)] = NAN  # Of cam on image 3.
    return made


def a_result(rows=None, **options):
    return results.Result.from_columns(
        some_rows() if rows is None else rows,
        {"scientific": {}},
        specs=SPECS,
        **options,
    )


def taken(rows, places):
    """Some of the rows, arrays as arrays and lists as lists."""
    return {
        name: values[places]
        if isinstance(values, np.ndarray)
        else [values[i] for i in places]
        for name, values in rows.items()
    }


def record_of(summary, method, metric):
    (found,) = [r for r in summary if (r["method"], r["metric"]) == (method, metric)]
    return found


def test_names_and_values():
    result = a_result()
    assert result.methods == ("cam", "other", "uniform")
    assert result.metrics == ("score", "error", "best", "best[sigma=0.9]", "curve")
    assert result.skills == ("score.skill", "error.skill")
    assert len(result) == 18
    np.testing.assert_array_equal(
        result.values("score", "other"), some_rows()["score"][1::3]
    )
    assert result.values("curve", "cam").shape == (6, 5)
    first = next(iter(result.rows))
    assert (first["id"], first["method"]) == ("image 0", "cam")


def test_the_order_of_rows_does_not_matter():
    rows = some_rows()
    shuffled = np.random.default_rng(0).permutation(18)
    other = a_result(taken(rows, shuffled))
    one = a_result(rows)
    for metric in (*one.metrics, *one.skills):
        np.testing.assert_array_equal(
            one.values(metric, "cam"), other.values(metric, "cam")
        )
    kept = {r["method"]: r for r in one.summary(metrics=["score"])}
    for record in other.summary(metrics=["score"]):
        assert record == kept[record["method"]]


def test_skill_by_hand():
    rows = {
        "index": [0, 0, 1, 1, 2, 2, 3],
        "id": ["a", "a", "b", "b", "c", "c", "d"],
        "method": ["cam", "uniform"] * 3 + ["cam"],
        "score": [0.8, 0.6, 0.2, 0.6, 1.0, 1.0, 0.5],
        "error": [0.1, 0.4, 0.7, 0.5, 0.0, 0.0, 0.5],
    }
    result = a_result(rows)
    np.testing.assert_allclose(
        result.values("score.skill", "cam"),
        [(0.8 - 0.6) / (1 - 0.6), (0.2 - 0.6) / (1 - 0.6), NAN, NAN],
    )
    np.testing.assert_allclose(
        result.values("error.skill", "cam"),
        [(0.4 - 0.1) / 0.4, (0.5 - 0.7) / 0.5, NAN, NAN],
    )
    np.testing.assert_allclose(result.values("score.skill", "uniform"), [0, 0, NAN])
    summary = result.summary(skill=True)
    assert {r["metric"] for r in summary} == {"score.skill", "error.skill"}
    record = record_of(summary, "cam", "error.skill")
    assert record["direction"] == 1
    assert (record["n"], record["n_undefined"], record["n_invalid"]) == (2, 2, 0)
    assert record["estimate"] == pytest.approx((0.75 - 0.4) / 2)


def test_no_uniform_map_no_skill():
    rows = some_rows(methods=("cam", "other"))
    assert a_result(rows).skills == ()
    assert a_result(rows).summary(skill=True) == []


def test_undefined_and_invalid_rows_are_counted_apart():
    summary = a_result().summary()
    cam = record_of(summary, "cam", "score")
    assert (cam["n"], cam["n_undefined"], cam["n_invalid"]) == (4, 1, 1)
    other = record_of(summary, "other", "score")
    assert (other["n"], other["n_undefined"], other["n_invalid"]) == (5, 0, 1)
    kept = some_rows()["score"][1::3][[0, 2, 3, 4, 5]]
    assert other["estimate"] == pytest.approx(kept.astype(float).mean(), abs=1e-12)
    assert {r["metric"] for r in summary} == {
        "score",
        "error",
        "best",
        "best[sigma=0.9]",
    }


def test_a_value_of_an_invalid_row_never_counts():
    rows = some_rows()
    before = a_result(rows).summary()
    for name in ("score", "error", "best"):
        rows[name][rows["index"] == 1] = 99.0
    assert a_result(rows).summary() == before


def test_intervals_share_their_draws_between_methods_and_metrics():
    """The same values under two names, one with the data set's own reduction."""

    def mean(values, weights):
        return statistics.weighted_mean(values[:, 0], weights)

    rows = some_rows(images=20)
    rows["copy"] = rows["score"][:, None]
    result = results.Result.from_columns(
        rows, specs={**SPECS, "copy": a_spec("copy", reduce=mean)}
    )
    summary = result.summary(metrics=["score", "copy"], resamples=300)
    for method in result.methods:
        one, other = (record_of(summary, method, m) for m in ("score", "copy"))
        for key in ("estimate", "low", "high", "n"):
            assert one[key] == pytest.approx(other[key], abs=1e-12)


def test_a_metric_of_the_data_set_gets_its_options():
    rows = some_rows()
    rows["best[sigma=0.9]"] = rows["best"]
    summary = a_result(rows).summary()
    kept = rows["best"][::3][[0, 2, 3, 4, 5]]
    for metric, sigma in (("best", 0.5), ("best[sigma=0.9]", 0.9)):
        expected = (kept >= np.float32(sigma)).mean(axis=0).max()
        assert record_of(summary, "cam", metric)["estimate"] == pytest.approx(expected)


def test_rows_of_one_image_are_drawn_together():
    rows = some_rows(images=30)
    rows["score"] = np.random.default_rng(0).normal(size=90)
    for name in ("valid", "reason"):
        del rows[name]
    apart = record_of(a_result(rows).summary(), "cam", "score")
    rows["id"] = [f"image {i // 10}" for i in rows["index"]]
    rows["score"] += 5 * (rows["index"] // 10)
    wide = a_result(rows)
    together = record_of(wide.summary(), "cam", "score")
    alone = record_of(wide.summary(cluster="index"), "cam", "score")
    assert together["estimate"] == pytest.approx(apart["estimate"] + 5)
    width = {k: r["high"] - r["low"] for k, r in (("t", together), ("a", alone))}
    assert width["t"] > 1.5 * width["a"]
    with pytest.raises(ValueError, match="no column 'scene'"):
        wide.summary(cluster="scene")


def test_a_column_nobody_registered_is_a_mean_without_a_direction():
    rows = some_rows()
    rows["my_number"] = np.arange(18.0)
    record = record_of(a_result(rows).summary(), "uniform", "my_number")
    assert record["direction"] == 0
    assert record["estimate"] == pytest.approx(np.mean([2, 8, 11, 14, 17]))


def test_the_registry_knows_directions_and_floors():
    rows = some_rows(methods=("random", "cam", "uniform", "truth"))
    rows["localization_error"] = rows.pop("error")
    result = results.Result.from_columns(rows)
    assert result.methods == ("cam", "random", "uniform", "truth")
    record = record_of(result.summary(), "random", "localization_error")
    assert record["direction"] == -1
    assert record["is_floor"]
    assert not record_of(result.summary(), "cam", "localization_error")["is_floor"]


def test_split_keeps_every_row():
    result = a_result()
    parts = result.split()
    assert list(parts) == [False, True, None]
    assert {k: len(part) for k, part in parts.items()} == {False: 3, True: 6, None: 9}
    assert set(parts[True].columns["id"]) == {"image 0", "image 2"}
    np.testing.assert_array_equal(
        parts[True].values("score", "cam"), result.values("score", "cam")[[0, 2]]
    )
    np.testing.assert_array_equal(
        parts[False].values("score.skill", "cam"),
        result.values("score.skill", "cam")[[3]],
    )
    assert record_of(parts[None].summary(), "cam", "score")["n_invalid"] == 1
    by_name = result.split("target_name")
    assert list(by_name) == ["cat", "dog", None]
    assert [len(part) for part in by_name.values()] == [6, 9, 3]
    assert list(result.split("valid")) == [False, True]
    again = by_name["dog"].split()
    assert {key: len(part) for key, part in again.items()} == {False: 3, None: 6}


def test_refusals_say_what_there_is():
    result = a_result()
    with pytest.raises(ValueError, match="no method 'eye'; they have cam, other"):
        result.values("score", "eye")
    with pytest.raises(ValueError, match="no metric 'beauty'; they have score, error"):
        result.values("beauty", "cam")
    with pytest.raises(ValueError, match="no column 'mood'"):
        result.split("mood")
    with pytest.raises(ValueError, match="score is no category"):
        result.split("score")
    with pytest.raises(ValueError, match="kept no maps"):
        result.maps("cam")
    rows = some_rows()
    rows["index"][3:6] = 0
    with pytest.raises(ValueError, match="1 rows of cam are there twice, row 0"):
        a_result(rows)
    with pytest.raises(ValueError, match="need the column 'id'"):
        a_result({"index": [0], "method": ["cam"]})
    with pytest.raises(ValueError, match="of one length"):
        a_result({"index": [0], "method": ["cam"], "id": []})


def test_errors_name_images_and_methods():
    rows = some_rows()
    rows["valid"][6] = False  # cam on image 2.
    rows["reason"][6] = "NaN in the map"
    result = a_result(rows)
    assert result.errors() == [
        {
            "index": 1,
            "id": "image 1",
            "reason": "cannot be decoded",
            "methods": ["cam", "other", "uniform"],
        },
        {"index": 2, "id": "image 2", "reason": "NaN in the map", "methods": ["cam"]},
    ]
    assert result.reasons() == {"cannot be decoded": 1, "NaN in the map": 1}


def written(path, rows, images, size=2):
    """The rows as a run with shards of two images."""
    manifest = storage.manifest(
        scientific={
            "methods": ["cam", "other", "uniform"],
            "shard_size": size,
            "data": {"rows": images},
        },
        operational={},
    )
    storage.open_run(path, manifest)
    for number in range(images // size):
        here = np.flatnonzero(rows["index"] // size == number)
        shard = taken(rows, here)
        storage.write_shard(path, number, shard)
    return path


def test_a_run_says_what_the_rows_in_memory_say(tmp_path):
    rows = some_rows()
    rows["saliency"] = [np.arange(4.0) + i for i in range(18)]
    rows["saliency_height"] = rows["saliency_width"] = np.full(18, 2)
    there = a_result(rows)
    back = results.load_run(written(tmp_path, rows, 6), specs=SPECS)
    assert isinstance(back.columns, columns.RunColumns)
    assert back.metrics == there.metrics
    assert back.summary() == there.summary()
    assert back.errors() == there.errors()
    np.testing.assert_array_equal(back.maps("other")[1], [[4, 5], [6, 7]])
    assert back.n_missing == 0
    part = back.split("target_name")["dog"]
    assert part.summary() == there.split("target_name")["dog"].summary()
    assert part.take(np.arange(3)).maps("cam")[0].shape == (2, 2)


def test_several_directories_are_one_run(tmp_path):
    rows = some_rows()
    whole = written(tmp_path / "whole", rows, 6)
    one, two = (written(tmp_path / name, rows, 6) for name in ("one", "two"))
    storage.shard_path(one, 1).unlink()
    for number in (0, 2):
        storage.shard_path(two, number).unlink()
    joined = results.load_run([one, two], specs=SPECS)
    assert joined.summary() == results.load_run(whole, specs=SPECS).summary()
    part = results.load_run(one, specs=SPECS)
    assert part.n_missing == 2
    assert part.split("target_name")["dog"].n_missing == 0
    assert len(part) == 12
    with pytest.raises(ValueError, match="two of the runs: 0, 2"):
        results.load_run([one, whole])


def test_a_run_without_shards_or_manifest_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        results.load_run(tmp_path)
    storage.open_run(tmp_path, storage.manifest(scientific={}, operational={}))
    with pytest.raises(ValueError, match="no finished shard yet"):
        results.load_run(str(tmp_path))


def test_finishing_writes_summary_and_errors_from_the_shards(tmp_path):
    path = written(tmp_path, some_rows(), 6)
    result = results.finish_run(path, resamples=50)
    summary = json.loads((path / "summary.json").read_text())
    assert record_of(summary, "cam", "score")["n_undefined"] == 1
    assert len(summary) == len(result.summary())
    (line,) = (path / "errors.jsonl").read_text().splitlines()
    assert json.loads(line)["id"] == "image 1"


@pytest.fixture
def reads(monkeypatch):
    """Names of the columns that are read from the disk, in order."""
    found = []
    original = columns.RunColumns._read

    def watched(self, name):
        found.append(name)
        return original(self, name)

    monkeypatch.setattr(columns.RunColumns, "_read", watched)
    return found


def test_columns_are_read_once_when_they_are_needed(tmp_path, reads):
    written(tmp_path, some_rows(), 6)
    result = results.load_run(tmp_path, specs=SPECS)
    result.summary(metrics=["score", "error"])
    assert len(reads) == len(set(reads))
    assert {"score", "error"} <= set(reads)
    assert not {"best", "curve", "saliency"} & set(reads)
    before = len(reads)
    result.summary(resamples=10)
    assert reads[before:] == ["best", "best[sigma=0.9]"]


def test_what_was_asked_for_longest_ago_makes_room(tmp_path, reads, monkeypatch):
    written(tmp_path, some_rows(), 6)
    whole = results.load_run(tmp_path, specs=SPECS).summary(resamples=10)
    one_column = results.load_run(tmp_path, specs=SPECS).columns["score"].nbytes
    monkeypatch.setattr(columns, "KEPT_BYTES", 2 * one_column)
    kept = results.load_run(tmp_path, specs=SPECS)
    reads.clear()
    for name in ("score", "error", "score", "valid", "score", "error"):
        _ = kept.columns[name]
        assert sum(values.nbytes for values in kept.columns._kept.values()) <= (
            2 * one_column
        )
    assert reads.count("score") == 1
    assert kept.summary(resamples=10) == whole


def test_pandas_frame_holds_rows_and_vectors():
    frame = a_result().to_pandas()
    assert frame.shape == (18, 12)
    assert frame["score"].isna().sum() == 4
    assert len(frame["curve"][0]) == 5


def test_pandas_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
        a_result().to_pandas()


def test_importing_results_is_light():
    code = "import sys, jaxcam.results; print(*sorted(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert not loaded & {"jax", "flax", "pyarrow", "pandas", "rich"}
