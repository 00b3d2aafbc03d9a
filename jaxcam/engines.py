"""Many processes, found and joined by engines that exist."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import jax

from jaxcam import shares

START_WAIT_S = 300
"""Seconds that processes wait for each other to start."""

END_WAIT_S = 600
"""Seconds that a process that is done waits for the others."""


@dataclasses.dataclass(frozen=True)
class Group:
    """The processes of one job, each of which knows its share.

    Attributes:
      share: Of this process.
      wait: Waits at most so many seconds until every process came to call it; says
        whether all did.
    """

    share: shares.Share
    wait: Callable[[float], bool]


@contextlib.contextmanager
def jax_processes() -> Iterator[Group]:
    """The processes that `jax.distributed.initialize` finds: TPU pods, SLURM, MPI.

    Where it finds none of these, `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and
    `JAX_PROCESS_ID` say it. The service only tells processes apart and lets them wait
    for each other at the end: programs run on a process's own devices and exchange
    nothing, and a process that dies does not end the others.

    Raises:
      ValueError: Nothing says which processes there are.
    """
    # A process that is gone is missed by nobody until the end.
    jax.config.update("jax_enable_recoverability", True)
    # SIGTERM is answered by this process alone, after the batch at hand.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            num_processes=_number("JAX_NUM_PROCESSES"),
            process_id=_number("JAX_PROCESS_ID"),
            initialization_timeout=START_WAIT_S,
        )
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"jax.distributed.initialize found no group of processes ({error}); start "
            "them by SLURM or MPI or on a TPU pod, set JAX_COORDINATOR_ADDRESS, "
            "JAX_NUM_PROCESSES and JAX_PROCESS_ID, or use --shard I/N."
        ) from error
    from jax._src import distributed  # The client has no public name.

    state = distributed.global_state
    share = shares.Share(state.process_id, state.num_processes, "jax.distributed")
    # A client ends its process when it misses the service, which is process 0's: nobody
    # stays connected while there is work to do.
    state.client.shutdown()
    state.client = None

    def wait(seconds: float) -> bool:
        # To look for a service that is gone would end the process.
        if not _answers(state.coordinator_address, seconds):
            return False
        try:
            client = _connected(state, seconds)
            client.wait_at_barrier("jaxcam-end", int(seconds * 1000))
            client.shutdown()
        except jax.errors.JaxRuntimeError:
            return False
        return True

    yield Group(share, wait)


def _answers(address: str, seconds: float) -> bool:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError):
        socket.create_connection((host.strip("[]"), int(port)), seconds).close()
        return True
    return False


def _connected(state: Any, seconds: float) -> Any:
    from jax._src.lib import _jax

    client = _jax.get_distributed_runtime_client(
        state.coordinator_address, state.process_id, init_timeout=max(int(seconds), 1)
    )
    client.connect()
    return client


def _number(name: str) -> int | None:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else None
