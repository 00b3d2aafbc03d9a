"""The command `jaxcam`.

Exit codes: 0 done; 1 a failure that is a bug or the machine's; 2 something asked for
does not exist or does not fit (the message says what to do); 130 interrupted, 143 by
SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from jaxcam.cli import (
    compare,
    console,
    conventions,
    evaluate,
    explain,
    finetune,
    listing,
    merge,
    multiverse,
    report,
    score,
)

Command = (
    Annotated[evaluate.Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[explain.Explain, tyro.conf.subcommand("explain")]
    | Annotated[score.Score, tyro.conf.subcommand("score")]
    | Annotated[compare.Compare, tyro.conf.subcommand("compare")]
    | Annotated[multiverse.Multiverse, tyro.conf.subcommand("multiverse")]
    | Annotated[finetune.Finetune, tyro.conf.subcommand("finetune")]
    | Annotated[report.Report, tyro.conf.subcommand("report")]
    | Annotated[listing.List, tyro.conf.subcommand("list")]
    | Annotated[merge.Merge, tyro.conf.subcommand("merge")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments == ["--version"]:
        from jaxcam import __version__

        console.say(f"jaxcam {__version__}")
        return conventions.EXIT_OK
    command = tyro.cli(
        Command,
        prog="jaxcam",
        description="Class activation maps from Flax models, and how good they are.",
        args=arguments,
    )
    try:
        return command.run()
    except KeyboardInterrupt:
        goes_on = "; the same command goes on where this one stopped"
        console.complain(
            f"Interrupted{goes_on if isinstance(command, evaluate.Evaluate) else ''}."
        )
        return conventions.EXIT_INTERRUPTED
    except (ValueError, TypeError, LookupError, OSError, ModuleNotFoundError) as error:
        if command.debug:
            raise
        console.complain(f"jaxcam: {error}")
        return conventions.EXIT_USAGE
