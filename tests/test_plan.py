"""From requests to columns: regions, options, presets, shared fields."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import _spec, plan, registry
from jaxcam.metrics import presets
from tests import fields as fields_module


def names_of(column):
    return {field.name for root in column.inputs for field in root.walk()}


def test_a_region_is_a_mask_unless_said():
    column = plan.resolve("localization_error")
    assert column.truth == "mask"
    assert column.where.name == "where"
    assert "predicted_mask" in names_of(column)
    boxed = plan.resolve("localization_error[region=box]")
    assert boxed.truth == "box"
    assert boxed.where.name == "frame"
    assert {"predicted_box_region", "matched_box_region"} <= names_of(boxed)


def test_prediction_and_truth_can_be_chosen_apart():
    column = plan.resolve("localization_error[predicted=box]")
    assert [field.name for field in column.inputs] == ["predicted_box_region", "mask"]
    column = plan.resolve("localization_error[truth=box]")
    assert [f.name for f in column.inputs] == ["predicted_mask", "matched_box_region"]


def test_a_map_is_held_against_every_truth_box():
    column = plan.resolve("energy_pointing_game[region=box]")
    assert [field.name for field in column.inputs] == ["saliency", "truth_box_region"]


def test_options_reach_the_metric_or_the_fields():
    column = plan.resolve("f_score[beta=2,rule=max_fraction,fraction=0.3]")
    assert dict(column.options) == {"beta": 2}
    options = {k: v for f in column.inputs[0].walk() for k, v in f.options}
    assert options == {"rule": "max_fraction", "fraction": 0.3}
    assert column.label == "f_score[beta=2,fraction=0.3,rule=max_fraction]"


def test_equal_fields_are_shared():
    one, other = plan.resolve_all(["precision", "recall"])
    assert one.inputs == other.inputs
    different = plan.resolve("precision[connectivity=4]")
    assert different.inputs[0] != one.inputs[0]


def test_companions_follow_their_metric():
    labels = [column.label for column in plan.resolve_all(["saliency_metric"])]
    assert labels == [
        "saliency_metric",
        "saliency_metric_area",
        "saliency_metric_confidence",
    ]


def test_probes_run_once_whatever_reads_them():
    columns = plan.resolve_all(["average_drop", "average_increase", "saliency_metric"])
    fields = [field.name for field in plan.probe_fields(columns)]
    assert sorted(fields) == ["crop_probability", "masked_logit", "masked_probability"]


def test_probes_draw_other_numbers_than_methods_and_floors(monkeypatch):
    """Or the order of a uniform map's pixels would be that of the random floor."""

    def draws(predict, x, key):
        return {"drawn": jax.vmap(jax.random.uniform)(key)}

    spec = _spec.ProbeSpec(fn=draws, inputs=("x", "key"), outputs=("drawn",), cost="")
    monkeypatch.setattr(registry, "all_probes", lambda: {spec.name: spec})
    given = fields_module.fields(0)
    shared = {name: given[name][None] for name in plan.SHARED_FIELDS}
    fields = (plan._FieldResolver({}, {}).field("drawn"),)
    program = plan.probe_program(lambda params, x: x, fields)
    x = {"x": jnp.zeros((1, 4, 4, 3))}
    found = program(None, x, shared, given["raw_saliency"][None, None])[0]
    assert found[0, 0] != jax.random.uniform(given["key"])


