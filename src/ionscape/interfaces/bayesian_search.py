r"""Bayesian search of the registry with what is known of contacts: period, symmetry, overlaps, cheap energies.

The energy per contact at a shift x = (t, z) is taken as

.. math:: E(x) = c + (1 + b)\,m(x) + g(x), \quad g ∼ \mathrm{GP}(0, σ²\,k_D(t, t')\,e^{-(z - z')²/2ℓ_z²}),

m a cheap energy of the same shifts (rigid slabs), known everywhere and perhaps wrong by a factor; c and b free,
with wide normal priors; k_D periodic in the lattice of non-identical displacements and with its symmetry
(`covariance`). σ, ℓ, ℓ_z and the noise are not fitted but averaged over, with the weight of their evidence: five
points fix none of them. Energies far above the lowest are compressed by a logarithm, so that one steep contact
does not rule the scale.

Shifts at which atoms overlap are never asked for; a shift that failed is not given a made-up energy but lowers the
chance that its neighbours succeed, by which the expected improvement is multiplied. Batches are made by believing
the mean (kriging believer; Ginsbourger, Le Riche & Carraro 2010, doi:10.1007/978-3-642-10701-6_6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ionscape.interfaces.covariance import LateralWaves, squared_exponential
from ionscape.interfaces.displacements import DisplacementCell
from ionscape.interfaces.gaussian_process import Posterior, posterior
from ionscape.interfaces.registry_trace import Objective, SearchTrace, Visited
from ionscape.units import Array, Energy, EnergyArray, LengthArray

#: Correlation lengths averaged over, lateral and normal, Å.
LATERAL_LENGTHS = (0.4, 0.6, 0.9, 1.35, 2.0)
NORMAL_LENGTHS = (0.3, 0.7, 1.6)
#: Standard deviations of g, and noise, averaged over; relative to the scale of the energies.
DEVIATIONS = (0.1, 0.25, 0.6, 1.5)
NOISES = (0.01, 0.1)
#: Standard deviations of c and b, the first relative to the scale of the energies.
OFFSET, SLOPE = 10.0, 0.5
#: How far a failure speaks for its surroundings, Å.
FAILURE_LENGTH = 0.4
#: Starts without a cheap energy: random, then farthest from what is known.
BLIND_STARTS = 3


@dataclass(frozen=True)
class SearchRules:
    """When the search ends, and how many shifts it asks for at a time.

    Attributes
    ----------
    tolerance
        Expected improvement, eV, below which the search ends.
    min_evaluations, max_evaluations
        Evaluations before it may end, and at which it must.
    batch
        Shifts asked for together.
    patience
        Batches still asked for after the expected improvement fell below the tolerance: a few points can agree by
        chance.
    """

    tolerance: Energy
    min_evaluations: int = 5
    max_evaluations: int = 30
    batch: int = 1
    patience: int = 2


@dataclass(frozen=True)
class SearchSpace:
    """What is searched.

    Attributes
    ----------
    candidates
        Shifts, (n, 3), Å: lateral in the plane, then normal.
    cell
        The cell of non-identical displacements.
    allowed
        Where no atoms overlap, (n,).
    cheap
        A cheap energy at every candidate, (n,), eV, not a number where there is none; or None.
    normal_matters
        Whether the energy depends on the normal shift; not where the evaluation lets the distance relax.
    """

    candidates: LengthArray
    cell: DisplacementCell
    allowed: NDArray[np.bool_]
    cheap: EnergyArray | None = None
    normal_matters: bool = True


def bayesian_search(
    space: SearchSpace, objective: Objective, rng: np.random.Generator, rules: SearchRules
) -> SearchTrace:
    """Return the search of `space` for the shift of lowest energy.

    Parameters
    ----------
    space
        Candidates, with what is known of them.
    objective
        What evaluates shifts, a batch at a time.
    rng
        Chooses the first start where there is no cheap energy.
    rules
        Batch and end.

    Raises
    ------
    CalculationError
        Never here: if all evaluations fail, `SearchTrace.best` raises it.
    """
    visited = Visited(space.candidates, objective)
    excluded = int((~space.allowed).sum())
    _start(visited, space, rng, rules)
    model, settled = ContactModel(space), 0
    while True:
        room = min(rules.max_evaluations, int(space.allowed.sum())) - len(visited.order)
        if room <= 0:
            return visited.trace(excluded, f"{len(visited.order)} evaluations were made")
        if not visited.known[0]:
            chosen, gain = _farthest(visited, space, 1), np.inf
        else:
            chosen, gain = _proposed(visited, model, min(rules.batch, room))
        settled = settled + 1 if gain < rules.tolerance else 0
        if settled > rules.patience and len(visited.order) >= rules.min_evaluations:
            return visited.trace(excluded, f"the expected improvement fell below {rules.tolerance:.3g} eV")
        visited.evaluate(chosen, "expected improvement")


def _start(visited: Visited, space: SearchSpace, rng: np.random.Generator, rules: SearchRules) -> None:
    """Begin at the lowest cheap energy, or without one at a random shift and the farthest from it."""
    allowed = np.flatnonzero(space.allowed)
    if not len(allowed):
        return
    if space.cheap is not None and np.isfinite(space.cheap[allowed]).any():
        first = allowed[np.nanargmin(space.cheap[allowed])]
        visited.evaluate([int(first)], "lowest cheap energy")
        return
    visited.evaluate([int(rng.choice(allowed))], "start")
    for _ in range(min(BLIND_STARTS, rules.max_evaluations, len(allowed)) - 1):
        visited.evaluate(_farthest(visited, space, 1), "start")


def _farthest(visited: Visited, space: SearchSpace, count: int) -> list[int]:
    """Return the allowed candidates farthest from all visited ones and their equivalents."""
    known = space.candidates[visited.order]
    lateral = space.cell.distances(space.candidates[:, :2], known[:, :2])
    distance = np.hypot(lateral, space.candidates[:, 2, None] - known[None, :, 2]).min(axis=1)
    distance[~space.allowed] = -1.0
    distance[visited.order] = -1.0
    return [int(i) for i in np.argsort(-distance, kind="stable")[:count]]


def _proposed(visited: Visited, model: ContactModel, batch: int) -> tuple[list[int], float]:
    """Return the next candidates, and the expected improvement by the first of them, eV."""
    indices, energies = visited.known
    chance = model.chance(indices, visited.failed)
    chosen: list[int] = []
    first = 0.0
    for _ in range(batch):
        believed, best = model.posterior(indices, energies)
        gain = believed.expected_improvement(best) * chance
        gain[[*visited.order, *chosen]] = -1.0
        gain[~model.space.allowed] = -1.0
        index = int(np.argmax(gain))
        first = first if chosen else float(gain[index])
        if gain[index] < 0:
            break
        chosen.append(index)
        mean = model.unwarped(float(believed.overall_mean()[index]), energies)
        indices, energies = [*indices, index], np.append(energies, mean)
    return chosen, first * model.scale


class ContactModel:
    """What is believed of the energies of all candidates.

    Parameters
    ----------
    space
        The candidates, with what is known of them.

    Attributes
    ----------
    scale
        Energies are counted in units of this, eV; set by the cheap energies or else by the observed ones.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.scale = 1.0
        waves = LateralWaves(space.cell, space.candidates[:, :2], LATERAL_LENGTHS[0])
        self._lateral = [waves.features(length) for length in LATERAL_LENGTHS]
        self._lengths = NORMAL_LENGTHS if space.normal_matters else (np.inf,)
        self._cheap = _usable(space)
        if self._cheap is not None:
            self.scale = _spread(self._cheap[space.allowed])
        self._mean = (
            None if self._cheap is None else warped(self._cheap, self._cheap.min(), self.scale) / self.scale
        )

    def posterior(self, indices: list[int], energies: Array) -> tuple[Posterior, float]:
        """Return what is believed after the energies (eV) of candidates `indices`, and the best, in the scale."""
        if self._mean is None:
            self.scale = _spread(energies)
        values = warped(energies, energies.min(), self.scale) / self.scale
        mean = np.zeros(len(self.space.candidates)) if self._mean is None else self._mean
        rest = values - mean[indices]
        columns, diagonal, noise = self._covariances(np.array(indices), mean - mean[self.space.allowed].mean())
        found = posterior(columns, diagonal, np.array(indices), rest - rest.mean(), noise)
        return Posterior(found.mean + mean + rest.mean(), found.deviation, found.weights), float(values.min())

    def unwarped(self, value: float, energies: Array) -> float:
        """Return the energy, eV, whose warped value in the scale is `value`."""
        return float(energies.min() + _stretched(value) * self.scale)

    def chance(self, succeeded: list[int], failed: list[int]) -> Array:
        """Return the chance of every candidate to give an energy, (n,): 1 far from all failures."""
        here = self.space.candidates
        if not failed:
            return np.ones(len(here))
        good, bad = (self._nearness(indices).sum(axis=1) for indices in (succeeded, failed))
        return np.asarray((1 + good) / (1 + good + bad))

    def _nearness(self, indices: list[int]) -> Array:
        here, there = self.space.candidates, self.space.candidates[indices].reshape(-1, 3)
        lateral = self.space.cell.distances(here[:, :2], there[:, :2])
        square = lateral**2 + (here[:, 2, None] - there[None, :, 2]) ** 2
        return np.asarray(np.exp(-0.5 * square / FAILURE_LENGTH**2))

    def _covariances(self, observed: NDArray[np.int64], cheap: Array) -> tuple[torch.Tensor, ...]:
        """Return columns (h, n, m), diagonals (h, n) and noise (h,) for every set of hyper-parameters."""
        heights = self.space.candidates[:, 2:]
        fixed = OFFSET**2 + SLOPE**2 * np.outer(cheap, cheap[observed])
        own = OFFSET**2 + SLOPE**2 * cheap**2
        normal = [squared_exponential(heights, heights[observed], length) for length in self._lengths]
        lateral = np.array([features @ features[observed].T for features in self._lateral])
        variance = np.array([(features**2).sum(axis=1) for features in self._lateral])
        sigmas = np.array(DEVIATIONS) ** 2
        shape = np.einsum("lnm,knm,s->lksnm", lateral, np.array(normal), sigmas)
        along = np.einsum("ln,s->lsn", variance, sigmas)[:, None].repeat(len(normal), axis=1)
        sets = shape.reshape(-1, *shape.shape[-2:]), along.reshape(-1, along.shape[-1])
        noise = np.tile(sigmas, len(sets[0]) // len(sigmas))[:, None] * np.array(NOISES) ** 2
        columns, diagonal = (np.repeat(one, len(NOISES), axis=0) for one in (fixed + sets[0], own + sets[1]))
        return tuple(torch.as_tensor(part) for part in (columns, diagonal, noise.ravel()))


def warped(energies: Array, lowest: float, scale: float) -> Array:
    """Return energies above `lowest` compressed: (E − lowest) → scale·ln(1 + (E − lowest)/scale).

    Below `lowest` it goes on with slope 1.
    """
    above = np.asarray(energies) - lowest
    return np.where(above > 0, scale * np.log1p(np.maximum(above, 0.0) / scale), above)


def _stretched(value: float) -> float:
    return float(np.expm1(min(value, 50.0))) if value > 0 else value


def _usable(space: SearchSpace) -> Array | None:
    """Return the cheap energies with the highest known one where there is none; None if there are none at all."""
    if space.cheap is None or not np.isfinite(space.cheap[space.allowed]).any():
        return None
    known = np.isfinite(space.cheap)
    return np.where(known, space.cheap, space.cheap[known & space.allowed].max())


def _spread(energies: Array) -> float:
    """Return the scale of energies: half of them lie within it above the lowest."""
    return float(np.median(energies) - np.min(energies)) or 1.0
