"""Everything that can be asked for by name: metrics, methods, probes, fields, models.

A module of `jaxcam.metrics`, `jaxcam.methods` or `jaxcam.probes` registers what it
holds by ending in `SPECS = (...)`; a module of derived fields by ending in
`FIELDS = (...)`. There is no other list to keep.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any, Literal

from jaxcam import _spec, data, methods, metrics, models, probes

Kind = Literal["metrics", "methods", "probes", "fields", "models", "data"]


def _specs(package: ModuleType, attribute: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda i: i.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for spec in getattr(module, attribute, ()):
            if spec.name in found:
                raise ValueError(f"{spec.name!r} is registered twice.")
            found[spec.name] = spec
    return MappingProxyType(found)


@functools.cache
def all_metrics() -> Mapping[str, _spec.MetricSpec]:
    """Every metric by name.

    Returns:
      What is known of each: its function, range, direction, options, source.

    >>> all_metrics()["pointing_game"].range
    (0.0, 1.0)
    """
    return _specs(metrics, "SPECS")


@functools.cache
def all_similarities() -> Mapping[str, _spec.MetricSpec]:
    """Measures of two maps by name: functions, as a row of results has one map.

    Returns:
      What is known of each, as of a metric.

    >>> all_similarities()["ssim"].range
    (-1.0, 1.0)
    """
    return _specs(metrics, "SIMILARITIES")


def all_methods() -> Mapping[str, _spec.MethodSpec]:
    """Every explanation method by name, floors included.

    Returns:
      What is known of each: its function, options, cost, source.

    >>> all_methods()["grad_cam"].source
    'Selvaraju et al. 2017'
    """
    return methods.table()


@functools.cache
def all_probes() -> Mapping[str, _spec.ProbeSpec]:
    """Every probe by name.

    Returns:
      What is known of each: its function, the fields that it makes, its options.

    >>> all_probes()["masked_score"].outputs
    ('masked_probability', 'masked_logit')
    """
    return _specs(probes, "SPECS")


@functools.cache
def all_fields() -> Mapping[str, _spec.FieldSpec]:
    """Every derived field by name.

    Returns:
      What is known of each: its function, what it is derived from, its options.

    >>> all_fields()["predicted_box"].inputs
    ('predicted_mask',)
    """
    return _specs(metrics, "FIELDS")


def names(kind: Kind) -> tuple[str, ...]:
    """Names of everything of one kind, sorted.

    Args:
      kind: "metrics", "methods", "probes", "fields", "models" or "data".

    Returns:
      The names, as functions, columns and command-line options spell them.

    Raises:
      ValueError: `kind` is another word.

    >>> [name for name in names("metrics") if name.startswith("localization_")]
    ['localization_error', 'localization_hit', 'localization_recall_precision_error']
    """
    tables = {
        "metrics": all_metrics,
        "methods": all_methods,
        "probes": all_probes,
        "fields": all_fields,
        "models": models.names,
        "data": data.names,
    }
    if kind not in tables:
        raise ValueError(f"kind={kind!r} is not known; choose one of {list(tables)}.")
    return tuple(sorted(tables[kind]()))


def metric(request: str | _spec.Request) -> _spec.MetricSpec:
    """What is known of a metric.

    Args:
      request: Its name, with options where wanted: "f_score[beta=2]".

    Returns:
      Its entry in `all_metrics`: `fn`, `range`, `direction` (1 if higher is better, -1
      if lower is, 0 if neither) and more.

    Raises:
      ValueError: There is no such metric; the message names the nearest ones.

    >>> metric("deletion").direction
    -1
    """
    return _look_up("metric", all_metrics(), request)


def method(request: str | _spec.Request) -> _spec.MethodSpec:
    """What is known of a method.

    Args:
      request: Its name, with options where wanted: "grad_cam[layer=layer3]".

    Returns:
      Its entry in `all_methods`: `fn`, `cost`, `source`, `floor` and more.

    Raises:
      ValueError: There is no such method; the message names the nearest ones.

    >>> method("uniform").floor, method("grad_cam").floor
    (True, False)
    """
    return _look_up("method", all_methods(), request)


def probe_of(field: str) -> _spec.ProbeSpec | None:
    """The probe that makes a field, if one does.

    Args:
      field: Name of a field, an argument of metrics.

    Returns:
      Its entry in `all_probes`, `None` if no probe makes the field.

    >>> probe_of("deletion_scores").name, probe_of("mask")
    ('deletion_scores', None)
    """
    for probe in all_probes().values():
        if field in probe.outputs:
            return probe
    return None


def floors() -> tuple[str, ...]:
    """Names of the methods that every table shows as floors or ceiling.

    Returns:
      The names.

    >>> "uniform" in floors(), "grad_cam" in floors()
    (True, False)
    """
    return tuple(name for name, spec in all_methods().items() if spec.floor)


def _look_up(kind: str, table: Mapping[str, Any], request: str | _spec.Request) -> Any:
    name = _spec.parse(request).name
    if name not in table:
        near = difflib.get_close_matches(name, table, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise ValueError(
            f"There is no {kind} {name!r}{hint} `jaxcam list {kind}s` shows them all."
        )
    return table[name]
