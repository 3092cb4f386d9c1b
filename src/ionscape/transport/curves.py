"""What figures need of a transport analysis beside its numbers: arrays by name, small enough to be kept.

========================  ==============================================================================
``displacement/ELEMENT``  time (ps), mean-square displacement (Å²), its standard error (Å²), (n, 3)
``van-hove/times``        times, ps, (n,)
``van-hove/distances``    centres of the bins, Å, (m,)
``van-hove/self``         4πr² G_self, Å⁻¹, (n, m)
``van-hove/distinct``     G_distinct over the mean density, (n, m)
``density/values``        trajectory density at (i/n₁, j/n₂, k/n₃), Å⁻³, (n₁, n₂, n₃)
``density/cell``          mean cell, lattice vectors as rows, Å, (3, 3)
``density/sample``        number of ions and of frames, (2,)
``host/symbols``          elements of the mean host, (atoms,)
``host/fractional``       its fractional positions, (atoms, 3)
``host/cell``             its cell, Å, (3, 3)
``jumps/cell``            cell of the sites, Å, (3, 3)
``jumps/sites``           fractional positions of the sites, (sites, 3)
``jumps/occupations``     mean number of ions at every site, (sites,)
``jumps/edges``           start, end and lattice translation of every connection, (n, 5)
``jumps/counts``          number of jumps along it, (n,)
``channels/d1``, ``d2``   diameters of the channels in every frame looked at, Å, (frames,)
``channels/edge``         mean edge of the bottlenecks in every frame looked at, Å, (frames,)
========================  ==============================================================================

What could not be had is not among them; the record (`records`) tells why.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import unreadable
from ionscape.results import Failure
from ionscape.structures.exchange import replacing
from ionscape.transport.density import TrajectoryDensity
from ionscape.transport.displacement import Displacement
from ionscape.transport.result import TransportResult
from ionscape.units import Array

if TYPE_CHECKING:
    from ase import Atoms

Curves = Mapping[str, NDArray[Any]]
#: Lags of a displacement that are kept: so many short ones, and so many evenly spaced.
SHORT, EVEN = 200, 1500


def transport_curves(result: TransportResult) -> dict[str, NDArray[Any]]:
    """Return the arrays of `result` that figures show; see the table above."""
    return {
        **{f"displacement/{name}": _displacement(one) for name, one in displacements(result).items()},
        **_van_hove(result),
        **_density(result),
        **_jumps(result),
        **_channels(result),
    }


def displacements(result: TransportResult) -> dict[str, Displacement]:
    """Return the mean-square displacement of every element that was analysed, the mobile one first."""
    found: dict[str, Displacement] = {}
    if not isinstance(result.displacement, Failure):
        found[result.run.mobile] = result.displacement
    if not isinstance(result.host, Failure):
        found |= result.host.displacements
    return found


def _displacement(one: Displacement) -> Array:
    n = len(one.times)
    kept = np.unique(np.concatenate([np.arange(min(n, SHORT)), np.linspace(0, n - 1, EVEN).astype(int)]))
    return np.stack([one.times[kept] / 1000, one.total[kept], one.standard_error[kept]], axis=1)


def _van_hove(result: TransportResult) -> dict[str, NDArray[Any]]:
    if isinstance(result.space_time, Failure):
        return {}
    g = result.space_time.functions
    return {
        "van-hove/times": g.times / 1000,
        "van-hove/distances": g.distances,
        "van-hove/self": (g.self_part * 4 * np.pi * g.distances**2).astype(np.float32),
        "van-hove/distinct": g.distinct_part.astype(np.float32),
    }


def _density(result: TransportResult) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    if not isinstance(result.density, Failure):
        density = result.density
        found |= {
            "density/values": density.values.astype(np.float32),
            "density/cell": density.cell,
            "density/sample": np.array([density.ions, density.frames]),
        }
    if not isinstance(result.host, Failure):
        host = result.host
        symbols = np.array(host.symbols)
        found |= {"host/symbols": symbols, "host/fractional": host.fractional, "host/cell": host.cell}
    return found


def _jumps(result: TransportResult) -> dict[str, NDArray[Any]]:
    if isinstance(result.hopping, Failure):
        return {}
    jumps, network = result.hopping.jumps, result.hopping.network
    return {
        "jumps/cell": jumps.sites.cell,
        "jumps/sites": jumps.sites.fractional,
        "jumps/occupations": jumps.occupations,
        "jumps/edges": np.array([(c.start, c.end, *c.translation) for c in network], dtype=int).reshape(-1, 5),
        "jumps/counts": np.array([c.rate.count for c in network], dtype=float),
    }


def _channels(result: TransportResult) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    if not isinstance(result.channels, Failure):
        found |= {"channels/d1": result.channels.free.values, "channels/d2": result.channels.included.values}
    if not isinstance(result.edges, Failure):
        found["channels/edge"] = result.edges.average.values
    return found


def density_of(curves: Curves, species: str) -> TrajectoryDensity | None:
    """Return the trajectory density among `curves`, without its blocks; None if there is none."""
    if "density/values" not in curves:
        return None
    ions, frames = (int(number) for number in curves["density/sample"])
    none = np.zeros((0, *curves["density/values"].shape), dtype=np.uint32)
    values = np.asarray(curves["density/values"], dtype=float)
    return TrajectoryDensity(species, values, curves["density/cell"], ions, frames, none)


def mean_host(curves: Curves) -> Atoms:
    """Return the mean host among `curves`, or nothing in the mean cell where it was not analysed."""
    from ase import Atoms

    if "host/symbols" not in curves:
        return Atoms(cell=curves["density/cell"], pbc=True)
    symbols = [str(symbol) for symbol in curves["host/symbols"]]
    return Atoms(symbols, scaled_positions=curves["host/fractional"], cell=curves["host/cell"], pbc=True)


def write_curves(curves: Curves, path: Path) -> Path:
    """Write `curves` to `path` (NumPy's .npz, compressed), and return it."""
    with replacing(path) as part, part.open("wb") as file:
        arrays: dict[str, Any] = dict(curves)
        np.savez_compressed(file, **arrays)
    return path


def read_curves(path: Path) -> dict[str, NDArray[Any]]:
    """Return the curves that `write_curves` wrote.

    Raises
    ------
    InputError
        If the file is missing or is something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise unreadable(
            error,
            "curves of a transport analysis",
            where=str(path),
            expected="the file that the transport stage wrote",
            remedy="Run `ionscape run` again; it writes the file anew from the stored calculations.",
        ) from None
