"""What a transport analysis returns: frozen, with a reason in the place of everything that could not be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ionscape.results import Failure
from ionscape.transport.bottlenecks import BottleneckEdges
from ionscape.transport.channels import ChannelGeometry
from ionscape.transport.conductivity import (
    CM2_PER_S_PER_A2_PER_FS,
    ConductivityBound,
    HavenRatio,
    IonicConductivity,
)
from ionscape.transport.density import TrajectoryDensity
from ionscape.transport.diffusion import Diffusion, NotDiffusive
from ionscape.transport.displacement import Displacement
from ionscape.transport.hopping import HoppingPicture, SpaceTimePicture
from ionscape.transport.host_mobility import HostMobility
from ionscape.transport.percolation import Axis, Percolation
from ionscape.units import CellArray, Charge, Count, FractionalArray, Temperature, Time, Volume


@dataclass(frozen=True)
class RunSummary:
    """What was analysed.

    Attributes
    ----------
    mobile
        Element of the mobile ions.
    counts
        Atoms of every element.
    n_frames
        Frames after the equilibration.
    frame_interval
        Time between them.
    temperature
        Of the run, or why it is not known.
    charge
        Of a mobile ion.
    volume
        Mean volume of the cell.
    strides
        Analyses that take one frame in so many, and how many.
    notes
        What the reader should know, in sentences.
    """

    mobile: str
    counts: Mapping[str, int]
    n_frames: Count
    frame_interval: Time
    temperature: Temperature | Failure
    charge: Charge
    volume: Volume
    strides: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def run_time(self) -> Time:
        """Time from the first frame to the last, fs."""
        return (self.n_frames - 1) * self.frame_interval

    @property
    def squared_charge_density(self) -> float:
        """Σ z²/V of the mobile ions, e²/Å³."""
        return self.counts[self.mobile] * self.charge**2 / self.volume


@dataclass(frozen=True)
class Host:
    """The atoms that should not diffuse.

    Attributes
    ----------
    symbols, fractional, cell
        Mean structure: elements, fractional positions (atoms, 3), lattice vectors as rows, Å.
    mobility
        What every element does.
    displacements
        Mean-square displacement of every element.
    """

    symbols: tuple[str, ...]
    fractional: FractionalArray
    cell: CellArray
    mobility: Mapping[str, HostMobility | Failure]
    displacements: Mapping[str, Displacement]


@dataclass(frozen=True)
class TransportResult:
    """What a run of molecular dynamics tells about the transport of its mobile ions.

    Attributes
    ----------
    run
        What was analysed.
    displacement
        Mean-square displacement of the mobile ions.
    diffusion, collective
        Self and charge diffusion coefficient, or the bound of a run that is not diffusive.
    conductivity, collective_conductivity
        Nernst–Einstein conductivity, and that of the charge.
    haven
        D_self / D_collective.
    host
        The other atoms.
    space_time
        Van Hove functions, τ1, τ2 and ξ.
    density
        Trajectory density.
    percolation
        Along every lattice vector.
    hopping
        Sites and jumps.
    channels
        d1 and d2.
    edges
        Edges of anions that the paths between sites cross.
    """

    run: RunSummary
    displacement: Displacement | Failure
    diffusion: Diffusion | NotDiffusive | Failure
    collective: Diffusion | NotDiffusive | Failure
    conductivity: IonicConductivity | ConductivityBound | Failure
    collective_conductivity: IonicConductivity | ConductivityBound | Failure
    haven: HavenRatio | Failure
    host: Host | Failure
    space_time: SpaceTimePicture | Failure
    density: TrajectoryDensity | Failure = field(repr=False)
    percolation: Mapping[Axis, Percolation | Failure] | Failure
    hopping: HoppingPicture | Failure
    channels: ChannelGeometry | Failure
    edges: BottleneckEdges | Failure


def in_cm2_per_s(value: float) -> float:
    """Return a diffusion coefficient of Å²/fs in cm²/s."""
    return value * CM2_PER_S_PER_A2_PER_FS
