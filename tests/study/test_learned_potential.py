"""A study that learns the potential of its dynamics: taught, gated, interrupted, refused, shown."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_dynamics_study import files_of, runs_of
from toy_study import antifluorite, begin, changed, results_of, toy_levels_importable, written

from ionscape.dynamics.exploration import ExploredStretch, explore, learning_curve
from ionscape.dynamics.learning_plan import LearningPlan, stretches_of
from ionscape.dynamics.settings import DynamicsPlan, GuardSettings
from ionscape.dynamics.simulate import simulate
from ionscape.errors import InputError
from ionscape.potential.active import Learner
from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.settings import DescriptorSettings, TrainingSettings
from ionscape.report.page import build_page
from ionscape.study import tasks
from ionscape.study.progress import Progress
from ionscape.study.runner import RunOptions, StudyRun, run_study

#: A small descriptor that knows pairs of atoms, which is all that soft spheres need.
SMALL = "descriptor = { cutoff_A = 3.5, n_max = 4, l_max = 1 }"
STUDY = f"""
[study]
name = "taught"
seed = 5

[host]
structure = "host.cif"
charges = {{ Li = 1, O = -2 }}

[levels.cheap]
name = "toy_levels:SoftSpheres"

[relaxation]
move = "positions"
fmax_eV_per_A = 0.6

[potential]
exploration_ps = 0.2
learning = {{ tolerance_eV_per_A = 0.15, first_frames = 4, training = {{ inducing = 100, {SMALL} }} }}
training = {{ inducing = 150, held_out = 0.2, {SMALL} }}

[dynamics]
level = "learned"
compositions = ["host"]
temperatures_K = [60, 120]
ensemble = "nvt"
timestep_fs = 1.0
frame_interval_fs = 10.0
equilibration_ps = 0.1
production_ps = 0.1
production_ps_at = {{ "60" = 0.2 }}
guards = {{ closest_approach = 0.0, host_melts_at = 3.0 }}
gate = {{ frames = 4, LIMITS }}

