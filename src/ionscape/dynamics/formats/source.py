"""What a file of a trajectory gives: a header, and frames one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ionscape.errors import InputError, nearest
from ionscape.units import Array, Temperature, Time


@dataclass(frozen=True)
class Header:
    """What a file says about all its frames.

    Attributes
    ----------
    symbols
        Element of every atom.
    frame_interval
        Time between frames, fs; None if the file does not tell.
    temperature
        Temperature that the run was held at, K; None if the file does not tell.
    spacing
        What the file does tell about the time between frames, for the message that asks for it.
    """

    symbols: tuple[str, ...]
    frame_interval: Time | None = None
    temperature: Temperature | None = None
    spacing: str = ""


class Frame(NamedTuple):
    """One configuration as a file holds it: coordinates (atoms, 3) of the kind of its source, cell in Å.

    `clock` is the step or the time of the frame in any unit, by which frames are known again in files of one run
    that overlap; None if the format tells neither.
    """

    coordinates: Array
    cell: Array
    energy: float | None = None
    temperature: float | None = None
    clock: float | None = None


class Source(Protocol):
    """A file whose frames can be read in order, as often as wanted.

    Attributes
    ----------
    path
        The file.
    header
        What it says about all frames.
    fractional
        Whether its coordinates are fractional (else Cartesian, Å).
    wrapped
        Whether the images of the atoms have to be found; False if the file holds unwrapped positions.
    """

    path: Path
    header: Header
    fractional: bool
    wrapped: bool

    def frames(self) -> Iterator[Frame]:
        """Yield the complete frames in order."""
        ...


Types = Mapping[str, str] | Sequence[str] | None


def element(label: str) -> str | None:
    """Return the element that `label` names, as written (``Li``, ``LI``, ``Li_sv``, ``Li1``), or None."""
    from ase.data import atomic_numbers

    letters = label.strip().split("_")[0].split("/")[0].rstrip("0123456789+-")
    symbol = letters[:1].upper() + letters[1:].lower()
    return symbol if symbol in atomic_numbers and symbol != "X" else None


def elements_of(labels: Sequence[str], types: Types, where: str) -> tuple[str, ...]:
    """Return the elements that the labels of atoms stand for.

    Parameters
    ----------
    labels
        Names or numbers of the atom types, one per atom.
    types
        Elements of the types: a mapping from label to element, or the elements of the types 1, 2, 3, … in order.
    where
        File, for messages.

    Raises
    ------
    InputError
        If a label stands for no element, or `types` names an element that does not exist.
    """
    given = dict(types) if isinstance(types, Mapping) else {str(n): t for n, t in enumerate(types or (), start=1)}
    known = {label: element(given.get(label, label)) for label in dict.fromkeys(labels)}
    unknown = [label for label, symbol in known.items() if symbol is None]
    if not unknown:
        return tuple(str(known[label]) for label in labels)
    wrong = [given[label] for label in unknown if label in given]
    if wrong:
        raise InputError(
            f"'{wrong[0]}' is not an element", where="types", expected="chemical symbols", remedy=_hint(wrong[0])
        )
    raise InputError(
        f"no element is known for the atom type{'s' if len(unknown) > 1 else ''} {', '.join(unknown[:8])}",
        where=where,
        expected="the elements of the atoms, in the file or as an option",
        remedy=f"Give the elements of all {len(known)} types in the order of their numbers, e.g. types=Li,O,… "
        "(LAMMPS: or write the column `element`).",
    )


def _hint(name: str) -> str:
    from ase.data import chemical_symbols

    return nearest(name, chemical_symbols[1:])


def different_atoms(where: str, found: str, expected: str) -> InputError:
    """Return the error for atoms that change within a run."""
    return InputError(
        f"the atoms change: {found}",
        where=where,
        expected=f"the same atoms in all frames ({expected})",
        remedy="Read runs of different systems separately.",
    )


def malformed(where: str, found: str, expected: str) -> InputError:
    """Return the error for a frame that does not keep to its format."""
    return InputError(
        found,
        where=where,
        expected=expected,
        remedy="The file is damaged there, perhaps by a killed or restarted run: write it again or cut it before.",
    )


def from_settings(settings: Mapping[str, Any], intervals: Sequence[str]) -> tuple[float | None, float | None]:
    """Return frame interval (fs) and temperature (K) of a VASP run from its INCAR tags; None where unknown.

    The interval is POTIM times the largest of the tags `intervals` that say how often a file is written. A
    temperature that changes along the run (TEBEG ≠ TEEND), or 0, VASP's default, is no temperature of the run.
    """
    step = _number(settings.get("POTIM"))
    every = max([1, *(int(_number(settings.get(name)) or 1) for name in intervals)])
    begin, end = _number(settings.get("TEBEG")), _number(settings.get("TEEND"))
    constant = begin if begin and (end is None or end < 0 or abs(end - begin) < 1e-6) else None
    return (step * every if step else None), constant


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
