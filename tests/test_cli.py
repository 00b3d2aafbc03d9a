"""The command line as a user types it."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import jaxcam
from jaxcam import agreement, cli
from jaxcam.cli import evaluate


def test_help_answers_at_once_and_teaches():
    def seconds():
        start = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-m", "jaxcam", "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "evaluate" in run.stdout
        return time.perf_counter() - start

    # What takes long is loading JAX; test_architecture.py holds that it is not loaded.
    assert min(seconds() for _ in range(2)) < 10


@pytest.mark.parametrize(
    "kind", ["metrics", "methods", "models", "weights", "data", "presets"]
)
def test_lists(capsys, kind):
    assert cli.main(["list", kind]) == 0
    shown = capsys.readouterr().out
    known = {
        "metrics": "energy_pointing_game",
        "methods": "grad_cam",
        "models": "squeezenet1_1",
        "weights": "tv2_in1k",
        "data": "oxford_pets",
        "presets": "wsol",
    }
    assert known[kind] in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--model", "squeeze"], "did you mean"),
        (["evaluate", "--model", "resnet18"], "weights='random'"),
        (["evaluate", "--data", "nowhere"], "no folder nowhere"),
        (["evaluate", "--metrics", "dize"], "did you mean"),
        (["evaluate", "--methods", "gradcam"], "did you mean"),
        (["evaluate", "--preset", "papers"], "choose one of"),
        (["score", "--maps", "nowhere.npz", "--truth", "shapes"], "not there"),
        (["merge", "nowhere", "--out", "x"], "holds no run"),
        (["evaluate", "--gpus-per-task", "1"], "is for --engine ray"),
        (["evaluate", "--shard", "4/4"], "from 0 to 3"),
        (["evaluate", "--shard", "2"], "write I/N"),
        (["evaluate", "--shard", "0/2", "--engine", "jax"], "leave out --shard"),
        (["evaluate", "--limit", "0"], "give at least 1"),
        (["evaluate", "--labels", "exact"], "labels='exact' is for oxford_pets"),
    ],
)
def test_an_error_is_one_clear_line_and_exit_code_two(
    capsys, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err


def test_a_written_share_comes_before_that_of_a_job_array(monkeypatch):
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "2")
    monkeypatch.setenv("JOB_COMPLETIONS", "3")
    assert str(evaluate._share(None)) == "2/3 (from JOB_COMPLETION_INDEX)"
    for name, value in (("ID", 1), ("MIN", 0), ("MAX", 3), ("COUNT", 4)):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    assert str(evaluate._share(None)) == "1/4 (from SLURM_ARRAY_TASK_ID)"
    assert str(evaluate._share("0/2")) == "0/2 (from --shard)"


def test_debug_shows_the_traceback():
    with pytest.raises(ValueError, match="did you mean"):
        cli.main(["evaluate", "--model", "squeeze", "--debug"])


def test_the_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("jaxcam ")


def test_evaluate_ends_with_a_table_and_goes_on_where_it_stopped(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    command = [
        "evaluate",
        "--limit",
        "6",
        "--metrics",
        "energy_pointing_game,pointing_game",
        "--methods",
        "cam",
    ]
    assert cli.main(command) == 0
    first = capsys.readouterr()
    assert "6/6 images" in first.err
    for word in ("cam", "uniform", "truth", "95 % bootstrap intervals"):
        assert word in first.out
    (run,) = (tmp_path / "runs").iterdir()
    assert cli.main(command) == 0
    assert str(run.name) in capsys.readouterr().out
    assert list((tmp_path / "runs").iterdir()) == [run]


def test_an_untrained_net_is_stamped(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = "evaluate --model resnet20 --weights random --limit 2 --methods grad_cam"
    command += " --metrics energy_pointing_game"
    assert cli.main(command.split()) == 0
    assert "untrained" in capsys.readouterr().out


def test_score_reads_maps_and_counts_what_is_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("maps.npz", **{"test-000000": np.ones((4, 4), np.float32)})
    command = ["score", "--maps", "maps.npz", "--truth", "shapes:test,n=2"]
    assert cli.main([*command, "--metrics", "energy_pointing_game"]) == 0
    assert "no map was given for it" in capsys.readouterr().out


def test_the_command_is_installed():
    name = "jaxcam.exe" if os.name == "nt" else "jaxcam"
    path = os.path.join(os.path.dirname(sys.executable), name)
    run = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("jaxcam ")


def test_compare_says_which_method_is_better(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = "evaluate --limit 6 --metrics energy_pointing_game --out run"
    assert cli.main(command.split()) == 0
    capsys.readouterr()
    assert (tmp_path / "run" / "report.html").is_file()
    assert cli.main(["compare", "run"]) == 0
    shown = capsys.readouterr().out
    assert "energy_pointing_game" in shown
    in_short = shown.partition("In short:")[2]
    assert "cam against grad_cam: " in in_short
    assert "jaxcam multiverse RUN says it" in in_short


def test_labels_that_are_no_outputs_are_not_passed_over(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "masks"):
        (tmp_path / "own" / folder).mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(picture).save("own/images/a.png")
    Image.fromarray(np.eye(64, dtype=np.uint8) * 255).save("own/masks/a.png")
    command = "evaluate --data own --methods cam --metrics pointing_game --no-report"
    said = "The labels of own (okapi ...) are no outputs of shapes_net: the predicted"
    assert cli.main(command.split()) == 0
    assert "The labels of own" not in capsys.readouterr().out
    (tmp_path / "own" / "labels.csv").write_text("file,label\na.png,okapi\n")
    assert cli.main([*command.split(), "--limit", "1"]) == 0
    assert said in capsys.readouterr().out
    assert cli.main([*command.split(), "--targets", "predicted"]) == 0
    assert "The labels of own" not in capsys.readouterr().out


def test_compare_says_which_metrics_agree(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    command = "evaluate --limit 8 --metrics dice,localization_error,pointing_game "
    assert cli.main([*command.split(), "--out", "run"]) == 0
    # Without the extra there is no report, and a line says how to get one.
    assert "jaxcam-eval[viz]" in capsys.readouterr().out
    assert not (tmp_path / "run" / "report.html").exists()
    command = "compare run --out found/records.json --all-pairs"
    assert cli.main(command.split()) == 0
    shown = capsys.readouterr().out
    assert "Do the metrics agree over images?" in shown
    assert "dice and localization_error (1.00)" in shown.replace(
        "localization_error and dice", "dice and localization_error"
    )
    found = json.loads((tmp_path / "found" / "records.json").read_text())
    assert {r["coefficient"] for r in found["agreement"]} == {"spearman", "kendall"}
    verdicts = {(r["a"], r["b"]): r["verdict"] for r in found["agreement"]}
    assert verdicts["dice", "localization_error"] == "agree"
    assert {r["metric"] for r in found["comparison"]} == {
        "dice",
        "localization_error",
        "pointing_game",
    }


def test_compare_says_why_no_agreement_is_shown(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    maps = np.random.default_rng(0).random((4, 8, 8), np.float32)
    truth = np.eye(8, dtype=bool)[None].repeat(4, 0)
    metrics = ["pointing_game", "energy_pointing_game"]
    jaxcam.score(maps, truth, metrics=metrics, out="run")
    assert cli.main(["compare", "run", "--all-pairs"]) == 0
    assert "Do the metrics agree over images?" in capsys.readouterr().out
    assert cli.main(["compare", "run", "--metrics", "pointing_game"]) == 0
    shown = capsys.readouterr().out
    assert "cannot be told: it takes two metrics that are means over images." in shown
    monkeypatch.setattr(agreement, "KENDALL_ROWS", 3)
    assert cli.main(["compare", "run", "--coefficient", "kendall"]) == 0
    shown = capsys.readouterr().out
    assert "at most 3 images; Spearman's rho has no such limit." in shown
