r"""Mutual reactions at a contact: how much energy two phases that touch can release by mixing their atoms.

    ΔE(x) = E(x c_A + (1 − x) c_B) − x E_A − (1 − x) E_B,    ΔE = min over 0 ≤ x ≤ 1

=====  ==========================================================================
c_A    composition of A as atom fractions, likewise c_B
E(c)   lowest energy per atom of any mixture of the competing phases
E_A    energy of A per atom: E(c_A) (ends on the hull, the default), or A's own
x      share of the atoms that come from A
=====  ==========================================================================

ΔE ≤ 0; ΔE(0) = ΔE(1) = 0 with ends on the hull. E is convex and piecewise linear along the line, so the minimum is
at a kink (W. D. Richards et al., Chem. Mater. 28, 266 (2016), doi:10.1021/acs.chemmater.5b04082). In a system open
to a reservoir (a mobile ion at a voltage) the energies are grand potentials and everything counts per atom of the
elements that are not exchanged (Y. Zhu, X. He & Y. Mo, J. Mater. Chem. A 4, 3253 (2016), doi:10.1039/C5TA08574H).
Zero kelvin, no pressure-volume work, no entropy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np

from ionscape.errors import InputError
from ionscape.phases.competing import CompetingPhases
from ionscape.stability.equilibrium import SOLVER_TOLERANCE, NoMixtureError, Subsystem, equilibrium, mixtures_of
from ionscape.stability.mobile import reservoir_at
from ionscape.stability.reactions import balanced_reaction
from ionscape.stability.sampling import SampledEnergies, lowest_reaction_energies
from ionscape.stability.simplex import kinks
from ionscape.stability.system import ChemicalSystem, Reactant, chemical_system
from ionscape.units import Array, EnergyPerAtom, Number, Voltage

#: Energies of the two phases: those of the hull at their compositions, or their own.
Ends = Literal["hull", "own"]
#: Stands for the reaction where mixing releases no energy.
NO_REACTION = "no reaction"


@dataclass(frozen=True)
class ReactionPoint:
    """A kink of the reaction profile.

    Attributes
    ----------
    x
        Share of the atoms (those that are not exchanged) that come from the cathode.
    energy
        ΔE(x), eV/atom, negative if heat is released.
    reaction
        The balanced reaction, with what the reservoirs take up or give off.
    products
        Share of the atoms (those that are not exchanged) in every product, by formula; sums to 1.
    """

    x: Number
    energy: EnergyPerAtom
    reaction: str
    products: Mapping[str, Number]


@dataclass(frozen=True)
class EnergyInterval:
    """95 % interval of an energy, from the errors of the level's energies."""

    low95: EnergyPerAtom
    high95: EnergyPerAtom


@dataclass(frozen=True)
class MutualReaction:
    """What a cathode and another phase can do to each other.

    Attributes
    ----------
    cathode, phase
        Formulas, as usually written.
    strongest
        The kink of lowest ΔE; where mixing releases nothing, x = 0, ΔE = 0 and the reaction `NO_REACTION`.
    profile
        All kinks from x = 0 (nothing but the phase) to x = 1 (nothing but the cathode).
    interval
        Interval of the lowest ΔE; None if the level's errors are not known (`ContactMatrix.no_intervals`).
    """

    cathode: str
    phase: str
    strongest: ReactionPoint
    profile: tuple[ReactionPoint, ...]
    interval: EnergyInterval | None = None


@dataclass(frozen=True)
class ContactMatrix:
    """Mutual reactions of every cathode with every phase.

    Attributes
    ----------
    cathodes, phases
        Formulas, as usually written: rows and columns.
    reactions
        Row by row, the same pairs in the same order.
    level
        Name of the level of theory.
    ends
        Whether ΔE counts from the hull at the compositions of the two phases or from their own energies.
    mobile, voltage
        The ion exchanged with a reservoir and its voltage against its metal, V; "" and None in a closed system.
    heights
        Distance to the hull of the cathodes and phases that have an energy of their own, eV/atom.
    on_hull
        Those without an energy of their own at the level: equilibrium mixtures of their composition stand for
        them.
    excluded
        Competing phases that take no part, and why.
    conditions
        Temperature and pressures of the gases, in words; "" at 0 K.
    no_intervals
        Why the reactions carry no intervals; "" if they do.
    """

    cathodes: tuple[str, ...]
    phases: tuple[str, ...]
    reactions: tuple[MutualReaction, ...]
    level: str
    ends: Ends
    mobile: str
    voltage: Voltage | None
    heights: Mapping[str, EnergyPerAtom]
    on_hull: tuple[str, ...]
    excluded: Mapping[str, str]
    conditions: str = ""
    no_intervals: str = ""


