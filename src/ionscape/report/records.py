"""What the report shows, as typed records; `reading` makes them from a study folder.

What a study has not computed yet is an absent record (`StudyRecord.pending` names it), never a zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ionscape.report.electronic_records import ElectronicRecord
from ionscape.report.interface_records import InterfaceRecord
from ionscape.report.migration_records import MigrationRecord
from ionscape.report.potential_records import PotentialRecord
from ionscape.report.quantity import Quantity
from ionscape.report.surface_records import MatchRecord, SurfacesRecord
from ionscape.report.transport_records import DynamicsRecord, TransportRecord
from ionscape.stability.contact import ContactMatrix
from ionscape.stability.window import ElectrochemicalWindow


@dataclass(frozen=True)
class Crystal:
    """A relaxed crystal, the host or the cathode, with the cell measured or (if none is known) as given."""

    role: str
    name: str
    formula: str
    space_group: str
    cell: Mapping[str, Quantity]
    compared_cell: Mapping[str, Quantity]
    compared_with: str
    source: str
    energy_per_atom: Quantity | None
    structure_file: str
    key: str


@dataclass(frozen=True)
class EmptySite:
    """An empty site of the host."""

    fractional: tuple[float, ...]
    radius: Quantity
    multiplicity: int
    neighbours: Mapping[str, Quantity]
    density: Quantity | None


@dataclass(frozen=True)
class EmptySites:
    """The empty sites and how they were found."""

    method: str
    source: str
    sites: tuple[EmptySite, ...]


@dataclass(frozen=True)
class DopedCandidate:
    """One configuration; without energy if its relaxation failed."""

    rank: int
    ewald: Quantity
    energy_per_atom: Quantity | None
    failure: str
    origin: str
    structure_file: str
    key: str


@dataclass(frozen=True)
class DopedContent:
    """The configurations of one route and content."""

    route: str
    formula: str
    x_per_formula_unit: float
    n_sampled: int
    n_unique: int
    exhaustive: bool
    lowest_ewald: Quantity | None
    candidates: tuple[DopedCandidate, ...]
    refined: tuple[DopedCandidate, ...]
    best: int
    rho: float | None
    p_value: float | None
    why_no_rho: str

    @property
    def lowest(self) -> DopedCandidate:
        """The candidate that was kept."""
        return (self.refined or self.candidates)[self.best]


@dataclass(frozen=True)
class FailedContent:
    """A route and content none of whose configurations could be relaxed."""

    route: str
    formula: str
    x_per_formula_unit: float
    reason: str


@dataclass(frozen=True)
class Target:
    """Decomposition energy of one composition; the host has no route and x = 0."""

    name: str
    formula: str
    route: str
    x_per_formula_unit: float
    e_d: Quantity
    products: Mapping[str, float]
    reaction: str


@dataclass(frozen=True)
class Phase:
    """A competing phase; `height` is its distance to the hull of all phases."""

    formula: str
    name: str
    energy_per_atom: Quantity | None
    formation_energy: Quantity | None
    height: Quantity | None


@dataclass(frozen=True)
class Comparison:
    """A number of the source study beside ours; `target` is the name of a `Target` if it belongs to one.

    Attributes
    ----------
    temperature
        Of the run that it belongs to, if it does.
    ours, interval
        Our number with the ends of its 95 % interval; None and nothing where they are not known.
    reason
        Why there is none of ours.
    verdict
        Whether the two agree, in words.
    """

    quantity: str
    target: str
    temperature: Quantity | None
    ours: Quantity | None
    interval: tuple[Quantity, ...]
    reason: str
    study: Quantity
    verdict: str
    source: str
    note: str


@dataclass(frozen=True)
class JudgedStatement:
    """A statement of the source study with our numbers, each in words, and whether they bear it out."""

    says: str
    outcome: str
    numbers: tuple[str, ...]
    source: str
    note: str


@dataclass(frozen=True)
class Reference:
    """A method and where it was published."""

    method: str
    citation: str
    doi: str


@dataclass(frozen=True)
class StudyRecord:
    """Everything the report shows, from one study folder.

    Attributes
    ----------
    contacts
        Mutual reactions of cathodes with phases: the closed system first, then at voltages.
    windows
        Electrochemical windows.
    window_conditions, window_no_intervals
        Temperature and pressures of the gases for them, and why they carry no intervals; empty if 0 K, if they do.
    surfaces, match
        Surfaces of the crystals, and the coherent interface of two of them; empty and None if the study has none.
    interfaces
        Contacts of two crystals that were joined and searched.
    potential, dynamics, transport, migration
        The learned potential, molecular dynamics, ion transport in its runs, and migration barriers; None if the
        study has none.
    electronic
        Electronic structure of interfaces; empty if the study has none.
    move
        What relaxations moved: ``positions``, ``cell`` or ``positions+cell``; empty if not recorded.
    computed
        Stages whose results are there.
    failed
        Stages that failed, and why.
    pending
        Stages not computed yet.
    """

    folder: Path
    name: str
    title: str
    seed: str
    input_sha256: str
    code: Mapping[str, str]
    levels: Mapping[str, Mapping[str, Any]]
    move: str
    warnings: tuple[str, ...]
    references: tuple[Reference, ...]
    crystals: tuple[Crystal, ...]
    empty_sites: EmptySites | None
    doping: tuple[DopedContent, ...]
    failed_contents: tuple[FailedContent, ...]
    targets: tuple[Target, ...]
    phases: tuple[Phase, ...]
    excluded: Mapping[str, str]
    contacts: tuple[ContactMatrix, ...]
    windows: tuple[ElectrochemicalWindow, ...]
    window_conditions: str
    window_no_intervals: str
    surfaces: tuple[SurfacesRecord, ...]
    match: MatchRecord | None
    interfaces: tuple[InterfaceRecord, ...]
    potential: PotentialRecord | None
    dynamics: DynamicsRecord | None
    transport: TransportRecord | None
    migration: MigrationRecord | None
    electronic: tuple[ElectronicRecord, ...]
    comparison: tuple[Comparison, ...]
    claims: tuple[JudgedStatement, ...]
    computed: tuple[str, ...]
    failed: Mapping[str, str]
    pending: tuple[str, ...]

    def file(self, relative: str) -> Path | None:
        """Return the path of a file of the study, or nothing if it is not there or lies outside."""
        path = (self.folder / relative).resolve()
        inside = path.is_relative_to(self.folder.resolve())
        return path if relative and inside and path.is_file() else None
