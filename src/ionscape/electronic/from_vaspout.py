"""Projected states of a VASP 6 calculation, from its vaspout.h5 (LORBIT = 10, 11 or higher)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ionscape.electronic.states import ORBITALS, ProjectedStates
from ionscape.errors import InputError, unreadable
from ionscape.units import Array, CellArray, Indices, LengthArray


def read_vaspout(path: str | Path) -> tuple[ProjectedStates, CellArray, LengthArray]:
    """Return the projected states, lattice vectors, Å, and positions, Å, (atoms, 3), of the last ionic step.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no projected density of states.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return _read(file["results"], str(path))
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001  a damaged file raises anything; one clear error leaves here
        raise unreadable(
            error,
            "a vaspout.h5",
            where=str(path),
            expected="a complete vaspout.h5 of a calculation with a density of states",
            remedy="Check that VASP ended, and that NEDOS and LORBIT were set.",
        ) from None


def _read(results: Any, source: str) -> tuple[ProjectedStates, CellArray, LengthArray]:
    if "dospar" not in results["electron_dos"]:
        raise InputError(
            "holds no projected density of states",
            where=source,
            expected="a calculation with LORBIT = 10, 11 or higher",
            remedy="Run it again with LORBIT = 11 and NEDOS = 2001.",
        )
    symbols, cell, positions = _crystal(results["positions"])
    bands = results["electron_eigenvalues"]
    top, bottom = band_edges(bands["eigenvalues"][()], bands["fermiweights"][()])
    energies = np.array(results["electron_dos/energies"], dtype=float)
    names = [_text(one) for one in results["projectors/lchar"][()]]
    values = _by_orbital(np.array(results["electron_dos/dospar"], dtype=float), names, len(symbols))
    return ProjectedStates(energies, values, symbols, top, bottom, source), cell, positions


def _crystal(node: Any) -> tuple[tuple[str, ...], CellArray, LengthArray]:
    counts: Indices = np.array(node["number_ion_types"])
    names = [_text(one).split("_")[0] for one in node["ion_types"][()]]
    symbols = tuple(str(one) for one in np.repeat(names, counts))
    cell = float(np.array(node["scale"])) * np.array(node["lattice_vectors"], dtype=float)
    places = np.array(node["position_ions"], dtype=float)
    direct = "direct_coordinates" not in node or int(np.array(node["direct_coordinates"])) != 0
    return symbols, cell, places @ cell if direct else places


def _text(value: Any) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()


def _by_orbital(values: Array, names: list[str], atoms: int) -> Array:
    """Return states by atom, orbital (s, p, d, f) and spin; VASP has spin first, then atom, then orbital."""
    if values.shape[1] != atoms and values.shape[0] == atoms:
        values = values.swapaxes(0, 1)
    summed = np.zeros((atoms, len(ORBITALS), values.shape[0], values.shape[-1]))
    for number, name in enumerate(names):
        # x2-y2 is a d orbital whose name does not begin with its letter
        letter = ORBITALS.index("d" if name.startswith("x2") else name[0])
        summed[:, letter] += values[:, :, number].swapaxes(0, 1)
    return summed


def band_edges(eigenvalues: Array, occupations: Array) -> tuple[float, float]:
    """Return the highest occupied and the lowest empty eigenvalue, eV; occupied: by more than half of the most.

    Raises
    ------
    ValueError
        If all states are occupied, or none is.
    """
    full = np.asarray(occupations) > 0.5 * float(np.max(occupations))
    if full.all() or not full.any():
        message = "eigenvalues that are all occupied, or all empty"
        raise ValueError(message)
    energies = np.asarray(eigenvalues)
    return float(energies[full].max()), float(energies[~full].min())
