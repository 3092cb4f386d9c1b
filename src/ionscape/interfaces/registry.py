"""Search for the registry: the rigid shift of the film over the substrate whose relaxed energy is lowest (M9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ionscape.interfaces.assembly import Interface
from ionscape.interfaces.bayesian_search import SearchRules, SearchSpace, bayesian_search
from ionscape.interfaces.displacements import DisplacementCell, displacement_cell
from ionscape.interfaces.planar_symmetry import planar_group
from ionscape.interfaces.registry_trace import SearchTrace
from ionscape.interfaces.rigid_scan import RigidScan, at, clashes, interpolated, scan_rigid
from ionscape.interfaces.shifts import reduced_grid, study_grid
from ionscape.interfaces.study_search import StudyRules, study_search
from ionscape.levels.calculation import Relaxation
from ionscape.results import Failure, frozen
from ionscape.structures.exchange import fixed_coordinates, hold
from ionscape.units import Area, Array, CellArray, Count, Energy, LengthArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.interfaces.contact_bench import ContactBench
    from ionscape.interfaces.registry_settings import RegistrySettings


@dataclass(frozen=True)
class RegistrySearch:
    """What a registry search found.

    Attributes
    ----------
    algorithm, evaluation, level
        How it was searched, what an evaluation was, and the level of the energies.
    displacement_cell, displacement_area
        Vectors, (2, 2), and area of the cell of displacements that are not the same.
    n_operations
        Symmetry operations of the contact, the identity among them.
    trace
        All evaluations, in their order.
    scan
        Rigid energies that were scanned first, or none.
    best_shift
        Shift of the film from where it was joined, lateral and normal, before the relaxation.
    energy
        Of the best interface after its last relaxation, in which only the atoms that the interface itself holds
        stay. final
        That relaxation, why it failed (then `energy` is that of the search), or nothing where slabs are rigid.
    interface
        The interface with the best shift, unrelaxed.
    structure
        The best interface, relaxed; its sites are in the order of the interface.
    """

    algorithm: str
    evaluation: str
    level: str
    displacement_cell: CellArray
    displacement_area: Area
    n_operations: Count
    trace: SearchTrace
    scan: RigidScan | None
    best_shift: LengthArray
    energy: Energy
    final: Relaxation | Failure | None = field(metadata={"internal": True})
    interface: Interface = field(metadata={"internal": True})
    structure: Structure = field(metadata={"internal": True})


def search_registry(
    interface: Interface, settings: RegistrySettings, bench: ContactBench, rng: np.random.Generator
) -> RegistrySearch:
    """Return the search for the registry of an interface.

    Every evaluation is a stored calculation; a search that was interrupted finds them again and goes on. An
    evaluation that failed is a failure in the trace.

    Parameters
    ----------
    interface
        Two slabs joined, as they were put together.
    settings
        Algorithm and its parameters.
    bench
        Where and at which levels energies are computed.
    rng
        Random stream of the starts.

    Raises
    ------
    CalculationError
        If no shift gave an energy.
    """
    cell = displacement_cell(planar_group(interface.film_slab), planar_group(interface.substrate_slab))
    evaluator = _Evaluator(interface, settings, bench)
    scan = None
    if settings.algorithm == "study":
        rules = StudyRules(max_evaluations=settings.max_evaluations, loss=settings.loss)
        trace = study_search(study_grid(), evaluator, rng, rules)
    else:
        relaxes = settings.evaluation == "relax"
        scan = scan_rigid(interface, cell, settings, bench) if settings.scan and relaxes else None
        space = search_space(interface, cell, settings, scan)
        trace = bayesian_search(space, evaluator, rng, _rules(settings, interface))
    return _result(interface, cell, scan, trace, evaluator)


def search_space(
    interface: Interface, cell: DisplacementCell, settings: RegistrySettings, scan: RigidScan | None
) -> SearchSpace:
    """Return the shifts that are searched, with what the scan says of them.

    With a scan there is one candidate for each lateral shift, at the distance where rigid slabs would rest; it
    relaxes from there. Without one there is one for each normal shift.
    """
    if scan is None:
        candidates = reduced_grid(cell, settings.normal_shifts_A, settings.lateral_step_A)
        return SearchSpace(frozen(candidates), cell, ~clashes(interface, candidates))
    candidates = reduced_grid(cell, (0.0,), settings.lateral_step_A)
    lateral = candidates[:, :2]
    candidates[:, 2] = interpolated(cell, scan.lateral, scan.normal, lateral, scan.step)
    cheap = interpolated(cell, scan.lateral, scan.lowest, lateral, scan.step)
    allowed = ~clashes(interface, candidates)
    return SearchSpace(frozen(candidates), cell, allowed, frozen(cheap), normal_matters=False)


def _rules(settings: RegistrySettings, interface: Interface) -> SearchRules:
    area = interface.area * interface.n_interfaces
    return SearchRules(
        tolerance=settings.tolerance_meV_per_A2 * 1e-3 * area,
        min_evaluations=settings.min_evaluations,
        max_evaluations=settings.max_evaluations,
        batch=settings.batch,
    )


class _Evaluator:
    """Evaluates shifts of an interface and remembers the relaxations."""

    def __init__(self, interface: Interface, settings: RegistrySettings, bench: ContactBench) -> None:
        self.interface, self.settings, self.bench = interface, settings, bench
        self.relaxations: dict[tuple[float, ...], Relaxation] = {}

    def __call__(self, shifts: Array) -> Sequence[float | Failure]:
        structures = [at(self.interface, shift).structure for shift in shifts]
        if self.settings.evaluation == "rigid":
            answers = self.bench.lab.evaluate(structures, self.bench.level)
            return [one if isinstance(one, Failure) else one.energy for one in answers]
        if self.settings.algorithm == "bayesian":
            held = registry_held(self.interface, self.settings.held_share)
            structures = [hold(structure, held) for structure in structures]
        found = self.bench.relax(structures)
        for shift, one in zip(shifts, found, strict=True):
            if isinstance(one, Relaxation):
                self.relaxations[tuple(shift)] = one
        return [one if isinstance(one, Failure) else one.energy for one in found]


def registry_held(interface: Interface, share: float) -> Array:
    """Return which coordinates stay while a shift is relaxed, (n, 3), booleans.

    Those that the interface itself holds; with one interface besides the outer `share` of each slab's thickness
    (with two its middle): the substrate's atoms stay, the film's may move along the normal only, so that the
    registry is kept and the distance is free.
    """
    structure = interface.structure
    own = fixed_coordinates(structure)
    held = np.zeros((len(structure), 3), dtype=bool) if own is None else own.copy()
    heights = structure.cart_coords[:, 2]
    for sites, upper in ((interface.substrate_sites, False), (interface.film_sites, True)):
        low, high = heights[sites].min(), heights[sites].max()
        place = (heights[sites] - low) / max(high - low, 1e-9)
        if interface.n_interfaces == 2:
            chosen = sites[np.abs(place - 0.5) <= share / 2]
        else:
            chosen = sites[place >= 1 - share] if upper else sites[place <= share]
        held[chosen] = True
        if upper:
            held[chosen, 2] = False if own is None else own[chosen, 2]
    return held if share else (np.zeros_like(held) if own is None else own)


def _result(
    interface: Interface, cell: DisplacementCell, scan: RigidScan | None, trace: SearchTrace, evaluator: _Evaluator
) -> RegistrySearch:
    best, settings = trace.best, evaluator.settings
    assert not isinstance(best.outcome, Failure)  # noqa: S101  `best` is among the successes
    joined = at(interface, best.shift)
    found = evaluator.relaxations.get(tuple(best.shift))
    final = _final(joined, found, evaluator)
    structure = joined.structure if found is None else found.structure
    energy = float(best.outcome)
    if isinstance(final, Relaxation):
        structure, energy = final.structure, final.energy
    return RegistrySearch(
        algorithm=settings.algorithm,
        evaluation=settings.evaluation,
        level=evaluator.bench.level.name,
        displacement_cell=cell.vectors,
        displacement_area=cell.area,
        n_operations=len(cell.rotations),
        trace=trace,
        scan=scan,
        best_shift=best.shift,
        energy=energy,
        final=final,
        interface=joined,
        structure=structure,
    )


def _final(joined: Interface, found: Relaxation | None, evaluator: _Evaluator) -> Relaxation | Failure | None:
    """Return the last relaxation of the best interface, with the atoms that the interface itself holds."""
    if found is None:
        return None
    own = fixed_coordinates(joined.structure)
    free = found.structure.copy()
    if "selective_dynamics" in free.site_properties:
        free.remove_site_property("selective_dynamics")
    return evaluator.bench.relax([free if own is None else hold(free, own)])[0]
