"""From a selection of metrics to compiled programs.

A metric names its inputs. `resolve` turns a request into a `Column`: which fields with
which options feed the metric, and which probes must ask the model for them. Columns
that need the same field with the same options share it. `score_rows` compiles one
program for all columns; `probe_rows` one for all probes.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxcam import _devices, _spec, registry
from jaxcam._types import Array
from jaxcam.metrics import presets
from jaxcam.suites import SUITES

SHARED_FIELDS = (
    "mask",
    "where",
    "frame",
    "boxes",
    "box_valid",
    "target",
    "predicted_class",
    "correct",
    "correct_top5",
    "label_known",
    "probability",
    "logit",
    "key",
)
"""Fields that every map of an image shares."""

MAP_FIELDS = ("raw_saliency",)
"""Fields of one map."""

MODEL_FIELDS = ("x", "black", "white")
"""Fields that only probes read."""

_PROBES = zlib.crc32(b"probes")
"""Folded into the images' keys for probes: methods and floors draw from the keys
themselves, and the order of equally salient pixels must not be that of a floor."""

_BASE = frozenset(SHARED_FIELDS + MAP_FIELDS + MODEL_FIELDS)


@dataclasses.dataclass(frozen=True)
class Field:
    """A field with its options, and the fields it is made of."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    inputs: tuple[Field, ...] = ()

    def walk(self) -> Iterator[Field]:
        """This field after everything it is made of."""
        for field in self.inputs:
            yield from field.walk()
        yield self


@dataclasses.dataclass(frozen=True)
class Column:
    """A metric with everything about it decided: one column of the results.

    Attributes:
      label: The request as written in tables and files.
      spec: The metric.
      options: Keyword options bound to its function.
      inputs: Fields passed to it by position.
      where: Which pixels count, if it asks for them.
      truth: Which kind of truth must be present for it to be defined.
    """

    label: str
    spec: _spec.MetricSpec
    options: tuple[tuple[str, Any], ...]
    inputs: tuple[Field, ...]
    where: Field | None
    truth: str | None


def resolve(
    request: str | _spec.Request,
    *,
    preset: str = "paper",
    normalization: str | None = None,
) -> Column:
    """Decides the fields and options of one requested metric.

    Args:
      request: `name` or `name[option=value,...]`.
      preset: The named convention that fills in what the request leaves open.
      normalization: How maps are brought to [0, 1]; the preset's way by default.

    Returns:
      The column; its label carries every option that was written.

    Raises:
      ValueError: unknown metric, preset or option, or an option nothing reads.
    """
    request = _spec.parse(request)
    convention = presets.get(preset)
    spec = registry.metric(convention.substitutes.get(request.name, request.name))
    written = dict(request.options)
    metric_options = presets.metric_options(convention, spec.name)
    wanted = {**spec.default_options, **metric_options, **written}
    defaults = dict(convention.fields)
    if normalization is not None:
        defaults["normalization"] = normalization

    regions = _regions(spec, wanted)
    resolver = _FieldResolver(defaults, wanted)
    inputs = tuple(resolver.field(regions.get(name, name)) for name in spec.inputs)
    options = {name: wanted[name] for name in spec.options if name in wanted}

    of_regions = ("region", "predicted", "truth") if spec.regions else ()
    at_the_end = () if spec.reduce is None else _spec.keyword_options(spec.reduce)
    known = {*options, *resolver.used, *at_the_end, *of_regions} - {*spec.fixed}
    unread = sorted(set(wanted) - known)
    if unread:
        accepted = sorted({*spec.options, *resolver.accepted, *at_the_end})
        accepted = [name for name in accepted if name not in spec.fixed]
        accepted = [*accepted, *of_regions]
        of_probabilities = any("probability" in name for name in spec.inputs)
        if unread[0] == "score" and (of_probabilities or "score" in spec.fixed):
            raise ValueError(
                f"{spec.name} is a formula of probabilities, and a logit may be "
                "negative or above 1; leave out score=, or use absolute_drop or "
                "average_increase."
            )
        raise ValueError(
            f"{spec.name} has no option {unread[0]!r}; it takes {', '.join(accepted)}."
        )
    return Column(
        label=str(request),
        spec=spec,
        options=tuple(sorted(options.items())),
        inputs=inputs,
        where=_valid_pixels(spec, regions),
        truth=_truth_kind(spec, regions, inputs),
    )


