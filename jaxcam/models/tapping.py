"""Seeing and editing the activations of named layers during one call of a network."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.extend

from jaxcam._types import Array, Edit, Network, PyTree


class Taps:
    """What is to be done at the layers of one call, and what was seen.

    A layer inside a transformation of its own (a scan, a checkpoint, a nested jit) is
    invisible: its activation belongs to another trace and cannot leave it.
    """

    def __init__(
        self,
        edit: Mapping[str, Edit] | None = None,
        keep: Iterable[str] = (),
        *,
        keep_all: bool = False,
    ) -> None:
        self.edit = dict(edit or {})
        self.wanted = frozenset(keep)
        self.keep_all = keep_all
        self.kept: dict[str, Array] = {}
        self.touched: set[str] = set()
        self.calls: collections.Counter[str] = collections.Counter()
        self.trace = jax.extend.core.get_opaque_trace_state()

    @property
    def modules(self) -> frozenset[str]:
        """Names of the modules of interest, without call numbers."""
        names = self.wanted | set(self.edit)
        return frozenset(name.partition("#")[0] for name in names)

    def __call__(self, module: str, out: Any) -> Any:
        """The output of a module as the rest of the network shall see it."""
        if not isinstance(out, jax.Array) or out.ndim != 4:
            return out
        if jax.extend.core.get_opaque_trace_state() != self.trace:
            return out
        number = self.calls[module]
        self.calls[module] += 1
        for name in (module, f"{module}#{number}"):
            if name in self.edit:
                out = self.edit[name](out)
                self.touched.add(name)
            if self.keep_all or name in self.wanted:
                self.kept[name] = out
                self.touched.add(name)
        return out

    def finish(self) -> dict[str, Array]:
        """The kept activations; a layer that was never reached is refused."""
        missing = sorted((self.wanted | set(self.edit)) - self.touched)
        if missing:
            raise ValueError(
                f"The network has no tappable layer {missing[0]!r}; layers inside of a "
                "scan, a checkpoint or a nested jit cannot be tapped. `model.layers` "
                "lists those that can."
            )
        return self.kept


def list_layers(
    call: Callable[[PyTree, Array, Taps], Array], params: PyTree, x_shape: tuple
) -> dict[str, tuple[int, ...]]:
    """Shapes of the tappable activations, in order of execution.

    Args:
      call: Runs the network with taps.
      params: Parameters.
      x_shape: Shape of a batch of preprocessed images.

    Returns:
      `{layer: shape}`; a module called several times is listed as `name#0`, `name#1`.
    """
    order: list[str] = []
    calls: dict[str, int] = {}

    def run(params, x):
        taps = Taps(keep_all=True)
        call(params, x, taps)
        order.extend(taps.kept)
        calls.update(taps.calls)
        return taps.kept

    x = jax.ShapeDtypeStruct(x_shape, "float32")
    kept = jax.eval_shape(run, params, x)
    shapes = {}
    for name in order:
        module, _, number = name.partition("#")
        repeated = calls[module] > 1
        if repeated == bool(number):
            shapes[name] = kept[name].shape
    return shapes


def network(call: Callable[[PyTree, Array, Taps], Array]) -> Network:
    """A pure function with `edit` and `keep` from a call with taps."""

    def apply(params, x, /, *, edit=None, keep=()):
        taps = Taps(edit, keep)
        logits = call(params, x, taps)
        return logits, taps.finish()

    return apply
