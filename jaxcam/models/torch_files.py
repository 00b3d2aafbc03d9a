"""Files of `torch.save`, read without torch and without running what they hold.

Both forms are read: the zip archive that torch writes since 1.6, and the stream of
pickles and arrays from before, in which many published networks lie.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import mmap
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxcam.models import torch_pickle

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "module", "params")
"""Names under which checkpoints keep the state dict."""

_PREFIXES = ("module.", "_orig_mod.")
"""What data parallelism and compilation put before every name."""

_SAVE_AGAIN = "save the state dict alone: torch.save(model.state_dict(), FILE)."

Fetch = Callable[[torch_pickle.Storage], bytes]


class _NoStateDict(ValueError):
    """The file is whole, but holds something else."""


def read(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a state dict by name; those that share a storage share memory.

    The state dict may lie in a checkpoint under one of the usual names, and may have
    been saved from behind data parallelism or compilation. What else a checkpoint
    holds beside it, as numbers, is left out.

    Returns:
      Read-only arrays.

    Raises:
      ValueError: The file is damaged, is no state dict, or asks for code.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(4) == b"PK\3\4"
            found, fetch, order = (_read_zip if zipped else _read_legacy)(file)
            flat = functools.cache(lambda storage: _flat(storage, fetch, order))
            return {
                name: _array(name, tensor, flat)
                for name, tensor in _state_dict(found).items()
            }
    except torch_pickle.Refused as error:
        raise ValueError(f"{path.name} is refused: {error}; {_SAVE_AGAIN}") from error
    except _NoStateDict as error:
        raise ValueError(f"{path.name} {error}") from error
    except (ValueError, LookupError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path.name} is damaged or no file of torch.save; fetch it again "
            f"({str(error).rstrip('.')})."
        ) from error


def _read_zip(file: IO[bytes]) -> tuple[Any, Fetch, str]:
    """What the pickle describes, the bytes of a storage, and their order."""
    archive = zipfile.ZipFile(file)
    names = archive.namelist()
    pickles = [name for name in names if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise ValueError("it holds no data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in names:
        raise _NoStateDict(
            "is a TorchScript program, not a file of weights; in torch, model = "
            f"torch.jit.load(FILE), then {_SAVE_AGAIN}"
        )
    if sum(info.file_size for info in archive.infolist()) > file.seek(0, io.SEEK_END):
        raise ValueError("its entries are larger than the file")

    def content(name: str) -> bytes:
        info = archive.getinfo(folder + name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed, which torch never does")
        return archive.read(info)

    order = "<"
    if f"{folder}byteorder" in names:
        order = ">" if content("byteorder") == b"big" else "<"
    found, _ = torch_pickle.read(io.BytesIO(content("data.pkl")))
    return found, lambda storage: content(f"data/{storage.key}"), order


def _read_legacy(file: IO[bytes]) -> tuple[Any, Fetch, str]:
    """The form before torch 1.6: five pickles, then the storages one after another."""
    # Mapped, so that no length that the file claims makes a larger buffer.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        if torch_pickle.read(stream)[0] != _LEGACY_MAGIC:
            raise ValueError("it does not begin as a file of torch")
        protocol, system = (torch_pickle.read(stream)[0] for _ in range(2))
        if protocol != _LEGACY_PROTOCOL or not isinstance(system, dict):
            raise ValueError("its protocol is unknown")
        order = "<" if system.get("little_endian", True) else ">"
        found, storages = torch_pickle.read(stream)
        keys, _ = torch_pickle.read(stream)
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
            raise ValueError("it lists other storages than it needs")
        contents: dict[str, bytes] = {}
        for key in keys:
            (length,) = struct.unpack(order + "q", _exactly(stream, 8))
            if length != storages[key].length:
                raise ValueError(f"storage {key} has another length than announced")
            contents[key] = _exactly(stream, length * _dtype(storages[key]).itemsize)
    return found, lambda storage: contents[storage.key], order


def _exactly(stream: mmap.mmap, count: int) -> bytes:
    found = stream.read(count)
    if len(found) != count:
        raise ValueError("it ends too early")
    return found


def _state_dict(found: Any) -> dict[str, torch_pickle.Tensor]:
    """The tensors by name, out of a checkpoint and without prefixes."""
    if not isinstance(found, dict):
        raise _NoStateDict(f"holds a {type(found).__name__}; {_SAVE_AGAIN}")
    for name in _WRAPPERS:
        inner = found.get(name)
        if isinstance(inner, dict) and _tensors(inner):
            found = inner
    tensors = _tensors(found)
    if not tensors:
        some = ", ".join(repr(key) for key in list(found)[:5])
        raise _NoStateDict(
            f"holds no state dict, but {some or 'nothing at all'}; {_SAVE_AGAIN}"
        )
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {k.removeprefix(prefix): v for k, v in tensors.items()}
    return tensors


def _tensors(found: dict[Any, Any]) -> dict[str, torch_pickle.Tensor]:
    return {
        name: value
        for name, value in found.items()
        if isinstance(name, str) and isinstance(value, torch_pickle.Tensor)
    }


def _dtype(storage: torch_pickle.Storage) -> np.dtype:
    if storage.dtype == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(storage.dtype)


def _flat(storage: torch_pickle.Storage, fetch: Fetch, order: str) -> np.ndarray:
    """A storage as a read-only array in the machine's byte order."""
    content, dtype = fetch(storage), _dtype(storage)
    if len(content) != storage.length * dtype.itemsize:
        raise ValueError(
            f"storage {storage.key} has {len(content)} bytes instead of "
            f"{storage.length * dtype.itemsize}"
        )
    raw = np.frombuffer(content, f"{order}u{dtype.itemsize}")
    if not raw.dtype.isnative:
        raw = raw.astype(raw.dtype.newbyteorder("="))
        raw.flags.writeable = False
    return raw.view(dtype)


def _array(
    name: str,
    tensor: torch_pickle.Tensor,
    flat: Callable[[torch_pickle.Storage], np.ndarray],
) -> np.ndarray:
    """The view of its storage, once it is sure that it does not leave it."""
    start = tensor.storage.start + tensor.offset
    reach = zip(tensor.shape, tensor.strides, strict=True)
    last = start + sum((count - 1) * stride for count, stride in reach)
    whole = flat(dataclasses.replace(tensor.storage, start=0))
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, whole.dtype)
    if last >= len(whole):
        raise ValueError(f"{name} reaches beyond its storage")
    strides = [stride * whole.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(
        whole[start:], tensor.shape, strides, writeable=False
    )
