"""What holds for every registered metric, so that a new one is covered at once."""

import functools
import inspect
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics, plan, registry
from tests import fields as fields_module

METRICS = registry.all_metrics()
SIMILARITIES = registry.all_similarities()
KINDS = ("random", "constant", "one pixel", "huge")
SECTIONS = ("Args:", "Returns:", "Raises:", "Cost:", "Source:", ">>> ")

# Metrics of whole programs, tested where they are defined; too slow for this file.
SLOW = {"differentiable_warping_error"}

# Long to compile; quick tests of the tree, and of events, stand for them.
LONG = {"box_accuracy_curve", "best_box_iou", "best_mask_iou", "warping_events"}


def marked(names, long):
    """Parameters, of which the long ones are marked slow."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] if name in long else [])
        for name in names
    ]


every_metric = pytest.mark.parametrize(
    "name", marked(sorted(set(METRICS) - SLOW), LONG)
)


def call(spec, given):
    """The metric on one image's fields, as the plan calls it."""
    names = inspect.signature(spec.fn).parameters
    extra = {name: given[name] for name in ("where", "key") if name in names}
    arguments = [given[name] for name in spec.inputs]
    own = {k: v for k, v in spec.default_options.items() if k in spec.options}
    return spec.fn(*arguments, **own, **extra)


def needed(spec, given):
    """The fields that the metric reads, so that nothing else is traced."""
    return {name: given[name] for name in {*spec.inputs, "where", "key"}}


@every_metric
def test_eager_looped_and_batched_agree(name):
    """One test a metric, because compiling it is what takes the time.

    Eager calls, a loop over images as on CPU and `vmap` as on accelerators give the
    same values; a second batch traces nothing anew; a value has the same bits
    whatever its batch-mates and its place; all are in the declared range.
    """
    spec = METRICS[name]
    cases = [(seed, kind) for kind in KINDS for seed in range(3)]
    rows = [needed(spec, fields_module.fields(*case)) for case in cases]
    chex.clear_trace_counter()
    one = chex.assert_max_traces(lambda row: call(spec, row), n=2)  # Loop and batch.
    programs = [
        jax.jit(functools.partial(jax.lax.map, one)),
        jax.jit(jax.vmap(one)),
    ]
    shuffled = np.random.default_rng(0).permutation(len(rows))
    found = []
    for program in programs:
        straight = np.asarray(program(stacked(rows)))
        again = np.asarray(program(stacked([rows[i] for i in shuffled])))
        np.testing.assert_array_equal(again, straight[shuffled])
        found.append(straight)
    looped, batched = found
    np.testing.assert_allclose(batched, looped, rtol=2e-5, atol=2e-6)
    for i in range(2):
        eager = np.asarray(call(spec, rows[i]))
        assert eager.dtype == np.float32
        assert eager.ndim == 0 or (eager.ndim == 1 and spec.reduce is not None)
        np.testing.assert_allclose(looped[i], eager, rtol=2e-5, atol=2e-6)
    if spec.reduce is None:  # The reduction of vectors has the range.
        low, high = spec.range
        inside = (looped >= low - 1e-5) & (looped <= high + 1e-5)
        assert (np.isnan(looped) | inside).all(), looped


def stacked(rows):
    return jax.tree.map(lambda *x: jnp.stack(x), *rows)


def region_columns():
    """Every metric of regions, on each, through the plan; none that asks a model."""
    for name in sorted(set(METRICS) - SLOW):
        for region in METRICS[name].regions:
            column = plan.resolve(f"{name}[region={region}]")
            if not plan.probe_fields([column]):
                yield column


def test_padding_changes_nothing_and_absent_truth_is_undefined():
    """A canvas twice as large, of which a part is image; all metrics in one program."""
    columns = tuple(region_columns())
    assert len(columns) > 30
    given = fields_module.fields(5)
    shared = {n: given[n] for n in plan.SHARED_FIELDS}
    images = {
        "mask": ((0, 5), (0, 3)),
        "where": ((0, 5), (0, 3)),
        "frame": ((0, 5), (0, 3)),
    }
    padded = {n: jnp.pad(x, images[n]) if n in images else x for n, x in shared.items()}
    raw = given["raw_saliency"]
    wide = jnp.pad(raw, images["mask"], constant_values=9e9)
    nothing = shared | {
        "mask": jnp.zeros_like(shared["mask"]),
        "box_valid": jnp.zeros_like(shared["box_valid"]),
    }

    def run(shared, raw):
        batch = jax.tree.map(lambda x: x[None], shared)
        out = plan.score_program(columns)(batch, raw[None, None])
        return {name: np.asarray(value) for name, value in out.items()}

    straight, with_padding, without_truth = (
        run(shared, raw),
        run(padded, wide),
        run(nothing, raw),
    )
    changed = [
        name
        for name, value in straight.items()
        if not np.allclose(with_padding[name], value, rtol=1e-5, equal_nan=True)
    ]
    assert not changed
    assert not [n for n, value in without_truth.items() if not np.isnan(value).all()]


@pytest.mark.parametrize("name", sorted({**METRICS, **SIMILARITIES}.keys() - SLOW))
def test_docstrings_say_everything(name):
    text = inspect.getdoc({**METRICS, **SIMILARITIES}[name].fn)
    positions = [text.find(section) for section in SECTIONS]
    missing = [s for s, at in zip(SECTIONS, positions, strict=True) if at < 0]
    assert not missing
    assert positions == sorted(positions), "sections are out of order"
    assert ".. math::" in text or "::" in text or "formula" in text.lower()


@pytest.mark.parametrize(
    "spec",
    [
        *METRICS.values(),
        *SIMILARITIES.values(),
        *registry.all_fields().values(),
        *registry.all_probes().values(),
    ],
    ids=lambda spec: spec.name,
)
def test_options_are_keyword_only(spec):
    for parameter in inspect.signature(spec.fn).parameters.values():
        if parameter.name in spec.inputs:
            continue  # A field may be left out when the function is called directly.
        optional = parameter.default is not inspect.Parameter.empty
        assert not optional or parameter.kind is parameter.KEYWORD_ONLY, parameter
    assert set(spec.static) <= set(spec.options)


@pytest.mark.parametrize("name", sorted(registry.all_methods()))
def test_every_method_is_defined_by_a_formula_and_its_options(name):
    spec = registry.all_methods()[name]
    text = inspect.getdoc(spec.fn)
    sections = [text.find(s) for s in (".. math::", "Args:", "Cost:", "Source:")]
    assert -1 not in sections
    assert sections == sorted(sections), "sections are out of order"
    for option in spec.options:
        assert re.search(rf"^  {option}: ", text, re.MULTILINE), option


def test_unknown_names_are_refused_with_their_neighbours():
    with pytest.raises(ValueError, match="did you mean"):
        registry.metric("localisation_error")
    with pytest.raises(ValueError, match="did you mean"):
        registry.method("gradcam")
    with pytest.raises(ValueError, match="choose one of"):
        registry.names("metric")


def test_every_metric_is_exported_under_its_name():
    for name, spec in {**METRICS, **SIMILARITIES}.items():
        if spec.fn.__name__ == name:
            assert getattr(metrics, name) is spec.fn
