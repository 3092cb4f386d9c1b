"""What can be known to go wrong before anything costly runs: charges, dopants, references, competing phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ionscape.doping.charges import host_charges, refuse_imbalance, route_charges
from ionscape.errors import InputError, nearest
from ionscape.stability.bench import elements_of
from ionscape.stability.conditions import refuse_foreign
from ionscape.stability.system import reactant
from ionscape.study.compositions import HOST, contents_of
from ionscape.study.interfaces import check_interfaces
from ionscape.study.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ionscape.phases.competing import CompetingPhases
    from ionscape.stability.bench import PhaseBench
    from ionscape.stability.settings import ContactSettings, WindowSettings
    from ionscape.study.crystals import Crystal
    from ionscape.study.schema import DopingTable, DynamicsTable, Study


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
        names no target, a formula of the contacts or windows is none, the source of phases cannot be used, or the
        dynamics or the migration ask for a material, a level or a mobile element that is not there.
    MissingReferenceError
        If a competing phase has no energy at the level and may not be relaxed.
    """
    stages, host = set(stages), crystals[0]
    _check_dear(study)
    if study.doping is not None:
        _check_routes(study.doping)
        if "doping" in stages:
            _check_charges(study.doping, host)
    _check_references(study, crystals)
    check_interfaces(study, len(crystals))
    _check_potential(study)
    if study.dynamics is not None:
        _check_dynamics(study, study.dynamics, host)
    _check_transport(study)
    _check_migration(study, crystals)
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
    if not kept and study.migration is not None and study.migration.level == "dear":
        return  # the dear level is there for the barriers
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


def _check_dynamics(study: Study, table: DynamicsTable, host: Crystal) -> None:
    contents_of(study)
    if table.level not in {*study.levels.tables(), "learned"}:
        raise InputError(
            f"no level '{table.level}' in this study",
            where="dynamics.level",
            expected=f"one of {', '.join(study.levels.tables())}",
            remedy=f"Add the table [levels.{table.level}], or name another level.",
        )
    if table.batch:
        _check_batch(study, table)
    for name, wanted in (("temperatures_K", table.temperatures_K), ("compositions", table.compositions)):
        twice = [one for index, one in enumerate(wanted) if one in wanted[:index]]
        if twice:
            raise InputError(
                f"{twice[0]} twice",
                where=f"dynamics.{name}",
                expected="every one once",
                remedy="Remove it; for several runs of one kind there is `replicas`.",
            )
    absent = set(table.mobile) - (_elements(study, host) if set(table.compositions) - {HOST} else _symbols(host))
    if absent:
        raise InputError(
            f"no {min(absent)} in {host.name}",
            where="dynamics.mobile",
            expected="elements of the materials that are run",
            remedy="Name the ion that moves.",
        )


def _check_batch(study: Study, table: DynamicsTable) -> None:
    from ionscape.levels.registry import Level
    from ionscape.potential.torchsim_model import require_torchsim

    named = study.levels.tables().get(table.level)
    if named is None:  # a learned potential
        require_torchsim("dynamics.batch")
    else:
        Level.of(named.name, named.settings).check_batched("dynamics.batch")


def _check_potential(study: Study) -> None:
    if study.potential is None:
        if study.dynamics is not None and study.dynamics.level == "learned":
            raise InputError(
                "'learned' without [potential]",
                where="dynamics.level",
                expected="a table [potential], which tells how the potential is learned",
                remedy="Add [potential], or name one of [levels].",
            )
        return
    if study.dynamics is None:
        raise InputError(
            "[potential] without [dynamics]",
            where="potential",
            expected="molecular dynamics, whose materials and temperatures it is learned for",
            remedy="Add [dynamics] with level = 'learned'; from labelled frames there is `ionscape train`.",
        )
    if study.potential.level not in study.levels.tables():
        raise InputError(
            f"no level '{study.potential.level}' in this study",
            where="potential.level",
            expected=f"one of {', '.join(study.levels.tables())}",
            remedy=f"Add the table [levels.{study.potential.level}], or name another level.",
        )


