"""Whole time series of ions, for analyses that need all frames at once: in memory, or on disk where too large."""

from __future__ import annotations

import contextlib
import mmap
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from ionscape.dynamics.drift import atoms_of
from ionscape.dynamics.trajectory import Chunk, Trajectory
from ionscape.errors import InputError
from ionscape.units import Array, CellArray, Indices, LengthArray, Time

#: Spools below this size never touch the disk; bytes.
_IN_MEMORY = 1 << 26


@dataclass(frozen=True)
class Series:
    """Positions of ions at all frames.

    Attributes
    ----------
    positions
        Unwrapped Cartesian positions, Å, or fractional ones in [0, 1), (frames, ions, 3); each ion's frames follow
        one another in memory. A read-only map of a file without a name if `on_disk`.
    cells
        Lattice vectors as rows, Å, (frames, 3, 3).
    frame_interval
        Time between frames, fs.
    symbols
        Elements of the ions.
    on_disk
        Whether the positions were larger than the limit, so that they are on disk.
    """

    positions: LengthArray
    cells: CellArray
    frame_interval: Time
    symbols: tuple[str, ...]
    on_disk: bool


def series(
    trajectory: Trajectory,
    elements: Sequence[str] | None = None,
    *,
    memory_limit_GB: float = 2.0,
    precision: Literal["float32", "float64"] = "float32",
    kind: Literal["unwrapped", "fractional"] = "unwrapped",
    scratch: Path | None = None,
) -> Series:
    """Return the positions of ions at all frames of a trajectory, ion by ion in memory.

    The frames go to a temporary file first; from there they are turned ion by ion, in memory or into a second
    file. Unwrapped positions are rounded to `precision`: float32 keeps 4e-6 Å at 64 Å.

    Parameters
    ----------
    trajectory
        The trajectory, read once.
    elements
        Elements of the ions; None: all atoms.
    memory_limit_GB
        Memory that the positions may take, GB; beyond, they stay on disk.
    precision
        Of the positions.
    kind
        Unwrapped Cartesian positions, or fractional ones in the cells of the frames.
    scratch
        Folder for temporary files; None: the system's.

    Raises
    ------
    InputError
        If there is no atom of an element, or the scratch folder is full.
    """
    atoms = np.arange(len(trajectory.symbols)) if elements is None else atoms_of(trajectory.symbols, elements)
    cells: list[CellArray] = []
    limit = int(memory_limit_GB * 1e9)
    with (
        scratch_full(scratch),
        tempfile.SpooledTemporaryFile(
            max_size=min(_IN_MEMORY, limit // 2), dir=None if scratch is None else str(scratch)
        ) as spool,
    ):
        for chunk in trajectory.chunks():
            spool.write(_wanted(chunk, atoms, kind).astype(precision, copy=False).tobytes())
            cells.append(chunk.cells)
        shape = (len(atoms), sum(len(part) for part in cells), 3)
        positions, on_disk = ion_by_ion(spool, np.dtype(precision), shape, limit, scratch)
    symbols = tuple(trajectory.symbols[atom] for atom in atoms)
    return Series(positions, np.concatenate(cells), trajectory.frame_interval, symbols, on_disk)


def release(array: Array) -> None:
    """Give the memory of a map of a file back to the system; what is read again comes from the file.

    Pages of a map that were read count as memory of the process until something else needs them. Arrays that are
    no map, or a view of one, stay as they are.
    """
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _wanted(chunk: Chunk, atoms: Indices, kind: str) -> LengthArray:
    return chunk.positions[:, atoms] if kind == "unwrapped" else chunk.folded()[:, atoms]


@contextlib.contextmanager
def scratch_full(scratch: Path | None) -> Iterator[None]:
    """Tell as `InputError` that temporary files cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})",
            where=str(scratch or tempfile.gettempdir()),
            expected="space for the positions of all frames, three times",
            remedy="Choose another scratch folder (TMPDIR), fewer elements, or every N-th frame.",
        ) from None


def ion_by_ion(
    spool: IO[bytes], precision: np.dtype[Any], shape: tuple[int, int, int], limit: int, scratch: Path | None
) -> tuple[LengthArray, bool]:
    """Return the frame-by-frame numbers in `spool` ion by ion, seen as (frames, ions, 3), and whether on disk.

    Parameters
    ----------
    spool
        Positions, one frame after another, of `precision`.
    shape
        (ions, frames, 3).
    limit
        Memory that they may take, bytes; beyond it they go to a file without a name in `scratch`.
    """
    ions, frames, _ = shape
    size = ions * frames * 3 * precision.itemsize
    on_disk = size > limit
    per_frame = ions * 3 * precision.itemsize
    step = max(1, min(frames, limit // 4 // per_frame))
    target = tempfile.TemporaryFile(dir=scratch) if on_disk else None  # noqa: SIM115  closed when mapped
    out = np.empty((0, 0, 3) if target else shape, dtype=precision)
    if target:
        target.truncate(size)
    spool.seek(0)
    for first in range(0, frames, step):
        count = min(step, frames - first)
        block = np.frombuffer(spool.read(count * per_frame), dtype=precision).reshape(count, ions, 3)
        if target is None:
            out[:, first : first + count] = block.transpose(1, 0, 2)
            continue
        for ion in range(ions):
            target.seek((ion * frames + first) * 3 * precision.itemsize)
            target.write(np.ascontiguousarray(block[:, ion]).tobytes())
    if target:
        target.flush()
        out = np.memmap(target, dtype=precision, mode="r", shape=shape)
        target.close()
    out.setflags(write=False)
    return out.transpose(1, 0, 2), on_disk
