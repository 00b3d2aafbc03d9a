"""How programs that run a network are compiled."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

_PRODUCTS_BY_YNNPACK = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"
}


def jit_network(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit(fn)` with the options that make networks fast on this device.

    On CPU matrix products, 1 x 1 convolutions among them, go to a library of XLA's that
    is not its default yet: forward passes of SqueezeNet, MobileNetV2 and ResNet-50 take
    two thirds of the time. A JAX that does not know the option compiles without it.
    """
    return jax.jit(fn, compiler_options=dict(network_options()) or None)


def network_options() -> Mapping[str, str]:
    """Compiler options for programs that run a network, on the default device."""
    return _PRODUCTS_BY_YNNPACK if _knows_ynnpack(jax.default_backend()) else {}


@functools.cache
def _knows_ynnpack(backend: str) -> bool:
    if backend != "cpu":
        return False
    trial = jax.jit(lambda x: x + 1.0, compiler_options=_PRODUCTS_BY_YNNPACK)
    try:
        trial.lower(jnp.float32(0.0)).compile()
    except Exception:  # Whatever an older or newer XLA raises, it works without.
        return False
    return True


def keep_programs() -> Path | None:
    """Keeps compiled programs in the user's cache directory, for later processes.

    For the command line alone: it changes JAX's settings for the whole process. The
    directory is readable by its owner only, as what lies in it is executed. A
    directory that JAX was told of in another way is left as it is, and nothing is kept
    where none can be made.

    Returns:
      The directory; `None` if it is JAX's own or there is none.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return None
    folder = cache_directory() / "programs"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError:  # A home that is not there or not ours is no reason to stop.
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    return folder


def cache_directory() -> Path:
    """Where this platform's users expect jaxcam's caches."""
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / "Library" / "Caches"
    else:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "jaxcam"
