"""Other metrics for a run, from the maps it keeps."""

import numpy as np
import pytest

from jaxcam import cli, data, evaluation, models, rescoring, results, storage

METRICS = (
    "energy_pointing_game",
    "official_localization_error[region=box]",  # Reads whether the class was right.
    "pixel_average_precision",
    "relevance_rank_accuracy",
)


@pytest.fixture(scope="module")
def dataset():
    return data.open_dataset("shapes:test,n=9")


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    methods = ["grad_cam", "centre[sigma=0.25]"]
    options = {"methods": methods, "metrics": METRICS, "limit": 7, "shard_size": 4}
    return out, evaluation.evaluate(
        models.load("shapes_net"), dataset, out=out, border="foreground", **options
    )


def test_a_runs_own_values_come_out_again_to_the_bit(run, tmp_path):
    out, result = run
    again = rescoring.score_run(out, metrics=METRICS, out=tmp_path / "again")
    assert set(again.methods) == set(result.methods) - {"sobel"}
    assert again.n_missing == 0
    for metric in METRICS:
        for method in again.methods:
            np.testing.assert_array_equal(
                again.values(metric, method),
                result.values(metric, method),
                err_msg=f"{metric} {method}",
            )
    for column in ("id", "target", "correct", "probability", "valid", "map"):
        for method in again.methods:
            a, b = (r.columns[column][r.rows_of(method)] for r in (again, result))
            np.testing.assert_array_equal(a, b, err_msg=column)


def test_one_metric_alone_has_the_same_values(run, dataset):
    out, result = run
    again = rescoring.score_run(out, dataset, metrics=METRICS[:1], batch_size=3)
    for method in again.methods:
        np.testing.assert_array_equal(
            again.values(METRICS[0], method), result.values(METRICS[0], method)
        )


def test_a_shard_at_a_time_and_on_after_an_interruption(run, tmp_path, monkeypatch):
    out, _ = run
    written = storage.write_shard

    def interrupted(*arguments):
        written(*arguments)
        raise KeyboardInterrupt

    again = tmp_path / "again"
    with monkeypatch.context() as patched:
        patched.setattr(storage, "write_shard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rescoring.score_run(out, metrics=METRICS[:2], out=again)
    assert list(storage.finished_shards(again)) == [0]
    first = storage.shard_path(again, 0).read_bytes()
    rescoring.score_run(out, metrics=METRICS[:2], out=again)
    assert storage.shard_path(again, 0).read_bytes() == first
    assert results.load_run(again).n_missing == 0
    with pytest.raises(ValueError, match="only there official"):
        rescoring.score_run(out, metrics=METRICS[:1], out=again)


def test_rows_that_the_run_could_not_read_stay_invalid(dataset, tmp_path):
    def unreadable():
        raise data.BadRecord("the image cannot be decoded")

    rows = [dataset.records[i] for i in range(4)]
    rows[1] = data.Record(
        rows[1].id, unreadable, rows[1].truth, rows[1].shape, rows[1].candidates
    )
    damaged = data.Dataset("damaged", rows, label_set="shapes")
    options = {"methods": ["cam"], "metrics": METRICS[:1], "floors": False}
    model = models.load("shapes_net")
    whole = evaluation.evaluate(model, damaged, out=tmp_path / "a", **options)
    again = rescoring.score_run(tmp_path / "a", damaged, metrics=METRICS[:1])
    assert again.methods == ("cam",)
    assert again.reasons() == whole.reasons() == {"the image cannot be decoded": 1}
    values = again.values(METRICS[0], "cam")
    np.testing.assert_array_equal(np.isnan(values), [False, True, False, False])
    np.testing.assert_array_equal(values, whole.values(METRICS[0], "cam"))
    with pytest.raises(ValueError, match="not where the run found it"):
        rescoring.score_run(tmp_path / "a", metrics=METRICS[:1])


@pytest.mark.parametrize("geometry", ["crop", "original"])
def test_other_geometries(dataset, tmp_path, geometry):
    options = {"methods": ["cam"], "metrics": METRICS[:1], "geometry": geometry}
    model = models.load("shapes_net")
    whole = evaluation.evaluate(model, dataset, out=tmp_path / "a", **options)
    again = rescoring.score_run(tmp_path / "a", metrics=METRICS[:1])
    values = (r.values(METRICS[0], "cam") for r in (again, whole))
    np.testing.assert_array_equal(*values)


def test_the_command(run, capsys):
    out, _ = run
    command = f"score --run {out} --metrics gini_sparseness"
    assert cli.main(command.split()) == 0
    assert "grad_cam" in capsys.readouterr().out
    assert cli.main([*command.split(), "--truth", "shapes:test,n=9"]) == 0
    assert cli.main([*command.split(), "--maps", str(out)]) == 2
    assert "either --maps or --run" in capsys.readouterr().err
    assert cli.main(["score", "--maps", str(out)]) == 2
    assert "Give --truth" in capsys.readouterr().err
    for option in ("--preset wsol", "--no-floors", "--size 64", "--channels sum"):
        assert cli.main([*command.split(), *option.split()]) == 2
        shown = capsys.readouterr().err
        assert f"{option.split()[0]} is not read beside --run" in shown


def test_a_merged_run(run, dataset, tmp_path):
    out, result = run
    storage.merge([out], tmp_path / "one")
    storage.merge([tmp_path / "one"], tmp_path / "two")
    again = rescoring.score_run(tmp_path / "two", metrics=METRICS[:1])
    values = again.values(METRICS[0], "grad_cam")
    np.testing.assert_array_equal(values, result.values(METRICS[0], "grad_cam"))


def test_refusals(run, dataset, tmp_path):
    out, _ = run
    with pytest.raises(ValueError, match="asks a model"):
        rescoring.score_run(out, dataset, metrics=["average_drop"])
    with pytest.raises(ValueError, match="is not what"):
        rescoring.score_run(out, "shapes:test,n=8", metrics=METRICS)
    with pytest.raises(FileNotFoundError, match="holds no run"):
        rescoring.score_run(tmp_path, dataset, metrics=METRICS)
    model, options = models.load("shapes_net"), {"metrics": METRICS[:1]}
    part = tmp_path / "part"
    shares = {"shard_size": 4, "share": (0, 2), "out": part}
    evaluation.evaluate(model, dataset, methods=["cam"], **options, **shares)
    assert list(storage.finished_shards(part)) == [0, 2]
    with pytest.raises(ValueError, match="not whole"):
        rescoring.score_run(part, dataset, metrics=METRICS)
    without = {"keep_maps": False, "limit": 2, "out": tmp_path / "without"}
    evaluation.evaluate(model, dataset, methods=["cam"], **options, **without)
    with pytest.raises(ValueError, match="keeps no maps"):
        rescoring.score_run(tmp_path / "without", dataset, metrics=METRICS)
