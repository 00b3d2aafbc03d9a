"""Shards as tasks of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from jaxcam import progress, shares, storage

RETRIES = 3
"""How often a shard is tried again when the process or machine it ran on died."""

_POLL_S = 1.0


class Command(Protocol):
    """What is sent to the tasks: settings, no arrays."""

    def compute(
        self, share: shares.Share, stop: Callable[[], bool], *, show_progress: bool
    ) -> Any:
        """Evaluates a share into the run directory."""


def run(
    command: Command,
    ranges: Sequence[range],
    out: Path,
    *,
    gpus: float = 0,
    stop: Callable[[], bool] = lambda: False,
    show_progress: bool = True,
) -> None:
    """Computes the shards that a run lacks, a task each, wherever Ray has room.

    A cluster that is there is used (`RAY_ADDRESS`, or one on this machine), or else one
    is started for this process. Tasks ask for one CPU, and for `gpus` GPUs; they run in
    the folder of this process where their machine has it, so that paths mean the same.
    A task whose process died is done again, on another machine if need be; so is
    nothing else, as what is in the run directory is not computed twice.

    Args:
      command: What to compute.
      ranges: The images of each shard.
      out: The run directory, which every machine of the cluster must see.
      gpus: GPUs a task.
      stop: Whether to end; shards at hand are then given up.
      show_progress: Shows a progress bar of the whole.

    Raises:
      ModuleNotFoundError: Ray is not installed.
      KeyboardInterrupt: `stop` came to be true.
      Exception: Whatever a task raises, as one that holds a run of other settings.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "--engine ray needs Ray; install it with pip install 'jaxcam-eval[ray]'."
        ) from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level="ERROR")
    task = ray.remote(_compute).options(
        num_cpus=1, num_gpus=gpus, max_retries=RETRIES, retry_exceptions=False
    )
    total = sum(map(len, ranges))
    finished = storage.finished_shards(out)
    # Where all is done a task still makes sure that it is done by these settings.
    asked = [n for n in range(len(ranges)) if n not in finished] or [0]
    waiting = {
        task.remote(command, shard, len(ranges), os.getcwd()): (
            0 if shard in finished else len(ranges[shard])
        )
        for shard in asked
    }
    done = total - sum(waiting.values())
    with progress.bar("Evaluating", total, done=done, show=show_progress) as advance:
        while waiting:
            ready, _ = ray.wait(list(waiting), timeout=_POLL_S)
            for reference in ready:
                try:
                    ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                advance(waiting.pop(reference))
            if stop():
                for reference in waiting:
                    ray.cancel(reference)
                raise KeyboardInterrupt


def _compute(command: Command, shard: int, count: int, folder: str) -> None:
    with contextlib.suppress(OSError):  # Whole paths mean the same everywhere.
        os.chdir(folder)
    share = shares.Share(shard, count, "Ray")
    command.compute(share, lambda: False, show_progress=False)
