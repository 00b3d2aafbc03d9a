"""Class activation maps from Flax models, and how good they are.

Importing this package loads neither JAX nor Flax: what is named here is loaded when it
is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0.dev0"

_MODULES = (
    "data",
    "finetuning",
    "methods",
    "metrics",
    "models",
    "multiverse",
    "ops",
    "plot",
    "probes",
    "registry",
    "results",
)
_NAMES = {
    "compare": "jaxcam.comparison",
    "evaluate": "jaxcam.evaluation",
    "explain": "jaxcam.explanation",
    "load_run": "jaxcam.results",
    "rank_agreement": "jaxcam.agreement",
    "report": "jaxcam.reports.writing",
    "score": "jaxcam.scoring",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
