"""Schemes of energies: which numbers may stand in one hull.

An energy is comparable with another only if both come from one level of theory and carry corrections of one kind.
The scheme of a phase's energy is the level's name (``chgnet``), or a functional and its corrections (``GGA/GGA+U,
MP2020 corrections``). Energies of one functional are still apart where an element has another Hubbard U or another
pseudopotential in some of them. Nothing is mixed unless the user names how:

``mp2020``
    All GGA and GGA+U entries lose the corrections they carry and take those of 2020 of the Materials Project,
    which fit anions and the mixing of GGA with GGA+U to measured enthalpies (Sci. Rep. 11, 15496 (2021),
    doi:10.1038/s41598-021-94550-5; Phys. Rev. B 84, 045115 (2011), doi:10.1103/PhysRevB.84.045115).
"""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ionscape.errors import InputError
from ionscape.levels.registry import Level

if TYPE_CHECKING:
    from pymatgen.core.entries import Entry

    from ionscape.phases.competing import CompetingPhases

Mixing = Literal["none", "mp2020"]

#: What an entry that names no functional says.
NOT_STATED = "functional not stated"
#: Names of run types that mean the same functional.
SYNONYMS = {"PBE": "GGA", "R2SCAN": "r2SCAN"}
#: Correction schemes by the class of pymatgen that made them.
CORRECTIONS = {
    "MaterialsProject2020Compatibility": "MP2020 corrections",
    "MaterialsProjectCompatibility": "MP legacy corrections",
    "MITCompatibility": "MIT corrections",
    "MaterialsProjectDFTMixingScheme": "MP r2SCAN mixing",
}
UNCORRECTED, MANUAL, MP2020 = "", "manual corrections", "MP2020 corrections"
#: The scale of GGA and GGA+U entries with those corrections.
MP2020_SCALE = f"GGA/GGA+U, {MP2020}"
#: Correction schemes that put GGA and GGA+U on one scale by themselves.
MIXES_HUBBARD = (MP2020, "MP legacy corrections", "MIT corrections")
#: So many entries are named for each scheme.
NAMES_TOLD = 3
ASK_FOR_MIXING = 'Ask for mixing = "mp2020" (MP2020 corrections through pymatgen), or keep entries of one scheme.'
KEEP_ONE = 'Keep entries of one functional and one correction scheme; mixing = "mp2020" mixes GGA and GGA+U only.'


@dataclass(frozen=True)
class EntryScheme:
    """What the energy of one entry is: a functional (``GGA`` stands for PBE) and the corrections it carries."""

    functional: str
    corrections: str

    @property
    def text(self) -> str:
        """How messages and results write it."""
        return ", ".join(part for part in (self.functional, self.corrections) if part)


@dataclass(frozen=True)
class EntriesOnOneScale:
    """Entries whose energies may stand in one hull.

    Attributes
    ----------
    entries
        Entries of pymatgen; their ``energy`` is on the scale of `scheme`.
    scheme
        Functional and corrections, as text.
    excluded
        Entries that have no energy in the scheme, and why.
    """

    entries: tuple[Any, ...]
    scheme: str
    excluded: Mapping[str, str]


def scheme_of_level(level: Level) -> str:
    """Return the scheme of energies calculated at `level`: its name, with its settings if it has any."""
    settings = ", ".join(f"{name} = {value}" for name, value in level.settings)
    return f"{level.name} ({settings})" if settings else level.name


def require_same_scheme(phases: CompetingPhases, level: Level) -> None:
    """Raise `InputError` unless a structure relaxed at `level` may be compared with `phases`."""
    scheme = scheme_of_level(level)
    if phases.scheme != scheme:
        raise InputError(
            f"the phases have energies of '{phases.scheme}', the target would have one of '{scheme}'",
            where="competing phases",
            expected="phases and target of one scheme",
            remedy="Give the target as the formula of one of the phases, or take phases at the level of the "
            "target: 'packaged', a folder of structures, or an OPTIMADE server without a named energy.",
        )


