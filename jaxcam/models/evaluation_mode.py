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


def arguments(call: Callable[..., Any]) -> dict[str, bool]:
    """Keyword arguments of `call` that mean evaluation, with their values.

    >>> def call(self, x, train): ...
    >>> arguments(call)
    {'train': False}
    """
    names = inspect.signature(call).parameters
    return {name: value for name, value in _ARGUMENTS.items() if name in names}
