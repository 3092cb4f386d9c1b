"""An interrupted relaxation, continued, is the uninterrupted one, to the last bit."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from ionscape.levels.calculation import RelaxationSettings
from ionscape.levels.chgnet import FrozenCHGNet
from ionscape.levels.recording import recorded_frames
from ionscape.levels.relaxation import TRAJECTORY, RelaxedState, relax_structure

CASES = [(move, optimizer) for move in ("positions", "cell", "positions+cell") for optimizer in ("LBFGS", "FIRE")]
FACE_CENTRED = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


class Killed(BaseException):
    """Stands for the end of the process."""


class Copper(EMT):
    """EMT without the memory of its neighbour list: a function of positions and cell alone."""

    def calculate(self, atoms=None, properties=None, system_changes=all_changes) -> None:
        del system_changes
        super().calculate(atoms, properties, all_changes)


def counted(base: type, *, killed_after: int | None = None):
    """Return a calculator of type `base` that counts its evaluations and dies after some."""

    class Counted(base):
        evaluations = 0

        def calculate(self, *arguments: Any, **options: Any) -> None:
            if self.evaluations == killed_after:
                raise Killed
            super().calculate(*arguments, **options)
            self.evaluations += 1

    return Counted()


@dataclass
class Uninterrupted:
    """A finished relaxation: its start, settings, state, number of evaluations, and folder."""

    start: Structure
    settings: RelaxationSettings
    base: type
    folder: Path
    state: RelaxedState
    evaluations: int

    def continued(self, folder: Path) -> int:
        """Continue what is in `folder`, check that the end is the same, return the number of evaluations."""
        calculator = counted(self.base)
        state = relax_structure(self.start, calculator, self.settings, folder)
        assert np.array_equal(state.structure.lattice.matrix, self.state.structure.lattice.matrix)
        assert np.array_equal(state.structure.frac_coords, self.state.structure.frac_coords)
        assert state.last == self.state.last
        assert state.initial_energy == self.state.initial_energy
        assert state.converged
        assert len(recorded_frames(folder / TRAJECTORY)) == self.evaluations
        assert sorted(path.name for path in folder.iterdir()) == ["relaxation.log", TRAJECTORY]
        return calculator.evaluations


def uninterrupted(start: Structure, chosen: RelaxationSettings, base: type, folder: Path) -> Uninterrupted:
    folder.mkdir()
    calculator = counted(base)
    state = relax_structure(start, calculator, chosen, folder)
    assert state.converged
    assert calculator.evaluations == len(recorded_frames(folder / TRAJECTORY)) > 4
    return Uninterrupted(start, chosen, base, folder, state, calculator.evaluations)


def relaxation(move: str, optimizer: str) -> RelaxationSettings:
    return RelaxationSettings(move=move, optimizer=optimizer, fmax_eV_per_A=0.05, smax_eV_per_A3=0.004)


@pytest.mark.parametrize(("move", "optimizer"), CASES)
def test_killed_and_continued_equals_uninterrupted(copper, tmp_path: Path, move: str, optimizer: str) -> None:
    whole = uninterrupted(copper, relaxation(move, optimizer), Copper, tmp_path / "whole")
    for done in (1, whole.evaluations // 2):
        folder = tmp_path / str(done)
        folder.mkdir()
        with pytest.raises(Killed):
            relax_structure(copper, counted(Copper, killed_after=done), whole.settings, folder)
        assert whole.continued(folder) == whole.evaluations - done
        assert whole.continued(folder) == 0


def test_killed_again_and_again(copper, tmp_path: Path) -> None:
    whole = uninterrupted(copper, relaxation("positions+cell", "LBFGS"), Copper, tmp_path / "whole")
    folder = tmp_path / "cut"
    folder.mkdir()
    kills, done = divmod(whole.evaluations - 1, 4)
    for _ in range(kills):
        with pytest.raises(Killed):
            relax_structure(copper, counted(Copper, killed_after=4), whole.settings, folder)
    assert whole.continued(folder) == done + 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    cell = Structure(Lattice([[3.7, 0.3, 0], [0, 3.5, 0.2], [0.1, 0, 3.6]]), ["Cu"] * 4, FACE_CENTRED)
    cell.translate_sites([1], [0.03, -0.02, 0.01])
    folder = tmp_path_factory.mktemp("finished") / "whole"
    return uninterrupted(cell, relaxation("positions+cell", "LBFGS"), Copper, folder)


@settings(deadline=None, max_examples=12)
@given(where=st.floats(0, 1))
def test_file_cut_anywhere(finished: Uninterrupted, where: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        trajectory = Path(name) / TRAJECTORY
        content = (finished.folder / TRAJECTORY).read_bytes()
        trajectory.write_bytes(content[: int(where * len(content))])
        readable = len(recorded_frames(trajectory))
        assert readable <= int(where * finished.evaluations)
        assert finished.continued(Path(name)) == finished.evaluations - readable


@settings(deadline=None, max_examples=12)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_bit_flipped_anywhere(finished: Uninterrupted, position: float, bit: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        trajectory = Path(name) / TRAJECTORY
        content = bytearray((finished.folder / TRAJECTORY).read_bytes())
        content[int(position * len(content))] ^= 1 << bit
        trajectory.write_bytes(content)
        readable = len(recorded_frames(trajectory))
        assert finished.continued(Path(name)) == finished.evaluations - readable


@settings(deadline=None, max_examples=5)
@given(garbage=st.binary(max_size=4000), behind=st.booleans())
def test_garbage_instead_of_a_trajectory_or_behind_it(
    finished: Uninterrupted, garbage: bytes, behind: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        content = (finished.folder / TRAJECTORY).read_bytes() if behind else b""
        (Path(name) / TRAJECTORY).write_bytes(content + garbage)
        assert finished.continued(Path(name)) == (0 if behind else finished.evaluations)


def test_record_of_another_path_is_dropped_where_it_departs(finished: Uninterrupted, tmp_path: Path) -> None:
    moved = finished.start.copy()
    moved.translate_sites([0], [0.01, 0, 0])
    other = uninterrupted(moved, finished.settings, Copper, tmp_path / "other")
    shutil.copy(finished.folder / TRAJECTORY, other.folder / TRAJECTORY)
    assert other.continued(other.folder) == other.evaluations
    assert other.continued(other.folder) == 0


def test_chgnet_continues_exactly(lithia: Structure, tmp_path: Path) -> None:
    cell = Structure(lithia.lattice, lithia.species, lithia.frac_coords).get_primitive_structure()
    chosen = RelaxationSettings(fmax_eV_per_A=0.1, smax_eV_per_A3=0.005)
    whole = uninterrupted(cell, chosen, FrozenCHGNet, tmp_path / "whole")
    cut = tmp_path / "cut"
    cut.mkdir()
    done = whole.evaluations // 2
    with pytest.raises(Killed):
        relax_structure(cell, counted(FrozenCHGNet, killed_after=done), chosen, cut)
    assert whole.continued(cut) == whole.evaluations - done
