"""Files of weights: arrays by name. Weights are data: nothing in them is ever run."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from jaxcam.models import torch_files, tree_files

ABOUT = "jaxcam"
"""Entry of a safetensors file's metadata in which jaxcam says what the file is."""


def read(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a file of weights, by name.

    Args:
      path: A file of safetensors, npz, Flax msgpack or torch (pth, pt, bin, ckpt), or
        the folder of an Orbax checkpoint.

    Raises:
      FileNotFoundError: The file is not there.
      ValueError: It is of another kind, damaged, or holds objects.
    """
    check_exists(path)
    if path.is_dir():
        return tree_files.read_orbax(path)
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        *first, last = _READERS
        raise ValueError(
            f"{path.name} is none of {', '.join(first)} and {last}, nor the folder of "
            "an Orbax checkpoint; save the arrays as one of them."
        )
    return _READERS[suffix](path)


def check_exists(path: Path) -> None:
    """Refuses a path where nothing is.

    Raises:
      FileNotFoundError: Nothing is there.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"There is no file of weights {path}; give its path, or weights='random' "
            "for untrained parameters."
        )


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    damaged = f"{path.name} is damaged or no npz file; fetch it again"
    try:
        with path.open("rb") as stream:
            if stream.read(2) != b"PK":  # NumPy would take it for another kind of file.
                raise zipfile.BadZipFile("it is no zip file")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise ValueError(
                f"{path.name} holds Python objects, which can run code when read; save "
                "plain arrays."
            ) from error
        raise ValueError(f"{damaged} ({error}).") from error
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise ValueError(f"{damaged} ({error}).") from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    import safetensors
    import safetensors.numpy

    try:
        return safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path.name} is damaged or no safetensors file; fetch it again ({error})."
        ) from error


_READERS = {
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
    ".msgpack": tree_files.read_msgpack,
    ".pth": torch_files.read,
    ".pt": torch_files.read,
    ".bin": torch_files.read,
    ".ckpt": torch_files.read,
}


def about(path: Path) -> dict[str, Any]:
    """What jaxcam wrote about a safetensors file that it made; empty for others.

    Raises:
      ValueError: It is damaged.
    """
    import safetensors

    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return {}
    try:
        with safetensors.safe_open(path, "np") as file:
            text = (file.metadata() or {}).get(ABOUT, "{}")
        found = json.loads(text)
    except (safetensors.SafetensorError, ValueError) as error:
        raise ValueError(
            f"{path.name} is damaged or no safetensors file; fetch it again ({error})."
        ) from error
    return found if isinstance(found, dict) else {}


def write(path: Path, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    """Writes a safetensors file, byte for byte the same for the same content."""
    import safetensors.numpy

    # One entry: safetensors writes several in an order that changes from run to run.
    safetensors.numpy.save_file(arrays, path, {ABOUT: json.dumps(about)})


def sha256(path: Path) -> str:
    """sha256 of a file; of a folder, of the names and contents of its files."""
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(child for child in path.rglob("*") if child.is_file()):
            name = file.relative_to(path).as_posix()
            digest.update(f"{name} {sha256(file)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
