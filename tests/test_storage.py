"""Shards are whole or not there, runs of other settings are never mixed."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxcam import columns, storage

SIZE = 4
METHODS = ("cam", "uniform")


def a_manifest(**changes):
    scientific = {
        "methods": list(METHODS),
        "metrics": ["dice"],
        "model": {"name": "tiny", "weights_sha256": "ab"},
        "data": {"name": "toy", "fingerprint": "f0", "rows": 10},
        "shard_size": SIZE,
    }
    return storage.manifest(
        scientific={**scientific, **changes}, operational={"batch_size": 2}
    )


def a_shard(number, rows=10):
    """One row for each image of the shard's range and each method."""
    images = range(number * SIZE, min((number + 1) * SIZE, rows))
    index = np.repeat(np.array(images), len(METHODS))
    return {
        "index": index,
        "id": [f"image {i}" for i in index],
        "method": list(METHODS) * len(images),
        "dice": index / 7,
    }


def a_run(path, shards=(0, 1, 2), **changes):
    storage.open_run(path, a_manifest(**changes))
    for number in shards:
        storage.write_shard(path, number, a_shard(number))
    return path


def test_columns_come_back_as_they_were_written(tmp_path):
    written = {
        "index": np.arange(3),
        "id": ["a", "ä b", "a"],
        "reason": np.array(["", None, "x"], object),
        "valid": np.array([True, False, True]),
        "value": np.array([1 / 3, np.nan, np.inf]),
        "vector": np.arange(6.0).reshape(3, 2),
        "saliency": [np.zeros(4, np.float32), np.arange(6), np.zeros(0)],
        "target": np.array([1, 2, 3], np.int32),
    }
    storage.write_shard(tmp_path, 0, written)
    read = columns.RunColumns([storage.shard_path(tmp_path, 0)])
    assert list(read) == list(written)
    assert read["id"].tolist() == ["a", "ä b", "a"]
    assert read["reason"].tolist() == ["", None, "x"]
    assert read["valid"].dtype == bool
    assert read["target"].dtype == np.int32
    np.testing.assert_array_equal(read["index"], np.arange(3))
    np.testing.assert_array_equal(read["value"], np.float32([1 / 3, np.nan, np.inf]))
    np.testing.assert_array_equal(read["vector"], [[0, 1], [2, 3], [4, 5]])
    assert read["vector"].dtype == read["value"].dtype == np.float32
    assert [m.tolist() for m in read["saliency"]] == [[0] * 4, [0, 1, 2, 3, 4, 5], []]


def test_types_on_the_disk(tmp_path):
    import pyarrow.parquet as pq

    storage.write_shard(
        tmp_path,
        3,
        {"id": ["a"], "value": np.zeros(1), "vector": np.zeros((1, 5)), "map": [[0.5]]},
        metadata={"host": "h"},
    )
    path = storage.shard_path(tmp_path, 3)
    schema = pq.read_schema(path)
    kinds = [str(field.type) for field in schema]
    assert kinds[0].startswith("dictionary<values=string")
    assert kinds[1] == "float"
    assert kinds[2].startswith("fixed_size_list<")
    assert kinds[2].endswith("[5]")
    assert kinds[3].startswith("list<")
    footer = json.loads(schema.metadata[b"jaxcam"])
    assert footer == {"host": "h", "shard": 3, "rows": 1}
    assert pq.read_metadata(path).row_group(0).column(1).compression == "ZSTD"


