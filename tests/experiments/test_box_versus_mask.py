"""The command from end to end, on the shipped network and procedural images."""

import json
import subprocess
import sys

import pytest

from jaxcam.experiments import box_versus_mask


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
