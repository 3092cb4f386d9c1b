"""Everything a trajectory tells about ion transport: one driver over the analyses of this room.

The files are read once (`held_run`). What cannot be had is a `Failure` with its reason; only what makes the
trajectory itself unusable is raised.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ionscape.dynamics.drift import seen_from_host
from ionscape.dynamics.trajectory import Chunk, Trajectory, TrajectoryWarning
from ionscape.errors import CalculationError, InputError
from ionscape.results import Failure, frozen
from ionscape.transport.bottlenecks import BottleneckEdges, bottleneck_edges, jump_middles, neighbour_middles
from ionscape.transport.channels import ChannelGeometry, ChannelSettings, channel_geometry
from ionscape.transport.charge_guess import anions_of, formal_charge, radii_of
from ionscape.transport.conductivity import (
    ConductivityBound,
    HavenRatio,
    IonicConductivity,
    conductivity,
    conductivity_bound,
    haven_ratio,
)
from ionscape.transport.density import TrajectoryDensity, trajectory_density
from ionscape.transport.diffusion import Diffusion, NotDiffusive, collective_diffusion, diffusion
from ionscape.transport.displacement import mean_squared_displacement
from ionscape.transport.held_run import HeldRun, held_run
from ionscape.transport.hopping import HoppingPicture, SpaceTimePicture, hopping_picture, space_time_picture
from ionscape.transport.host_mobility import host_mobility
from ionscape.transport.percolation import Axis, Percolation, percolation
from ionscape.transport.result import Host, RunSummary, TransportResult
from ionscape.transport.settings import ANALYSES, TransportSettings
from ionscape.units import Array, Length

T = TypeVar("T")
NOT_ASKED = Failure("not asked for")
#: Coarsest grid on which percolation is sought, Å: a fifth of a hop.
COARSEST = 0.5
#: Ratio of spacings from which on a grid counts as coarser: cells breathe.
COARSER = 1.02
#: Connections whose bottlenecks are measured, the most frequent ones, and edges at most, over all frames.
PATHS, EDGES = 50, 5000
_NO_TEMPERATURE = "no temperature: neither the files nor the options tell it"


def analyse_transport(
    trajectory: Trajectory,
    settings: TransportSettings,
    rng: np.random.Generator | None = None,
    scratch: Path | None = None,
) -> TransportResult:
    """Return everything that `settings` asks of a trajectory.

    Parameters
    ----------
    trajectory
        The run, from `dynamics.readers.open_trajectory` or any other source; read once, its drift taken out here.
    settings
        Which analyses, and how fine.
    rng
        Source of the bootstrap resamples; None: a fixed one.
    scratch
        Folder for positions that are more than `memory_limit_GB`; None: the system's for temporary files.

    Raises
    ------
    InputError
        If the trajectory is damaged, holds no mobile ions or too few frames, or an analysis that was asked for by
        name needs a temperature and there is none.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrajectoryWarning)
        ions, others, kelvin = _read(trajectory, settings, notes, scratch)
    for warning in caught:
        if issubclass(warning.category, TrajectoryWarning):
            notes.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    _need_temperature(kelvin, settings)
    return _Analysis(ions, others, kelvin, settings, rng or np.random.default_rng(0)).result(notes)


def _read(
    trajectory: Trajectory, settings: TransportSettings, notes: list[str], scratch: Path | None
) -> tuple[HeldRun, HeldRun | None, float | Failure]:
    watched = _Thermometer(trajectory, settings.skip_ps * 1000)
    source: Trajectory = watched
    if set(trajectory.symbols) - {settings.mobile}:
        source = seen_from_host(watched, settings.mobile)
    else:
        notes.append(f"All atoms are {settings.mobile}: no host, no drift taken out.")
    limit, skip = settings.memory_limit_GB, settings.skip_ps * 1000
    ions, others = held_run(source, settings.mobile, skip=skip, memory_limit_GB=limit, scratch=scratch)
    told = trajectory.temperature
    if told is None and watched.mean is not None:
        notes.append(f"The temperature is the mean of the frames, {watched.mean:.1f} K.")
        told = watched.mean
    return ions, others, Failure(_NO_TEMPERATURE) if told is None else float(told)


def _need_temperature(kelvin: float | Failure, settings: TransportSettings) -> None:
    wanted = [name for name in ("conductivity",) if name in settings.analyses]
    if isinstance(kelvin, Failure) and wanted and settings.analyses != ANALYSES:
        raise InputError(
            kelvin.reason,
            where=wanted[0],
            expected="the temperature of the run in K",
            remedy="Give temperature_K (on the command line --temperature-K).",
        )


