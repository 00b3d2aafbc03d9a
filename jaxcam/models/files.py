"""Files of weights: arrays by name. Weights are data: nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np

SUFFIXES = (".npz", ".safetensors")


def read(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an npz or safetensors file, by name.

    Raises:
      FileNotFoundError: The file is not there.
      ValueError: It is of another kind, damaged, or holds objects.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file of weights {path}; give its path, or weights='random' "
            "for untrained parameters."
        )
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    raise ValueError(
        f"{path.name} is neither .npz nor .safetensors; save the arrays as one of them."
    )


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    damaged = f"{path.name} is damaged or no npz file; fetch it again"
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
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


def sha256(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
