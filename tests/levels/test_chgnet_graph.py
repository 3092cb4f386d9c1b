"""The graph made with arrays is CHGNet's own, bond by bond and angle by angle."""

from __future__ import annotations

import contextlib
import io
from collections import Counter

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from chgnet.graph import CrystalGraphConverter
from chgnet.model import CHGNet, CHGNetCalculator

from ionscape.errors import CalculationError
from ionscape.levels.chgnet import FrozenCHGNet
from ionscape.levels.chgnet_graph import CrystalGraph, crystal_graph
from ionscape.structures.exchange import to_structure


def crystals() -> dict[str, Atoms]:
    rng = np.random.default_rng(4)
    lithium = bulk("Li", "bcc", a=3.4)
    potassium = bulk("K", "bcc", a=5.3)
    potassium.rattle(0.05, seed=1)
    cell = np.array([[4.1, 0.3, -0.9], [1.2, 3.9, 0.4], [-0.6, 1.1, 4.4]])
    sheared = Atoms("Li3ZrO3", scaled_positions=rng.random((7, 3)), cell=cell * 1.25, pbc=True)
    outside = sheared.copy()
    outside.positions += rng.integers(-3, 4, (7, 3)) @ outside.cell.array
    return {"one atom": lithium, "no angles": potassium, "sheared": sheared, "outside the cell": outside}


def bonds_of(centre: np.ndarray, neighbour: np.ndarray, images: np.ndarray) -> list[tuple[int, ...]]:
    return [
        (int(i), int(j), *map(int, image)) for i, j, image in zip(centre, neighbour, np.rint(images), strict=True)
    ]


def graph_of(atoms: Atoms) -> CrystalGraph:
    return crystal_graph(atoms, 6.0, 3.0, "cpu")


@pytest.mark.parametrize("name", crystals())
def test_bonds_and_angles_are_those_of_chgnet(name: str) -> None:
    atoms = crystals()[name]
    ours = graph_of(atoms)
    theirs = CrystalGraphConverter(atom_graph_cutoff=6, bond_graph_cutoff=3)(to_structure(atoms))
    pairs = theirs.atom_graph.numpy().reshape(-1, 2)
    wanted = bonds_of(pairs[:, 0], pairs[:, 1], theirs.neighbor_image.detach().numpy())
    found = bonds_of(ours.centre.of_row.numpy(), ours.neighbour.of_row.numpy(), ours.images.numpy())
    if name != "outside the cell":  # pymatgen moves atoms into the cell first
        assert Counter(found) == Counter(wanted)
    assert len(found) == len(wanted)
    assert len(ours.one_way) == len(theirs.undirected2directed)
    assert len(ours.corner.of_row) == len(theirs.bond_graph)
    if name == "no angles":
        assert len(ours.corner.of_row) == 0
    for pair, one in enumerate(ours.one_way.tolist()):
        (way, back) = np.flatnonzero(ours.pair.of_row.numpy() == pair)
        assert one in (way, back)
        i, j, *image = found[way]
        assert found[back] == (j, i, *(-number for number in image))


@pytest.mark.parametrize("name", crystals())
def test_energy_forces_and_stress_are_those_of_chgnet(name: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        peer = CHGNetCalculator(CHGNet.load(verbose=False, use_device="cpu"), use_device="cpu")
    ours = crystals()[name]
    theirs = ours.copy()
    ours.calc, theirs.calc = FrozenCHGNet(), peer
    assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), abs=2e-6 * len(ours))
    size = max(1.0, float(np.abs(theirs.get_forces()).max()))
    np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), atol=5e-5 * size)
    np.testing.assert_allclose(ours.get_stress(), theirs.get_stress(), atol=5e-6 * size)


def test_sums_are_those_of_the_rows_of_each_owner() -> None:
    graph = graph_of(crystals()["sheared"])
    rows = np.random.default_rng(0).normal(size=(len(graph.images), 5)).astype(np.float32)
    expected = np.zeros((7, 5))
    np.add.at(expected, graph.centre.of_row.numpy(), rows)
    np.testing.assert_allclose(graph.centre.sums(torch.from_numpy(rows)).numpy(), expected, atol=1e-4)


def test_isolated_atoms_are_told_with_their_number() -> None:
    atoms = Atoms("Li2O", positions=[[0, 0, 0], [20, 0, 0], [0, 2, 0]], cell=np.diag([40.0, 40, 40]), pbc=True)
    with pytest.raises(CalculationError, match=r"1 isolated atom\(s\), the first number 1 \(Li\)"):
        graph_of(atoms)