def _check_transport(study: Study) -> None:
    if study.transport is None:
        return
    if study.dynamics is None:
        raise InputError(
            "[transport] without [dynamics]",
            where="transport",
            expected="molecular dynamics to analyse",
            remedy="Add the table [dynamics]; for trajectories of another origin there is `ionscape transport`.",
        )
    if study.transport.mobile not in study.dynamics.mobile:
        raise InputError(
            f"'{study.transport.mobile}', which is not among the mobile elements of [dynamics]",
            where="transport.mobile",
            expected=f"one of {', '.join(study.dynamics.mobile) or 'none named'}",
            remedy="Name the same ion in both tables.",
        )
    if study.transport.law_from_K > max(study.dynamics.temperatures_K):
        raise InputError(
            f"{study.transport.law_from_K:g} K, above all temperatures of [dynamics]",
            where="transport.law_from_K",
            expected=f"at most {max(study.dynamics.temperatures_K):g} K",
            remedy="Lower it, or add hotter runs.",
        )


def _check_migration(study: Study, crystals: Sequence[Crystal]) -> None:
    table = study.migration
    if table is None:
        return
    if table.level not in study.levels.tables():
        raise InputError(
            f"no level '{table.level}' in this study",
            where="migration.level",
            expected=f"one of {', '.join(study.levels.tables())}",
            remedy=f"Add the table [levels.{table.level}], or name another level.",
        )
    searched = crystals if table.include_cathode else crystals[:1]
    present = set().union(*(_symbols(crystal) for crystal in searched))
    if table.mobile not in present:
        raise InputError(
            f"'{table.mobile}', which no crystal that is searched holds",
            where="migration.mobile",
            expected=f"one of {', '.join(sorted(present))}",
            remedy="Name the ion that migrates.",
        )


def _check_references(study: Study, crystals: Sequence[Crystal]) -> None:
    named: list[tuple[str, str, tuple[str, ...]]] = [
        *((f"reference[{i}].target", one.quantity, (one.target,)) for i, one in enumerate(study.reference)),
        *((f"claim[{i}].targets", one.quantity, one.targets) for i, one in enumerate(study.claim)),
    ]
    for where, quantity, targets in named:
        known = _targets_of(study, crystals, QUANTITIES[quantity].path[0])
        for target in targets:
            if known and target not in known:
                raise InputError(
                    f"no target '{target}' in this study",
                    where=where,
                    expected=f"one of {', '.join(sorted(known))}",
                    remedy=nearest(target, known),
                )
    for index, reference in enumerate(study.reference):
        needed = QUANTITIES[reference.quantity].of_run
        if needed == (reference.temperature_K is None):
            raise InputError(
                f"{reference.quantity} {'without' if needed else 'with'} a temperature",
                where=f"reference[{index}].temperature_K",
                expected=f"{'the' if needed else 'no'} temperature of a run for this quantity",
                remedy=f"{'Give' if needed else 'Remove'} temperature_K.",
            )


def _targets_of(study: Study, crystals: Sequence[Crystal], stage: str) -> set[str]:
    """Return what numbers of `stage` can belong to; nothing where that is known only when it has run."""
    if stage == "potential":
        return {"potential"}
    if stage == "host":
        return {crystal.name for crystal in crystals}
    if stage in {"stability", "transport"}:
        routes = study.doping.routes if study.doping else ()
        return {crystals[0].name} | {f"{route.name}, {count}" for route in routes for count in route.counts}
    return set()


def _elements(study: Study, host: Crystal) -> set[str]:
    elements = _symbols(host)
    for route in study.doping.routes if study.doping else ():
        elements |= {*route.replace.values(), *route.insert}
    return elements


def _symbols(crystal: Crystal) -> set[str]:
    return {element.symbol for element in crystal.structure.composition.elements}
