"""How the mobile ions hop: in space and time (van Hove), and from site to site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionscape.errors import InputError
from ionscape.results import Failure
from ionscape.transport.conductivity import CM2_PER_S_PER_A2_PER_FS
from ionscape.transport.correlation_length import CorrelationLength, correlation_length
from ionscape.transport.density import TrajectoryDensity, trajectory_density
from ionscape.transport.diffusion import Diffusion, NotDiffusive
from ionscape.transport.diffusion_sites import sites_of_density
from ionscape.transport.held_run import HeldRun
from ionscape.transport.hopping_times import HoppingTime, concerted_onset, first_jump_time
from ionscape.transport.jump_tracking import Jumps
from ionscape.transport.jumps import (
    Connection,
    HopDiffusion,
    ResidenceTime,
    correlation_factor,
    find_jumps,
    hop_diffusion,
    jump_network,
    residence_time,
)
from ionscape.transport.settings import TransportSettings
from ionscape.transport.van_hove import VanHove, van_hove
from ionscape.transport.van_hove_settings import VanHoveSettings
from ionscape.units import Count, Number

#: Frames of which van Hove functions are made at most; of longer runs, every so many.
MOST_FRAMES = 100_000
#: Memory that the frames over the longest time may take, bytes.
WINDOW_BYTES = 1 << 27


@dataclass(frozen=True)
class SpaceTimePicture:
    """Van Hove functions of the mobile ions and what is read off them.

    Attributes
    ----------
    functions
        G_self and G_distinct.
    first_jump, concerted_onset
        τ1 and τ2.
    correlation_length
        ξ.
    stride
        One frame in so many was used.
    """

    functions: VanHove
    first_jump: HoppingTime | Failure
    concerted_onset: HoppingTime | Failure
    correlation_length: CorrelationLength | Failure
    stride: Count


@dataclass(frozen=True)
class CorrelationFactor:
    """D_tracer / D_hop with its 95 % interval; 1 where jumps do not remember the last one."""

    value: Number
    low95: Number
    high95: Number


@dataclass(frozen=True)
class HoppingPicture:
    """Sites, and jumps between them.

    Attributes
    ----------
    jumps
        All jumps.
    network
        The edges of the jump network, most frequent first.
    residence
        Mean time between jumps.
    diffusion
        D of the jumps without correlation.
    correlation
        D_tracer / D_hop.
    """

    jumps: Jumps
    network: tuple[Connection, ...]
    residence: ResidenceTime | Failure
    diffusion: HopDiffusion | Failure
    correlation: CorrelationFactor | Failure


def space_time_picture(ions: HeldRun, settings: TransportSettings, rng: np.random.Generator) -> SpaceTimePicture:
    """Return the van Hove functions of the mobile ions, τ1, τ2 and ξ.

    Raises
    ------
    InputError
        If the longest time that the settings ask for is not shorter than the run.
    """
    stride = -(-len(ions.cells) // MOST_FRAMES)
    run = ions.thinned(stride)
    frames = len(run.cells)
    affordable = max(1, WINDOW_BYTES // (24 * len(run.symbols)))
    longest = max(1, min(frames // 2, affordable))
    if settings.longest_time_ps is not None:
        longest = max(1, round(settings.longest_time_ps * 1000 / run.frame_interval))
    species = run.symbols[0], run.symbols[0]
    wanted = VanHoveSettings(longest, r_max=settings.r_max_A, threads=settings.threads)
    functions = van_hove(run, species, wanted, frames)
    try:
        length: CorrelationLength | Failure = correlation_length(functions, rng, resamples=settings.resamples)
    except InputError as error:
        length = Failure(str(error))
    return SpaceTimePicture(
        functions,
        first_jump_time(functions, rng, settings.resamples),
        concerted_onset(functions, rng, settings.resamples),
        length,
        stride,
    )


def hopping_picture(
    ions: HeldRun,
    density: TrajectoryDensity | Failure,
    tracer: Diffusion | NotDiffusive | Failure,
    settings: TransportSettings,
) -> HoppingPicture:
    """Return the sites that the density shows, and the jumps between them.

    Parameters
    ----------
    ions
        The mobile ions.
    density
        Their trajectory density; a failure: it is made here.
    tracer
        Their self-diffusion, for the correlation factor.
    settings
        Grid and smoothing of the density.

    Raises
    ------
    InputError
        If the density has no sites.
    """
    if isinstance(density, Failure):
        density = trajectory_density(ions, ions.symbols[0], settings.grid_A)
    jumps = find_jumps(ions, ions.symbols[0], sites_of_density(density.smoothed(settings.smoothing_A)))
    hop = hop_diffusion(jumps)
    return HoppingPicture(jumps, jump_network(jumps), residence_time(jumps), hop, _correlation(hop, tracer))


def _correlation(
    hop: HopDiffusion | Failure, tracer: Diffusion | NotDiffusive | Failure
) -> CorrelationFactor | Failure:
    if isinstance(hop, Failure):
        return hop
    if not isinstance(tracer, Diffusion):
        return Failure(f"no tracer diffusion coefficient: {tracer.reason}")
    scaled = [CM2_PER_S_PER_A2_PER_FS * x for x in (tracer.value, tracer.low95, tracer.high95)]
    return CorrelationFactor(*correlation_factor(hop, (scaled[0], scaled[1], scaled[2])))
