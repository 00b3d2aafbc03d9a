"""Maps of the same network with its parameters drawn anew, from the top down."""

from __future__ import annotations

from typing import Any

import jax
import jax.extend as jex
import jax.numpy as jnp

from jaxcam import _jaxprs, _spec
from jaxcam._types import Array


def randomized_explanations(
    explainer: _spec.Explainer,
    x: Array,
    target: Array,
    *,
    stages: int = 4,
    seed: int = 0,
) -> dict[str, Array]:
    """Maps as more and more of the network is random, from its outputs down.

    The modules that hold parameters are ordered by when the network first uses them.
    At the last stage all of them are random, at stage k of n the topmost k/n. A random
    parameter array has entries drawn, with replacement, from its own: their
    distribution stays, what they have learnt goes, and variances stay positive.

    Args:
      explainer: The methods that made the maps.
      x: float32[B, H, W, C], preprocessed images.
      target: int32[B], explained class.
      stages: Number of stages, at most one a module.
      seed: Of the random parameters, which all images share.

    Returns:
      `randomized_raw_saliency`: float32[M, B, n, h, w], not normalised.
    """
    leaves, tree = jax.tree.flatten(explainer.params)
    rank, modules = _ranks_from_top(explainer, x)
    drawn = [redrawn(leaf, seed, i) for i, leaf in enumerate(leaves)]
    stages = min(stages, modules)

    def at_stage(stage: Array) -> Array:
        random = -(-(stage + 1) * modules // stages)  # Rounded up.
        mixed = [
            jnp.where(r < random, new, old)
            for r, new, old in zip(rank, drawn, leaves, strict=True)
        ]
        return explainer.maps(jax.tree.unflatten(tree, mixed), x, target)

    maps = jax.lax.map(at_stage, jnp.arange(stages, dtype=jnp.int32))
    return {"randomized_raw_saliency": jnp.moveaxis(maps, 0, 2)}


def redrawn(leaf: Array, seed: int, number: int) -> Array:
    """The array with entries drawn from its own; what is no real number stays."""
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf
    key = jax.random.fold_in(jax.random.key(seed), number)
    chosen = jax.random.randint(key, leaf.shape, 0, leaf.size)
    return leaf.ravel()[chosen]


def _ranks_from_top(explainer: _spec.Explainer, x: Array) -> tuple[list[int], int]:
    """For each parameter array its module's place from the top, and how many there are.

    Arrays that the network does not use come last and do not count, nor do modules
    without real numbers.
    """
    leaves = jax.tree_util.tree_leaves_with_path(explainer.params)
    modules = [_module(path) for path, _ in leaves]
    real = [jnp.issubdtype(leaf.dtype, jnp.floating) for _, leaf in leaves]
    one = jax.eval_shape(lambda x: x[:1], x)
    closed = jax.make_jaxpr(explainer.predict)(explainer.params, one)
    uses: dict[int, int] = {}
    numbered = {var: i for i, var in enumerate(closed.jaxpr.invars[: len(leaves)])}
    _note_uses(closed.jaxpr, numbered, uses)
    first: dict[Any, int] = {}
    for number, module in enumerate(modules):
        if real[number] and number in uses:
            first[module] = min(uses[number], first.get(module, uses[number]))
    order = sorted(first, key=first.__getitem__, reverse=True)
    rank = {module: place for place, module in enumerate(order)}
    return [rank.get(module, len(order)) for module in modules], len(order)


def _module(path: tuple[Any, ...]) -> tuple[str, ...]:
    """The path of the module that holds a parameter: all but the parameter's name."""
    while path and isinstance(path[-1], jax.tree_util.GetAttrKey):
        path = path[:-1]
    return tuple(str(part) for part in path[:-1])


def _note_uses(jaxpr: Any, numbered: dict[Any, int], uses: dict[int, int]) -> None:
    """Notes the order in which equations first read the numbered variables."""
    for eqn in jaxpr.eqns:
        read = [v for v in eqn.invars if not isinstance(v, jex.core.Literal)]
        inner = _jaxprs.called(eqn)
        if inner is not None:
            pairs = zip(inner[0].invars, eqn.invars, strict=True)
            below = {
                into: numbered[outer]
                for into, outer in pairs
                if not isinstance(outer, jex.core.Literal) and outer in numbered
            }
            _note_uses(inner[0], below, uses)
            continue
        for variable in read:
            if variable in numbered:
                uses.setdefault(numbered[variable], len(uses))


SPECS = (
    _spec.ProbeSpec(
        fn=randomized_explanations,
        inputs=("x", "target"),
        outputs=("randomized_raw_saliency",),
        cost="4 explanations",
        asks="explain",
        static=("stages", "seed"),
    ),
)
