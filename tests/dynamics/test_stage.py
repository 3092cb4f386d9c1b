"""The stage of dynamics: what it asks for, in which order, with which seeds."""

from __future__ import annotations

from typing import Any

import pytest
from pymatgen.core import Lattice, Structure

from ionscape.dynamics.settings import DynamicsPlan, DynamicsSettings
from ionscape.dynamics.stage import StartingCell, run_seed, simulate_materials
from ionscape.errors import InputError
from ionscape.levels.registry import Level
from ionscape.results import Failure

SALT = Structure(Lattice.cubic(4.0), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


class Desk:
    """A laboratory that answers every request with its number."""

    def __init__(self) -> None:
        self.asked: list[list[Any]] = []

    def simulate(self, requests: Any, *, together: bool = False) -> list[Any]:
        self.asked.append(list(requests))
        self.together = together
        return [Failure(f"answer {number}") for number, _ in enumerate(requests)]


def cell(name: str, structure: Structure | Failure = SALT) -> StartingCell:
    return StartingCell(name, "LiO", 0.0, structure)


def plan(**changes: Any) -> DynamicsPlan:
    return DynamicsPlan(**{"temperatures_K": (300.0, 600.0), "replicas": 2, "timestep_fs": 2.0} | changes)


def test_all_runs_are_asked_for_at_once_and_answered_in_order() -> None:
    lab = Desk()
    cells = [cell("one"), cell("none", Failure("no doped cell")), cell("two")]
    found = simulate_materials(cells, plan(), Level.of("chgnet"), lab, 7)
    (asked,) = lab.asked
    assert [(r.settings.temperature_K, r.settings.timestep_fs, r.settings.mobile) for r in asked] == [
        (kelvin, 2.0, ("Li",)) for kelvin in (300.0, 300.0, 600.0, 600.0)
    ] * 2
    assert len({r.settings.seed for r in asked}) == 8
    order = [(run.cell.name, run.temperature, run.replica) for run in found.runs]
    assert order == [(n, t, k) for n in ("one", "none", "two") for t in (300.0, 600.0) for k in (1, 2)]
    reasons = [run.outcome.reason for run in found.runs]
    assert reasons == [f"answer {k}" for k in range(4)] + ["no doped cell"] * 4 + [
        f"answer {k}" for k in range(4, 8)
    ]


@pytest.mark.parametrize("batch", [False, True])
def test_runs_are_a_batch_if_the_plan_says_so(batch: bool) -> None:
    lab = Desk()
    simulate_materials([cell("one")], plan(batch=batch), Level.of("chgnet"), lab, 7)
    assert lab.together is batch


def test_seed_of_a_run_does_not_depend_on_the_other_runs() -> None:
    few, many = Desk(), Desk()
    simulate_materials([cell("one")], plan(temperatures_K=(600.0,), replicas=1), Level.of("chgnet"), few, 7)
    simulate_materials([cell("two"), cell("one")], plan(), Level.of("chgnet"), many, 7)
    (alone,) = few.asked[0]
    beside = many.asked[0][6]
    assert (beside.settings.temperature_K, beside.settings.seed) == (600.0, alone.settings.seed)
    assert run_seed(7, "one", 600.0, 1) != run_seed(8, "one", 600.0, 1)


def test_settings_of_a_run_are_those_of_the_plan() -> None:
    shared = {"ensemble": "nvt", "production_ps": 3.0, "guards": {"hottest": 5.0}, "precision": "double"}
    told = plan(**shared).run_settings(450.0, 3)
    assert told == DynamicsSettings(temperature_K=450.0, seed=3, mobile=("Li",), timestep_fs=2.0, **shared)


def test_material_without_the_mobile_element_is_refused_before_anything_runs() -> None:
    lab = Desk()
    with pytest.raises(InputError, match="no atom of the mobile element Na"):
        simulate_materials([cell("one")], plan(mobile=("Na",)), Level.of("chgnet"), lab, 7)
    assert lab.asked == []


def test_temperatures_are_checked() -> None:
    for wrong in ((), (0.0,), (1e6,)):
        with pytest.raises(ValueError, match="temperatures_K"):
            plan(temperatures_K=wrong)
