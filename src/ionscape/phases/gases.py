r"""Chemical potentials of O2 and N2 at a temperature and pressure, from tabulated enthalpies and entropies.

The reference energy μ of a gas element is fitted so that formation energies become the measured *enthalpies* at
298.15 K (`references`): it stands for the enthalpy per atom of the gas at 298.15 K and 1 bar, not for a molecule
at 0 K. At T and p the chemical potential is therefore (per atom, ν atoms in the molecule)

    μ(T, p) = μ + Δμ,    Δμ = [ (H°(T) − H°(298.15 K)) − T S°(T) + k T ln(p / p°) ] / ν

======  ==========================================================================
H°, S°  standard enthalpy and entropy of the gas, NIST-JANAF, doi:10.18434/T42S31
p°      1 bar
======  ==========================================================================

Solids keep their energies: their enthalpy and entropy change much less with temperature than those of a gas that
they take up or give off, but not by nothing (T S of a solid is near 0.1 eV/atom at 300 K for S° = 30 J/(K mol) per
atom; what matters is the difference between solids, which is some tenths of that). The gas is ideal.
"""

from __future__ import annotations

import functools
import math
import tomllib
from importlib.resources import files
from typing import Any

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from ionscape.errors import InputError
from ionscape.units import BOLTZMANN_EV_PER_K, KJ_PER_MOL_PER_EV

#: Temperatures in K between which the tables are used.
LOWEST_K, HIGHEST_K = 100.0, 2000.0


def tabulated_gases() -> tuple[str, ...]:
    """Return the elements whose gas has tabulated enthalpies and entropies."""
    return tuple(_tables())


def gas_shift(element: str, temperature_K: float, pressure_bar: float) -> float:
    """Return the change Δμ of the chemical potential per atom against the fitted reference energy, eV/atom.

    Parameters
    ----------
    element
        ``"O"`` or ``"N"``.
    temperature_K
        100 to 2000 K.
    pressure_bar
        Partial pressure of the molecule, bar, above 0; ideal gas.

    Raises
    ------
    InputError
        If the element has no table, or temperature or pressure lie outside their domain.

    References
    ----------
    NIST-JANAF Thermochemical Tables, doi:10.18434/T42S31; Reuter & Scheffler, Phys. Rev. B 65, 035406 (2001),
    doi:10.1103/PhysRevB.65.035406, who count from the molecule at 0 K instead: add [H°(298.15 K) − H°(0)]/ν.
    """
    if element not in _tables():
        raise InputError(
            f"no table of the gas of '{element}'",
            where="gas",
            expected=f"one of {', '.join(_tables())}",
            remedy="Other elements keep their reference energies; leave temperature and pressure out for them.",
        )
    _check(temperature_K, pressure_bar)
    molecule = float(_gibbs(element)(temperature_K)) / KJ_PER_MOL_PER_EV
    molecule += BOLTZMANN_EV_PER_K * temperature_K * math.log(pressure_bar)
    return molecule / int(_tables()[element]["atoms"])


def _check(temperature: float, pressure: float) -> None:
    if not LOWEST_K <= temperature <= HIGHEST_K:
        raise InputError(
            f"temperature {temperature:g} K",
            where="gas",
            expected=f"{LOWEST_K:g} to {HIGHEST_K:g} K, the range of the tables",
            remedy="Give the temperature in kelvin.",
        )
    if not (pressure > 0 and math.isfinite(pressure)):
        raise InputError(
            f"pressure {pressure:g} bar",
            where="gas",
            expected="a partial pressure above 0",
            remedy="Without any gas, leave the element closed instead of giving it zero pressure.",
        )


@functools.cache
def _gibbs(element: str) -> CubicHermiteSpline:
    """Return g(T) = H°(T) − H°(298.15 K) − T S°(T) in kJ/mol; its slope is −S°, which the interpolation keeps."""
    row = _tables()[element]
    temperature = np.array(row["temperature_K"], dtype=float)
    entropy = np.array(row["entropy_J_per_K_mol"]) / 1000
    return CubicHermiteSpline(temperature, np.array(row["enthalpy_kJ_per_mol"]) - temperature * entropy, -entropy)


@functools.cache
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads((files("ionscape.phases") / "data" / "gases.toml").read_text(encoding="utf-8"))
