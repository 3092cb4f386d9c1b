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
from ionscape.transport.jump_tracking import Jumps
from ionscape.transport.jumps import (
    HopDiffusion,
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


@pytest.mark.parametrize("edge", [2, 5])
def test_jumps_are_those_of_a_plain_search_through_all_sites(edge: int) -> None:
    """Random sites in a sheared cell that changes from frame to frame, small and large against the cores."""
    rng = np.random.default_rng(edge)
    cell = edge * SHEAR @ np.diag([2.0, 2.2, 1.9])
    places = rng.random((4 * edge**2, 3))
    kept = [0]
    for k in range(1, len(places)):
        offset = places[kept] - places[k]
        if np.linalg.norm((offset - np.rint(offset)) @ cell, axis=1).min() > 1.0:
            kept.append(k)
    sites = diffusion_sites(places[kept], cell)
    cells = cell * (1 + 0.03 * rng.standard_normal((150, 1, 1)))
    paths = rng.random((1, 6, 3)) + np.cumsum(rng.normal(0, 0.25 / edge, (150, 6, 3)), axis=0)
    found = find_jumps(Wandering(paths, cells), "Na", sites)
    edges, stay = plain_jumps(paths, cells, sites, found.core)
    assert found.total == len(edges) > 3
    told, counts = np.unique(np.array(edges), axis=0, return_counts=True)
    np.testing.assert_array_equal(found.edges, told)
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_array_equal(found.stay, stay)
    assert found.squares.sum() == pytest.approx((found.counts * (found.vectors**2).sum(axis=1)).sum())


class Wandering(Run):
    """Unwrapped positions in the cells of the frames, chunks of seven."""

    def chunks(self, frames: int = 7):
        for first in range(0, len(self.paths), 7):
            part, cells = self.paths[first : first + 7], self.cells[first : first + 7]
            yield Chunk(first, part @ cells, cells, part % 1.0)


def plain_jumps(paths, cells, sites: DiffusionSites, core: float) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """Return the path of every jump, and the stays, from the distances to all images of all sites."""
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    edges, stay = [], np.zeros(len(sites.fractional), int)
    for ion in range(paths.shape[1]):
        now = None
        for place, cell in zip(paths[:, ion], cells, strict=True):
            near = np.floor(place) + shifts[:, None]
            apart = np.linalg.norm((place - sites.fractional - near) @ cell, axis=-1)
            image, site = np.unravel_index(int(apart.argmin()), apart.shape)
            if apart[image, site] <= core:
                here = (int(site), *(np.floor(place) + shifts[image]).astype(int).tolist())
                if now is not None and here != now:
                    edges.append((now[0], here[0], *(b - a for a, b in zip(now[1:], here[1:], strict=True))))
                now = here
            if now is not None:
                stay[now[0]] += 1
    return edges, stay


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


def test_sites_of_a_large_cell_are_those_of_a_small_one_many_times() -> None:
    """A thousand sites: each holds a smaller share of the density than the least one of a small cell."""
    edge, rng = 10, np.random.default_rng(4)
    corners = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), -1).reshape(-1, 3) / edge
    cell = edge * A * np.array([[1.0, 0.0, 0.0], [0.2, 1.0, 0.0], [-0.1, 0.3, 1.0]])
    counter = DensityCounter(np.arange(edge**3), 0.4)
    for first in range(0, 60, 20):
        inside = (corners + rng.normal(0, 0.25, (20, edge**3, 3)) @ np.linalg.inv(cell)) % 1.0
        counter.add(Chunk(first, inside @ cell, np.repeat(cell[None], 20, 0), inside))
    found = sites_of_density(counter.finish("Na").smoothed(0.25))
    assert len(found.fractional) == edge**3
    assert found.separation == pytest.approx(A, abs=0.4)
    assert diffusion_sites(corners, cell).separation == pytest.approx(shortest(corners, cell))


def shortest(fractional: np.ndarray, cell: np.ndarray) -> float:
    """Return the shortest distance from the first of equivalent sites to any other, images included."""
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    apart = np.linalg.norm((fractional - fractional[0] + shifts) @ cell, axis=-1)
    return float(apart[apart > 1e-6].min())


def test_the_shortest_distance_of_one_site_is_that_to_its_image() -> None:
    cell = np.array([[3.0, 0.0, 0.0], [2.9, 3.0, 0.0], [0.0, 5.8, 4.0]])
    assert diffusion_sites(np.array([[0.3, 0.1, 0.7]]), cell).separation == pytest.approx(
        shortest(np.zeros((1, 3)), cell)
    )


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
