"""What the other files of a LAMMPS run say of its dump: units and time step from the log, elements of the types.

A dump holds elements only with the column `element` or `mass`, times only with ``dump_modify … units yes time
yes``. The log repeats the commands of the run; a data file holds masses, in comments often elements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ionscape.dynamics.formats.source import element
from ionscape.errors import InputError
from ionscape.units import Count, Time

#: Femtoseconds per unit of time, of the styles whose unit of length is Å.
FEMTOSECONDS = {"metal": 1000.0, "real": 1.0}
#: Bytes of a log in which commands are looked for: the first ones, before its table grows.
_HEAD = 1 << 20
_LOG_NAMES = ("log.lammps", "*.lammps.log", "log.*", "*.log")
_DATA_NAMES = ("*.data", "data.*", "*.lmp", "*.lmpdat")
_COMMAND = re.compile(
    r"^[ \t]*(units|timestep|mass|dump_modify|pair_coeff|read_data|dump)[ \t]+([^#\n]*)", re.MULTILINE
)
_SECTION = re.compile(r"^[ \t]*([A-Z][A-Za-z /]+?)[ \t]*(?:#[ \t]*(\S+)[^\n]*)?$", re.MULTILINE)
#: Column of the atom type in the section Atoms of a data file, by atom style.
_TYPE_COLUMN = {"atomic": 1, "charge": 1, "molecular": 2, "full": 2, "bond": 2, "angle": 2}


@dataclass(frozen=True)
class LammpsRun:
    """What is known of a run beside its dump.

    Attributes
    ----------
    units
        Style of units; empty if not known.
    timestep
        Time step, fs; None if it or the units are not known, or if it changes.
    elements
        Element of every atom type, by its number as text.
    every
        Steps between the frames of the dump by the command that wrote it; None if not known.
    """

    units: str = ""
    timestep: Time | None = None
    elements: Mapping[str, str] = field(default_factory=dict)
    every: Count | None = None


def run_beside(dump: Path) -> LammpsRun:
    """Return what the log and the data file in the folder of a dump say.

    The log is the one that names the dump, else the only one of the folder; the data file is the one that the log
    names, else the only one.
    """
    log = _log_of(dump)
    commands = _COMMAND.findall(log)
    steps = {words for name, words in commands if name == "timestep" and "$" not in words}
    units = [words.split()[0] for name, words in commands if name == "units" and words.split()]
    named = _named_by_commands(commands)
    return LammpsRun(
        units=units[-1] if units else "",
        timestep=_femtoseconds(steps, units),
        elements=named or _elements_of_data(_data_of(dump.parent, commands)),
        every=_every(dump.name, commands),
    )


def _femtoseconds(steps: set[str], units: Sequence[str]) -> Time | None:
    value = _number(next(iter(steps))) if len(steps) == 1 else None
    unit = FEMTOSECONDS.get(units[-1]) if units else None
    return None if value is None or unit is None else value * unit


def _every(name: str, commands: Sequence[tuple[str, str]]) -> Count | None:
    """Return N of ``dump ID group style N file``."""
    told = [words.split()[3:5] for command, words in commands if command == "dump"]
    found = {parts[0] for parts in told if len(parts) == 2 and Path(parts[1]).name == name and parts[0].isdigit()}
    return int(found.pop()) if len(found) == 1 else None


def _log_of(dump: Path) -> str:
    found = {path: None for name in _LOG_NAMES for path in sorted(dump.parent.glob(name)) if path.is_file()}
    texts = [text for text in map(_head, found) if text.startswith("LAMMPS (")]
    naming = [text for text in texts if re.search(rf"^\s*dump\s.*{re.escape(dump.name)}\b", text, re.MULTILINE)]
    chosen = naming or texts
    return chosen[0] if len(chosen) == 1 else ""


def _head(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_HEAD)
    except OSError:
        return ""


def _named_by_commands(commands: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the elements that the commands give: of `dump_modify`, else of `pair_coeff`, else by masses."""
    by_mass: dict[str, str] = {}
    listed: dict[str, tuple[str, ...]] = {}
    for name, words in commands:
        parts = words.split()
        if name == "mass" and len(parts) == 2 and parts[0].isdigit():
            found = element_of_mass(_number(parts[1]))
            by_mass |= {parts[0]: found} if found else {}
        elif name == "dump_modify" and "element" in parts:
            listed[name] = _elements_in(parts[parts.index("element") + 1 :])
        elif name == "pair_coeff" and parts[:2] == ["*", "*"]:
            last = list(reversed(parts))
            count = next((i for i, word in enumerate(last) if not element_symbol(word)), len(last))
            listed[name] = tuple(reversed(last[:count]))
    order = listed.get("dump_modify") or (None if by_mass else listed.get("pair_coeff"))
    return {str(n): symbol for n, symbol in enumerate(order, start=1)} if order else by_mass


