import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import jaxcam
from jaxcam import multiverse, storage
from jaxcam.data import records
from jaxcam.multiverse import run as sweeping
from jaxcam.multiverse import universes

DATA = "shapes:test,n=12"
SIZE = 64  # The grid of the shapes, so that one program serves all tests here.


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    jaxcam.evaluate(
        jaxcam.models.load("shapes_net"),
        DATA,
        methods=["cam", "grad_cam"],
        metrics=["dice", "average_drop", "average_drop[masking_space=pixel]"],
        out=out,
        shard_size=5,
        batch_size=5,
    )
    return out


@pytest.fixture(scope="module")
def explored(evaluated):
    return multiverse.explore(evaluated, DATA)


def planted(folder, images=8):
    """A run of made-up maps over discs with two antennae, and its data.

    `disc` shows the disc, most of the object but a quarter of its box; `square` fills
    the box, of which the object is a fifth; `copy` is `disc` up to scale and rounding;
    `noise` and `more_noise` have nothing to do with it.
    """
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE]
    drawn = {name: [] for name in ("disc", "square", "copy", "noise", "more_noise")}
    rows = []
    for i in range(images):
        top, left = rng.integers(0, SIZE - 44, 2)
        disc = (y - top - 20) ** 2 + (x - left - 20) ** 2 <= 10**2
        square = (y >= top) & (y <= top + 40) & (x >= left) & (x <= left + 40)
        antennae = square & ((y == top + 20) | (x == left + 20))
        rows.append(record(str(i), disc | antennae))
        drawn["disc"].append(disc)
        drawn["square"].append(square)
        drawn["copy"].append(3 * disc * (1 - 1e-6))
        drawn["noise"].append(rng.random((SIZE, SIZE)))
        drawn["more_noise"].append(rng.random((SIZE, SIZE)))
    dataset = records.Dataset(name="planted", records=rows)
    methods = list(drawn)
    maps = np.array([drawn[m][i] for i in range(images) for m in methods], np.float32)
    columns = {
        "index": np.arange(images).repeat(len(methods)),
        "id": [str(i) for i in range(images) for _ in methods],
        "method": methods * images,
        "valid": np.ones(len(maps), bool),
        "reason": [""] * len(maps),
        "saliency": list(maps.reshape(len(maps), -1)),
        "saliency_height": np.full(len(maps), SIZE, np.int32),
        "saliency_width": np.full(len(maps), SIZE, np.int32),
    }
    about = {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "rows": images,
    }
    manifest = {
        "scientific": {
            "methods": methods,
            "metrics": [],
            "data": about,
            "shard_size": images,
        },
        "operational": {"grid": [SIZE, SIZE]},
    }
    storage.open_run(folder, manifest)
    storage.write_shard(folder, 0, columns)
    return folder, dataset


def record(name, mask):
    return records.Record(
        id=name,
        image=lambda: np.zeros((*mask.shape, 3), np.uint8),
        truth=lambda: records.Truth(object=mask),
        shape=lambda: mask.shape,
    )


def test_a_flip_that_is_planted_in_the_maps_is_found_and_noise_refused(tmp_path):
    run, dataset = planted(tmp_path / "run")
    chosen = ["disc", "square", "noise", "more_noise"]
    found = multiverse.explore(run, dataset, methods=chosen, floors=())
    verdict = found.of("disc", "square")
    assert [axis.axis for axis in verdict.deciding] == ["region"]
    on_boxes = np.array(found.questions["region"].choices("region")) == "box"
    disc_wins = verdict.effects * (1 if verdict.a == "disc" else -1) > 0
    # An overlap of .3 may be reached by both: hits then tell nothing apart.
    decided = verdict.effects != 0
    assert decided.mean() > 0.99
    assert verdict.clear[decided].all()
    np.testing.assert_array_equal(disc_wins[decided], ~on_boxes[decided])
    assert verdict.share_clear == pytest.approx(3 / 4, abs=0.01)
    assert verdict.images == 8
    assert "It hangs on region: under mask disc wins clearly in 100 %" in str(verdict)
    for question in found.questions:
        null = found.of("noise", "more_noise", question)
        assert null.deciding == ()
        assert null.share_clear + null.share_against < 1 / 2
        told = found.of("disc", "noise", question)
        assert told.a == "disc"
        assert told.share_clear > 1 / 4 > told.share_against


def test_methods_that_are_one_map_are_named_and_not_ranked(tmp_path):
    run, dataset = planted(tmp_path / "run")
    found = multiverse.explore(run, dataset, methods=["disc", "copy"])
    for question in found.questions:
        verdict = found.of("disc", "copy", question)
        assert verdict.one_map
        assert (verdict.share, verdict.share_clear) == (0.5, 0)
        assert found.ranked(question)[-1] is verdict
        assert found.contested(question) is found.ranked(question)[-2]
        assert not found.of("disc", "uniform", question).one_map
    alone = multiverse.Multiverse(found.questions, (found.of("disc", "copy"),))
    with pytest.raises(ValueError, match="All methods are one map"):
        alone.contested()