def test_a_shard_that_lacks_a_column_reads_as_undefined(tmp_path):
    storage.write_shard(tmp_path, 0, {"index": [0], "value": [0.5]})
    more = {"text": ["x"], "vector": np.ones((1, 2)), "saliency": [np.ones(2)]}
    storage.write_shard(tmp_path, 1, {"index": [1], "value": [0.5], **more})
    read = columns.RunColumns(storage.finished_paths(tmp_path))
    assert read["text"].tolist() == [None, "x"]
    np.testing.assert_array_equal(read["vector"], [[np.nan, np.nan], [1, 1]])
    assert [m.tolist() for m in read["saliency"]] == [[], [1, 1]]


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"a": [1, 2], "b": [1]}, "one length but have {'a': 2, 'b': 1}"),
        ({"a": np.zeros((2, 2, 2))}, r"'a' has shape \(2, 2, 2\)"),
    ],
)
def test_columns_that_cannot_be_stored_are_refused(tmp_path, bad, match):
    with pytest.raises(ValueError, match=match):
        storage.write_shard(tmp_path, 0, bad)
    assert not storage.finished_shards(tmp_path)
    assert not list((tmp_path / "shards").glob("*")) if tmp_path.is_dir() else True


def test_files_can_be_read_by_others(tmp_path):
    umask = os.umask(0o022)
    try:
        a_run(tmp_path)
    finally:
        os.umask(umask)
    for path in (storage.shard_path(tmp_path, 0), tmp_path / "manifest.json"):
        assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("kept", [0, 1, 100, -1, -9])
