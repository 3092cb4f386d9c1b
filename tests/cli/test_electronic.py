"""The command about electronic structure: a made vasprun.xml, made densities, a real pair of layers."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.outputs import Chgcar

from ionscape.cli.main import main
from ionscape.structures.density import read_density

sys.path.insert(0, str(Path(__file__).parents[1] / "electronic"))
from vasprun_text import vasprun

needs_gpaw = pytest.mark.skipif(importlib.util.find_spec("gpaw") is None, reason="make install-dft")
LATTICE = Lattice([[4.0, 0.5, 0.0], [-0.4, 4.5, 0.0], [5.0, 2.0, 12.0]])
WHOLE = Structure(
    LATTICE, ["Co", "O", "Zr", "N"], [[0.1, 0.2, 0.2], [0.6, 0.7, 0.22], [0.3, 0.1, 0.7], [0.8, 0.5, 0.71]]
)
ENERGIES = np.arange(-6.0, 6.0, 0.02)


def band(low: float, high: float, states: float):
    return np.where((low <= ENERGIES) & (high >= ENERGIES), states / (high - low), 0.0)


@pytest.fixture
def run_of_vasp() -> None:
    """Co d and O p end at −0.8 eV, N p of the other layer at 0, the gap at 2 eV; each spin has half."""
    values = np.zeros((4, 2, 9, len(ENERGIES)))
    values[0, :, 4] = band(-4, -0.8, 3.0) + band(2.0, 4.0, 2.0)
    values[1, :, 1] = band(-5, -1.0, 3.0)
    values[2, :, 6] = band(3.0, 5.0, 5.0)
    values[3, :, 2] = band(-4, 0.0, 3.0)
    eigenvalues = np.array([[-5.0, -4.0, -0.8, 0.0, 2.0, 3.0]] * 2)
    Path("vasprun.xml").write_text(vasprun(WHOLE, ENERGIES, values, eigenvalues, 0.5))


def test_states_of_vasp_by_layer(ionscape, run_of_vasp):
    found = ionscape("electronic", "vasprun.xml")
    assert found["gap_eV"] == pytest.approx(2.0)
    assert (found["vbm_species"], found["vbm_orbital"]) == ("N", "p")
    owner = found["layers"][found["vbm_layer"]]
    assert owner["formula"] == "N1Zr1"
    assert found["vbm_margin_eV"] == pytest.approx(0.8, abs=0.1)
    cobalt = next(one for one in found["layers"] if "Co" in one["formula"])
    assert cobalt["conduction_bottom_eV"] == pytest.approx(2.0, abs=0.1)
    assert owner["height_A"] != pytest.approx(cobalt["height_A"])
    (file,) = found["files"]
    states = json.loads(Path(file).read_text())
    layer = next(one for one in states["layers"] if one["layer"] == found["vbm_layer"])["states_per_eV"]
    assert np.sum(layer["N p"]) * 0.02 == pytest.approx(6.0, rel=0.02)
    assert len(layer["N p"]) == 2


def test_a_table_for_people(capsys, run_of_vasp):
    assert main(["electronic", "vasprun.xml"]) == 0
    told = capsys.readouterr().out
    assert "gap_eV" in told
    assert "N1Zr1" in told


def test_densities_of_vasp(ionscape):
    rng = np.random.default_rng(1)
    parts = [Structure.from_sites([WHOLE[i] for i in indices]) for indices in ([0, 1], [2, 3])]
    values = [rng.random((6, 6, 18)) * 40 for _ in parts]
    moved = np.zeros((6, 6, 18))
    moved[..., 4], moved[..., 9] = 30.0, -30.0
    for name, structure, one in zip(
        ("AB", "A", "B"), (WHOLE, *parts), (values[0] + values[1] + moved, *values), strict=True
    ):
        Chgcar(structure, {"total": one}).write_file(f"CHGCAR.{name}")
    found = ionscape("electronic", "CHGCAR.AB", "CHGCAR.A", "CHGCAR.B")
    assert found["difference_integral_e"] == pytest.approx(0.0, abs=1e-6)
    assert found["moved_e"] == pytest.approx(30.0 / 18)
    planar = json.loads(Path(found["files"][1]).read_text())
    assert np.argmax(planar["e_per_A"]) == 4
    assert np.argmin(planar["e_per_A"]) == 9
    cube = read_density(found["files"][0])
    assert cube.values.max() == pytest.approx(30.0 / LATTICE.volume, rel=1e-4)


@needs_gpaw
def test_a_pair_of_layers_through_the_whole_chain(ionscape):
    cell = np.array([[2.0, 2.0, 0.0], [-2.0, 2.0, 0.0], [1.5, 0.3, 8.0]])
    positions = [[0, 0, 0], [2, 0, 0.1], [0, 0.2, 3.6], [2.1, 0, 3.7]]
    pair = Atoms("LiHLiH", positions=positions, cell=cell, pbc=True)
    for name, atoms in (("AB", pair), ("A", pair[:2]), ("B", pair[2:])):
        write(f"{name}.extxyz", atoms)
        settings = (
            "cutoff_eV=300.0",
            "kpoints=[1,1,1]",
            "datasets={Li='paw'}",
            f"restart_file={name}.gpw",
            "finite_basis_correction=false",
        )
        more = [part for one in settings for part in ("--level-setting", one)]
        ionscape("evaluate", f"{name}.extxyz", "--level", "gpaw", *more)
    found = ionscape("electronic", "AB.gpw", "A.gpw", "B.gpw")
    assert len(found["layers"]) == 2
    assert found["gap_eV"] > 1.0
    assert abs(found["difference_integral_e"]) < 1e-3
    assert found["moved_e"] > 1e-3
    assert all("potential_eV" in layer for layer in found["layers"])
    whole, difference = (read_density(found["files"][1]) for _ in range(2))
    assert whole.values.shape == difference.values.shape
    assert np.abs(difference.values).max() > 1e-4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.xml"], "missing.xml"),
        (["a.gpw", "b.gpw"], "2 outputs"),
        (["vasprun.xml", "--axis", "3"], "axis 3"),
        (["vasprun.xml", "--layer-gap-A", "9"], "no gap of 9 Å"),
        (["plain.xml"], "LORBIT"),
    ],
)
def test_bad_input_is_told_in_one_message(capsys, run_of_vasp, arguments, told):
    text = Path("vasprun.xml").read_text()
    start, end = text.index("<partial>"), text.index("</partial>") + len("</partial>")
    Path("plain.xml").write_text(text[:start] + text[end:])
    assert main(["electronic", *arguments]) == 2
    message = capsys.readouterr().err
    assert told in message
    assert "Traceback" not in message


@needs_gpaw
def test_files_that_are_none_of_gpaw_are_refused(capsys):
    Path("no.gpw").write_bytes(b"nothing")
    assert main(["electronic", "no.gpw"]) == 2
    assert "restart_file" in capsys.readouterr().err
