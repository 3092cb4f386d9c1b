"""The laboratory: answers in order, each calculation once, failures in their place."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ionscape.errors import StoreError
from ionscape.levels.calculation import Relaxation, RelaxationSettings, SinglePoint
from ionscape.results import Failure
from ionscape.study.engine import InProcess
from ionscape.study.lab import Laboratory
from ionscape.study.progress import Progress
from ionscape.study.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def laboratory(store: Store) -> Laboratory:
    return Laboratory(store, InProcess(), Progress())


def test_answers_stand_in_the_order_of_the_structures(cells, toy, positions, store) -> None:
    structures = cells(3)
    answers = laboratory(store).relax(structures, toy(), positions)
    assert all(isinstance(answer, Relaxation) for answer in answers)
    assert len({answer.energy for answer in answers}) == 3
    backwards = laboratory(store).relax(structures[::-1], toy(), positions)
    assert [answer.key for answer in backwards[::-1]] == [answer.key for answer in answers]
    for structure, answer in zip(structures, answers, strict=True):
        (alone,) = laboratory(store).evaluate([structure], toy())
        assert alone.energy == pytest.approx(answer.initial_energy, rel=1e-9)
        assert answer.energy < answer.initial_energy
        assert answer.energy_per_atom == pytest.approx(answer.energy / 4)
        assert answer.converged


def test_same_structure_twice_is_computed_once(cells, toy, positions, store, tmp_path, lines) -> None:
    one, two = cells(2)
    lab, diary = laboratory(store), tmp_path / "diary"
    answers = lab.relax([one, two, one, one], toy(diary=str(diary)), positions)
    assert (lab.computed, lab.reused) == (2, 0)
    assert answers[0].key == answers[2].key == answers[3].key != answers[1].key
    assert len(lines(diary)) == answers[0].steps + answers[1].steps + 2


def test_second_time_everything_is_reused(cells, toy, positions, store, tmp_path, lines) -> None:
    structures, diary = cells(3), tmp_path / "diary"
    first = laboratory(store).relax(structures, toy(diary=str(diary)), positions)
    evaluations = len(lines(diary))
    lab = laboratory(store)
    second = lab.relax(structures, toy(diary=str(diary)), positions)
    assert (lab.computed, lab.reused) == (0, 3)
    assert len(lines(diary)) == evaluations
    assert [(a.energy, a.fmax, a.smax, a.steps, a.key) for a in second] == [
        (a.energy, a.fmax, a.smax, a.steps, a.key) for a in first
    ]
    assert [a.structure for a in second] == [a.structure for a in first]


def test_what_did_not_converge_is_a_failure_in_its_place(cells, toy, store) -> None:
    one, two = cells(2)
    (relaxed,) = laboratory(store).relax([one], toy(), RelaxationSettings(move="positions", fmax_eV_per_A=0.005))
    few = RelaxationSettings(move="positions", fmax_eV_per_A=0.01, max_steps=1)
    answers = laboratory(store).relax([relaxed.structure, two], toy(), few)
    assert isinstance(answers[0], Relaxation)
    assert isinstance(answers[1], Failure)
    assert "not converged after 1 steps" in answers[1].reason
    assert answers[1].key in store


def test_failures_of_physics_and_machine_are_values(cells, toy, positions, store, tmp_path) -> None:
    switch = tmp_path / "switch"
    switch.touch()
    lab = laboratory(store)
    (physics,) = lab.relax(cells(1), toy("NotANumber"), positions)
    (point,) = lab.evaluate(cells(1), toy("NotANumber"))
    (machine,) = lab.relax(cells(1), toy(switch=str(switch)), positions)
    assert "not a finite number" in physics.reason
    assert "not a finite number" in point.reason
    assert "no memory left" in machine.reason
    switch.unlink()
    again = laboratory(store)
    assert isinstance(again.relax(cells(1), toy("NotANumber"), positions)[0], Failure)
    assert (again.computed, again.reused) == (0, 1)
    assert isinstance(again.relax(cells(1), toy(switch=str(switch)), positions)[0], Relaxation)
    assert (again.computed, again.reused) == (1, 1)


def test_single_points_in_order(cells, toy, store) -> None:
    one, two = cells(2)
    answers = laboratory(store).evaluate([one, two, one], toy())
    assert all(isinstance(answer, SinglePoint) for answer in answers)
    assert answers[0].energy == answers[2].energy != answers[1].energy
    assert answers[0].structure is one
    assert answers[0].fmax > 0
    assert answers[0].smax > 0


def test_altered_result_is_not_used(cells, toy, positions, store) -> None:
    (answer,) = laboratory(store).relax(cells(1), toy(), positions)
    path = store.folder(answer.key) / "result.json"
    path.write_text(path.read_text().replace("true", "false"))
    with pytest.raises(StoreError, match="was changed after it was stored"):
        laboratory(store).relax(cells(1), toy(), positions)


def test_nothing_to_do_is_nothing_done(toy, positions, store) -> None:
    lab = laboratory(store)
    assert lab.relax([], toy(), positions) == []
    assert lab.evaluate([], toy()) == []
    assert (lab.computed, lab.reused) == (0, 0)


def test_progress_counts_every_calculation(cells, toy, positions, store) -> None:
    stream = io.StringIO()
    Laboratory(store, InProcess(), Progress(stream=stream)).relax(cells(3), toy(), positions)
    assert "3 of 3 calculations" in stream.getvalue().splitlines()[-1]
