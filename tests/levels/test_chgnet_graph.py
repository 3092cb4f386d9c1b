"""The graph made with arrays is CHGNet's own, bond by bond and angle by angle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from chgnet.graph import CrystalGraphConverter

from ionscape.errors import CalculationError, InputError
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


def vectors_by_atoms(pairs: np.ndarray, vectors: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Return the vectors of the bonds between every two atoms."""
    found: dict[tuple[int, int], list[np.ndarray]] = {}
    for (i, j), vector in zip(pairs.tolist(), vectors, strict=True):
        found.setdefault((i, j), []).append(vector)
    return {pair: np.array(of_pair) for pair, of_pair in found.items()}


def graph_of(atoms: Atoms) -> CrystalGraph:
    return crystal_graph(atoms, 6.0, 3.0, "cpu")


@pytest.mark.parametrize("name", crystals())
def test_bonds_and_angles_are_those_of_chgnet(name: str) -> None:
    atoms = crystals()[name]
    ours = graph_of(atoms)
    theirs = CrystalGraphConverter(atom_graph_cutoff=6, bond_graph_cutoff=3)(to_structure(atoms))
    pairs = theirs.atom_graph.numpy().reshape(-1, 2)
    places, cells = theirs.atom_frac_coord.detach().numpy(), theirs.neighbor_image.detach().numpy()
    theirs_along = (places[pairs[:, 0]] - places[pairs[:, 1]] - cells) @ np.array(atoms.cell)
    centre, neighbour, along = ours.centre.of_row.numpy(), ours.neighbour.of_row.numpy(), ours.vectors.numpy()
    found, wanted = (
        vectors_by_atoms(np.stack([centre, neighbour], 1), along),
        vectors_by_atoms(pairs, theirs_along),
    )
    assert set(found) == set(wanted)
    for pair, vectors in found.items():
        apart = np.linalg.norm(vectors[:, None] - wanted[pair], axis=2)
        assert apart.shape[0] == apart.shape[1]
        assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < 1e-3
    assert len(ours.one_way) == len(theirs.undirected2directed)
    assert len(ours.corner.of_row) == len(theirs.bond_graph)
    if name == "no angles":
        assert len(ours.corner.of_row) == 0
    for pair, one in enumerate(ours.one_way.tolist()):
        (way, back) = np.flatnonzero(ours.pair.of_row.numpy() == pair)
        assert one in (way, back)
        assert (centre[way], neighbour[way]) == (neighbour[back], centre[back])
        np.testing.assert_allclose(along[way], -along[back], atol=1e-5)


@pytest.mark.parametrize("name", crystals())
def test_energy_forces_and_stress_are_those_of_chgnet(name: str, chgnet_peer) -> None:
    ours = crystals()[name]
    theirs = ours.copy()
    ours.calc, theirs.calc = FrozenCHGNet(), chgnet_peer()
    size = max(1.0, float(np.abs(theirs.get_forces()).max()))  # CHGNet rounds positions to single precision
    assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), abs=2e-6 * len(ours) * size)
    np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), atol=5e-5 * size)
    np.testing.assert_allclose(ours.get_stress(), theirs.get_stress(), atol=5e-6 * size)


def test_sums_are_those_of_the_rows_of_each_owner() -> None:
    graph = graph_of(crystals()["sheared"])
    rows = np.random.default_rng(0).normal(size=(len(graph.vectors), 5)).astype(np.float32)
    expected = np.zeros((7, 5))
    np.add.at(expected, graph.centre.of_row.numpy(), rows)
    np.testing.assert_allclose(graph.centre.sums(torch.from_numpy(rows)).numpy(), expected, atol=1e-4)


def test_isolated_atoms_are_told_with_their_number() -> None:
    atoms = Atoms("Li2O", positions=[[0, 0, 0], [20, 0, 0], [0, 2, 0]], cell=np.diag([40.0, 40, 40]), pbc=True)
    with pytest.raises(CalculationError, match=r"1 isolated atom\(s\), the first number 1 \(Li\)"):
        graph_of(atoms)


def test_what_chgnet_does_not_know_is_refused() -> None:
    curium = Atoms("LiCm", positions=[[0, 0, 0], [0, 0, 2]], cell=np.diag([4.0, 4, 4]), pbc=True)
    with pytest.raises(InputError, match="the element Cm"):
        graph_of(curium)
    with pytest.raises(InputError, match="not periodic in three directions"):
        graph_of(Atoms("LiO", positions=[[0, 0, 0], [0, 0, 2]]))
