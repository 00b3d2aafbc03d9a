"""The pickled part of a torch state dict, read without running anything.

A pickle is a program for a small stack machine, and two of its instructions import and
call what they are told to. This is a reader for the few instructions that a state dict
needs: names of callables are only compared with a short list, and what stands on that
list is described by a value here, never imported, never called.
"""

from __future__ import annotations

import dataclasses
import pickletools
from collections.abc import Callable, Iterable
from types import NoneType
from typing import IO, Any

DTYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
"""Element types of storages by the name of torch's class."""

_LARGEST = 2**62


class Refused(ValueError):
    """The pickle holds what no state dict needs; the message says what."""


@dataclasses.dataclass(frozen=True)
class Storage:
    """A flat array that lies elsewhere in the file.

    Attributes:
      key: What it is called there.
      dtype: Name of its element type.
      length: Number of elements.
      start: First element of the part that is meant.
    """

    key: str
    dtype: str
    length: int
    start: int = 0


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A strided view of a storage; offset and strides in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Global:
    """The name of something that another program would import."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


_MARK = object()


def read(stream: IO[bytes]) -> tuple[Any, dict[str, Storage]]:
    """What one pickle describes; the stream is left behind its end.

    Args:
      stream: At the start of a pickle.

    Returns:
      Numbers, strings, bytes, tuples, lists, dicts, and `Tensor`s; and every storage
      that is referred to, by its key.

    Raises:
      Refused: It asks for anything but the parts of a state dict.
      ValueError: It is damaged.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return _plain(machine.stack.pop()), machine.storages
            machine.step(opcode.name, argument)
    except Refused:
        raise
    except (ValueError, LookupError, TypeError, OverflowError, AssertionError) as error:
        raise ValueError(f"its pickle cannot be read: {error}") from error
    raise ValueError("its pickle has no end")


class _Machine:
    """The stack with marks in it, the memo, and the storages met so far."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise Refused(f"its pickle uses {name}, which no state dict needs")

    def pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def put(self, argument: Any) -> None:
        self.memo[argument] = self.stack[-1]

    def get(self, argument: Any) -> None:
        self.stack.append(self.memo[argument])

    def memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def make_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def short_tuple(self, count: int) -> None:
        parts = tuple(self.stack[len(self.stack) - count :])
        if len(parts) != count:
            raise ValueError("the stack is empty")
        del self.stack[-count:]
        self.stack.append(parts)

    def make_list(self, _: Any) -> None:
        self.stack.append(self.pop_to_mark())

    def make_dict(self, _: Any) -> None:
        parts = self.pop_to_mark()
        self.stack.append(_mapping(zip(parts[::2], parts[1::2], strict=True)))

    def append(self, _: Any) -> None:
        item = self.stack.pop()
        _expect(self.stack[-1], list).append(item)

    def appends(self, _: Any) -> None:
        items = self.pop_to_mark()
        _expect(self.stack[-1], list).extend(items)

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _expect(self.stack[-1], dict).update(_mapping([(key, value)]))

    def set_items(self, _: Any) -> None:
        parts = self.pop_to_mark()
        pairs = zip(parts[::2], parts[1::2], strict=True)
        _expect(self.stack[-1], dict).update(_mapping(pairs))

    def find_global(self, argument: str) -> None:
        self.push_global(*argument.split(" ", 1))

    def stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.push_global(_expect(module, str), _expect(name, str))

    def push_global(self, module: str, name: str) -> None:
        found = _Global(module, name)
        storage = module == "torch" and name in DTYPES
        if str(found) not in _BUILDERS and not storage:
            raise Refused(
                f"it asks for {found}, and reading never imports or runs anything"
            )
        self.stack.append(found)

    def reduce(self, _: Any) -> None:
        arguments, what = self.stack.pop(), self.stack.pop()
        if not isinstance(what, _Global) or str(what) not in _BUILDERS:
            raise Refused(f"it calls {_described(what)}, which no state dict does")
        _expect(arguments, tuple)
        try:
            built = _BUILDERS[str(what)](*arguments)
        except (TypeError, ValueError) as error:
            raise Refused(f"it calls {what} with other arguments than torch") from error
        self.stack.append(built)

    def build(self, _: Any) -> None:
        """Attributes: of an ordered dict torch's `_metadata`; they are dropped."""
        self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            what = _described(self.stack[-1])
            raise Refused(f"it sets attributes of {what}, which no state dict does")

    def persistent(self, _: Any) -> None:
        found = _storage(self.stack.pop())
        whole = dataclasses.replace(found, start=0)
        if self.storages.setdefault(found.key, whole) != whole:
            raise ValueError(f"storage {found.key} is described in two ways")
        self.stack.append(found)


def _described(value: Any) -> str:
    return str(value) if isinstance(value, _Global) else f"a {type(value).__name__}"


def _expect(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"a {kind.__name__} is missing")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, _Global) or value is _MARK:
        raise Refused(f"it is {_described(value)}, not a state dict")
    return value


def _whole(value: Any, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= _LARGEST:
        raise ValueError(f"a {type(value).__name__} is no length")
    return value


def _mapping(pairs: Iterable[Any] = ()) -> dict[Any, Any]:
    """A dict of plain keys: hashing a deeply nested tuple can take for ever."""
    found = [(key, value) for key, value in pairs]
    if any(type(key) not in (str, int, float, bool, NoneType) for key, _ in found):
        raise ValueError("a key is neither a string nor a number")
    return dict(found)


def _storage(described: Any) -> Storage:
    """`("storage", type, key, device, length[, view])`, as torch describes storages."""
    try:
        word, kind, key, _, length, *more = _expect(described, tuple)
        if not isinstance(word, str) or word != "storage":
            raise ValueError("it is something else")
        if not isinstance(kind, _Global) or len(more) > 1:
            raise ValueError("it is described otherwise")
        dtype, start = DTYPES[kind.name], 0
        if more and more[0] is not None:
            _, start, length_seen = more[0]
            if _whole(start) + _whole(length_seen) > _whole(length):
                raise ValueError("a view leaves its storage")
        return Storage(_expect(key, str), dtype, _whole(length), start)
    except (ValueError, KeyError) as error:
        raise Refused(
            "it refers to something outside of itself that is no storage of torch"
        ) from error


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """Arguments of `_rebuild_tensor_v2`; gradients and hooks are left out."""
    _expect(storage, Storage)
    shape, strides = _expect(shape, tuple), _expect(strides, tuple)
    if len(shape) != len(strides):
        raise ValueError("shape and strides differ in length")
    return Tensor(
        storage,
        _whole(offset),
        tuple(map(_whole, shape)),
        tuple(map(_whole, strides)),
    )


def _parameter(data: Any, *_: Any) -> Tensor:
    return _expect(data, Tensor)


_BUILDERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _mapping,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": lambda sizes: tuple(map(_whole, sizes)),
}

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}

_LITERALS = frozenset(
    """INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING
    SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES
    SHORT_BINBYTES BINBYTES8""".split()  # noqa: SIM905
)

_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "MEMOIZE": _Machine.memoize,
    "TUPLE": _Machine.make_tuple,
    "TUPLE1": lambda machine, _: machine.short_tuple(1),
    "TUPLE2": lambda machine, _: machine.short_tuple(2),
    "TUPLE3": lambda machine, _: machine.short_tuple(3),
    "LIST": _Machine.make_list,
    "DICT": _Machine.make_dict,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.find_global,
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
