"""Results of VASP: energy, forces and stress of the last ionic step, if it was self-consistent."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ionscape.errors import CalculationError
from ionscape.levels.vasp.other_outputs import DamagedOutputError, read_hdf5, read_outcar, voigt_stress
from ionscape.units import GPA_PER_EV_PER_A3

XML, HDF5, OUTCAR = "vasprun.xml", "vaspout.h5", "OUTCAR"


def read_results(folder: Path) -> dict[str, Any]:
    """Return energy, free energy (eV), forces (eV/Å) and stress (eV/Å³, Voigt, positive under tension).

    From ``vasprun.xml``, or where that is missing or damaged from ``vaspout.h5`` or ``OUTCAR``. Atoms are in the
    order of POSCAR. VASP writes the stress in kbar and positive under compression.

    Raises
    ------
    CalculationError
        If no output is whole, or the last step was not self-consistent.
    """
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        XML: read_xml, HDF5: read_hdf5, OUTCAR: read_outcar,
    }  # fmt: skip
    found = [name for name in readers if (folder / name).is_file()]
    if not found:
        message = f"{folder}: VASP left no {XML}, no {HDF5} and no {OUTCAR}"
        raise CalculationError(message)
    damages = []
    for name in found:
        try:
            return readers[name](folder / name)
        except DamagedOutputError as error:
            damages.append(str(error))
    raise CalculationError("; ".join(damages))


def read_xml(path: Path) -> dict[str, Any]:
    """Return the results in a ``vasprun.xml`` (`read_results`).

    Raises
    ------
    DamagedOutputError
        If the file is cut short, or lacks one of them.
    CalculationError
        If its last step was not self-consistent.
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314  the user's own output
    except ET.ParseError as error:
        message = f"{path}: cut short or damaged ({error}): VASP did not end"
        raise DamagedOutputError(message) from None
    steps = root.findall("calculation")
    if not steps:
        message = f"{path}: holds no ionic step"
        raise DamagedOutputError(message)
    _check_self_consistency(root, steps[-1], path)
    return _results(root, steps[-1], path)


def _results(root: Any, step: Any, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = _energies(root, step)
    for array in step.findall("varray"):
        if array.get("name") in {"forces", "stress"}:
            rows = [[float(number) for number in row.text.split()] for row in array.findall("v")]
            found[array.get("name")] = np.array(rows)
    missing = {"energy", "forces", "stress"} - set(found)
    if missing:
        message = f"{path}: the last ionic step has no {', '.join(sorted(missing))}"
        raise DamagedOutputError(message)
    return {**found, "stress": voigt_stress(found["stress"])}


def _energies(root: Any, step: Any) -> dict[str, Any]:
    """Return the free energy, and the one extrapolated to no smearing, of an ionic step.

    VASP's own e_0_energy of an ionic step is wrong in several versions, so their difference is taken from the last
    electronic step; and with PSTRESS its e_fr_energy is an enthalpy, from which p V is taken off.
    """
    free = step.find("./energy/i[@name='e_fr_energy']")
    if free is None:
        return {}
    value = float(free.text) - _pressure_work(root, step)
    last = step.findall("scstep")[-1:]
    parts = [one.find(f"./energy/i[@name='{name}']") for one in last for name in ("e_0_energy", "e_fr_energy")]
    shift = float(parts[0].text) - float(parts[1].text) if parts and None not in parts else 0.0
    return {"free_energy": value, "energy": value + shift}


def _pressure_work(root: Any, step: Any) -> float:
    pressure = root.find("./parameters//i[@name='PSTRESS']")
    volume = step.find("./structure/crystal/i[@name='volume']")
    if pressure is None or volume is None:
        return 0.0
    return float(pressure.text) / 10 / GPA_PER_EV_PER_A3 * float(volume.text)


def _check_self_consistency(root: Any, step: Any, path: Path) -> None:
    """Raise `CalculationError` if the last ionic step took all the electronic steps that it was allowed."""
    limit = root.find("./parameters//i[@name='NELM']")
    taken = len(step.findall("scstep"))
    if limit is not None and taken >= int(limit.text):
        message = f"{path}: not self-consistent after {taken} electronic steps (NELM)"
        raise CalculationError(message)
