import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.defects.utils import get_local_extrema
from pymatgen.core import Lattice, Structure
from pymatgen.io.common import VolumetricData
from pymatgen.io.vasp import Chgcar

from ionscape.errors import InputError
from ionscape.results import to_json
from ionscape.structures.charges import formal_charges
from ionscape.structures.density import DensityGrid, superposed_density
from ionscape.structures.minima import LogDensity, ball_quadrature
from ionscape.structures.orbits import primitive_crystal, separated_orbit
from ionscape.structures.voids import DensityMinimum, VoidSettings, find_empty_sites

METHODS = ["density", "geometric"]


def crystal(group, lattice, species, positions):
    return Structure.from_spacegroup(group, lattice, species, positions)


CU = crystal("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])
FE = crystal("Im-3m", Lattice.cubic(2.87), ["Fe"], [[0, 0, 0]])
NACL = crystal("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
ZNS = crystal("F-43m", Lattice.cubic(5.41), ["Zn", "S"], [[0, 0, 0], [0.25, 0.25, 0.25]])
# delithiated LiCoO2 (Li 3a empty), and λ-MnO2 (spinel with 8a and 16c empty; origin choice 1)
COO2 = crystal("R-3m", Lattice.hexagonal(2.816, 14.05), ["Co", "O"], [[0, 0, 0.5], [0, 0, 0.24]])
MNO2 = crystal("Fd-3m", Lattice.cubic(8.03), ["Mn", "O"], [[0.625] * 3, [0.3875] * 3])

# (crystal, a position of the site, multiplicity, radius from geometry)
TEXTBOOK = {
    "fcc octahedral": (CU, [0.5, 0.5, 0.5], 4, 3.61 / 2),
    "fcc tetrahedral": (CU, [0.25, 0.25, 0.25], 8, 3.61 * 3**0.5 / 4),
    "bcc tetrahedral": (FE, [0.5, 0.25, 0], 12, 2.87 * 5**0.5 / 4),
    "rocksalt tetrahedral": (NACL, [0.25, 0.25, 0.25], 8, 5.64 * 3**0.5 / 4),
    "zincblende 4b": (ZNS, [0.5, 0.5, 0.5], 4, 5.41 * 3**0.5 / 4),
    "zincblende 4d": (ZNS, [0.75, 0.75, 0.75], 4, 5.41 * 3**0.5 / 4),
    "LiCoO2 Li 3a": (COO2, [0, 0, 0], 3, ((2.816 / 3**0.5) ** 2 + (14.05 * (1 / 3 - 0.24)) ** 2) ** 0.5),
    "spinel 16c": (MNO2, [0.125, 0.125, 0.125], 16, 8.03 * ((0.25 + 0.0125) ** 2 + 2 * 0.0125**2) ** 0.5),
    "spinel 8a": (MNO2, [0, 0, 0], 8, 8.03 * 3**0.5 * (0.5 - 0.3625)),
}


def nearest_copy(structure, sites, position):
    """The site that has a copy nearest to a fractional position, and how far that copy is."""
    gaps = [structure.lattice.get_all_distances(site.copies, [position]).min() for site in sites]
    return sites[int(np.argmin(gaps))], min(gaps)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", TEXTBOOK)
def test_textbook_interstitials(case, method):
    structure, position, multiplicity, radius = TEXTBOOK[case]
    found = find_empty_sites(structure, VoidSettings(method=method))
    site, gap = nearest_copy(structure, found.sites, position)
    assert gap < 0.02
    assert site.multiplicity == multiplicity
    assert site.radius == pytest.approx(radius, abs=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_simple_metals_have_no_other_sites(method):
    assert [s.multiplicity for s in find_empty_sites(CU, VoidSettings(method=method)).sites] == [4, 8]
    assert [s.multiplicity for s in find_empty_sites(FE, VoidSettings(method=method)).sites] == [12]


@pytest.mark.parametrize("method", METHODS)
def test_vacant_anion_site_of_lzo_comes_first(lzo, method):
    """32 anion positions of the NaCl parent, 28 filled: 4 are vacant, each amid six cations ~2.3 Å away."""
    found = find_empty_sites(lzo, VoidSettings(method=method))
    vacant = found.sites[0]
    assert found.space_group == "C2/c"
    assert vacant.multiplicity == 4
    assert vacant.coordination["Li"] == 6
    assert 2.2 < vacant.neighbours["Li"] < 2.5
    assert vacant.neighbours["O"] > 2.5
    assert [s.multiplicity for s in found.suitable_for(-3).sites] == [4]
    cations = found.suitable_for(+1).sites
    assert cations
    assert all(site.multiplicity != 4 for site in cations)
    assert any(site.multiplicity == 4 for site in found.suitable_for(+1, like_ratio=0).sites), "if the user wants"


@pytest.mark.parametrize("method", METHODS)
def test_copies_are_complete_and_equivalent(lzo, method):
    found = find_empty_sites(lzo, VoidSettings(method=method))
    everything = found.all_fractional
    assert len(everything) == sum(site.multiplicity for site in found.sites)
    gaps = lzo.lattice.get_all_distances(everything, everything) + 9 * np.eye(len(everything))
    assert gaps.min() > 0.45, "copies and sites must not coincide"
    for site in found.sites:
        distances = np.sort(lzo.lattice.get_all_distances(site.copies, lzo.frac_coords), axis=1)
        assert np.allclose(distances, distances[0], atol=0.01), "all copies have the same surroundings"
        assert distances[0, 0] == pytest.approx(site.radius, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("structure", [NACL, COO2, FE], ids=["rocksalt", "layered", "bcc"])
@given(shear=st.tuples(*[st.integers(-2, 2)] * 3), doubled=st.integers(0, 2), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=4)
def test_same_sites_in_any_cell_of_the_crystal(structure, method, turn, shear, doubled, seed):
    matrix = np.array([[1, shear[0], shear[1]], [0, 1, shear[2]], [0, 0, 1]])
    matrix[doubled] *= 2
    other = turn(structure.make_supercell(matrix, in_place=False), seed)
    options = VoidSettings(method=method, grid_spacing_A=0.2)
    a, b = (find_empty_sites(s, options) for s in (structure, other))
    assert sorted(2 * s.multiplicity for s in a.sites) == sorted(s.multiplicity for s in b.sites)
    assert np.allclose(sorted(s.radius for s in a.sites), sorted(s.radius for s in b.sites), atol=0.01)
    assert b.all_fractional.min() >= 0
    assert b.all_fractional.max() < 1


def test_sites_do_not_depend_on_the_grid(lzo):
    """Shen, Horton and Persson's sites come from grid points; refined, they must not feel the grid."""
    results = [find_empty_sites(lzo, VoidSettings(grid_spacing_A=h)).sites for h in (0.12, 0.17, 0.23)]
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert a.multiplicity == b.multiplicity
            assert nearest_copy(lzo, [b], a.fractional)[1] < 0.03
            assert a.density == pytest.approx(b.density, rel=0.02)


def test_minima_agree_with_pymatgen_analysis_defects(lzo):
    """The peer's grid minima far from atoms are ours, to within a grid step."""
    grid = superposed_density(lzo, {"Li": 1, "Zr": 4, "O": -2}, 0.25)
    peer = get_local_extrema(VolumetricData(lzo, {"total": grid.values * lzo.volume}))
    ours = find_empty_sites(lzo, VoidSettings(), grid, {"Li": 1, "Zr": 4, "O": -2}).all_fractional
    gaps = lzo.lattice.get_all_distances(ours, peer)
    assert gaps.min(axis=1).max() < 0.25
    far = lzo.lattice.get_all_distances(peer, lzo.frac_coords).min(axis=1) > 1.7
    assert far.any()
    assert gaps.min(axis=0)[far].max() < 0.3


def test_density_may_come_as_chgcar(lzo):
    grid = superposed_density(lzo, {"Li": 1, "Zr": 4, "O": -2}, 0.2)
    chgcar = Chgcar(lzo, {"total": grid.values * lzo.volume})
    a, b = find_empty_sites(lzo, density=grid), find_empty_sites(lzo, density=chgcar)
    assert b.source == "CHGCAR"
    assert np.allclose([s.density for s in a.sites], [s.density for s in b.sites], rtol=1e-3)


def test_averages_are_those_of_a_known_field():
    """For log ρ = r²/2 the mean in a ball is 3/R³ ∫ r² exp(r²/2) dr, and the minimum is the centre."""
    n, length = 40, 8.0
    lattice = Lattice.cubic(length)
    axis = (np.arange(n) / n - 0.5) * length
    r2 = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2
    structure = Structure(lattice, ["He"], [[0, 0, 0]])
    field = LogDensity(DensityGrid(np.exp(np.minimum(r2, 9) / 2), structure, "test"), 1e-8)
    centre = np.full((1, 3), length / 2)
    r = np.linspace(0, 0.8, 20_001)
    exact = 3 / 0.8**3 * np.trapezoid(r**2 * np.exp(r**2 / 2), r)
    assert field.sphere_average(centre, 0.8)[0] == pytest.approx(exact, rel=1e-3)
    start = centre + np.array([[0.6, -0.5, 0.3]])
    assert np.allclose(field.descend(start), centre, atol=3e-3)


@given(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
@settings(deadline=None)
def test_ball_quadrature_is_exact_for_polynomials(i, j, k):
    if i + j + k > 5:
        return
    points, weights = ball_quadrature(1.3)
    # <x^i y^j z^k> over a ball: zero if any power is odd, else a product of double factorials
    double = {0: 1, 2: 1, 4: 3}
    n = i + j + k
    odd = i % 2 or j % 2 or k % 2
    sphere = 0 if odd else double[i] * double[j] * double[k] / np.prod(np.arange(3, n + 2, 2), initial=1)
    exact = sphere * 3 / (n + 3) * 1.3**n
    assert weights @ np.prod(points ** np.array([i, j, k]), axis=1) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize(
    ("position", "multiplicity"), [([0.1, 0.2, 0.3], 8), ([0, 0.2, 0.25], 4), ([0, 0, 0], 4), ([0.25, 0.25, 0], 4)]
)
def test_orbits_have_the_multiplicity_of_their_wyckoff_position(lzo, position, multiplicity):
    """C2/c (No. 15): 8f general, 4e (0, y, 1/4), 4a (0, 0, 0), 4c (1/4, 1/4, 0); International Tables A."""
    primitive, group = primitive_crystal(lzo, 0.01)
    near = lzo.lattice.get_cartesian_coords(position) + np.array([0.03, 0.0, 0.0])
    orbit = separated_orbit(group, primitive.lattice.get_fractional_coords(near), primitive.lattice.matrix, 0.3)
    assert 2 * len(orbit) == multiplicity, "the cell is centred: two primitive cells"
    back = lzo.lattice.get_fractional_coords(primitive.lattice.get_cartesian_coords(orbit[0]))
    gap = lzo.lattice.get_all_distances([back], [position]).min()
    assert gap == pytest.approx(0.03 if multiplicity == 8 else 0, abs=1e-3)


def test_charges_from_states_composition_or_nowhere(lzo):
    assert formal_charges(lzo) == {"Li": 1, "Zr": 4, "O": -2}
    mixed = NACL.copy().add_oxidation_state_by_element({"Na": 2, "Cl": -2})
    assert formal_charges(mixed) == {"Na": 2, "Cl": -2}
    assert formal_charges(CU) == {}


def test_without_charges_only_neutral_insertions_can_be_judged():
    found = find_empty_sites(CU)
    assert found.source == "superposition of Cu"
    assert len(found.suitable_for(0, min_distance=1.7).sites) == 1
    with pytest.raises(InputError, match="formal charges"):
        found.suitable_for(1)


def test_each_ion_gets_its_own_kind_of_site():
    """Zincblende: 4b lies amid four S, 4d amid four Zn."""
    found = find_empty_sites(ZNS, charges={"Zn": 2, "S": -2})
    (cation,) = found.suitable_for(+1).sites
    (anion,) = found.suitable_for(-1).sites
    assert cation.coordination["S"] == 4
    assert anion.coordination["Zn"] == 4
    assert len(found.suitable_for(+1, like_ratio=0.5).sites) == 2


@pytest.mark.parametrize("method", METHODS)
def test_no_empty_site_is_an_answer(method):
    found = find_empty_sites(NACL, VoidSettings(method=method, min_distance_A=4.0))
    assert found.sites == ()
    assert found.all_fractional.shape == (0, 3)
    assert found.suitable_for(1).sites == ()


def test_dense_minima_are_left_out():
    assert find_empty_sites(CU, VoidSettings(max_density_e_per_A3=0.13)).sites[0].multiplicity == 4
    assert len(find_empty_sites(CU, VoidSettings(max_density_e_per_A3=0.13)).sites) == 1


def test_results_are_frozen_and_carry_units(lzo):
    found = find_empty_sites(lzo)
    with pytest.raises(ValueError, match="read-only"):
        found.sites[0].copies[0, 0] = 1
    assert all(isinstance(site, DensityMinimum) for site in found.sites)
    assert all(a.density <= b.density for a, b in zip(found.sites, found.sites[1:], strict=False))
    entry = to_json(found)["sites"][0]
    assert entry["radius"]["unit"] == "Å"
    assert entry["density"]["unit"] == "e/Å³"
    geometric = find_empty_sites(lzo, VoidSettings(method="geometric"))
    assert not any(hasattr(site, "density") for site in geometric.sites)


def test_vacuum_is_no_site():
    """Five layers of Cu(001) and 30 Å of vacuum: the density sites lie in the metal."""
    layers = CU.make_supercell([1, 1, 3], in_place=False)
    positions = [site.coords for site in layers if site.coords[2] < 7.5]
    slab = Structure(
        Lattice.orthorhombic(3.61, 3.61, 37.2), ["Cu"] * len(positions), positions, coords_are_cartesian=True
    )
    found = find_empty_sites(slab)
    assert found.sites
    height = np.mod(found.all_fractional[:, 2] * 37.2 + 2, 37.2) - 2
    assert height.min() > -0.5
    assert height.max() < 7.72


def test_density_of_another_crystal_is_refused(lzo):
    grid = superposed_density(lzo, None, 0.4)
    strained = lzo.copy()
    strained.apply_strain(0.01)
    exchanged = lzo.copy()
    exchanged.replace(0, "Na")
    for other in (strained, exchanged, NACL, lzo.make_supercell([1, 2, 1], in_place=False)):
        with pytest.raises(InputError, match="density"):
            find_empty_sites(other, density=grid)


def test_density_with_the_geometric_method_is_refused():
    with pytest.raises(InputError, match="geometric"):
        find_empty_sites(NACL, VoidSettings(method="geometric"), superposed_density(NACL, None, 0.4))


def test_crystals_that_are_none_are_refused():
    slab = Structure(Lattice(np.diag([4, 4, 20]), pbc=(True, True, False)), ["Li"], [[0, 0, 0]])
    mixed = Structure(Lattice.cubic(4), [{"Li": 0.5, "Na": 0.5}], [[0, 0, 0]])
    for structure in (slab, mixed):
        with pytest.raises(InputError, match="three directions"):
            find_empty_sites(structure)
