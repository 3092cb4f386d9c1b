"""What GPAW is asked: compact cells, grids, moments, data sets; and what is refused before it runs."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from ionscape.errors import InputError
from ionscape.levels.gpaw import datasets
from ionscape.levels.gpaw.plan import Plan
from ionscape.levels.gpaw.settings import gpaw_settings
from ionscape.levels.registry import Level


def test_flat_cells_are_reduced_and_the_crystal_stays(cathode):
    plan = Plan.of(cathode, gpaw_settings({}))
    compact = plan.compact(cathode)
    assert compact.get_volume() == pytest.approx(cathode.get_volume())
    assert min(compact.cell.angles()) > 50 > max(cathode.cell.angles())
    fractional = (compact.positions - cathode.positions) @ np.linalg.inv(cathode.cell.array)
    assert np.allclose(fractional, fractional.round(), atol=1e-9)
    assert np.allclose(np.linalg.inv(plan.reduction).round(), np.linalg.inv(plan.reduction), atol=1e-9)
    assert np.linalg.det(plan.reduction) == pytest.approx(1.0)


def test_the_grid_has_the_density_of_the_study_whatever_the_cell(cathode, hydride):
    for atoms in (cathode, hydride):
        grid = Plan.of(atoms, gpaw_settings({})).parameters["kpts"]["size"]
        assert np.prod(grid) * len(atoms) >= 1000


def test_low_spin_cobalt_needs_no_spin_and_iron_does(cathode):
    assert Plan.of(cathode, gpaw_settings({})).parameters["spinpol"] is False
    assert Plan.of(cathode, gpaw_settings({"spin": "polarized"})).parameters["spinpol"] is True
    cathode.symbols[1] = "Fe"
    found = Plan.of(cathode, gpaw_settings({})).parameters
    assert found["magmoms"] == [0.0, 5.0, 0.0, 0.0]


def test_an_odd_number_of_electrons_wants_spin():
    sodium = Atoms("Na", cell=3.7 * np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]), pbc=True)
    assert Plan.of(sodium, gpaw_settings({})).parameters["magmoms"] == [1.0]
    with pytest.raises(InputError, match="odd number, without spin"):
        Plan.of(sodium, gpaw_settings({"spin": "none"}))
    allowed = gpaw_settings({"spin": "none", "odd_electrons": "allow"})
    assert Plan.of(sodium, allowed).parameters["spinpol"] is False


def test_elements_without_data_set_are_named(hydride):
    hydride.symbols[0] = "Pu"
    with pytest.raises(InputError, match=r"no PAW data set of Pu \(paw\)"):
        Level.of("gpaw").check(hydride)
    with pytest.raises(InputError, match=r"no PAW data set of H \(sv\)"):
        Plan.of(hydride[1:], gpaw_settings({"datasets": {"H": "sv"}}))


def test_molecules_are_refused():
    with pytest.raises(InputError, match="periodic"):
        Level.of("gpaw").check(Atoms("H2", positions=[[0, 0, 0], [0.7, 0, 0]]))


def test_lithium_with_its_core_in_the_valence_is_made_once_and_kept(tmp_path, monkeypatch):
    import gpaw

    monkeypatch.setenv(datasets.CACHE, str(tmp_path))
    monkeypatch.setattr(gpaw, "setup_paths", [p for p in gpaw.setup_paths if "gpaw-datasets" not in str(p)])
    settings = gpaw_settings({})
    assert datasets.setups(["Li", "O"], settings) == {"Li": "sv", "O": "paw"}
    (file,) = tmp_path.glob("gpaw-datasets-*/Li.sv.PBE")
    made = file.stat().st_mtime_ns
    datasets.setups(["Li"], settings)
    assert file.stat().st_mtime_ns == made
    assert datasets.valence_electrons(["Li", "O"], settings) == {"Li": 3, "O": 6}
    assert list(tmp_path.rglob("*")) == [file.parent, file]
    assert str(file.parent) in gpaw.setup_paths


def test_a_reader_knows_where_made_data_sets_are(tmp_path, monkeypatch):
    import gpaw

    monkeypatch.setenv(datasets.CACHE, str(tmp_path))
    monkeypatch.setattr(gpaw, "setup_paths", ["elsewhere"])
    datasets.know_made_datasets()
    datasets.know_made_datasets()
    assert len(gpaw.setup_paths) == 2
    assert gpaw.setup_paths[0].startswith(str(tmp_path))


def test_the_identity_tells_the_projector_of_u_and_not_where_logs_go():
    first = Level.of("gpaw", {"preset": "study"}).identity()
    assert first["hubbard_U_eV"] == {"Co": 3.32}
    assert first["hubbard_projector"] == "truncated"
    assert first["gpaw"]
    other = Level.of("gpaw", {"preset": "study", "log_file": "a.txt", "max_iterations": 7}).identity()
    assert other == first
    assert Level.of("gpaw", {"preset": "study", "hubbard_projector": "normalized"}).identity() != first
