"""Frames evaluated at a level: what is written, what is refused."""

from __future__ import annotations

from typing import Any

import ase.build
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import read

from ionscape.errors import InputError
from ionscape.levels.evaluation import evaluate_frames, read_frames, write_frames


def frames(count: int = 3) -> list[Any]:
    made = []
    for seed in range(count):
        atoms = ase.build.bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.set_cell(atoms.cell.array @ [[1, 0.1, 0], [0, 1, 0.05], [0, 0, 1]], scale_atoms=True)
        made.append(atoms)
    return made


def test_written_frames_carry_the_results_of_the_level(tmp_path) -> None:
    given = frames()
    predicted, summary = evaluate_frames(given, EMT())
    assert set(summary) == {"n_frames", "ms_per_evaluation"}
    path = tmp_path / "new" / "out.extxyz"
    write_frames(predicted, path)
    assert [file.name for file in path.parent.iterdir()] == ["out.extxyz"]
    for frame, back in zip(given, read(path, index=":"), strict=True):
        assert frame.calc is None
        frame.calc = EMT()
        assert back.get_potential_energy() == pytest.approx(frame.get_potential_energy())
        np.testing.assert_allclose(back.get_forces(), frame.get_forces(), atol=1e-6)
        np.testing.assert_allclose(back.get_stress(), frame.get_stress(), atol=1e-6)


def test_one_evaluation_per_frame_and_one_to_warm_up() -> None:
    class Counted(EMT):
        calls = 0

        def calculate(self, *arguments: Any, **options: Any) -> None:
            self.calls += 1
            super().calculate(*arguments, **options)

    calculator = Counted()
    evaluate_frames([*frames(1), *frames(1), *frames(2)], calculator)
    assert calculator.calls == 5


@pytest.mark.parametrize(
    ("wrong", "told"),
    [(Atoms(cell=[5, 5, 5], pbc=True), "no atoms"), (Atoms("Cu", cell=[5, 5, 5], pbc=[1, 1, 0]), "not periodic")],
)
def test_frame_that_cannot_be_evaluated_is_named(wrong: Atoms, told: str) -> None:
    with pytest.raises(InputError, match=f"frame 2 .*{told}"):
        evaluate_frames([*frames(2), wrong], EMT())


def test_file_without_frames_is_refused(tmp_path) -> None:
    (tmp_path / "empty.extxyz").write_text("")
    with pytest.raises(InputError, match=r"empty\.extxyz"):
        read_frames(tmp_path / "empty.extxyz")
