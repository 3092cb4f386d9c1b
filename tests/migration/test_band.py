"""Bands: known barriers, symmetry, periodic cells, a plain reference, resumption, and states told as they are."""

from __future__ import annotations

import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.mep import NEB
from ase.optimize import FIRE, LBFGS
from hop_cases import copper_hop, well_ends
from wells import DoubleWell, NotANumber, TwoHumps

from ionscape.errors import CalculationError
from ionscape.migration.band import check_path, find_path
from ionscape.migration.settings import BandSettings
from ionscape.structures.exchange import fixed_coordinates, hold, to_atoms

BOTH = pytest.mark.parametrize("method", ["plain", "surrogate"])
#: Another basis of the lattice of 2 × 2 × 2 cubic cells.
SHEARED = np.array([[1, 0, 0], [1, 1, 0], [-1, 2, 1]]) @ np.diag([2, 2, 2])


def found(ends, calculator, folder: Path, **changed):
    chosen = BandSettings(**changed)
    folder.mkdir(exist_ok=True, parents=True)
    return find_path(check_path(*ends, chosen), calculator, chosen, folder)


@BOTH
@pytest.mark.parametrize("barrier", [0.15, 0.4, 1.3])
def test_a_double_well_has_its_analytic_barrier(wells, tmp_path: Path, method: str, barrier: float) -> None:
    path = found(wells, DoubleWell(barrier), tmp_path, method=method, fmax_eV_per_A=0.005)
    assert path.converged
    assert path.forward == pytest.approx(barrier, abs=1e-3)
    assert path.backward == pytest.approx(barrier, abs=1e-3)
    assert path.climbing is not None
    assert path.profile.energies[0] == 0


@BOTH
def test_a_reversed_band_swaps_its_barriers(wells, tmp_path: Path, method: str) -> None:
    tilted = DoubleWell(0.5, tilt=0.15)
    there = found(wells, tilted, tmp_path / "there", method=method, fmax_eV_per_A=0.01)
    back = found(wells[::-1], tilted, tmp_path / "back", method=method, fmax_eV_per_A=0.01)
    assert there.forward != pytest.approx(there.backward, abs=0.05)
    assert there.forward == pytest.approx(back.backward, abs=2e-3)
    assert there.backward == pytest.approx(back.forward, abs=2e-3)
    assert there.site_difference == pytest.approx(-back.site_difference, abs=1e-3)


def test_the_tilted_well_has_the_barrier_of_its_stationary_points(wells, tmp_path: Path) -> None:
    barrier, tilt = 0.5, 0.15
    stationary = np.sort(np.roots([4 * barrier, -tilt, -4 * barrier, tilt]).real)  # dE/du on the bent line
    low, top, high = barrier * (stationary**2 - 1) ** 2 + tilt * (stationary - stationary**3 / 3)
    path = found(wells, DoubleWell(barrier, tilt=tilt), tmp_path, fmax_eV_per_A=0.005)
    assert path.forward == pytest.approx(top - low, abs=1e-3)
    assert path.backward == pytest.approx(top - high, abs=1e-3)


@BOTH
def test_a_vacancy_hop_in_copper_is_that_of_plain_ase(copper, tmp_path: Path, method: str) -> None:
    path = found(copper, EMT(), tmp_path, method=method, images=3, adaptive=False, fmax_eV_per_A=0.01)
    assert path.converged
    assert path.forward == pytest.approx(_with_plain_ase(*copper), abs=0.003)
    assert path.forward == pytest.approx(path.backward, abs=1e-3), "the hop is symmetric"
    outer = path.profile.energies[1], path.profile.energies[3]
    assert outer[0] == pytest.approx(outer[1], abs=0.1)


def _with_plain_ase(initial, final) -> float:
    ends = [to_atoms(initial), to_atoms(final)]
    for end in ends:
        end.calc = EMT()
        LBFGS(end, logfile=None).run(fmax=0.01)
    images = [ends[0], *(ends[0].copy() for _ in range(3)), ends[1]]
    band = NEB(images, k=1.0, climb=True, method="improvedtangent")
    band.interpolate(mic=True)
    for image in images[1:-1]:
        image.calc = EMT()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        FIRE(band, logfile=None).run(fmax=0.01, steps=400)
    return max(image.get_potential_energy() for image in images) - ends[0].get_potential_energy()


