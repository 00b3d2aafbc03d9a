"""The evaluation loop: what comes out, and what it must not depend on."""

import json
import threading
import time

import flax.nnx as nnx
import jax
import numpy as np
import pytest

from jaxcam import data, evaluation, models, programs, results, storage
from jaxcam.data import records

METRICS = (
    "energy_pointing_game",
    "localization_error[region=box]",
    "official_localization_error[region=box]",
    "average_drop",
    "saliency_metric",
)
METHODS = ("cam", "grad_cam[layer=conv]")


class Net(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 8, (3, 3), strides=4, rngs=rngs)
        self.head = nnx.Linear(8, 8, rngs=rngs)

    def __call__(self, x):
        return self.head(jax.nn.relu(self.conv(x)).mean((1, 2)))


class RectifiedNet(Net):
    """The rectifier as a module, so that what pooling reads can be tapped."""

    def __init__(self, rngs):
        super().__init__(rngs)
        self.act = Rectifier()

    def __call__(self, x):
        return self.head(self.act(self.conv(x)).mean((1, 2)))


class Rectifier(nnx.Module):
    def __call__(self, x):
        return jax.nn.relu(x)


@pytest.fixture(scope="module")
def model():
    return models.wrap(
        RectifiedNet(nnx.Rngs(0)), size=32, label_set="shapes", name="net"
    )


def unreadable(record, **changes):
    def image():
        raise records.BadRecord("the image cannot be decoded")

    fields = {"image": image} | changes
    return records.Record(
        **{
            name: fields.get(name, getattr(record, name))
            for name in ("id", "image", "truth", "shape", "candidates")
        }
    )


@pytest.fixture(scope="module")
def dataset():
    """Nine shapes; the third cannot be read, the fifth has no object."""
    shapes = data.open_dataset("shapes", length=9)
    rows = [shapes.records[i] for i in range(9)]
    rows[2] = unreadable(rows[2])
    empty = records.Truth(object=np.zeros((64, 64), bool))
    rows[4] = unreadable(rows[4], image=rows[4].image, truth=lambda: empty)
    return records.Dataset("nine", rows, label_set="shapes")


def run(model, dataset, **options):
    settings = {"methods": METHODS, "metrics": METRICS, "batch_size": 4} | options
    return evaluation.evaluate(model, dataset, **settings)


@pytest.fixture(scope="module")
def result(model, dataset):
    return run(model, dataset)


def columns_of(result):
    return {name: np.asarray(result.columns[name]) for name in result.columns}


def same(a, b):
    a, b = columns_of(a), columns_of(b)
    assert a.keys() == b.keys()
    for name, values in a.items():
        if values.dtype == object:
            assert [str(v) for v in values] == [str(v) for v in b[name]], name
        else:
            np.testing.assert_array_equal(values, b[name], err_msg=name)


def test_there_is_a_row_for_every_image_and_method(result):
    floors = {"uniform", "centre", "random", "sobel", "truth"}
    assert set(result.methods) == {*METHODS, *floors}
    assert len(result) == 9 * 7
    labels = (*METRICS, "saliency_metric_area", "saliency_metric_confidence")
    assert set(result.metrics) == set(labels)


def test_a_row_that_cannot_be_read_is_counted_with_its_reason(result):
    assert result.reasons() == {"the image cannot be decoded": 1}
    for record in result.summary():
        assert record["n_invalid"] == 1


def test_a_row_without_an_object_is_undefined_for_what_reads_truth(result):
    records_of = {(r["metric"], r["method"]): r for r in result.summary()}
    energy = records_of["energy_pointing_game", "uniform"]
    assert (energy["n"], energy["n_undefined"]) == (7, 1)
    drop = records_of["average_drop", "uniform"]
    assert (drop["n"], drop["n_undefined"]) == (8, 0)


def test_floors_and_ceiling_are_what_they_must_be(result):
    drop = result.values("average_drop", "uniform")
    assert np.nanmax(np.abs(drop)) < 1e-6
    truth = result.values("energy_pointing_game", "truth")
    assert np.nanmin(truth) == 1
    uniform = result.values("energy_pointing_game", "uniform")
    skill = result.values("energy_pointing_game.skill", "uniform")
    np.testing.assert_allclose(skill[~np.isnan(uniform)], 0, atol=1e-7)


