"""Which arguments put a model's call into evaluation mode."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

_ARGUMENTS = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
}

_RANDOM = ("rngs", "rng", "key")


def arguments(call: Callable[..., Any]) -> dict[str, Any]:
    """Keyword arguments of `call` that mean evaluation, with their values.

    Random numbers that it demands are `None`: in evaluation nothing is drawn.

    >>> def call(self, x, train): ...
    >>> arguments(call)
    {'train': False}
    >>> def call(self, x, *, rngs, training=True): ...
    >>> arguments(call)
    {'training': False, 'rngs': None}
    """
    names = inspect.signature(call).parameters
    found = {name: value for name, value in _ARGUMENTS.items() if name in names}
    demanded = [n for n, p in names.items() if p.default is inspect.Parameter.empty]
    return found | {name: None for name in _RANDOM if name in demanded}