@pytest.mark.parametrize("turn", [0, 7])
def test_sheared_cells_and_hops_across_the_boundary_change_nothing(copper, tmp_path: Path, turn: int) -> None:
    """The supercell in a sheared basis; the atom at the origin leaves the cell, the file wraps it."""
    reference = found(copper, EMT(), tmp_path / "one", fmax_eV_per_A=0.01)
    turned = found(copper_hop(SHEARED, turn), EMT(), tmp_path / "two", fmax_eV_per_A=0.01)
    steps = np.diff([image.cart_coords for image in turned.images], axis=0)
    assert np.linalg.norm(steps, axis=-1).max() < 1.2, "no atom jumps between periodic images"
    assert turned.forward == pytest.approx(reference.forward, abs=3e-3)
    assert turned.backward == pytest.approx(reference.backward, abs=3e-3)


def test_wrapping_the_ends_changes_nothing(copper, tmp_path: Path) -> None:
    initial, final = copper
    moved = final.copy()
    for site, shift in ((0, [1, 0, 0]), (3, [0, -1, 2]), (7, [-1, 0, 0])):
        moved.translate_sites([site], shift, to_unit_cell=False)
    plain = check_path(initial, final, BandSettings())
    assert np.allclose(check_path(initial, moved, BandSettings()).displacement, plain.displacement)


def test_images_that_miss_a_hump_are_joined_by_others(tmp_path: Path) -> None:
    ends = [one.copy() for one in well_ends(np.diag([14.0, 8.0, 8.0]))]
    for structure, x in zip(ends, (1.0, 6.0), strict=True):
        structure.translate_sites([0], np.array([x, 4.0, 4.0]) - structure[0].coords, frac_coords=False)
    chosen = {"images": 2, "relax_ends": False, "fmax_eV_per_A": 0.01, "method": "plain"}
    fixed = found(ends, TwoHumps(), tmp_path / "fixed", adaptive=False, **chosen)
    grown = found(ends, TwoHumps(), tmp_path / "grown", **chosen)
    assert len(fixed.images) == 4
    assert not fixed.resolved
    assert len(grown.images) > 4
    assert grown.forward == pytest.approx(0.5, abs=0.005)
    lesser = [e for e in grown.profile.energies if 0.2 < e < 0.4]
    assert lesser, "the lower hump is seen too"


def test_the_error_of_a_band_that_does_not_climb_is_told(wells, tmp_path: Path) -> None:
    path = found(wells, DoubleWell(0.4), tmp_path, images=2, adaptive=False, climb=False)
    assert path.climbing is None
    missing = 0.4 - path.forward
    assert missing > 0.02
    assert path.saddle_error == pytest.approx(missing, rel=0.5)
    assert not path.resolved
    assert "poorly resolved" in path.state


@BOTH
def test_a_band_that_does_not_converge_says_so(copper, tmp_path: Path, method: str) -> None:
    path = found(copper, EMT(), tmp_path, method=method, max_steps=12, ends_fmax_eV_per_A=0.1, fmax_eV_per_A=1e-6)
    assert not path.converged
    assert path.state.startswith("not converged: force on the saddle")
    assert len(path.images) == 5


def test_a_path_downhill_has_no_barrier_on_one_side(tmp_path: Path) -> None:
    """With a tilt that leaves no second minimum the far end, held as given, is simply higher."""
    path = found(well_ends(), DoubleWell(0.05, tilt=1.0, bend=0.0), tmp_path, relax_ends=False)
    assert path.climbing is None
    assert path.backward == 0
    assert path.forward == pytest.approx(path.site_difference)


def test_ends_that_relax_to_one_structure_are_told(tmp_path: Path) -> None:
    near = well_ends()
    near[1].translate_sites([0], [-1.6, 0, 0], frac_coords=False)
    with pytest.raises(CalculationError, match="both ends relax to one structure"):
        found(near, DoubleWell(), tmp_path)


def test_an_end_that_does_not_relax_is_told(copper, tmp_path: Path) -> None:
    with pytest.raises(CalculationError, match="the initial end is not relaxed after 1 steps"):
        found(copper, EMT(), tmp_path, max_steps=1)


