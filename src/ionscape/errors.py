"""The errors a user can meet, by what the user can do about them.

Every message says what was found, where, what was expected and how to mend it. The command line turns an
error into its message and the exit code of its class; nothing else in the package ends the process.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class IonscapeError(Exception):
    """Root of every error raised on purpose by ionscape."""

    exit_code = 1


class InputError(IonscapeError):
    """Something the user gave cannot be used; nothing was computed and nothing was lost.

    Parameters
    ----------
    found
        What is wrong, as it was found, with its value.
    where
        File and key, command-line option or structure in which it was found.
    expected
        What would have been accepted.
    remedy
        What to change.
    """

    exit_code = 2

    def __init__(self, found: str, *, where: str, expected: str, remedy: str) -> None:
        self.found = found
        self.where = where
        self.expected = expected
        self.remedy = remedy
        super().__init__(f"{where}: {found}; expected {expected}. {remedy}")


class StoreError(InputError):
    """The store cannot be read or written, or holds something that was altered."""


class MissingReferenceError(InputError):
    """Reference data (a phase, an energy, a level) that the answer needs is not there."""


class CalculationError(IonscapeError):
    """A calculation failed, or did not converge, so that its number must not be used."""

    exit_code = 3


def unreadable(error: Exception, what: str, *, where: str, expected: str, remedy: str) -> InputError:
    """Return the `InputError` for a file that a parser could not read as `what`; parsers raise anything."""
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return InputError(f"cannot be read as {what} ({reason})", where=where, expected=expected, remedy=remedy)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint ``Did you mean 'x'?`` for a misspelt name, or the list of the known names."""
    names = sorted(known)
    longer = [other for other in names if name and other.startswith(f"{name}_")]
    close = longer or difflib.get_close_matches(name, names, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(names)}."
