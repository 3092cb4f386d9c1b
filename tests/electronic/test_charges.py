"""Charges of atoms: of made densities whose answer is known, and of a real one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.electronic.charges import hirshfeld_charges
from ionscape.errors import InputError
from ionscape.structures.density import DensityGrid, superposed_density

SALT = Structure(
    Lattice([[0.0, 2.82, 2.82], [2.82, 0.0, 2.82], [2.82, 2.82, 0.0]]), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
needs_baderkit = pytest.mark.skipif(
    importlib.util.find_spec("baderkit") is None, reason="pip install --no-deps baderkit rich"
)


def alone(symbol: str, charge: float) -> float:
    """Return the electrons that one ion of the table has on the grid of the salt."""
    one = Structure.from_sites([site for site in SALT if site.specie.symbol == symbol])
    return superposed_density(one, {symbol: charge}, 0.1, 1e-6).electrons


def valence_of_free_atoms() -> dict[str, float]:
    return {symbol: alone(symbol, 0) for symbol in ("Na", "Cl")}


def test_superposed_free_atoms_are_neutral() -> None:
    density = superposed_density(SALT, None, 0.1, 1e-6)
    found = hirshfeld_charges(density, valence_of_free_atoms())
    assert np.allclose(found.charges, 0, atol=5e-3)


def test_superposed_ions_of_salt_are_charged_as_they_should() -> None:
    """Na loses and Cl gains the same; the superposed ions overlap little, so that Hirshfeld keeps part of it."""
    density = superposed_density(SALT, {"Na": 1, "Cl": -1}, 0.1, 1e-6)
    valence = {"Na": alone("Na", 1) + 1, "Cl": alone("Cl", -1) - 1}
    found = hirshfeld_charges(density, valence)
    assert found.total == pytest.approx(0.0, abs=1e-2)
    assert 0.1 < found.by_element["Na"] < 1.0
    assert found.by_element["Cl"] == pytest.approx(-found.by_element["Na"], abs=1e-2)


def test_the_whole_moved_charge_of_atoms_that_do_not_overlap_is_told() -> None:
    """Two Gaussians far apart, 1.3 electrons on one atom and 0.7 on the other, of neutral atoms with one each."""
    pair = Structure(
        Lattice([[4.0, 0.3, 0], [0.2, 4.2, 0], [0.5, 0.1, 12.0]]), ["H", "H"], [[0, 0, 0], [0, 0, 0.5]]
    )
    shape = (36, 36, 108)
    values = np.zeros(shape)
    for site, electrons in zip(pair, (1.3, 0.7), strict=True):
        one = superposed_density(Structure(pair.lattice, ["H"], [site.frac_coords]), shape=shape)
        values += electrons * one.values / one.electrons
    found = hirshfeld_charges(DensityGrid(values, pair, "made"), {"H": 1.0})
    assert np.allclose(found.charges, [-0.3, 0.3], atol=5e-3)


def test_a_density_without_the_electrons_of_its_atoms_is_refused() -> None:
    density = superposed_density(SALT, None, 0.2, 1e-6)
    with pytest.raises(
        InputError, match=r"in the density, 60 in the neutral atoms.*--valence|electrons in the density"
    ):
        hirshfeld_charges(DensityGrid(density.values / 2, SALT, "half"))
    with pytest.raises(InputError, match="Cl unknown"):
        hirshfeld_charges(density, {"Na": 11.0})


@needs_baderkit
def test_basins_of_superposed_ions_of_salt(tmp_path: Path) -> None:
    """In a process of its own without compilation, which would take minutes: the grid is small."""
    charges = {"Na": 1, "Cl": -1}
    ions = {
        symbol: superposed_density(Structure(SALT.lattice, [symbol], [[0, 0, 0]]), {symbol: q}, shape=(20, 20, 20))
        for symbol, q in charges.items()
    }
    valence = {symbol: ions[symbol].electrons + q for symbol, q in charges.items()}
    density = superposed_density(SALT, charges, shape=(20, 20, 20))
    np.save(tmp_path / "values.npy", density.values)
    script = f"""
import json, numpy as np
from pymatgen.core import Structure
from ionscape.electronic.charges import bader_charges
from ionscape.structures.density import DensityGrid
salt = Structure.from_dict({SALT.as_dict()!r})
found = bader_charges(DensityGrid(np.load("values.npy"), salt, "made"), {valence!r})
print(json.dumps([*found.charges, found.total]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    sodium, chlorine, total = json.loads(done.stdout)
    assert total == pytest.approx(0.0, abs=1e-2)
    assert sodium == pytest.approx(1.0, abs=0.25)
    assert chlorine == pytest.approx(-sodium, abs=1e-2)
