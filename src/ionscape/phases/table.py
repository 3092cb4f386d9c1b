"""The packaged phase table: crystallographic facts of competing phases, and the structures rebuilt from them.

Most cells are DFT-relaxed ones of the Materials Project (CC BY 4.0, doi:10.1063/1.4812323): facts to start a
relaxation from, never energies. Measured cells of hosts and cathodes stand beside them where a study starts from
experiment. Every entry is rebuilt and checked in the tests (composition, atoms per cell, density, shortest
distance, space group).
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
from pymatgen.core import Composition, Element, Lattice, Structure
from pymatgen.symmetry.groups import SpaceGroup

from ionscape.errors import InputError, MissingReferenceError
from ionscape.units import Array, Count, Unit

MassDensity = Annotated[float, Unit("g/cm³")]
Lengths = Annotated[tuple[float, float, float], Unit("Å")]
Angles = Annotated[tuple[float, float, float], Unit("degree")]

#: Roles of phases that take part in the hulls of their systems.
COMPETING = ("primary", "alternative")
#: Tolerance in Å within which translations are recognised when a cell is made primitive.
PRIMITIVE_TOLERANCE = 0.01
#: Images of a site closer than this, in fractional coordinates, are one atom on a special position.
SAME_SITE = 1e-4


@dataclass(frozen=True)
class Phase:
    """Crystallographic facts of one phase.

    Attributes
    ----------
    name
        Key in the table: the usual formula; other polymorphs add their space group (``ZrO2 P4_2/nmc``).
    formula
        Reduced formula in the order of electronegativity (pymatgen's), equal for all polymorphs.
    role
        ``primary`` (the experimental or usual polymorph, one a formula), ``alternative`` (another polymorph),
        ``reference`` (a molecule in a box) or ``calibration`` (a substance of another chemical system that
        calibrates the gas references; its system is not covered otherwise).
    space_group
        Hermann–Mauguin symbol, standard setting (unique axis b, hexagonal axes).
    lengths, angles
        Cell: a, b, c in Å and α, β, γ in degrees.
    sites
        Asymmetric unit: element and fractional coordinates.
    atoms
        Number of atoms in the conventional cell.
    density
        Mass density of the cell, g/cm³.
    confidence
        ``high``, ``medium`` or ``low``: how sure these facts are.
    source
        Materials Project id, or words.
    measured_lengths, measured_angles
        The measured cell, where a study starts from experiment; empty otherwise.
    measured_source
        Where it was published.
    note
        Structure type, publication or caveat.
    """

    name: str
    formula: str
    role: Literal["primary", "alternative", "reference", "calibration"]
    space_group: str
    lengths: Lengths
    angles: Angles
    sites: tuple[str, ...]
    atoms: Count
    density: MassDensity
    confidence: str
    source: str
    measured_lengths: Lengths | tuple[()] = ()
    measured_angles: Angles | tuple[()] = ()
    measured_source: str = ""
    note: str = ""

    @property
    def elements(self) -> frozenset[str]:
        """The elements of the phase."""
        return frozenset(site.split()[0] for site in self.sites)

    @property
    def label(self) -> str:
        """The usual formula, without the space group that tells polymorphs apart."""
        return self.name.split()[0]

    @property
    def digest(self) -> str:
        """SHA-256 of the facts that determine the structure; energies carry it to prove what they belong to."""
        facts = (self.space_group, self.lengths, self.angles, self.sites)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def structure(self, *, primitive: bool = False, measured: bool = False) -> Structure:
        """Return the crystal structure in its conventional (or `primitive`) cell.

        With `measured`, the measured cell is used with the tabulated fractional coordinates.

        Raises
        ------
        MissingReferenceError
            If `measured` is asked for a phase whose measured cell is not in the table.
        """
        lengths = self.measured_lengths if measured else self.lengths
        angles = self.measured_angles if measured else self.angles
        if not lengths or not angles:
            raise MissingReferenceError(
                f"no measured cell of {self.name}",
                where="packaged phase table",
                expected="a phase with a measured cell",
                remedy="Use the tabulated cell (measured=False), or give the structure as a file.",
            )
        species, coordinates = _unit_cell(self.space_group, self.sites)
        crystal = Structure(Lattice.from_parameters(*lengths, *angles), species, coordinates)
        return crystal.get_primitive_structure(PRIMITIVE_TOLERANCE) if primitive else crystal


def _unit_cell(space_group: str, sites: tuple[str, ...]) -> tuple[list[str], Array]:
    """Return the elements and fractional coordinates, (n, 3), of all atoms that the asymmetric unit stands for."""
    species: list[str] = []
    coordinates: list[Array] = []
    rotations, translations = _operations(space_group)
    for site in sites:
        element, *position = site.split()
        images = np.mod(rotations @ [float(Fraction(x)) for x in position] + translations, 1.0)
        distinct: list[Array] = []
        for image in images:
            if not any(np.abs(image - other - np.round(image - other)).max() < SAME_SITE for other in distinct):
                distinct.append(image)
        species += [element] * len(distinct)
        coordinates += distinct
    return species, np.array(coordinates)


@functools.cache
def _operations(space_group: str) -> tuple[Array, Array]:
    """Return rotations, (k, 3, 3), and translations, (k, 3), of a space group in its standard setting."""
    operations = sorted(SpaceGroup(space_group).symmetry_ops, key=lambda op: op.as_xyz_str())
    matrices = np.array([operation.affine_matrix for operation in operations])
    return matrices[:, :3, :3], matrices[:, :3, 3]


@functools.cache
def phase_table() -> Mapping[str, Phase]:
    """Return all packaged phases by name, in the order of the data file."""
    data = tomllib.loads((files("ionscape.phases") / "data" / "phases.toml").read_text(encoding="utf-8"))
    return MappingProxyType({name: _phase(name, facts) for name, facts in data.items()})


def _phase(name: str, facts: dict[str, Any]) -> Phase:
    cell, measured = facts.pop("cell"), facts.pop("measured_cell", [])
    facts["sites"] = tuple(facts["sites"])
    return Phase(
        name=name,
        lengths=tuple(cell[:3]),
        angles=tuple(cell[3:]),
        measured_lengths=tuple(measured[:3]),
        measured_angles=tuple(measured[3:]),
        **facts,
    )


def phases_within(elements: Iterable[str]) -> list[Phase]:
    """Return the crystalline phases, all polymorphs, that consist of nothing but `elements`."""
    allowed = frozenset(elements)
    return [phase for phase in phase_table().values() if phase.role in COMPETING and phase.elements <= allowed]


def covered_elements() -> frozenset[str]:
    """Return the elements whose chemical systems the table covers."""
    return frozenset(e for phase in phase_table().values() if phase.role in COMPETING for e in phase.elements)


def element_symbols(elements: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct `elements` in alphabetical order.

    Raises
    ------
    InputError
        If a symbol is no element.
    """
    system = tuple(sorted(set(elements)))
    unknown = [symbol for symbol in system if not Element.is_valid_symbol(symbol)]
    if unknown:
        raise InputError(
            f"unknown element {', '.join(map(repr, unknown))}",
            where="chemical system",
            expected="symbols of chemical elements, e.g. Li-Zr-O",
            remedy="Check the spelling; symbols are case-sensitive.",
        )
    return system


def checked_elements(elements: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct `elements` in alphabetical order if the table covers them all.

    Raises
    ------
    InputError
        If a symbol is no element.
    MissingReferenceError
        If the table has no phase with one of them.
    """
    system = element_symbols(elements)
    covered = covered_elements()
    lacking = [element for element in system if element not in covered]
    if lacking or not system:
        raise MissingReferenceError(
            f"no packaged phase with {', '.join(lacking) or 'no element at all'}",
            where="chemical system",
            expected=f"elements that packaged phases cover: {', '.join(sorted(covered))}",
            remedy="Take another source of phases (a file of entries, a folder, 'mp', 'optimade:URL'); a study "
            "can also leave stability out: `ionscape run STUDY --stages host,voids,doping`.",
        )
    return system


def polymorphs(formula: str) -> list[Phase]:
    """Return the packaged polymorphs of `formula` (any notation of the composition), the primary first.

    Raises
    ------
    MissingReferenceError
        If `formula` is no formula, or the table holds no phase of this composition.
    """
    reduced = reduced_formula(formula)
    found = [phase for phase in phase_table().values() if phase.formula == reduced and phase.role in COMPETING]
    if not found:
        raise MissingReferenceError(
            f"no phase '{formula}'",
            where="packaged phase table",
            expected="the formula of a packaged phase (see `ionscape phases`), or a structure file",
            remedy=_calibration_note(reduced) or _hint(formula),
        )
    return sorted(found, key=lambda phase: phase.role != "primary")


def unabbreviated(formula: str) -> str:
    """Return the chemical formula that a name of the table stands for (``NCM811``), other formulas unchanged."""
    return phase_table()[formula].formula if formula in phase_table() else formula


def reduced_formula(formula: str) -> str:
    """Return the reduced formula of any notation of a composition (``O7Zr2Li6`` becomes ``Li6Zr2O7``).

    Raises
    ------
    MissingReferenceError
        If `formula` cannot be read as a chemical formula.
    """
    try:
        reduced = Composition(unabbreviated(formula)).reduced_formula
    except ValueError:
        reduced = ""
    if not reduced or not re.match(r"[A-Z]", reduced):
        raise MissingReferenceError(
            f"'{formula}' is not a chemical formula",
            where="formula",
            expected="element symbols with counts, e.g. Li6Zr2O7",
            remedy=_hint(formula),
        )
    return reduced


def _calibration_note(reduced: str) -> str:
    if not any(phase.formula == reduced and phase.role == "calibration" for phase in phase_table().values()):
        return ""
    return f"The table has {reduced} only to calibrate the gas references; its chemical system is not covered."


def _hint(formula: str) -> str:
    labels = {phase.label for phase in phase_table().values() if phase.role in COMPETING}
    close = difflib.get_close_matches(formula, labels, n=1)
    return f"Did you mean '{close[0]}'?" if close else "`ionscape phases` lists the packaged phases."
