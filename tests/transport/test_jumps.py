"""Jumps: models with known rates, in sheared cells smaller than the jumps' reach, wrapped and rattling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ionscape.dynamics.trajectory import Chunk
from ionscape.errors import InputError
from ionscape.results import Failure
from ionscape.transport.density import DensityCounter
from ionscape.transport.diffusion_sites import (
    DiffusionSites,
    diffusion_sites,
    sites_of_density,
    sites_of_structure,
)
from ionscape.transport.jumps import (
    HopDiffusion,
    Jumps,
    ResidenceTime,
    correlation_factor,
    find_jumps,
    hop_diffusion,
    jump_network,
    residence_time,
)

A = 3.2
SHEAR = np.array([[1, 0, 0], [1, 1, 0], [-1, 2, 1]])
CELL = 2 * A * SHEAR @ np.eye(3)  # eight sites of a simple cubic lattice, in a sheared cell
STEPS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])


@dataclass
class Run:
    """A trajectory in memory, given wrapped."""

    paths: np.ndarray
    cells: np.ndarray
    frame_interval: float = 5.0
    temperature: float | None = 600.0

    @property
    def symbols(self) -> tuple[str, ...]:
        return ("Na",) * self.paths.shape[1]

    def chunks(self, frames: int = 512):
        for first in range(0, len(self.paths), 701):
            part = self.paths[first : first + 701]
            yield Chunk(first, part @ CELL, self.cells[first : first + 701], part % 1.0)


def walkers(rng: np.random.Generator, frames: int, ions: int, rate: float, back: float = 0.0) -> Run:
    """Walkers on the lattice with `rate` jumps per frame; a jump turns back the last one with probability `back`.

    They rattle by 0.25 Å, in a cell that breathes by 1 %.
    """
    place = np.zeros((frames, ions, 3))
    last = rng.integers(0, 6, ions)
    now = rng.integers(0, 2, (ions, 3)).astype(float)
    for t in range(frames):
        going = np.flatnonzero(rng.random(ions) < rate)
        turn = rng.random(len(going)) < back
        choice = np.where(turn, last[going] ^ 1, rng.integers(0, 6, len(going)))
        now[going] += STEPS[choice]
        last[going] = choice
        place[t] = now
    cells = CELL * (1 + 0.01 * np.sin(np.arange(frames) / 30))[:, None, None]
    return Run((A * place + rng.normal(0, 0.25, place.shape)) @ np.linalg.inv(CELL), cells)


def lattice_sites() -> DiffusionSites:
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3) * A
    return diffusion_sites(corners @ np.linalg.inv(CELL), CELL)


@pytest.fixture(scope="module")
def free() -> Jumps:
    return find_jumps(walkers(np.random.default_rng(0), 20000, 10, 0.01), "Na", lattice_sites())


def test_residence_time_and_rates_of_a_walker(free: Jumps) -> None:
    time = residence_time(free)
    assert isinstance(time, ResidenceTime)
    assert time.low < 500.0 < time.high
    assert time.high / time.low < 1.12
    network = jump_network(free)
    assert len(network) == 8 * 6
    assert [edge.distance for edge in network] == pytest.approx([A] * 48, rel=1e-6)
    inside = [edge.rate.low < 1 / 3000 < edge.rate.high for edge in network]
    assert np.mean(inside) > 0.8
    assert sum(edge.rate.count for edge in network) == free.total


def test_occupations_add_up_to_the_ions(free: Jumps) -> None:
    assert free.occupations.sum() == pytest.approx(10, abs=0.02)
    assert free.occupations == pytest.approx(np.full(8, 1.25), abs=0.25)
    assert 0 < free.outside < 0.01


def test_hop_diffusion_of_a_walker(free: Jumps) -> None:
    hop = hop_diffusion(free)
    assert isinstance(hop, HopDiffusion)
    exact = 0.1 * A**2 / (6 * 500.0)
    assert hop.low < exact < hop.high
    assert hop.high / hop.low < 1.3
    assert np.diag(hop.tensor) == pytest.approx([exact] * 3, rel=0.15)
    assert np.trace(hop.tensor) / 3 == pytest.approx(hop.value)
    assert hop.mean_cosine == pytest.approx(0.0, abs=0.08)


def test_backward_jumps_lower_the_correlation_factor() -> None:
    """f = (1 + <cos>)/(1 − <cos>) for jumps that remember the last one only, <cos> = −back."""
    back = 0.5
    run = walkers(np.random.default_rng(1), 30000, 10, 0.01, back)
    hop = hop_diffusion(find_jumps(run, "Na", lattice_sites()))
    assert isinstance(hop, HopDiffusion)
    assert hop.mean_cosine == pytest.approx(-back, abs=0.05)
    path, lag = run.paths @ CELL, 1500
    windows = np.sum((path[lag:] - path[:-lag]) ** 2, axis=-1).mean()
    tracer = 0.1 * (windows - 6 * 0.25**2) / (6 * lag * 5.0)
    f, low, high = correlation_factor(hop, (tracer, 0.8 * tracer, 1.25 * tracer))
    assert low < (1 - back) / (1 + back) < high
    assert low < f < high


def test_recrossing_the_boundary_is_no_jump() -> None:
    """An ion that swings to the middle between two sites and a bit farther, a thousand times, and comes back."""
    t = np.arange(4000)
    x = 0.54 * A * np.abs(np.sin(t / 20))
    path = np.zeros((4000, 1, 3))
    path[:, 0, 0] = x
    run = Run(path @ np.linalg.inv(CELL), np.repeat(CELL[None], 4000, 0))
    jumps = find_jumps(run, "Na", lattice_sites())
    assert jumps.total == 0
    assert jumps.outside > 0.2
    time, hop = residence_time(jumps), hop_diffusion(jumps)
    assert isinstance(time, Failure)
    assert "above" in time.reason
    assert isinstance(hop, Failure)
    assert jump_network(jumps) == ()


def test_sites_come_out_of_the_density() -> None:
    run = walkers(np.random.default_rng(2), 6000, 10, 0.02)
    counter = DensityCounter(np.arange(10), 0.3)
    for chunk in run.chunks():
        counter.add(chunk)
    density = counter.finish("Na").smoothed(0.25)
    found = sites_of_density(density)
    given = lattice_sites()
    assert len(found.fractional) == 8
    offset = found.fractional[:, None] - given.fractional[None]
    offset -= np.rint(offset)
    nearest = np.linalg.norm(offset @ CELL, axis=-1).min(axis=0)
    assert nearest.max() < 0.15
    assert found.weights.sum() == pytest.approx(1.0, abs=0.01)
    by_density, by_host = find_jumps(run, "Na", found), find_jumps(run, "Na", given)
    assert by_density.total == pytest.approx(by_host.total, rel=0.02)


def test_sites_of_a_structure() -> None:
    from pymatgen.core import Lattice, Structure

    host = Structure(Lattice(CELL), ["Na", "Na", "O"], [[0, 0, 0], [0.5, 0, 0], [0.2, 0.2, 0.2]])
    assert sites_of_structure(host, "Na").fractional == pytest.approx(np.array([[0, 0, 0], [0.5, 0, 0]]))
    with pytest.raises(InputError, match="no Li"):
        sites_of_structure(host, "Li")


def test_wrong_sites_cores_and_species_are_refused() -> None:
    with pytest.raises(InputError, match="apart"):
        diffusion_sites(np.array([[0, 0, 0], [0.999, 0, 0]]), CELL)
    run = walkers(np.random.default_rng(3), 10, 2, 0.1)
    with pytest.raises(InputError, match="overlap"):
        find_jumps(run, "Na", lattice_sites(), core=2.0)
    with pytest.raises(InputError, match="no Li"):
        find_jumps(run, "Li", lattice_sites())