def test_the_explained_class_is_the_label_or_the_prediction(model, dataset, result):
    labels = np.array([r.candidates[0] for r in dataset.records])
    valid = np.asarray(result.columns["valid"])
    target = np.asarray(result.columns["target"])
    np.testing.assert_array_equal(target[valid], np.repeat(labels, 7)[valid])
    predicted = run(model, dataset, targets="predicted", methods=["cam"], floors=False)
    valid = np.asarray(predicted.columns["valid"])
    np.testing.assert_array_equal(
        np.asarray(predicted.columns["target"])[valid],
        np.asarray(predicted.columns["predicted_class"])[valid],
    )


@pytest.mark.parametrize("batch_size", [1, 7, 16])
def test_values_do_not_depend_on_the_batch_size(model, dataset, result, batch_size):
    """Equal to the bit on CPU, where the tests run."""
    same(run(model, dataset, batch_size=batch_size), result)


@pytest.mark.parametrize("halves", [1, 2])
def test_a_device_out_of_memory_gets_smaller_batches_and_nothing_is_lost(
    model, dataset, result, monkeypatch, halves
):
    """The device holds no more than a half, or a quarter, from the second batch on."""
    tried = []
    score_maps = evaluation._Run.score_maps

    def scored(self, batch, *arguments):
        tried.append(len(batch["index"]))
        if len(tried) > 1 and len(batch["index"]) > 8 // 2**halves:
            raise jax.errors.JaxRuntimeError(
                "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."
            )
        return score_maps(self, batch, *arguments)

    monkeypatch.setattr(evaluation._Run, "score_maps", scored)
    with pytest.warns(RuntimeWarning) as said:
        again = run(model, dataset)
    assert len(said) == halves
    assert list(again.columns["id"]) == list(result.columns["id"])
    assert tried[-1] == 8 // 2**halves
    for name in result.metrics:
        a, b = (np.asarray(r.columns[name]) for r in (again, result))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_other_failures_of_the_device_are_not_taken_for_full_memory(
    model, dataset, monkeypatch
):
    def failing(*arguments):
        raise jax.errors.JaxRuntimeError("INTERNAL: the device fell off the bus")

    monkeypatch.setattr(evaluation._Run, "score_maps", failing)
    with pytest.raises(jax.errors.JaxRuntimeError, match="fell off the bus"):
        run(model, dataset)


def test_memory_too_small_for_one_image_is_an_error(model, dataset, monkeypatch):
    def failing(*arguments):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(evaluation._Run, "score_maps", failing)
    with (
        pytest.warns(RuntimeWarning) as said,
        pytest.raises(jax.errors.JaxRuntimeError, match="Out of memory"),
    ):
        run(model, dataset)
    assert [str(w.message)[-4:] for w in said] == ["h 4.", "h 2.", "h 1."]


def test_shards_and_a_resumed_run_give_the_same_rows(model, dataset, result, tmp_path):
    whole = run(model, dataset, out=tmp_path / "a", shard_size=4)
    assert len(storage.finished_shards(tmp_path / "a")) == 3
    storage.shard_path(tmp_path / "a", 1).unlink()
    last = storage.shard_path(tmp_path / "a", 2)
    last.write_bytes(last.read_bytes()[:-100])
    assert list(storage.finished_shards(tmp_path / "a")) == [0]
    again = run(model, dataset, out=tmp_path / "a", shard_size=4, batch_size=3)
    same(whole, again)
    for name in result.metrics:  # Other rows share a batch: shards begin elsewhere.
        np.testing.assert_allclose(
            np.asarray(whole.columns[name]),
            np.asarray(result.columns[name]),
            rtol=1e-4,
            atol=1e-5,
        )
    kept = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert len(kept) == len(again.summary())
    errors = (tmp_path / "a" / "errors.jsonl").read_text().splitlines()
    assert "cannot be decoded" in errors[0]


def test_a_directory_of_other_settings_is_refused(model, dataset, tmp_path):
    options = {"methods": ["cam"], "metrics": METRICS[:1], "limit": 2}
    run(model, dataset, out=tmp_path / "a", **options)
    with pytest.raises(ValueError, match="border"):
        run(model, dataset, out=tmp_path / "a", border="foreground", **options)


