"""The plan of a study against what a run of it then does; the seeds it leaves; the same numbers twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_study import antifluorite, begin, results_of, toy_levels_importable, written

from ionscape.cli.main import main
from ionscape.levels.registry import Level
from ionscape.study.costs import timed_cost
from ionscape.study.lab import seeds_in
from ionscape.study.plan import StudyPlan, plan_study
from ionscape.study.progress import Progress
from ionscape.study.runner import RunOptions, StudyRun, run_study, store_of

SECONDS = 0.004
STUDY = f"""
[study]
name = "planned"
seed = 5

[host]
structure = "host.cif"
charges = {{ Li = 1, O = -2 }}

[levels.cheap]
name = "toy_levels:SoftSpheres"

[levels.fast]
name = "toy_levels:Washboard"
settings = {{ seconds = {SECONDS} }}

[relaxation]
move = "positions"
fmax_eV_per_A = 0.1

[voids]
method = "geometric"

[doping]
supercell = [1, 1, 1]
samples = 6
keep = 2
charges = {{ N = -3 }}

[[doping.routes]]
name = "N on O"
replace = {{ O = "N" }}
insert = {{ Li = 1 }}
counts = [1]

[dynamics]
level = "fast"
temperatures_K = [800, 1300]
ensemble = "nvt-langevin"
timestep_fs = 5.0
frame_interval_fs = 10.0
equilibration_ps = 0.1
production_ps = 0.4
guards = {{ closest_approach = 0.0 }}
"""
STAGES = ("dynamics",)


def plan_of(file: Path, out: Path, **options: Any) -> StudyPlan:
    return plan_study(file, RunOptions(out=out, engine="process", stages=STAGES, **options), patience=60)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("plan"), STUDY, antifluorite())


@pytest.fixture(scope="module")
def before(file: Path) -> StudyPlan:
    """Return the plan before anything was calculated."""
    with toy_levels_importable():
        return plan_of(file, file.parent / "out")


@pytest.fixture(scope="module")
def done(file: Path, before: StudyPlan) -> StudyRun:
    """Return the study after its run."""
    with toy_levels_importable():
        return begin(file, file.parent / "out", stages=STAGES)


def test_a_plan_leaves_nothing_behind(file: Path, before: StudyPlan, tmp_path: Path) -> None:
    with toy_levels_importable():
        plan_of(file, tmp_path / "elsewhere")
    assert not list(tmp_path.iterdir())


def test_what_is_known_and_what_depends_on_results(before: StudyPlan) -> None:
    (host,) = before.stages["host"].batches
    assert (host.kind, host.count, host.atoms, host.knowledge) == ("relaxation", 1, 12, "known")
    (doping,) = before.stages["doping"].batches
    assert (doping.kind, doping.count, doping.knowledge) == ("relaxation", 2, "estimated")
    assert "depends on results" in before.stages["doping"].note
    (dynamics,) = before.stages["dynamics"].batches
    assert (dynamics.count, dynamics.steps, dynamics.atoms) == (2, 100, 12)
    assert before.finished == 0


def test_costs_are_timed_where_the_store_has_none(before: StudyPlan) -> None:
    cost = before.levels["toy_levels:Washboard"].cost
    assert cost.source.startswith("timed now")
    assert cost.seconds is not None
    assert 12 * cost.seconds >= SECONDS
    assert before.seconds is not None
    assert before.seconds >= 2 * 100 * SECONDS


def test_the_run_does_what_was_planned(before: StudyPlan, done: StudyRun) -> None:
    store = store_of(done.folder)
    kinds = [store.read(key, "input.json")["kind"] for key in store.finished()]
    planned = dict.fromkeys(kinds, 0)
    for stage in before.stages.values():
        for batch in stage.batches:
            planned[batch.kind] += batch.count
    assert planned == {kind: kinds.count(kind) for kind in kinds}


def test_the_disk_is_about_what_was_planned(before: StudyPlan, done: StudyRun) -> None:
    calculations = (done.folder / "store" / "calculations").rglob("*")
    used = sum(path.stat().st_size for path in calculations if path.is_file())
    assert used / 4 < before.disk < 4 * used  # steps of relaxations are not known beforehand


def test_a_finished_study_has_nothing_left_to_plan(file: Path, done: StudyRun) -> None:
    with toy_levels_importable():
        plan = plan_of(file, done.folder)
    assert {stage.state for stage in plan.stages.values()} == {"finished"}
    assert (plan.levels, plan.seconds, plan.disk) == ({}, 0, 0)
    assert plan.finished == len(list(store_of(done.folder).finished()))


def test_costs_come_from_the_store(file: Path, done: StudyRun, tmp_path: Path) -> None:
    longer = written(tmp_path, STUDY.replace("production_ps = 0.4", "production_ps = 0.8"), antifluorite())
    with toy_levels_importable():
        plan = plan_of(longer, tmp_path / "out", store=done.folder / "store")
    (dynamics,) = plan.stages["dynamics"].batches
    assert dynamics.knowledge == "known"
    cost = plan.levels["toy_levels:Washboard"].cost
    assert cost.source == "measured: 2 finished calculations in the store"
    assert cost.seconds is not None
    assert 12 * cost.seconds >= SECONDS


def test_a_slow_level_is_told_unknown() -> None:
    with toy_levels_importable():
        cost = timed_cost(Level.of("toy_levels:SoftSpheres", {"seconds": 600.0}), antifluorite(), patience=1.0)
    assert cost.seconds is None
    assert "longer than 1 s" in cost.source


def test_the_command_tells_the_plan(file: Path, done: StudyRun, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", str(file), "--out", str(done.folder), "--stages", "dynamics", "--dry-run"]
    with toy_levels_importable():
        assert main([*words, "--json"]) == 0
        payload = json.loads(capsys.readouterr().out)
        assert main(words) == 0
    assert payload["seconds"] == 0
    assert payload["disk_bytes"] == 0
    assert payload["stages"]["dynamics"]["state"] == "finished"
    assert "finished" in capsys.readouterr().out


def test_every_seed_is_recorded(done: StudyRun) -> None:
    seeds, store = results_of(done)["seeds"], store_of(done.folder)
    assert seeds["study"] == 5
    assert set(seeds["stages"]) == {"doping"}
    given = {key: seeds_in(store.read(key, "input.json")) for key in store.finished()}
    assert seeds["calculations"] == {key: found for key, found in given.items() if found}
    assert len({seed for found in seeds["calculations"].values() for seed in found}) == 2


def test_the_same_study_twice_is_identical(file: Path, done: StudyRun, tmp_path: Path) -> None:
    with toy_levels_importable():
        again = begin(file, tmp_path / "again", stages=STAGES)
    assert (again.folder / "results.json").read_bytes() == (done.folder / "results.json").read_bytes()


def test_one_and_two_cores_agree(file: Path, done: StudyRun, tmp_path: Path) -> None:
    """Workers side by side give the very numbers of one: each calculation is done whole by one."""
    engine = tmp_path / "engine.toml"
    engine.write_text("[engine]\nworkers = 2\nthreads_per_worker = 1\n")
    with toy_levels_importable():
        options = RunOptions(out=tmp_path / "two", engine=str(engine), stages=STAGES)
        two = run_study(file, options, Progress())
    assert (two.folder / "results.json").read_bytes() == (done.folder / "results.json").read_bytes()


def test_two_threads_agree_with_one(li6zr2o7) -> None:
    """Sums in another order, in 32 bits: energies agree to 1e-5 eV/atom, forces to 1e-4 eV/Å."""
    from ionscape.levels.evaluation import evaluate_structure

    cell = li6zr2o7.get_primitive_structure()
    one, two = (evaluate_structure(cell, Level.of("chgnet").own_calculator(threads)) for threads in (1, 2))
    assert one["energy_eV"] == pytest.approx(two["energy_eV"], abs=1e-5 * len(cell))
    assert np.allclose(one["forces_eV_per_A"], two["forces_eV_per_A"], atol=1e-4, rtol=0)
