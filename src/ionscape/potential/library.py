"""The compiled core: where it lies, whether it fits its sources, and how it is loaded."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
from pathlib import Path

from ionscape.errors import CalculationError, InputError

LIBRARY = Path(__file__).with_name("_core.dll" if os.name == "nt" else "_core.so")
SOURCES = Path(__file__).with_name("core")


def unavailable() -> str:
    """Return why the compiled core cannot be used, or nothing if it can."""
    if not LIBRARY.is_file():
        return "it was not built: no C++ compiler was there at the installation"
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        return f"it cannot be loaded ({error})"
    library.ionscape_sources.restype = ctypes.c_char_p
    built_from = library.ionscape_sources().decode()
    if any(SOURCES.glob("*.cpp")) and built_from != sources_hash():
        return "it is older than its sources"
    return ""


@functools.cache
def load() -> ctypes.CDLL:
    """Return the compiled core.

    Raises
    ------
    InputError
        If it is missing, cannot be loaded, or was built from other sources than those beside it.
    """
    reason = unavailable()
    if reason:
        raise InputError(
            f"the compiled core cannot be used: {reason}",
            where=str(LIBRARY),
            expected="the library that the installation builds",
            remedy="Install again where g++ or clang++ is found: make install (or pip install -e .).",
        )
    return ctypes.CDLL(str(LIBRARY))


def made(address: int | None, what: str) -> int:
    """Return the address of something that the core made.

    Raises
    ------
    CalculationError
        If the core had neither memory nor threads for it: the address is null then.
    """
    if not address:
        message = f"{what} could not be made: there is no memory, or no thread, left for it"
        raise CalculationError(message)
    return address


def sources_hash() -> str:
    """Return the hash of the sources beside the library, as ``setup.py`` computes it."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCES.glob("*.cpp"), *SOURCES.glob("*.hpp")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()
