"""What all commands share: exit codes, and an option that each of them has."""

from __future__ import annotations

from typing import Annotated

import tyro

EXIT_OK, EXIT_FAILURE, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

Debug = Annotated[bool, tyro.conf.FlagCreatePairsOff]
