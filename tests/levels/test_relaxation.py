"""Relaxations: converged means converged, given up means said so, and nothing leaves the domain unnoticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.fd import FiniteDifferenceCalculator
from ase.stress import full_3x3_to_voigt_6_stress
from pymatgen.core import Structure

from ionscape.errors import CalculationError, InputError
from ionscape.levels.calculation import RelaxationSettings
from ionscape.levels.evaluation import evaluate_structure
from ionscape.levels.relaxation import relax_structure
from ionscape.structures.exchange import fixed_coordinates, hold

OPTIMIZERS = ["LBFGS", "FIRE"]
MOVES = ["positions", "cell", "positions+cell"]


def settings(**changes: Any) -> RelaxationSettings:
    return RelaxationSettings(**{"fmax_eV_per_A": 0.02, "smax_eV_per_A3": 0.001, **changes})


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("move", MOVES)
def test_tolerances_hold_in_an_independent_single_point(copper, tmp_path: Path, move, optimizer) -> None:
    chosen = settings(move=move, optimizer=optimizer)
    state = relax_structure(copper, EMT(), chosen, tmp_path)
    point = evaluate_structure(state.structure, EMT())
    fmax = np.linalg.norm(point["forces_eV_per_A"], axis=1).max()
    smax = np.abs(point["stress_eV_per_A3"]).max()
    assert state.converged
    assert (state.last.energy, state.last.fmax, state.last.smax) == pytest.approx((point["energy_eV"], fmax, smax))
    assert move == "cell" or fmax <= chosen.fmax_eV_per_A
    assert move == "positions" or smax <= chosen.smax_eV_per_A3
    assert state.last.energy < state.initial_energy - 0.01


def test_only_what_is_asked_to_move_moves(copper, tmp_path: Path) -> None:
    ends = {}
    for move in MOVES:
        (tmp_path / move).mkdir()
        ends[move] = relax_structure(copper, EMT(), settings(move=move), tmp_path / move).structure
    cell = copper.lattice.matrix
    assert np.array_equal(ends["positions"].lattice.matrix, cell)
    assert not np.allclose(ends["positions"].frac_coords, copper.frac_coords, atol=1e-3)
    assert not np.allclose(ends["cell"].lattice.matrix, cell, atol=1e-3)
    np.testing.assert_allclose(ends["cell"].frac_coords, copper.frac_coords, atol=1e-10)
    assert not np.allclose(ends["positions+cell"].lattice.matrix, cell, atol=1e-3)
    assert not np.allclose(ends["positions+cell"].frac_coords, copper.frac_coords, atol=1e-3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_given_up_after_the_allowed_steps_is_not_converged(copper, tmp_path: Path, optimizer) -> None:
    state = relax_structure(copper, EMT(), settings(optimizer=optimizer, max_steps=3), tmp_path)
    assert not state.converged
    assert state.last.number == 3
    assert state.last.fmax > 0.02 or state.last.smax > 0.001


def test_convergence_at_the_last_allowed_step_counts(copper, tmp_path: Path) -> None:
    needed = relax_structure(copper, EMT(), settings(), tmp_path).last.number
    for allowed in (needed, needed - 1):
        folder = tmp_path / str(allowed)
        folder.mkdir()
        state = relax_structure(copper, EMT(), settings(max_steps=allowed), folder)
        assert state.converged == (allowed == needed)


def test_a_relaxed_structure_takes_no_step(copper, tmp_path: Path) -> None:
    first = relax_structure(copper, EMT(), settings(fmax_eV_per_A=0.01), tmp_path)
    (tmp_path / "again").mkdir()
    again = relax_structure(first.structure, EMT(), settings(), tmp_path / "again")
    assert again.converged
    assert again.last.number == 0
    assert again.initial_energy == pytest.approx(first.last.energy)


class Pressure(Calculator):
    """E = −p V: nothing holds the cell together."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, pressure: float) -> None:
        super().__init__()
        self._pressure = pressure

    def calculate(self, atoms=None, properties=None, system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = {
            "energy": -self._pressure * atoms.get_volume(),
            "forces": np.zeros((len(atoms), 3)),
            "stress": full_3x3_to_voigt_6_stress(-self._pressure * np.eye(3)),
        }


class Nonsense(EMT):
    """EMT whose named result is no number."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def calculate(self, *arguments: Any, **options: Any) -> None:
        super().calculate(*arguments, **options)
        self.results[self._name] = self.results[self._name] * np.nan


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("move", ["cell", "positions+cell"])
@pytest.mark.parametrize("pressure", [0.05, -0.05])
def test_exploding_or_collapsing_volume_stops(
    copper: Structure, tmp_path: Path, move, optimizer, pressure
) -> None:
    with pytest.raises(CalculationError, match="the volume changed by a factor"):
        relax_structure(copper, Pressure(pressure), settings(move=move, optimizer=optimizer), tmp_path)


@pytest.mark.parametrize("name", ["energy", "forces", "stress"])
def test_what_is_not_a_number_stops(copper: Structure, tmp_path: Path, name: str) -> None:
    with pytest.raises(CalculationError, match="not a finite number"):
        relax_structure(copper, Nonsense(name), settings(), tmp_path)
    with pytest.raises(CalculationError, match="not a finite number"):
        evaluate_structure(copper, Nonsense(name))


def test_log_has_one_line_per_step(copper: Structure, tmp_path: Path) -> None:
    state = relax_structure(copper, EMT(), settings(), tmp_path)
    lines = (tmp_path / "relaxation.log").read_text().splitlines()
    assert [int(line.split()[1]) for line in lines] == list(range(state.last.number + 1))


class Stressless(EMT):
    """EMT that says it gives no stress."""

    implemented_properties = ("energy", "forces")


@pytest.mark.parametrize("move", MOVES)
def test_calculator_without_stress_is_refused(copper: Structure, tmp_path: Path, move: str) -> None:
    with pytest.raises(InputError, match="gives no stress"):
        relax_structure(copper, Stressless(), settings(move=move), tmp_path)
    with pytest.raises(InputError, match="gives no stress"):
        evaluate_structure(copper, Stressless())
    assert not list(tmp_path.iterdir())


def test_remedy_for_missing_stress_gives_the_stress(copper: Structure) -> None:
    wrapped = evaluate_structure(
        copper, FiniteDifferenceCalculator(Stressless(), eps_disp=None, force_consistent=False)
    )
    analytic = evaluate_structure(copper, EMT())
    assert wrapped["forces_eV_per_A"] == analytic["forces_eV_per_A"]
    np.testing.assert_allclose(wrapped["stress_eV_per_A3"], analytic["stress_eV_per_A3"], atol=1e-6)
    assert np.abs(analytic["stress_eV_per_A3"]).max() > 1e-3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_held_coordinates_stay_and_their_forces_do_not_count(copper, tmp_path: Path, optimizer) -> None:
    held = np.zeros((len(copper), 3), dtype=bool)
    held[0], held[1, 2] = True, True
    state = relax_structure(hold(copper, held), EMT(), settings(move="positions", optimizer=optimizer), tmp_path)
    moved = state.structure.cart_coords - copper.cart_coords
    assert state.converged
    assert np.abs(moved[held]).max() < 1e-9
    assert np.abs(moved[~held]).max() > 1e-3
    assert np.array_equal(fixed_coordinates(state.structure), held)
    forces = np.array(evaluate_structure(state.structure, EMT())["forces_eV_per_A"])
    assert np.linalg.norm(np.where(held, 0, forces), axis=1).max() <= 0.02


@pytest.mark.parametrize("move", ["cell", "positions+cell"])
def test_held_atoms_in_a_moving_cell_are_refused(copper, tmp_path: Path, move) -> None:
    held = hold(copper, np.arange(len(copper)) == 0)
    with pytest.raises(InputError, match="fixed atoms"):
        relax_structure(held, EMT(), settings(move=move), tmp_path)


def test_flags_that_hold_nothing_change_nothing(copper) -> None:
    free = hold(copper, np.zeros(len(copper), dtype=bool))
    assert fixed_coordinates(free) is None
