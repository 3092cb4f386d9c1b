"""Energies that others calculated: entries of pymatgen in JSON files, and VASP runs in a folder tree."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.errors import InputError, unreadable
from ionscape.files import Wanted, json_of
from ionscape.phases.competing import CompetingPhases, phases_from_rows, row_of
from ionscape.phases.scheme import EntriesOnOneScale, Mixing, on_one_scale

if TYPE_CHECKING:
    from pymatgen.core.entries import Entry

#: Classes of pymatgen that a file of entries may hold.
ENTRY_CLASSES = ("ComputedEntry", "ComputedStructureEntry", "PDEntry")
#: Names of the output file of a VASP run begin so (compressed ones end in .gz and the like).
VASPRUN = "vasprun.xml"
EXPECTED = f"a JSON list of pymatgen entries ({', '.join(ENTRY_CLASSES)}), as monty or MontyEncoder writes it"
ENTRIES = Wanted("JSON", EXPECTED, "Check the path, or write the file again.", largest_MB=512)
#: No energy is larger, whatever it is counted from (all electrons of uranium: 7.6e5 eV); eV/atom.
LARGEST_ENERGY = 1e7
#: Atoms of one element in an entry, at most.
MOST_ATOMS = 1e6


@dataclass(frozen=True)
class EntrySource:
    """Entries and what could not be used of their source.

    Attributes
    ----------
    entries
        Entries of pymatgen.
    excluded
        What takes no part, and why.
    scheme
        The one scheme that the source vouches for; empty if the entries have to tell.
    """

    entries: tuple[Any, ...]
    excluded: tuple[tuple[str, str], ...] = ()
    scheme: str = ""


def read_entries(path: Path) -> EntrySource:
    """Return the pymatgen entries in a JSON file (``.json`` or ``.json.gz``).

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else or nothing.
    """
    data = json_of(path, ENTRIES, finite=False)  # what belongs to an entry may be NaN, its energy not
    rows = data.get("entries") if isinstance(data, dict) else data
    if not isinstance(rows, list) or not rows:
        raise _no_entries(
            path, "no entries" if rows == [] else f"a JSON {type(data).__name__} that lists no entries"
        )
    return EntrySource(tuple(_entry(row, f"{path}, entry {i}") for i, row in enumerate(rows)))


def _no_entries(where: Path | str, found: str) -> InputError:
    return InputError(
        found,
        where=str(where),
        expected=EXPECTED,
        remedy="Write it with monty: `dumpfn(entries, 'entries.json.gz')`.",
    )


def _entry(row: Any, where: str) -> Entry:
    from pymatgen.analysis.phase_diagram import PDEntry
    from pymatgen.core.entries import ComputedEntry, ComputedStructureEntry

    kind = row.get("@class") if isinstance(row, dict) else type(row).__name__
    if kind not in ENTRY_CLASSES:
        raise _no_entries(where, f"a {kind or 'JSON object without @class'}")
    classes = (ComputedEntry, ComputedStructureEntry, PDEntry)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            entry = classes[ENTRY_CLASSES.index(kind)].from_dict(row)
        if not (math.isfinite(entry.energy_per_atom) and abs(entry.energy_per_atom) < LARGEST_ENERGY):
            raise ValueError(f"its energy is {entry.energy_per_atom} eV/atom")
        if not all(0 < amount < MOST_ATOMS for amount in entry.composition.values()):
            raise ValueError(f"its composition is {entry.composition}")
    except Exception as error:  # noqa: BLE001  decoding foreign data raises anything; one clear error leaves here
        raise unreadable(
            error, f"a {kind}", where=where, expected=EXPECTED, remedy="Write the entry again, or leave it out."
        ) from None
    return entry


def vasp_runs(folder: Path) -> list[Path]:
    """Return the VASP outputs (``vasprun.xml``, compressed or not) anywhere below `folder`."""
    return sorted(path for path in folder.rglob(f"{VASPRUN}*") if path.is_file())


def read_vasp_runs(folder: Path) -> EntrySource:
    """Return the final energies of all VASP runs below `folder`; unconverged ones are excluded.

    Raises
    ------
    InputError
        If an output cannot be read, e.g. because the run was ended.
    """
    entries, excluded = [], []
    for path in vasp_runs(folder):
        name = str(path.relative_to(folder))
        run = _vasprun(path)
        if run.converged:
            entries.append(run.get_computed_entry(inc_structure=True, entry_id=name))
        else:
            excluded.append((name, "the VASP run did not converge"))
    return EntrySource(tuple(entries), tuple(excluded))


def _vasprun(path: Path) -> Any:
    from pymatgen.io.vasp.outputs import Vasprun

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Vasprun(path, parse_dos=False, parse_eigen=False, parse_potcar_file=False)
        except Exception as error:  # noqa: BLE001  the parser raises anything; one clear error leaves here
            raise unreadable(
                error,
                "the output of a VASP run",
                where=str(path),
                expected="a complete vasprun.xml",
                remedy="Finish or repeat the run, or take it out of the folder: without it the others would look "
                "more stable than they are.",
            ) from None


def phases_of_entries(
    sources: Sequence[EntrySource], elements: Iterable[str], mixing: Mixing, *, where: str
) -> CompetingPhases:
    """Return the competing phases that the entries of `sources` give together.

    Parameters
    ----------
    sources
        Entries; those with other elements are left out.
    elements
        Element symbols of the chemical system.
    mixing
        What brings entries of several schemes on one scale, see `on_one_scale`.
    where
        The source as the user named it, for messages.

    Raises
    ------
    InputError
        If the entries are of several schemes, or none consists of `elements`.
    """
    system = set(elements)
    inside = [e for source in sources for e in source.entries if system.issuperset(_symbols(e))]
    if not inside:
        total = sum(len(source.entries) for source in sources)
        raise _no_entries(where, f"none of {total} entries consists of {', '.join(sorted(system))}")
    vouched = {source.scheme for source in sources}
    scaled = (
        EntriesOnOneScale(tuple(inside), vouched.pop(), {})
        if mixing == "none" and len(vouched) == 1 and vouched != {""}
        else on_one_scale(inside, mixing, where=where)
    )
    rows = [row_of(entry.composition, entry.energy_per_atom) for entry in scaled.entries]
    excluded = dict(pair for source in sources for pair in source.excluded) | dict(scaled.excluded)
    return phases_from_rows(
        rows, system, level=scaled.scheme, scheme=scaled.scheme, references={}, excluded=excluded
    )


def _symbols(entry: Any) -> set[str]:
    return {element.symbol for element in entry.composition.elements}
