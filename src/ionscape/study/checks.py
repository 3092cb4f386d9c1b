"""What can be known to go wrong before anything costly runs: charges, dopants, references, competing phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ionscape.doping.charges import host_charges, refuse_imbalance, route_charges
from ionscape.errors import InputError, nearest
from ionscape.stability.bench import elements_of
from ionscape.stability.conditions import refuse_foreign
from ionscape.stability.system import reactant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ionscape.phases.competing import CompetingPhases
    from ionscape.stability.bench import PhaseBench
    from ionscape.stability.settings import ContactSettings, WindowSettings
    from ionscape.study.crystals import Crystal
    from ionscape.study.schema import DopingTable, Study


def check_study(study: Study, crystals: Sequence[Crystal], bench: PhaseBench, stages: Iterable[str]) -> None:
    """Raise the error that a stage of the study would end with, before the first stage runs.

    Parameters
    ----------
    study
        The study.
    crystals
        Its host and, if it has one, its cathode.
    bench
        Its competing phases.
    stages
        What will run.

    Raises
    ------
    InputError
        If a doped cell would be charged, a dopant has no clear charge, two routes share a name, a reference value
        names no target, a formula of the contacts or windows is none, or the source of phases cannot be used.
    MissingReferenceError
        If a competing phase has no energy at the level and may not be relaxed.
    """
    stages, host = set(stages), crystals[0]
    _check_dear(study)
    if study.doping is not None:
        _check_routes(study.doping)
        if "doping" in stages:
            _check_charges(study.doping, host)
    if "stability" in stages:
        _check_references(study, host)
    systems = _systems(study, crystals)
    if stages & set(systems):
        refuse_foreign(study.stability.exclude, systems.values())
    for name, elements in systems.items():
        if name in stages and not bench.calculates:
            phases = bench.phases(elements)
            if name == "contact" and study.contact is not None and study.contact.ends == "own":
                _check_own_ends(study.contact, phases)


def _systems(study: Study, crystals: Sequence[Crystal]) -> dict[str, set[str]]:
    """Return the elements of the chemical systems of the stages about stability."""
    host, *cathodes = crystals
    systems = {"stability": _elements(study, host)}
    if study.contact is not None:
        table = study.contact
        listed = elements_of((*table.cathodes, *table.phases), table.mobile if table.voltages_V else "")
        own = [cathode for cathode in cathodes if table.include_cathode]
        systems["contact"] = listed.union(_coatings(study, table, host), *map(_symbols, own))
    if study.window is not None:
        listed = elements_of(study.window.phases, study.window.mobile)
        systems["window"] = listed | _coatings(study, study.window, host)
    return systems


def _coatings(study: Study, table: ContactSettings | WindowSettings, host: Crystal) -> set[str]:
    if table.include_doped and study.doping is not None:
        return _elements(study, host)
    return _symbols(host) if table.include_host else set()


def _check_own_ends(table: ContactSettings, phases: CompetingPhases) -> None:
    lacking = [name for name in (*table.cathodes, *table.phases) if reactant(name, phases).energy is None]
    if lacking:
        raise InputError(
            f"{', '.join(lacking)} without energies of their own",
            where="contact.ends",
            expected="phases of the source, where reactions count from the phases' own energies",
            remedy="Leave them out, or count from the hull (ends = 'hull').",
        )


def _check_dear(study: Study) -> None:
    kept = study.doping.keep_dear if study.doping else 0
    if bool(kept) != bool(study.levels.dear):
        raise InputError(
            f"keep_dear = {kept} {'without' if kept else 'with'} a dear level",
            where="doping.keep_dear",
            expected="a dear level together with the number of candidates that are relaxed at it",
            remedy="Give both [levels.dear] and keep_dear ≥ 1 under [doping], or neither.",
        )


def _check_routes(table: DopingTable) -> None:
    names = [route.name for route in table.routes]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(
            f"two routes called '{min(twice)}'",
            where="doping.routes",
            expected="a name of its own for every route",
            remedy="Rename one of them.",
        )


def _check_charges(table: DopingTable, host: Crystal) -> None:
    given = {**host.charges, **table.charges}
    for route in table.routes:
        charges = route_charges(route, host_charges(host.structure, given), given)
        for count in route.counts:
            refuse_imbalance(route, count, charges)


def _check_references(study: Study, host: Crystal) -> None:
    routes = study.doping.routes if study.doping else ()
    known = {host.name} | {f"{route.name}, {count}" for route in routes for count in route.counts}
    for index, reference in enumerate(study.reference):
        if reference.target not in known:
            raise InputError(
                f"no target '{reference.target}' in this study",
                where=f"reference[{index}].target",
                expected="the name of the host, or 'ROUTE, COUNT'",
                remedy=nearest(reference.target, known),
            )


def _elements(study: Study, host: Crystal) -> set[str]:
    elements = _symbols(host)
    for route in study.doping.routes if study.doping else ():
        elements |= {*route.replace.values(), *route.insert}
    return elements


def _symbols(crystal: Crystal) -> set[str]:
    return {element.symbol for element in crystal.structure.composition.elements}
