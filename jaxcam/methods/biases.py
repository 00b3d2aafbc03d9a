"""A traced network's output as its input's share and a share of every bias.

A piecewise linear network is `f(x) = J x + sum of (df/dz) b` over its biases `b`, each
added to an activation `z`. The biases are found in the function's jaxpr, whoever wrote
it: constants added, batch normalisation's included, and the offsets of the tangents of
activations that do not pass through zero.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend as jex
import jax.numpy as jnp
import numpy as np

from jaxcam import _jaxprs
from jaxcam._types import Array
from jaxcam.methods import rescale

_ADDING = frozenset({"add", "add_any", "concatenate", "pad", "select_n", "sub"})
"""Affine operations that may bring in a constant."""

_IN_PLACE = frozenset(
    {"add", "convert_element_type", "copy", "div", "mul", "neg", "sub"}
)
"""Value by value and affine: a layer's biases pass through them and become one."""

_HOMOGENEOUS = frozenset(
    {
        "abs",
        "cummax",
        "max",
        "min",
        "reduce_max",
        "reduce_min",
        "reduce_window_max",
        "reduce_window_min",
    }
)
"""Scale with their operands, as long as these all depend on the input or are zero."""


@dataclasses.dataclass(frozen=True)
class _Step:
    """One operation; operands and results are numbers of values, `jaxpr` is around."""

    jaxpr: Any
    eqn: Any
    operands: tuple[int, ...]
    results: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.eqn.primitive.name

    def bind(self, values: Sequence[Array]) -> list[Array]:
        """Results for other values of the operands."""
        return _jaxprs.bind(self.jaxpr, self.eqn, values)


@dataclasses.dataclass
class _Program:
    """A jaxpr without calls inside of it.

    Attributes:
      steps: Its operations, in order.
      constants: Values known before, by number.
      inputs: Numbers of its arguments.
      outputs: Numbers of its results.
      floats: Numbers of the values that are floating point.
    """

    steps: list[_Step] = dataclasses.field(default_factory=list)
    constants: dict[int, Any] = dataclasses.field(default_factory=dict)
    inputs: list[int] = dataclasses.field(default_factory=list)
    outputs: list[int] = dataclasses.field(default_factory=list)
    floats: set[int] = dataclasses.field(default_factory=set)
    count: int = 0

    def new(self, aval: Any) -> int:
        self.count += 1
        if jnp.issubdtype(aval.dtype, jnp.floating):
            self.floats.add(self.count)
        return self.count

    def constant(self, value: Any) -> int:
        number = self.new(jax.typeof(value))
        self.constants[number] = value
        return number

    def inline(
        self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[int]
    ) -> list[int]:
        """Adds the operations of a jaxpr; returns the numbers of its results."""
        known = dict(zip(jaxpr.constvars, map(self.constant, consts), strict=True))
        known |= dict(zip(jaxpr.invars, arguments, strict=True))

        def number(atom: Any) -> int:
            if isinstance(atom, jex.core.Literal):
                return self.constant(np.asarray(atom.val, atom.aval.dtype))
            return known[atom]

        for eqn in jaxpr.eqns:
            operands = tuple(map(number, eqn.invars))
            inner = _jaxprs.called(eqn)
            if inner is not None:
                results = self.inline(*inner, operands)
            else:
                results = [self.new(v.aval) for v in eqn.outvars]
                self.steps.append(_Step(jaxpr, eqn, operands, tuple(results)))
            known |= dict(zip(eqn.outvars, results, strict=True))
        return list(map(number, jaxpr.outvars))


