"""Binary trajectories of GROMACS, CHARMM, NAMD, Amber, … (xtc, trr, dcd, nc) through MDAnalysis or chemfiles.

They hold no elements: a structure file given before them (gro, pdb, cif, POSCAR, extxyz, …) names the atoms.
"""

from __future__ import annotations

import importlib
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ionscape.dynamics.formats.hdf5 import missing_package
from ionscape.dynamics.formats.lammps_run import atom_types_of_data, is_data_file, run_beside, steps_apart
from ionscape.dynamics.formats.source import Frame, Header, Types, different_atoms, element, elements_of
from ionscape.errors import InputError, unreadable
from ionscape.units import Array

SUFFIXES = {".xtc", ".trr", ".dcd", ".nc", ".ncdf"}
#: Formats whose times are sure; DCD writers fill in what they like, but LAMMPS has a log.
_WITH_TIME = {".xtc", ".trr", ".nc", ".ncdf"}


class PackageTrajectory:
    """A trajectory in a format that MDAnalysis or chemfiles reads.

    Parameters
    ----------
    path
        The trajectory.
    topology
        Structure file that names the atoms.
    types
        Elements of atom names, where the names are not elements.
    """

    fractional = False
    wrapped = True

    def __init__(self, path: Path, topology: Path | None, types: Types = None) -> None:
        self.path = path
        if topology is None:
            raise InputError(
                "no elements in the file",
                where=str(path),
                expected="a structure file (gro, pdb, cif, POSCAR, LAMMPS data, …) before the trajectory",
                remedy=f"Give both, e.g. system.gro {path.name}.",
            )
        names, known = _named(topology)
        symbols = elements_of(names, types or known, str(topology))
        self.header = Header(symbols, self._interval(symbols))

    def _interval(self, symbols: tuple[str, ...]) -> float | None:
        if self.path.suffix.lower() not in _WITH_TIME:
            run = run_beside(self.path)
            return steps_apart(run.every, run)
        times = [time for _, time in itertools.islice(self._raw(symbols), 2) if time is not None]
        return (times[1] - times[0]) * 1000.0 or None if len(times) > 1 else None

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order."""
        for frame, _ in self._raw(self.header.symbols):
            yield frame

    def _raw(self, symbols: tuple[str, ...]) -> Iterator[tuple[Frame, float | None]]:
        try:
            for index, (positions, cell, time) in enumerate(_frames(self.path)):
                if len(positions) != len(symbols):
                    raise different_atoms(
                        f"{self.path}, frame {index}", f"{len(positions)} atoms", f"{len(symbols)}"
                    )
                yield Frame(positions, cell, clock=time if self.path.suffix.lower() in _WITH_TIME else None), time
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  readers raise anything
            raise unreadable(
                error,
                "a trajectory",
                where=str(self.path),
                expected="a whole file of its format",
                remedy="Check that the run wrote it, and that it was copied whole.",
            ) from None


def _frames(path: Path) -> Iterator[tuple[Array, Array, float | None]]:
    """Yield positions (Å), cell (Å) and time (ps) with whichever package is installed."""
    for package, read in (("MDAnalysis", _with_mdanalysis), ("chemfiles", _with_chemfiles)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(package)
        except ImportError:
            continue
        yield from read(module, path)
        return
    raise missing_package(path, "MDAnalysis (or chemfiles)", f"{path.suffix} files")


def _with_mdanalysis(module: Any, path: Path) -> Iterator[tuple[Array, Array, float | None]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = module.coordinates.core.reader(str(path))
        try:
            for step in reader:
                cell = np.zeros((3, 3)) if step.dimensions is None else step.triclinic_dimensions
                yield np.array(step.positions, dtype=float), np.array(cell, dtype=float), float(step.time)
        finally:
            reader.close()


def _with_chemfiles(module: Any, path: Path) -> Iterator[tuple[Array, Array, float | None]]:
    with module.Trajectory(str(path)) as trajectory:
        for _ in range(trajectory.nsteps):
            frame = trajectory.read()
            time = frame["time"] if "time" in frame.list_properties() else None
            yield np.array(frame.positions), np.array(frame.cell.matrix).T, time


def _named(topology: Path) -> tuple[list[str], Types]:
    """Return the names of the atoms in a structure file, and the elements of names that are numbers of types."""
    if is_data_file(topology):
        return atom_types_of_data(topology)
    return atom_names(topology), None


def atom_names(topology: Path) -> list[str]:
    """Return the names of the atoms in a structure file, elements where the file has them."""
    suffix = topology.suffix.lower()
    if suffix == ".gro":
        lines = topology.read_text(encoding="utf-8").splitlines()
        return [line[10:15].strip() for line in lines[2 : 2 + int(lines[1])]]
    if suffix == ".pdb":
        lines = [
            row for row in topology.read_text(encoding="utf-8").splitlines() if row[:6] in {"ATOM  ", "HETATM"}
        ]
        return [row[76:78].strip() if element(row[76:78]) else row[12:16].strip() for row in lines]
    from ase.io import read

    try:
        names: list[str] = read(topology).get_chemical_symbols()
    except Exception as error:  # noqa: BLE001
        raise unreadable(
            error,
            "a structure",
            where=str(topology),
            expected="a structure file (gro, pdb, cif, POSCAR, …)",
            remedy="Give another structure file with the atoms in the order of the trajectory.",
        ) from None
    return names
