"""First paths around obstacles: the same way back, around what stands in the line, into room that is there."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators.emt import EMT
from pymatgen.core import Lattice, Structure

from ionscape.migration.band import check_path, find_path
from ionscape.migration.endpoints import EndPoints
from ionscape.migration.guidance import guided_positions
from ionscape.migration.settings import BandSettings

CELL = Lattice([[9.0, 0.4, -0.3], [0.6, 9.5, 0.2], [-0.4, 0.7, 10.0]])


def ends_with(*others: tuple[str, list[float]], length: float = 4.0) -> EndPoints:
    """Return a lithium ion that goes `length` Å along x, off the middle of a sheared cell, among other atoms."""
    middle = np.array([4.2, 4.9, 5.1])
    symbols, offsets = zip(*others, strict=True)
    places = [middle + np.array([sign * length / 2, 0, 0]) for sign in (-1, 1)]
    two = [
        Structure(
            CELL,
            ["Li", *symbols],
            [place, *(middle + np.array(one) for one in offsets)],
            coords_are_cartesian=True,
        )
        for place in places
    ]
    displacement = np.zeros((len(two[0]), 3))
    displacement[0] = places[1] - places[0]
    return EndPoints(two[0], two[1], displacement)


def off_line(ends: EndPoints, count: int = 7) -> np.ndarray:
    """Return how far from the straight line the ion is in each image, as vectors (count + 2, 3)."""
    positions = guided_positions(ends, count)[:, 0]
    along = ends.displacement[0] / np.linalg.norm(ends.displacement[0])
    apart = positions - positions[0]
    return apart - np.outer(apart @ along, along)


@pytest.mark.parametrize("aside", [0.0, 0.3])
def test_an_atom_in_the_middle_of_the_line_is_passed_at_a_distance(aside: float) -> None:
    ends = ends_with(("O", [0.0, aside, 0.0]))
    oxygen = np.array(ends.initial.cart_coords[1])
    straight = ends.initial.cart_coords[0] + np.linspace(0, 1, 9)[:, None] * ends.displacement[0]
    nearest = np.linalg.norm(guided_positions(ends, 7)[:, 0] - oxygen, axis=1).min()
    assert nearest > 1.0
    assert np.linalg.norm(straight - oxygen, axis=1).min() < 0.31


def test_of_two_sides_the_open_one_is_taken() -> None:
    ends = ends_with(
        ("O", [0.0, 0.2, 0.0]), ("O", [0.0, -2.2, 0.5]), ("O", [0.0, -2.2, -0.5]), ("O", [0.0, 0.2, 2.2])
    )
    middle = off_line(ends)[4]
    assert middle[1] > 0.8 or middle[2] < -0.8, "away from the atoms that close two of the sides"


def test_an_open_line_stays_straight() -> None:
    ends = ends_with(("O", [0.0, 2.6, 0.0]), ("O", [0.0, -2.6, 0.0]), ("O", [0, 0, 2.6]), ("O", [0, 0, -2.6]))
    assert np.linalg.norm(off_line(ends), axis=1).max() < 0.25


def test_the_way_back_is_the_same_way() -> None:
    ends = ends_with(("O", [0.1, 0.3, -0.1]), ("Zr", [1.0, -2.5, 0.4]))
    back = EndPoints(ends.final, ends.initial, -ends.displacement)
    assert np.allclose(guided_positions(ends, 5), guided_positions(back, 5)[::-1], atol=1e-9)


def test_images_are_evenly_spread_between_the_ends() -> None:
    ends = ends_with(("O", [0.0, 0.1, 0.0]))
    positions = guided_positions(ends, 6)
    steps = np.linalg.norm(np.diff(positions[:, 0], axis=0), axis=1)
    assert np.allclose(positions[0], ends.initial.cart_coords)
    assert np.allclose(positions[-1], ends.initial.cart_coords + ends.displacement)
    assert steps.max() < 1.3 * steps.min()


def rock_salt_hop(gone: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """Return how far aside an ion of rock salt goes half-way into a vacancy, with the ions at `gone` away too."""
    edge = 4.2
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(edge), ["Li", "F"], [[0, 0, 0], [0.5, 0, 0]])
    salt.make_supercell([2, 2, 2])
    start, moved = np.array([4.2, 4.2, 4.2]), np.array([edge / 2, edge / 2, 0.0])
    away = [start + moved, *(np.array(one) * edge for one in gone)]
    distances = salt.lattice.get_all_distances(
        salt.lattice.get_fractional_coords([start, *away]), salt.frac_coords
    )
    ion, *removed = (int(np.argmin(row)) for row in distances)
    initial = Structure.from_sites([salt[ion], *(site for k, site in enumerate(salt) if k not in {ion, *removed})])
    final = initial.copy()
    final.translate_sites([0], moved, frac_coords=False)
    displacement = np.vstack([moved, np.zeros((len(initial) - 1, 3))])
    middle = guided_positions(EndPoints(initial, final, displacement), 5)[3, 0]
    return middle - initial[0].coords - moved / 2


def test_an_ion_of_rock_salt_turns_into_the_tetrahedron_that_is_open() -> None:
    """Two tetrahedra share the edge of anions in the line; the cations about one of them are taken away."""
    closed = rock_salt_hop(())
    upper = rock_salt_hop(((1.5, 1.0, 1.5), (1.0, 1.5, 1.5)))
    assert np.linalg.norm(closed) < 0.1
    assert upper[2] > 0.3
    assert np.linalg.norm(upper[:2]) < 0.1


def test_a_guided_band_ends_at_the_same_saddle(copper, tmp_path) -> None:
    barriers = {}
    for path in ("idpp", "guided"):
        settings = BandSettings(path=path, method="surrogate")
        folder = tmp_path / path
        folder.mkdir()
        barriers[path] = find_path(check_path(*copper, settings), EMT(), settings, folder).forward
    assert barriers["guided"] == pytest.approx(barriers["idpp"], abs=0.005)
