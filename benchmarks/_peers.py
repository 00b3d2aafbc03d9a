"""Peer libraries in an environment of their own, behind a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import _timing


class Peers:
    """A process that answers requests, a line each, with the same cores as ours."""

    def __init__(self, python: str, script: str) -> None:
        threads = str(_timing.CORES)
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name(script))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        )
        self.versions: dict[str, Any] = json.loads(self.ask("versions"))

    def ask(self, request: str) -> str:
        """The answer to one request."""
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The peers' process ended at the request {request!r}.")
        return answer

    def close(self) -> None:
        """Ends the process, which ends with its input."""
        self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def started(python: str | None, script: str) -> Iterator[Peers | None]:
    """The peers while the block runs, `None` without an interpreter for them."""
    peers = Peers(python, script) if python else None
    try:
        yield peers
    finally:
        if peers is not None:
            peers.close()
