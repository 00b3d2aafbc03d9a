import json

import numpy as np
import pytest

import jaxcam
from jaxcam import multiverse
from jaxcam.multiverse import run as sweeping
from jaxcam.multiverse import universes

DATA = "shapes:test,n=12"


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


def test_every_question_and_pair_has_a_verdict(explored, evaluated):
    assert list(explored.questions) == ["region", "energy", "pointing", "model"]
    pairs = {(v.question, frozenset((v.a, v.b))) for v in explored.verdicts}
    assert len(pairs) == len(explored.verdicts) == 4 * 5
    record = json.loads((evaluated / "multiverse.json").read_text())
    assert record == json.loads(json.dumps(explored.record()))
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
        again = multiverse.explore(evaluated, DATA)
    kept[1].unlink()
    mended = multiverse.explore(evaluated, DATA, batch_size=3)
    for one, other, third in zip(
        explored.verdicts, again.verdicts, mended.verdicts, strict=True
    ):
        np.testing.assert_array_equal(one.effects, other.effects)
        np.testing.assert_allclose(one.effects, third.effects, rtol=1e-9)


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
