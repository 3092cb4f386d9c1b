"""Trajectories in HDF5: VASP's vaspout.h5 and H5MD. They need the package h5py."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ionscape.dynamics.formats.source import Frame, Header, Types, elements_of, from_settings, malformed
from ionscape.errors import InputError, unreadable
from ionscape.units import Array

#: Frames read at a time.
_FRAMES = 256
_IONS = "intermediate/ion_dynamics"
_LENGTHS = {"angstrom": 1.0, "a": 1.0, "å": 1.0, "nm": 10.0, "pm": 0.01, "": 1.0}
_TIMES = {"fs": 1.0, "ps": 1000.0, "ns": 1e6}


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Provide an HDF5 file open for reading.

    Raises
    ------
    InputError
        If h5py is not installed, or the file cannot be read.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise missing_package(path, "h5py", "HDF5 files") from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise unreadable(
            error,
            "an HDF5 file",
            where=str(path),
            expected="a whole vaspout.h5 or H5MD file",
            remedy="An HDF5 file of a killed run may be lost; VASP's vasprun.xml and XDATCAR of the run are not.",
        ) from None
    with file:
        yield file


def missing_package(path: Path, package: str, purpose: str) -> InputError:
    """Return the error for a format whose package is not installed."""
    return InputError(
        f"{purpose} need the package {package}, which is not installed",
        where=str(path),
        expected=f"{package}",
        remedy=f"pip install {package.split(' ', maxsplit=1)[0]}",
    )


class VaspOutput:
    """A vaspout.h5 of VASP 6, which holds positions every max(NBLOCK, ML_OUTBLOCK) steps."""

    fractional = True
    wrapped = True

    def __init__(self, path: Path, types: Types = None) -> None:
        self.path = path
        with opened(path) as file:
            for name in (f"{_IONS}/position_ions", f"{_IONS}/lattice_vectors", "results/positions/ion_types"):
                if name not in file:
                    raise malformed(str(path), f"no data set {name}", "the vaspout.h5 of molecular dynamics")
            names = [name.decode() for name in file["results/positions/ion_types"][()]]
            counts = file["results/positions/number_ion_types"][()]
            labels = [name for name, count in zip(names, counts, strict=True) for _ in range(int(count))]
            tags = {name.upper(): _plain(value[()]) for name, value in file.get("input/incar", {}).items()}
            self._scale = float(np.ravel(file["results/positions/scale"][()])[0]) if _scaled(file) else 1.0
        interval, temperature = from_settings(tags, ("NBLOCK", "ML_OUTBLOCK"))
        self.header = Header(elements_of(labels, types, str(path)), interval, temperature)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order."""
        with opened(self.path) as file:
            positions, cells = file[f"{_IONS}/position_ions"], file[f"{_IONS}/lattice_vectors"]
            for first in range(0, len(positions), _FRAMES):
                span = slice(first, first + _FRAMES)
                block = zip(positions[span], cells[span] * self._scale, strict=True)
                for place, cell in block:
                    yield Frame(np.asarray(place, dtype=float), cell)


def _scaled(file: Any) -> bool:
    return "results/positions/scale" in file


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


class H5md:
    """An H5MD file (https://nongnu.org/h5md): the first group of particles, with its box, images and times."""

    fractional = False

    def __init__(self, path: Path, types: Types = None) -> None:
        self.path = path
        with opened(path) as file:
            groups = [name for name, group in file.get("particles", {}).items() if "position" in group]
            if not groups or "box" not in file["particles"][groups[0]]:
                raise malformed(str(path), "no positions with a box in the group particles", "an H5MD trajectory")
            self._group = f"particles/{groups[0]}"
            group = file[self._group]
            if "edges" not in group["box"]:
                raise malformed(str(path), f"no cell ({self._group}/box/edges)", "a periodic cell")
            self._unit = _LENGTHS.get(_unit(group["position/value"]).lower(), 1.0)
            self.wrapped = "image" not in group
            labels = _labels(group, len(group["position/value"][0]))
            self.header = Header(elements_of(labels, types, str(path)), _interval(group["position"]))

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order."""
        with opened(self.path) as file:
            group = file[self._group]
            positions = group["position/value"]
            for first in range(0, len(positions), _FRAMES):
                places = np.asarray(positions[first : first + _FRAMES], dtype=float)
                cells = self._cells(group["box/edges"], first, len(places))
                if "image" in group:
                    images = group["image/value"] if "value" in group["image"] else group["image"]
                    places = places + np.matmul(np.asarray(images[first : first + _FRAMES], dtype=float), cells)
                yield from (
                    Frame(self._unit * place, self._unit * cell) for place, cell in zip(places, cells, strict=True)
                )

    def _cells(self, edges: Any, first: int, count: int) -> Array:
        """Return the cells of the frames, (count, 3, 3), from fixed or changing edges or lattice vectors."""
        changing = hasattr(edges, "keys")
        values = np.asarray(edges["value"][first : first + count] if changing else edges[()], dtype=float)
        if not changing:
            values = np.broadcast_to(values, (count, *values.shape))
        return values if values.ndim == 3 else values[:, :, None] * np.eye(3)


def _unit(dataset: Any) -> str:
    return str(_plain(dataset.attrs.get("unit", "")))


def _interval(position: Any) -> float | None:
    """Return the time between frames, fs, from explicit times or from the increment that stands for them."""
    if "time" not in position:
        return None
    times = position["time"]
    unit = _TIMES.get(_unit(times))
    if unit is None or times.shape == (1,):
        return None
    values = times[()]
    return float(values if times.ndim == 0 else values[1] - values[0]) * unit


def _labels(group: Any, atoms: int) -> list[str]:
    if "species" not in group:
        return ["1"] * atoms
    species = group["species"]
    if hasattr(species, "keys"):
        species = species["value"]
    names = importlib.import_module("h5py").check_enum_dtype(species.dtype) or {}
    values = [int(value) for value in (species[()] if species.ndim == 1 else species[0])]
    known = {value: name for name, value in names.items()} or _atomic_numbers(set(values))
    return [str(known.get(value, value)) for value in values]


def _atomic_numbers(values: set[int]) -> dict[int, str]:
    """Return the symbols of species that are atomic numbers; none if they are a count 0, 1, 2, … of types."""
    from ase.data import chemical_symbols

    counted = max(values) - min(values) + 1 == len(values) and min(values) in {0, 1}
    if counted or min(values) < 1 or max(values) >= len(chemical_symbols):
        return {}
    return {value: chemical_symbols[value] for value in values}
