"""Unedited `flax.linen` modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flax import linen

from jaxcam._types import Array, PyTree
from jaxcam.models import evaluation_mode, tapping


def tapped_call(module: linen.Module) -> Callable[[PyTree, Array, tapping.Taps], Array]:
    """A function that applies a module while taps watch its submodules.

    A submodule is called by its path, joined by dots: `layer1.conv`.
    """
    options = evaluation_mode.arguments(type(module).__call__)

    def call(variables: Mapping[str, Any], x: Array, taps: tapping.Taps) -> Array:
        def watch(next_call, args, kwargs, context):
            out = next_call(*args, **kwargs)
            if context.method_name != "__call__" or not context.module.path:
                return out
            return taps(".".join(context.module.path), out)

        with linen.intercept_methods(watch):
            return module.apply(variables, x, **options)

    return call
