"""Ending in good order when the user or the machine asks for it."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = signal.SIGINT, signal.SIGTERM

_SHOW_CURSOR = "\x1b[?25h"


@dataclasses.dataclass
class Request:
    """Whether the process was asked to end.

    Attributes:
      signal: By which signal; `None` until then.
    """

    signal: int | None = None

    def __call__(self) -> bool:
        """Whether it was asked."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What shells expect of a process that a signal ended: 128 and its number."""
        return 128 + (signal.SIGINT if self.signal is None else self.signal)


@contextlib.contextmanager
def requests() -> Iterator[Request]:
    """The first Ctrl-C or SIGTERM is noted and said; the second ends the process.

    Files are written whole or not at all, so that the second loses what the first would
    have: the shard at hand. Other threads
    than the main one cannot listen and are never asked.
    """
    asked = Request()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        asked.signal = number
        for each in SIGNALS:  # Also ends a process that is busy outside of Python.
            signal.signal(each, signal.SIG_DFL)
        cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
        sys.stderr.write(
            f"{cursor}\nFinishing the batch; once more stops at once. Nothing that is "
            "written is lost.\n"
        )
        sys.stderr.flush()

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