@dataclass(frozen=True)
class ContactConditions:
    """Under which conditions contacts are judged.

    Attributes
    ----------
    mobile, voltage
        Ion exchanged with a reservoir and its voltage against its metal, V; None: closed system.
    ends
        Whether ΔE counts from the hull or from the phases' own energies.
    gases
        Temperature and pressures that the energies of gases stand for, in words; "" at 0 K.
    """

    mobile: str = ""
    voltage: Voltage | None = None
    ends: Ends = "hull"
    gases: str = ""


def contact_matrix(
    cathodes: Sequence[Reactant],
    others: Sequence[Reactant],
    phases: CompetingPhases,
    conditions: ContactConditions = ContactConditions(),
    sampled: SampledEnergies | None = None,
) -> ContactMatrix:
    """Return the mutual reactions of every one of `cathodes` with every one of `others`.

    Parameters
    ----------
    cathodes, others
        What touches; energies at the level of `phases`.
    phases
        Competing phases that cover the elements of all.
    conditions
        Open or closed system, energies of the ends.
    sampled
        Energies of the phases with the errors of the level; without it the reactions carry no intervals.

    Raises
    ------
    InputError
        If a phase holds nothing but the mobile ion, the voltage is negative, or an own energy is asked for that
        is not known.
    MissingReferenceError
        If no mixture of the phases has one of the compositions.
    """
    reservoirs = reservoir_at(conditions.mobile, conditions.voltage, phases)
    system = chemical_system(phases, reservoirs)
    rows, columns = ([_Side.of(one, system) for one in given] for given in (cathodes, others))
    reactions = [_reaction((b, a), system, conditions.ends, sampled) for a in rows for b in columns]
    everything = {one.label: one for one in (*cathodes, *others)}
    return ContactMatrix(
        cathodes=tuple(one.label for one in cathodes),
        phases=tuple(one.label for one in others),
        reactions=tuple(reactions),
        level=phases.level,
        ends=conditions.ends,
        mobile=conditions.mobile if conditions.voltage is not None else "",
        voltage=conditions.voltage,
        heights=MappingProxyType(_heights(everything.values(), phases)),
        on_hull=tuple(label for label, one in everything.items() if one.energy is None),
        excluded=phases.excluded,
        conditions=conditions.gases,
        no_intervals="" if sampled is not None else "no errors of the level's energies were given",
    )


def _heights(reactants: Iterable[Reactant], phases: CompetingPhases) -> dict[str, float]:
    """Return E_d of the reactants that have an energy of their own, eV/atom."""
    heights = {}
    for one in reactants:
        if one.energy is not None:
            atoms = np.array([one.composition.get(element, 0.0) for element in phases.elements])
            height = one.energy - equilibrium(atoms / atoms.sum(), phases.fractions, phases.energies).energy
            heights[one.label] = 0.0 if abs(height) < SOLVER_TOLERANCE else height
    return heights


def mutual_reaction(
    cathode: Reactant,
    other: Reactant,
    system: ChemicalSystem,
    ends: Ends = "hull",
    sampled: SampledEnergies | None = None,
) -> MutualReaction:
    """Return the mutual reaction of `cathode` and `other` in `system`, with every kink of its profile.

    Raises
    ------
    InputError
        If one of them holds nothing but reservoirs' elements, or `ends` are their own energies and one has none.
    MissingReferenceError
        If no mixture of the phases has the composition of one of them.
    """
    return _reaction((_Side.of(other, system), _Side.of(cathode, system)), system, ends, sampled)


@dataclass(frozen=True)
class _Side:
    """A reactant in its system: atoms per closed atom, and closed atoms in a formula unit."""

    reactant: Reactant
    fractions: Array
    exchanged: Array
    formula_unit: float

    @classmethod
    def of(cls, one: Reactant, system: ChemicalSystem) -> _Side:
        return cls(one, *system.point(one.composition))


_Sides = tuple[_Side, _Side]


