"""Networks of hops: analytic lattices, percolation, the exact tensor beside kinetic Monte Carlo, its intervals."""

from __future__ import annotations

import numpy as np
import pytest

from ionscape.errors import CalculationError
from ionscape.migration.hops import Hop
from ionscape.migration.network import (
    KnownHop,
    activation_energy,
    dilute_diffusivity,
    hop_network,
    percolation_energies,
)
from ionscape.migration.walk import walked_diffusivity
from ionscape.results import Failure
from ionscape.units import BOLTZMANN_EV_PER_K

TEMPERATURE = 800.0
TRICLINIC = np.array([[4.1, 0.3, -0.6], [1.2, 3.7, 0.4], [-0.8, 1.1, 5.3]])


def hop(copies, mechanism="interstitial") -> Hop:
    rows = np.array(copies, dtype=np.int64)
    start, end, *moved = rows[0].tolist()
    return Hop(mechanism, start, end, tuple(moved), None, 1.0, rows, symmetric=False)


def network_of(lattice, places, *known, mechanism="interstitial"):
    return hop_network(
        lattice, np.array(places), [KnownHop(hop(copies, mechanism), e, b) for copies, e, b in known]
    )


def rate(barrier: float, temperature: float = TEMPERATURE) -> float:
    return 10e-3 * np.exp(-barrier / (BOLTZMANN_EV_PER_K * temperature))


SIMPLE_CUBIC = [[0, 0, *axis] for axis in np.eye(3, dtype=int).tolist()]


@pytest.mark.parametrize("mechanism", ["interstitial", "vacancy"])
def test_a_simple_cubic_lattice_has_its_analytic_diffusivity(mechanism: str) -> None:
    """D = Γ a² with the rate Γ of a hop in one direction: six of them, D = 6 Γ a²/6."""
    a = 3.0
    network = network_of(a * np.eye(3), [[0, 0, 0]], (SIMPLE_CUBIC, 0.3, 0.3), mechanism=mechanism)
    exact = dilute_diffusivity(network, TEMPERATURE, 10.0)
    assert np.allclose(exact, rate(0.3) * a**2 * np.eye(3))
    walked = walked_diffusivity(network, TEMPERATURE, 10.0, np.random.default_rng(1))
    assert walked.low95 < rate(0.3) * a**2 < walked.high95
    assert walked.value == pytest.approx(rate(0.3) * a**2, rel=0.08)


def test_hops_in_series_add_their_times() -> None:
    """A chain of period a with alternate rates: in one period the resistances 1/Γ add, and each site is taken
    half the
    time: D = ½ a² Γ1 Γ2/(Γ1 + Γ2).
    """
    a = 5.0
    network = network_of(
        a * np.eye(3), [[0, 0, 0], [0.4, 0, 0]], ([[0, 1, 0, 0, 0]], 0.2, 0.2), ([[1, 0, 1, 0, 0]], 0.35, 0.35)
    )
    exact = dilute_diffusivity(network, TEMPERATURE, 10.0)
    expected = 0.5 * a**2 * rate(0.2) * rate(0.35) / (rate(0.2) + rate(0.35))
    assert exact[0, 0] == pytest.approx(expected, rel=1e-9)
    assert np.allclose(exact[1:, 1:], 0)


def test_a_trap_slows_by_its_occupation() -> None:
    a, depth = 4.0, 0.15
    network = network_of(
        a * np.eye(3),
        [[0, 0, 0], [0.5, 0, 0]],
        ([[0, 1, 0, 0, 0], [0, 1, -1, 0, 0]], 0.3 + depth, 0.3),
    )
    exact = dilute_diffusivity(network, TEMPERATURE, 10.0)[0, 0]
    occupied = 1 / (1 + np.exp(-depth / (BOLTZMANN_EV_PER_K * TEMPERATURE)))
    # half from hops out of the trap, half from hops back, which are as frequent: ½ · 2 p Γ (a/2)² each
    assert exact == pytest.approx(2 * occupied * rate(0.3 + depth) * (a / 2) ** 2, rel=1e-9)
    assert network.energies.tolist() == pytest.approx([0, depth])


