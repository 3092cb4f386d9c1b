"""Molecular dynamics that learns its potential: few calls, honest errors, exact continuation after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from active_cases import TOLERANCE, CountingEMT, alloy, learner
from ase.io import read

from ionscape.dynamics.checkpoints import read_checkpoint
from ionscape.dynamics.learning import LearningRun
from ionscape.dynamics.recording import record_blocks, start_positions
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.dynamics.simulate import CHECKPOINT, PRODUCTION, RunEnd, simulate
from ionscape.errors import CalculationError
from ionscape.potential.active_calculator import ActiveCalculator
from ionscape.potential.active_record import LessonRecord
from ionscape.structures.exchange import to_structure

HERE = Path(__file__).parent
CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_active_dynamics import run
run(Path({folder!r}), kills={kills})
"""


def run(folder: Path, kills: int = 0, fails: int = 0, **changes: Any) -> tuple[RunEnd, CountingEMT]:
    """Run 0.6 ps in `folder`, with a checkpoint after every advance."""
    dear = CountingEMT(fails=fails, kills=kills)
    folder.mkdir(exist_ok=True)
    settings = DynamicsSettings(
        temperature_K=500, equilibration_ps=0.2, production_ps=0.4, frame_interval_fs=10, timestep_fs=2
    )
    calculator = ActiveCalculator(learner(folder, dear, **changes))
    return simulate(to_structure(alloy()), calculator, settings, folder, "emt", checkpoint_s=0.0), dear


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunEnd, CountingEMT]:
    """Return a run that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, *run(folder)


def test_few_questions_and_errors_within_the_tolerance(whole: tuple[Path, RunEnd, CountingEMT]) -> None:
    folder, end, dear = whole
    assert not end.stopped
    assert end.steps == 300
    assert dear.calls == len(LessonRecord(folder / "frames.extxyz").lessons) < 60
    atoms, errors = alloy(), []
    for block in record_blocks(folder / PRODUCTION):
        for record in block[::4]:
            atoms.set_cell(record["cell"])
            atoms.positions = start_positions(folder / PRODUCTION) + record["shift"]
            errors.append(np.abs(forces_of_last_model(folder, atoms) - forces_of_emt(atoms)))
    assert len(errors) == 10
    assert np.sqrt((np.array(errors) ** 2).mean()) < TOLERANCE


def forces_of_last_model(folder: Path, atoms: Any) -> Any:
    again = learner(folder)
    again.resume(again.recorded)
    asked = atoms.copy()
    asked.calc = again.calculator
    return asked.get_forces()


def forces_of_emt(atoms: Any) -> Any:
    asked = atoms.copy()
    asked.calc = CountingEMT()
    return asked.get_forces()


def test_exchanges_are_in_the_record_and_do_not_drift(whole: tuple[Path, RunEnd, CountingEMT]) -> None:
    folder, end, dear = whole
    checkpoint = read_checkpoint(folder / CHECKPOINT)
    assert checkpoint is not None
    learning = checkpoint.values["learning"]
    assert learning["lessons"] == dear.calls == len(learning["dear_steps"])
    assert learning["dear_steps"][:4] == [0] * 4
    assert all(swap["step"] in learning["dear_steps"] for swap in learning["swaps"])
    assert end.drift is not None
    assert abs(end.drift) < 5e-3


def test_a_killed_run_continues_to_the_same_bits(whole: tuple[Path, RunEnd, CountingEMT], tmp_path: Path) -> None:
    folder, end, dear = whole
    for kills in (3, dear.calls - 6):  # among the first frames, then in the run
        child = [sys.executable, "-c", CHILD.format(here=str(HERE), folder=str(tmp_path / "run"), kills=kills)]
        assert subprocess.run(child, check=False, capture_output=True).returncode == -signal.SIGKILL
    before = len(LessonRecord(tmp_path / "run" / "frames.extxyz").lessons)
    assert before > 4
    again, asked = run(tmp_path / "run")
    assert again.steps == end.steps
    assert asked.calls == dear.calls - before
    for name in (PRODUCTION, "frames.extxyz"):
        assert (tmp_path / "run" / name).read_bytes() == (folder / name).read_bytes()


def test_a_run_far_out_goes_back_and_learns_the_first_frame_beyond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    returns: list[int] = []
    good = LearningRun.good

    def counted(self: LearningRun) -> Any:
        found = good(self)
        returns.append(found[1]["step"])
        return found

    monkeypatch.setattr(LearningRun, "good", counted)
    end, _ = run(tmp_path / "run", far=1.1, tolerance_eV_per_A=0.05, look_fs=20.0)
    assert returns
    assert not end.stopped
    assert (end.steps, end.frames, end.equilibration_frames) == (300, 40, 20)
    checkpoint = read_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert checkpoint is not None
    assert sorted(checkpoint.values["learning"]["dear_steps"]) == checkpoint.values["learning"]["dear_steps"]


def test_a_dear_level_that_fails_ends_the_run_which_goes_on_later(
    whole: tuple[Path, RunEnd, CountingEMT], tmp_path: Path
) -> None:
    folder, _, _ = whole
    with pytest.raises(CalculationError, match="SCF not converged"):
        run(tmp_path / "run", fails=8)
    run(tmp_path / "run")
    assert (tmp_path / "run" / PRODUCTION).read_bytes() == (folder / PRODUCTION).read_bytes()


def test_the_command_tells_what_was_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    from ionscape.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(HERE))
    to_structure(alloy()).to(str(tmp_path / "alloy.cif"))
    line = "md alloy.cif --learn-from active_cases:CountingEMT --temperature-K 300 --time-ps 0.04 --json"
    words = f"{line} --equilibration-ps 0 --tolerance-eV-per-A 0.3 --out run --model-out potential.sgpr".split()
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_dear_calls"] == len(told["dear_steps"]) == len(read(told["frames"], index=":")) >= 8
    assert told["steps"] == 40
    assert told["n_inducing"] > 0
    assert Path(told["model"]).is_file()
    assert set(told["calibration"]) <= {"rank_correlation", "coverage"}
    assert main(words) == 0  # answers at once
    again = json.loads(capsys.readouterr().out)
    assert {**again, "ms_per_step": 0} == {**told, "ms_per_step": 0}
    assert main([*words, "--seed", "3"]) == 2
    assert "holds another run (different: settings)" in capsys.readouterr().err
    assert main(["md", "alloy.cif", "--look-fs", "5"]) == 2
    assert "--learn-from" in capsys.readouterr().err