class _Thermometer:
    """A trajectory that remembers the mean of the temperatures that pass by."""

    def __init__(self, trajectory: Trajectory, skip: float) -> None:
        self._trajectory, self._first = trajectory, skip / trajectory.frame_interval
        self.symbols, self.frame_interval = trajectory.symbols, trajectory.frame_interval
        self.temperature = trajectory.temperature
        self._sum, self._count = 0.0, 0

    @property
    def mean(self) -> float | None:
        return self._sum / self._count if self._count and self._sum > 0 else None

    def chunks(self, frames: int | None = None) -> Any:
        for chunk in self._trajectory.chunks() if frames is None else self._trajectory.chunks(frames):
            self._read(chunk)
            yield chunk

    def _read(self, chunk: Chunk) -> None:
        if chunk.temperatures is not None:
            part = chunk.temperatures[max(0, int(np.ceil(self._first)) - chunk.first) :]
            self._sum, self._count = self._sum + float(part.sum()), self._count + len(part)


def attempted(calculate: Callable[[], T]) -> T | Failure:
    """Return what `calculate` returns, or why it could not."""
    try:
        return calculate()
    except (InputError, CalculationError) as error:
        return Failure(str(error))


class _Analysis:
    """The analyses of one run, one after another."""

    def __init__(
        self,
        ions: HeldRun,
        others: HeldRun | None,
        kelvin: float | Failure,
        settings: TransportSettings,
        rng: np.random.Generator,
    ) -> None:
        self.ions, self.others, self.kelvin, self.settings, self.rng = ions, others, kelvin, settings, rng
        self.positions: Array = ions.positions
        self.strides: dict[str, int] = {}
        self.notes: list[str] = []

    def asked(self, name: str, calculate: Callable[[], T]) -> T | Failure:
        """Return an analysis if it was asked for."""
        return attempted(calculate) if name in self.settings.analyses else NOT_ASKED

    def result(self, notes: list[str]) -> TransportResult:
        """Return all results."""
        charge = formal_charge(self.settings.mobile, self.settings.charge_e, notes)
        counts = {name: self.ions.symbols.count(name) for name in dict.fromkeys(self.ions.symbols)}
        if self.others is not None:
            host = self.others.symbols
            counts |= {name: host.count(name) for name in dict.fromkeys(host)}
            self.strides["host"] = self.others.stride
        volume = float(np.abs(np.linalg.det(self.ions.cells)).mean())
        motion = self._motion(charge, volume)
        paths = self._paths(motion["diffusion"])
        channels = self.asked("channels", lambda: self._channels(counts))
        edges = self.asked("channels", lambda: self._edges(paths["hopping"]))
        found = self.asked("host", self._host)
        run = RunSummary(
            self.ions.symbols[0],
            counts,
            len(self.ions.cells),
            self.ions.frame_interval,
            self.kelvin,
            charge,
            volume,
            {name: stride for name, stride in self.strides.items() if stride > 1},
            (*notes, *self.notes),
        )
        return TransportResult(run=run, host=found, channels=channels, edges=edges, **motion, **paths)

    def _motion(self, charge: float, volume: float) -> dict[str, Any]:
        """Return displacement, diffusion and conductivity, by the names of the result."""
        interval, threads = self.ions.frame_interval, self.settings.threads
        alone = self.asked("diffusion", lambda: diffusion(self.positions, interval, workers=threads))
        charges = np.full(len(self.ions.symbols), charge)
        together = self.asked("conductivity", lambda: self._together(alone, charges))
        squared = len(charges) * charge**2 / volume
        return {
            "displacement": self.asked(
                "diffusion", lambda: mean_squared_displacement(self.positions, interval, workers=threads)
            ),
            "diffusion": alone,
            "collective": together,
            "conductivity": self.asked("conductivity", lambda: self._conductivity(self._self(alone), squared)),
            "collective_conductivity": self.asked("conductivity", lambda: self._conductivity(together, squared)),
            "haven": self.asked("conductivity", lambda: _haven(self._self(alone), together)),
        }

    def _paths(self, alone: Diffusion | NotDiffusive | Failure) -> dict[str, Any]:
        """Return van Hove functions, density and jumps, by the names of the result."""
        ions, settings = self.ions, self.settings
        density = self.asked("density", lambda: trajectory_density(ions, ions.symbols[0], settings.grid_A))
        if isinstance(density, TrajectoryDensity) and density.spacing > COARSER * settings.grid_A:
            self.notes.append(
                f"Density on a grid of {density.spacing:.2f} Å: the cell is too large for a finer one."
            )
        space_time = self.asked("van-hove", lambda: space_time_picture(ions, settings, self.rng))
        if isinstance(space_time, SpaceTimePicture):
            self.strides["van-hove"] = space_time.stride
        return {
            "space_time": space_time,
            "density": density,
            "percolation": self.asked("density", lambda: self._percolation(density)),
            "hopping": self.asked("jumps", lambda: hopping_picture(ions, density, alone, settings)),
        }

    def _together(
        self, alone: Diffusion | NotDiffusive | Failure, charges: Array
    ) -> Diffusion | NotDiffusive | Failure:
        """Return the collective coefficient; none where ions for themselves stay or fly."""
        if isinstance(alone, NotDiffusive) and not alone.imprecise:
            return Failure(f"the ions do not diffuse each for itself: {alone.reason}")
        return collective_diffusion(self.positions, charges, self.ions.frame_interval)

    def _self(self, alone: Diffusion | NotDiffusive | Failure) -> Diffusion | NotDiffusive | Failure:
        if alone is not NOT_ASKED:
            return alone
        return attempted(lambda: diffusion(self.positions, self.ions.frame_interval))

    def _conductivity(
        self, found: Diffusion | NotDiffusive | Failure, squared: float
    ) -> IonicConductivity | ConductivityBound | Failure:
        if isinstance(self.kelvin, Failure):
            return self.kelvin
        if isinstance(found, Failure):
            return found
        if isinstance(found, NotDiffusive):
            return conductivity_bound(found, squared, self.kelvin)
        return conductivity(found, squared, self.kelvin)

    def _percolation(self, density: TrajectoryDensity | Failure) -> Mapping[Axis, Percolation | Failure] | Failure:
        if isinstance(self.kelvin, Failure):
            return self.kelvin
        if isinstance(density, Failure):
            return density
        spacing = percolation_spacing(density, self.settings.grid_A)
        if spacing > COARSER * density.spacing:
            self.notes.append(
                f"Percolation on a grid of {spacing:.2f} Å: {density.samples} positions fill no finer."
            )
            density = trajectory_density(self.ions, density.species, spacing)
        return percolation(density, self.kelvin)

    def _host(self) -> Host | Failure:
        if self.others is None:
            return Failure(f"all atoms are {self.settings.mobile}")
        symbols, moved, mobility = np.array(self.others.symbols), {}, {}
        for name in dict.fromkeys(self.others.symbols):
            rows = self.others.positions[:, symbols == name]
            moved[name] = mean_squared_displacement(rows, self.others.frame_interval)
            mobility[name] = host_mobility(rows, self.others.frame_interval)
        turns = np.exp(2j * np.pi * self.others.fractional.astype(float)).mean(axis=0)
        place = np.mod(np.angle(turns) / (2 * np.pi), 1.0)
        return Host(self.others.symbols, frozen(place), frozen(self.others.cells.mean(axis=0)), mobility, moved)

    def _channels(self, counts: Mapping[str, int]) -> ChannelGeometry | Failure:
        if self.others is None:
            return Failure(f"all atoms are {self.settings.mobile}")
        if importlib.util.find_spec("pyzeo") is None:  # told before radii are asked for
            return Failure("pyzeo is not installed: pip install 'ionscape[channels]'")
        radii = radii_of(counts, self.settings.mobile, self.settings.radii_A)
        thinned = self.others.thinned(max(1, len(self.others.cells) // self.settings.channel_frames))
        self.strides["channels"] = thinned.stride
        return channel_geometry(thinned, self.settings.mobile, radii, ChannelSettings(1, self.settings.threads))

    def _edges(self, hopping: HoppingPicture | Failure) -> BottleneckEdges | Failure:
        if self.others is None or isinstance(hopping, Failure):
            return Failure(getattr(hopping, "reason", f"all atoms are {self.settings.mobile}"))
        sites, anions = hopping.jumps.sites, anions_of(self.others.symbols)
        if not anions:
            return Failure("the host has no anions")
        network = hopping.network[:PATHS]
        middles = jump_middles(sites, network) if network else neighbour_middles(sites)
        frames = max(10, min(self.settings.channel_frames, EDGES // len(middles)))
        thinned = self.others.thinned(max(1, len(self.others.cells) // frames))
        self.strides["edges"] = thinned.stride
        return bottleneck_edges(thinned, anions, middles, 1)


def _haven(
    alone: Diffusion | NotDiffusive | Failure, together: Diffusion | NotDiffusive | Failure
) -> HavenRatio | Failure:
    if isinstance(alone, Diffusion) and isinstance(together, Diffusion):
        return haven_ratio(alone, together)
    lacking = [(n, x) for n, x in (("self", alone), ("charge", together)) if not isinstance(x, Diffusion)]
    name, why = lacking[0]
    return Failure(f"no diffusion coefficient ({name}): {getattr(why, 'reason', '')}")


def percolation_spacing(density: TrajectoryDensity, finest: Length) -> Length:
    """Return the spacing, Å, from `finest` to 0.5 Å, at which a voxel sees four positions on average.

    On a finer grid the noise of voxels that nobody happened to visit cuts every path.
    """
    voxel = 4 * abs(float(np.linalg.det(density.cell))) / density.samples
    finest = max(finest, density.spacing)
    return float(np.clip(voxel ** (1 / 3), finest, max(finest, COARSEST)))
