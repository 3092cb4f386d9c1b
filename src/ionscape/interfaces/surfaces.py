"""The stage of surfaces: every termination, the lowest relaxed at growing thickness, their shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ionscape.errors import InputError
from ionscape.interfaces.facets import Facets, miller_text
from ionscape.interfaces.settings import Miller, SurfaceSettings
from ionscape.interfaces.slabs import Plane, Slab
from ionscape.interfaces.surface_energy import GammaRange, ThicknessFit, gamma_of, gamma_range, thickness_fit
from ionscape.interfaces.wulff import WulffShape, wulff_shape
from ionscape.levels.calculation import Lab, Relaxation, RelaxationSettings, SinglePoint
from ionscape.levels.registry import Level
from ionscape.phases.competing import CompetingPhases
from ionscape.results import Failure, frozen
from ionscape.units import (
    J_PER_M2_PER_EV_PER_A2,
    Energy,
    EnergyPerArea,
    EnergyPerAtom,
    LengthArray,
)

if TYPE_CHECKING:
    from pymatgen.core import Structure

Outcome = Relaxation | SinglePoint | Failure


@dataclass(frozen=True)
class Surface:
    """One termination of a plane, with its energy as far as it was calculated.

    Attributes
    ----------
    slab
        The thickest slab that was calculated, as cut.
    structure
        The same as calculated: relaxed, or as cut.
    relaxed
        Whether it was relaxed; of every plane only the lowest terminations are.
    gamma
        Surface energy: of several thicknesses the intercept of their line; with an excess of atoms the middle of
        `range`; a failure says why there is none.
    unrelaxed
        Surface energy of the first slab as cut.
    fit
        The line through several thicknesses; nothing for a single one, or with an excess of atoms.
    range
        Bounds of γ over the chemical potentials; nothing for a stoichiometric slab.
    thicknesses
        Thicknesses of the slabs that were calculated, (k,).
    converged
        Whether γ changed by less than the tolerance between the two thickest.
    notes
        What must be known before γ is used.
    key
        Key in the store of the calculation of the thickest slab.
    """

    slab: Slab
    structure: Structure = field(metadata={"internal": True})
    relaxed: bool
    gamma: EnergyPerArea | Failure
    unrelaxed: EnergyPerArea | Failure
    fit: ThicknessFit | None
    range: GammaRange | None
    thicknesses: LengthArray
    converged: bool
    notes: tuple[str, ...]
    key: str


@dataclass(frozen=True)
class SurfaceTable:
    """The surfaces of a crystal.

    Attributes
    ----------
    formula
        Reduced formula of the crystal.
    level
        Name of the level of theory.
    relaxed
        Whether slabs were relaxed.
    bulk_energy
        Energy of the crystal.
    surfaces
        By plane, then termination.
    wulff
        The shape from the lowest stoichiometric γ of every plane.
    reservoir
        Why there are no chemical potentials, "" if there are.
    """

    formula: str
    level: str
    relaxed: bool
    bulk_energy: EnergyPerAtom
    surfaces: tuple[Surface, ...]
    wulff: WulffShape | Failure
    reservoir: str = ""

    def lowest(self, miller: Miller) -> Surface | None:
        """Return the surface of least γ on one plane; nothing if none has a γ.

        Relaxed ones go before those as cut, whole formula units without dipole before all that depends on
        chemical potentials.
        """
        found = [(one, one.gamma) for one in self.surfaces if one.slab.miller == miller]
        known = [
            (not one.relaxed, not _plain(one.slab), g, k)
            for k, (one, g) in enumerate(found)
            if isinstance(g, float)
        ]
        return found[min(known)[3]][0] if known else None


@dataclass(frozen=True)
class SurfaceBench:
    """Where and how slabs are calculated, and against which phases.

    Attributes
    ----------
    lab, level, relaxation
        What calculates, at which level, how slabs are relaxed (positions only).
    phases
        Competing phases, or why there are none.
    """

    lab: Lab
    level: Level
    relaxation: RelaxationSettings
    phases: CompetingPhases | Failure

    def calculate(self, slabs: Sequence[Slab], *, relax: bool) -> list[Outcome]:
        """Return the energies of slabs, relaxed or as they are."""
        structures = [slab.structure for slab in slabs]
        if not relax:
            return list(self.lab.evaluate(structures, self.level))
        settings = self.relaxation.model_copy(update={"move": "positions"})
        return list(self.lab.relax(structures, self.level, settings))


@dataclass
class _Case:
    """A termination while it is being calculated."""

    plane: Plane
    slabs: list[Slab]
    first: Outcome
    outcomes: list[Outcome]


def find_surfaces(
    bulk: Structure, energy: EnergyPerAtom, settings: SurfaceSettings, bench: SurfaceBench
) -> SurfaceTable:
    """Return the surfaces of a crystal with their energies.

    Every termination is calculated once as it is cut; of each plane the `keep` lowest are relaxed, in several
    thicknesses, thicker ones being added until γ no longer changes.

    Parameters
    ----------
    bulk
        The crystal, in equilibrium at the level if slabs are relaxed.
    energy
        Its energy at the level, eV/atom.
    settings
        Planes, terminations, thicknesses.
    bench
        Where and how slabs are calculated.

    Raises
    ------
    InputError
        If the crystal is not ordered, a plane is none, or slabs are too thin.
    """
    facets = Facets.of(bulk, settings.symmetry_precision_A)
    planes = [Plane.of(bulk, miller, settings) for miller in chosen_planes(facets, settings)]
    cases = [_Case(plane, [slab], Failure("not calculated"), []) for plane in planes for slab in _wanted(plane)]
    firsts = bench.calculate([case.slabs[0] for case in cases], relax=False)
    for case, first in zip(cases, firsts, strict=True):
        case.first = first
    _thicken(_kept(cases, energy, settings, bench), energy, settings, bench)
    surfaces = tuple(_surface(case, energy, settings, bench) for case in cases)
    table = SurfaceTable(
        formula=bulk.composition.reduced_formula,
        level=bench.level.name,
        relaxed=settings.relax,
        bulk_energy=energy,
        surfaces=surfaces,
        wulff=Failure("no shape"),
        reservoir=bench.phases.reason if isinstance(bench.phases, Failure) else "",
    )
    return replace(table, wulff=_shape(table, facets))


def chosen_planes(facets: Facets, settings: SurfaceSettings) -> list[Miller]:
    """Return the planes the settings ask for, of those equal by symmetry the first.

    Raises
    ------
    InputError
        If one of them is no plane.
    """
    if not settings.millers:
        return facets.distinct(settings.max_index)
    kept: list[Miller] = []
    known: set[tuple[int, ...]] = set()
    for miller in settings.millers:
        family = {tuple(other.tolist()) for other in facets.family(miller)}
        if not family & known:
            known |= family
            kept.append(miller)
    return kept


def _wanted(plane: Plane) -> list[Slab]:
    found = [plane.slab(cut.index) for cut in plane.cuts]
    settings = plane.settings
    flat = [slab for slab in found if _plain(slab) and slab.symmetric]
    only = isinstance(settings, SurfaceSettings) and settings.terminations == "non-polar"
    return flat if only and flat else found


def _plain(slab: Slab) -> bool:
    """Return whether γ = (E_slab − E_bulk)/2A holds for a slab: whole formula units, no dipole."""
    return slab.stoichiometric and not slab.polar


def _energy(outcome: Outcome) -> Energy | Failure:
    return outcome if isinstance(outcome, Failure) else outcome.energy


def _gamma(
    slab: Slab, outcome: Outcome, bulk: EnergyPerAtom, bench: SurfaceBench
) -> tuple[EnergyPerArea | Failure, GammaRange | None]:
    """Return γ of one slab, and its bounds where it depends on chemical potentials."""
    energy = _energy(outcome)
    if isinstance(energy, Failure):
        return energy, None
    if slab.stoichiometric:
        return gamma_of(slab, energy, bulk), None
    if isinstance(bench.phases, Failure):
        return Failure(f"γ depends on chemical potentials: {bench.phases.reason}"), None
    bounds = gamma_range(slab, energy, bulk, bench.phases)
    return (bounds, None) if isinstance(bounds, Failure) else (bounds.middle, bounds)


def _kept(
    cases: Sequence[_Case], bulk: EnergyPerAtom, settings: SurfaceSettings, bench: SurfaceBench
) -> list[_Case]:
    """Return the cases of lowest unrelaxed γ of every plane, whole formula units without dipole first."""
    kept: list[_Case] = []
    for plane in dict.fromkeys(id(case.plane) for case in cases):
        ranked: list[tuple[bool, float, int]] = []
        for k, case in enumerate(cases):
            if id(case.plane) != plane:
                continue
            gamma, _ = _gamma(case.slabs[0], case.first, bulk, bench)
            if isinstance(gamma, float):
                ranked.append((not _plain(case.slabs[0]), gamma, k))
        kept += [cases[k] for *_, k in sorted(ranked)[: settings.keep]]
    return kept


def _thicken(cases: Sequence[_Case], bulk: EnergyPerAtom, settings: SurfaceSettings, bench: SurfaceBench) -> None:
    """Calculate slabs of growing thickness until γ no longer changes; the cases hold what was found."""
    for case in cases:
        case.slabs = case.plane.series(case.slabs[0].termination, settings.thicknesses)
    open_cases = list(cases)
    while open_cases:
        wanted = [(case, slab) for case in open_cases for slab in case.slabs[len(case.outcomes) :]]
        answers = bench.calculate([slab for _, slab in wanted], relax=settings.relax)
        for (case, _), answer in zip(wanted, answers, strict=True):
            case.outcomes.append(answer)
        open_cases = [
            case
            for case in open_cases
            if len(case.slabs) < settings.max_thicknesses
            and settings.thicknesses > 1
            and not _converged(case, bulk, settings, bench)
        ]
        for case in open_cases:
            case.slabs.append(case.plane.slab(case.slabs[0].termination, case.slabs[-1].depth + 0.1))


def _converged(case: _Case, bulk: EnergyPerAtom, settings: SurfaceSettings, bench: SurfaceBench) -> bool:
    """Return whether γ changed little between the two thickest; after a failure nothing is gained by more."""
    pairs = list(zip(case.slabs, case.outcomes, strict=False))[-2:]
    values = [_gamma(slab, outcome, bulk, bench)[0] for slab, outcome in pairs]
    if any(isinstance(value, Failure) for value in values):
        return True
    change = abs(float(values[-1]) - float(values[0])) * J_PER_M2_PER_EV_PER_A2  # type: ignore[arg-type]
    return len(values) > 1 and change <= settings.gamma_tolerance_J_per_m2


def _surface(case: _Case, bulk: EnergyPerAtom, settings: SurfaceSettings, bench: SurfaceBench) -> Surface:
    slabs = case.slabs if case.outcomes else case.slabs[:1]
    outcomes = case.outcomes or [case.first]
    good = [(s, o) for s, o in zip(slabs, outcomes, strict=True) if not isinstance(o, Failure)]
    slab, outcome = good[-1] if good else (slabs[-1], outcomes[-1])
    gamma, bounds = _gamma(slab, outcome, bulk, bench)
    fit = None
    if slab.stoichiometric and len(good) > 1:
        fit = thickness_fit([s for s, _ in good], [o.energy for _, o in good], bulk)
        gamma = fit.gamma
    converged = len(good) == len(slabs) > 1 and _converged(case, bulk, settings, bench)
    return Surface(
        slab=slab,
        structure=slab.structure if isinstance(outcome, Failure) else outcome.structure,
        relaxed=isinstance(outcome, Relaxation),
        gamma=gamma,
        unrelaxed=_gamma(slabs[0], case.first, bulk, bench)[0],
        fit=fit,
        range=bounds,
        thicknesses=frozen(np.array([s.thickness for s, _ in good])),
        converged=converged,
        notes=tuple(_notes(slab, outcomes, bounds, converged=converged or not case.outcomes)),
        key="" if isinstance(outcome, Failure) else outcome.key,
    )


def _notes(slab: Slab, outcomes: Sequence[Outcome], bounds: GammaRange | None, *, converged: bool) -> list[str]:
    found = []
    if not slab.stoichiometric:
        more = ", ".join(f"{element} {number:+g}" for element, number in slab.excess.items())
        found.append(f"not stoichiometric ({more}): (E_slab − E_bulk)/2A does not apply, γ depends on μ")
    if bounds is not None and bounds.below_hull > 1e-4:
        found.append(
            f"the crystal lies {1000 * bounds.below_hull:.1f} meV/atom above the hull, lowered onto it for μ"
        )
    if not slab.symmetric:
        found.append("faces differ: γ is the mean of both, half the energy of cleavage")
    if slab.polar:
        known = "without dipole by symmetry, with charged faces" if slab.symmetric else "dipole along the normal"
        found.append(f"polar (Tasker III), {known}")
    if slab.split:
        found.append("half of an atomic plane at each face")
    if not converged and len(outcomes) > 1:
        found.append("γ still changes with thickness")
    failed = [outcome.reason for outcome in outcomes if isinstance(outcome, Failure)]
    return found + [f"a thickness gave no energy: {reason}" for reason in failed]


def _shape(table: SurfaceTable, facets: Facets) -> WulffShape | Failure:
    """Return the Wulff shape of the lowest γ of every plane, of stoichiometric slabs without dipole."""
    lowest: dict[Miller, float] = {}
    for one in table.surfaces:
        usable = one.slab.stoichiometric and one.relaxed == table.relaxed and not one.slab.polar
        if usable and isinstance(one.gamma, float):
            lowest[one.slab.miller] = min(one.gamma, lowest.get(one.slab.miller, one.gamma))
    millers = list(lowest)
    return wulff_shape(millers, [facets.normals(miller) for miller in millers], [lowest[m] for m in millers])


def surface_named(table: SurfaceTable, miller: Miller, termination: int) -> Surface:
    """Return one surface of the table.

    Raises
    ------
    InputError
        If it is not in it.
    """
    for one in table.surfaces:
        if one.slab.miller == miller and one.slab.termination == termination:
            return one
    listed = sorted({f"{miller_text(one.slab.miller)} {one.slab.termination}" for one in table.surfaces})
    raise InputError(
        f"no termination {termination} on {miller_text(miller)} of {table.formula}",
        where="surfaces",
        expected=f"one of {', '.join(listed[:12])}",
        remedy="Look at this plane too, or take one of these.",
    )


__all__ = ["Surface", "SurfaceBench", "SurfaceTable", "chosen_planes", "find_surfaces", "surface_named"]
