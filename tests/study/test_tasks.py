"""Tasks: what physics says is stored, what the machine says is not; once, whoever asks."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from ionscape import __version__
from ionscape.structures.exchange import fixed_coordinates, hold
from ionscape.study.store import Store, request_key
from ionscape.study.tasks import (
    perform,
    relaxation_request,
    single_point_request,
    structure_from_json,
    structure_to_json,
)


def test_structures_survive_json_exactly(cells) -> None:
    (cell,) = cells(1)
    back = structure_from_json(json.loads(json.dumps(structure_to_json(cell))))
    assert np.array_equal(back.lattice.matrix, cell.lattice.matrix)
    assert np.array_equal(back.frac_coords, cell.frac_coords)
    assert back.species == cell.species


def test_request_tells_apart_what_gives_another_result(cells, toy, positions) -> None:
    one, two = cells(2)
    moved = one.copy()
    moved.translate_sites([0], [1e-6, 0, 0])
    other_order = one.__class__.from_sites(list(one)[::-1])
    requests = [relaxation_request(cell, toy(), positions) for cell in (one, two, moved, other_order)]
    requests += [
        relaxation_request(one, toy(), positions.model_copy(update={"fmax_eV_per_A": 0.03})),
        relaxation_request(one, toy(seconds=0.1), positions),
        single_point_request(one, toy()),
    ]
    assert len({request_key(request) for request in requests}) == len(requests)


def test_held_atoms_are_part_of_a_request_and_come_back(cells, toy, positions) -> None:
    (cell,) = cells(1)
    held = np.arange(len(cell)) < 2
    plain, other = (relaxation_request(each, toy(), positions) for each in (cell, hold(cell, held)))
    assert request_key(plain) != request_key(other)
    assert "held" not in plain["structure"]
    back = structure_from_json(json.loads(json.dumps(other["structure"])))
    assert np.array_equal(fixed_coordinates(back), np.repeat(held[:, None], 3, axis=1))


def test_request_does_not_see_rounding(cells, toy, positions) -> None:
    (cell,) = cells(1)
    noisy = cell.copy()
    noisy.translate_sites(range(len(cell)), [1e-15, 0, 0], to_unit_cell=False)
    plain = relaxation_request(cell, toy(), positions)
    assert request_key(relaxation_request(noisy, toy(), positions)) == request_key(plain)


def test_finished_task_leaves_what_the_store_promises(cells, toy, positions, tmp_path) -> None:
    request = relaxation_request(cells(1)[0], toy(), positions)
    assert perform(request, str(tmp_path), threads=1) == {"error": ""}
    store, key = Store(tmp_path), request_key(request)
    assert store.damage(key) is None
    assert store.read(key, "input.json") == json.loads(json.dumps(request))
    result = store.read(key)
    assert result["converged"]
    assert result["fmax_eV_per_A"] <= 0.02
    provenance = store.read(key, "provenance.json")
    assert provenance["ionscape"] == __version__
    assert provenance["threads"] == 1
    assert provenance["device"] == "cpu"
    assert {"finished", "seconds", "packages", "machine"} <= set(provenance)
    assert {"relaxation.traj", "relaxation.log"} <= {path.name for path in store.folder(key).iterdir()}


def test_single_point_gives_energy_forces_stress(cells, toy, tmp_path) -> None:
    (cell,) = cells(1)
    request = single_point_request(cell, toy())
    assert perform(request, str(tmp_path), 1)["error"] == ""
    result = Store(tmp_path).read(request_key(request))
    assert result["energy_eV"] > 0
    assert np.shape(result["forces_eV_per_A"]) == (4, 3)
    assert np.shape(result["stress_eV_per_A3"]) == (6,)


@pytest.mark.parametrize("kind", ["relaxation", "single-point"])
def test_failure_of_the_physics_is_a_result(cells, toy, positions, tmp_path, kind: str) -> None:
    (cell,), level = cells(1), toy("NotANumber")
    request = single_point_request(cell, level)
    if kind == "relaxation":
        request = relaxation_request(cell, level, positions)
    assert perform(request, str(tmp_path), 1)["error"] == ""
    result = Store(tmp_path).read(request_key(request))
    assert "not a finite number" in result["failure"]


def test_what_breaks_in_the_machine_is_told_not_stored(cells, toy, positions, tmp_path) -> None:
    switch, store = tmp_path / "switch", Store(tmp_path / "store")
    request = relaxation_request(cells(1)[0], toy(switch=str(switch)), positions)
    key = request_key(request)
    switch.touch()
    answer = perform(request, str(store.root), 1)
    assert answer["error"] == "MemoryError: no memory left"
    assert "Traceback" in answer["traceback"]
    assert key not in store
    assert store.unfinished() == [key]
    switch.unlink()
    assert perform(request, str(store.root), 1)["error"] == ""
    assert key in store
    assert store.unfinished() == []


def test_missing_factory_is_told_not_stored(cells, toy, positions, tmp_path) -> None:
    request = relaxation_request(cells(1)[0], toy(), positions)
    request["level"]["identity"]["name"] = "no_such_module:thing"
    assert "no_such_module" in perform(request, str(tmp_path), 1)["error"]
    assert list(Store(tmp_path).finished()) == []


def test_checkpoint_is_continued(cells, toy, positions, tmp_path, lines) -> None:
    diary, store = tmp_path / "diary", Store(tmp_path / "store")
    request = relaxation_request(cells(1)[0], toy(diary=str(diary)), positions)
    key = request_key(request)
    perform(request, str(store.root), 1)
    whole, evaluations = store.read(key), len(lines(diary))
    assert evaluations > 4
    # what a run killed half-way leaves: a trajectory cut short, in the working folder
    other = Store(tmp_path / "other")
    other.working_folder(key).mkdir()
    trajectory = (store.folder(key) / "relaxation.traj").read_bytes()
    (other.working_folder(key) / "relaxation.traj").write_bytes(trajectory[: len(trajectory) // 2])
    perform(request, str(other.root), 1)
    assert other.read(key) == whole
    assert 0 < len(lines(diary)) - evaluations < evaluations
    assert other.damage(key) is None


def test_finished_task_is_not_computed_again(cells, toy, positions, tmp_path, lines) -> None:
    diary, store = tmp_path / "diary", tmp_path / "store"
    request = relaxation_request(cells(1)[0], toy(diary=str(diary)), positions)
    perform(request, str(store), 1)
    evaluations = len(lines(diary))
    assert perform(request, str(store), 1) == {"error": ""}
    assert len(lines(diary)) == evaluations


ASK = """
import json, sys
from ionscape.study.tasks import perform
print(json.dumps(perform(json.loads(sys.argv[1]), sys.argv[2], 1)), flush=True)
"""


def test_two_processes_asking_the_same_compute_it_once(cells, toy, positions, tmp_path, lines) -> None:
    diary, store = tmp_path / "diary", Store(tmp_path / "store")
    request = relaxation_request(cells(1)[0], toy(seconds=0.05, diary=str(diary)), positions)
    command = [sys.executable, "-c", ASK, json.dumps(request), str(store.root)]
    askers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [json.loads(asker.communicate(timeout=120)[0]) for asker in askers] == [{"error": ""}] * 2
    assert len({line.split()[0] for line in lines(diary)}) == 1
    assert store.damage(request_key(request)) is None
    assert list((store.root / "locks").iterdir()) == []
