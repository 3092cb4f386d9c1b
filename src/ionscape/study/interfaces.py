"""The stage of interfaces: faces joined, registry searched, adhesion told, dopants placed layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ionscape.errors import CalculationError, InputError, IonscapeError
from ionscape.interfaces.adhesion import BulkEnergies
from ionscape.interfaces.assembly import Interface
from ionscape.interfaces.contact import ContactStrength, contact_name, contact_strength, make_interface
from ionscape.interfaces.contact_bench import ContactBench
from ionscape.interfaces.contact_settings import ContactTables, FacePair
from ionscape.interfaces.facets import miller_text
from ionscape.interfaces.match_stage import MatchedPair
from ionscape.interfaces.segregation import Segregation, SegregationSettings, segregation_profile
from ionscape.levels.calculation import Relaxation, RelaxationSettings
from ionscape.results import Failure
from ionscape.study.inputs import crystal_of, structure_named

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.study.pipeline import Run
    from ionscape.study.schema import Study

#: What the two sides of a contact are called in a study file where they are its own crystals.
OWN = ("host", "cathode")


class InterfacePair(FacePair):
    """A contact: which crystals and which of their faces meet."""

    film: str = Field("host", description="The film: 'host', 'cathode', a structure file or 'phase:NAME'.")
    substrate: str = Field("cathode", description="The substrate; likewise.")


class InterfaceTable(InterfacePair, ContactTables):
    """The stage of interfaces: the contact of the study, and others to compare it with.

    Where the study has a table [match], its first contact is the one that is joined there.
    """

    level: Literal["cheap", "dear"] = Field("cheap", description="Which one of [levels] gives the energies.")
    relaxation: RelaxationSettings = Field(
        RelaxationSettings(fmax_eV_per_A=0.05, move="positions", max_steps=300),
        description="How slabs and interfaces are relaxed, in a fixed cell.",
    )
    also: Annotated[tuple[InterfacePair, ...], Field(strict=False)] = Field(
        (), description="Other contacts, made and searched in the same way, for comparison."
    )
    segregation: SegregationSettings | None = Field(
        None, description="Dopants in the first contact, layer by layer; without it none are placed."
    )

    def pairs(self) -> tuple[InterfacePair, ...]:
        """Return all contacts, that of the study first."""
        own = InterfacePair(**{name: getattr(self, name) for name in InterfacePair.model_fields})
        return own, *self.also


@dataclass(frozen=True)
class StudiedContact:
    """A contact of the study.

    Attributes
    ----------
    name
        As in ``Li6Zr2O7 (0 0 1) | LiCoO2 (1 0 4)``.
    interface
        As it was joined.
    strength
        Its registry and its work of adhesion.
    segregation
        Dopants layer by layer, why not, or nothing where they were not asked for.
    """

    name: str
    interface: Interface = field(metadata={"internal": True})
    strength: ContactStrength
    segregation: Segregation | Failure | None


@dataclass(frozen=True)
class FailedContact:
    """A contact that could not be made or searched; it stands where its `StudiedContact` would stand."""

    name: str
    reason: str


@dataclass(frozen=True)
class _Sides:
    """Film and substrate, relaxed at the level, and their energies per atom."""

    film: Structure
    substrate: Structure
    bulk: BulkEnergies


def study_interfaces(run: Run) -> list[StudiedContact | FailedContact]:
    """Return all contacts of the table [interface].

    Raises
    ------
    IonscapeError
        If none of them could be made and searched.
    """
    table = run.study.interface
    assert table is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    bench = ContactBench(run.lab, run.levels[table.level], table.relaxation, run.cheap)
    found: list[StudiedContact | FailedContact] = []
    errors: list[IonscapeError] = []
    for number, pair in enumerate(table.pairs()):
        try:
            found.append(_studied(run, table, pair, bench, first=number == 0))
        except (InputError, CalculationError) as error:
            errors.append(error)
            found.append(FailedContact(pair_name(run, pair), str(error)))
    if len(errors) == len(found):
        raise errors[0]
    return found


def _studied(
    run: Run, table: InterfaceTable, pair: InterfacePair, bench: ContactBench, *, first: bool
) -> StudiedContact:
    matched: MatchedPair | None = run.findings.get("match") if first else None
    if matched is not None and run.study.match is not None:  # joined there, of the same crystals
        pair = InterfacePair(film=run.study.match.film, substrate=run.study.match.substrate)
    sides = _sides(run, pair, bench)
    interface = matched.interface if matched else make_interface(sides.film, sides.substrate, pair, table)
    name = contact_name(interface)
    strength = contact_strength(interface, table, bench, run.rng(f"interface {name}"), sides.bulk)
    doped = _segregated(run, table, strength, bench) if first and table.segregation else None
    return StudiedContact(name, interface, strength, doped)


def _segregated(
    run: Run, table: InterfaceTable, strength: ContactStrength, bench: ContactBench
) -> Segregation | Failure:
    settings, doping = table.segregation, run.study.doping
    assert settings is not None  # noqa: S101  the caller asked for it
    assert doping is not None  # noqa: S101  `check_interfaces` refuses one without the other
    routes = {route.name: route for route in doping.routes}
    route = routes[settings.route] if settings.route else doping.routes[0]
    search = strength.search
    try:
        return segregation_profile(search.interface, search.structure, route, settings, bench)
    except (InputError, CalculationError) as error:
        return Failure(str(error))


def _sides(run: Run, pair: InterfacePair, bench: ContactBench) -> _Sides:
    """Return both crystals relaxed at the level of the interfaces."""
    names, structures = (
        (pair.film, pair.substrate),
        [_structure(run, name) for name in (pair.film, pair.substrate)],
    )
    answers = run.lab.relax(structures, bench.level, run.study.relaxation)
    done: list[Relaxation] = []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, Failure):
            message = f"relaxation of {name}: {answer.reason}"
            raise CalculationError(message)
        done.append(answer)
    film, substrate = done
    return _Sides(
        film.structure, substrate.structure, BulkEnergies(film.energy_per_atom, substrate.energy_per_atom)
    )


def _structure(run: Run, name: str) -> Structure:
    """Return a crystal as it was given; the laboratory finds its relaxation again."""
    if name in OWN:
        return run.crystals[OWN.index(name)].structure
    if name.startswith("phase:"):
        return structure_named(name)
    from ionscape.study.schema import Crystal

    return crystal_of(Crystal(structure=name), run.folder, "interface").structure


def pair_name(run: Run, pair: InterfacePair) -> str:
    """Return the name of a contact, from what the study file says of it."""
    sides = []
    for text, miller in ((pair.film, pair.film_miller), (pair.substrate, pair.substrate_miller)):
        try:
            formula = _structure(run, text).composition.reduced_formula
        except InputError:
            formula = text
        sides.append(f"{formula} {miller_text(miller)}")
    return " | ".join(sides)


def check_interfaces(study: Study, n_crystals: int) -> None:
    """Raise `InputError` unless the crystals, the level and the doping route that [interface] names are there."""
    table = study.interface
    if table is None:
        return
    for place, message, expected in _missing(study, table, n_crystals):
        raise InputError(message, where=place, expected=expected, remedy="Add it, or name another.")


def _missing(study: Study, table: InterfaceTable, n_crystals: int) -> Iterator[tuple[str, str, str]]:
    named = [name for pair in table.pairs() for name in (pair.film, pair.substrate)]
    if "cathode" in named and n_crystals < 2:
        yield "interface", "'cathode' without the table [cathode]", "a table [cathode], or another crystal"
    if table.level not in study.levels.tables():
        yield "interface.level", f"no level '{table.level}' in this study", ", ".join(study.levels.tables())
    if table.segregation is None:
        return
    routes = [route.name for route in study.doping.routes] if study.doping else []
    if not routes:
        yield "interface.segregation", "dopants without the table [doping]", "doping routes"
    elif table.segregation.route and table.segregation.route not in routes:
        yield "interface.segregation.route", f"no route '{table.segregation.route}'", ", ".join(routes)
