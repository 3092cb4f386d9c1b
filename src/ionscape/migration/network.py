r"""The network of hops of one carrier in a crystal: where it percolates, and how fast the carrier diffuses.

A *carrier* is what wanders: the interstitial ion, or the vacancy, which goes against the ion. Barriers are
those of an isolated carrier; carriers do not see one another (the dilute limit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ionscape.errors import CalculationError
from ionscape.migration.hops import Hop
from ionscape.results import Failure, frozen
from ionscape.units import (
    BOLTZMANN_EV_PER_K,
    Array,
    CellArray,
    DiffusivityArray,
    Energy,
    EnergyArray,
    FractionalArray,
    Indices,
    Temperature,
)

Axis = Literal["a", "b", "c"]
AXES: tuple[Axis, ...] = ("a", "b", "c")
#: THz in 1/fs.
PER_FS = 1e-3


@dataclass(frozen=True)
class KnownHop:
    """A hop and its barriers in eV: forward from its start, backward from its end, as the *ion* goes."""

    hop: Hop
    forward: Energy
    backward: Energy


@dataclass(frozen=True)
class HopNetwork:
    """All hops of one carrier in one cell, both ways.

    Attributes
    ----------
    lattice
        Lattice vectors as rows, (3, 3).
    places
        Sites of the carrier, (n, 3).
    energies
        Energy of the carrier at every site above the lowest, (n,); least squares over all hops.
    hops
        Start, end, and lattice translation of the end relative to the start, (m, 5).
    barriers
        Of every hop, (m,).
    misfit
        Largest difference between a hop's energy difference and that of the site energies: what the barriers of
        different hops contradict one another by.
    """

    lattice: CellArray
    places: FractionalArray
    energies: EnergyArray
    hops: Indices
    barriers: EnergyArray
    misfit: Energy

    @property
    def vectors(self) -> Array:
        """Displacement of the carrier in every hop, (m, 3), Å."""
        ends = self.places[self.hops[:, 1]] + self.hops[:, 2:] - self.places[self.hops[:, 0]]
        vectors: Array = ends @ self.lattice
        return vectors

    def rates(self, temperature: Temperature, attempt_THz: float) -> Array:
        """Return ν exp(−E/k_B T) of every hop, 1/fs, with the barriers made consistent with the site energies.

        From either side the same saddle is reached, so that the rates obey detailed balance exactly.
        """
        above = self.saddles() - self.energies[self.hops[:, 0]]
        rates: Array = attempt_THz * PER_FS * np.exp(-above / (BOLTZMANN_EV_PER_K * temperature))
        return rates

    def saddles(self) -> EnergyArray:
        """Return the energy of every saddle above the lowest site, (m,), the same for a hop and its reverse."""
        start = self.energies[self.hops[:, 0]] + self.barriers
        order = {tuple(row): k for k, row in enumerate(self.hops.tolist())}
        back = [order[(j, i, -a, -b, -c)] for i, j, a, b, c in self.hops.tolist()]
        mean: Array = (start + start[back]) / 2
        return mean

    def occupation(self, temperature: Temperature) -> Array:
        """Return the probability of every site in equilibrium, (n,)."""
        weights = np.exp(-self.energies / (BOLTZMANN_EV_PER_K * temperature))
        chances: Array = weights / weights.sum()
        return chances


def hop_network(lattice: CellArray, places: FractionalArray, known: Sequence[KnownHop]) -> HopNetwork:
    """Return the network of the carrier from the barriers of distinct hops and all their symmetry copies.

    For vacancy mechanisms the carrier goes from the end of the ion's hop to its start.

    Raises
    ------
    CalculationError
        If there is no hop.
    """
    table: dict[tuple[int, ...], list[float]] = {}
    for one in known:
        there, back = one.forward, one.backward
        if one.hop.mechanism in {"vacancy", "divacancy"}:  # the vacancy goes the other way over the same saddle
            there, back = back, there
        for start, end, *moved in one.hop.copies.tolist():
            table.setdefault((start, end, *moved), []).append(there)
            table.setdefault((end, start, *(-x for x in moved)), []).append(back)
    if not table:
        message = "no hop with a barrier: there is no network"
        raise CalculationError(message)
    rows = sorted(table)
    hops = np.array(rows, dtype=np.int64)
    barriers = np.array([np.mean(table[row]) for row in rows])
    energies, misfit = _site_energies(hops, barriers, len(places))
    return HopNetwork(frozen(lattice), frozen(places), frozen(energies), hops, frozen(barriers), misfit)


def _site_energies(hops: Indices, barriers: Array, count: int) -> tuple[Array, float]:
    """Return the site energies whose differences fit those of the hops best, and the largest misfit.

    A hop i → j over barrier E and its reverse over E' tell E_j − E_i = E − E'.
    """
    order = {tuple(row): k for k, row in enumerate(hops.tolist())}
    back = [order[(j, i, -a, -b, -c)] for i, j, a, b, c in hops.tolist()]
    differences = barriers - barriers[back]
    design = np.zeros((len(hops), count))
    design[np.arange(len(hops)), hops[:, 1]] += 1
    design[np.arange(len(hops)), hops[:, 0]] -= 1
    energies = np.linalg.lstsq(design, differences, rcond=None)[0]
    misfit = float(np.abs(design @ energies - differences).max())
    used = np.unique(hops[:, :2])
    return energies - energies[used].min(), misfit


def percolation_energies(network: HopNetwork) -> dict[Axis, Energy | Failure]:
    """Return the percolation energy of the carrier along every lattice vector, eV.

    The least energy, above the lowest site, to which saddles must be open for a path that leads through the
    crystal along that vector: saddles are opened from the lowest up, and places joined, until a set of them
    closes on itself in another cell.
    """
    saddles = network.saddles()
    parent = list(range(len(network.places)))
    image = np.zeros((len(parent), 3), dtype=np.int64)
    found: dict[Axis, Energy | Failure] = {}
    for k in np.argsort(saddles, kind="stable"):
        start, end = int(network.hops[k, 0]), int(network.hops[k, 1])
        (a, to_a), (b, to_b) = (_root(parent, image, site) for site in (start, end))
        winding = to_a - network.hops[k, 2:] - to_b
        if a != b:
            parent[b], image[b] = a, winding
            continue
        for axis in np.flatnonzero(winding):
            found.setdefault(AXES[axis], float(saddles[k]))
    reason = "the hops found do not connect the crystal along this vector"
    return {axis: found.get(axis, Failure(reason)) for axis in AXES}


def _root(parent: list[int], image: Indices, site: int) -> tuple[int, Indices]:
    """Return the root of the set of a site, and the cell of the site relative to that of the root.

    The site in cell c belongs to the root in cell c + (returned vector).
    """
    moved = np.zeros(3, dtype=np.int64)
    while parent[site] != site:
        moved = moved + image[site]
        site = parent[site]
    return site, moved


def dilute_diffusivity(network: HopNetwork, temperature: Temperature, attempt_THz: float) -> DiffusivityArray:
    r"""Return the diffusion tensor of one carrier, (3, 3), exactly.

        D = ½ Σ_i p_i Σ_{i→j} Γ_ij u_ij u_ijᵀ,  u_ij = d_ij + χ_j − χ_i,

    with displacements d, occupations p, rates Γ, and the corrections χ for which Σ_j Γ_ij u_ij = 0 at every site
    (the forward–backward correlation of hops on unequal sites).

    References
    ----------
    Trinkle, Phys. Rev. Lett. 121, 235901 (2018), doi:10.1103/PhysRevLett.121.235901.
    """
    rates, vectors = network.rates(temperature, attempt_THz), network.vectors
    start, end = network.hops[:, 0], network.hops[:, 1]
    scale = rates.max()
    if not scale > 0:
        message = f"all rates vanish at {temperature:g} K"
        raise CalculationError(message)
    rates = rates / scale
    count = len(network.places)
    flow, drift = np.zeros((count, count)), np.zeros((count, 3))
    np.add.at(flow, (start, end), rates)
    np.add.at(flow, (start, start), -rates)
    np.add.at(drift, start, rates[:, None] * vectors)
    weights = network.occupation(temperature)
    symmetric = weights[:, None] * flow
    correction = np.linalg.lstsq((symmetric + symmetric.T) / 2, -weights[:, None] * drift, rcond=1e-12)[0]
    moved = vectors + correction[end] - correction[start]
    tensor: Array = 0.5 * scale * np.einsum("k,ka,kb->ab", weights[start] * rates, moved, moved)
    return tensor


def activation_energy(network: HopNetwork, temperature: Temperature) -> Energy:
    """Return −d ln D / d(1/k_B T) of the mean of the diffusion tensor's diagonal at a temperature, eV."""
    step = 0.01
    hot, cold = temperature * (1 + step), temperature * (1 - step)
    logs = [np.log(np.trace(dilute_diffusivity(network, t, 1.0))) for t in (hot, cold)]
    inverse = [1 / (BOLTZMANN_EV_PER_K * t) for t in (hot, cold)]
    return float(-(logs[0] - logs[1]) / (inverse[0] - inverse[1]))
