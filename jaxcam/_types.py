"""Arrays and the shapes of functions that more than one package relies on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

import jax

Array: TypeAlias = jax.Array
PyTree: TypeAlias = Any

Connectivity: TypeAlias = Literal[4, 8]
Region: TypeAlias = Literal["box", "mask"]

Edit: TypeAlias = Callable[[Array], Array]
"""Replaces a layer's activation `float[B, h, w, C]` by another of the same shape."""


class Network(Protocol):
    """A pure function of parameters and inputs whose layers can be seen and edited.

    `edit` maps layer names to functions applied to that layer's activation before
    anything above it reads it; `keep` names layers whose activation, after its edit,
    is returned. A module that is called twice has the layers `name#0` and `name#1`.
    """

    def __call__(
        self,
        params: PyTree,
        x: Array,
        /,
        *,
        edit: Mapping[str, Edit] | None = None,
        keep: tuple[str, ...] = (),
    ) -> tuple[Array, dict[str, Array]]:
        """Logits `float[B, K]` and the kept activations `float[B, h, w, C]`."""
        ...
