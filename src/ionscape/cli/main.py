"""Entry of the command line: parsing, exit codes, and errors as one message.

Exit codes: 0 done; 2 bad input; 3 a calculation failed or did not converge; 130 interrupted, state saved.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Any

from ionscape import __version__
from ionscape.errors import IonscapeError

#: Modules of this room that hold commands, in the order of the help.
ROOMS = ("study", "structures", "doping", "stability", "installation")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="ionscape",
        description="From crystal to cell interface: stability, doping, contacts and ion transport.",
        epilog="Exit codes: 0 done; 2 bad input; 3 a calculation failed; 130 interrupted, state saved.",
    )
    top.add_argument("--version", action="version", version=f"ionscape {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for room in ROOMS:
        importlib.import_module(f"ionscape.cli.{room}").add_commands(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with `arguments` (default: those of the process) and return the exit code."""
    from ionscape.cli.output import show

    options = parser().parse_args(arguments)
    try:
        answer = options.perform(options)
        show(answer, as_json=options.json)
    except IonscapeError as error:
        sys.stderr.write(f"ionscape {options.command}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nionscape: interrupted. Everything finished is stored, what was running left its checkpoint; "
            "the same command continues.\n"
        )
        return 130
    code: int = answer.exit_code
    return code


def entry() -> None:
    """Run the command line and end the process with its exit code."""
    signal.signal(signal.SIGTERM, _interrupted)
    sys.exit(main())


def _interrupted(number: int, frame: Any) -> None:
    del number, frame
    raise KeyboardInterrupt
