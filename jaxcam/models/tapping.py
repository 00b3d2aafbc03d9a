"""Seeing and editing the activations of named layers during one call of a network."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.extend as jex
import jax.numpy as jnp
from jax import ad_checkpoint

from jaxcam import _jaxprs
from jaxcam._types import Array, Edit, Network, PyTree

Grid: TypeAlias = tuple[int, int]
"""Rows and columns on which a transformer's tokens lie."""


class Taps:
    """What is to be done at the layers of one call, and what was seen.

    A layer inside a transformation of its own (a scan, a checkpoint, a nested jit) is
    hidden: its activation belongs to another trace and cannot leave it. `unfold` brings
    those of checkpoints and nested jits into the open.
    """

    def __init__(
        self,
        edit: Mapping[str, Edit] | None = None,
        keep: Iterable[str] = (),
        *,
        keep_all: bool = False,
        tokens: Mapping[int, Grid] | None = None,
    ) -> None:
        self.tokens = tokens or {}
        self.edit = dict(edit or {})
        self.wanted = frozenset(keep)
        self.keep_all = keep_all
        self.kept: dict[str, Array] = {}
        self.touched: set[str] = set()
        self.hidden: set[str] = set()
        self.calls: collections.Counter[str] = collections.Counter()
        self.trace = jex.core.get_opaque_trace_state()

    @property
    def modules(self) -> frozenset[str]:
        """Names of the modules of interest, without call numbers."""
        names = self.wanted | set(self.edit)
        return frozenset(name.partition("#")[0] for name in names)

    def __call__(self, module: str, out: Any) -> Any:
        """The output of a module as the rest of the network shall see it."""
        if not isinstance(out, jax.Array) or out.ndim not in (3, 4):
            return out
        if jex.core.get_opaque_trace_state() != self.trace:
            self.hidden.add(module)
            return out
        number = self.calls[module]
        self.calls[module] += 1
        for name in (module, f"{module}#{number}"):
            if name in self.edit:
                out = _edited(self.edit[name], out, self.tokens)
                self.touched.add(name)
            if self.keep_all or name in self.wanted:
                self.kept[name] = on_grid(out, self.tokens)
                self.touched.add(name)
        return out

    def finish(self, layers: Iterable[str] = ()) -> dict[str, Array]:
        """The kept activations; a layer that was never reached is refused."""
        missing = sorted((self.wanted | set(self.edit)) - self.touched)
        if missing:
            raise ValueError(
                f"The network has no tappable layer {missing[0]!r}; layers inside of a "
                "loop, as a scan, cannot be tapped, but "
                f"{', '.join(layers) or 'those in model.layers'} can."
            )
        return self.kept


def on_grid(out: Array, tokens: Mapping[int, Grid]) -> Array:
    """float[B, h, w, C] of an activation: tokens are laid out, those before left out.

    A class token and its like stand before the tokens of the patches.
    """
    if out.ndim != 3 or out.shape[1] not in tokens:
        return out
    grid = tokens[out.shape[1]]
    patches = out[:, out.shape[1] - grid[0] * grid[1] :]
    return patches.reshape(len(out), *grid, out.shape[2])


def _edited(edit: Edit, out: Array, tokens: Mapping[int, Grid]) -> Array:
    """An activation edited on its grid; tokens without a place there stay."""
    edited = edit(on_grid(out, tokens))
    if out.ndim == edited.ndim:
        return edited
    patches = edited.reshape(len(out), -1, out.shape[2])
    return jnp.concatenate([out[:, : out.shape[1] - patches.shape[1]], patches], axis=1)


MOST_EXTRA_TOKENS = 8
"""Tokens before those of the patches: of the class, of distillation, registers."""


def find_tokens(
    shapes: Iterable[tuple[int, ...]], size: tuple[int, int]
) -> dict[int, Grid]:
    """Which numbers of tokens are patches of an image, and on which grid they lie.

    The grid is that of a map in the network, as a patch embedding gives it; without
    any, that of the image's proportions.

    Args:
      shapes: Shapes of activations of one image, in order of execution.
      size: Rows and columns of the image.

    Returns:
      Grids by number of tokens, those before the patches included.
    """
    shapes = [shape for shape in shapes if shape[0] == 1]
    counts = {shape[1] for shape in shapes if len(shape) == 3}
    maps = [s[1:3] for s in shapes if len(s) == 4 and s[1] * s[2] > 1]
    grids = [grid for grid in maps if grid[0] not in counts or grid[0] == grid[1]]
    found = {}
    for count in counts:
        for patches in range(count, max(3, count - MOST_EXTRA_TOKENS - 1), -1):
            fitting = [g for g in grids if g[0] * g[1] == patches]
            if not grids:
                rows = round((patches * size[0] / size[1]) ** 0.5)
                columns = round((patches * size[1] / size[0]) ** 0.5)
                fitting = [(rows, columns)] * (rows * columns == patches)
            if fitting:
                found[count] = fitting[-1]
                break
    return found