def random_network(seed: int):
    """Return three unequal sites in a triclinic cell, joined every which way, in detailed balance."""
    rng = np.random.default_rng(seed)
    energies = np.array([0.0, 0.05, 0.12])
    rows = [(0, 1, 0, 0, 0), (1, 2, 0, 0, 0), (2, 0, 1, 0, 0), (0, 0, 0, 1, 0), (1, 2, 0, 0, -1), (2, 1, 0, 1, 1)]
    saddles = rng.uniform(0.2, 0.4, len(rows))
    known = [([row], s - energies[row[0]], s - energies[row[1]]) for row, s in zip(rows, saddles, strict=True)]
    return network_of(TRICLINIC, rng.uniform(0, 1, (3, 3)), *known), energies


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_monte_carlo_agrees_with_the_exact_tensor(seed: int) -> None:
    network, energies = random_network(seed)
    assert np.allclose(network.energies, energies)
    assert network.misfit < 1e-12
    exact = dilute_diffusivity(network, TEMPERATURE, 10.0)
    assert np.allclose(exact, exact.T)
    assert np.linalg.eigvalsh(exact).min() > 0
    walked = walked_diffusivity(network, TEMPERATURE, 10.0, np.random.default_rng(seed), walkers=4000, hops=500)
    assert walked.value == pytest.approx(np.trace(exact) / 3, rel=0.08)
    assert np.allclose(walked.along, np.diag(exact), rtol=0.15)


def test_where_sites_are_put_in_the_cell_does_not_matter() -> None:
    """The tensor depends on the net displacement through the crystal only, not on where the sites are drawn."""
    network, _ = random_network(4)
    moved = hop_network.__globals__["HopNetwork"](
        network.lattice,
        network.places + np.array([[0.1, -0.2, 0.3], [0.0, 0.25, 0.1], [-0.3, 0.1, 0.0]]),
        network.energies,
        network.hops,
        network.barriers,
        network.misfit,
    )
    one, other = (dilute_diffusivity(each, TEMPERATURE, 10.0) for each in (network, moved))
    assert np.allclose(one, other)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    network = network_of(3.0 * np.eye(3), [[0, 0, 0]], (SIMPLE_CUBIC, 0.3, 0.3))
    truth = rate(0.3) * 9.0
    covered = 0
    for seed in range(200):
        walked = walked_diffusivity(network, TEMPERATURE, 10.0, np.random.default_rng(seed), walkers=200, hops=100)
        covered += walked.low95 < truth < walked.high95
    assert 180 <= covered <= 199


def test_percolation_is_the_lowest_pass_along_each_axis() -> None:
    network = network_of(
        TRICLINIC,
        [[0, 0, 0], [0.5, 0, 0]],
        ([[0, 1, 0, 0, 0]], 0.2, 0.1),
        ([[1, 0, 1, 0, 0]], 0.4, 0.5),
        ([[0, 0, 0, 1, 0]], 0.7, 0.7),
    )
    found = percolation_energies(network)
    assert found["a"] == pytest.approx(0.5)
    assert found["b"] == pytest.approx(0.7)
    assert isinstance(found["c"], Failure)


def test_a_spiral_percolates_along_every_vector_it_climbs() -> None:
    network = network_of(TRICLINIC, [[0, 0, 0]], ([[0, 0, 1, 0, 1]], 0.3, 0.3))
    found = percolation_energies(network)
    assert found["a"] == found["c"] == pytest.approx(0.3)
    assert isinstance(found["b"], Failure)


def test_the_activation_energy_is_that_of_the_one_barrier() -> None:
    network = network_of(3.0 * np.eye(3), [[0, 0, 0]], (SIMPLE_CUBIC, 0.37, 0.37))
    assert activation_energy(network, 500.0) == pytest.approx(0.37, rel=1e-6)


def test_barriers_that_contradict_one_another_are_told() -> None:
    network = network_of(
        np.eye(3) * 4, [[0, 0, 0], [0.5, 0, 0]], ([[0, 1, 0, 0, 0]], 0.3, 0.2), ([[0, 1, -1, 0, 0]], 0.3, 0.3)
    )
    assert network.misfit == pytest.approx(0.05)


def test_no_hops_are_no_network() -> None:
    with pytest.raises(CalculationError, match="no hop with a barrier"):
        hop_network(np.eye(3), np.zeros((1, 3)), [])
