"""Sites, hops and the structures at their ends: known crystals, any setting of the cell, interfaces."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.errors import InputError
from ionscape.migration.band import check_path
from ionscape.migration.crossing import CrossingSettings, crossing_hops
from ionscape.migration.hop_ends import hop_ends, repeats_for
from ionscape.migration.hops import HopSettings, direct_hops, interstitialcy_hops
from ionscape.migration.settings import BandSettings
from ionscape.migration.sites import coordination, ion_sites, label_of
from ionscape.structures.supercells import plane_spacings

SHEAR = np.array([[1, 0, 0], [1, 1, 0], [-1, 2, 1]])
OCTAHEDRON = np.array([[0.5, 0.5, 0.5]])


def antifluorite() -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.62), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def rock_salt() -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.1), ["Li", "F"], [[0, 0, 0], [0.5, 0, 0]])


def in_other_cell(structure: Structure) -> Structure:
    """Return the same crystal in a sheared cell of the same volume, turned and shifted."""
    other = structure.copy()
    other.make_supercell(SHEAR)
    other.translate_sites(range(len(other)), [0.13, 0.37, -0.21])
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    return Structure(other.lattice.matrix @ turn, other.species, other.frac_coords)


BOTH_CELLS = pytest.mark.parametrize("cell", [lambda s: s, in_other_cell], ids=["cubic", "sheared"])


@BOTH_CELLS
def test_coordination_is_that_of_the_crystal(cell) -> None:
    assert {site.label for site in ion_sites(cell(antifluorite()), "Li")} == {"LiO4"}
    sites = ion_sites(cell(rock_salt()), "Li")
    assert {site.label for site in sites} == {"LiF6"}
    assert {site.orbit for site in sites} == {0}
    assert {site.n_ligands for site in sites} == {6}


def test_mixed_ligands_are_told_apart() -> None:
    crystal = antifluorite()
    crystal.replace(0, "N")
    counts = [coordination(crystal, site.coords, "Li") for site in crystal if site.specie.symbol == "Li"]
    assert {label_of("Li", one) for one in counts} == {"LiO3N"}
    assert label_of("Li", {"N": 1, "O": 3, "F": 2}) == "LiF2O3N"
    assert label_of("Li", {}) == "Li"


@BOTH_CELLS
def test_the_distinct_hops_of_antifluorite(cell) -> None:
    """Along an edge of the simple cubic lattice of lithium, a face diagonal, and two kinds of body diagonals."""
    crystal = cell(antifluorite())
    sites = ion_sites(crystal, "Li")
    hops = direct_hops(crystal, sites, "vacancy", HopSettings(longest_A=4.1, clearance_A=0.5))
    lengths = [hop.length for hop in hops]
    assert lengths[:2] == pytest.approx([2.31, 2.31 * np.sqrt(2)], abs=1e-3)
    assert all(length == pytest.approx(2.31 * np.sqrt(3), abs=1e-3) for length in lengths[2:])
    # every site has six neighbours along the edges: each is a copy, in its own direction
    assert len(hops[0].copies) == 6 * len(sites)
    assert hops[0].symmetric


def test_a_hop_through_another_site_is_two_hops() -> None:
    crystal = rock_salt()
    hops = direct_hops(crystal, ion_sites(crystal, "Li"), "vacancy", HopSettings(longest_A=6.0))
    lengths = [round(hop.length / (4.1 / np.sqrt(2)), 3) for hop in hops]
    assert 2.0 not in lengths
    assert lengths[0] == 1.0


@BOTH_CELLS
def test_empty_sites_give_interstitial_and_interstitialcy_hops(cell) -> None:
    host = antifluorite()
    host.append("He", OCTAHEDRON[0])
    for other in ([0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]):
        host.append("He", other)
    marked = cell(host)
    empty = np.array([site.frac_coords for site in marked if site.specie.symbol == "He"])
    crystal = Structure.from_sites([site for site in marked if site.specie.symbol != "He"])
    sites = ion_sites(crystal, "Li", empty)
    assert [site.occupied for site in sites] == [True] * 8 + [False] * 4
    (direct,) = direct_hops(crystal, sites, "interstitial", HopSettings(longest_A=3.5))
    assert direct.length == pytest.approx(4.62 / np.sqrt(2), abs=1e-3)
    pushes = interstitialcy_hops(crystal, sites, HopSettings(longest_A=2.2, straightest_deg=100))
    assert pushes, "an octahedral interstitial pushes one of its eight tetrahedral neighbours on"
    for hop in pushes:
        ends = hop_ends(crystal, sites, hop, "Li", (2, 2, 2))
        moved = np.linalg.norm(ends.displacement, axis=1)
        assert np.count_nonzero(moved) == 2
        assert moved.max() == pytest.approx(4.62 * np.sqrt(3) / 4, abs=1e-3)


@BOTH_CELLS
@pytest.mark.parametrize("mechanism", ["vacancy", "divacancy"])
def test_the_ends_of_a_hop_are_the_crystal_without_ions(cell, mechanism) -> None:
    crystal = cell(antifluorite())
    sites = ion_sites(crystal, "Li")
    hop = direct_hops(crystal, sites, mechanism, HopSettings())[0]
    repeats = (2, 2, 2)  # wider than twice the hop: its direction is the nearest image's
    ends = hop_ends(crystal, sites, hop, "Li", repeats)
    missing = 1 if mechanism == "vacancy" else 2
    assert len(ends.initial) == 8 * len(crystal) - missing
    moved = np.linalg.norm(ends.displacement, axis=1)
    assert np.count_nonzero(moved) == 1
    assert moved.max() == pytest.approx(hop.length, abs=1e-4)
    checked = check_path(ends.initial, ends.final, BandSettings())
    assert np.allclose(checked.displacement, ends.displacement, atol=1e-9)
    full = crystal.copy()
    full.make_supercell(repeats)
    mover = int(np.argmax(moved))
    for structure in (ends.initial, ends.final):
        place = structure[mover].frac_coords
        assert full.lattice.get_all_distances(place, full.frac_coords).min() < 1e-6


def test_cells_are_repeated_to_the_width_asked_for_or_the_atoms_allowed() -> None:
    crystal = in_other_cell(rock_salt())
    repeats = repeats_for(crystal, 8.0, 10_000)
    assert (plane_spacings(np.diag(repeats) @ crystal.lattice.matrix) >= 8.0).all()
    few = repeats_for(crystal, 8.0, 20)
    assert np.prod(few) * len(crystal) <= 20


def test_a_supercell_in_which_sites_coincide_is_refused() -> None:
    crystal = Structure(Lattice.cubic(3.0), ["Li"], [[0, 0, 0]])
    sites = ion_sites(crystal, "Li")
    hop = direct_hops(crystal, sites, "vacancy", HopSettings())[0]
    with pytest.raises(InputError, match="fall on one another"):
        hop_ends(crystal, sites, hop, "Li", (1, 1, 1))


def test_an_ion_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no Na in LiF"):
        ion_sites(rock_salt(), "Na")


def contact() -> tuple[Structure, np.ndarray]:
    """Return two slabs: a film with LiO5 and LiO2 above a substrate of two LiO."""
    around = ((2, 0, 0), (-2, 0, 0), (0, 2, 0), (0, -2, 0), (0, 0, 2))
    sites = [
        ("Li", [2, 2, 2.0], False), ("Li", [5, 2, 2.0], False),
        ("O", [2, 2, 0.2], False), ("O", [5, 2, 0.2], False),
        ("Li", [2, 2, 4.8], True), ("Li", [5.5, 2, 5.0], True), ("Li", [2, 6, 9.5], True),
        *(("O", [2 + x, 2 + y, 4.8 + z], True) for x, y, z in around),
        ("O", [5, 2, 7.0], True),
    ]  # fmt: skip
    lattice = Lattice([[8, 0, 0], [2.5, 8, 0], [0.4, -0.3, 14]])
    symbols, places, film = zip(*sites, strict=True)
    return Structure(lattice, symbols, places, coords_are_cartesian=True), np.array(film)


def test_hops_across_an_interface_are_named_by_the_coordination_of_their_starts() -> None:
    structure, film = contact()
    hops = crossing_hops(structure, film, "Li", CrossingSettings(longest_A=5.0))
    kinds = {hop.kind: hop.start_label for hop in hops}
    ligands = [int(label.removeprefix("LiO") or 1) for _, label in sorted(kinds.items())]
    assert ligands == sorted(ligands, reverse=True)
    assert [hop.name for hop in hops] == ["I1-1", "I1-2", "I2-1", "I2-2"]
    assert all(film[hop.start] and not film[hop.end] for hop in hops)
    for hop in hops:
        ends = check_path(hop.ends.initial, hop.ends.final, BandSettings())
        assert np.linalg.norm(ends.displacement, axis=1).max() == pytest.approx(hop.length, abs=1e-3)
    first = [hop.length for hop in hops if hop.kind == 1]
    assert first == sorted(first)


def test_hops_across_the_boundary_of_the_cell_are_the_same() -> None:
    structure, film = contact()
    moved = structure.copy()
    moved.translate_sites(range(len(moved)), [0.61, 0.83, 0.45])
    lengths = [[h.length for h in crossing_hops(one, film, "Li")] for one in (structure, moved)]
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-3)


@pytest.mark.parametrize("film", [np.zeros(13, dtype=bool), np.ones(13, dtype=bool), np.ones(4, dtype=bool)])
def test_sides_that_are_none_are_refused(film) -> None:
    with pytest.raises(InputError, match="for the slab that the ion leaves"):
        crossing_hops(contact()[0], film, "Li")
