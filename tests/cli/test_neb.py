"""The command neb: its answer, its exit codes, and one clear message for every bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.cli.main import main

WELLS = str(Path(__file__).parents[1] / "migration")
LEVEL = "wells:DoubleWell"
OPTIONS = ["--level", LEVEL]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(WELLS)
    monkeypatch.setenv("PYTHONPATH", WELLS)


def well(x: float, *more: tuple[str, list[float]], cell: float = 8.0) -> Structure:
    sites = [("Li", [4.0 + x, 4.0, 4.0]), *more]
    symbols, places = zip(*sites, strict=True)
    return Structure(Lattice.cubic(cell), symbols, places, coords_are_cartesian=True)


def written(*structures: Structure) -> list[str]:
    names = []
    for name, structure in zip(("initial", "final"), structures, strict=True):
        structure.to_ase_atoms().write(f"{name}.vasp", format="vasp", direct=True)
        names.append(f"{name}.vasp")
    return names


def test_the_answer_has_the_barrier_and_its_band(ionscape) -> None:
    data = ionscape("neb", *written(well(-1.1), well(1.1)), "--images", "3", "--climb", *OPTIONS)
    assert data["forward_eV"] == pytest.approx(0.4, abs=2e-3)
    assert data["backward_eV"] == pytest.approx(0.4, abs=2e-3)
    assert len(data["energies_eV"]) == len(data["coordinates_A"]) == 5
    assert data["energies_eV"][0] == 0
    assert data["coordinates_A"] == sorted(data["coordinates_A"])
    assert data["converged"] is True
    assert data["n_force_calls"] > 0
    assert Path(data["path"]).is_file()


def test_the_same_command_answers_from_the_store_and_modes_are_told(ionscape) -> None:
    files = written(well(-1.1), well(1.1))
    first = ionscape("neb", *files, "--modes", "all", *OPTIONS)
    assert first["n_imaginary_modes"] == 1
    assert ionscape("neb", *files, "--modes", "all", *OPTIONS) == first


def test_a_band_that_does_not_converge_gives_its_state_and_exit_code_3(capfd) -> None:
    files = written(well(-1.1), well(1.1))
    arguments = [*files, "--max-steps", "12", "--fmax-eV-per-A", "1e-9", *OPTIONS]
    assert main(["neb", *arguments, "--ends-fmax-eV-per-A", "0.5", "--json"]) == 3
    out, _ = capfd.readouterr()
    data = json.loads(out)
    assert data["converged"] is False
    assert data["state"].startswith("not converged: force on the saddle")
    assert len(data["energies_eV"]) == 5


def refusal(capfd, *arguments: str) -> str:
    assert main(["neb", *arguments, *OPTIONS]) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert error.startswith("ionscape neb: ")
    assert len(error.strip().splitlines()) == 1 + error.strip().count("[0:0")
    return error


OXYGEN = ("O", [1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("initial", "final", "told"),
    [
        (well(-1.1), well(1.1, OXYGEN), "1 atoms (Li1) and 2 atoms (Li1 O1)"),
        (well(-1.1, OXYGEN), well(1.1, ("S", OXYGEN[1])), "Li1 O1 and Li1 S1"),
        (well(-1.1), well(-1.1), "no atom moves farther than"),
        (well(-1.1), well(1.1, cell=8.2), "lattice vectors that differ by up to 0.2000"),
    ],
    ids=["counts", "elements", "identical", "cells"],
)
def test_ends_that_do_not_belong_together_are_refused(capfd, initial, final, told) -> None:
    assert told in refusal(capfd, *written(initial, final))


def test_swapped_species_are_told_with_the_atom(capfd) -> None:
    swapped = Structure(Lattice.cubic(8.0), ["O", "Li"], [OXYGEN[1], [5.1, 4.0, 4.0]], coords_are_cartesian=True)
    error = refusal(capfd, *written(well(-1.1, OXYGEN), swapped))
    assert "atom 0 (counted from 0) is Li in the initial and O in the final" in error
    assert "--map assignment" in error


def test_swapped_species_can_be_matched(ionscape) -> None:
    swapped = Structure(Lattice.cubic(8.0), ["O", "Li"], [OXYGEN[1], [5.1, 4.0, 4.0]], coords_are_cartesian=True)
    files = written(well(-1.1, OXYGEN), swapped)
    data = ionscape("neb", *files, "--map", "assignment", *OPTIONS)
    assert data["forward_eV"] == pytest.approx(0.4, abs=2e-3)


def test_images_that_overlap_are_told(capfd) -> None:
    """Two lithium atoms exchange their places head on, on a straight line."""
    one, other = [3.0, 4.0, 4.0], [5.0, 4.0, 4.0]
    ends = [
        Structure(Lattice.cubic(8.0), ["Li", "Li"], places, coords_are_cartesian=True)
        for places in ([one, other], [other, one])
    ]
    error = refusal(capfd, *written(*ends), "--path", "linear")
    assert "are 0.000 Å apart in image 2 of 3" in error


def test_what_cannot_be_read_is_told(capfd) -> None:
    files = written(well(-1.1), well(1.1))
    Path("broken.cif").write_text("not a structure")
    assert "broken.cif" in refusal(capfd, "broken.cif", files[1])
    assert "no such file" in refusal(capfd, files[0], "absent.cif")
    assert "images" in refusal(capfd, *files, "--images", "0")


def test_atoms_that_exchange_places_are_turned_aside_by_the_pair_potential() -> None:
    from ionscape.migration.band import check_path
    from ionscape.migration.interpolation import first_images
    from ionscape.migration.settings import BandSettings

    one, other = [3.0, 4.0, 4.0], [5.0, 4.0, 4.0]
    ends = [
        Structure(Lattice.cubic(8.0), ["Li", "Li"], places, coords_are_cartesian=True)
        for places in ([one, other], [other, one])
    ]
    images = first_images(check_path(*ends, BandSettings()), 3, "idpp")
    nearest = [image.get_distance(0, 1, mic=True) for image in images]
    assert min(nearest) > 1.2
    assert np.isfinite(nearest).all()