def test_a_truncated_shard_is_not_finished_and_can_be_redone(tmp_path, kept):
    a_run(tmp_path)
    path = storage.shard_path(tmp_path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    assert list(storage.finished_shards(tmp_path)) == [0, 2]
    assert "does not open" in storage.unfinished_shards(tmp_path)[1]
    storage.write_shard(tmp_path, 1, a_shard(1))
    assert storage.finished_shards(tmp_path) == {0: 8, 1: 8, 2: 4}
    assert not storage.unfinished_shards(tmp_path)


def test_a_shard_under_another_number_or_from_elsewhere_does_not_count(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    a_run(tmp_path, shards=[0])
    first = storage.shard_path(tmp_path, 0)
    storage.shard_path(tmp_path, 1).write_bytes(first.read_bytes())
    pq.write_table(pa.table({"index": [8]}), storage.shard_path(tmp_path, 2))
    assert list(storage.finished_shards(tmp_path)) == [0]
    assert storage.unfinished_shards(tmp_path) == {
        1: "is shard 0 under another name",
        2: "was not written by jaxcam",
    }


@pytest.mark.parametrize("column", [0, 3])
def test_a_flipped_bit_of_a_value_is_found_when_the_shard_is_read(tmp_path, column):
    import pyarrow.parquet as pq

    a_run(tmp_path, shards=[0])
    path = storage.shard_path(tmp_path, 0)
    chunk = pq.read_metadata(path).row_group(0).column(column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    damaged = bytearray(path.read_bytes())
    damaged[start + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(damaged)
    read = columns.RunColumns([path])
    with pytest.raises(ValueError, match=r"00000\.parquet is damaged .* delete it"):
        dict(read)


def test_temporary_files_never_count_and_are_swept_away(tmp_path):
    a_run(tmp_path, shards=[0])
    leftover = tmp_path / "shards" / ".00001.parquet.deadbeef.tmp"
    leftover.write_bytes(storage.shard_path(tmp_path, 0).read_bytes())
    other = tmp_path / "shards" / ".00002.parquet.deadbeef.tmp"
    other.write_bytes(b"PAR1")
    assert list(storage.finished_shards(tmp_path)) == [0]
    storage.write_shard(tmp_path, 1, a_shard(1))
    assert not leftover.exists()
    assert other.exists()  # It may be another process at work.


def test_a_failure_while_writing_leaves_the_old_shard(tmp_path, monkeypatch):
    a_run(tmp_path, shards=[0])
    before = storage.shard_path(tmp_path, 0).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        storage.write_shard(tmp_path, 0, a_shard(1))
    assert storage.shard_path(tmp_path, 0).read_bytes() == before
    assert len(list((tmp_path / "shards").iterdir())) == 1


_WRITE_FOR_EVER = """
import pathlib
import sys

import numpy as np

from jaxcam import storage

number = 0
while True:
    wide = {"index": np.arange(500), "maps": np.random.rand(500, 300)}
    storage.write_shard(pathlib.Path(sys.argv[1]), number % 7, wide)
    number += 1
"""


@pytest.mark.parametrize("seconds", [0.05, 0.11, 0.17, 0.23])
def test_kill_at_any_moment_leaves_only_whole_shards(tmp_path, seconds):
    storage.open_run(tmp_path, a_manifest())
    # A process of its own: a fork of one that runs JAX may deadlock.
    process = subprocess.Popen([sys.executable, "-c", _WRITE_FOR_EVER, str(tmp_path)])
    while not storage.finished_shards(tmp_path):
        assert process.poll() is None
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    process.wait()
    states = storage.shard_states(tmp_path)
    assert states
    assert all(state == (500, "") for state in states.values())
    for path in storage.finished_paths(tmp_path):
        assert columns.RunColumns([path])["maps"].shape == (500, 300)


def test_another_batch_size_can_go_on_and_is_noted(tmp_path):
    a_run(tmp_path)
    again = a_manifest()
    again["operational"]["batch_size"] = 64
    storage.open_run(tmp_path, again)
    found = storage.read_manifest(tmp_path)
    assert found["operational"]["batch_size"] == 2
    assert [part["batch_size"] for part in found["resumed"]] == [64]


def test_processes_that_differ_by_their_date_alone_leave_no_note(tmp_path):
    a_run(tmp_path)
    for day in range(3):
        again = a_manifest()
        again["operational"]["started"] = f"2001-01-0{day + 1}"
        storage.open_run(tmp_path, again)
    assert "resumed" not in storage.read_manifest(tmp_path)


def test_other_settings_are_refused_with_every_difference(tmp_path):
    a_run(tmp_path)
    other = a_manifest(
        methods=["cam", "grad_cam"],
        model={"name": "tiny", "weights_sha256": "cd"},
        precision="fast",
    )
    with pytest.raises(ValueError, match="holds a run of other settings") as caught:
        storage.check_resume(tmp_path, other)
    assert str(caught.value).splitlines()[1:] == [
        "  methods: only there uniform; only now grad_cam",
        '  model.weights_sha256: there "ab", now "cd"',
        '  precision: there nothing, now "fast"',
        "Give another run directory, or the settings of this one.",
    ]
    with pytest.raises(ValueError, match="other settings"):
        storage.open_run(tmp_path, other)
    assert storage.read_manifest(tmp_path)["scientific"]["methods"] == list(METHODS)


def test_settings_are_compared_as_they_are_written():
    one = {"scientific": {"a": (1, 2), "b": np.float32(0.5), "c": float("nan")}}
    other = json.loads(json.dumps({"scientific": {"a": [1, 2], "b": 0.5, "c": None}}))
    assert storage.differences(one, other) == []
    reordered = {"scientific": {"a": [2, 1], "b": 0.5, "c": None}}
    assert storage.differences(one, reordered) == ["a: there [1, 2], now [2, 1]"]


def test_manifest_errors_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no run: there is no manifest"):
        storage.read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"scientific": ')
    with pytest.raises(ValueError, match="cannot be read"):
        storage.read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(ValueError, match="no manifest of jaxcam"):
        storage.read_manifest(tmp_path)


def test_json_is_strict(tmp_path):
    storage.write_json(tmp_path / "x.json", {"a": [np.nan, np.inf, np.int32(3)]})
    text = (tmp_path / "x.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"a": [None, "inf", 3]}
    with pytest.raises(FileExistsError):
        storage.write_json(tmp_path / "x.json", 1, replace=False)
    storage.write_errors(tmp_path, [{"id": "ä", "index": np.int64(1)}, {"id": "b"}])
    lines = (tmp_path / "errors.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["ä", "b"]


def test_processes_that_start_together_agree_on_one_manifest(tmp_path):
    storage.open_run(tmp_path, a_manifest())
    first = (tmp_path / "manifest.json").read_bytes()
    wanted = storage.read_manifest(tmp_path)
    storage.open_run(tmp_path, wanted)
    assert (tmp_path / "manifest.json").read_bytes() == first


def test_merge_joins_shards_of_one_run(tmp_path):
    runs = [a_run(tmp_path / "a", [0, 2]), a_run(tmp_path / "b", [1])]
    storage.merge(runs, tmp_path / "all")
    assert storage.finished_shards(tmp_path / "all") == {0: 8, 1: 8, 2: 4}
    read = columns.RunColumns(storage.finished_paths(tmp_path / "all"))
    np.testing.assert_array_equal(read["index"], np.repeat(np.arange(10), 2))
    merged = storage.read_manifest(tmp_path / "all")
    assert not storage.differences(merged, a_manifest())
    assert len(merged["operational"]["merged"]) == 2
    storage.check_resume(tmp_path / "all", a_manifest())


def test_merge_names_what_is_missing(tmp_path):
    runs = [a_run(tmp_path / "a", [0]), a_run(tmp_path / "b", [2])]
    storage.shard_path(runs[1], 1).write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="1 of 3 shards missing: 1") as caught:
        storage.merge(runs, tmp_path / "all")
    assert "the first from row 4" in str(caught.value)
    assert "00001.parquet does not open" in str(caught.value)
    assert not (tmp_path / "all" / "manifest.json").exists()
    a_run(tmp_path / "c", [1])
    storage.merge([*runs, tmp_path / "c"], tmp_path / "all")


def test_merge_refuses_duplicates_other_settings_and_a_run_in_the_way(tmp_path):
    one, two = a_run(tmp_path / "a", [0, 1]), a_run(tmp_path / "b", [1, 2])
    with pytest.raises(ValueError, match="two of the runs: 1; shard 1 is in"):
        storage.merge([one, two], tmp_path / "all")
    with pytest.raises(ValueError, match="two of the runs: 0-1"):
        storage.merge([one, one], tmp_path / "all")
    other = a_run(tmp_path / "c", [2], metrics=["recall"])
    with pytest.raises(ValueError, match="metrics: only there dice; only now recall"):
        storage.merge([one, other], tmp_path / "all")
    with pytest.raises(ValueError, match="holds a run already"):
        storage.merge([one], two)
    with pytest.raises(ValueError, match="at least one"):
        storage.merge([], tmp_path / "all")
    storage.write_shard(tmp_path / "left", 7, a_shard(0))  # Of a merge of other runs.
    with pytest.raises(ValueError, match=r"in none of the runs, 00007\.parquet"):
        storage.merge([one, a_run(tmp_path / "d", [2])], tmp_path / "left")
    with pytest.raises(FileNotFoundError, match="holds no run"):
        storage.merge([one, tmp_path / "nowhere"], tmp_path / "all")


def twice(rows):
    return {name: [*values, values[0]] for name, values in rows.items()}


def without_last(rows):
    return {name: values[:-1] for name, values in rows.items()}


@pytest.mark.parametrize(
    ("harm", "match"),
    [
        (twice, "holds a row of cam twice"),
        (without_last, "rows 4 to 7 of uniform but differs at 7"),
    ],
)
def test_merge_counts_rows_not_only_shards(tmp_path, harm, match):
    run = a_run(tmp_path / "a")
    storage.write_shard(run, 1, harm(a_shard(1)))
    with pytest.raises(ValueError, match=match):
        storage.merge([run], tmp_path / "all")


def test_numbers_of_shards_are_written_as_ranges():
    assert storage._ranges([5, 0, 1, 2, 7, 8]) == "0-2, 5, 7-8"
    assert storage.expected_shards(a_manifest()) == range(3)
    assert storage.expected_shards({"scientific": {}}) is None
    assert "behind the end" in storage.missing_shards(a_manifest(), [0, 1, 2, 3])