def _reaction(
    sides: _Sides, system: ChemicalSystem, ends: Ends, sampled: SampledEnergies | None
) -> MutualReaction:
    """Return the mutual reaction of the two sides, the one at x = 0 first."""
    part = system.subsystem((sides[0].fractions > 0) | (sides[1].fractions > 0))
    line = _along(sides, part, system)
    own = (None, None) if ends == "hull" else (_own(sides[0], part, system), _own(sides[1], part, system))
    profile = tuple(_points(line, _above_ends(line, own), sides, system))
    strongest = min(profile, key=lambda point: point.energy)
    if strongest.energy >= 0:
        strongest = replace(profile[0], energy=0.0, reaction=NO_REACTION)
    interval = None if sampled is None else _interval(sides, system, ends, sampled)
    return MutualReaction(sides[1].reactant.label, sides[0].reactant.label, strongest, profile, interval)


def _interval(sides: _Sides, system: ChemicalSystem, ends: Ends, sampled: SampledEnergies) -> EnergyInterval:
    first, last = (None if ends == "hull" else _drawn(side.reactant, system, sampled) for side in sides)
    lowest = lowest_reaction_energies(sides[0].fractions, sides[1].fractions, (first, last), system, sampled)
    low, high = np.percentile(lowest, (2.5, 97.5))
    return EnergyInterval(float(low), float(high))


def _drawn(one: Reactant, system: ChemicalSystem, sampled: SampledEnergies) -> Array:
    return system.potential(one, sampled.reactants[one.label])


class _Line(NamedTuple):
    """Kinks along the line of a contact: x, E above the subsystem's references (eV), phases and their amounts."""

    positions: Array
    energies: Array
    mixtures: list[dict[int, float]]


def _along(sides: _Sides, part: Subsystem, system: ChemicalSystem) -> _Line:
    start, end = sides[0].fractions[part.columns], sides[1].fractions[part.columns]
    status, positions, energies, bases, amounts, _ = kinks(start, end - start, 1.0, part.fractions, part.energies)
    try:
        part.require(status)
    except NoMixtureError as error:
        raise error.named(system.elements) from None
    return _Line(positions, energies, mixtures_of(bases, amounts, part.rows))


def _points(line: _Line, energies: Array, sides: _Sides, system: ChemicalSystem) -> Iterator[ReactionPoint]:
    """Yield the kinks of the line with their balanced reactions."""
    labels, units = system.labels, system.formula_units
    (first, last), (first_unit, last_unit) = [s.reactant.label for s in sides], [s.formula_unit for s in sides]
    for x, energy, mixture in zip(line.positions.tolist(), energies.tolist(), line.mixtures, strict=True):
        reactants = {first: (1 - x) / first_unit}
        reactants[last] = reactants.get(last, 0.0) + x / last_unit
        products = {labels[row]: amount / units.item(row) for row, amount in mixture.items()}
        if system.reservoirs:
            _exchange(reactants, products, _given_off(mixture, x, sides, system))
        reaction = balanced_reaction(reactants, products)
        yield ReactionPoint(x, energy, reaction, {labels[row]: amount for row, amount in mixture.items()})


def _given_off(mixture: Mapping[int, float], x: float, sides: _Sides, system: ChemicalSystem) -> dict[str, float]:
    """Return what the reservoirs receive at x, atoms of each element per closed atom."""
    given = (1 - x) * sides[0].exchanged + x * sides[1].exchanged
    given = given - sum(amount * system.exchanged[row] for row, amount in mixture.items())
    return dict(zip(system.reservoirs, given.tolist(), strict=True))


def _exchange(reactants: dict[str, float], products: dict[str, float], given: Mapping[str, float]) -> None:
    """Write what the reservoirs receive among the products, what they give among the reactants."""
    for element, amount in given.items():
        side = products if amount > 0 else reactants
        side[element] = side.get(element, 0.0) + abs(amount)


def _above_ends(line: _Line, own: tuple[float | None, float | None]) -> Array:
    """Return ΔE at the kinks, exactly 0 where only rounding tells it from 0."""
    at_start = line.energies[0] if own[0] is None else own[0]
    at_end = line.energies[-1] if own[1] is None else own[1]
    energies = line.energies - (1 - line.positions) * at_start - line.positions * at_end
    energies[np.abs(energies) < SOLVER_TOLERANCE] = 0.0
    return np.asarray(energies)


def _own(side: _Side, part: Subsystem, system: ChemicalSystem) -> float:
    """Return Φ of a reactant above the references of the subsystem, eV per closed atom."""
    one = side.reactant
    if one.energy is None:
        raise InputError(
            f"{one.label} has no energy of its own",
            where="contact",
            expected="phases with energies at the level, as ends of the reaction",
            remedy="Count from the hull (the default), or give its structure.",
        )
    return float(system.potential(one, one.energy) - side.fractions[part.columns] @ part.references)
