"""Trajectories from files of any known format: one run of one or several files, unwrapped, in streaming."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionscape.dynamics.formats.registry import KNOWN, sources_of
from ionscape.dynamics.formats.source import Frame, Source, Types, different_atoms, element
from ionscape.dynamics.formats.text import TRAJECTORY
from ionscape.dynamics.formats.xdatcar import formula
from ionscape.dynamics.trajectory import Chunk, folded, frames_per_chunk
from ionscape.dynamics.unwrapping import Scheme, Unwrapping
from ionscape.errors import InputError, nearest, unreadable
from ionscape.units import Array, Count, Temperature, Time

#: A restart that begins with a frame of the run before repeats it to within the rounding of the file; Å.
SAME_FRAME = 1e-4
#: At the same step or time it may differ by this much, as computers do not repeat runs to the last bit; Å.
#: Frames of different times, where steps are counted from 0 again, are further apart by vibrations alone.
SAME_STEP = 0.2
#: Å from the origin at most: farther, nothing is left of the digits that tell how atoms move.
FARTHEST = 1e7
_AGAIN = "Check that the run wrote it, and that it was copied whole."
#: Bytes of positions that are unwrapped at a time.
_BLOCK = 1 << 21


@dataclass(frozen=True)
class FileTrajectory:
    """A run of molecular dynamics in files (satisfies `trajectory.Trajectory`).

    Attributes
    ----------
    sources
        The files, in order.
    symbols
        Element of every atom.
    frame_interval
        Time between the frames that `chunks` yields, fs.
    temperature
        Temperature of the run, K; None if the files do not tell.
    mobile
        The mobile element, if one was named.
    every
        One frame in so many is taken.
    scheme
        How positions are unwrapped in a changing cell (`unwrapping`).
    """

    sources: tuple[Source, ...]
    symbols: tuple[str, ...]
    frame_interval: Time
    temperature: Temperature | None
    mobile: str | None = None
    every: Count = 1
    scheme: Scheme = "peculiar"

    def chunks(self, frames: int | None = None) -> Iterator[Chunk]:
        """Yield all frames in order, at most `frames` at a time (None: 32 MB); only the last chunk is shorter.

        Raises
        ------
        InputError
            If a file is damaged, its atoms change, its cell is missing, a position is not a number, or the atoms
            move so far between frames that their paths are ambiguous.
        """
        frames = frames_per_chunk(len(self.symbols)) if frames is None else frames
        pieces: list[Chunk] = []
        first = held = 0
        for piece in self._unwrapped():
            pieces.append(piece)
            held += len(piece.positions)
            while held >= frames:
                whole = _joined(pieces, first)
                yield _part(whole, 0, frames)
                first, held = first + frames, held - frames
                pieces = [_part(whole, frames, held)] if held else []
        if held:
            yield _joined(pieces, first)
        if first + held < 2:
            raise one_frame(self._name, f"one frame of every {self.every}" if self.every > 1 else "one frame")

    @property
    def _name(self) -> str:
        return str(self.sources[0].path)

    def _unwrapped(self) -> Iterator[Chunk]:
        """Yield the frames that are taken, unwrapped, in pieces of the size of the reading."""
        unwrapping = Unwrapping(self.scheme, self._name)
        skip = 0
        for source, block, number in self._blocks():
            cells = np.array([frame.cell for frame in block])
            coordinates = np.array([frame.coordinates for frame in block], dtype=float)
            _check(source, number, coordinates, cells)
            fractional = coordinates if source.fractional else np.matmul(coordinates, np.linalg.inv(cells))
            positions = unwrapping.advance(fractional, cells, wrapped=source.wrapped)
            taken = slice(skip, None, self.every)
            skip = (skip - len(block)) % self.every
            if len(positions[taken]):
                energies = _known([frame.energy for frame in block[taken]])
                temperatures = _known([frame.temperature for frame in block[taken]])
                inside = folded(fractional[taken])
                yield Chunk(0, positions[taken], cells[taken], inside, energies, temperatures)
        unwrapping.finish()

    def _blocks(self) -> Iterator[tuple[Source, list[Frame], int]]:
        """Yield source, frames and number of the first in its file."""
        size = max(1, _BLOCK // (24 * len(self.symbols)))
        for source, following in itertools.zip_longest(self.sources, self.sources[1:]):
            block: list[Frame] = []
            number = 0
            for frame in _until(source, following):
                block.append(frame)
                if len(block) == size:
                    yield source, block, number
                    number, block = number + len(block), []
            if block:
                yield source, block, number


def _until(source: Source, following: Source | None) -> Iterator[Frame]:
    """Yield the frames of a file up to the one with which the next begins: what is written twice counts once.

    A run continued from a checkpoint repeats the frames written after it, but not always to the last bit: the
    later file holds. A frame is the same if its positions are, or nearly so at the same step or time.
    """
    if following is None:
        yield from _read(source)
        return
    joint = next(iter(_read(following)))
    comparable = type(source) is type(following)
    for frame in _read(source):
        clocks = (frame.clock, joint.clock) if comparable else (None, None)
        if clocks[0] is None or clocks[1] is None:
            within = SAME_FRAME
        else:
            within = SAME_STEP if math.isclose(clocks[0], clocks[1], rel_tol=1e-9) else 0.0
        if within and _same((source, frame), (following, joint), within):
            return
        yield frame


def _read(source: Source) -> Iterator[Frame]:
    """Yield the frames of a file; whatever its reader stumbles over is one clear error."""
    try:
        yield from source.frames()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  damaged files make readers raise anything
        raise unreadable(
            error, TRAJECTORY.name, where=str(source.path), expected="a whole file of its format", remedy=_AGAIN
        ) from None


def _joined(pieces: list[Chunk], first: int) -> Chunk:
    def column(values: list[Array | None]) -> Array | None:
        present = [value for value in values if value is not None]
        return (
            (present[0] if len(present) == 1 else np.concatenate(present)) if len(present) == len(values) else None
        )

    positions = column([piece.positions for piece in pieces])
    cells = column([piece.cells for piece in pieces])
    fractional = column([piece.fractional for piece in pieces])
    energies = column([piece.energies for piece in pieces])
    temperatures = column([piece.temperatures for piece in pieces])
    assert positions is not None and cells is not None  # noqa: S101, PT018  every piece has them
    return Chunk(first, positions, cells, fractional, energies, temperatures)


def _part(chunk: Chunk, start: int, count: int) -> Chunk:
    def cut(values: Array | None) -> Array | None:
        return None if values is None else values[start : start + count]

    span = slice(start, start + count)
    return Chunk(
        chunk.first + start,
        chunk.positions[span],
        chunk.cells[span],
        cut(chunk.fractional),
        cut(chunk.energies),
        cut(chunk.temperatures),
    )


def _known(values: list[float | None]) -> Array | None:
    present = [value for value in values if value is not None]
    return np.array(present) if len(present) == len(values) else None


def _check(source: Source, first: int, coordinates: Array, cells: Array) -> None:
    good = np.isfinite(coordinates).all(axis=(1, 2)) & np.isfinite(cells).all(axis=(1, 2))
    if not good.all():
        frame = int(np.flatnonzero(~good)[0])
        broken = np.flatnonzero(~np.isfinite(coordinates[frame]).all(axis=1))
        raise InputError(
            f"the position of atom {broken[0]} is not a number" if len(broken) else "the cell is not a number",
            where=f"{source.path}, frame {first + frame}",
            expected="finite numbers",
            remedy="The run failed there: read the frames before, and look into the run.",
        )
    far = np.maximum(np.abs(coordinates).max(axis=(1, 2)), np.abs(cells).max(axis=(1, 2))) > FARTHEST
    if far.any():
        raise InputError(
            f"a coordinate or lattice vector beyond {FARTHEST:g}",
            where=f"{source.path}, frame {first + int(np.flatnonzero(far)[0])}",
            expected="positions in Å",
            remedy="The run exploded there, or the file is damaged: read the frames before.",
        )
    flat = np.abs(np.linalg.det(cells)) < 1e-3
    if flat.any():
        raise InputError(
            "no three-dimensional cell",
            where=f"{source.path}, frame {first + int(np.flatnonzero(flat)[0])}",
            expected="three lattice vectors in every frame",
            remedy="Write the trajectory with its periodic cell.",
        )


def _same(one: tuple[Source, Frame], other: tuple[Source, Frame], within: float) -> bool:
    if np.abs(one[1].cell - other[1].cell).max() >= within:
        return False

    def apart(atoms: slice) -> float:
        first, second = (
            frame.coordinates[atoms] if source.fractional else frame.coordinates[atoms] @ np.linalg.inv(frame.cell)
            for source, frame in (one, other)
        )
        moved = second - first
        return float(np.abs((moved - np.rint(moved)) @ other[1].cell).max())

    # few frames are alike in their first atoms
    return apart(slice(2)) < within and apart(slice(None)) < within


def open_trajectory(
    paths: str | Path | Sequence[str | Path],
    *,
    frame_interval_fs: float | None = None,
    temperature_K: float | None = None,
    mobile: str | None = None,
    types: Types = None,
    every: int = 1,
) -> FileTrajectory:
    """Open files as one trajectory: headers and the first two frames are read and checked, nothing more.

    Formats are told apart by content: VASP XDATCAR, vasprun.xml and vaspout.h5, LAMMPS text dumps, extended XYZ,
    ASE .traj, H5MD, xtc, trr and dcd (with a structure file before them), and ionscape's own; text also compressed
    (gz, bz2, xz). The last, incomplete frame of a killed run is left out with a `TrajectoryWarning`.

    Parameters
    ----------
    paths
        File, or files that continue one another. Where they overlap (a run continued from a checkpoint), the later
        file holds: the earlier one ends before the frame with which the next begins, known by its positions and,
        where the format tells it, its step or time.
    frame_interval_fs
        Time between the frames in the files, fs; None: as the files tell.
    temperature_K
        Temperature of the run, K; None: as the files tell, if they do.
    mobile
        The mobile element, to be checked against the atoms; None: nothing is checked.
    types
        Elements of the atom types where the files do not tell: in the order of their numbers, or by name.
    every
        Take one frame in so many. All frames are read for the unwrapping.

    Raises
    ------
    InputError
        If a file is missing, empty, damaged or of unknown format, holds fewer than two frames, has no cell, tells
        no time between frames and none is given, or does not hold the mobile element; if files do not have the
        same atoms.
    """
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    sources = sources_of(files, types) if files else ()
    if not sources:
        raise InputError("no file", where="trajectory", expected=KNOWN, remedy="Name the file of the trajectory.")
    _check_numbers(frame_interval_fs, temperature_K, every)
    symbols = sources[0].header.symbols
    for source in sources[1:]:
        if source.header.symbols != symbols:
            raise different_atoms(str(source.path), formula(source.header.symbols), formula(symbols))
    _check_mobile(mobile, symbols, str(files[0]))
    _check_beginning(sources)
    interval = _interval(sources) if frame_interval_fs is None else frame_interval_fs
    temperature = _temperature(sources) if temperature_K is None else temperature_K
    return FileTrajectory(sources, symbols, interval * every, temperature, mobile, every)


def _check_mobile(mobile: str | None, symbols: tuple[str, ...], where: str) -> None:
    if mobile is None or mobile in symbols:
        return
    raise InputError(
        f"no atom of {mobile}",
        where=where,
        expected=f"one of the elements {', '.join(dict.fromkeys(symbols))}",
        remedy=nearest(element(mobile) or mobile, set(symbols)),
    )


def _check_numbers(interval: float | None, temperature: float | None, every: int) -> None:
    for name, value in (("frame_interval_fs", interval), ("temperature_K", temperature), ("every", every)):
        if value is not None and not (
            math.isfinite(value) and value > 0 and (name != "every" or value == int(value))
        ):
            whole = "a whole number from 1 on" if name == "every" else "a positive number"
            raise InputError(f"{value}", where=name, expected=whole, remedy="Correct the value.")


def _check_beginning(sources: tuple[Source, ...]) -> None:
    count = 0
    for source in sources:
        for frame in _read(source):
            coordinates = np.asarray(frame.coordinates, dtype=float)[None]
            _check(source, 0, coordinates, np.asarray(frame.cell, dtype=float)[None])
            count += 1
            if count == 2:
                return
    raise one_frame(str(sources[0].path), "one frame")


def one_frame(where: str, found: str) -> InputError:
    """Return the error for a trajectory in which nothing can be seen to move."""
    return InputError(
        found,
        where=where,
        expected="at least two frames",
        remedy="Give the trajectory, not a structure; run longer.",
    )


def _interval(sources: tuple[Source, ...]) -> float:
    told = [source.header.frame_interval for source in sources]
    known = [value for value in told if value is not None]
    if len(known) < len(told):
        hints = "; ".join(dict.fromkeys(source.header.spacing for source in sources if source.header.spacing))
        raise InputError(
            f"the time between frames is not in the file{f' ({hints})' if hints else ''}",
            where=str(sources[told.index(None)].path),
            expected="the time between frames in fs",
            remedy="Give frame_interval_fs (on the command line --frame-interval-fs).",
        )
    if max(known) - min(known) > 1e-6 * max(known):
        raise InputError(
            f"the time between frames changes from {known[0]:g} to {next(v for v in known if v != known[0]):g} fs",
            where=", ".join(str(source.path) for source in sources),
            expected="files of one run, equally spaced",
            remedy="Analyse them separately, or give frame_interval_fs if you know better.",
        )
    return known[0]


def _temperature(sources: tuple[Source, ...]) -> float | None:
    told = {source.header.temperature for source in sources}
    return told.pop() if len(told) == 1 else None
