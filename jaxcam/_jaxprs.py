"""Running the equations of a jaxpr one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.extend as jex

from jaxcam._types import Array

_CALLS = frozenset(
    {"checkpoint", "closed_call", "core_call", "jit", "pjit", "remat", "remat2"}
)
_INSIDE = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def called(eqn: Any) -> tuple[Any, Sequence[Any]] | None:
    """The jaxpr and constants of an equation that only calls it, as a jit does."""
    if eqn.primitive.name not in _CALLS:
        return None
    inner = next(eqn.params[key] for key in _INSIDE if key in eqn.params)
    return getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())


def bind(jaxpr: Any, eqn: Any, values: Sequence[Array]) -> list[Array]:
    """Results of one equation of a jaxpr for any values of its operands.

    Its own rule of differentiation holds, if it has one.
    """
    places = {
        variable: value
        for variable, value in zip(eqn.invars, values, strict=True)
        if not isinstance(variable, jex.core.Literal)
    }
    alone = jaxpr.replace(
        constvars=[],
        invars=list(places),
        outvars=list(eqn.outvars),
        eqns=[eqn],
    )
    run = jex.core.jaxpr_as_fun(jex.core.ClosedJaxpr(alone, []))
    return list(run(*places.values()))
