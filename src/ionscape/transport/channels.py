"""Channels of the host along a run: how large a sphere fits in them, and how large a one passes through.

Sphere diameters are those of Zeo++ (`pyzeo`), one run of its Voronoi network a frame, in worker processes.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np

from ionscape.dynamics.trajectory import Trajectory
from ionscape.dynamics.unwrapping import reduced_basis
from ionscape.errors import CalculationError, InputError
from ionscape.transport.sampled_series import SampledSeries, sampled_series
from ionscape.units import Array, Count, Length, Unit

#: Coordination numbers whose Shannon radius is taken, in this order of preference.
COORDINATIONS = ("VI", "IV", "V", "VIII", "VII", "III", "IX", "X", "XII", "II")


class _Frame(NamedTuple):
    """What a worker needs: lattice, elements, fractional positions, radii."""

    cell: Array
    symbols: tuple[str, ...]
    fractional: Array
    radii: dict[str, float]


@dataclass(frozen=True)
class ChannelSettings:
    """Which frames are looked at, and by how many processes.

    Attributes
    ----------
    stride
        Every so many frames.
    processes
        Worker processes.
    """

    stride: Count = 10
    processes: Count = 2

    def __post_init__(self) -> None:
        if min(self.stride, self.processes) < 1:
            raise InputError(
                f"stride = {self.stride}, processes = {self.processes}",
                where="channel settings",
                expected="whole numbers from 1 on",
                remedy="Correct the settings.",
            )


@dataclass(frozen=True)
class ChannelGeometry:
    """Diameters of the channels of the host over the frames of a run.

    Attributes
    ----------
    free
        d1, the diameter of the largest sphere that passes through the host (Zeo++: D_f), Å.
    included
        d2, the diameter of the largest sphere that fits somewhere along that path (D_if), Å.
    largest
        Diameter of the largest sphere that fits anywhere in the host (D_i), Å.
    radii
        Radius of each element of the host, Å.
    frames
        Indices of the frames.
    """

    free: SampledSeries
    included: SampledSeries
    largest: SampledSeries
    radii: Annotated[dict[str, float], Unit("Å")]
    frames: Annotated[tuple[int, ...], Unit("1")]


def ionic_radius(symbol: str, charge: float) -> Length:
    """Return the effective ionic radius of Shannon, Å, for six neighbours where it is tabulated.

    Otherwise, in this order, for 4, 5, 8, 7, 3, 9, 10, 12 or 2 neighbours: N3− is tabulated for four only.

    Raises
    ------
    InputError
        If the ion is not in the table.

    References
    ----------
    R. D. Shannon, Acta Cryst. A 32, 751 (1976), doi:10.1107/S0567739476001551.
    """
    from pymatgen.core import Element

    table = Element(symbol).data.get("Shannon radii") or {}
    shells = table.get(f"{charge:.0f}", {})
    for coordination in COORDINATIONS:
        spins = shells.get(coordination)
        if spins:
            # high spin, the common state of oxides, where there are two
            return float((spins.get("") or spins.get("High Spin") or next(iter(spins.values())))["ionic_radius"])
    raise InputError(
        f"no Shannon radius of {symbol} with charge {charge:+g}",
        where="radii of the channels",
        expected=f"charges among {', '.join(table) or 'none tabulated'}",
        remedy="Give the radius of this element.",
    )


def channel_geometry(
    trajectory: Trajectory,
    mobile: str,
    radii: Mapping[str, Length],
    settings: ChannelSettings | None = None,
) -> ChannelGeometry:
    """Return d1 and d2 of the host along a run: the mobile ions are left out.

    d1 is the size of the narrowest place of the widest way through the crystal, d2 that of the widest place on it.
    Spheres touch atoms of the given radii. With unequal radii the network of Zeo++ follows the radical planes
    between atoms, and its diameters are not exact.

    Parameters
    ----------
    trajectory
        The run, read once, in chunks.
    mobile
        Element that is left out.
    radii
        Radius of every other element, Å, e.g. from `ionic_radius`.
    settings
        Frames and processes.

    Raises
    ------
    InputError
        If pyzeo is not installed, a radius is missing or not positive, or there are no host atoms.
    CalculationError
        If Zeo++ gives no diameters for a frame.

    References
    ----------
    T. F. Willems, C. H. Rycroft, M. Kazi, J. C. Meza, M. Haranczyk, Microporous Mesoporous Mater. 149, 134 (2012),
    doi:10.1016/j.micromeso.2011.08.020.
    """
    settings = settings or ChannelSettings()
    _check_pyzeo()
    used = _checked_radii(trajectory.symbols, mobile, radii)
    diameters, frames = [], []
    with ProcessPoolExecutor(settings.processes, get_context("spawn"), _silence) as pool:
        waiting = _host_frames(trajectory, mobile, used, settings.stride)
        while batch := list(islice(waiting, 64 * settings.processes)):
            frames += [index for index, _ in batch]
            diameters += list(pool.map(_diameters, [frame for _, frame in batch], chunksize=8))
    values = np.array(diameters).reshape(-1, 3)
    if np.isnan(values).any():
        bad = frames[int(np.flatnonzero(np.isnan(values).any(axis=1))[0])]
        message = f"Zeo++ gave no diameters for frame {bad}"
        raise CalculationError(message)
    largest, free, included = (sampled_series(column) for column in values.T)
    return ChannelGeometry(free, included, largest, used, tuple(frames))


def sphere_diameters(
    cell: Array, symbols: Sequence[str], fractional: Array, radii: Mapping[str, Length]
) -> tuple[Length, Length, Length]:
    """Return D_i, D_f and D_if of one structure, Å, as `channel_geometry` does, without worker processes.

    Zeo++ writes what it does to standard output.

    Raises
    ------
    InputError
        If pyzeo is not installed, or a radius is missing or not positive.
    CalculationError
        If Zeo++ gives no diameters.
    """
    _check_pyzeo()
    frame = _Frame(np.asarray(cell), tuple(symbols), np.asarray(fractional), _checked_radii(symbols, "", radii))
    found = _diameters(frame)
    if np.isnan(found).any():
        message = "Zeo++ gave no diameters"
        raise CalculationError(message)
    return found


def _check_pyzeo() -> None:
    if importlib.util.find_spec("pyzeo") is None:
        raise InputError(
            "pyzeo is not installed",
            where="channels",
            expected="pyzeo, the Python package of Zeo++",
            remedy="Install it: pip install 'ionscape[channels]'.",
        )


def _checked_radii(symbols: Sequence[str], mobile: str, radii: Mapping[str, float]) -> dict[str, float]:
    host = sorted(set(symbols) - {mobile})
    wrong = [name for name in host if not radii.get(name, 0.0) > 0]
    if wrong or not host:
        raise InputError(
            f"no positive radius of {', '.join(wrong)}" if host else "no atoms but the mobile ions",
            where="radii of the channels",
            expected="a positive radius in Å of every element of the host",
            remedy="Give the missing radii.",
        )
    return {name: float(radii[name]) for name in host}


def _host_frames(
    trajectory: Trajectory, mobile: str, radii: dict[str, float], stride: int
) -> Iterator[tuple[int, _Frame]]:
    rows = np.flatnonzero(np.array(trajectory.symbols) != mobile)
    symbols = tuple(trajectory.symbols[k] for k in rows)
    for chunk in trajectory.chunks():
        wanted = [k for k in range(len(chunk.cells)) if (chunk.first + k) % stride == 0]
        folded = chunk.folded()[wanted][:, rows] if wanted else ()
        for k, fractional in zip(wanted, folded, strict=True):
            yield chunk.first + k, _Frame(chunk.cells[k], symbols, fractional, radii)


def _silence() -> None:
    """Send what Zeo++ writes to standard output nowhere: in a worker process, which has nothing else to say."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)