def _flattened(closed: Any) -> _Program:
    program = _Program()
    program.inputs = [program.new(aval) for aval in closed.in_avals]
    program.outputs = program.inline(closed.jaxpr, closed.consts, program.inputs)
    return program


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What is known of a program before it runs.

    Attributes:
      program: The program.
      dependent: Numbers of the values that vary with the input.
      offset: Numbers of the values that carry a bias which is not yet accounted for.
      accounted: Those among them at which it is: the place of the bias.
      tangent: Numbers of results of activations whose tangent misses zero.
    """

    program: _Program
    dependent: frozenset[int]
    offset: frozenset[int]
    accounted: frozenset[int]
    tangent: frozenset[int]


def _plan(program: _Program) -> _Plan:
    """Decides where biases are; refuses operations in which they have no place."""
    dependent, zero = set(program.inputs), set()
    offset, accounted, tangent = set(), set(), set()
    readers = Counter(n for step in program.steps for n in set(step.operands))
    readers.update(program.outputs)
    only_reader = {n: step for step in program.steps for n in step.operands}
    zero |= {n for n, value in program.constants.items() if _is_zero(value)}

    def passes_on(number: int) -> bool:
        reader = only_reader.get(number)
        if reader is None or readers[number] > 1 or number in program.outputs:
            return False
        others = set(reader.operands) - {number}
        return reader.name in _IN_PLACE and not others & reads

    reads = _dependent(program)
    for step in program.steps:
        varying = [n for n in step.operands if n in dependent]
        if not varying:
            if step.name in rescale.LINEAR and zero.issuperset(step.operands):
                zero |= set(step.results)
            continue
        results = [n for n in step.results if n in program.floats]
        if not results:
            continue
        dependent |= set(results)
        fixed = {n for n in step.operands if n in program.floats} - dependent - zero
        if _is_affine(step, varying):
            if (fixed and step.name in _ADDING) or offset & set(varying) - accounted:
                offset |= set(results)
        elif _is_activation(step, varying, fixed):
            if not _is_homogeneous(step, fixed):
                tangent |= set(results)
                offset |= set(results)
        else:
            raise ValueError(
                "full_grad cannot see every bias of this network: it holds the "
                f"operation {step.name!r} on activations, and only linear maps, "
                "poolings and elementwise activations give each bias a place."
            )
        accounted |= {n for n in results if n in offset and not passes_on(n)}
    return _Plan(program, *map(frozenset, (dependent, offset, accounted, tangent)))


def _dependent(program: _Program) -> set[int]:
    """Numbers of the floating-point values that vary with the input."""
    found = set(program.inputs)
    for step in program.steps:
        if found & set(step.operands):
            found |= set(step.results) & program.floats
    return found


def _is_zero(value: Any) -> bool:
    return isinstance(value, np.ndarray | float) and not np.any(value)


def _is_affine(step: _Step, varying: Sequence[int]) -> bool:
    if step.name in rescale.BILINEAR:
        return len(varying) == 1
    if step.name == "div":
        return varying == [step.operands[0]]
    if step.name == "select_n":
        return step.operands[0] not in varying
    return step.name in rescale.LINEAR


def _is_activation(step: _Step, varying: Sequence[int], fixed: set[int]) -> bool:
    if step.name in _HOMOGENEOUS and not fixed:
        return True
    one = len(set(varying)) == 1
    if step.name == "custom_jvp_call":
        (result,) = step.eqn.outvars if len(step.eqn.outvars) == 1 else (None,)
        shapes = {v.aval.shape for v in step.eqn.invars if v.aval.shape}
        return one and result is not None and shapes <= {result.aval.shape}
    return one and step.name in rescale.ELEMENTWISE


def _is_homogeneous(step: _Step, fixed: set[int]) -> bool:
    if step.name == "custom_jvp_call" and not fixed:
        try:
            return not _plan(_flattened(step.eqn.params["call_jaxpr"])).offset
        except ValueError:
            return False
    return step.name in _HOMOGENEOUS and not fixed


def decompose(
    fn: Callable[[Array], Array], x: Array, cotangent: Callable[[Array], Array]
) -> tuple[Array, list[Array]]:
    """The input's share of a network's output, value by value, and every bias's.

    Args:
      fn: From float[B, ...] to float[B, K], piecewise linear or nearly so.
      x: float[B, ...].
      cotangent: From the output to the weights float[B, K] of the sum to explain.

    Returns:
      The input's share, of the shape of `x`, and the biases' shares, of the shapes of
      the activations that they are added to. All of an image together sum to
      `sum(weights * fn(x))`.

    Raises:
      ValueError: An operation leaves biases without a place.
    """
    plan = _plan(_flattened(jax.make_jaxpr(fn)(x)))
    program = plan.program
    (start,), (end,) = program.inputs, program.outputs

    def run(x: Array, shifts: dict[int, Array]) -> tuple[Array, dict[int, Array]]:
        values, biases = dict(program.constants) | {start: x}, {}
        for step in program.steps:
            out, offset = _apply(plan, step, values, biases)
            for number, value, bias in zip(step.results, out, offset, strict=True):
                values[number] = value
                if number not in plan.offset:
                    continue
                biases[number] = bias
                if number in plan.accounted and number in shifts:
                    values[number] = value + shifts[number]
        return values[end], {n: biases[n] for n in sorted(plan.accounted)}

    shapes = jax.eval_shape(functools.partial(run, shifts={}), x)[1]
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    out, pull_back, biases = jax.vjp(run, x, zeros, has_aux=True)
    x_gradient, gradients = pull_back(cotangent(out))
    shares = [_product(gradients[n], biases[n]) for n in sorted(biases)]
    return _product(x_gradient, x), shares


def _product(gradient: Array, value: Array) -> Array:
    return gradient.astype(jnp.float32) * value.astype(jnp.float32)


def _apply(
    plan: _Plan, step: _Step, values: dict[int, Array], biases: dict[int, Array]
) -> tuple[list[Array], list[Array | None]]:
    """Values of a step, and of those that carry a bias the bias."""
    operands = [values[n] for n in step.operands]
    out = step.bind(operands)
    nothing: list[Array | None] = [None] * len(out)
    if not plan.offset & set(step.results):
        return out, nothing
    if plan.tangent & set(step.results):
        place = next(i for i, n in enumerate(step.operands) if n in plan.dependent)
        x = operands[place]

        def at(x: Array) -> Array:
            return step.bind([*operands[:place], x, *operands[place + 1 :]])[0]

        return out, [out[0] - jax.jvp(at, (x,), (x,))[1]]
    carried = [
        _carried(plan, n, value, biases)
        for n, value in zip(step.operands, operands, strict=True)
    ]
    return out, list(step.bind(carried))


def _carried(plan: _Plan, number: int, value: Array, biases: dict[int, Array]) -> Array:
    """What an affine step reads in place of a value to give the bias of its result."""
    if number not in plan.dependent:
        return value
    if number in plan.offset - plan.accounted:
        return biases[number]
    return jnp.zeros_like(value)