def test_a_probe_that_reads_no_map_runs_once_an_image(monkeypatch):
    """Four maps, one question; what reads maps is asked of each."""
    asked = []

    def plain(predict, x, *, scale=1.0):
        asked.append("image")
        return {"plain": predict(x)[:, 0] * scale}

    def of_map(predict, x, saliency):
        asked.append("map")
        return {"of_map": predict(x * saliency[..., None])[:, 0]}

    def again(explainer, x, target):
        asked.append("maps")
        maps = explainer.maps(explainer.params, 2 * x, target)
        return {"again": maps.sum((2, 3))}

    specs = [
        _spec.ProbeSpec(fn=plain, inputs=("x",), outputs=("plain",), cost=""),
        _spec.ProbeSpec(
            fn=of_map, inputs=("x", "saliency"), outputs=("of_map",), cost=""
        ),
        _spec.ProbeSpec(
            fn=again,
            inputs=("x", "target"),
            outputs=("again",),
            cost="",
            asks="explain",
        ),
    ]
    monkeypatch.setattr(registry, "all_probes", lambda: {s.name: s for s in specs})
    x = jnp.arange(32.0).reshape(2, 4, 4, 1)
    given = fields_module.fields(0, shape=(4, 4))
    shared = {name: jnp.stack([given[name]] * 2) for name in plan.SHARED_FIELDS}
    raw = jnp.stack([jnp.full((2, 4, 4), 4.0), jnp.zeros((2, 4, 4))] * 2)
    resolver = plan._FieldResolver({}, {})
    fields = tuple(resolver.field(name) for name in ("plain", "of_map", "again"))
    program = plan.probe_program(
        lambda params, x: params * x.sum((1, 2)),
        fields,
        lambda p, x, t, shared: jnp.arange(4.0)[:, None, None, None] * x[None, ..., 0],
    )
    found = program(jnp.float32(3.0), {"x": x, "black": x[:, 0, 0]}, shared, raw)
    sums = np.array([sum(range(16)), sum(range(16, 32))])
    np.testing.assert_allclose(found[0], np.tile(3 * sums, (4, 1)))
    np.testing.assert_allclose(found[1], np.outer([1, 0, 1, 0], 3 * sums))
    np.testing.assert_allclose(found[2], np.outer(np.arange(4), 2 * sums))
    assert asked.count("image") == 1
    assert asked.count("maps") == 1


@pytest.mark.parametrize(
    "name", ["average_drop", "seed_average_drop", "average_gain", "saliency_metric"]
)
def test_a_formula_of_probabilities_refuses_logits(name):
    with pytest.raises(ValueError, match="formula of probabilities"):
        plan.resolve(f"{name}[score=logit]")


def test_logits_are_explicit():
    column = plan.resolve("average_increase[score=logit,top_fraction=0.5]")
    assert column.label == "average_increase[score=logit,top_fraction=0.5]"
    options = {f.name: dict(f.options) for root in column.inputs for f in root.walk()}
    assert options["image_score"] == options["masked_image_score"] == {"score": "logit"}
    assert options["masked_logit"] == {"top_fraction": 0.5}


def test_a_preset_fills_in_what_the_request_leaves_open():
    column = plan.resolve("localization_hit", preset="phang")
    assert dict(column.options) == {"strict_hit": True}
    options = {k: v for f in column.inputs[0].walk() for k, v in f.options}
    assert options == {"rule": "mean", "strict": True, "connectivity": 4}
    written = plan.resolve("localization_hit[connectivity=8]", preset="phang")
    options = {k: v for f in written.inputs[0].walk() for k, v in f.options}
    assert options["connectivity"] == 8


def test_seed_code_computes_dice_on_real_values():
    column = plan.resolve("dice", preset="seed_code")
    assert column.label == "dice"
    assert column.spec is registry.metric("soft_f_score")


@pytest.mark.parametrize("preset", presets.names())
@pytest.mark.parametrize("name", sorted(registry.all_metrics()))
def test_every_metric_resolves_under_every_preset(preset, name):
    assert plan.resolve(name, preset=preset).label == name


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("dice[gamma=1]", "has no option 'gamma'; it takes beta"),
        ("dice[region=circle]", "choose 'box' or 'mask'"),
        ("entropy", "There is no metric"),
        ("average_drop[region=box]", "has no option 'region'"),
    ],
)
def test_refusals(request_, message):
    with pytest.raises(ValueError, match=message):
        plan.resolve(request_)


def test_suites_are_made_of_metrics():
    for members in plan.SUITES.values():
        assert plan.resolve_all(members)
    expanded = plan.expand_suites(["paper", "dice"])
    assert len(expanded) == len(set(expanded)) == 14


