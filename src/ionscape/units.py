"""Units inside ionscape: Å, eV, fs, amu, elementary charge, K. Conversions happen only at the edges.

All constants come from one CODATA set, the one of ``scipy.constants``. The annotations (``Energy``,
``Length``, …) carry the unit of every number that a result holds; the writer of ``results.json`` and the
architecture test read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import constants

#: e² / (4 π ε0) in eV Å.
COULOMB_EV_ANGSTROM = constants.e / (4 * constants.pi * constants.epsilon_0) * 1e10
#: 1 eV/Å² in J/m².
J_PER_M2_PER_EV_PER_A2 = constants.e * 1e20
#: 1 eV/Å³ in GPa.
GPA_PER_EV_PER_A3 = constants.e * 1e21
#: 1 eV per particle in kJ/mol.
KJ_PER_MOL_PER_EV = constants.e * constants.N_A / 1000
#: Boltzmann's constant in eV/K.
BOLTZMANN_EV_PER_K = constants.k / constants.e


@dataclass(frozen=True)
class Unit:
    """The unit of a number, as written in tables (``"1"`` for a pure number)."""

    symbol: str


Array = NDArray[np.float64]
#: Indices of sites, atoms or rows.
Indices = NDArray[np.int64]

Energy = Annotated[float, Unit("eV")]
EnergyPerAtom = Annotated[float, Unit("eV/atom")]
Length = Annotated[float, Unit("Å")]
Force = Annotated[float, Unit("eV/Å")]
Stress = Annotated[float, Unit("eV/Å³")]
Charge = Annotated[float, Unit("e")]
Density = Annotated[float, Unit("e/Å³")]
EnergyPerArea = Annotated[float, Unit("eV/Å²")]
Number = Annotated[float, Unit("1")]
Count = Annotated[int, Unit("1")]
Seconds = Annotated[float, Unit("s")]
Voltage = Annotated[float, Unit("V")]
Time = Annotated[float, Unit("fs")]
Temperature = Annotated[float, Unit("K")]
Area = Annotated[float, Unit("Å²")]
Volume = Annotated[float, Unit("Å³")]
Diffusivity = Annotated[float, Unit("Å²/fs")]
Conductivity = Annotated[float, Unit("S/cm")]

NumberArray = Annotated[Array, Unit("1")]
InteractionArray = Annotated[Array, Unit("eV/e²")]
EnergyArray = Annotated[Array, Unit("eV")]
EnergyPerAtomArray = Annotated[Array, Unit("eV/atom")]
LengthArray = Annotated[Array, Unit("Å")]
AreaArray = Annotated[Array, Unit("Å²")]
DiffusivityArray = Annotated[Array, Unit("Å²/fs")]
ForceArray = Annotated[Array, Unit("eV/Å")]
StressArray = Annotated[Array, Unit("eV/Å³")]
ChargeArray = Annotated[Array, Unit("e")]
FractionalArray = Annotated[Array, Unit("fractional")]
CellArray = Annotated[Array, Unit("Å")]
TimeArray = Annotated[Array, Unit("fs")]
TemperatureArray = Annotated[Array, Unit("K")]
MassArray = Annotated[Array, Unit("amu")]
FrequencyArray = Annotated[Array, Unit("THz")]
EnergyPerAreaArray = Annotated[Array, Unit("eV/Å²")]
