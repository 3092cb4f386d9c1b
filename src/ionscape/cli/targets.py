"""What commands about stability are asked about: formulas, names of the phase table, structure files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.errors import CalculationError

if TYPE_CHECKING:
    from pymatgen.core import Composition, Structure

    from ionscape.levels.calculation import Relaxation, RelaxationSettings
    from ionscape.levels.registry import Level
    from ionscape.results import Failure
    from ionscape.stability.system import Reactant
    from ionscape.study.lab import Laboratory

SUFFIXES = {".cif", ".vasp", ".poscar", ".xyz", ".extxyz", ".traj", ".json"}


@dataclass(frozen=True)
class Target:
    """A target: as the user wrote it, its structure if it is a file, its composition."""

    text: str
    structure: Structure | None
    composition: Composition

    @property
    def elements(self) -> list[str]:
        """Symbols of its elements."""
        return [element.symbol for element in self.composition.elements]


def target_named(text: str) -> Target:
    """Return the target that `text` names: a structure file, else a formula or a name of the phase table.

    Raises
    ------
    InputError
        If it is a file that cannot be read, or no formula.
    """
    from ionscape.stability.bench import composition_named
    from ionscape.structures.exchange import read_structure

    name = text.removeprefix("phase:")
    if Path(text).is_file() or Path(text).suffix.lower() in SUFFIXES:
        structure = read_structure(text)
        return Target(text, structure, structure.composition.element_composition)
    return Target(name, None, composition_named(name))


def relaxed_energies(
    targets: Sequence[Target], lab: Laboratory, level: Level, relaxation: RelaxationSettings
) -> dict[str, float]:
    """Return the energies of the structure files among `targets` relaxed at `level`, eV/atom, by their texts.

    Raises
    ------
    CalculationError
        If a relaxation fails or does not converge.
    """
    files = {target.text: target.structure for target in targets if target.structure is not None}
    answers = lab.relax(list(files.values()), level, relaxation) if files else []
    return {text: _energy(text, answer) for text, answer in zip(files, answers, strict=True)}


def _energy(text: str, answer: Relaxation | Failure) -> float:
    from ionscape.results import Failure

    if isinstance(answer, Failure):
        message = f"{text}: {answer.reason}"
        raise CalculationError(message)
    return answer.energy_per_atom


def as_given(targets: Sequence[Target], energies: Mapping[str, float]) -> list[str | Reactant]:
    """Return `targets` as the stages of stability take them: formulas as text, structure files as reactants.

    A structure file is written as its formula; if another target has that formula too, with the file's name, and
    with its path if two files share their name (``run1/CONTCAR``, ``run2/CONTCAR``).
    """
    from ionscape.phases.competing import row_of
    from ionscape.stability.system import Reactant

    rows = [row_of(target.composition, energies.get(target.text, 0.0)) for target in targets]
    labels = [row.label for row in rows]
    given: list[str | Reactant] = []
    for target, row in zip(targets, rows, strict=True):
        if target.structure is None:
            given.append(target.text)
            continue
        alone = labels.count(row.label) == 1
        label = row.label if alone else f"{row.label} ({_file_name(target, targets)})"
        amounts = target.composition.reduced_composition.get_el_amt_dict()
        given.append(Reactant(label, amounts, row.energy))
    return given


def _file_name(target: Target, targets: Sequence[Target]) -> str:
    stem = Path(target.text).stem
    alike = {other.text for other in targets if other.structure is not None and Path(other.text).stem == stem}
    return stem if len(alike) == 1 else target.text


def told(number: Any, factor: float = 1.0) -> Any:
    """Return a number for JSON, or for a `Failure` the object ``{"unavailable": reason}``."""
    reason = getattr(number, "reason", None)
    return factor * number if reason is None else {"unavailable": reason}


def notes_of(excluded: Mapping[str, str]) -> list[str]:
    """Return one line about every phase that takes no part."""
    return [f"no part is taken by {name}: {reason}" for name, reason in excluded.items()]


def require_packaged(target: Target) -> None:
    """Raise `InputError` if a formula is none of the packaged phases."""
    from ionscape.phases.table import polymorphs

    if target.structure is None:
        polymorphs(target.text)