def test_a_model_that_reads_images_otherwise_is_refused(dataset, tmp_path):
    """Its weights are the same; its values would not be."""
    options = {"methods": ["grad_cam"], "metrics": METRICS[:1], "limit": 2}

    def wrapped(**more):
        net = RectifiedNet(nnx.Rngs(0))
        more = {"size": 32, "label_set": "shapes", "name": "net"} | more
        return models.wrap(net, check=False, **more)

    run(wrapped(), dataset, out=tmp_path / "a", **options)
    for more, message in (
        ({"mean": 0.5}, r"model\.input\.mean: only there 0\.0; only now 0\.5"),
        ({"size": 16}, r"model\.input\.size"),
        ({"default_layer": "conv"}, r'layers\.default: there "act", now "conv"'),
        ({"class_to_output": [1, 0, 2, 3, 4, 5, 6, 7]}, r"model\.classes"),
    ):
        with pytest.raises(ValueError, match=message):
            run(wrapped(**more), dataset, out=tmp_path / "a", **options)
    run(wrapped(), dataset, out=tmp_path / "a", **options)


@pytest.mark.parametrize("name", ["limit", "batch_size", "shard_size"])
def test_numbers_that_are_too_small_are_refused(model, dataset, name):
    for value in (0, -1):
        with pytest.raises(ValueError, match=f"{name}={value}: give at least 1"):
            run(model, dataset, **{name: value})


def test_every_shape_is_compiled_once(model, dataset, tmp_path):
    """Another batch, other shards and another part of the data compile nothing."""
    options = {"methods": ("cam",), "metrics": ("dice", "average_drop")}
    run(model, dataset, **options)
    compiled = []

    def listen(event, seconds, **more):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(more)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        options |= {"shard_size": 4, "batch_size": 3, "limit": 7}
        run(model, dataset, out=tmp_path / "a", **options)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not compiled


def test_maps_are_kept_and_can_be_scored_again(model, dataset, tmp_path, result):
    import jaxcam

    run(model, dataset, out=tmp_path / "a")
    again = jaxcam.score(
        tmp_path / "a", dataset, metrics=METRICS[:2], method="cam", size=(32, 32)
    )
    for name in METRICS[:2]:
        np.testing.assert_allclose(
            again.values(name, "cam"), result.values(name, "cam"), rtol=1e-4, atol=1e-5
        )


def test_truth_on_its_own_grid(model, dataset):
    result = run(model, dataset, geometry="original", metrics=METRICS[:2])
    assert np.nanmin(result.values("energy_pointing_game", "truth")) == 1
    squashed = run(model, dataset, metrics=METRICS[:2])
    a, b = (r.values("energy_pointing_game", "cam") for r in (result, squashed))
    np.testing.assert_allclose(a, b, atol=0.05)
    assert not np.array_equal(a, b)


def test_what_cannot_be_is_refused(model, dataset):
    with pytest.raises(ValueError, match="did you mean"):
        run(model, dataset, metrics=["dize"])
    with pytest.raises(ValueError, match="has no option"):
        run(model, dataset, metrics=["dice[gamma=2]"])
    with pytest.raises(ValueError, match="cam is not defined at layer 'conv'"):
        run(model, dataset, methods=["cam[layer=conv]"])
    other = records.Dataset("other", dataset.records, label_set="imagenet")
    with pytest.raises(ValueError, match="explain the predicted class"):
        run(model, other, targets="label")
    with pytest.raises(ValueError, match="has no images"):
        run(model, records.Dataset("none", []))


def test_logits_that_are_not_finite_make_invalid_rows(dataset):
    net = RectifiedNet(nnx.Rngs(0))
    net.head.bias[...] = net.head.bias[...] + np.nan
    broken = models.wrap(net, size=32, check=False)
    result = run(broken, dataset, methods=["grad_cam"], metrics=METRICS[:1])
    assert "the model's logits are not finite" in result.reasons()
    assert not np.asarray(result.columns["valid"]).any()


@pytest.mark.slow
def test_cam_on_real_photographs_agrees_with_an_independent_run(shared_dir):
    """658 pets squashed to 224, the best class inside of the species' range."""
    model = models.load(
        "squeezenet1_1", weights=shared_dir / "weights/squeezenet1_1/squeezenet1_1.npz"
    )
    pets = data.open_dataset(shared_dir / "data" / "oxford_pets")
    expected = {
        "background": {
            ("energy_pointing_game", "cam"): 0.519,
            ("pointing_game", "cam"): 0.922,
            ("energy_pointing_game", "uniform"): 0.278,
            ("pointing_game", "centre"): 0.866,
        },
        "foreground": {
            ("energy_pointing_game", "cam"): 0.689,
            ("pointing_game", "cam"): 0.983,
            ("energy_pointing_game", "uniform"): 0.405,
        },
    }
    for border, values in expected.items():
        result = evaluation.evaluate(
            model,
            pets,
            methods=["cam"],
            metrics=["energy_pointing_game", "pointing_game"],
            border=border,
        )
        found = {(r["metric"], r["method"]): r for r in result.summary()}
        for key, value in values.items():
            assert abs(found[key]["estimate"] - value) < 0.02, (border, key)
        undefined = {
            r["n_undefined"] for r in found.values() if r["metric"] != "pointing_game"
        }
        assert undefined == {1}  # Abyssinian_34 has an empty trimap.