[transport]
analyses = ["diffusion", "conductivity", "host"]
"""
LENIENT = (
    "energy_mae_meV_per_atom = 300, force_mae_eV_per_A = 5, stress_mae_GPa = 300, force_r2 = -50, softening = 9"
)
STRICT = "force_mae_eV_per_A = 1e-6"


def write(folder: Path, limits: str = LENIENT, *changes: tuple[str, str]) -> Path:
    return written(folder, changed(STUDY.replace("LIMITS", limits), *changes), antifluorite())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyRun]:
    """Return the study after its run; its gate lets everything pass."""
    folder = tmp_path_factory.mktemp("taught")
    with toy_levels_importable():
        yield begin(write(folder), folder / "out", stages=["transport"])


def test_the_potential_is_taught_once_for_all_runs(whole: StudyRun) -> None:
    assert list(whole.stages) == ["host", "voids", "potential", "dynamics", "transport"]
    assert not any(record.reason for record in whole.stages.values())
    found = results_of(whole)["stages"]["potential"]
    assert found["teacher"] == "toy_levels:SoftSpheres"
    assert found["dear_calls"]["value"] == found["taught"]["value"] + found["held_out"]["value"]
    assert [one["temperature"]["value"] for one in found["stretches"]] == [120.0, 60.0]
    assert found["stretches"][-1]["dear_calls"] == found["dear_calls"]
    assert found["curve"]["dear_calls"]["value"][-1] == found["dear_calls"]["value"]
    assert found["errors"]["force_mae"]["unit"] == "eV/Å"
    for name in ("model_file", "lessons_file", "predictions_file"):
        assert (whole.folder / found[name]).stat().st_size > 0
    assert str(whole.folder) not in json.dumps(results_of(whole))


def test_every_run_is_judged_on_dear_frames_of_its_own(whole: StudyRun) -> None:
    for (_, kelvin), row in runs_of(whole, "dynamics").items():
        gate = row["gate"]
        assert (gate["passed"], gate["frames"]["value"]) == (True, 4)
        assert gate["force_mae"]["value"] > 0
        assert {"softening", "energy_shift", "calibration", "stress_mae"} <= set(gate)
        assert row["steps"]["value"] == (300 if kelvin == 60 else 200)
    assert all("D" in row for row in runs_of(whole, "transport").values())


def test_every_number_has_a_unit(whole: StudyRun) -> None:
    from test_pipeline import bare_numbers

    results = results_of(whole)
    assert not {path for name in ("potential", "dynamics") for path in bare_numbers(results["stages"][name])}


def test_failing_gate_refuses_the_numbers(whole: StudyRun, tmp_path: Path) -> None:
    """A new limit calculates nothing anew: potential, runs and labels are in the store."""
    done = begin(write(tmp_path, STRICT), tmp_path / "out", stages=["transport"], store=whole.folder / "store")
    assert {done.stages[name].state for name in ("potential", "dynamics")} == {"cached"}
    for row in runs_of(done, "transport").values():
        assert "D" not in row
        assert row["unavailable"].startswith("the learned potential does not pass its gate: ")
        assert "force error" in row["unavailable"]
    assert not any(row["gate"]["passed"] for row in runs_of(done, "dynamics").values())
    assert sum("its numbers are refused" in text for text in results_of(done)["warnings"]) == 2
    assert results_of(done)["stages"]["transport"]["laws"][0]["unavailable"].startswith("none of 2 runs")
    text = build_page(done.folder).read_text(encoding="utf-8")
    assert "refused: " in text


@pytest.mark.parametrize("teacher", ["toy_levels:SoftSpheres", "toy_levels:Washboard"])
def test_potential_in_a_file_is_judged_by_its_teacher_only(whole: StudyRun, tmp_path: Path, teacher: str) -> None:
    """Energies of another level count from another zero: they would judge nothing."""
    start, end = STUDY.index("[potential]"), STUDY.index("[dynamics]")
    model = whole.folder / results_of(whole)["stages"]["potential"]["model_file"]
    text = STUDY.replace(STUDY[start:end], f"[levels.fast]\nname = 'sgpr:{model}'\n\n").replace("LIMITS", STRICT)
    text = text.replace('"learned"', '"fast"').replace("toy_levels:SoftSpheres", teacher)
    done = begin(
        written(tmp_path, text.replace("[60, 120]", "[60]"), antifluorite()),
        tmp_path / "out",
        stages=["transport"],
    )
    (row,) = runs_of(done, "dynamics").values()
    (analysed,) = runs_of(done, "transport").values()
    judged = teacher == "toy_levels:SoftSpheres"
    assert ("unavailable" in row["gate"]) is not judged
    reason = "does not pass its gate" if judged else "could not be judged: no level of the study taught it"
    assert reason in analysed["unavailable"]
    assert any(reason in text for text in results_of(done)["warnings"])


def test_page_shows_the_potential(whole: StudyRun) -> None:
    text = build_page(whole.folder).read_text(encoding="utf-8")
    assert 'id="potential"' in text
    assert "passed" in text
    drawn = {path.stem for path in (whole.folder / "figures").glob("*.svg")}
    assert drawn >= {
        "potential-parity", "potential-calibration", "potential-learning", "run-series-120K", "run-series-60K"
    }  # fmt: skip


def test_second_run_computes_nothing_and_writes_the_same(whole: StudyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("something was computed")

    monkeypatch.setattr(tasks, "perform", refuse)
    before = {path: path.read_bytes() for path in files_of(whole.folder)}
    again = begin(whole.folder.parent / "s.toml", whole.folder, stages=["transport"])
    assert {again.stages[name].state for name in ("potential", "dynamics")} == {"cached"}
    assert {path: path.read_bytes() for path in files_of(whole.folder)} == before


def test_interrupted_learning_goes_on_to_the_same_potential(
    whole: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in the second stretch, in a store elsewhere: the results are the same bytes."""
    calls = results_of(whole)["stages"]["potential"]["dear_calls"]["value"]
    ask, asked = Learner.ask, []

    def interrupted(self: Learner, atoms: Any) -> Any:
        asked.append(1)
        if len(asked) == calls - 2:
            raise KeyboardInterrupt
        return ask(self, atoms)

    file = write(tmp_path)
    monkeypatch.setattr(Learner, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begin(file, tmp_path / "out", stages=["transport"])
    continued = begin(file, tmp_path / "out", stages=["transport"])
    assert len(asked) < 2 * calls
    assert (continued.folder / "results.json").read_bytes() == (whole.folder / "results.json").read_bytes()


def test_failing_teacher_is_told_and_mended(tmp_path: Path) -> None:
    switch = tmp_path / "switch"
    settings = f'toy_levels:SoftSpheres"\nsettings = {{ switch = "{switch}" }}'
    file = write(tmp_path, LENIENT, ('toy_levels:SoftSpheres"', settings))
    options = RunOptions(out=tmp_path / "out", engine="process", stages=["host"])
    run_study(file, options, Progress())
    switch.touch()
    broken = begin(file, tmp_path / "out", stages=["potential"])
    assert broken.stages["potential"].state == "failed"
    assert "the dear level" in broken.stages["potential"].reason
    assert "no memory left" in broken.stages["potential"].reason
    switch.unlink()
    assert begin(file, tmp_path / "out", stages=["potential"]).stages["potential"].state == "done"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("[potential]", "[levels.dear]\nname = 'chgnet'\n[unknown]"), "unknown key"),
        (("exploration_ps = 0.2", "exploration_ps = 0.2\nlevel = 'dear'"), "no level 'dear' in this study"),
        (('"60" = 0.2', '"70" = 0.3'), "times of at least 0.02 ps by temperature"),
        (('level = "learned"', 'level = "fast"'), "no level 'fast'"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(change: tuple[str, str], told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told):
        begin(write(tmp_path, LENIENT, change), tmp_path / "out")


def test_learned_level_needs_a_potential_and_a_potential_needs_dynamics(tmp_path: Path) -> None:
    start, middle, end = (STUDY.index(name) for name in ("[potential]", "[dynamics]", "[transport]"))
    for text, told in ((STUDY[:start] + STUDY[middle:end], "without"), (STUDY[:middle], "without")):
        with pytest.raises(InputError, match=told):
            begin(written(tmp_path, text.replace("LIMITS", LENIENT), antifluorite()), tmp_path / "out")


def test_hottest_stretches_and_richest_cells_come_first() -> None:
    host, doped = antifluorite(), antifluorite()
    doped.replace(0, "N")
    dynamics = DynamicsPlan(temperatures_K=(300.0, 900.0), timestep_fs=2.0)
    found = stretches_of([host, doped], LearningPlan(exploration_ps=2.0), dynamics, 7)
    assert [(one.settings.temperature_K, one.cell) for one in found] == [(900, 1), (900, 0), (300, 1), (300, 0)]
    assert len({one.settings.seed for one in found}) == 4
    assert all(one.settings.steps == 1000 for one in found)


def test_every_composition_is_introduced(tmp_path: Path) -> None:
    """What energies count from differs between compositions, whatever is known of forces."""
    from toy_levels import SoftSpheres

    host, doped = antifluorite(), antifluorite()
    doped.replace(8, "N")
    plan = LearningPlan(exploration_ps=0.01)
    stretches = stretches_of([host, doped], plan, DynamicsPlan(temperatures_K=(60.0,), ensemble="nvt"), 7)
    training = TrainingSettings(inducing=60, descriptor=DescriptorSettings(cutoff_A=3.5, n_max=3, l_max=1))
    settings = LearningSettings(first_frames=3, tolerance_eV_per_A=50.0, training=training)
    found = explore([host, doped], stretches, SoftSpheres(), settings, tmp_path)
    assert [one.lessons for one in found.stretches] == [3, 6]
    assert ["N" in frame.symbols for frame in found.frames] == [True] * 3 + [False] * 3
    again = explore([host, doped], stretches, None, settings, tmp_path)
    assert [one.energy for one in again.frames] == [one.energy for one in found.frames]


def test_exploration_goes_on_from_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted between two questions of the second stretch, with a checkpoint after every step."""
    from toy_levels import SoftSpheres

    stretches = stretches_of(
        [antifluorite()],
        LearningPlan(exploration_ps=0.06),
        DynamicsPlan(temperatures_K=(40.0, 80.0), ensemble="nvt", guards=GuardSettings(closest_approach=0.0)),
        7,
    )
    training = TrainingSettings(inducing=60, descriptor=DescriptorSettings(cutoff_A=3.5, n_max=3, l_max=1))
    settings = LearningSettings(first_frames=3, tolerance_eV_per_A=0.1, look_fs=4.0, training=training)
    monkeypatch.setattr("ionscape.dynamics.exploration.simulate", functools.partial(simulate, checkpoint_s=0.0))
    folders = {name: tmp_path / name for name in ("whole", "cut")}
    for folder in folders.values():
        folder.mkdir()
    whole = explore([antifluorite()], stretches, SoftSpheres(), settings, folders["whole"])
    first, last = (one.lessons for one in whole.stretches)
    ask = Learner.ask

    def interrupted(self: Learner, atoms: Any) -> Any:
        if len(self.lessons) == (first + last) // 2:
            raise KeyboardInterrupt
        return ask(self, atoms)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            explore([antifluorite()], stretches, SoftSpheres(), settings, folders["cut"])
    assert (folders["cut"] / "stretch-1" / "checkpoint.npz").is_file()
    again = explore([antifluorite()], stretches, SoftSpheres(), settings, folders["cut"])
    lessons = [(folder / "lessons.extxyz").read_bytes() for folder in folders.values()]
    assert lessons[0] == lessons[1]
    assert learning_curve(again.stretches)[0].tolist() == learning_curve(whole.stretches)[0].tolist()


def test_learning_curve_goes_on_from_stretch_to_stretch() -> None:
    first = ExploredStretch(0, 900.0, 100, 200.0, 3, np.array([0.0, 50.0, 40.0]), "")
    second = ExploredStretch(0, 300.0, 50, 100.0, 4, np.array([20.0]), "")
    times, calls = learning_curve([first, second])
    assert times.tolist() == [0, 0, 50, 50, 200, 220, 300]
    assert calls.tolist() == [0, 1, 2, 3, 3, 4, 4]
