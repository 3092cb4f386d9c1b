"""The end of the time that a scheduler gave: long calculations stop in order before it, and continue elsewhere.

A job tells its workers by the environment when they must have stopped. Whoever calculates for long asks `over()`
at moments from which it can continue, saves its state, and raises `AllocationEnd`.
"""

from __future__ import annotations

import contextlib
import os
import time

#: Environment variable of the workers of a job: seconds since the epoch at which calculations stop.
END = "IONSCAPE_ALLOCATION_END"


class AllocationEnd(BaseException):
    """A calculation stopped, its state saved: the time of its job is over. Handlers of errors do not see it."""


def over() -> bool:
    """Tell whether the time of this job is over; without a job it never is."""
    with contextlib.suppress(ValueError):
        return time.time() >= float(os.environ.get(END, "inf"))
    return False


def stop_if_over() -> None:
    """Raise `AllocationEnd` if the time of this job is over."""
    if over():
        raise AllocationEnd
