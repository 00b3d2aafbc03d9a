"""Which part of a run this process does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Share:
    """Every shard whose number leaves the rest `index` when divided by `count`.

    Attributes:
      index: From 0.
      count: How many processes share the run.
      source: What said so, for the user to read; "" if nothing did.
    """

    index: int = 0
    count: int = 1
    source: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(
                f"Share {self.index}/{self.count}{self._said} does not exist: shares "
                f"of {self.count} are numbered from 0 to {self.count - 1}."
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}{self._said}"

    @property
    def _said(self) -> str:
        return f" (from {self.source})" if self.source else ""


def parse(text: str) -> Share:
    """A share written as "I/N".

    Raises:
      ValueError: It is not written so, or there is no such share.
    """
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal()):
        raise ValueError(f"--shard {text!r} cannot be read; write I/N, as 0/4.")
    return Share(int(index), int(count), "--shard")


def from_environment(environment: Mapping[str, str]) -> Share:
    """The share that a job array says: SLURM's, or an indexed Kubernetes Job's.

    Kubernetes tells a pod its index and not how many there are: the Job's template has
    to set `JOB_COMPLETIONS` to the Job's `completions`.

    Args:
      environment: Environment variables.

    Raises:
      ValueError: The variables do not fit together.
    """
    if "SLURM_ARRAY_TASK_ID" in environment:
        return _from_slurm(environment)
    if "JOB_COMPLETION_INDEX" in environment:
        if "JOB_COMPLETIONS" not in environment:
            raise ValueError(
                "JOB_COMPLETION_INDEX is set but JOB_COMPLETIONS is not: set it to the "
                "Job's completions in its template, or give --shard I/N."
            )
        return Share(
            _number(environment, "JOB_COMPLETION_INDEX"),
            _number(environment, "JOB_COMPLETIONS"),
            "JOB_COMPLETION_INDEX",
        )
    return Share()


def _from_slurm(environment: Mapping[str, str]) -> Share:
    first = _number(environment, "SLURM_ARRAY_TASK_MIN")
    last = _number(environment, "SLURM_ARRAY_TASK_MAX")
    count = _number(environment, "SLURM_ARRAY_TASK_COUNT")
    offset = _number(environment, "SLURM_ARRAY_TASK_ID") - first
    step = (last - first) // (count - 1) if count > 1 else 1
    if step < 1 or step * (count - 1) != last - first or offset % step:
        raise ValueError(
            "The indices of the SLURM array are not evenly spaced, as in --array=0-7; "
            "give --shard I/N."
        )
    return Share(offset // step, count, "SLURM_ARRAY_TASK_ID")


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not text.isdecimal():
        raise ValueError(f"{name} is {text!r}, no number; give --shard I/N.")
    return int(text)
