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
    """Every metric by name."""
    return _specs(metrics, "SPECS")


@functools.cache
def all_similarities() -> Mapping[str, _spec.MetricSpec]:
    """Measures of two maps by name: functions, as a row of results has one map."""
    return _specs(metrics, "SIMILARITIES")


def all_methods() -> Mapping[str, _spec.MethodSpec]:
    """Every explanation method by name, floors included."""
    return methods.table()


@functools.cache
def all_probes() -> Mapping[str, _spec.ProbeSpec]:
    """Every probe by name."""
    return _specs(probes, "SPECS")


@functools.cache
def all_fields() -> Mapping[str, _spec.FieldSpec]:
    """Every derived field by name."""
    return _specs(metrics, "FIELDS")


def names(kind: Kind) -> tuple[str, ...]:
    """Names of everything of one kind, sorted.

    Args:
      kind: "metrics", "methods", "probes", "fields", "models" or "data".

    Returns:
      The names, as functions, columns and command-line options spell them.

    Raises:
      ValueError: `kind` is another word.
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
    """The spec of a metric; an unknown name is refused with its nearest neighbours."""
    return _look_up("metric", all_metrics(), request)


def method(request: str | _spec.Request) -> _spec.MethodSpec:
    """The spec of a method; an unknown name is refused with its nearest neighbours."""
    return _look_up("method", all_methods(), request)


def probe_of(field: str) -> _spec.ProbeSpec | None:
    """The probe that makes a field, if one does."""
    for probe in all_probes().values():
        if field in probe.outputs:
            return probe
    return None


def floors() -> tuple[str, ...]:
    """Names of the methods that every table shows as floors or ceiling."""
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
