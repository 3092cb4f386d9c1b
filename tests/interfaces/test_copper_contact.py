"""A crystal cut and joined again: its registry is the stacking of fcc, its adhesion twice the surface energy."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators import emt
from pymatgen.core import Lattice, Structure

from ionscape.interfaces.adhesion import BulkEnergies, part_of, work_of_adhesion
from ionscape.interfaces.assembly import Interface, join
from ionscape.interfaces.contact_bench import ContactBench
from ionscape.interfaces.matching import lattice_matches
from ionscape.interfaces.registry import registry_held, search_registry
from ionscape.interfaces.registry_settings import AdhesionSettings, RegistrySettings
from ionscape.interfaces.settings import AssemblySettings, MatchSettings, SlabSettings
from ionscape.interfaces.slabs import slabs
from ionscape.levels.calculation import RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.results import Failure
from ionscape.study.engine import InProcess
from ionscape.study.lab import Laboratory
from ionscape.study.progress import Progress
from ionscape.study.store import Store

CUBE = 3.59  # lattice parameter of Cu with EMT, Å
EMT = "ase.calculators.emt:EMT"


def copper(parameter: float = CUBE) -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(parameter), ["Cu"], [[0, 0, 0]])


def contact(interfaces: int = 1, repeat: int = 1) -> Interface:
    """Return two Cu(111) slabs joined with their first atoms on top of one another, in an oblique cell."""
    one = slabs(copper(), (1, 1, 1), SlabSettings(min_thickness_A=7.0, vacuum_A=10.0))[0]
    matches = lattice_matches(one.vectors, one.vectors, MatchSettings(max_area_A2=repeat * one.area * 1.01))
    match = next(m for m in matches if round(m.area / one.area) == repeat and not m.mirrored)
    return join(one, one, match, AssemblySettings(interfaces=interfaces, gap_A=2.2, vacuum_A=10.0))


@pytest.fixture
def bench(tmp_path) -> ContactBench:
    level = Level.of(EMT)
    lab = Laboratory(Store(tmp_path), InProcess(1), Progress())
    return ContactBench(lab, level, RelaxationSettings(fmax_eV_per_A=0.01, move="positions"), level)


def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def emt_energy(structure: Structure) -> float:
    """Return the energy of a structure with EMT."""
    from ionscape.structures.exchange import to_atoms

    atoms = to_atoms(structure)
    atoms.calc = emt.EMT()
    return float(atoms.get_potential_energy())


def unbroken(n_layers: int) -> float:
    """Return the energy of one Cu(111) slab of `n_layers` unbroken layers, relaxed a little, per surface cell."""
    from ase.build import fcc111
    from ase.optimize import LBFGS

    atoms = fcc111("Cu", (1, 1, n_layers), a=CUBE, vacuum=8.0, periodic=True)
    atoms.calc = emt.EMT()
    LBFGS(atoms, logfile=None).run(fmax=0.005)
    return float(atoms.get_potential_energy())


@pytest.mark.parametrize("algorithm", ["bayesian", "study"])
def test_the_stacking_of_fcc_is_found(bench, algorithm) -> None:
    interface = contact()
    settings = RegistrySettings(algorithm=algorithm, held_share=0.0)
    found = search_registry(interface, settings, bench, rng())
    assert found.energy == pytest.approx(unbroken(len(interface.structure)), abs=0.02)
    assert found.n_operations == 6
    assert not isinstance(found.final, Failure)


def test_adhesion_of_a_rejoined_crystal_is_twice_its_surface_energy(bench) -> None:
    interface = contact()
    found = search_registry(interface, RegistrySettings(), bench, rng())
    per_atom = emt_energy(copper()) / 4
    adhesion = work_of_adhesion(found, AdhesionSettings(), bench, BulkEnergies(per_atom, per_atom))
    gamma = adhesion.film_surface_energy
    assert adhesion.work_of_adhesion == pytest.approx(-2 * gamma, rel=0.03)
    assert adhesion.work_of_separation == -adhesion.work_of_adhesion
    assert adhesion.interface_energy == pytest.approx(0.0, abs=0.03 * gamma)
    assert adhesion.elastic_energy == pytest.approx(0.0, abs=1e-3 * gamma)
    assert adhesion.cleavage <= adhesion.work_of_adhesion + 1e-6
    assert adhesion.strain_corrected == pytest.approx(adhesion.work_of_adhesion, abs=1e-3 * gamma)


def test_two_interfaces_in_a_cell_give_the_adhesion_of_one(bench) -> None:
    settings = RegistrySettings(evaluation="rigid", normal_shifts_A=(-0.25, -0.125, 0.0), lateral_step_A=0.2)
    works = []
    for count in (1, 2):
        found = search_registry(contact(count), settings, bench, rng())
        works.append(work_of_adhesion(found, AdhesionSettings(), bench).work_of_adhesion)
    assert works[1] == pytest.approx(works[0], rel=0.05)


def test_a_larger_common_cell_has_the_same_displacements(bench) -> None:
    one, three = (
        search_registry(contact(repeat=n), RegistrySettings(evaluation="rigid"), bench, rng()) for n in (1, 3)
    )
    assert three.displacement_area == pytest.approx(one.displacement_area)
    assert len(three.interface.structure) == 3 * len(one.interface.structure)
    assert three.energy == pytest.approx(3 * one.energy, abs=0.05)


def test_the_evaluations_are_stored_and_not_made_again(bench) -> None:
    settings = RegistrySettings(max_evaluations=6)
    first = search_registry(contact(), settings, bench, rng())
    computed = bench.lab.computed
    again = search_registry(contact(), settings, bench, rng())
    assert bench.lab.computed == computed
    assert again.energy == first.energy
    assert [e.outcome for e in again.trace.evaluations] == [e.outcome for e in first.trace.evaluations]


def test_relaxations_that_fail_are_told_and_the_search_goes_on(bench) -> None:
    hasty = RelaxationSettings(fmax_eV_per_A=0.01, move="positions", max_steps=18)
    strict = ContactBench(bench.lab, bench.level, hasty, bench.cheap)
    found = search_registry(contact(), RegistrySettings(scan=False, held_share=0.0), strict, rng())
    failed = [e.outcome for e in found.trace.evaluations if isinstance(e.outcome, Failure)]
    assert failed
    assert "not converged" in failed[0].reason


def test_the_registry_is_held_and_the_distance_is_free() -> None:
    interface = contact()
    held = registry_held(interface, 0.25)
    heights = interface.structure.cart_coords[:, 2]
    lowest, highest = np.argmin(heights), np.argmax(heights)
    assert held[lowest].all()
    assert held[highest].tolist() == [True, True, False]
    assert not held[interface.film_sites[np.argmin(heights[interface.film_sites])]].any()


def test_the_parts_of_an_interface_are_its_slabs() -> None:
    interface = contact()
    film = part_of(interface.structure, interface.film_sites)
    assert np.allclose(film.cart_coords, interface.film_slab.cart_coords)