def name_of(entry: Entry) -> str:
    """Return how an entry is told to the user: its formula, and its identifier if it has one."""
    formula = entry.composition.reduced_formula
    identifier = getattr(entry, "entry_id", None)
    return f"{formula} ({identifier})" if identifier else formula


def entry_scheme(entry: Entry) -> EntryScheme:
    """Return the scheme that the parameters and the energy adjustments of a pymatgen entry state."""
    run_type = _parameters(entry).get("run_type")
    words = str(getattr(run_type, "value", run_type) or NOT_STATED).removesuffix("+U")
    made_by = {_maker(adjustment) for adjustment in getattr(entry, "energy_adjustments", [])}
    return EntryScheme(SYNONYMS.get(words, words), " + ".join(sorted(made_by)))


def _parameters(entry: Entry) -> Mapping[str, Any]:
    return getattr(entry, "parameters", None) or {}


def _maker(adjustment: Any) -> str:
    maker = adjustment.cls
    name = maker.get("@class", "") if isinstance(maker, Mapping) else type(maker).__name__
    return CORRECTIONS.get(name, f"{name} corrections" if name else MANUAL)


def on_one_scale(entries: Sequence[Entry], mixing: Mixing = "none", *, where: str) -> EntriesOnOneScale:
    """Return `entries` on one scale of energy.

    Parameters
    ----------
    entries
        Entries of pymatgen: `ComputedEntry`, `ComputedStructureEntry`, `PDEntry`.
    mixing
        ``none``: they must be of one scheme already. ``mp2020``: see the module.
    where
        Their source, for messages.

    Raises
    ------
    InputError
        If they are of several schemes; it counts and names them, and says what would mix them.
    """
    if mixing == "mp2020":
        return _corrected(entries, where)
    scheme = _single_scheme(entries, where)
    if scheme.corrections not in MIXES_HUBBARD:
        _refuse_different_settings(entries, where)
        hubbard = any(_hubbard(entry, element) != "0 eV" for entry in entries for element in _elements(entry))
        scheme = EntryScheme(scheme.functional + "+U" * hubbard, scheme.corrections)
    elif scheme.functional == "GGA":
        scheme = EntryScheme("GGA/GGA+U", scheme.corrections)
    return EntriesOnOneScale(tuple(entries), scheme.text, MappingProxyType({}))


def _single_scheme(entries: Sequence[Entry], where: str) -> EntryScheme:
    """Return the scheme of all `entries`; uncorrected ones fit where there is nothing to correct."""
    groups = defaultdict[EntryScheme, list[Any]](list)
    for entry in entries:
        groups[entry_scheme(entry)].append(entry)
    if len(groups) == 1:
        return next(iter(groups))
    plain, corrected = sorted(groups, key=lambda scheme: scheme.corrections != UNCORRECTED)[:2]
    alike = len(groups) == 2 and plain == EntryScheme(corrected.functional, UNCORRECTED)
    if alike and _all_left_alone(groups[plain], corrected.corrections):
        return corrected
    told = "; ".join(f"{len(group)} of {scheme.text} ({_named(group)})" for scheme, group in groups.items())
    raise InputError(
        f"entries of {len(groups)} schemes: {told}",
        where=where,
        expected="energies of one functional and one correction scheme in one hull",
        remedy=ASK_FOR_MIXING if all(scheme.functional == "GGA" for scheme in groups) else KEEP_ONE,
    )


def _named(entries: Iterable[Any]) -> str:
    names = [name_of(entry) for entry in entries]
    return ", ".join(names[:NAMES_TOLD]) + ", …" * (len(names) > NAMES_TOLD)


def _all_left_alone(entries: Sequence[Any], corrections: str) -> bool:
    """Return whether a correction scheme would give none of `entries` a correction."""
    if corrections != MP2020:
        return corrections == MANUAL or all(len(entry.composition) == 1 for entry in entries)
    ends = [_with_mp2020(entry, check_potcars=False) for entry in entries]
    return not any(isinstance(end, str) or abs(end.correction) > 0 for end in ends)


