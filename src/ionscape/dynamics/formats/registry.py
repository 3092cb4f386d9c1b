"""Which format a file has: by what it holds first, then by its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ionscape.dynamics.formats import (
    ase_trajectory,
    extxyz,
    hdf5,
    lammps,
    recorded,
    simulation_packages,
    vasprun,
    xdatcar,
)
from ionscape.dynamics.formats.source import Source, Types
from ionscape.dynamics.formats.text import opened
from ionscape.dynamics.recording import MAGIC
from ionscape.errors import InputError, unreadable

KNOWN = (
    "VASP (XDATCAR, vasprun.xml, vaspout.h5), LAMMPS dump, extended XYZ, ASE .traj, H5MD, "
    "xtc/trr/dcd with a structure file, or a trajectory of ionscape"
)
#: Structure files that may come before a trajectory without elements.
_STRUCTURES = {".gro", ".pdb", ".cif", ".vasp", ".poscar", ".data"}


def sources_of(paths: Sequence[Path], types: Types = None) -> tuple[Source, ...]:
    """Return the sources of the frames of a run, in order.

    A structure file (gro, pdb, cif, POSCAR, LAMMPS data) before binary trajectories names their atoms and gives no
    frames.

    Raises
    ------
    InputError
        If a file is missing, empty, damaged or of unknown format.
    """
    structures = [
        path for path in paths if path.suffix.lower() in _STRUCTURES or path.name in {"POSCAR", "CONTCAR"}
    ]
    needs = any(path.suffix.lower() in simulation_packages.SUFFIXES for path in paths)
    topology = structures[0] if structures and needs else None
    return tuple(_opened(path, types, topology) for path in paths if path != topology)


def _opened(path: Path, types: Types, topology: Path | None) -> Source:
    try:
        source = _source(path, types, topology)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  damaged files make readers raise anything
        raise unreadable(
            error, "a trajectory", where=str(path), expected=KNOWN, remedy="Check that it was copied whole."
        ) from None
    if not source.header.symbols:
        raise InputError("no atoms", where=str(path), expected=KNOWN, remedy="Check that the run wrote it.")
    return source


def _source(path: Path, types: Types, topology: Path | None) -> Source:
    start = _start(path)
    if path.suffix.lower() in simulation_packages.SUFFIXES:
        return simulation_packages.PackageTrajectory(path, topology, types)
    if start.startswith(b"\x89HDF"):
        with hdf5.opened(path) as file:
            h5md = "h5md" in file
        return hdf5.H5md(path, types) if h5md else hdf5.VaspOutput(path, types)
    if start.startswith(MAGIC):
        return recorded.Recording(path, types)
    if start.startswith(b"- of Ulm"):
        return ase_trajectory.AseTrajectory(path, types)
    return _text(path, start, types)


def _text(path: Path, start: bytes, types: Types) -> Source:
    lines = start.split(b"\n")
    if b"<modeling>" in start:
        return vasprun.VaspRun(path, types)
    if start.lstrip().startswith(b"ITEM:"):
        return lammps.LammpsDump(path, types)
    if len(lines) > 1 and lines[0].strip().isdigit():
        return extxyz.ExtendedXyz(path, types)
    if b"\nDirect configuration" in start or path.name.startswith("XDATCAR"):
        return xdatcar.Xdatcar(path, types)
    raise InputError(
        "unknown format", where=str(path), expected=KNOWN, remedy="Convert it, e.g. with ASE to extended XYZ."
    )


def _start(path: Path) -> bytes:
    """Return the first bytes of a file, decompressed."""
    if path.is_dir():
        raise InputError(
            "is a folder", where=str(path), expected="the file of a trajectory", remedy="Give the file in it."
        )
    try:
        with opened(path) as file:
            start = file.read(1 << 14)
    except EOFError:
        start = b""
    if not start.strip():
        raise InputError(
            "empty file", where=str(path), expected="a trajectory", remedy="Check that the run wrote it."
        )
    return start
