"""Interfaces: what is joined is what was cut, in one cell, with nothing overlapping."""

from __future__ import annotations

import numpy as np
import pytest
from cut_crystals import CRYSTALS, random_crystal
from pymatgen.analysis.structure_matcher import StructureMatcher

from ionscape.errors import InputError
from ionscape.interfaces.assembly import join, shifted
from ionscape.interfaces.bonds import contact_distance, contacts
from ionscape.interfaces.matching import Match, lattice_matches
from ionscape.interfaces.settings import AssemblySettings, MatchSettings, SlabSettings
from ionscape.interfaces.slabs import Slab, slab
from ionscape.structures.exchange import SELECTIVE, read_structure, write_cif

THIN = SlabSettings(min_thickness_A=6.0)


def pair(seed: int = 3) -> tuple[Slab, Slab, Match]:
    """Return slabs of two triclinic crystals and a coincidence of theirs."""
    film, substrate = (
        slab(random_crystal(seed), (1, 1, 0), 0, THIN),
        slab(random_crystal(seed + 1), (1, 0, -1), 0, THIN),
    )
    limits = MatchSettings(max_area_A2=500.0, length_tolerance=0.15, angle_tolerance=0.12)
    return film, substrate, min(lattice_matches(film.vectors, substrate.vectors, limits), key=lambda m: m.area)


@pytest.mark.parametrize("strain", ["film", "substrate", "shared"])
@pytest.mark.parametrize("interfaces", [1, 2])
def test_nothing_is_lost_and_nothing_overlaps(strain: str, interfaces: int) -> None:
    film, substrate, match = pair()
    made = join(film, substrate, match, AssemblySettings(strain=strain, interfaces=interfaces))  # type: ignore[arg-type]
    copies = [round(abs(np.linalg.det(m))) for m in (match.film_matrix, match.substrate_matrix)]
    assert len(made.film_sites) == copies[0] * len(film.structure)
    assert len(made.substrate_sites) == copies[1] * len(substrate.structure)
    assert made.film_slab.composition == film.structure.composition * copies[0]
    known = contacts([film.structure, substrate.structure])
    distances = made.structure.distance_matrix[np.ix_(made.substrate_sites, made.film_sites)]
    touching = [
        [
            contact_distance(made.structure[int(i)].specie.symbol, made.structure[int(j)].specie.symbol, known)
            for j in made.film_sites
        ]
        for i in made.substrate_sites
    ]
    slack = distances - np.array(touching)
    assert slack.min() == pytest.approx(0.0, abs=1e-6)  # some pair touches, none is nearer
    assert made.structure.lattice.matrix[2, :2] == pytest.approx([0, 0])


