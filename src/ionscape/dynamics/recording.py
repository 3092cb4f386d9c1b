r"""Trajectories that ionscape's own molecular dynamics writes: append-only files that survive a kill at any byte.

Layout (little endian)::

    b"ionscape trajectory 1\n"
    uint64 length of the header; header as JSON (symbols, masses, frame interval, ensemble, level, seed, …); uint32
    CRC float64 (atoms, 3) positions at the start, Å; uint32 CRC records of equal size, one a frame:
        int64 frame; float64 cell (3, 3), potential energy, temperature, pressure;
        float32 or float64 (atoms, 3) positions less those at the start; uint32 CRC

Positions are unwrapped. As float32 the displacement from the start is rounded by at most 5e-7 Å up to 16 Å and
2e-6 Å up to 64 Å, 10⁵ times less than a thermal vibration: nothing that an analysis could see is lost. Cells,
energies, temperatures and pressures are float64. Exact continuation rests on the checkpoints of the run, not on
this file.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.structures.exchange import replacing
from ionscape.units import CellArray, Count, Energy, LengthArray, MassArray, Stress, Temperature, Time

MAGIC = b"ionscape trajectory 1\n"
_SCALARS = ("energy", "temperature", "pressure")
#: Bytes of records read at a time.
_READ_AHEAD = 1 << 23


@dataclass(frozen=True)
class RunHeader:
    """What is known about a run of molecular dynamics before its first step.

    Attributes
    ----------
    symbols
        Element of every atom.
    masses
        Masses of the atoms, amu, (atoms,).
    frame_interval
        Time between recorded frames, fs.
    temperature
        Temperature of the thermostat, K; None in an ensemble without one.
    ensemble
        Name of the ensemble and its integrator.
    level
        Identity of the level of theory.
    seed
        Seed of the random numbers.
    precision
        How positions are written (float32 or float64).
    details
        Whatever else should stand in the file (plain JSON).
    """

    symbols: tuple[str, ...]
    masses: MassArray
    frame_interval: Time
    temperature: Temperature | None
    ensemble: str
    level: str
    seed: Count
    precision: Literal["single", "double"] = "single"
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedFrame:
    """One frame of a run.

    Attributes
    ----------
    positions
        Unwrapped Cartesian positions, Å, (atoms, 3).
    cell
        Lattice vectors as rows, Å, (3, 3).
    energy
        Potential energy, eV.
    temperature
        Instantaneous temperature, K.
    pressure
        Instantaneous pressure, eV/Å³, positive under compression.
    """

    positions: LengthArray
    cell: CellArray
    energy: Energy
    temperature: Temperature
    pressure: Stress


@dataclass(frozen=True)
class _Layout:
    """Where things stand in a file."""

    header: RunHeader
    start: LengthArray
    offset: int
    record: np.dtype[np.void]


class Recorder:
    """Writes a trajectory file frame by frame; every frame handed over reaches the operating system at once.

    Open one by `create` or `resume`. A frame given to `append` survives a kill of the process; `flush` makes all
    frames so far survive a failure of the machine.

    Attributes
    ----------
    frames
        Number of frames in the file.
    """

    def __init__(self, path: Path, layout: _Layout, frames: int) -> None:
        self._layout = layout
        self.frames = frames
        self._file: IO[bytes] = path.open("r+b", buffering=0)
        self._file.truncate(layout.offset + frames * layout.record.itemsize)
        self._file.seek(0, os.SEEK_END)

    @classmethod
    def create(cls, path: Path, header: RunHeader, start: LengthArray) -> Self:
        """Begin a new file of no frames; one that exists is replaced.

        Parameters
        ----------
        path
            The file.
        header
            What is known about the run.
        start
            Positions that displacements are counted from, Å, (atoms, 3): those of the first frame, or near them.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        text = json.dumps({**asdict(header), "masses": np.asarray(header.masses).tolist()}).encode()
        place = np.asarray(start, dtype="<f8").tobytes()
        with replacing(path) as part:
            part.write_bytes(MAGIC + struct.pack("<Q", len(text)) + _sealed(text) + _sealed(place))
        return cls(path, _layout(path), 0)

    @classmethod
    def resume(cls, path: Path, frames: int | None = None) -> Self:
        """Continue a file behind its first `frames` frames, or behind all complete ones; later ones are cut off.

        Raises
        ------
        InputError
            If the file is no trajectory of ionscape or holds fewer complete frames.
        """
        layout = _layout(path)
        complete = complete_frames(path, frames)
        if frames is not None and frames > complete:
            raise InputError(
                f"{complete} complete frames",
                where=str(path),
                expected=f"the {frames} frames of the checkpoint",
                remedy="The file was changed after the checkpoint: start the run again.",
            )
        return cls(path, layout, complete if frames is None else frames)

    def append(self, frame: RecordedFrame) -> None:
        """Add a frame to the end of the file."""
        record = np.zeros((), dtype=self._layout.record)
        record["frame"] = self.frames
        record["cell"] = frame.cell
        record["energy"], record["temperature"], record["pressure"] = (
            frame.energy,
            frame.temperature,
            frame.pressure,
        )
        record["shift"] = frame.positions - self._layout.start
        body = record.tobytes()[:-4]
        self._file.write(_sealed(body))
        self.frames += 1

    def flush(self) -> None:
        """Wait until all frames are on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_header(path: Path) -> RunHeader:
    """Return the header of a trajectory file.

    Raises
    ------
    InputError
        If the file is no trajectory of ionscape.
    """
    return _layout(path).header


def complete_frames(path: Path, most: int | None = None) -> int:
    """Return the number of complete frames of a trajectory file; a torn last one does not count.

    No more than `most` frames are looked at.

    Raises
    ------
    InputError
        If the file is no trajectory of ionscape, or is damaged before its end.
    """
    return sum(len(block) for block in record_blocks(path, most))


def is_torn(path: Path, frames: int) -> bool:
    """Return whether a file of `frames` complete frames goes on with an incomplete one."""
    layout = _layout(path)
    return path.stat().st_size > layout.offset + frames * layout.record.itemsize


def record_blocks(path: Path, most: int | None = None) -> Iterator[NDArray[np.void]]:
    """Yield the complete frames in order, in blocks of structured arrays; a torn last one is left out.

    Fields: ``frame``, ``cell`` (Å), ``energy`` (eV), ``temperature`` (K), ``pressure`` (eV/Å³) and ``shift``, the
    positions less those at the start (`start_positions`), Å. No more than `most` frames are read.

    Raises
    ------
    InputError
        If the file is no trajectory of ionscape, or is damaged before its end.
    """
    layout = _layout(path)
    size, count = layout.record.itemsize, 0
    present = (path.stat().st_size - layout.offset) // size
    wanted = present if most is None else min(most, present)
    with path.open("rb") as file:
        file.seek(layout.offset)
        while count < wanted:
            data = file.read(min(max(1, _READ_AHEAD // size), wanted - count) * size)
            records = np.frombuffer(data[: len(data) // size * size], dtype=layout.record)
            good = _good(records, data, count)
            count += good
            if good:
                yield records[:good]
            if good < len(records):
                if count < present - 1:
                    raise _damaged(path, count)
                return


def recorded_scalars(path: Path, most: int) -> NDArray[np.void]:
    """Return time-ordered energy, temperature and pressure of at most `most` frames, evenly chosen.

    For a look at a run that goes on: only these numbers are read, and no checksum is verified.

    Raises
    ------
    InputError
        If the file is no trajectory of ionscape.
    """
    layout = _layout(path)
    count = (path.stat().st_size - layout.offset) // layout.record.itemsize
    chosen = np.unique(np.linspace(0, max(count - 1, 0), min(most, count)).astype(int))
    if not count:
        return np.empty(0, dtype=layout.record)[["frame", *_SCALARS]]
    records = np.memmap(path, dtype=layout.record, mode="r", offset=layout.offset, shape=(count,))
    return np.array(records[["frame", *_SCALARS]][chosen])


def _damaged(path: Path, frame: int) -> InputError:
    return InputError(
        f"frame {frame} is damaged",
        where=str(path),
        expected="a file that only molecular dynamics wrote to",
        remedy=f"Read the {frame} frames before it from a copy cut there, or run again.",
    )


def start_positions(path: Path) -> LengthArray:
    """Return the positions that displacements are counted from, Å, (atoms, 3)."""
    return _layout(path).start


def _good(records: NDArray[np.void], data: bytes, first: int) -> int:
    """Return how many of the records are whole, from the first on."""
    size = records.dtype.itemsize
    for index, record in enumerate(records):
        body = memoryview(data)[index * size : (index + 1) * size - 4]
        if record["crc"] != zlib.crc32(body) or record["frame"] != first + index:
            return index
    return len(records)


def _sealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def _unsealed(data: bytes, path: Path) -> bytes:
    if len(data) < 4 or struct.unpack("<I", data[-4:])[0] != zlib.crc32(data[:-4]):
        raise InputError(
            "the header is damaged or incomplete",
            where=str(path),
            expected="a trajectory written by ionscape",
            remedy="Run the molecular dynamics again.",
        )
    return data[:-4]


def _layout(path: Path) -> _Layout:
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})",
            where=str(path),
            expected="a trajectory written by ionscape",
            remedy="Check the path.",
        ) from None
    with file:
        if file.read(len(MAGIC)) != MAGIC:
            _unsealed(b"", path)
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            _unsealed(b"", path)
        values = json.loads(_unsealed(file.read(length + 4), path))
        values |= {"symbols": tuple(values["symbols"]), "masses": frozen(np.array(values["masses"]))}
        header = RunHeader(**values)
        atoms = len(header.symbols)
        start = np.frombuffer(_unsealed(file.read(24 * atoms + 4), path), dtype="<f8").reshape(atoms, 3)
        return _Layout(header, start, file.tell(), _record(atoms, header.precision))


def _record(atoms: int, precision: str) -> np.dtype[np.void]:
    place = "<f4" if precision == "single" else "<f8"
    scalars = [(name, "<f8") for name in _SCALARS]
    fields: list[Any] = [
        ("frame", "<i8"),
        ("cell", "<f8", (3, 3)),
        *scalars,
        ("shift", place, (atoms, 3)),
        ("crc", "<u4"),
    ]
    return np.dtype(fields)
