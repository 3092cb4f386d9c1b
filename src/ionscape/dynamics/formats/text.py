"""Tables of numbers in text files, read at the speed of the disk; files seen through a sliding window."""

from __future__ import annotations

import bz2
import gzip
import lzma
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import numpy as np
from numba import njit

from ionscape.dynamics.trajectory import TrajectoryWarning
from ionscape.errors import InputError
from ionscape.files import Wanted, check_file
from ionscape.units import Array, Indices

_T = TypeVar("_T")
#: Bytes read at a time.
WINDOW = 1 << 22
#: In the columns of a table: not wanted, or a label of which only a hash is kept.
SKIP, LABEL = -1, -2
#: What `read_table` returns instead of the end of the table.
INCOMPLETE = -1
#: Atoms and bytes of a frame, and bytes of a line, at most: a file that tells more is damaged.
MOST_ATOMS = 20_000_000
LARGEST_FRAME = 1 << 31
LONGEST_LINE = 1 << 24
#: Trajectories are streamed: they may have any size.
TRAJECTORY = Wanted(
    "a trajectory",
    "the file of a trajectory",
    "Check the path; relative paths start at the current folder.",
    1 << 30,
)
_POWERS = 10.0 ** np.arange(23)
_OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


def opened(path: Path) -> IO[bytes]:
    """Return the file open for reading, decompressed if it is a gzip, bzip2 or xz file."""
    check_file(path, TRAJECTORY)
    try:
        with path.open("rb") as file:
            start = file.read(6)
        for magic, opener in _OPENERS.items():
            if start.startswith(magic):
                stream: IO[bytes] = opener(path, "rb")
                return stream
        return path.open("rb")
    except OSError as error:
        raise InputError(
            "no such file" if not path.exists() else f"cannot be read ({error.strerror})",
            where=str(path),
            expected="the file of a trajectory",
            remedy="Check the path; relative paths start at the current folder.",
        ) from None


