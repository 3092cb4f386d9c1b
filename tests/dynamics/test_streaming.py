"""Reading in streaming: whole series from chunks, bounded memory, files of a run killed at any byte."""

from __future__ import annotations

import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ionscape.dynamics.readers import open_trajectory
from ionscape.dynamics.recording import RecordedFrame, Recorder, RunHeader, complete_frames, read_header
from ionscape.dynamics.series import series
from ionscape.dynamics.trajectory import Chunk, TrajectoryWarning, folded
from ionscape.errors import InputError

SYMBOLS = ("Li", "Zr", "O", "O", "Li")
CELL = np.array([[6.0, 0.5, 0.1], [-2.0, 7.0, 0.3], [1.0, 1.5, 8.0]])


def header(**changes) -> RunHeader:
    values = {
        "symbols": SYMBOLS,
        "masses": np.array([6.94, 91.224, 15.999, 15.999, 6.94]),
        "frame_interval": 10.0,
        "temperature": 900.0,
        "ensemble": "NPT (Martyna-Tobias-Klein)",
        "level": "chgnet 0.3.0",
        "seed": 7,
        "details": {"barostat": {"time_fs": 1000.0}},
    }
    return RunHeader(**(values | changes))


def frames_of(count: int, seed: int = 0) -> list[RecordedFrame]:
    rng = np.random.default_rng(seed)
    path = rng.uniform(0, 6, (len(SYMBOLS), 3)) + np.cumsum(rng.normal(0, 0.2, (count, len(SYMBOLS), 3)), axis=0)
    cells = CELL * (1 + 0.01 * rng.normal(size=(count, 1, 1)))
    return [
        RecordedFrame(p, c, -10.0 - 0.1 * i, 880.0 + i, 0.001 * i)
        for i, (p, c) in enumerate(zip(path, cells, strict=True))
    ]


def record(path: Path, frames: list[RecordedFrame], **changes) -> Path:
    with Recorder.create(path, header(**changes), frames[0].positions) as recorder:
        for frame in frames:
            recorder.append(frame)
    return path


def read(path: Path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrajectoryWarning)
        trajectory = open_trajectory(path, **options)
        return trajectory, list(trajectory.chunks(7))


@pytest.mark.parametrize(("precision", "rounding"), [("single", 5e-7), ("double", 0.0)])
def test_a_recorded_run_is_read_as_it_was(tmp_path: Path, precision, rounding):
    frames = frames_of(40)
    trajectory, chunks = read(record(tmp_path / "run", frames, precision=precision))
    assert (trajectory.frame_interval, trajectory.temperature, trajectory.symbols) == (10.0, 900.0, SYMBOLS)
    cells = np.array([frame.cell for frame in frames])
    assert np.array_equal(np.concatenate([chunk.cells for chunk in chunks]), cells)
    inside = np.concatenate([chunk.folded() for chunk in chunks])
    for place, frame in zip(inside, frames, strict=True):
        apart = place - frame.positions @ np.linalg.inv(frame.cell)
        assert np.abs((apart - np.rint(apart)) @ frame.cell).max() <= rounding + 1e-12
    assert np.concatenate([chunk.energies for chunk in chunks]).tolist() == [frame.energy for frame in frames]
    assert np.concatenate([chunk.temperatures for chunk in chunks]).tolist() == [f.temperature for f in frames]


def test_the_header_comes_back(tmp_path: Path):
    back = read_header(record(tmp_path / "run", frames_of(2)))
    for name in ("symbols", "frame_interval", "temperature", "ensemble", "level", "seed", "precision", "details"):
        assert getattr(back, name) == getattr(header(), name)
    assert np.array_equal(back.masses, header().masses)
    assert not back.masses.flags.writeable


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1), again=st.integers(0, 12))
def test_a_kill_at_any_byte_loses_no_complete_frame(tmp_path: Path, part, again):
    frames = frames_of(12)
    path = record(tmp_path / "run", frames)
    whole = path.read_bytes()
    record_size = (len(whole) - len(record(tmp_path / "none", frames[:1]).read_bytes())) // 11
    first = len(whole) - 12 * record_size
    cut = first + int(part * 12 * record_size)
    path.write_bytes(whole[:cut])
    complete = (cut - first) // record_size
    assert complete_frames(path) == complete
    if complete > 1:
        found = np.concatenate([chunk.positions for chunk in read(path)[1]])
        path.write_bytes(whole)
        assert np.array_equal(found, np.concatenate([chunk.positions for chunk in read(path)[1]])[:complete])
        path.write_bytes(whole[:cut])
    kept = min(again, complete)
    with Recorder.resume(path, kept) as recorder:
        for frame in frames[kept:]:
            recorder.append(frame)
        recorder.flush()
        assert recorder.frames == 12
    assert path.read_bytes() == whole