def _elements_in(words: Sequence[str]) -> tuple[str, ...]:
    found = []
    for word in words:
        if not element_symbol(word):
            break
        found.append(word)
    return tuple(found)


def element_symbol(word: str) -> bool:
    """Return whether a word is the symbol of an element, exactly as written."""
    return element(word) == word


def element_of_mass(mass: float | None) -> str | None:
    """Return the element of the nearest standard mass, within 0.3 amu; None if there is none."""
    from ase.data import atomic_masses, chemical_symbols

    if mass is None:
        return None
    number = int(np.abs(atomic_masses[1:] - mass).argmin()) + 1
    return str(chemical_symbols[number]) if abs(atomic_masses[number] - mass) < 0.3 else None


def _data_of(folder: Path, commands: Sequence[tuple[str, str]]) -> Path | None:
    named = [words.split()[0] for name, words in commands if name == "read_data" and words.split()]
    if named:
        path = folder / Path(named[-1]).name
        return path if path.is_file() else None
    found = {path for name in _DATA_NAMES for path in folder.glob(name) if is_data_file(path)}
    return found.pop() if len(found) == 1 else None


def is_data_file(path: Path) -> bool:
    """Return whether a file is a LAMMPS data file: it counts its atom types and has masses or atoms."""
    head = _head(path) if path.is_file() else ""
    return re.search(r"^\s*\d+\s+atom types", head, re.MULTILINE) is not None and "Atoms" in head


def _elements_of_data(path: Path | None) -> dict[str, str]:
    return {} if path is None else _masses(path.read_text(encoding="utf-8", errors="replace"))


def _masses(text: str) -> dict[str, str]:
    """Return the elements of the types in a data file: from a comment that is a symbol, else from the mass."""
    found: dict[str, str] = {}
    for line in _section(text, "Masses")[1]:
        words, _, comment = line.partition("#")
        number, *mass = words.split()
        symbol = comment.strip() if element_symbol(comment.strip()) else element_of_mass(_number(mass[0]))
        found |= {number: symbol} if symbol else {}
    return found


def atom_types_of_data(path: Path) -> tuple[list[str], Mapping[str, str]]:
    """Return the type of every atom of a data file, in the order of the ids, and the elements of the types.

    Raises
    ------
    InputError
        If the section Atoms is missing, or its style is not known.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    style, lines = _section(text, "Atoms")
    column = _TYPE_COLUMN.get(style or "")
    if column is None or not lines:
        raise InputError(
            f"a section Atoms of style {style}" if lines else "no section Atoms",
            where=str(path),
            expected=f"'Atoms # style' with one of the styles {', '.join(_TYPE_COLUMN)}",
            remedy="Write the data file with LAMMPS (write_data), which names the style.",
        )
    rows = sorted((int(words[0]), words[column]) for words in map(str.split, lines))
    return [kind for _, kind in rows], _masses(text)


def _section(text: str, name: str) -> tuple[str | None, list[str]]:
    """Return the word behind # in the title of a section of a data file, and its lines."""
    for title in _SECTION.finditer(text):
        if title[1] == name:
            body = text[title.end() :]
            end = _SECTION.search(body)
            return title[2], [line for line in body[: end.start() if end else None].splitlines() if line.strip()]
    return None, []


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def steps_apart(spacing: Count | None, run: LammpsRun) -> float | None:
    """Return the time between frames that are `spacing` steps apart, fs; None if the time step is not known."""
    return None if run.timestep is None or not spacing else spacing * run.timestep