def test_a_number_that_is_none_is_told(wells, tmp_path: Path) -> None:
    with pytest.raises(CalculationError, match="not a finite number in evaluation 1"):
        found(wells, NotANumber(), tmp_path)


def test_held_atoms_stay(copper, tmp_path: Path) -> None:
    held = np.zeros(len(copper[0]), dtype=bool)
    held[-3:] = True
    path = found([hold(end, held) for end in copper], EMT(), tmp_path)
    assert path.converged
    for image in path.images:
        assert np.allclose(image.cart_coords[held], copper[0].cart_coords[held], atol=1e-9)
    free = found(copper, EMT(), tmp_path / "free")
    assert path.forward > free.forward - 1e-3
    assert fixed_coordinates(copper[0]) is None


@BOTH
def test_an_interrupted_band_continues_and_pays_nothing_twice(wells, tmp_path: Path, method: str) -> None:
    """The process is killed in the middle of a band; the next one asks only for what was not recorded."""
    diary = tmp_path / "diary"
    whole = found(wells, DoubleWell(diary=str(diary)), tmp_path / "whole", method=method)
    calls = len(diary.read_text().splitlines())
    assert calls == whole.n_force_calls + whole.n_end_calls
    folder = tmp_path / "killed"
    folder.mkdir()
    diary.unlink()
    script = f"""
import sys, os, signal
sys.path[:0] = [{str(Path(__file__).parent)!r}]
from pathlib import Path
from wells import DoubleWell
from hop_cases import well_ends
from ionscape.migration.band import check_path, find_path
from ionscape.migration.settings import BandSettings
class Killed(DoubleWell):
    count = 0
    def calculate(self, *a, **k):
        Killed.count += 1
        if Killed.count > {2 * calls // 3}:
            os.kill(os.getpid(), signal.SIGKILL)
        super().calculate(*a, **k)
chosen = BandSettings(method={method!r})
find_path(check_path(*well_ends(), chosen), Killed(diary={str(diary)!r}), chosen, Path({str(folder)!r}))
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = found(wells, DoubleWell(diary=str(diary)), folder, method=method)
    assert len(diary.read_text().splitlines()) == calls
    assert np.array_equal(resumed.profile.energies, whole.profile.energies)
    assert resumed.n_force_calls == whole.n_force_calls


def test_the_surrogate_saves_evaluations(copper, tmp_path: Path) -> None:
    paths = {
        method: found(copper, EMT(), tmp_path / method, method=method, images=3, adaptive=False)
        for method in ("plain", "surrogate")
    }
    assert paths["plain"].n_force_calls >= 4 * paths["surrogate"].n_force_calls
    assert paths["plain"].forward == pytest.approx(paths["surrogate"].forward, abs=0.005)


def test_every_energy_is_the_levels_own(copper, tmp_path: Path) -> None:
    path = found(copper, EMT(), tmp_path, method="surrogate")
    for image, energy in zip(path.images, path.profile.energies, strict=True):
        atoms = to_atoms(image)
        atoms.calc = EMT()
        assert atoms.get_potential_energy() - path.initial_energy == pytest.approx(energy, abs=1e-9)


def test_a_saddle_has_one_imaginary_mode_and_a_minimum_none(wells, copper, tmp_path: Path) -> None:
    path = found(wells, DoubleWell(0.4), tmp_path / "well", modes="all", fmax_eV_per_A=0.005)
    assert path.modes.n_imaginary == 1
    assert len(path.modes.frequencies) == 3
    # curvature of the barrier along the path: −4B/w² for a straight one; bending lengthens nothing at the top
    mass, curvature = 6.94, 4 * 0.4 / 1.2**2
    expected = np.sqrt(curvature / mass) * 15.6333  # √(eV/Å²/amu)/2π in THz
    assert -path.modes.frequencies[0] == pytest.approx(expected, rel=0.02)
    hop = found(copper, EMT(), tmp_path / "copper", modes="moving", fmax_eV_per_A=0.01)
    assert hop.modes.n_imaginary == 1
    assert list(hop.modes.atoms) == [0]
