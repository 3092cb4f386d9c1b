r"""Electrochemical window: between which voltages a phase neither takes up nor gives off the mobile ion.

    V = −(μ − μ_metal) / z,    μ = ∂E(c + n M)/∂n

=========  ======================================================================
E(c + n M) lowest energy of any mixture of phases with the atoms c of the phase without its mobile ions, plus n
           mobile ions M, eV; convex and piecewise linear in n
μ_metal    energy of the metal of M, eV/atom; z the charge of the ion
=========  ======================================================================

Every piece of E is a plateau of the voltage profile. The phase sits at its own n: the plateau below is where it is
reduced (M goes in), that above where it is oxidised (Y. Zhu, X. He & Y. Mo, ACS Appl. Mater. Interfaces 7, 23685
(2015), doi:10.1021/acsami.5b07517). Thermodynamics of the equilibrium with all phases: kinetics widen the window
in practice.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ionscape.errors import InputError
from ionscape.phases.competing import CompetingPhases
from ionscape.results import Failure
from ionscape.stability.decomposition import decomposition_energy
from ionscape.stability.equilibrium import SOLVER_TOLERANCE, EquilibriumLine, NoMixtureError, equilibria_along
from ionscape.stability.mobile import ion_charge
from ionscape.stability.reactions import balanced_reaction
from ionscape.stability.sampling import SampledEnergies, potentials_around
from ionscape.stability.system import Reactant, formula_atoms
from ionscape.units import Array, EnergyPerAtom, Number, Voltage

#: Amounts of the mobile ion closer than this, per atom of the phase, are the same.
SAME_AMOUNT = 1e-6


@dataclass(frozen=True)
class Plateau:
    """A step of the voltage profile, at which the mobile ion goes in or out at one voltage.

    Attributes
    ----------
    voltage
        V against the metal of the mobile ion.
    mobile_from, mobile_to
        Mobile ions per formula unit at the oxidised and the reduced end, mobile_from < mobile_to.
    oxidised, reduced
        Products at the two ends, formula units of each per formula unit of the phase.
    reaction
        Balanced reaction from the oxidised to the reduced end, with the mobile ions taken up.
    """

    voltage: Voltage
    mobile_from: Number
    mobile_to: Number
    oxidised: Mapping[str, Number]
    reduced: Mapping[str, Number]
    reaction: str


@dataclass(frozen=True)
class VoltageLimit:
    """A limit of the window.

    Attributes
    ----------
    voltage
        V against the metal of the mobile ion.
    reaction
        What happens beyond it, per formula unit of the phase.
    low95, high95
        95 % interval from the errors of the level's energies, V; None if these are not known.
    """

    voltage: Voltage
    reaction: str
    low95: Voltage | None = None
    high95: Voltage | None = None


@dataclass(frozen=True)
class ElectrochemicalWindow:
    """Electrochemical window of a phase and its voltage profile.

    Attributes
    ----------
    formula
        The phase, as usually written.
    mobile
        Symbol of the mobile ion.
    reduction, oxidation
        Lower and upper limit; a `Failure` tells why there is none (nothing to reduce, no mobile ion to take out).
    decomposition_energy
        Height above the hull, eV/atom. Where it is above 0 the limits are those of the equilibrium mixture that
        the phase would decompose into; a `Failure` if the phase has no energy of its own.
    profile
        Plateaus from the highest voltage to the lowest, that of the metal left out.
    level
        Name of the level of theory.
    """

    formula: str
    mobile: str
    reduction: VoltageLimit | Failure
    oxidation: VoltageLimit | Failure
    decomposition_energy: EnergyPerAtom | Failure
    profile: tuple[Plateau, ...]
    level: str


def electrochemical_window(
    phase: Reactant, mobile: str, phases: CompetingPhases, sampled: SampledEnergies | None = None
) -> ElectrochemicalWindow:
    """Return the electrochemical window of `phase` against the metal of `mobile`, and its voltage profile.

    Parameters
    ----------
    phase
        The phase; its energy, if known, at the level of `phases`.
    mobile
        Symbol of the mobile ion.
    phases
        Competing phases that cover the elements of the phase and the mobile ion, with its metal.
    sampled
        Energies with the errors of the level, for the intervals.

    Raises
    ------
    InputError
        If `mobile` is no known mobile ion, or the phase holds nothing else.
    MissingReferenceError
        If no mixture of the phases has the composition, or the metal is not among them.
    """
    charge, metal = ion_charge(mobile), phases.energy_of(mobile)
    phases.fractions_of(phase.composition)
    atoms = np.array([phase.composition.get(element, 0.0) for element in phases.elements])
    column = phases.elements.index(mobile)
    held = float(atoms[column])
    rest = np.where(np.arange(len(atoms)) == column, 0.0, atoms)
    if not rest.any():
        raise InputError(
            f"{phase.label} holds nothing but {mobile}",
            where="electrochemical window",
            expected="a phase with other elements",
            remedy="Leave it out.",
        )
    line = _line(rest, column, phases)
    voltages = -(line.potentials[:, line.elements.index(column)] - metal) / charge
    ends = [_formula_units(mixture, phases) for mixture in line.mixtures]
    profile = _plateaus(line.positions, ends, voltages, mobile)
    limits = _reduction(phase, held, profile, mobile), _oxidation(phase, held, profile, mobile, ends[-1])
    window = ElectrochemicalWindow(
        formula=phase.label,
        mobile=mobile,
        reduction=limits[0],
        oxidation=limits[1],
        decomposition_energy=_height(phase, phases),
        profile=profile,
        level=phases.level,
    )
    if sampled is None:
        return window
    drawn = potentials_around(rest, column, held, SAME_AMOUNT * float(atoms.sum()), phases, sampled)
    return _with_intervals(window, -(drawn - sampled.phases[:, [phases.labels.index(mobile)]]) / charge)


def _line(rest: Array, column: int, phases: CompetingPhases) -> EquilibriumLine:
    try:
        return equilibria_along(rest, np.eye(len(rest))[column], np.inf, phases.fractions, phases.energies)
    except NoMixtureError as error:
        raise error.named(phases.elements) from None


def _height(phase: Reactant, phases: CompetingPhases) -> float | Failure:
    if phase.energy is None:
        return Failure(f"{phase.label} has no energy of its own at this level: a mixture of phases stands for it")
    return decomposition_energy(phase.composition, phases, phase.energy).decomposition_energy


def _plateaus(
    positions: Array, ends: Sequence[Mapping[str, float]], voltages: Array, mobile: str
) -> tuple[Plateau, ...]:
    """Return the plateaus between the `ends`: all but that of the metal, which has no end."""
    plateaus = []
    for k, (oxidised, reduced) in enumerate(itertools.pairwise(ends)):
        taken = float(positions[k + 1] - positions[k])
        plateaus.append(
            Plateau(
                voltage=float(voltages[k]),
                mobile_from=float(positions[k]),
                mobile_to=float(positions[k + 1]),
                oxidised=oxidised,
                reduced=reduced,
                reaction=balanced_reaction({**oxidised, mobile: taken + oxidised.get(mobile, 0.0)}, reduced),
            )
        )
    return tuple(plateaus)


def _formula_units(mixture: Mapping[int, float], phases: CompetingPhases) -> dict[str, float]:
    labels = {row: phases.labels[row] for row in mixture}
    return {label: mixture[row] / formula_atoms(label) for row, label in labels.items()}


def _reduction(phase: Reactant, held: float, profile: Sequence[Plateau], mobile: str) -> VoltageLimit:
    """Return the reduction limit of a phase that holds `held` mobile ions a formula unit."""
    near = SAME_AMOUNT * sum(phase.composition.values())
    below = next((p for p in profile if p.mobile_to > held + near), None)
    if below is None:
        return VoltageLimit(0.0, f"none: stable against {mobile} metal")
    reactants = {phase.label: 1.0, mobile: below.mobile_to - held}
    return VoltageLimit(below.voltage, balanced_reaction(reactants, below.reduced))


def _oxidation(
    phase: Reactant, held: float, profile: Sequence[Plateau], mobile: str, full: Mapping[str, float]
) -> VoltageLimit | Failure:
    """Return the oxidation limit; `full` are the products that take up no more: the rest would be metal."""
    near = SAME_AMOUNT * sum(phase.composition.values())
    most = profile[-1].mobile_to if profile else 0.0
    if held > most + near:
        products = {**full, mobile: held - most}
        return VoltageLimit(0.0, balanced_reaction({phase.label: 1.0}, products))
    above = next((p for p in reversed(profile) if p.mobile_from < held - near), None)
    if above is None:
        return Failure(f"{phase.label} holds no {mobile} that could be taken out")
    products = {**above.oxidised, mobile: held - above.mobile_from}
    return VoltageLimit(above.voltage, balanced_reaction({phase.label: 1.0}, products))


def _with_intervals(window: ElectrochemicalWindow, voltages: Array) -> ElectrochemicalWindow:
    """Return `window` with the intervals of draws of its reduction and oxidation voltages, (count, 2)."""
    limits: list[VoltageLimit | Failure] = []
    for limit, drawn in zip((window.reduction, window.oxidation), voltages.T, strict=True):
        if isinstance(limit, VoltageLimit):
            low, high = np.percentile(np.where(np.abs(drawn) < SOLVER_TOLERANCE, 0.0, drawn), (2.5, 97.5))
            limits.append(replace(limit, low95=float(low), high95=float(high)))
        else:
            limits.append(limit)
    return replace(window, reduction=limits[0], oxidation=limits[1])
