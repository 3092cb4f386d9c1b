"""A run as its analyses need it, read once: every frame of the mobile ions, a sample of the frames of the host.

Files are slow to parse and the host has nothing to say between its vibrations, so that the mobile ions are kept
(in memory, beyond a limit in a temporary file) and the host thinned.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from ionscape.dynamics.drift import atoms_of
from ionscape.dynamics.series import ion_by_ion, release, scratch_full
from ionscape.dynamics.trajectory import Chunk, Trajectory
from ionscape.errors import InputError
from ionscape.units import Array, CellArray, Count, Indices, Temperature, Time, Unit

#: Frames of a chunk at most, and their positions, bytes.
CHUNK_FRAMES, CHUNK_BYTES = 8192, 1 << 25
#: Memory of the sampled host, bytes, and its most frames.
HOST_BYTES, HOST_FRAMES = 1 << 27, 8192

Single = NDArray[Any]  # float32, which the analyses take as they take float64


@dataclass(frozen=True)
class HeldRun:
    """Some atoms of a run, all frames at hand (satisfies `trajectory.Trajectory`).

    Attributes
    ----------
    symbols
        Element of every atom.
    frame_interval
        Time between the frames, fs.
    temperature
        Temperature of the run, K; None if the files do not tell.
    positions
        Unwrapped positions, drift removed, Å, (frames, atoms, 3); ion by ion in memory if `on_disk`.
    fractional
        Fractional positions in [0, 1), (frames, atoms, 3).
    cells
        Lattice vectors as rows, Å, (frames, 3, 3).
    stride
        One frame in so many of the run is held.
    on_disk
        Whether the positions are in a temporary file.
    """

    symbols: tuple[str, ...]
    frame_interval: Time
    temperature: Temperature | None
    positions: Annotated[Single, Unit("Å")]
    fractional: Annotated[Single, Unit("fractional")]
    cells: CellArray
    stride: Count = 1
    on_disk: bool = False

    def chunks(self, frames: int | None = None) -> Iterator[Chunk]:
        """Yield all frames in order, at most `frames` at a time."""
        size = frames or max(1, min(CHUNK_FRAMES, CHUNK_BYTES // (24 * max(1, len(self.symbols)))))
        for first in range(0, len(self.cells), size):
            part = slice(first, first + size)
            positions, inside = (np.array(x[part], float, order="C") for x in (self.positions, self.fractional))
            for values in (self.positions, self.fractional):
                release(values)
            yield Chunk(first, positions, self.cells[part], inside)

    def thinned(self, stride: int) -> HeldRun:
        """Return the same with one frame in `stride`."""
        return HeldRun(
            self.symbols,
            self.frame_interval * stride,
            self.temperature,
            self.positions[::stride],
            self.fractional[::stride],
            self.cells[::stride],
            self.stride * stride,
            self.on_disk,
        )

    def atoms(self, elements: tuple[str, ...]) -> HeldRun:
        """Return the atoms of some elements alone."""
        rows = np.flatnonzero(np.isin(self.symbols, list(elements)))
        return HeldRun(
            tuple(self.symbols[row] for row in rows),
            self.frame_interval,
            self.temperature,
            self.positions[:, rows],
            self.fractional[:, rows],
            self.cells,
            self.stride,
            self.on_disk,
        )


def held_run(
    trajectory: Trajectory,
    mobile: str,
    *,
    skip: Time = 0.0,
    memory_limit_GB: float = 1.0,
    scratch: Path | None = None,
) -> tuple[HeldRun, HeldRun | None]:
    """Return the mobile ions at all frames, and the other atoms (None: there are none) at a sample of them.

    Parameters
    ----------
    trajectory
        The run, drift removed, read once.
    mobile
        The mobile element.
    skip
        Time at the beginning that is left out, fs.
    memory_limit_GB
        Memory that the mobile ions may take; beyond it they go to temporary files without names.
    scratch
        Folder for these files; None: the system's.

    Raises
    ------
    InputError
        If there is no such element, fewer than two frames are left, or the scratch folder is full.
    """
    spools = [_Spool(int(memory_limit_GB * 5e8), scratch) for _ in range(2)]
    with contextlib.closing(spools[0]), contextlib.closing(spools[1]):
        return _held(trajectory, mobile, skip, (spools[0], spools[1]))


def _held(
    trajectory: Trajectory, mobile: str, skip: Time, spools: tuple[_Spool, _Spool]
) -> tuple[HeldRun, HeldRun | None]:
    chosen = atoms_of(trajectory.symbols, (mobile,))
    others = np.flatnonzero(np.array(trajectory.symbols) != mobile).astype(np.int64)
    first = int(np.ceil(skip / trajectory.frame_interval - 1e-9))
    sample, seen = _Sample(others), 0
    cells: list[CellArray] = []
    for chunk in trajectory.chunks():
        part = slice(max(0, first - seen), None)
        seen += len(chunk.cells)
        if first >= seen:
            continue
        inside = _single(chunk.folded()[part])
        for spool, values in zip(spools, (chunk.positions[part], inside), strict=True):
            with scratch_full(spool.scratch):
                spool.add(values[:, chosen])
        cells.append(np.asarray(chunk.cells[part], dtype=float))
        if len(others):
            sample.add(chunk.positions[part], inside, cells[-1])
    frames = sum(map(len, cells))
    if frames < 2:
        raise _too_few(frames, skip, max(seen - 1, 0) * trajectory.frame_interval)
    shape = frames, len(chosen), 3
    with scratch_full(spools[0].scratch):  # the transforms take ions in turn, what is counted takes frames
        positions, fractional = spools[0].by_ions(shape), spools[1].by_frames(shape)
    symbols = tuple(trajectory.symbols[row] for row in chosen)
    time, kelvin = trajectory.frame_interval, trajectory.temperature
    on_disk = isinstance(fractional, np.memmap)
    ions = HeldRun(symbols, time, kelvin, positions, fractional, np.concatenate(cells), 1, on_disk)
    return ions, sample.run(trajectory) if len(others) else None


def _too_few(frames: int, skip: Time, run_time: Time) -> InputError:
    return InputError(
        f"{frames} frames after the first {skip / 1000:g} ps; the run is {run_time / 1000:g} ps long",
        where="trajectory",
        expected="at least two frames after the equilibration",
        remedy="Skip less, or give a longer run.",
    )


def _single(fractional: Array) -> Single:
    single = np.asarray(fractional, dtype=np.float32)
    return np.where(single >= 1, np.float32(0), single)  # rounding may reach one


class _Spool:
    """Frames one after another, in memory, or in a file where they are many."""

    def __init__(self, limit: int, scratch: Path | None) -> None:
        self._file: IO[bytes] = io.BytesIO()
        self.scratch, self._limit, self._size = scratch, limit, 0

    def add(self, values: Array) -> None:
        data = np.ascontiguousarray(values, dtype=np.float32)
        self._size += data.nbytes
        if self._size > self._limit and isinstance(self._file, io.BytesIO):
            held = self._file
            self._file = tempfile.TemporaryFile(dir=self.scratch)  # noqa: SIM115  lives as long as its map
            self._file.write(held.getbuffer())
        self._file.write(data.data)

    def by_frames(self, shape: tuple[int, int, int]) -> Single:
        """Return the frames as they were added, without a second copy of them."""
        if isinstance(self._file, io.BytesIO):
            return np.frombuffer(self._file.getbuffer(), dtype=np.float32).reshape(shape)
        self._file.flush()
        handle: Any = self._file
        return np.memmap(handle, dtype=np.float32, mode="r", shape=shape)

    def by_ions(self, shape: tuple[int, int, int]) -> Single:
        """Return the frames; those in a file from a second one in which each ion's frames follow one another."""
        if isinstance(self._file, io.BytesIO):
            return self.by_frames(shape)
        frames, ions, _ = shape
        return ion_by_ion(self._file, np.dtype(np.float32), (ions, frames, 3), self._limit, self.scratch)[0]

    def close(self) -> None:
        if not isinstance(self._file, io.BytesIO):  # an array on its memory keeps it, as a map keeps a file
            self._file.close()


class _Sample:
    """Evenly spaced frames of some atoms: when there are too many, every second one is dropped."""

    def __init__(self, atoms: Indices) -> None:
        self._atoms, self._stride, self._seen = atoms, 1, 0
        self._most = int(np.clip(HOST_BYTES // (24 * max(1, len(atoms))), 64, HOST_FRAMES))
        self._held: list[tuple[Single, Single, Array]] = []

    def add(self, positions: Array, inside: Single, cells: Array) -> None:
        for k in range(-self._seen % self._stride, len(cells), self._stride):
            at = self._seen + k
            if at % self._stride:
                continue
            rows = np.asarray(positions[k][self._atoms], dtype=np.float32), inside[k][self._atoms]
            self._held.append((*rows, cells[k]))
            if len(self._held) == self._most:
                self._held, self._stride = self._held[::2], 2 * self._stride
        self._seen += len(cells)

    def run(self, trajectory: Trajectory) -> HeldRun:
        positions, inside, cells = (np.array(values) for values in zip(*self._held, strict=True))
        symbols = tuple(trajectory.symbols[atom] for atom in self._atoms)
        interval = trajectory.frame_interval * self._stride
        return HeldRun(symbols, interval, trajectory.temperature, positions, inside, cells, self._stride)
