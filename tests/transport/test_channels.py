"""Channels: Zeo++ against geometry and against a grid, errors of correlated series, edges of known octahedra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from scipy.spatial import cKDTree

from ionscape.dynamics.trajectory import Chunk
from ionscape.errors import InputError
from ionscape.transport.bottlenecks import bottleneck_edges, jump_middles, neighbour_middles
from ionscape.transport.channels import ChannelSettings, channel_geometry, ionic_radius, sphere_diameters
from ionscape.transport.diffusion_sites import diffusion_sites
from ionscape.transport.jumps import Connection, Rate
from ionscape.transport.percolation import percolation_levels
from ionscape.transport.sampled_series import sampled_series

SHEAR = np.array([[1, 0, 0], [1, 1, 0], [-2, 1, 1]])


@dataclass
class Run:
    """A trajectory in memory."""

    fractional: np.ndarray
    cells: np.ndarray
    symbols: tuple[str, ...]
    frame_interval: float = 1.0
    temperature: float | None = None

    def chunks(self, frames: int = 512):
        for first in range(0, len(self.cells), 7):
            part = self.fractional[first : first + 7]
            cells = self.cells[first : first + 7]
            yield Chunk(first, part @ cells, cells, part % 1.0)


@pytest.mark.parametrize("shear", [np.eye(3), SHEAR])
def test_spheres_in_a_simple_cubic_lattice(shear: np.ndarray) -> None:
    pytest.importorskip("pyzeo", reason="make install-channels")
    cell = 4.0 * shear @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    largest, free, included = sphere_diameters(cell, ["O"], np.array([[0.3, 0.1, 0.7]]), {"O": 1.0})
    assert largest == pytest.approx(4 * np.sqrt(3) - 2, abs=1e-4)
    assert free == pytest.approx(4 * np.sqrt(2) - 2, abs=1e-4)
    assert included == pytest.approx(4 * np.sqrt(3) - 2, abs=1e-4)


def test_diameters_of_an_irregular_host_are_those_of_a_grid() -> None:
    """The distance to the nearest surface, on a fine grid: its maximum, and the highest level that percolates."""
    pytest.importorskip("pyzeo", reason="make install-channels")
    rng = np.random.default_rng(3)
    cell = np.array([[7.0, 0, 0], [2.0, 6.5, 0], [-1.0, 1.5, 7.5]])
    fractional = (np.indices((2, 2, 2)).reshape(3, -1).T + rng.normal(0, 0.15, (8, 3))) / 2
    symbols = ["O"] * 8
    largest, free, _ = sphere_diameters(cell, symbols, fractional, {"O": 1.3})
    n = 120
    grid = np.indices((n, n, n)).reshape(3, -1).T / n
    images = fractional[:, None] + (np.indices((3, 3, 3)).reshape(3, -1).T - 1)[None]
    distance, _ = cKDTree(images.reshape(-1, 3) @ cell).query(grid @ cell)
    room = np.clip(distance - 1.3, 0, None).reshape(n, n, n)
    levels, _ = percolation_levels(room, cell)
    assert 2 * room.max() == pytest.approx(largest, abs=0.06)
    assert 2 * levels.max() * room.max() == pytest.approx(free, abs=0.08)


def test_channels_of_a_run_follow_its_cell() -> None:
    pytest.importorskip("pyzeo", reason="make install-channels")
    frames = 24
    scale = 1 + 0.02 * np.sin(np.arange(frames))
    cells = 4.0 * np.eye(3) * scale[:, None, None]
    fractional = np.repeat(np.array([[[0, 0, 0], [0.5, 0.5, 0.5]]]), frames, 0)
    run = Run(fractional, cells, ("O", "Li"))
    found = channel_geometry(run, "Li", {"O": 1.0}, ChannelSettings(stride=4, processes=1))
    assert found.frames == (0, 4, 8, 12, 16, 20)
    assert found.free.values == pytest.approx(4 * np.sqrt(2) * scale[::4] - 2, abs=1e-4)
    assert found.included.mean > found.free.mean
    assert found.radii == {"O": 1.0}


def test_missing_radii_and_settings_are_refused() -> None:
    pytest.importorskip("pyzeo", reason="make install-channels")
    run = Run(np.zeros((3, 2, 3)), np.repeat(np.eye(3)[None] * 4, 3, 0), ("O", "Li"))
    with pytest.raises(InputError, match="no positive radius of O"):
        channel_geometry(run, "Li", {"Zr": 0.7})
    with pytest.raises(InputError, match="stride"):
        ChannelSettings(stride=0)


def test_without_pyzeo_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install"):
        sphere_diameters(np.eye(3) * 4, ["O"], np.zeros((1, 3)), {"O": 1.0})


def test_shannon_radii() -> None:
    """Shannon 1976, Table 1: O2− VI 1.40, Zr4+ VI 0.72, Li+ VI 0.76, N3− IV 1.46."""
    radii = [ionic_radius(*ion) for ion in (("O", -2), ("Zr", 4), ("Li", 1), ("N", -3))]
    assert radii == pytest.approx([1.40, 0.72, 0.76, 1.46])
    with pytest.raises(InputError, match="no Shannon radius of O"):
        ionic_radius("O", 3)


def test_error_of_a_correlated_series() -> None:
    """Autoregressive series with memory a: n_eff = n (1 − a)/(1 + a)."""
    rng, a, n = np.random.default_rng(1), 0.9, 40_000
    x = np.zeros(n)
    for k in range(1, n):
        x[k] = a * x[k - 1] + rng.normal()
    series = sampled_series(x)
    assert series.effective == pytest.approx(n * (1 - a) / (1 + a), rel=0.2)
    assert sampled_series(rng.normal(size=n)).effective == pytest.approx(n, rel=0.1)
    assert sampled_series(np.ones(5)).error == 0.0
    with pytest.raises(InputError, match="at least two"):
        sampled_series(np.ones(1))


@pytest.mark.parametrize("shear", [np.eye(3), SHEAR])
def test_edge_between_octahedra(shear: np.ndarray) -> None:
    """Rock salt, a = 4.4 Å: a jump between neighbouring octahedra crosses an edge of a/√2 = 3.11 Å."""
    a = 4.4
    cell = a * shear.astype(float)
    anions = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) @ np.linalg.inv(shear)
    octahedra = anions + np.array([0.5, 0, 0]) @ np.linalg.inv(shear)
    sites = diffusion_sites(octahedra, cell)
    run = Run(
        np.repeat(np.concatenate([anions, octahedra])[None], 20, 0),
        cell[None] * (1 + 0.01 * np.cos(np.arange(20)))[:, None, None],
        ("O",) * 4 + ("Li",) * 4,
    )
    middles = neighbour_middles(sites)
    assert len(middles) == 24
    edges = bottleneck_edges(run, ["O"], middles, stride=5)
    assert len(edges.edges) == 24
    expected = a / np.sqrt(2) * (1 + 0.01 * np.cos(np.arange(0, 20, 5)))
    assert edges.shortest.values == pytest.approx(expected)
    assert edges.average.values == pytest.approx(expected)
    one = Connection(0, 1, (0, 0, 0), a / np.sqrt(2), Rate(1, 1.0, 0.5, 2.0))
    assert len(jump_middles(sites, [one, one])) == 1
    with pytest.raises(InputError, match="0 anions"):
        bottleneck_edges(run, ["N"], middles)


def test_chabazite_has_its_published_diameters() -> None:
    """Framework CHA of the Database of Zeolite Structures (Baerlocher & McCusker, iza-structure.org/databases).

    Spheres of 7.37 Å are included there and of 3.72 Å diffuse, along all axes, from a Delaunay triangulation of
    the oxygen atoms (Foster, Rivin, Treacy & Delgado Friedrichs, doi:10.1016/j.micromeso.2005.08.025). Their
    difference does not depend on the radius of oxygen; with 1.35 Å both are 0.06 Å smaller here, with 1.32 Å
    they are equal.
    """
    pytest.importorskip("pyzeo", reason="make install-channels")
    oxygen = [
        (0.902, 0.098, 0.1227),
        (0.9767, 0.9767 - 2 / 3, 1 / 6),
        (0.12025, 0.2405, 0.1315),
        (0.0, 0.2577, 0.0),
    ]
    lattice = Lattice.hexagonal(13.675, 14.767)
    sites = [(0.9997, 0.2264, 0.1051), *oxygen]
    framework = Structure.from_spacegroup("R-3m", lattice, ["Si", *["O"] * 4], sites)
    assert framework.composition.formula == "Si36 O72"
    framework.remove_species(["Si"])
    cell = framework.lattice.matrix
    largest, free, included = sphere_diameters(cell, ["O"] * 72, framework.frac_coords, {"O": 1.35})
    assert largest - free == pytest.approx(7.37 - 3.72, abs=0.015)
    assert largest == pytest.approx(7.37, abs=0.08)
    assert included == pytest.approx(largest, abs=1e-4)