def test_every_question_and_pair_has_a_verdict(explored, evaluated):
    assert list(explored.questions) == ["region", "energy", "pointing", "model"]
    pairs = {(v.question, frozenset((v.a, v.b))) for v in explored.verdicts}
    assert len(pairs) == len(explored.verdicts) == 4 * 5
    record = json.loads((evaluated / "multiverse.json").read_text())
    shards = record.pop("shards")
    assert record == json.loads(json.dumps(explored.record()))
    paths = sorted((evaluated / "shards").glob("*.parquet"))
    assert shards == {path.name: path.stat().st_size for path in paths}
    assert record["questions"]["energy"]["metrics"][0] == "energy_pointing_game"
    verdict = explored.of("centre", "cam")
    assert verdict.defined == 2880
    assert {verdict.a, verdict.b} == {"cam", "centre"}


def test_a_universe_equals_the_run_s_own_column(explored, evaluated):
    result = jaxcam.results.load_run(evaluated)
    difference = result.values("dice", "cam") - result.values("dice", "grad_cam")
    question = explored.questions["region"]
    name = (
        "dice[resizing=bilinear,normalization=max,rule=mean,comparison=at_least,"
        "component=largest,connectivity=8,region=mask,border=ignore,overlap=-]"
    )
    position = list(map(str, question.universes)).index(name)
    verdict = explored.of("cam", "grad_cam")
    sign = 1 if verdict.a == "cam" else -1
    expected = sign * difference.mean() / difference.std(ddof=1)
    assert verdict.effects[position] == pytest.approx(expected, rel=1e-4)


def test_values_do_not_depend_on_batches_and_shards_are_kept(
    explored, evaluated, monkeypatch
):
    def refused(*_):
        raise AssertionError("A shard that is there is not swept again.")

    kept = sorted((evaluated / "multiverse").glob("*.npz"))
    assert [path.stem for path in kept] == ["00000", "00001", "00002"]
    with monkeypatch.context() as patch:
        patch.setattr(sweeping._Plan, "sums", refused)
        again = multiverse.explore(evaluated)  # The data, where the run found it.
    kept[1].unlink()
    mended = multiverse.explore(evaluated, DATA, batch_size=3)
    for one, other, third in zip(
        explored.verdicts, again.verdicts, mended.verdicts, strict=True
    ):
        np.testing.assert_array_equal(one.effects, other.effects)
        np.testing.assert_allclose(one.effects, third.effects, rtol=1e-9)


@pytest.mark.parametrize("changed", ["threshold", "maps"])
def test_sums_of_another_sweep_are_not_reused(
    explored, evaluated, monkeypatch, tmp_path, changed
):
    """A threshold that changed and kept its name, and shards that were written anew."""
    run = tmp_path / "run"
    shutil.copytree(evaluated, run)
    plan = sweeping._plan(run, jaxcam.data.open_dataset(DATA), None, ("centre",), 5)
    assert sweeping._plan(run, plan.dataset, None, ("centre",), 3).key == plan.key
    if changed == "threshold":
        sources = tmp_path / "sources"
        shutil.copytree(Path(sweeping.__file__).parent, sources)
        with (sources / "universes.py").open("a") as file:
            file.write("# Another fraction.\n")
        monkeypatch.setattr(sweeping, "__file__", str(sources / "run.py"))
        again = sweeping._plan(run, plan.dataset, None, ("centre",), 5)
        assert again.key != plan.key
        return
    plan = sweeping._plan(run, plan.dataset, None, multiverse.run.FLOORS, 5)
    assert plan.kept(1) is not None
    os.utime(storage.shard_path(run, 1))
    assert plan.kept(1) is None
    assert plan.kept(0) is not None


def test_other_methods_are_swept_anew(evaluated, explored):
    chosen = multiverse.explore(evaluated, DATA, methods=["grad_cam", "cam"])
    assert len(chosen.verdicts) == len(explored.verdicts)
    for verdict in chosen.verdicts:
        before = explored.of(verdict.a, verdict.b, verdict.question)
        assert verdict.share == pytest.approx(before.share)


def test_what_cannot_be_compared_is_refused(evaluated, tmp_path):
    with pytest.raises(ValueError, match="give the data set"):
        multiverse.explore(evaluated, "shapes:test,n=13,seed=5")
    with pytest.raises(ValueError, match="no maps of 'layer_cam'"):
        multiverse.explore(evaluated, DATA, methods=["layer_cam"])
    with pytest.raises(ValueError, match="no two methods"):
        multiverse.explore(evaluated, DATA, methods=["cam"], floors=[])
    with pytest.raises(ValueError, match="is no floor"):
        multiverse.explore(evaluated, DATA, floors=["sobel"])
    bare = tmp_path / "bare"
    jaxcam.evaluate(
        jaxcam.models.load("shapes_net"),
        DATA,
        methods=["cam"],
        metrics=["dice"],
        out=bare,
        keep_maps=False,
    )
    with pytest.raises(ValueError, match="kept no maps"):
        multiverse.explore(bare, DATA)


def test_verdicts_that_are_not_there_are_named(explored):
    with pytest.raises(ValueError, match="the questions are region, energy"):
        explored.of("cam", "rise")


def test_a_seed_of_universes_is_written_once():
    questions = universes.map_questions()
    assert sum(len(question.universes) for question in questions) == 2880 + 16 + 48
