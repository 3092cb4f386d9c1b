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
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape import __version__
from ionscape.errors import CalculationError, InputError, IonscapeError

if TYPE_CHECKING:
    from ionscape.cli.output import Answer

#: Set to anything, an unforeseen error ends with its traceback.
TRACEBACK = "IONSCAPE_TRACEBACK"

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
    options = parser().parse_args(arguments)
    try:
        answer = options.perform(options)
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nionscape: interrupted. Everything finished is stored, what was running left its checkpoint; "
            "the same command continues.\n"
        )
        return 130
    except Exception as error:  # noqa: BLE001  one message, whatever it is
        return _told(options.command, _foreseen(error))
    return _shown(answer, options)


def _shown(answer: Answer, options: argparse.Namespace) -> int:
    from ionscape.cli.output import show

    try:
        show(answer, as_json=options.json)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_output()
        return 141
    except OSError as error:
        _silence_output()
        return _told(options.command, _unusable(error, "standard output"))
    except ValueError:  # JSON has no word for what is not finite, and no number must stand for it
        told = "a number of the result is not finite: the input is outside of what can be calculated with."
        return _told(options.command, CalculationError(told))
    return answer.exit_code


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


def _foreseen(error: Exception) -> IonscapeError:
    if isinstance(error, IonscapeError):
        return error
    if isinstance(error, OSError):
        return _unusable(error)
    if os.environ.get(TRACEBACK):
        raise error
    if isinstance(error, MemoryError):
        told = "it needs more memory than this machine has left. Take a smaller system, or fewer frames."
        return CalculationError(told)
    last = traceback.extract_tb(error.__traceback__)[-1]
    reason = " ".join(str(error).split())[:200]
    return CalculationError(
        f"unforeseen {type(error).__name__} at {Path(last.filename).name}:{last.lineno} ({reason}). This is a "
        f"fault of ionscape or of a package it calls: please report it, with what {TRACEBACK}=1 shows."
    )


def quiet() -> None:
    """Keep warnings of other packages off the terminal: they speak of their code, not of the user's input."""
    warnings.filterwarnings("ignore", module=r"(?!ionscape)")


def _silence_output() -> None:
    """Send what is still buffered for standard output nowhere, or the interpreter complains of it at its end."""
    with contextlib.suppress(OSError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def entry() -> None:
    """Run the command line and end the process with its exit code."""
    signal.signal(signal.SIGTERM, _interrupted)
    quiet()
    sys.exit(main())


def _interrupted(number: int, frame: Any) -> None:
    del number, frame
    raise KeyboardInterrupt