@pytest.mark.parametrize(("strain", "unstrained"), [("film", "substrate"), ("substrate", "film")])
def test_the_crystal_that_takes_no_strain_keeps_its_distances(strain: str, unstrained: str) -> None:
    film, substrate, match = pair()
    made = join(film, substrate, match, AssemblySettings(strain=strain))  # type: ignore[arg-type]
    alone = made.substrate_slab if unstrained == "substrate" else made.film_slab
    cut = substrate if unstrained == "substrate" else film
    theirs = np.sort(cut.structure.get_neighbor_list(3.5)[3])
    ours = np.sort(alone.get_neighbor_list(3.5)[3])
    assert ours[:: len(ours) // len(theirs)] == pytest.approx(theirs, abs=1e-4)


def test_a_turned_film_keeps_its_handedness() -> None:
    """Of a crystal without symmetry only the film itself, not its mirror image, may come out."""
    film, substrate, _ = pair()
    limits = MatchSettings(max_area_A2=500.0, length_tolerance=0.15, angle_tolerance=0.12)
    for mirrored in (True, False):
        match = next(m for m in lattice_matches(film.vectors, substrate.vectors, limits) if m.mirrored is mirrored)
        made = join(film, substrate, match, AssemblySettings(strain="substrate"))
        assert chirality(made.film_slab.cart_coords, made.film_slab) == pytest.approx(
            chirality(film.structure.cart_coords, film.structure), rel=1e-3
        )


def chirality(positions: np.ndarray, structure: object) -> float:
    """Return the mean triple product of the three nearest neighbours of every atom: its sign tells the hand."""
    del positions
    total, count = 0.0, 0
    for site in structure:  # type: ignore[attr-defined]
        near = sorted(structure.get_neighbors(site, 5.0), key=lambda n: n.nn_distance)[:3]  # type: ignore[attr-defined]
        total += float(np.linalg.det(np.array([n.coords - site.coords for n in near])))
        count += 1
    return total / count


def test_a_crystal_joined_to_itself_is_the_crystal() -> None:
    one = slab(CRYSTALS["MgO"], (1, 0, 0), 0, SlabSettings(min_thickness_A=8.0))
    assert one.n_layers % 2 == 0
    match = lattice_matches(one.vectors, one.vectors)[0]
    made = join(one, one, match, AssemblySettings(gap_A=2.1, interfaces=2))
    wrong = StructureMatcher().fit(made.structure, CRYSTALS["MgO"])
    right = StructureMatcher().fit(shifted(made, tuple(one.vectors.sum(axis=0) / 2)).structure, CRYSTALS["MgO"])
    assert {wrong, right} == {True, False}


def test_shifts_add_up_and_move_the_film_alone() -> None:
    film, substrate, match = pair()
    made = join(film, substrate, match)
    moved = shifted(shifted(made, (0.3, -0.2), 0.1), (0.1, 0.5), 0.25)
    step = moved.structure.cart_coords - made.structure.cart_coords
    assert step[made.film_sites] == pytest.approx(np.tile([0.4, 0.3, 0.35], (len(made.film_sites), 1)))
    assert step[made.substrate_sites] == pytest.approx(np.zeros((len(made.substrate_sites), 3)))
    assert moved.gap == pytest.approx(made.gap + 0.35)
    assert moved.shift == pytest.approx([0.4, 0.3, 0.35])
    assert moved.provenance["shift_A"] == pytest.approx([0.4, 0.3, 0.35])
    assert moved.structure.lattice == made.structure.lattice
    both = join(film, substrate, match, AssemblySettings(interfaces=2))
    raised = shifted(both, normal_A=0.5)
    assert raised.structure.lattice.c == pytest.approx(both.structure.lattice.c + 1.0)


@pytest.mark.parametrize("interfaces", [1, 2])
def test_the_inner_part_of_each_slab_is_held(interfaces: int) -> None:
    film, substrate, match = pair()
    made = join(film, substrate, match, AssemblySettings(fixed_thickness_A=2.5, interfaces=interfaces))  # type: ignore[arg-type]
    free = np.array(made.structure.site_properties[SELECTIVE]).all(axis=1)
    z = made.structure.cart_coords[:, 2]
    for sites, outer in (
        (made.substrate_sites, z[made.substrate_sites].min()),
        (made.film_sites, z[made.film_sites].max()),
    ):
        held = sites[~free[sites]]
        assert 0 < len(held) < len(sites)
        middle = (z[sites].min() + z[sites].max()) / 2
        reach = np.abs(z[held] - (outer if interfaces == 1 else middle)).max()
        assert reach <= (2.5 if interfaces == 1 else 1.25) + 1e-9
    assert np.array_equal(np.array(made.film_slab.site_properties[SELECTIVE]).all(axis=1), free[made.film_sites])


def test_the_file_of_an_interface_holds_the_same_atoms(tmp_path: object) -> None:
    film, substrate, match = pair()
    made = join(film, substrate, match)
    read = read_structure(write_cif(made.structure, tmp_path / "interface.cif"))  # type: ignore[operator]
    assert read.composition == made.structure.composition
    assert made.provenance["film"]["miller"] == [1, 1, 0]


def test_a_foreign_match_and_too_much_held_are_refused() -> None:
    film, substrate, match = pair()
    with pytest.raises(InputError, match="other surface vectors"):
        join(substrate, film, match)
    with pytest.raises(InputError, match="to be held"):
        join(film, substrate, match, AssemblySettings(fixed_thickness_A=50.0))
