r"""The mobile ion's reservoir: its metal at a voltage.

    μ = μ_metal − z e V

V counts against the metal, z is the charge of the ion; μ_metal is the energy per atom of the metal at the level.
"""

from __future__ import annotations

from ionscape.errors import InputError, nearest
from ionscape.phases.competing import CompetingPhases
from ionscape.units import EnergyPerAtom

#: Charges of the mobile ions of batteries.
ION_CHARGES = {
    "Li": 1, "Na": 1, "K": 1, "Rb": 1, "Cs": 1, "Ag": 1, "Cu": 1,
    "Mg": 2, "Ca": 2, "Sr": 2, "Ba": 2, "Zn": 2, "Al": 3, "Y": 3,
}  # fmt: skip


def ion_charge(mobile: str) -> int:
    """Return the charge z of the mobile ion.

    Raises
    ------
    InputError
        If `mobile` is no known mobile ion.
    """
    if mobile not in ION_CHARGES:
        raise InputError(
            f"'{mobile}' is no mobile ion",
            where="mobile ion",
            expected=f"one of {', '.join(ION_CHARGES)}",
            remedy=nearest(mobile, ION_CHARGES),
        )
    return ION_CHARGES[mobile]


def reservoir_at(mobile: str, voltage: float | None, phases: CompetingPhases) -> dict[str, EnergyPerAtom]:
    """Return the chemical potential of `mobile` (eV/atom) at `voltage` (V); nothing without a voltage.

    Raises
    ------
    InputError
        If `mobile` is no known mobile ion, or the voltage is negative: the metal itself would be plated.
    MissingReferenceError
        If the metal is not among `phases`.
    """
    if voltage is None:
        return {}
    charge = ion_charge(mobile)
    if voltage < 0:
        raise InputError(
            f"{voltage:g} V",
            where="voltage",
            expected=f"at least 0 V against {mobile} metal, which is plated below",
            remedy="Give the voltage against the metal of the mobile ion.",
        )
    return {mobile: phases.energy_of(mobile) - charge * voltage}
