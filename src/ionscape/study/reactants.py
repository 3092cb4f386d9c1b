"""The crystals of a study as reactants: what touches its phases, and whose windows are found."""

from __future__ import annotations

from pymatgen.core import Composition, Structure

from ionscape.doping.funnel import DopedCell
from ionscape.phases.competing import row_of
from ionscape.stability.system import Reactant
from ionscape.study.crystals import RelaxedCrystal


def crystal_reactant(crystal: RelaxedCrystal) -> Reactant:
    """Return a relaxed crystal with its own energy, written as the phase table writes its formula."""
    composition = crystal.structure.composition.element_composition
    row = row_of(composition, crystal.energy_per_atom)
    return Reactant(row.label, composition.reduced_composition.get_el_amt_dict(), row.energy)


def doped_reactants(cells: list[DopedCell], host: Structure, formula_units: int) -> list[Reactant]:
    """Return doped cells with their own energies, of several of one composition that of lowest energy.

    They are written per formula unit of the host, its elements first: ``Li6.125Zr2O6.875N0.125`` is one N in a
    cell of eight formula units, x = 0.125.

    Parameters
    ----------
    cells
        The doped cells.
    host
        The host, which tells the order of elements.
    formula_units
        Formula units of the host in a doped cell.
    """
    lowest: dict[str, Reactant] = {}
    for cell in cells:
        amounts = cell.structure.composition.element_composition.get_el_amt_dict()
        per_unit = {element: amount / formula_units for element, amount in amounts.items()}
        label = _written(per_unit, host)
        known = lowest.get(label)
        if known is None or known.energy is None or cell.energy_per_atom < known.energy:
            lowest[label] = Reactant(label, per_unit, cell.energy_per_atom)
    return list(lowest.values())


def _written(amounts: dict[str, float], host: Structure) -> str:
    first = Composition(host.composition.reduced_formula).get_el_amt_dict()
    order = [element for element in first if element in amounts] + [e for e in amounts if e not in first]
    return "".join(f"{element}{'' if amounts[element] == 1 else f'{amounts[element]:.4g}'}" for element in order)
