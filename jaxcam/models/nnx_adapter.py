"""Unedited `flax.nnx` modules."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flax import nnx

from jaxcam._types import Array, PyTree
from jaxcam.models import evaluation_mode, tapping

_HOOK = "_jaxcam_hook"


def split(module: nnx.Module) -> tuple[Any, PyTree]:
    """Structure and parameters of a module; the module itself is not touched."""
    return nnx.split(module)


def tapped_call(
    structure: Any, kind: type
) -> Callable[[PyTree, Array, tapping.Taps], Array]:
    """A function that calls a private copy of a module while taps watch.

    A submodule is called by its path, joined by dots: `features.3.squeeze`.

    Args:
      structure: As `split` gives it.
      kind: The module's class.
    """
    options = evaluation_mode.arguments(kind.__call__)

    def call(params: PyTree, x: Array, taps: tapping.Taps) -> Array:
        module = nnx.merge(structure, params, copy=True)
        module.eval()
        for path, inner in list(nnx.iter_modules(module)):
            name = ".".join(map(str, path))
            watched = taps.keep_all or name in taps.modules
            if name and watched and callable(inner):
                object.__setattr__(inner, _HOOK, functools.partial(taps, name))
                inner.__class__ = _hooked(type(inner))
        return module(x, **options)

    return call


@functools.lru_cache(maxsize=1024)
def _hooked(kind: type) -> type:
    """A subclass whose calls pass through the instance's hook."""

    def __call__(self, *args, **kwargs):
        return getattr(self, _HOOK)(kind.__call__(self, *args, **kwargs))

    return type(kind)(kind.__name__, (kind,), {"__call__": __call__})
