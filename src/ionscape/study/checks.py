"""What can be known to go wrong before anything costly runs: charges, dopants, references, competing phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ionscape.doping.charges import host_charges, refuse_imbalance, route_charges
from ionscape.errors import InputError, nearest
from ionscape.phases.competing import phase_energies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ionscape.levels.registry import Level
    from ionscape.study.crystals import Crystal
    from ionscape.study.schema import DopingTable, Study


def check_study(study: Study, host: Crystal, level: Level, stages: Iterable[str]) -> None:
    """Raise the error that a stage of the study would end with, before the first stage runs.

    Raises
    ------
    InputError
        If a doped cell would be charged, a dopant has no clear charge, two routes share a name, or a reference
        value names no target.
    MissingReferenceError
        If a competing phase has no energy at `level` and may not be relaxed.
    """
    stages = set(stages)
    _check_dear(study)
    if study.doping is not None:
        _check_routes(study.doping)
        if "doping" in stages:
            _check_charges(study.doping, host)
    if "stability" in stages:
        _check_references(study, host)
        if not study.stability.relax_missing:
            phase_energies(level, _elements(study, host))


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
    elements = {element.symbol for element in host.structure.composition.elements}
    for route in study.doping.routes if study.doping else ():
        elements |= {*route.replace.values(), *route.insert}
    return elements
