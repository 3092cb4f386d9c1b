"""Structures handed to workflows of atomate2, and their task documents read back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.emt import EMT
from monty.serialization import loadfn
from pymatgen.core import Lattice, Structure

from ionscape.cli.main import main
from ionscape.structures.exchange import to_atoms

KBAR_PER_EV_PER_A3 = 1602.1766


def alloy(name: str, sheared: float = 0.07) -> Structure:
    lattice = Lattice(Lattice.cubic(3.8).matrix @ [[1, sheared, 0], [0, 1, -0.02], [0.03, 0, 1]])
    structure = Structure(
        lattice, ["Cu", "Au", "Cu", "Cu"], [[0, 0, 0], [0.5, 0.52, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    )
    structure.to_file(name)
    return structure


def document(structure: Structure, **more: Any) -> dict[str, Any]:
    """Return a task document as emmet lays it out, of a calculation with EMT."""
    atoms = to_atoms(structure)
    atoms.calc = EMT()
    stress = -atoms.get_stress(voigt=False) * KBAR_PER_EV_PER_A3
    output = {
        "structure": structure.as_dict(),
        "energy": atoms.get_potential_energy(),
        "energy_per_atom": atoms.get_potential_energy() / len(structure),
        "forces": atoms.get_forces().tolist(),
        "stress": stress.tolist(),
    }
    return {"state": "successful", "output": output, **more}


@pytest.fixture
def handed(ionscape) -> list[dict[str, Any]]:
    alloy("first.cif")
    alloy("second.cif", sheared=0.01)
    data = ionscape("export", "first.cif", "second.cif", "--to", "atomate2", "--out", "over")
    assert data["file"] == "over/structures.json"
    return data["structures"]


def test_what_is_handed_over_is_read_by_pymatgen(handed) -> None:
    structures = loadfn("over/structures.json")
    assert [one.properties["ionscape_id"] for one in structures] == [row["id"] for row in handed]
    for row, structure in zip(handed, structures, strict=True):
        poscar = Structure.from_file(row["file"])
        assert poscar.composition == structure.composition
        assert np.allclose(poscar.lattice.matrix, structure.lattice.matrix, atol=1e-5)


def test_results_come_back_to_the_structures_they_belong_to(ionscape, handed) -> None:
    """One is told by the name of its job, around the document of the task, one by what it started from."""
    first, second = loadfn("over/structures.json")
    moved = first.copy()
    moved.translate_sites([0], [0.02, 0, 0])
    moved.properties.clear()
    told = {"uuid": "x", "index": 1, "name": f"static {handed[0]['id']}", "output": document(moved)}
    plain = second.copy(properties={})
    started = document(plain, input={"structure": plain.as_dict()})
    Path("a.json.gz").write_bytes(gzip.compress(json.dumps(told).encode()))
    Path("b.jsonl").write_text(json.dumps(started) + "\n")
    data = ionscape("import", "a.json.gz", "b.jsonl", "--handed", "over/structures.json")
    assert [row["id"] for row in data["results"]] == [row["id"] for row in handed]
    assert data["missing"] == []
    assert data["failures"] == []
    assert data["results"][0]["energy_eV"] == pytest.approx(told["output"]["output"]["energy"])
    errors = ionscape("evaluate", data["frames"], "--level", "ase.calculators.emt:EMT")
    assert errors["energy_mae_meV_per_atom"] == pytest.approx(0, abs=1e-3)
    assert errors["force_mae_eV_per_A"] == pytest.approx(0, abs=1e-6)


def test_the_stress_has_our_sign_and_unit(ionscape, handed) -> None:
    from ase.io import read

    structure = loadfn("over/structures.json")[0]
    Path("a.json").write_text(json.dumps([document(structure)]))
    (frame,) = read(ionscape("import", "a.json")["frames"], index=":")
    expected = to_atoms(structure)
    expected.calc = EMT()
    assert np.allclose(frame.get_stress(), expected.get_stress(), atol=1e-6)
    assert np.abs(frame.get_stress()).max() > 1e-3


def test_tasks_that_failed_are_told_beside_the_others(ionscape, handed, capfd) -> None:
    structure = loadfn("over/structures.json")[0]
    wrong = document(structure)
    wrong["output"]["energy_per_atom"] = 3.0
    tasks = [document(structure), {**document(structure), "state": "failed"}, wrong]
    Path("a.json").write_text(json.dumps(tasks))
    data = ionscape("import", "a.json", "--handed", "over/structures.json")
    assert (data["n_tasks"], data["n_imported"]) == (3, 1)
    assert "state failed" in data["failures"][0]
    assert "is not 4 times" in data["failures"][1]
    assert data["missing"] == [handed[1]["id"]]
    Path("b.json").write_text(json.dumps(tasks[1:]))
    assert main(["import", "b.json", "--json"]) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import", "absent.json"], "cannot be read as JSON"),
        (["import", "none.json"], "no task document"),
        (["import", "none.json", "--handed", "none.json"], "structures that were handed over"),
        (["export", "first.cif", "second.cif"], "2 inputs"),
        (["export", "absent.cif", "--to", "atomate2"], "no such file"),
    ],
)
def test_bad_input_is_one_message(capfd, handed, arguments, told) -> None:
    Path("none.json").write_text('[{"output": {"energy": 1.0}}]')
    assert main(arguments) == 2
    _, error = capfd.readouterr()
    assert told in error
    assert "Traceback" not in error