def _diameters(frame: _Frame) -> tuple[float, float, float]:
    """Return D_i, D_f, D_if in Å; not a number where Zeo++ gives none."""
    pyzeo = importlib.import_module("pyzeo")  # not typed, and not always installed
    # Voro++ needs a triangular cell, and its box must not be too skewed
    reduced = reduced_basis(np.ascontiguousarray(frame.cell, dtype=float))
    positions = frame.fractional @ frame.cell @ np.linalg.inv(reduced)
    triangular = np.linalg.cholesky(reduced @ reduced.T)
    positions = (positions - np.floor(positions)) @ triangular
    with tempfile.TemporaryDirectory() as folder:
        source, radii, result = (str(Path(folder) / f"frame.{kind}") for kind in ("v1", "rad", "res"))
        Path(source).write_text(_v1(triangular, frame.symbols, positions), encoding="utf-8")
        table = "".join(f"{name} {radius:.6f}\n" for name, radius in frame.radii.items())
        Path(radii).write_text(table, encoding="utf-8")
        network = pyzeo.AtomNetwork.read_from_V1(source, rad_flag=True, rad_file=radii)
        network.calculate_free_sphere_parameters(result)
        words = Path(result).read_text(encoding="utf-8").split()[-3:] if Path(result).is_file() else []
    try:
        largest, free, included = (float(word) for word in words)
    except ValueError:
        return (float("nan"),) * 3
    return largest, free, included


def _v1(cell: Array, symbols: Sequence[str], positions: Array) -> str:
    """Return a structure in Zeo++'s own V1 format."""
    rows = [f"{name}= {x:.8f} {y:.8f} {z:.8f}" for name, (x, y, z) in zip(("va", "vb", "vc"), cell, strict=True)]
    atoms = [f"{symbol} {x:.8f} {y:.8f} {z:.8f}" for symbol, (x, y, z) in zip(symbols, positions, strict=True)]
    return "\n".join(["Unit cell vectors:", *rows, str(len(symbols)), *atoms, ""])
