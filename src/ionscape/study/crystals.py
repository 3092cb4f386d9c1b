"""The crystals of a study, relaxed at its level and set beside the cells they were read with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from ionscape.errors import CalculationError
from ionscape.results import Failure
from ionscape.units import EnergyPerAtom, Length, Unit

if TYPE_CHECKING:
    from ionscape.levels.calculation import Lab, RelaxationSettings
    from ionscape.levels.registry import Level

Angle = Annotated[float, Unit("°")]
#: Tolerance with which the space group of a relaxed crystal is determined, Å.
SYMMETRY_PRECISION = 0.05


@dataclass(frozen=True)
class Cell:
    """Lattice parameters."""

    a: Length
    b: Length
    c: Length
    alpha: Angle
    beta: Angle
    gamma: Angle

    @classmethod
    def of(cls, structure: Structure) -> Cell:
        """Return the lattice parameters of `structure`."""
        return cls(*structure.lattice.abc, *structure.lattice.angles)


@dataclass(frozen=True)
class Crystal:
    """A crystal as it was given: what it is called, where it comes from, its formal charges if known.

    Attributes
    ----------
    measured
        Measured lattice parameters where the source tells them, else nothing.
    """

    name: str
    structure: Structure
    charges: Annotated[Mapping[str, float], Unit("e")]
    source: str
    measured: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class RelaxedCrystal:
    """A crystal relaxed at the level of the study.

    Attributes
    ----------
    given, cell, measured
        Lattice parameters as read, as relaxed, and as measured where that is known.
    volume_change
        Volume as relaxed over the measured one (else the one read), less one.
    key
        Key of the relaxation in the store.
    """

    name: str
    formula: str
    source: str
    space_group: str
    given: Cell
    cell: Cell
    measured: tuple[Cell, ...]
    volume_change: Annotated[float, Unit("1")]
    energy_per_atom: EnergyPerAtom
    charges: Annotated[Mapping[str, float], Unit("e")]
    key: str
    structure: Structure = field(metadata={"internal": True})


def relax_crystals(
    crystals: Sequence[Crystal], level: Level, settings: RelaxationSettings, lab: Lab
) -> list[RelaxedCrystal]:
    """Relax every crystal at `level`.

    Raises
    ------
    CalculationError
        If a relaxation fails or does not converge.
    """
    answers = lab.relax([crystal.structure for crystal in crystals], level, settings)
    relaxed = []
    for crystal, answer in zip(crystals, answers, strict=True):
        if isinstance(answer, Failure):
            message = f"relaxation of {crystal.name}: {answer.reason}"
            raise CalculationError(message)
        given = Cell.of(crystal.structure)
        reference = (*crystal.measured, given)[0]
        relaxed.append(
            RelaxedCrystal(
                name=crystal.name,
                formula=crystal.structure.composition.reduced_formula,
                source=crystal.source,
                space_group=SpacegroupAnalyzer(answer.structure, SYMMETRY_PRECISION).get_space_group_symbol(),
                given=given,
                cell=Cell.of(answer.structure),
                measured=crystal.measured,
                volume_change=_volume(Cell.of(answer.structure)) / _volume(reference) - 1,
                energy_per_atom=answer.energy_per_atom,
                charges=crystal.charges,
                key=answer.key,
                structure=answer.structure,
            )
        )
    return relaxed


def _volume(cell: Cell) -> float:
    from pymatgen.core import Lattice

    volume: float = Lattice.from_parameters(cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma).volume
    return volume