Call: TypeAlias = Callable[[PyTree, Array, Taps], Array]
"""Runs a network with taps."""


def unfold(call: Call) -> Call:
    """A call whose layers inside checkpoints and nested jits can be tapped.

    The network is traced with every activation marked, and run operation by operation
    without the checkpoints.
    """

    def unfolded(params: PyTree, x: Array, taps: Taps) -> Array:
        closed = jax.make_jaxpr(lambda params, x: call(params, x, _marked))(params, x)
        leaves = jax.tree.leaves((params, x))
        return _run(closed.jaxpr, closed.consts, leaves, taps)[0]

    return unfolded


_MARK = "jaxcam layer "


class _Marks:
    """Taps that see nothing and mark every activation for `_run`."""

    keep_all = True

    def __call__(self, module: str, out: Any) -> Any:
        if not isinstance(out, jax.Array) or out.ndim not in (3, 4):
            return out
        return ad_checkpoint.checkpoint_name(out, _MARK + module)


_marked = _Marks()


def _run(
    jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], taps: Taps
) -> list[Any]:
    known = dict(zip(jaxpr.constvars, consts, strict=True))
    known |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, jex.core.Literal) else known[atom]

    for eqn in jaxpr.eqns:
        operands = [read(atom) for atom in eqn.invars]
        name, inner = str(eqn.params.get("name", "")), _jaxprs.called(eqn)
        if inner is not None:
            results = _run(*inner, operands, taps)
        elif eqn.primitive.name == "name" and name.startswith(_MARK):
            results = [taps(name.removeprefix(_MARK), operands[0])]
        else:
            results = _jaxprs.bind(jaxpr, eqn, operands)
        known |= dict(zip(eqn.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def list_layers(
    call: Call,
    params: PyTree,
    x_shape: tuple[int, ...],
) -> tuple[dict[str, tuple[int, ...]], dict[int, Grid], bool]:
    """Shapes of the tappable activations of one image, in order of execution.

    Args:
      call: Runs the network with taps.
      params: Parameters.
      x_shape: Shape of a batch of one preprocessed image.

    Returns:
      `{layer: shape}`, of maps alone; a module called several times is listed as
      `name#0`, `name#1`. The grids of tokens, see `find_tokens`. Whether there are
      hidden layers, which `unfold` may show.
    """
    order: list[str] = []
    calls: dict[str, int] = {}
    hidden: set[str] = set()

    def run(params, x):
        taps = Taps(keep_all=True)
        call(params, x, taps)
        order.extend(taps.kept)
        calls.update(taps.calls)
        hidden.update(taps.hidden)
        return taps.kept

    x = jax.ShapeDtypeStruct(x_shape, "float32")
    kept = jax.eval_shape(run, params, x)
    tokens = find_tokens([kept[name].shape for name in order], x_shape[1:3])
    shapes = {}
    for name in order:
        module, _, number = name.partition("#")
        if (calls[module] > 1) != bool(number) or kept[name].shape[0] != x_shape[0]:
            continue
        shape = kept[name].shape
        if len(shape) == 3 and shape[1] in tokens:
            shapes[name] = (shape[0], *tokens[shape[1]], shape[2])
        elif len(shape) == 4 and (shape[1] not in tokens or shape[1] == shape[2]):
            shapes[name] = shape
    return shapes, tokens, bool(hidden)


def network(
    call: Call,
    layers: tuple[str, ...] = (),
    tokens: Mapping[int, Grid] | None = None,
) -> Network:
    """A pure function with `edit` and `keep` from a call with taps."""

    def apply(params, x, /, *, edit=None, keep=()):
        taps = Taps(edit, keep, tokens=tokens)
        logits = call(params, x, taps)
        return logits, taps.finish(layers)

    return apply
