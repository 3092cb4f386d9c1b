"""The command electronic on the files that VASP leaves beside vasprun.xml, and the charges of a density."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.outputs import Chgcar

from ionscape.cli.main import main
from ionscape.structures.density import superposed_density

sys.path.insert(0, str(Path(__file__).parents[1] / "electronic"))
from made_layers import write_locpot, write_outcar, write_vasprun


def test_a_folder_of_vasp_with_its_potential_and_sides(ionscape) -> None:
    write_vasprun(Path("vasprun.xml"))
    write_locpot(Path("LOCPOT"))
    found = ionscape("electronic", ".", "--sides", "Co", "Zr")
    assert found["valence_offset_eV"] == pytest.approx(-1.5, abs=0.06)
    assert found["alignment"] == "straddling"
    assert found["potential_step_eV"] == pytest.approx(-2.0, abs=1e-6)
    assert found["offset_verdict"].startswith("the valence top is on the first side")
    lined = ionscape("electronic", ".", "--sides", "Co", "Zr", "--bulk", ".", ".")
    assert lined["lined_up_valence_offset_eV"] == pytest.approx(found["potential_step_eV"])


def test_an_outcar_alone_tells_its_gap_and_what_is_missing(ionscape) -> None:
    write_outcar(Path("OUTCAR"))
    found = ionscape("electronic", "OUTCAR")
    assert found["gap_eV"] == pytest.approx(1.95)
    assert "vaspout.h5" in found["unavailable"]


def test_a_locpot_alone_tells_its_averages(ionscape) -> None:
    values = write_locpot(Path("LOCPOT"))
    found = ionscape("electronic", "LOCPOT")
    assert [round(one["potential_eV"], 6) for one in found["layers"]][1:5:3] == [-3.0, -5.0]
    profile = json.loads(Path(found["files"][0]).read_text())
    assert np.allclose(profile["potential_eV"], values.mean(axis=(0, 1)), atol=1e-5)


def test_charges_of_a_density_in_a_file(ionscape, capfd) -> None:
    lattice = Lattice([[0.0, 2.82, 2.82], [2.82, 0.0, 2.82], [2.82, 2.82, 0.0]])
    salt = Structure(lattice, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    density = superposed_density(salt, {"Na": 1, "Cl": -1}, 0.15, 1e-6)
    Chgcar(salt, {"total": density.values * salt.volume}).write_file("CHGCAR")
    chlorine = superposed_density(Structure(lattice, ["Cl"], [[0.5, 0.5, 0.5]]), {"Cl": -1}, 0.15, 1e-6).electrons
    valence = f"Na={density.electrons - chlorine + 1:.4f},Cl={chlorine - 1:.4f}"
    found = ionscape("electronic", "CHGCAR", "--charges", "hirshfeld", "--valence", valence)
    assert found["charges_e"]["Na"] > 0.05
    assert found["total_charge_e"] == pytest.approx(0, abs=0.02)
    assert sum(found["charge_of_atoms_e"]) == pytest.approx(found["total_charge_e"])
    assert main(["electronic", "CHGCAR", "--charges", "hirshfeld", "--valence", "Na:1"]) == 2
    assert "option --valence" in capfd.readouterr().err
