"""Files that others wrote, taken in with care: how large they may be, and what may stand in them.

Reading never runs code: nothing is unpickled, and JSON that names Python modules (as pymatgen and monty write it)
is refused unless these are pymatgen's own classes of crystals and entries.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ionscape.errors import InputError, unreadable

MEGABYTE = 1 << 20
#: Letters of a path at most, as on most systems.
LONGEST_PATH = 1024
#: Text of numbers shrinks to a tenth; a file that grows by more than this is made to fill the memory.
MOST_EXPANSION = 30
#: Where the classes may come from that JSON names.
TRUSTED_MODULES = ("pymatgen.core", "pymatgen.entries", "pymatgen.analysis.phase_diagram", "pymatgen.io.vasp")
#: Objects of these names are data and nothing else.
TRUSTED_DATA = {("numpy", "array"), ("datetime", "datetime"), ("builtins", "float"), ("builtins", "set")}


@dataclass(frozen=True)
class Wanted:
    """What a file should be.

    Attributes
    ----------
    name
        What it is read as, for messages: ``a crystal structure``.
    expected
        What would have been accepted.
    remedy
        What to change.
    largest_MB
        Megabytes that are read at most, decompressed.
    """

    name: str
    expected: str
    remedy: str
    largest_MB: int = 256


def check_file(path: Path, wanted: Wanted) -> None:
    """Raise `InputError` unless `path` is a regular file of at most ``wanted.largest_MB`` that may be read."""
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK):
            if status.st_size > wanted.largest_MB * MEGABYTE:
                _refuse(f"{status.st_size / MEGABYTE:.0f} MB", path, wanted)
            return
        reason = "no permission to read it" if stat.S_ISREG(status.st_mode) else "not a file"
    except FileNotFoundError:
        reason = "no such file"
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:  # a zero byte in the path
        reason = str(error)
    raise InputError(reason, where=str(path), expected=wanted.expected, remedy=wanted.remedy)


def path_inside(folder: Path, text: str, *, where: str) -> Path:
    """Return the path that a file in `folder` names: below that folder, or anywhere if it is absolute.

    Links are followed: who made them meant it.

    Raises
    ------
    InputError
        If the path climbs out of the folder, or no path can be called so.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # nobody is called so: a file whose name begins with a tilde
        path = Path(text)
    climbs = not path.is_absolute() and Path(os.path.normpath(path)).parts[:1] == (os.pardir,)
    if climbs or "\0" in text or not text or len(text) > LONGEST_PATH:
        raise InputError(
            f"'{text[:80]}' leads out of its folder" if climbs else f"{text[:80]!r} is no path",
            where=where,
            expected=f"a path below {folder}, or an absolute one",
            remedy="Move the file there, or write its absolute path.",
        )
    return folder / path


def bytes_of(path: Path, wanted: Wanted) -> bytes:
    """Return the content of a file, decompressed if it is gzip.

    Raises
    ------
    InputError
        If it is no regular file, cannot be read, or holds more than ``wanted.largest_MB``.
    """
    check_file(path, wanted)
    try:
        content = path.read_bytes()
        if content[:2] != b"\x1f\x8b":
            return content
        most = min(wanted.largest_MB * MEGABYTE, max(MOST_EXPANSION * len(content), 16 * MEGABYTE))
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            content = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(error, path, wanted) from None
    if len(content) > most:
        _refuse(f"more than {most // MEGABYTE} MB, decompressed,", path, wanted)
    return content


def text_of(path: Path, wanted: Wanted) -> str:
    """Return the text of a file in UTF-8, with or without a byte order mark.

    Raises
    ------
    InputError
        As `bytes_of`, and if it is no text.
    """
    try:
        return bytes_of(path, wanted).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(error, path, wanted) from None


def json_of(path: Path, wanted: Wanted, *, finite: bool = True) -> Any:
    """Return what a JSON file holds; it names no key twice and no code, and no NaN or infinity if `finite`.

    Raises
    ------
    InputError
        As `text_of`, and if it is no JSON, is nested too deeply, or asks for code of others.
    """
    try:
        numbers: dict[str, Any] = {"parse_float": _finite, "parse_constant": _finite} if finite else {}
        data = json.loads(text_of(path, wanted), object_pairs_hook=_once, **numbers)
        refuse_code(data)
    except (ValueError, RecursionError) as error:
        raise _unreadable(error, path, wanted) from None
    return data


def refuse_code(data: Any) -> None:
    """Raise `ValueError` if JSON data name classes or functions of other modules than `TRUSTED_MODULES`."""
    waiting = [data]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            if "@module" in node and not _trusted(node):
                message = f"asks for code: {node.get('@module')}.{node.get('@class', node.get('@callable'))}"
                raise ValueError(message)
            waiting.extend(node.values())
        elif isinstance(node, list | tuple):
            waiting.extend(node)


def _trusted(node: Mapping[str, Any]) -> bool:
    module, name = node["@module"], node.get("@class")
    if "@callable" in node or not isinstance(module, str) or not isinstance(name, str):
        return False
    ours = any(module == one or module.startswith(f"{one}.") for one in TRUSTED_MODULES)
    return ours or (module, name) in TRUSTED_DATA


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        message = f"the key '{twice[:80]}' stands twice in one object"
        raise ValueError(message)
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        message = f"{text[:40]} is no finite number"
        raise ValueError(message)
    return number


def _refuse(found: str, path: Path, wanted: Wanted) -> NoReturn:
    raise InputError(
        f"{found} of data",
        where=str(path),
        expected=f"{wanted.name} of at most {wanted.largest_MB} MB",
        remedy="Check that it is the right file; divide it if it is.",
    )


def _unreadable(error: Exception, path: Path, wanted: Wanted) -> InputError:
    if isinstance(error, RecursionError):
        error = ValueError("nested too deeply")
    return unreadable(error, wanted.name, where=str(path), expected=wanted.expected, remedy=wanted.remedy)
