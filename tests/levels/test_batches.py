"""Levels that evaluate many cells at once: the numbers of one, and a bad cell that spoils no other."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import all_changes

from ionscape.errors import CalculationError, InputError
from ionscape.levels.batches import BatchedForces
from ionscape.levels.registry import Level
from ionscape.potential.model_file import write_model

sys.path.insert(0, str(Path(__file__).parents[1] / "potential"))
from made_frames import alloy, model

#: TorchSim 0.3.0 imports vesin and compiles functions in ways that these packages warn of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
installed = pytest.mark.skipif(
    importlib.util.find_spec("torch_sim") is None, reason="pip install 'ionscape[torchsim]'"
)


@pytest.fixture
def level(tmp_path: Path) -> Callable[..., Level]:
    """Return a maker of levels of one learned potential, with settings."""
    write_model(model(), tmp_path / "m.sgpr")
    return lambda **settings: Level.of(f"sgpr:{tmp_path / 'm.sgpr'}", {"precision": "double", **settings})


def alone(level: Level, atoms: Atoms) -> dict[str, Any]:
    calculator = level.own_calculator(1)
    calculator.calculate(atoms.copy(), ["energy"], all_changes)
    return dict(calculator.results)


@installed
def test_a_batch_of_a_level_is_what_the_level_says_of_each(level: Callable[..., Level]) -> None:
    """Also of cells that are left-handed, and of atoms that left their cell."""
    cells = [alloy(1), alloy(2).repeat((2, 1, 1)), alloy(3)]
    cells[2].set_cell(-cells[2].cell.array)
    cells[0].positions[3] += 2 * cells[0].cell.array[1] - cells[0].cell.array[0]
    forces = level().batched(1)
    for found, atoms in zip(forces.evaluate(cells), cells, strict=True):
        known = alone(level(), atoms)
        assert found["energy"] == pytest.approx(known["energy"], abs=1e-9)
        assert np.abs(known["forces"]).max() > 0.1
        np.testing.assert_allclose(found["forces"], known["forces"], atol=1e-9)
        np.testing.assert_allclose(found["stress"], known["stress"], atol=1e-10)
    assert forces.known_elements == model().descriptor.species
    assert forces.device == "cpu"
    assert forces.provenance.startswith("torch-sim-atomistic 0.3")


def flat() -> Atoms:
    atoms = alloy(5)
    cell = atoms.cell.array.copy()
    cell[2] = cell[0] + cell[1]
    atoms.set_cell(cell)
    return atoms


def nowhere() -> Atoms:
    atoms = alloy(5)
    atoms.positions[2, 1] = np.nan
    return atoms


def of_others() -> Atoms:
    atoms = alloy(5)
    atoms.symbols[0] = "Xe"
    return atoms


@installed
@pytest.mark.parametrize("bad", [flat, nowhere, of_others])
def test_a_bad_cell_spoils_no_other(bad: Callable[[], Atoms], level: Callable[..., Level]) -> None:
    forces = level().batched(1)
    first, second, third = forces.evaluate([alloy(1), bad(), alloy(3)])
    assert isinstance(second, CalculationError)
    assert str(second)
    for found, seed in ((first, 1), (third, 3)):
        assert found["energy"] == pytest.approx(alone(level(), alloy(seed))["energy"], abs=1e-9)


class Numbers:
    """A model that gives numbers as they are told."""

    def __init__(self, energy: float) -> None:
        import torch

        self.device, self.dtype, self._energy = torch.device("cpu"), torch.float32, energy

    def __call__(self, state: Any) -> dict[str, Any]:
        import torch

        assert state.positions.dtype == torch.float32
        stress = torch.arange(9.0).reshape(1, 3, 3).repeat(state.n_systems, 1, 1)
        return {
            "energy": torch.tensor([1.0, self._energy])[: state.n_systems],
            "forces": torch.zeros_like(state.positions),
            "stress": stress,
        }


@installed
def test_numbers_that_are_not_finite_are_refused_where_they_stand() -> None:
    first, second = BatchedForces(Numbers(np.nan)).evaluate([alloy(1), alloy(2)])
    assert first["energy"] == 1.0
    assert isinstance(second, CalculationError)
    assert "not a finite number" in str(second)


class Small(Numbers):
    """A model whose memory holds two cells, and that one cell is too much for."""

    def __call__(self, state: Any) -> dict[str, Any]:
        if state.n_systems > 2 or (state.positions > 50).any():
            message = "out of memory"
            raise RuntimeError(message)
        return super().__call__(state)


@installed
def test_more_cells_than_fit_are_evaluated_in_parts() -> None:
    huge = alloy(9)
    huge.positions[0] += 99
    found = BatchedForces(Small(1.0)).evaluate([alloy(1), alloy(2), huge, alloy(3), alloy(4), alloy(5)])
    assert [one["energy"] for place, one in enumerate(found) if place != 2] == [1.0] * 5
    assert "out of memory" in str(found[2])


@installed
def test_models_in_single_precision_give_numbers_in_double_and_a_symmetric_stress() -> None:
    forces = BatchedForces(Numbers(2.0))
    found = forces.evaluate([alloy(1)])[0]
    assert found["forces"].dtype == float
    np.testing.assert_allclose(found["stress"], [0.0, 4.0, 8.0, 6.0, 4.0, 2.0])
    assert forces.known_elements is None


def test_a_level_without_a_model_says_so() -> None:
    with pytest.raises(InputError, match="'chgnet', which has no model of TorchSim") as caught:
        Level.of("chgnet").check_batched("option --batch")
    assert "sgpr:FILE" in str(caught.value)


def test_missing_torchsim_is_named(level: Callable[..., Level], monkeypatch: pytest.MonkeyPatch) -> None:
    made = level()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'ionscape\[torchsim\]'"):
        made.batched(1)


@installed
def test_a_watched_potential_is_refused(level: Callable[..., Level]) -> None:
    with pytest.raises(InputError, match="watch_every"):
        level(watch_every=5).check_batched("option --batch")