def test_results_of_a_run_are_those_in_memory(model, dataset, tmp_path):
    options = {"methods": ["cam"], "metrics": METRICS[:1]}
    memory = run(model, dataset, **options)
    disk = results.load_run(
        run(model, dataset, out=tmp_path / "a", **options) and tmp_path / "a"
    )
    np.testing.assert_array_equal(
        memory.values(METRICS[0], "cam"), disk.values(METRICS[0], "cam")
    )


inputs_of = programs.model_inputs

CURVES = (
    "insertion[steps=6]",
    "deletion[steps=6]",
    "road[levels=2]",
    "max_sensitivity[samples=2]",
)


@pytest.fixture(scope="module")
def curves(model, dataset):
    return run(model, dataset, metrics=CURVES, methods=("cam", "gradient"))


def test_curves_are_stored_beside_their_areas(curves):
    columns = columns_of(curves)
    known = ~np.isnan(columns["insertion[steps=6]"])
    assert known.sum() == 8 * len(curves.methods)
    for name in ("insertion", "deletion"):
        stored = np.stack(columns[f"{name}_curve[steps=6]"][known])
        assert stored.shape[1] == 7
        area = np.trapezoid(stored, axis=1) / 6
        np.testing.assert_allclose(area, columns[f"{name}[steps=6]"][known], rtol=1e-3)
    ends = np.stack(columns["insertion_curve[steps=6]"][known])[:, -1]
    np.testing.assert_allclose(ends, columns["probability"][known], rtol=1e-5)
    starts = np.stack(columns["deletion_curve[steps=6]"][known])[:, 0]
    np.testing.assert_allclose(starts, columns["probability"][known], rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 9])
def test_answers_of_long_probes_do_not_depend_on_the_batch(
    model, dataset, curves, batch_size
):
    again = run(
        model,
        dataset,
        metrics=CURVES,
        methods=("cam", "gradient"),
        batch_size=batch_size,
    )
    same(curves, again)


def test_each_long_probe_has_a_bar(model, dataset, capsys):
    run(
        model,
        dataset,
        metrics=("deletion[steps=2]", "average_drop"),
        methods=("cam",),
        show_progress=True,
    )
    shown = capsys.readouterr().err
    assert "Evaluating: 9/9 images" in shown
    assert "deletion_scores: 9/9 images" in shown
    assert "masked_score" not in shown


def test_scoring_in_flight_ends_with_the_loop(model, dataset, tmp_path, monkeypatch):
    """A batch that cannot be read ends the run before the next step of a probe."""
    begun, asked = threading.Event(), []
    batches = data.batches

    def breaking(*arguments, **options):
        stream = batches(*arguments, **options)
        yield next(stream)
        begun.wait(60)
        raise KeyboardInterrupt

    def counting(run, images):
        asked.append(len(asked))
        begun.set()
        time.sleep(0.2)
        return images

    with monkeypatch.context() as patched:
        patched.setattr(data, "batches", breaking)
        patched.setattr(
            evaluation.programs,
            "model_inputs",
            lambda m, images: counting(m, inputs_of(m, images)),
        )
        with pytest.raises(KeyboardInterrupt):
            run(
                model,
                dataset,
                metrics=("deletion[steps=2]",),
                methods=("cam",),
                out=tmp_path / "run",
            )
    assert asked == [0]
    assert not storage.finished_shards(tmp_path / "run")
    whole = run(model, dataset, metrics=("deletion[steps=2]",), methods=("cam",))
    assert len(whole) == 9 * len(whole.methods)


def test_an_interrupted_run_goes_on_from_its_whole_shards(
    model, dataset, tmp_path, monkeypatch
):
    options = {
        "metrics": ("deletion[steps=2]",),
        "methods": ("cam",),
        "out": tmp_path / "run",
        "shard_size": 4,
    }
    written = storage.write_shard

    def interrupted(out, shard, columns):
        written(out, shard, columns)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(storage, "write_shard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(model, dataset, **options)
    assert set(storage.finished_shards(tmp_path / "run")) == {0}
    whole = run(model, dataset, **options)
    same(whole, run(model, dataset, **(options | {"out": tmp_path / "other"})))
