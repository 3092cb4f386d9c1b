"""Surfaces and coherent interfaces of the study's crystals: what their stages ask of the room of interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ionscape.errors import CalculationError, InputError
from ionscape.interfaces.match_stage import MatchedPair, match_pair
from ionscape.interfaces.settings import Miller, SurfaceSettings
from ionscape.interfaces.slabs import Plane, Slab
from ionscape.interfaces.stiffness import Stiffness, elastic_constants, plane_constants
from ionscape.interfaces.surfaces import SurfaceBench, SurfaceTable, find_surfaces
from ionscape.phases.competing import CompetingPhases
from ionscape.results import Failure

if TYPE_CHECKING:
    from ionscape.study.crystals import RelaxedCrystal
    from ionscape.study.pipeline import Run

#: The crystals of a study in the order in which they are relaxed.
ROLES = ("host", "cathode")


def surfaces_of_crystals(run: Run) -> dict[str, SurfaceTable]:
    """Return the surfaces of host and cathode, as far as the study asks for them."""
    plan = run.study.surfaces
    assert plan is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    found = {}
    for role in ROLES:
        settings = getattr(plan, role)
        if settings is not None:
            crystal = relaxed_crystal(run, role, "surfaces")
            bench = SurfaceBench(run.lab, run.deciding, run.study.relaxation, _phases(run, crystal))
            settings = with_charges(settings, crystal)
            found[role] = find_surfaces(crystal.structure, crystal.energy_per_atom, settings, bench)
    return found


def match_crystals(run: Run) -> MatchedPair:
    """Return the coincidences of the surfaces that the study asks for, and the slabs joined at one of them."""
    plan = run.study.match
    assert plan is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    film = slab_of_study(run, plan.film, plan.film_miller, plan.film_termination)
    substrate = slab_of_study(run, plan.substrate, plan.substrate_miller, plan.substrate_termination)
    if not plan.elastic and plan.assembly.strain != "stiffness":
        return match_pair(film, substrate, plan)
    sides = [_stiffness(run, role, slab) for role, slab in ((plan.film, film), (plan.substrate, substrate))]
    return match_pair(film, substrate, plan, (sides[0], sides[1]))


def _stiffness(run: Run, role: str, slab: Slab) -> Stiffness:
    bulk = relaxed_crystal(run, role, "match").structure
    constants = elastic_constants(bulk, slab.frame, run.deciding, run.lab)
    return Stiffness(plane_constants(constants), slab.thickness)


def slab_of_study(run: Run, role: str, miller: Miller, termination: int | None) -> Slab:
    """Return a slab of one of the study's crystals, as [surfaces] has it cut, as thick as [match] asks.

    Without `termination` that of lowest energy among the surfaces, else the first that is symmetric and non-polar,
    else the first.
    """
    crystal = relaxed_crystal(run, role, "match")
    own = getattr(run.study.surfaces, role) if run.study.surfaces else None
    settings = with_charges(own or SurfaceSettings(), crystal)
    if run.study.match is not None:
        settings = settings.model_copy(update={"min_thickness_A": run.study.match.slab_thickness_A})
    plane = Plane.of(crystal.structure, miller, settings)
    if termination is not None:
        return plane.slab(termination)
    table: SurfaceTable | None = run.findings.get("surfaces", {}).get(role)
    lowest = table.lowest(plane.crystal.miller) if table else None
    if lowest is not None:
        return plane.slab(lowest.slab.termination)
    found = [plane.slab(cut.index) for cut in plane.cuts]
    return next((one for one in found if one.symmetric and not one.polar), found[0])


def relaxed_crystal(run: Run, role: str, stage: str) -> RelaxedCrystal:
    """Return the relaxed host or cathode.

    Raises
    ------
    InputError
        If the study has no cathode.
    """
    crystals: list[RelaxedCrystal] = run.findings["host"]
    index = ROLES.index(role)
    if index >= len(crystals):
        raise InputError(
            "no cathode in this study",
            where=stage,
            expected="a table [cathode]",
            remedy="Add it, or ask for the host alone.",
        )
    return crystals[index]


def with_charges(settings: SurfaceSettings, crystal: RelaxedCrystal) -> SurfaceSettings:
    """Return `settings` with the formal charges of the crystal where they give none of their own."""
    return settings.model_copy(update={"charges": {**crystal.charges, **settings.charges}})


def _phases(run: Run, crystal: RelaxedCrystal) -> CompetingPhases | Failure:
    try:
        phases = run.bench.phases(element.symbol for element in crystal.structure.composition.elements)
        run.bench.require_same_scheme(phases)
    except (InputError, CalculationError) as error:
        return Failure(f"no competing phases ({error})")
    return run.bench.at_conditions(phases)