class Window:
    """The bytes of a file from `position` on, as many as have been asked for.

    Attributes
    ----------
    data
        The bytes in sight.
    position
        Offset in `data` up to which they are used up.
    cut
        Whether a compressed file ended before its end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = opened(path)
        self._done = False
        self.data = b""
        self.array = np.zeros(0, dtype=np.uint8)
        self.position = 0
        self.cut = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def more(self) -> bool:
        """Read on, drop what is used up, and return whether there was anything."""
        if self._done:
            return False
        unused = self.data[self.position :]
        try:
            new = self._file.read(max(WINDOW, len(unused)))
        except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            if getattr(error, "errno", None) is not None:  # the disk; damaged streams of gzip and bzip2 have none
                raise
            new, self.cut = b"", True
        endless = len(unused) > LONGEST_LINE and b"\n" not in unused[-LONGEST_LINE:]
        if len(unused) > LARGEST_FRAME or endless:
            raise InputError(
                f"a {'line' if endless else 'frame'} of more than {len(unused) >> 20} MB",
                where=str(self._path),
                expected=f"frames of at most {MOST_ATOMS} atoms",
                remedy="Check that the file is a trajectory, and whole.",
            )
        if not new:
            self._done = True
            new = b"\n" if _only_newline_missing(unused) else b""
            if not new:
                return False
        self.data = unused + new
        self.array = np.frombuffer(self.data, dtype=np.uint8)
        self.position = 0
        return True

    def rest(self) -> bytes:
        """Return what is in sight and not used up, without white space at its ends."""
        return self.data[self.position :].strip()


def atoms_told(words: Sequence[bytes], where: str) -> int:
    """Return the number of atoms that a file tells, the sum of `words`.

    Raises
    ------
    InputError
        If it is no number from 1 to `MOST_ATOMS`.
    """
    counts = [int(word) if word.isdigit() and len(word) < 12 else -1 for word in words]
    if counts and min(counts) >= 0 and 0 < sum(counts) <= MOST_ATOMS:
        return sum(counts)
    raise InputError(
        f"{b' '.join(words)[:60].decode(errors='replace') or 'no number'} atoms",
        where=where,
        expected=f"1 to {MOST_ATOMS} atoms in a frame",
        remedy="The file is damaged there: write it again.",
    )


def _only_newline_missing(data: bytes) -> bool:
    """Return whether the last line of a file is whole though it does not end: no shorter than the one before."""
    lines = data[-4096:].split(b"\n")
    if len(lines) < 3 or not lines[-1].strip():
        return False
    last, before = lines[-1].split(), lines[-2].split()
    return len(last) == len(before) and len(lines[-1].rstrip()) >= len(lines[-2].rstrip())


def frames_of(
    path: Path, parse: Callable[[Window, int], _T | None], started: Callable[[bytes], bool] = bool
) -> Iterator[_T]:
    """Yield the complete frames of a text file; an incomplete last one (a killed run) is dropped with a warning.

    Parameters
    ----------
    path
        The file.
    parse
        Returns the next frame in a window, given its index, and moves the window behind it; None if it is not
        whole.
    started
        Whether what is left at the end of the file is the beginning of a frame.

    Raises
    ------
    InputError
        If there is no complete frame.
    """
    count = 0
    with Window(path) as window:
        while window.more():
            while (frame := parse(window, count)) is not None:
                yield frame
                count += 1
    if count == 0:
        raise InputError(
            "ends before its first frame is complete" if window.data.strip() else "empty file",
            where=str(path),
            expected="a trajectory of at least two frames",
            remedy="Check that the run wrote it, and that it was copied whole.",
        )
    if started(window.rest()) or window.cut:
        warnings.warn(
            f"{path}: ends within frame {count}, which is left out (killed run, or still running)",
            TrajectoryWarning,
            stacklevel=3,
        )


@njit(cache=True, nogil=True)
def read_table(data, start, columns, table, labels):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, C901
    """Read a table of text and return the offset of the byte after it.

    Parameters
    ----------
    data
        Bytes (n,) uint8.
    start
        Offset of the table.
    columns
        For each column of the text the column of `table` that it goes to, or `SKIP`, or `LABEL`.
    table
        Receives the numbers, (rows, wanted columns); as many lines are read as it has rows.
    labels
        Receives a hash of each label, (rows,).

    Returns
    -------
    int
        The offset behind the last line; `INCOMPLETE` if the data end before; −2 − row for a line that is no row.
    """
    position, end = start, len(data)
    for row in range(len(table)):
        for column in range(len(columns)):
            while position < end and (data[position] == 32 or data[position] == 9 or data[position] == 13):
                position += 1
            if position == end:
                return INCOMPLETE
            if data[position] == 10:
                return -2 - row
            slot = columns[column]
            if slot >= 0:
                value, position, good = _number(data, position)
                if position < end and not good:
                    return -2 - row
                table[row, slot] = value
            else:
                mark = np.int64(1469598103934665603)
                while position < end and data[position] > 32:
                    mark = (mark ^ np.int64(data[position])) * np.int64(1099511628211)
                    position += 1
                if slot == LABEL:
                    labels[row] = mark
        while position < end and data[position] != 10:
            position += 1
        if position == end:
            return INCOMPLETE
        position += 1
    return position


@njit(cache=True, nogil=True)
def _number(data, position):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901, PLR0912
    """Return the number at `position`, the offset behind it, and whether it was one.

    Up to 15 digits and a power within ±22 the result is the nearest double (mantissa and power are both exact).
    """
    end, first = len(data), position
    negative = data[position] == 45
    if negative or data[position] == 43:
        position += 1
    mantissa, power, digits, fraction = np.int64(0), np.int64(0), 0, False
    while position < end:
        byte = data[position]
        if 48 <= byte <= 57:
            if mantissa < 100_000_000_000_000_000:
                mantissa = mantissa * 10 + np.int64(byte - 48)
                power -= 1 if fraction else 0
            elif not fraction:
                power += 1
            digits += 1
        elif byte == 46 and not fraction:
            fraction = True
        else:
            break
        position += 1
    if digits == 0:
        return _no_number(data, first)
    if position < end and (data[position] | 32) in (100, 101):
        position += 1
        down = position < end and data[position] == 45
        if position < end and data[position] in (43, 45):
            position += 1
        exponent = np.int64(0)
        while position < end and 48 <= data[position] <= 57:
            exponent = exponent * 10 + np.int64(data[position] - 48)
            position += 1
        power += -exponent if down else exponent
    value = float(mantissa)
    if -23 < power < 0:
        value /= _POWERS[-power]
    elif 0 <= power < 23:
        value *= _POWERS[power]
    else:
        value *= 10.0**power
    return (-value if negative else value), position, position == end or data[position] <= 32


@njit(cache=True, nogil=True)
def _no_number(data, position):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return NaN for what programs write instead of a number (nan, inf, ****), and whether it was one of these."""
    byte = data[position]
    if byte in (43, 45) and position + 1 < len(data):
        byte = data[position + 1]
    good = (byte | 32) in (110, 105) or byte == 42
    while position < len(data) and data[position] > 32:
        position += 1
    return np.nan, position, good


def columns_of(wanted: list[str], names: list[str], label: str = "") -> Indices:
    """Return the `columns` of `read_table` for text columns called `names`, of which `wanted` are read, in order.

    Columns behind the last one wanted are left out.
    """
    columns = [wanted.index(n) if n in wanted else (LABEL if n == label else SKIP) for n in names]
    last = max((i for i, c in enumerate(columns) if c != SKIP), default=-1)
    return np.array(columns[: last + 1], dtype=np.int64)


def hash_of(label: str) -> int:
    """Return the hash that `read_table` gives a label."""
    table, labels = np.zeros((1, 0)), np.zeros(1, dtype=np.int64)
    data = np.frombuffer(label.encode() + b"\n", dtype=np.uint8)
    read_table(data, 0, np.array([LABEL]), table, labels)
    return int(labels[0])


def empty_labels(rows: int) -> Indices:
    """Return space for the hashes of `rows` labels."""
    return np.zeros(rows, dtype=np.int64)


def numbers_of(line: bytes) -> Array:
    """Return the numbers of one line of a header; ValueError if it holds anything else."""
    return np.array([float(word) for word in line.split()])
