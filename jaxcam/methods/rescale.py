"""DeepLIFT's rescale rule for any traced function, without touching the function.

The function's jaxpr is run at the activation and at the reference. A linear operation
passes differences on as it is; an elementwise nonlinearity passes them on times the
slope between its two values. What results is a linear map of the input difference, and
its transpose gives the multipliers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend as jex
import jax.numpy as jnp

from jaxcam._types import Array

LINEAR = frozenset(
    {
        "add",
        "add_any",
        "broadcast_in_dim",
        "concatenate",
        "convert_element_type",
        "copy",
        "copy_p",
        "cumsum",
        "dynamic_slice",
        "expand_dims",
        "gather",
        "neg",
        "pad",
        "real",
        "reduce_sum",
        "reduce_window_sum",
        "reshape",
        "rev",
        "slice",
        "squeeze",
        "sub",
        "transpose",
    }
)
"""Linear in all their floating-point operands together."""

BILINEAR = frozenset({"mul", "dot_general", "conv_general_dilated"})
"""Linear as long as one operand alone depends on the activation."""

ELEMENTWISE = frozenset(
    {
        "abs",
        "clamp",
        "cos",
        "erf",
        "erf_inv",
        "erfc",
        "exp",
        "exp2",
        "expm1",
        "integer_pow",
        "log",
        "log1p",
        "logistic",
        "max",
        "min",
        "pow",
        "rsqrt",
        "sin",
        "sqrt",
        "square",
        "tan",
        "tanh",
    }
)
"""Nonlinear, value by value."""

_INSIDE = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def multipliers(
    fn: Callable[[Array], Array], activation: Array, reference: Array
) -> Array:
    """Multipliers of the difference `activation - reference`, summed over outputs.

    Args:
      fn: From float[...] to float[N].
      activation: float[...].
      reference: float[...], of the same shape.

    Returns:
      float[...]: times the difference, summed, they give `fn(activation) -
      fn(reference)` summed.

    Raises:
      ValueError: The function holds an operation that the rule does not cover.
    """
    closed = jax.make_jaxpr(fn)(activation)

    def passed_on(difference: Array) -> Array:
        triple = (activation, reference, difference)
        (out,) = _run(closed.jaxpr, closed.consts, [triple])
        return jnp.sum(out[2]) if isinstance(out, tuple) else jnp.zeros(())

    return jax.grad(passed_on)(activation - reference)


def _run(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """Values of the outputs; a triple (value, at reference, difference) if they depend.

    What does not depend on the activation is a plain value.
    """
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    known |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, jex.core.Literal) else known[atom]

    for eqn in jaxpr.eqns:
        outputs = _step(eqn, [read(atom) for atom in eqn.invars])
        known |= dict(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _step(eqn: Any, operands: list[Any]) -> list[Any]:
    name = eqn.primitive.name
    dependent = [i for i, x in enumerate(operands) if isinstance(x, tuple)]
    inner = next((eqn.params[key] for key in _INSIDE if key in eqn.params), None)
    if inner is not None:
        jaxpr, consts = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
        return _run(jaxpr, consts, operands)

    def bind(*values: Any) -> list[Any]:
        out = eqn.primitive.bind(*values, **eqn.params)
        return list(out) if eqn.primitive.multiple_results else [out]

    if not dependent:
        return bind(*operands)
    if not _covered(name, operands, dependent):
        raise ValueError(
            f"DeepLIFT's rescale rule does not cover the operation {name!r} between "
            "the layer and the logits; tap a later layer, or use ablation_cam."
        )
    values = bind(*(x[0] if isinstance(x, tuple) else x for x in operands))
    at_reference = bind(*(x[1] if isinstance(x, tuple) else x for x in operands))
    if name in ELEMENTWISE:
        (x,) = (operands[i] for i in dependent)
        difference = [_slope(bind, operands, values[0], at_reference[0]) * x[2]]
    else:
        difference = _linear_part(bind, operands)
    return list(zip(values, at_reference, difference, strict=True))


def _covered(name: str, operands: list[Any], dependent: list[int]) -> bool:
    if name == "select_n":
        return not isinstance(operands[0], tuple)
    if name == "div":
        return dependent == [0]
    if name in BILINEAR or name in ELEMENTWISE:
        return len(dependent) == 1
    return name in LINEAR


def _slope(
    bind: Callable[..., list[Any]], operands: list[Any], value: Any, at_reference: Any
) -> Array:
    """Slope of an elementwise operation; its derivative where nothing moved."""
    (i,) = (i for i, x in enumerate(operands) if isinstance(x, tuple))
    x, start, _ = operands[i]

    def of(x: Array) -> Array:
        return bind(*(x if j == i else other for j, other in enumerate(operands)))[0]

    derivative = jax.jvp(of, (x,), (jnp.ones_like(x),))[1]
    run = x - start
    moved = jnp.abs(run) > 1e-6 * jnp.maximum(jnp.abs(x), jnp.abs(start))
    slope = (value - at_reference) / jnp.where(moved, run, 1.0)
    return jax.lax.stop_gradient(jnp.where(moved, slope, derivative))


def _linear_part(bind: Callable[..., list[Any]], operands: list[Any]) -> list[Any]:
    """The operation's derivative along the differences: itself, constants left out."""
    places = [i for i, x in enumerate(operands) if isinstance(x, tuple)]

    def of(*dependent: Array) -> list[Any]:
        given = dict(zip(places, dependent, strict=True))
        return bind(*(given.get(i, x) for i, x in enumerate(operands)))

    values = [operands[i][0] for i in places]
    return jax.jvp(of, values, [operands[i][2] for i in places])[1]