def test_a_torn_frame_is_told_and_cut_off(tmp_path: Path):
    path = record(tmp_path / "run", frames_of(6))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.warns(TrajectoryWarning, match="ends within frame 5"):
        list(open_trajectory(path).chunks())
    with Recorder.resume(path) as recorder:
        assert recorder.frames == 5
    with pytest.raises(InputError, match="5 complete frames; expected the 6 frames of the checkpoint"):
        Recorder.resume(path, 6)


def test_damage_is_an_error_but_not_behind_a_checkpoint(tmp_path: Path):
    path = record(tmp_path / "run", frames_of(9))
    data = bytearray(path.read_bytes())
    data[-len(data) // 3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"frame \d is damaged"):
        complete_frames(path)
    with Recorder.resume(path, 3) as recorder:
        assert recorder.frames == 3
    for content, said in ((b"", "header"), (bytes(data[:60]), "header"), (b"something else", "header")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            read_header(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_header(tmp_path / "missing")
    record(tmp_path / "empty", frames_of(1))
    with Recorder.resume(tmp_path / "empty", 0):
        pass
    with pytest.raises(InputError, match="no complete frame"):
        open_trajectory(tmp_path / "empty")


class Walkers:
    """A trajectory made on the fly, never in memory as a whole."""

    def __init__(self, frames: int, atoms: int) -> None:
        self.symbols = ("Li",) * (atoms // 2) + ("O",) * (atoms - atoms // 2)
        self.frame_interval, self.temperature = 2.0, None
        self.count = frames

    def chunks(self, frames: int = 512):
        atoms = np.arange(len(self.symbols))[None, :, None]
        for first in range(0, self.count, frames):
            number = np.arange(first, min(first + frames, self.count))[:, None, None]
            yield Chunk(
                first, number * 0.25 + atoms * np.array([1.0, 2.0, 3.0]), np.repeat(CELL[None], len(number), 0)
            )


@pytest.mark.parametrize("limit", [1.0, 1e-5])
def test_series_are_the_same_in_memory_and_on_disk(tmp_path: Path, limit):
    walkers = Walkers(1500, 6)
    whole = series(walkers, memory_limit_GB=limit, scratch=tmp_path)
    assert whole.on_disk == (limit < 1e-3)
    assert whole.positions.shape == (1500, 6, 3)
    assert whole.cells.shape == (1500, 3, 3)
    assert whole.positions[:, 0].flags.c_contiguous
    truth = np.concatenate([chunk.positions for chunk in walkers.chunks()])
    assert np.array_equal(whole.positions, truth.astype("float32"))
    some = series(walkers, ["O"], memory_limit_GB=limit, precision="float64", kind="fractional", scratch=tmp_path)
    assert some.symbols == ("O",) * 3
    assert np.array_equal(some.positions, folded(truth[:, 3:] @ np.linalg.inv(CELL)))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="read-only"):
        whole.positions[0, 0, 0] = 1.0


def test_series_of_a_missing_element_or_without_space(tmp_path: Path):
    with pytest.raises(InputError, match="no atom of Na"):
        series(Walkers(10, 4), ["Na"])
    with pytest.raises(InputError, match="cannot be written"):
        series(Walkers(5000, 4), memory_limit_GB=1e-6, scratch=tmp_path / "missing")


def test_memory_does_not_grow_with_the_length_of_the_file(tmp_path: Path):
    """A text file three times as long is read in the same memory."""
    frame = "Direct configuration=     1\n" + "  0.12345678  0.23456789  0.34567891\n" * 60
    begin = "x\n 1.0\n 9.0 0.0 0.0\n 1.0 9.0 0.0\n 0.0 0.0 9.0\n Li\n 60\n"
    peaks = []
    for count in (6000, 18_000):
        (tmp_path / "XDATCAR").write_text(begin + frame * count)
        trajectory = open_trajectory(tmp_path / "XDATCAR", frame_interval_fs=1)
        tracemalloc.start()
        assert sum(len(chunk.positions) for chunk in trajectory.chunks()) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 1e8


@pytest.mark.parametrize("size", [1, 3, 100, 10_000])
def test_chunks_have_the_size_asked_for(tmp_path: Path, size):
    path = record(tmp_path / "run", frames_of(50))
    chunks = list(open_trajectory(path).chunks(size))
    assert [len(chunk.positions) for chunk in chunks] == [size] * (50 // size) + ([50 % size] if 50 % size else [])
    assert [chunk.first for chunk in chunks] == list(range(0, 50, size))
    together = np.concatenate([chunk.positions for chunk in chunks])
    assert np.array_equal(together, next(open_trajectory(path).chunks(50)).positions)
