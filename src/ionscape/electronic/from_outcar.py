"""Band edges of a VASP calculation, from its OUTCAR, which knows no projected states."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ionscape.electronic.from_vaspout import band_edges
from ionscape.errors import InputError, unreadable
from ionscape.units import Energy

_BAND = re.compile(r"^ +\d+ +(-?\d+\.\d+) +(\d\.\d+) *$", re.MULTILINE)


def read_band_edges(path: str | Path) -> tuple[Energy, Energy]:
    """Return the highest occupied and the lowest empty eigenvalue of the last ionic step, eV.

    Raises
    ------
    InputError
        If the file cannot be read or lists no eigenvalues.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        last = text[text.rindex("E-fermi") :]
        bands = np.array(_BAND.findall(last), dtype=float)
        return band_edges(bands[:, 0], bands[:, 1])
    except (OSError, ValueError, IndexError) as error:
        raise unreadable(
            error,
            "an OUTCAR with eigenvalues",
            where=str(path),
            expected="a complete OUTCAR (NWRITE = 2, the default, or more)",
            remedy="Give vasprun.xml or vaspout.h5; they also tell the states of layers.",
        ) from None


def no_projections(path: str | Path) -> InputError:
    """Return the refusal of what needs projected states, which an OUTCAR has not."""
    return InputError(
        "an OUTCAR, which holds no projected states",
        where=str(path),
        expected="vasprun.xml or vaspout.h5 of a calculation with LORBIT = 10, 11 or higher",
        remedy="Give one of them, or the folder that holds them.",
    )
