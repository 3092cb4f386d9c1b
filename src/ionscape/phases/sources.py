"""Where competing phases come from: one entry point to every source.

=====================  ==========================================================================================
``packaged``           the table that comes with ionscape, energies at the level
``mp``                 Materials Project (`materials_project`)
``optimade:URL``       structures of an OPTIMADE server, relaxed at the level; energies: ``#energy=PROPERTY``
``FILE.json[.gz]``     entries of pymatgen (`entries`)
``FOLDER/``            VASP runs if it holds a ``vasprun.xml``, else structures, relaxed at the level (`folder`)
``SOURCE+SOURCE``      several together, if their energies are of one scheme (`scheme`)
=====================  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from pymatgen.core import Composition

from ionscape.errors import InputError, MissingReferenceError, nearest
from ionscape.files import path_inside
from ionscape.levels.calculation import Lab, RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.phases.competing import CompetingPhases, PhaseRow, phase_energies, phases_from_rows
from ionscape.phases.entries import EntrySource, phases_of_entries, read_entries, read_vasp_runs, vasp_runs
from ionscape.phases.folder import relaxed_phases, structures_in
from ionscape.phases.materials_project import materials_project_entries
from ionscape.phases.optimade import OptimadeServer, optimade_records, phases_with_energies, structures_from
from ionscape.phases.scheme import Mixing
from ionscape.phases.table import covered_elements, element_symbols

Kind = Literal["packaged", "mp", "optimade", "entries", "vasp", "structures"]

#: Kinds of sources whose energies others calculated, as entries of pymatgen.
OF_ENTRIES = ("mp", "entries", "vasp")
EXPECTED = (
    "'packaged', 'mp', 'optimade:URL', a file of entries (.json, .json.gz), a folder, or several joined by '+'"
)


@dataclass(frozen=True)
class SourcePart:
    """One source: its kind, and its file, folder or URL."""

    kind: Kind
    place: str = ""


@dataclass(frozen=True)
class PhaseSource:
    """Where competing phases come from.

    Attributes
    ----------
    text
        The source as the user writes it, see the module.
    mixing
        What brings entries of several schemes on one scale: ``none`` (they are refused) or ``mp2020``.
    relax_missing
        Whether packaged phases without energies at the level are relaxed where there is a lab.
    base
        Folder at which relative paths in `text` start.
    """

    text: str = "packaged"
    mixing: Mixing = "none"
    relax_missing: bool = True
    base: Path = Path()

    @classmethod
    def of(
        cls, text: str, mixing: str = "none", *, relax_missing: bool = True, base: Path | None = None
    ) -> PhaseSource:
        """Return the source that `text` names, after checking its form and that files and folders exist.

        Raises
        ------
        InputError
            If a part of `text` is no source, or `mixing` is unknown.
        """
        if mixing not in get_args(Mixing):
            raise InputError(
                f"unknown mixing '{mixing}'",
                where="source of phases",
                expected=" or ".join(repr(known) for known in get_args(Mixing)),
                remedy=nearest(mixing, get_args(Mixing)),
            )
        source = cls(text, "mp2020" if mixing == "mp2020" else "none", relax_missing, base or Path())
        if mixing != "none" and not any(part.kind in OF_ENTRIES for part in source.parts()):
            raise InputError(
                f"mixing = '{mixing}' with '{text}', which holds no entries of functionals",
                where="source of phases",
                expected="a file of entries, VASP runs or 'mp' where schemes are to be mixed",
                remedy="Leave the mixing out.",
            )
        source.parts()
        return source

    def parts(self) -> tuple[SourcePart, ...]:
        """Return the sources joined by '+'; a path that exists as it is written is one.

        Raises
        ------
        InputError
            If a part is no source.
        """
        whole = (self.base / self.text).exists()
        return tuple(self._part(text) for text in ([self.text] if whole else self.text.split("+")))

    def _part(self, text: str) -> SourcePart:
        if text in {"packaged", "mp"}:
            return SourcePart("packaged" if text == "packaged" else "mp")
        kind, colon, rest = text.partition(":")
        if kind == "optimade" and colon:
            OptimadeServer.of(rest)
            return SourcePart("optimade", rest)
        path = Path(text).expanduser()
        if text and self.base != Path():  # a study file, which reaches no further than its folder
            path = path_inside(self.base, text, where="source of phases")
        if text and path.is_dir():
            return SourcePart("vasp" if vasp_runs(path) else "structures", str(path))
        if path.is_file() and path.name.endswith((".json", ".json.gz")):
            return SourcePart("entries", str(path))
        raise InputError(
            f"'{text}' is no source of phases" + ("" if path.exists() else ", and no such file or folder exists"),
            where="source of phases",
            expected=EXPECTED,
            remedy=nearest(text, ("packaged", "mp", "optimade:URL")),
        )


def competing_phases(
    source: PhaseSource,
    level: Level,
    elements: Iterable[str],
    *,
    lab: Lab | None = None,
    relaxation: RelaxationSettings | None = None,
) -> CompetingPhases:
    """Return the competing phases that consist of `elements`, from `source`, on one scale of energy.

    Phases with energies of their own (Materials Project, entries, VASP, a property of an OPTIMADE provider) keep
    them, gas elements too; ``scheme`` of the result tells what they are, and `scheme.require_same_scheme` whether
    a target relaxed at a level may be compared with them. Phases relaxed at `level` stand beside gas references
    fitted at that level.

    Parameters
    ----------
    source
        Where they come from.
    level
        Level of theory of packaged phases and of structures without energies.
    elements
        Element symbols of the chemical system; with sources other than ``packaged``, any.
    lab, relaxation
        Where and how structures without energies are relaxed; without a lab they are refused.

    Raises
    ------
    InputError
        If the source cannot be read or reached, holds nothing for `elements`, or mixes schemes.
    MissingReferenceError
        If an element has no phase of its own, or an energy is missing.
    CalculationError
        If the machine ended a relaxation.
    """
    system = _checked(elements)
    parts = source.parts()
    if parts == (SourcePart("packaged"),):
        return phase_energies(level, system, lab=lab if source.relax_missing else None, relaxation=relaxation)
    found = [_entries(part, system) for part in parts if part.kind in OF_ENTRIES]
    phases = [phases_of_entries(found, system, source.mixing, where=source.text)] if found else []
    others = [part for part in parts if part.kind not in OF_ENTRIES]
    phases += [_at_level(part, source, level, system, lab, relaxation) for part in others]
    together = _together(phases, system, source)
    _require_elements(together, source)
    return together


def _checked(elements: Iterable[str]) -> tuple[str, ...]:
    system = element_symbols(elements)
    if not system:
        raise InputError(
            "no element",
            where="chemical system",
            expected="symbols of chemical elements, e.g. Li-Zr-O",
            remedy="Check the spelling; symbols are case-sensitive.",
        )
    return system


def _entries(part: SourcePart, system: Sequence[str]) -> EntrySource:
    if part.kind == "mp":
        return materials_project_entries(system)
    return read_entries(Path(part.place)) if part.kind == "entries" else read_vasp_runs(Path(part.place))


def _at_level(
    part: SourcePart,
    source: PhaseSource,
    level: Level,
    system: Sequence[str],
    lab: Lab | None,
    relaxation: RelaxationSettings | None,
) -> CompetingPhases:
    """Return phases of a source that holds structures, not entries."""
    if part.kind == "packaged":
        covered = covered_elements().intersection(system)
        return phase_energies(level, covered, lab=lab if source.relax_missing else None, relaxation=relaxation)
    if part.kind == "optimade":
        server = OptimadeServer.of(part.place)
        records = optimade_records(server, system)
        if server.energy:
            return phases_with_energies(records, system, server)
        structures, left_out = structures_from(records)
    else:
        structures, left_out = structures_in(Path(part.place))
    relaxed = relaxed_phases(
        structures, system, level, lab=lab, relaxation=relaxation, calibrate_in_lab=source.relax_missing
    )
    return replace(relaxed, excluded=MappingProxyType(left_out | dict(relaxed.excluded)))


def _together(found: Sequence[CompetingPhases], system: Sequence[str], source: PhaseSource) -> CompetingPhases:
    schemes = list(dict.fromkeys(phases.scheme for phases in found))
    if len(schemes) > 1:
        raise InputError(
            f"phases of {len(schemes)} schemes: " + "; ".join(f"'{scheme}'" for scheme in schemes),
            where=source.text,
            expected="energies of one level, or of one functional and correction scheme, in one hull",
            remedy="Take sources of one scheme only.",
        )
    return phases_from_rows(
        (row for phases in found for row in _rows(phases)),
        system,
        level=found[0].level,
        scheme=schemes[0],
        references={element: told for phases in found for element, told in phases.references.items()},
        excluded={name: reason for phases in found for name, reason in phases.excluded.items()},
    )


def _rows(phases: CompetingPhases) -> list[PhaseRow]:
    return [PhaseRow(*row) for row in zip(phases.labels, phases.formulas, phases.energies.tolist(), strict=True)]


def _require_elements(phases: CompetingPhases, source: PhaseSource) -> None:
    """Refuse phases among which an element has no reference state."""
    lacking = [e for e in phases.elements if Composition(e).reduced_formula not in phases.formulas]
    if lacking:
        raise MissingReferenceError(
            f"no phase of the pure element{'s' * (len(lacking) > 1)} {', '.join(lacking)}",
            where=source.text,
            expected="the reference state of every element of the system among the phases",
            remedy="Add it to the source, or join a source of the same scheme that has it: SOURCE+SOURCE.",
        )
