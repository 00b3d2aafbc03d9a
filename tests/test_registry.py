"""What holds for every registered metric, so that a new one is covered at once."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcam
from jaxcam import catalogue, metrics, ops, plan, probes, registry
from tests import fields as fields_module

README = Path(__file__).resolve().parents[1] / "README.md"
METRICS = registry.all_metrics()
SIMILARITIES = registry.all_similarities()
KINDS = ("random", "constant", "one pixel", "huge")
SECTIONS = ("Args:", "Returns:", "Raises:", "Cost:", "Source:", ">>> ")

# Metrics of whole programs, tested where they are defined; too slow for this file.
SLOW = {"differentiable_warping_error"}

every_metric = pytest.mark.parametrize("name", sorted(set(METRICS) - SLOW))


def call(spec, given):
    """The metric on one image's fields, as the plan calls it."""
    names = inspect.signature(spec.fn).parameters
    extra = {name: given[name] for name in ("where", "key") if name in names}
    arguments = [given[name] for name in spec.inputs]
    return spec.fn(*arguments, **dict(spec.default_options), **extra)


def needed(spec, given):
    """The fields that the metric reads, so that nothing else is traced."""
    return {name: given[name] for name in {*spec.inputs, "where", "key"}}


@every_metric
def test_eager_jit_and_vmap_agree(name):
    spec = METRICS[name]
    rows = [needed(spec, fields_module.fields(seed)) for seed in range(3)]
    eager = [np.asarray(call(spec, row)) for row in rows]
    jitted = jax.jit(lambda row: call(spec, row))
    batch = jax.tree.map(lambda *x: jnp.stack(x), *rows)
    batched = jax.vmap(lambda row: call(spec, row))(batch)
    for i, expected in enumerate(eager):
        assert expected.dtype == np.float32
        assert expected.ndim == (0 if spec.reduce is None else 1)
        np.testing.assert_allclose(jitted(rows[i]), expected, rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(batched[i], expected, rtol=2e-5, atol=2e-6)


@every_metric
def test_a_second_batch_does_not_retrace(name):
    spec = METRICS[name]
    chex.clear_trace_counter()
    program = jax.jit(chex.assert_max_traces(lambda row: call(spec, row), n=1))
    for seed in range(3):
        program(needed(spec, fields_module.fields(seed)))


@every_metric
def test_values_do_not_depend_on_batch_mates(name):
    spec = METRICS[name]
    rows = [needed(spec, fields_module.fields(seed)) for seed in range(4)]

    @jax.jit
    def program(batch):
        return jax.lax.map(lambda row: call(spec, row), batch)

    def run(order):
        return np.asarray(program(jax.tree.map(lambda *x: jnp.stack(x), *order)))

    first, again = run(rows), run(rows[::-1])
    np.testing.assert_array_equal(first, again[::-1])


@every_metric
@pytest.mark.parametrize("kind", KINDS)
def test_values_stay_in_the_declared_range(name, kind):
    spec = METRICS[name]
    if spec.reduce is not None:
        pytest.skip("a vector an image; its reduction has the range")
    low, high = spec.range
    for seed in range(3):
        value = float(call(spec, needed(spec, fields_module.fields(seed, kind))))
        assert np.isnan(value) or low - 1e-5 <= value <= high + 1e-5, value


@pytest.mark.parametrize(
    "name", sorted(name for name, spec in METRICS.items() if spec.regions)
)
@pytest.mark.parametrize("region", ["mask", "box"])
def test_padding_changes_nothing_and_absent_truth_is_undefined(name, region):
    """Through the plan: a canvas twice as large, of which a part is image."""
    spec = METRICS[name]
    if region not in spec.regions or name in SLOW:
        pytest.skip("not defined on this region")
    column = plan.resolve(f"{name}[region={region}]")
    if plan.probe_fields([column]):
        pytest.skip("asks a model")
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

    def run(shared, raw):
        batch = jax.tree.map(lambda x: x[None], shared)
        out = plan.score_program((column,))(batch, raw[None, None])
        return np.asarray(out[column.label])

    np.testing.assert_allclose(run(padded, wide), run(shared, raw), rtol=1e-5)
    nothing = shared | {
        "mask": jnp.zeros_like(shared["mask"]),
        "box_valid": jnp.zeros_like(shared["box_valid"]),
    }
    assert np.isnan(run(nothing, raw)).all()


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


def modules_with_doctests():
    for package in (ops, metrics, probes):
        for info in pkgutil.iter_modules(package.__path__):
            yield f"{package.__name__}.{info.name}"
    yield from ("jaxcam._spec", "jaxcam.plan", "jaxcam.data.maps")


@pytest.mark.parametrize("name", list(modules_with_doctests()))
def test_doctests(name):
    module = importlib.import_module(name)
    globs = {"jax": jax, "jnp": jnp, "np": np}
    failed, _ = doctest.testmod(module, extraglobs=globs)
    assert failed == 0


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


def test_readme_tables_are_up_to_date():
    """`python -m benchmarks.make_readme` writes them."""
    text = README.read_text(encoding="utf-8")
    for section, expected in (
        ("metrics", catalogue.metrics_summary_markdown()),
        ("methods", catalogue.methods_markdown()),
    ):
        found = re.search(
            rf"<!-- begin: {section} -->\n(.*?)<!-- end: {section} -->", text, re.DOTALL
        )
        assert found is not None
        assert found[1].strip() == expected.strip()
    full = Path(jaxcam.__file__).parent / "metrics" / "README.md"
    assert catalogue.metrics_markdown() in full.read_text(encoding="utf-8")