def resolve_all(
    requests: Iterable[str | _spec.Request],
    *,
    preset: str = "paper",
    normalization: str | None = None,
) -> tuple[Column, ...]:
    """Resolves every request once, in order, companions behind their metric."""
    columns: dict[str, Column] = {}
    for request in requests:
        parsed = _spec.parse(request)
        companions = registry.metric(parsed).companions
        for one in (parsed, *(_companion(text, parsed) for text in companions)):
            column = resolve(one, preset=preset, normalization=normalization)
            columns.setdefault(column.label, column)
    return tuple(columns.values())


def _companion(text: str, main: _spec.Request) -> _spec.Request:
    """A companion with the options of its metric, less those that it does not read."""
    own = _spec.parse(text)
    spec = registry.metric(own)
    resolver = _FieldResolver({}, {})
    for name in spec.inputs:
        if name not in ("predicted", "truth"):
            resolver.field(name)
    read = {*spec.options, *resolver.accepted} - {*spec.fixed}
    options = main.options
    if own.options:  # One of several columns of a metric of its own.
        options = tuple(item for item in options if item[0] in read)
    return _spec.Request(own.name, (*options, *own.options))


def expand_suites(names: Iterable[str]) -> tuple[str, ...]:
    """Requests with every suite replaced by its members, each once, in order.

    >>> expand_suites(["classification", "average_drop"])
    ('average_drop', 'average_increase', 'saliency_metric')
    """
    requests: dict[str, None] = {}
    for name in names:
        for member in SUITES.get(name, (name,)):
            requests.setdefault(str(_spec.parse(member)))
    return tuple(requests)


def _regions(spec: _spec.MetricSpec, wanted: Mapping[str, Any]) -> dict[str, str]:
    """What the pseudo-inputs `predicted` and `truth` stand for."""
    if not spec.regions:
        return {}
    region = wanted.get("region", spec.regions[0])
    predicted = wanted.get("predicted", region)
    truth = wanted.get("truth", region)
    for name, value in (("region", region), ("predicted", predicted), ("truth", truth)):
        if value not in ("box", "mask"):
            raise ValueError(f"{name}={value!r} is not known; choose 'box' or 'mask'.")
    compares = "predicted" in spec.inputs
    truth_box = "matched_box_region" if compares else "truth_box_region"
    return {
        "predicted": "predicted_box_region" if predicted == "box" else "predicted_mask",
        "truth": truth_box if truth == "box" else "mask",
    }


def _valid_pixels(spec: _spec.MetricSpec, regions: Mapping[str, str]) -> Field | None:
    if "where" not in inspect.signature(spec.fn).parameters:
        return None
    on_mask = regions.get("truth") == "mask" or "mask" in spec.inputs
    return Field("where" if on_mask else "frame")


def _truth_kind(
    spec: _spec.MetricSpec, regions: Mapping[str, str], inputs: Sequence[Field]
) -> str | None:
    if "truth" in spec.inputs:
        return "mask" if regions["truth"] == "mask" else "box"
    # What a metric reads itself decides before what its fields are made of.
    own = {field.name for field in inputs}
    for used in (own, {field.name for root in inputs for field in root.walk()}):
        if "boxes" in used:
            return "box"
        if "mask" in used:
            return "mask"
    return None


