"""What every benchmark needs: one core, both sides in turns, medians, a JSON file.

Import it first: it pins the process to one core before JAX starts its threads, unless
`JAXCAM_BENCH_CORES` names another number.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

CORES = int(os.environ.get("JAXCAM_BENCH_CORES", "1"))
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[-CORES:]))

import jax  # noqa: E402  The affinity must come first.
import numpy as np  # noqa: E402

# Compilation is timed: what other runs left on disk must not shorten it.
jax.config.update("jax_enable_compilation_cache", False)

RESULTS = Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True)
class Compared:
    """Two sides timed in turns.

    Attributes:
      ours_s: Median seconds a call.
      theirs_s: Median seconds a call.
      ratio: Median over rounds of theirs over ours.
      spread: Interquartile range of that ratio over its median.
      compile_s: Seconds that compiling ours took; `None` if that was not asked.
      rounds: Number of rounds.
    """

    ours_s: float
    theirs_s: float
    ratio: float
    spread: float
    compile_s: float | None
    rounds: int


def seconds(call: Callable[[], Any]) -> float:
    """Seconds of one finished call."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def compile_seconds(program: Any, *arguments: Any) -> float:
    """Seconds to trace and compile a jitted function, whatever was compiled before."""
    jax.clear_caches()
    start = time.perf_counter()
    program.lower(*arguments).compile()
    return time.perf_counter() - start


def compare(
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    *,
    rounds: int = 9,
    compiled: tuple[Any, ...] | None = None,
) -> Compared:
    """Times two sides in turns, A B A B, after a warm-up of each.

    Args:
      ours: Our side.
      theirs: The other side.
      rounds: How often both are timed.
      compiled: A jitted function and its arguments, whose compilation is timed apart.
    """
    compile_s = None if compiled is None else compile_seconds(*compiled)
    seconds(ours)
    seconds(theirs)
    own, other = [], []
    for _ in range(rounds):
        own.append(seconds(ours))
        other.append(seconds(theirs))
    ratios = [b / a for a, b in zip(own, other, strict=True)]
    low, ratio, high = statistics.quantiles(ratios, n=4)
    return Compared(
        statistics.median(own),
        statistics.median(other),
        ratio,
        (high - low) / ratio,
        compile_s,
        rounds,
    )


def entry(
    case: dict[str, Any],
    compared: Compared,
    *,
    ours: int,
    theirs: int,
    target: float | None = None,
    aim: float | None = None,
) -> dict[str, Any]:
    """One line of a report: milliseconds an item of both sides, and their ratio.

    Args:
      case: What was timed.
      compared: The times.
      ours: Items that a call of our side handled.
      theirs: Items that a call of the other side handled.
      target: The least ratio asked for.
      aim: The ratio hoped for.
    """
    return {
        "case": case,
        "ours_ms": 1e3 * compared.ours_s / ours,
        "theirs_ms": 1e3 * compared.theirs_s / theirs,
        "ratio": compared.ratio * ours / theirs,
        "spread": compared.spread,
        "compile_s": compared.compile_s,
        "target": target,
        "aim": aim,
    }


def upsampled_noise(rng: np.random.Generator, native: int, side: int) -> np.ndarray:
    """float32[side, side]: a coarse random map upsampled, as CAMs are."""
    coarse = rng.random((native, native)).astype(np.float32)
    at = np.clip((np.arange(side) + 0.5) * native / side - 0.5, 0, native - 1)
    nodes = np.arange(native)
    weights = np.maximum(0, 1 - np.abs(at[:, None] - nodes[None, :])).astype(np.float32)
    return weights @ coarse @ weights.T


def device_name() -> str:
    """Folder of the results: the device, and how many cores of a CPU."""
    kind = jax.devices()[0].device_kind.lower().replace(" ", "-")
    if jax.default_backend() != "cpu":
        return kind
    return f"cpu-{CORES}core" + "s" * (CORES > 1)


def report(
    question: str,
    results: list[dict[str, Any]],
    *,
    tiny: bool = False,
    versions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The report of a benchmark; written to its JSON file unless the run was tiny.

    Args:
      question: Name of the benchmark and of its file.
      results: Its lines.
      tiny: Whether it only showed that it runs.
      versions: What else is to be said of the other sides: versions, threads.
    """
    made = {
        "question": question.replace("_", " "),
        "device": device_name(),
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("jax", "jaxlib", "numpy")},
        **({"peers": dict(versions)} if versions else {}),
        "results": results,
    }
    if not tiny:
        path = RESULTS / device_name() / f"{question}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return made


def _version(package: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def cli(main: Callable[..., dict[str, Any]]) -> None:
    """Runs a benchmark and prints its results, a line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiny", action="store_true", help="small and unrecorded")
    made = main(tiny=parser.parse_args().tiny)
    for result in made["results"]:
        print(made["question"], json.dumps(result))
