"""Other metrics for a run, from the maps it keeps."""

import numpy as np
import pytest

from jaxcam import cli, data, evaluation, models, rescoring, storage

METRICS = ("energy_pointing_game", "dice[region=box]", "max_box_accuracy")


@pytest.fixture(scope="module")
def dataset():
    return data.open_dataset("shapes:test,n=9")


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    methods = ["cam", "grad_cam"]
    options = {"methods": methods, "metrics": METRICS, "limit": 7, "shard_size": 4}
    return out, evaluation.evaluate(
        models.load("shapes_net"), dataset, out=out, border="foreground", **options
    )


def test_a_runs_own_values_come_out_again(run, dataset, tmp_path):
    out, result = run
    again = rescoring.score_run(out, dataset, metrics=METRICS, out=tmp_path / "again")
    assert set(again.methods) == set(result.methods) - {"sobel"}
    assert again.n_missing == 0
    for metric in METRICS:
        for method in again.methods:
            np.testing.assert_allclose(
                again.values(metric, method),
                result.values(metric, method),
                rtol=1e-5,
                atol=1e-6,
                err_msg=f"{metric} {method}",
            )


def test_the_command(run, capsys):
    out, _ = run
    command = f"score --run {out} --truth shapes:test,n=9 --metrics gini_sparseness"
    assert cli.main(command.split()) == 0
    assert "grad_cam" in capsys.readouterr().out
    assert cli.main([*command.split(), "--maps", str(out)]) == 2
    assert "either --maps or --run" in capsys.readouterr().err
    for option in ("--preset wsol", "--no-floors", "--size 64", "--channels sum"):
        assert cli.main([*command.split(), *option.split()]) == 2
        shown = capsys.readouterr().err
        assert f"{option.split()[0]} is not read beside --run" in shown


def test_refusals(run, dataset, tmp_path):
    out, _ = run
    with pytest.raises(ValueError, match="asks a model"):
        rescoring.score_run(out, dataset, metrics=["average_drop"])
    with pytest.raises(ValueError, match="is not what"):
        rescoring.score_run(out, "shapes:test,n=8", metrics=METRICS)
    with pytest.raises(FileNotFoundError, match="holds no run"):
        rescoring.score_run(tmp_path, dataset, metrics=METRICS)
    part = tmp_path / "part"
    options = {"metrics": METRICS[:1], "shard_size": 4, "share": (0, 2), "out": part}
    evaluation.evaluate(models.load("shapes_net"), dataset, methods=["cam"], **options)
    assert list(storage.finished_shards(part)) == [0, 2]
    with pytest.raises(ValueError, match="not whole"):
        rescoring.score_run(part, dataset, metrics=METRICS)