def test_what_is_read_at_the_end_shares_the_vectors(monkeypatch):
    """Three readings of one curve, one computation of it."""
    names = [f"max_box_accuracy[sigma={s}]" for s in (0.3, 0.5, 0.7)]
    columns = plan.resolve_all(names)
    calls = []
    spec = columns[0].spec
    counted = dataclasses.replace(
        spec, fn=lambda *a, **k: calls.append(1) or spec.fn(*a, **k), name=spec.name
    )
    columns = [dataclasses.replace(column, spec=counted) for column in columns]
    given = fields_module.fields(0)
    values = plan._score_one(columns, given, {})
    assert len(calls) == 1
    assert list(values) == names
    with pytest.raises(ValueError, match=r"it takes connectivity, .*, sigma, "):
        plan.resolve("max_box_accuracy[tau=0.3]")


def test_jain_warps_the_truth_with_corners_apart():
    column = plan.resolve("warping_error", preset="jain")
    assert dict(column.options)["direction"] == "truth_to_prediction"
    assert dict(column.options)["connectivity"] == 4
    labelled = [f for root in column.inputs for f in root.walk()]
    assert {dict(f.options).get("connectivity") for f in labelled if f.options} == {4}
    unbounded = plan.resolve("warping_error_unbounded", preset="jain")
    assert dict(unbounded.options)["radius"] is None


def test_the_model_free_suite_is_every_metric_of_maps_and_truth():
    members = {
        column.spec.name for column in plan.resolve_all(plan.SUITES["model_free"])
    }
    asking = {"probability", "logit", "correct", "correct_top5", "target"}
    free = set()
    for name in registry.all_metrics():
        column = plan.resolve(name)
        if not plan.probe_fields([column]) and not names_of(column) & asking:
            free.add(name)
    assert members <= free
    left_out = {name for name in free - members if "warping" not in name}
    assert left_out == {
        "f_score",  # At its default it is dice.
        "box_accuracy_curve",  # The vectors are those of max_box_accuracy.
        "saliency_metric_area",  # A term of a metric that asks the model.
    }


def test_a_map_is_sorted_once():
    names = ("roc_auc", "average_precision")
    labels = [f"{name}[region={kind}]" for name in names for kind in ("mask", "box")]
    program = plan.score_program(plan.resolve_all([*labels, "gini_sparseness"]))
    given = fields_module.fields(0)
    shared = {name: given[name][None] for name in plan.SHARED_FIELDS}
    lowered = program.lower(shared, given["raw_saliency"][None, None])
    text = lowered.compile().as_text()
    assert len(re.findall(r" sort\(", text)) == 1


def test_the_official_error_may_read_the_first_five_classes():
    given = fields_module.fields(0)
    given |= {"correct": jnp.bool_(False), "correct_top5": jnp.bool_(True)}
    given["raw_saliency"] = given["mask"].astype(jnp.float32)  # A perfect map.
    names = ("official_localization_error", "official_localization_error_top5")
    columns = plan.resolve_all(names)
    base = {n: given[n] for n in (*plan.SHARED_FIELDS, *plan.MAP_FIELDS)}
    values = plan._score_one(columns, base, {})
    assert [float(values[name]) for name in names] == [1, 0]


@pytest.mark.parametrize("preset", ["phang", "jain"])
def test_a_shared_tree_is_that_of_the_metric_itself(preset):
    """Neither a preset's regions nor the run's normalization reach into it."""
    for name in ("best_box_iou", "max_mask_accuracy"):
        column = plan.resolve(name, preset=preset, normalization="unit_sum")
        (tree,) = (f for f in column.inputs if f.name == "threshold_tree")
        assert tree.options == ()
        (tree,) = (
            f
            for f in plan.resolve(f"{name}[connectivity=4]", preset=preset).inputs
            if f.name == "threshold_tree"
        )
        assert tree.options == (("connectivity", 4),)
