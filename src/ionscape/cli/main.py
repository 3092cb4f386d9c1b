"""Entry of the command line: parsing, exit codes, and errors as one message.

Exit codes: 0 done; 2 bad input; 3 a calculation failed or did not converge; 130 interrupted, state saved; 141 the
reader of the output left.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ionscape import __version__
from ionscape.errors import InputError, IonscapeError

#: Modules of this room that hold commands, in the order of the help.
ROOMS = (
    "study", "structures", "doping", "stability", "contact", "surfaces", "interface", "dynamics", "potential",
    "export", "transport", "migration", "electronic", "calibration", "installation", "completion",
)  # fmt: skip


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
    except IonscapeError as error:
        return _told(options.command, error)
    except OSError as error:
        return _told(options.command, _unusable(error))
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nionscape: interrupted. Everything finished is stored, what was running left its checkpoint; "
            "the same command continues.\n"
        )
        return 130
    try:
        show(answer, as_json=options.json)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_output()
        return 141
    except OSError as error:
        _silence_output()
        return _told(options.command, _unusable(error, "standard output"))
    code: int = answer.exit_code
    return code


def _told(command: str, error: IonscapeError) -> int:
    sys.stderr.write(f"ionscape {command}: {error}\n")
    return error.exit_code


def _unusable(error: OSError, where: str = "files") -> InputError:
    return InputError(
        error.strerror or str(error) or type(error).__name__,
        where=str(error.filename or where),
        expected="files and folders that can be read and written",
        remedy="Check the path, the permissions and the space on the disk; the same command continues.",
    )


def _silence_output() -> None:
    """Send what is still buffered for standard output nowhere, or the interpreter complains of it at its end."""
    with contextlib.suppress(OSError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def entry() -> None:
    """Run the command line and end the process with its exit code."""
    signal.signal(signal.SIGTERM, _interrupted)
    sys.exit(main())


def _interrupted(number: int, frame: Any) -> None:
    del number, frame
    raise KeyboardInterrupt