class _FieldResolver:
    """Resolves field names to trees, noting which options were read on the way."""

    def __init__(self, defaults: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        self.own, self.options = own, {**defaults, **own}
        self.used: set[str] = set()
        self.accepted: set[str] = set()

    def field(self, name: str) -> Field:
        if name in _BASE:
            return Field(name)
        spec = registry.all_fields().get(name) or registry.probe_of(name)
        if spec is None:
            raise ValueError(f"Nothing makes the field {name!r}.")
        self.accepted |= set(spec.options)
        given = self.own if getattr(spec, "of_the_metric", False) else self.options
        options = {k: given[k] for k in spec.options if k in given}
        self.used |= set(options)
        inputs = tuple(self.field(inner) for inner in spec.inputs)
        return Field(name, tuple(sorted(options.items())), inputs)


def _evaluate(field: Field, base: Mapping[str, Array], memo: dict[Field, Any]) -> Any:
    """The value of a field for one row; equal fields are computed once."""
    if field.name in base:
        return base[field.name]
    if field not in memo:
        spec = registry.all_fields()[field.name]
        arguments = [_evaluate(inner, base, memo) for inner in field.inputs]
        memo[field] = spec.fn(*arguments, **dict(field.options))
    return memo[field]


def _score_one(
    columns: Sequence[Column], base: Mapping[str, Array], memo: dict[Field, Any]
) -> dict[str, Array]:
    """Every column's value for one row."""
    present = {
        "mask": jnp.any(base["mask"] & base["where"]),
        "box": jnp.any(base["box_valid"]),
        None: jnp.bool_(True),
    }
    values, computed = {}, {}  # Columns may differ in what is read at the end only.
    for column in columns:
        keywords = dict(column.options)
        if column.where is not None:
            keywords["where"] = _evaluate(column.where, base, memo)
        if "key" in inspect.signature(column.spec.fn).parameters:
            keywords["key"] = base["key"]
        same = (column.spec.fn, column.inputs, column.options, column.where)
        if same not in computed:
            arguments = [_evaluate(field, base, memo) for field in column.inputs]
            computed[same] = column.spec.fn(*arguments, **keywords)
        value = computed[same]
        defined = present[column.truth]
        if {"correct", "correct_top5"} & {field.name for field in column.inputs}:
            defined = defined & base["label_known"]
        values[column.label] = jnp.where(defined, value, jnp.nan)
    return values


def _over_rows(
    one: Callable[[dict[str, Array], Any], Any], shared: dict[str, Array], per_map: Any
) -> Any:
    """Runs `one(image, map)` for every map of every image: `[M, B, ...]`.

    On CPU rows are looped over: loop-heavy kernels (labelling, trees) then branch and
    stop row by row, and temporaries stay in the cache. Elsewhere they are batched.
    """
    maps, batch = jax.tree.leaves(per_map)[0].shape[:2]
    if jax.default_backend() != "cpu":
        return jax.vmap(jax.vmap(one), in_axes=(None, 0))(shared, per_map)

    def row(i):
        image = jax.tree.map(lambda x: x[i % batch], shared)
        return one(image, jax.tree.map(lambda x: x[i // batch, i % batch], per_map))

    flat = jax.lax.map(row, jnp.arange(maps * batch))
    return jax.tree.map(lambda x: x.reshape(maps, batch, *x.shape[1:]), flat)


@functools.lru_cache(maxsize=64)
def score_program(columns: tuple[Column, ...]) -> Callable[..., dict[str, Array]]:
    """One compiled program for all columns.

    Returns:
      A function of `shared` (`{name: array[B, ...]}`, what every map of an image
      shares), `raw_saliency` `float32[M, B, H, W]` and `answers` (a tuple of
      `array[M, B, ...]` in the order of `probe_fields(columns)`) that gives
      `{label: float32[M, B, ...]}`.
    """
    fields = probe_fields(columns)

    def program(shared, raw_saliency, answers=()):
        def one(image, this):
            raw, answered = this
            memo = dict(zip(fields, answered, strict=True))
            return _score_one(columns, {**image, "raw_saliency": raw}, memo)

        return _over_rows(one, shared, (raw_saliency, answers))

    return _devices.over_batch(program, (0, 1, 1), 1)


def probe_fields(columns: Iterable[Column]) -> tuple[Field, ...]:
    """The fields that only a model can answer, each once, in a fixed order."""
    found: dict[Field, None] = {}
    for column in columns:
        for root in column.inputs:
            for field in root.walk():
                if registry.probe_of(field.name) is not None:
                    found.setdefault(field)
    return tuple(found)


def probe_program(
    predict: Callable[[Any, Array], Array],
    fields: tuple[Field, ...],
    explain: Callable[..., Array] | None = None,
) -> Callable[..., tuple[Array, ...]]:
    """Compiled programs that answer every probe field.

    Args:
      predict: `(params, x) -> logits`.
      fields: As `probe_fields` gives them.
      explain: `(params, x, targets, shared) -> float32[M, B, H, W]`, the methods that
        made the maps, for probes that ask for others; see `_spec.Explainer`.

    Returns:
      A function of `(params, model_inputs, shared, raw_saliency, advance=None)` that
      gives one `array[M, B, ...]` a field, in order. A probe that makes several of the
      fields runs once; one that reads no map runs once for all maps. Probes share one
      program but for the long ones, each of which is called map by map; then
      `advance(name, steps)` hears of each finished call, out of `long_steps` a batch.
    """
    calls = _probe_calls(fields)
    short = [call for call in calls if not call.spec.long]
    together = _answering(predict, short, explain)
    apart = [(call, _answering(predict, [call], explain)) for call in calls]
    apart = [(call, answering) for call, answering in apart if call.spec.long]

    def program(params, model_inputs, shared, raw_saliency, advance=None):
        answers = together(params, model_inputs, shared, raw_saliency) if short else {}
        for call, answering in apart:
            parts = [raw_saliency]
            if call.kind == "map":
                parts = [raw[None] for raw in raw_saliency]
            found = []
            for part in parts:
                found.append(answering(params, model_inputs, shared, part))
                if advance is not None:
                    jax.block_until_ready(found[-1])
                    advance(call.spec.name, 1)
            answers |= jax.tree.map(lambda *values: jnp.concatenate(values), *found)
        return tuple(answers[number] for number in range(len(fields)))

    return program


def long_steps(fields: tuple[Field, ...], maps: int) -> dict[str, int]:
    """How often each long probe is called for a batch with so many maps an image."""
    steps: dict[str, int] = {}
    for call in _probe_calls(fields):
        if call.spec.long:
            name = call.spec.name
            steps[name] = steps.get(name, 0) + (maps if call.kind == "map" else 1)
    return steps


@dataclasses.dataclass(frozen=True)
class _ProbeCall:
    """A probe with its options and inputs, and the fields it answers by their number.

    Attributes:
      kind: What it is run on: an "image", one "map" of it, or all its "maps".
    """

    spec: _spec.ProbeSpec
    options: tuple[tuple[str, Any], ...]
    inputs: tuple[Field, ...]
    wanted: dict[int, str]
    kind: str


def _probe_calls(fields: tuple[Field, ...]) -> list[_ProbeCall]:
    calls: dict[tuple, _ProbeCall] = {}
    for number, field in enumerate(fields):
        spec = registry.probe_of(field.name)
        same = (spec.name, field.options, field.inputs)
        kind = _probe_kind(spec, field.inputs)
        call = _ProbeCall(spec, field.options, field.inputs, {}, kind)
        calls.setdefault(same, call).wanted[number] = field.name
    return list(calls.values())


def _answering(
    predict: Callable[[Any, Array], Array],
    calls: Sequence[_ProbeCall],
    explain: Callable[..., Array] | None,
) -> Callable[..., dict[int, Array]]:
    """One compiled program: the answers of the calls, by the number of the field."""
    derived = tuple(
        {f: None for call in calls for f in call.inputs if f.name not in _BASE}
    )

    def run(kind: str, ask: Any, base: Mapping, known: Mapping) -> dict[int, Array]:
        answers = {}
        for call in calls:
            if call.kind != kind:
                continue
            arguments = [known[f] if f in known else base[f.name] for f in call.inputs]
            out = call.spec.fn(ask, *arguments, **dict(call.options))
            answers |= {number: out[name] for number, name in call.wanted.items()}
        return answers

    def program(params, model_inputs, shared, raw_saliency):
        ask = functools.partial(predict, params)
        keys = jax.vmap(lambda key: jax.random.fold_in(key, _PROBES))(shared["key"])
        base = {**shared, **model_inputs, "key": keys}
        maps = len(raw_saliency)

        def one(image, raw):
            memo: dict[Field, Any] = {}
            here = {**image, "raw_saliency": raw}
            return tuple(_evaluate(field, here, memo) for field in derived)

        made = _over_rows(one, shared, raw_saliency) if derived else ()

        def of_map(i):
            here = {**base, "raw_saliency": raw_saliency[i]}
            return here, dict(zip(derived, (m[i] for m in made), strict=True))

        once = run("image", ask, *of_map(0))
        answers = {
            number: jnp.broadcast_to(value[None], (maps, *value.shape))
            for number, value in once.items()
        }
        answers |= jax.lax.map(lambda i: run("map", ask, *of_map(i)), jnp.arange(maps))
        if explain is not None:
            maps_again = functools.partial(explain, shared=shared)
            ask = _spec.Explainer(maps=maps_again, params=params, predict=predict)
            here = {**base, "raw_saliency": raw_saliency}
            answers |= run("maps", ask, here, dict(zip(derived, made, strict=True)))
        return answers

    axes = None, 0, 0, 1
    return _devices.over_batch(program, axes, 1, network=True)


def _probe_kind(spec: _spec.ProbeSpec, inputs: Iterable[Field]) -> str:
    """What a probe is run on: an "image", one "map" of it, or all its "maps"."""
    if spec.asks == "explain":
        return "maps"
    read = {field.name for root in inputs for field in root.walk()}
    return "map" if read & set(MAP_FIELDS) else "image"
