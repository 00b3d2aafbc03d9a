"""The command from end to end, on the shipped network and procedural images."""

import json
import subprocess
import sys

import pytest

import jaxcam
from jaxcam import data, storage
from jaxcam.experiments import box_versus_mask, runs, study


def arguments(out):
    return [
        *("--data", "shapes", "--networks", "shapes_net", "--out", str(out)),
        *("--limit", "6", "--shapes", "0", "--resamples", "20"),
    ]


@pytest.mark.slow
@pytest.mark.shared
def test_the_command_answers_and_goes_on_from_its_runs(tmp_path, capsys):
    assert box_versus_mask.main(arguments(tmp_path)) == 0
    said = capsys.readouterr().out
    assert "## Primary endpoint" in said
    first = json.loads((tmp_path / "results.json").read_text())
    assert first["settings"]["images"] == 6
    shards = sorted((tmp_path / "runs").rglob("*.parquet"))
    written = [shard.stat().st_mtime_ns for shard in shards]
    assert box_versus_mask.main(arguments(tmp_path)) == 0
    assert [shard.stat().st_mtime_ns for shard in shards] == written
    assert json.loads((tmp_path / "results.json").read_text()) == first


class Killed(BaseException):
    """The process ends here."""


def studied(out, say=lambda text: None):
    """A study small enough to be done again and again."""
    return study.study(
        data.open_dataset("shapes"),
        ["shapes_net"],
        runs.Plan(out=out, batch_size=2),
        limit=6,
        shapes=0,
        methods=("cam", "grad_cam", "gradient"),
        resamples=20,
        say=say,
    )


@pytest.mark.slow
@pytest.mark.shared
def test_a_study_that_was_killed_ends_as_one_that_was_not(tmp_path, monkeypatch):
    """Killed between two runs, after a run's first shard, and before a run's end."""
    monkeypatch.setattr(runs, "SHARD", 2)
    whole = studied(tmp_path / "whole")

    def between(text):
        if "off the centre" in text:
            raise Killed

    with pytest.raises(Killed):
        studied(tmp_path / "cut", between)
    done = {path.name for path in (tmp_path / "cut").iterdir()}
    assert len(done) == 2 + 3

    write, finish = storage.write_shard, storage.write_json

    def inside(out, number, *rest, **options):
        if "moved" in out.name and number == 1:
            raise Killed
        write(out, number, *rest, **options)

    with monkeypatch.context() as broken:
        broken.setattr(storage, "write_shard", inside)
        with pytest.raises(Killed):
            studied(tmp_path / "cut")
    (moved,) = (tmp_path / "cut").glob("*moved*")
    assert [path.name for path in moved.rglob("*.parquet")] == ["00000.parquet"]
    kept = (moved / "shards" / "00000.parquet").stat().st_mtime_ns

    def at_the_end(path, *rest, **options):
        if path.name == storage.SUMMARY:
            raise Killed
        finish(path, *rest, **options)

    with monkeypatch.context() as broken:
        broken.setattr(storage, "write_json", at_the_end)
        with pytest.raises(Killed):
            studied(tmp_path / "cut")
    assert not (moved / storage.SUMMARY).exists()

    found = studied(tmp_path / "cut")
    assert (moved / "shards" / "00000.parquet").stat().st_mtime_ns == kept
    ends = [tmp_path / name for name in ("whole.json", "cut.json")]
    assert box_versus_mask.write(ends[0], whole) == (
        box_versus_mask.write(ends[1], found)
    )


def rescored(out, trained, monkeypatch):
    """Which runs are scored anew."""
    scored = []

    def score(directory, dataset, *, method, out, **options):
        scored.append(out.name)
        out.mkdir()
        (out / "summary.json").write_text("[]")
        return out.name

    monkeypatch.setattr(runs.scoring, "score", score)
    monkeypatch.setattr(runs.results_module, "load_run", lambda path: path.name)
    dataset = data.open_dataset("shapes:test,n=4")
    runs.rescored(runs.Plan(out=out), trained, dataset, methods=("cam",))
    return scored


def test_scores_of_other_maps_are_not_taken_for_those_of_these(tmp_path, monkeypatch):
    """The base run is removed and made again with other weights."""
    trained = jaxcam.models.load("shapes_net")
    base = tmp_path / "shapes_net-shapes-4"
    for weights in ("one", "two"):
        base.mkdir(exist_ok=True)
        settings = {"model": {"weights": weights}, "metrics": ["dice"]}
        manifest = storage.manifest(scientific=settings, operational={})
        storage.write_json(base / storage.MANIFEST, manifest)
        first = rescored(tmp_path, trained, monkeypatch)
        assert len(first) == 1
        assert rescored(tmp_path, trained, monkeypatch) == []


def test_a_mistake_is_one_line(tmp_path, capsys):
    wrong = ["--data", str(tmp_path / "nowhere"), "--out", str(tmp_path)]
    assert box_versus_mask.main(wrong) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from jaxcam.experiments import box_versus_mask\n"
        "try: box_versus_mask.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'jax', 'flax', 'matplotlib'} & set(sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "--weights" in run.stdout
