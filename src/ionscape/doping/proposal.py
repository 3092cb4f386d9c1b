"""The candidates of a doped cell: many configurations by Ewald energy, few worth a relaxation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from pymatgen.core import Structure

from ionscape.doping.charges import host_charges, refuse_imbalance, route_charges
from ionscape.doping.configurations import all_configurations, count_configurations, layout, random_configurations
from ionscape.doping.ewald import interaction_matrix
from ionscape.doping.search import Landscape, anneal
from ionscape.doping.settings import DopingRoute, DopingSettings
from ionscape.doping.sites import Placement, SiteLattice, doped_structure, placements, site_lattice
from ionscape.doping.symmetry import site_permutations, unique_configurations
from ionscape.results import frozen
from ionscape.units import Array, Count, Energy, EnergyArray, FractionalArray, Indices

#: Configurations beyond which not all are listed, however many samples are asked for.
MOST_ENUMERATED = 1_000_000
#: Where a candidate came from.
Origin = Literal["random", "exhaustive", "anneal", "spread"]


@dataclass(frozen=True)
class DopingTask:
    """What is to be doped and how: a host with its empty sites, a route and a number of dopants.

    Attributes
    ----------
    host
        The undoped crystal.
    empty_sites
        Fractional coordinates of the empty sites in the cell of `host`, (m, 3), all symmetry copies.
    route
        What is replaced, inserted and removed.
    count
        Dopants in the supercell.
    """

    host: Structure
    empty_sites: FractionalArray
    route: DopingRoute
    count: Count


@dataclass(frozen=True)
class Proposed:
    """One configuration chosen for relaxation.

    Attributes
    ----------
    ewald
        Ewald energy of the formal charges in the unrelaxed cell, eV.
    multiplicity
        Number of symmetry copies in the supercell.
    origin
        The search that found it; ``spread`` for one at a quantile of the sampled energies.
    structure
        Unrelaxed structure.
    """

    ewald: Energy
    multiplicity: Count
    origin: Origin
    structure: Structure


@dataclass(frozen=True)
class Proposal:
    """The candidates of one content, before any calculation.

    Attributes
    ----------
    task
        What is doped.
    formula
        Formula of the supercell.
    n_sampled
        Configurations examined by random draws or by enumeration; those met in annealing are not counted.
    n_unique
        Symmetry-distinct configurations among them.
    exhaustive
        Whether they were all configurations, because these were few, instead of random ones.
    sampled_ewald
        Ewald energies of the distinct configurations sampled, ascending, (n_unique,), eV.
    candidates
        Configurations to relax, by Ewald energy, ascending.
    """

    task: DopingTask
    formula: str
    n_sampled: Count
    n_unique: Count
    exhaustive: bool
    sampled_ewald: EnergyArray
    candidates: tuple[Proposed, ...]


def propose(task: DopingTask, settings: DopingSettings, rng: Generator) -> Proposal:
    """Return the configurations of one content that deserve a relaxation: the lowest, and a spread of others.

    Configurations are drawn at random (or all enumerated if no more than about `samples` are distinct),
    overlaps rejected, symmetry copies removed, and ranked by the Ewald energy of formal charges on unrelaxed
    sites; those of equal energy stand in a random order.

    Parameters
    ----------
    task
        Host, empty sites, route and number of dopants.
    settings
        Supercell, search and numbers of candidates.
    rng
        Source of randomness.

    Raises
    ------
    InputError
        If the cell would be charged, charges are ambiguous, or the dopants do not fit.
    """
    sites, placed, landscape = _landscape(task, settings)
    # No fewer configurations are distinct than all over the order of the group.
    few = min(settings.samples * len(landscape.permutations), MOST_ENUMERATED)
    exhaustive = count_configurations(sites, placed) <= few
    rows = (
        all_configurations(landscape.arrangement)
        if exhaustive
        else random_configurations(landscape.arrangement, settings.samples, rng)
    )
    sampled = _Ranked.of(rows, landscape, rng)
    candidates = tuple(
        Proposed(energy, multiplicity, origin, doped_structure(sites, placed, row))
        for energy, multiplicity, origin, row in _choose(sampled, landscape, settings, rng, exhaustive=exhaustive)
    )
    return Proposal(
        task=task,
        formula=candidates[0].structure.composition.formula.replace(" ", ""),
        n_sampled=len(rows),
        n_unique=len(sampled.energies),
        exhaustive=exhaustive,
        sampled_ewald=frozen(sampled.energies),
        candidates=candidates,
    )


def _landscape(task: DopingTask, settings: DopingSettings) -> tuple[SiteLattice, list[Placement], Landscape]:
    charges = route_charges(task.route, host_charges(task.host, settings.charges), settings.charges)
    refuse_imbalance(task.route, task.count, charges)
    empty = task.empty_sites if task.route.insert else np.empty((0, 3))
    sites = site_lattice(task.host, empty, settings.supercell, settings.min_distance_A)
    placed = placements(sites, task.route, task.count, charges)
    landscape = Landscape(
        interaction_matrix(sites.lattice, sites.fractional),
        sites.charges(charges),
        layout(sites, placed),
        site_permutations(sites),
    )
    return sites, placed, landscape


@dataclass(frozen=True)
class _Ranked:
    """Distinct configurations in order of Ewald energy."""

    energies: Array
    rows: Indices
    multiplicities: Indices

    @classmethod
    def of(cls, rows: Indices, landscape: Landscape, rng: Generator) -> _Ranked:
        distinct = unique_configurations(rows, landscape.arrangement.starts, landscape.permutations)
        energies = landscape.energies(distinct.sites)
        # Ties (all of them, if a dopant has the charge of what it replaces) in their lexicographic order would
        # be clusters; a spawned stream leaves the draws of the searches as they are.
        random = rng.spawn(1)[0].permutation(len(energies))
        order = np.lexsort((random, np.round(energies, 7)))
        return cls(energies[order], distinct.sites[order], distinct.multiplicities[order])


_Choice = tuple[float, int, Origin, Indices]
_Choices = dict[tuple[int, ...], _Choice]


def _choose(
    sampled: _Ranked, landscape: Landscape, settings: DopingSettings, rng: Generator, *, exhaustive: bool
) -> list[_Choice]:
    """Choose the lowest configurations of the searches asked for, and a spread; in order of Ewald energy."""
    sources = [_choices(sampled, "exhaustive" if exhaustive else "random", settings.keep)]
    if settings.search != "random" and not exhaustive:
        rows = anneal(landscape, settings.anneal_chains, settings.anneal_steps, settings.keep, rng)
        annealed = _choices(_Ranked.of(rows, landscape, rng), "anneal", settings.keep)
        sources = [annealed] if settings.search == "anneal" else [annealed, *sources]
    taken = _in_turn(sources, settings.keep)
    if settings.spread:
        left = [i for i, row in enumerate(sampled.rows) if tuple(row.tolist()) not in taken]
        chosen = _evenly(np.array(left, dtype=np.int64), settings.spread)
        rest = _Ranked(sampled.energies[chosen], sampled.rows[chosen], sampled.multiplicities[chosen])
        taken |= _choices(rest, "spread", settings.spread)
    return sorted(taken.values(), key=lambda choice: (choice[0], tuple(choice[3].tolist())))


def _in_turn(sources: list[_Choices], number: int) -> _Choices:
    """Return `number` configurations, the lowest of each source in turn, none twice."""
    taken: _Choices = {}
    for choices in itertools.zip_longest(*(source.items() for source in sources)):
        for choice in choices:
            if choice is not None and len(taken) < number:
                taken.setdefault(*choice)
    return taken


def _evenly(indices: Indices, number: int) -> Indices:
    """Return about `number` of the indices, evenly spaced, both ends included."""
    if not len(indices):
        return indices
    return indices[np.unique(np.linspace(0, len(indices) - 1, number).round().astype(int))]


def _choices(ranked: _Ranked, origin: Origin, number: int) -> _Choices:
    return {
        tuple(row.tolist()): (float(energy), int(multiplicity), origin, row)
        for energy, multiplicity, row in zip(
            ranked.energies[:number], ranked.multiplicities[:number], ranked.rows[:number], strict=True
        )
    }