def _elements(entry: Entry) -> list[str]:
    return [element.symbol for element in entry.composition.elements]


def _refuse_different_settings(entries: Sequence[Entry], where: str) -> None:
    """Refuse entries in which an element has different Hubbard U or pseudopotentials."""
    for what, setting in (("U", _hubbard), ("pseudopotential", _pseudopotential)):
        found = defaultdict[str, dict[str, list[Any]]](lambda: defaultdict(list))
        for entry in entries:
            for element in _elements(entry):
                found[element][setting(entry, element)].append(entry)
        for element, values in found.items():
            values.pop("", None)
            if len(values) > 1:
                told = "; ".join(f"{value} in {len(group)} ({_named(group)})" for value, group in values.items())
                raise InputError(
                    f"entries of different schemes: {what} of {element} is {told}",
                    where=where,
                    expected=f"one {what} for each element in all entries of one hull",
                    remedy=ASK_FOR_MIXING
                    if what == "U"
                    else "Keep entries made with one set of pseudopotentials.",
                )


def _hubbard(entry: Entry, element: str) -> str:
    parameters = _parameters(entry)
    if parameters.get("hubbards"):
        return f"{float(parameters['hubbards'].get(element, 0.0)):g} eV"
    return "not stated" if str(parameters.get("run_type")).endswith("+U") else "0 eV"


def _pseudopotential(entry: Entry, element: str) -> str:
    """Return the POTCAR of `element` (``Li_sv``), empty if the entry does not state it."""
    parameters = _parameters(entry)
    titles = [spec.get("titel") or "" for spec in parameters.get("potcar_spec") or [] if spec]
    for title in titles or parameters.get("potcar_symbols") or []:
        words = str(title).split()
        symbol = words[min(1, len(words) - 1)] if words else ""
        if symbol.partition("_")[0] == element:
            return symbol
    return ""


def _corrected(entries: Sequence[Entry], where: str) -> EntriesOnOneScale:
    others = [entry for entry in entries if entry_scheme(entry).functional != "GGA"]
    if others:
        raise InputError(
            f"{len(others)} entries are not stated to be GGA or GGA+U: {_named(others)} "
            f"({entry_scheme(others[0]).functional})",
            where=where,
            expected='entries whose parameters name run_type "GGA" or "GGA+U" for mixing = "mp2020"',
            remedy="Leave the others out, or leave the mixing out and keep entries of one scheme.",
        )
    ends = {id(entry): _with_mp2020(entry) for entry in entries}
    excluded = {name_of(e): end for e in entries if isinstance(end := ends[id(e)], str)}
    kept = tuple(end for end in ends.values() if not isinstance(end, str))
    return EntriesOnOneScale(kept, MP2020_SCALE, MappingProxyType(excluded))


def _with_mp2020(entry: Any, *, check_potcars: bool = True) -> Any:
    """Return a copy of `entry` with MP2020 corrections in place of those it carries, or why it can have none.

    Pseudopotentials are checked, if at all, where the entry states them.
    """
    from pymatgen.analysis.compatibility import CompatibilityError, MaterialsProject2020Compatibility

    parameters = _parameters(entry)
    states_potcars = bool(parameters.get("potcar_spec") or parameters.get("potcar_symbols"))
    fresh = copy.deepcopy(entry)
    fresh.parameters["run_type"] = "GGA+U" if parameters.get("hubbards") else "GGA"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheme = MaterialsProject2020Compatibility(check_potcar=check_potcars and states_potcars)
            scheme.process_entries([fresh], clean=True, on_error="raise")
    except (CompatibilityError, KeyError, IndexError, ValueError) as error:
        return "no MP2020 correction: " + str(error).partition(" for {")[0]
    return fresh
