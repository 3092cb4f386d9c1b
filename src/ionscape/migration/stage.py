"""The migration stage: sites, hops, barriers and the network they make, for every crystal of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np

from ionscape.errors import CalculationError, InputError
from ionscape.migration.hop_ends import hop_ends, repeats_for
from ionscape.migration.hops import Hop, Mechanism, direct_hops, interstitialcy_hops
from ionscape.migration.interpolation import first_images
from ionscape.migration.network import (
    Axis,
    KnownHop,
    activation_energy,
    dilute_diffusivity,
    hop_network,
    percolation_energies,
)
from ionscape.migration.plan import MigrationPlan
from ionscape.migration.requests import BandLab, BandRequest, FoundPath
from ionscape.migration.sites import IonSite, ion_sites
from ionscape.migration.walk import WalkedDiffusivity, walked_diffusivity
from ionscape.results import Failure
from ionscape.units import Array, Count, Diffusivity, Energy, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.levels.registry import Level

#: Mechanisms whose hops make up one network, by the carrier that walks on it; divacancies are no single carrier.
CARRIERS: dict[str, tuple[Mechanism, ...]] = {
    "vacancy": ("vacancy",),
    "interstitial": ("interstitial", "interstitialcy"),
}
#: First letters of the names of hops.
LETTERS = {"vacancy": "V", "divacancy": "D", "interstitial": "I", "interstitialcy": "P"}


@dataclass(frozen=True)
class CrystalToSearch:
    """A relaxed crystal, and its empty sites (m, 3), fractional, for interstitials."""

    name: str
    structure: Structure
    empty: Annotated[Array, Unit("fractional")]


@dataclass(frozen=True)
class HopOutcome:
    """A hop by its name, its ends, and its path or why there is none.

    Attributes
    ----------
    name
        Mechanism's letter and number, the shortest first: V1, V2, …
    start, end
        The sites; for a vacancy the ion goes from `start` into the vacancy at `end`.
    """

    name: str
    hop: Hop
    start: IonSite
    end: IonSite
    outcome: FoundPath | Failure


@dataclass(frozen=True)
class CarrierLaw:
    """What the network of one carrier tells: the dilute limit, all hops tried at the same frequency.

    Attributes
    ----------
    carrier
        ``vacancy`` or ``interstitial``.
    percolation
        Percolation energy along a, b, c.
    activation
        Activation energy of the carrier's migration at the first temperature; what it takes to form carriers is
        not in it.
    exact, walked
        Diffusivity at every temperature by the exact tensor (its mean over directions) and by Monte Carlo.
    misfit
        What the barriers contradict one another by.
    missing
        Names of hops that have no barrier and are not in the network.
    """

    carrier: str
    percolation: Annotated[Mapping[Axis, float | Failure], Unit("eV")]
    activation: Energy
    exact: tuple[tuple[Annotated[float, Unit("K")], Diffusivity], ...] = field(metadata={"internal": True})
    walked: tuple[WalkedDiffusivity, ...]
    misfit: Energy
    missing: tuple[str, ...]


@dataclass(frozen=True)
class CrystalMigration:
    """Migration in one crystal.

    Attributes
    ----------
    repeats
        Of the cell in which paths were found.
    n_orbits
        Classes of symmetry-equivalent sites.
    """

    name: str
    formula: str
    repeats: Annotated[tuple[int, int, int], Unit("1")]
    n_orbits: Count
    sites: tuple[IonSite, ...]
    hops: tuple[HopOutcome, ...]
    laws: tuple[CarrierLaw | Failure, ...]


@dataclass(frozen=True)
class Migration:
    """Migration in all crystals of a study."""

    mobile: str
    level: str
    crystals: tuple[CrystalMigration, ...]


def find_migration(
    crystals: Sequence[CrystalToSearch], plan: MigrationPlan, level: Level, lab: BandLab, rng: np.random.Generator
) -> Migration:
    """Return the barriers of all distinct hops in `crystals` and what follows from them.

    Raises
    ------
    CalculationError
        If no path was found at all.
    """
    found = tuple(_in_crystal(crystal, plan, level, lab, rng) for crystal in crystals)
    outcomes = [hop.outcome for crystal in found for hop in crystal.hops]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if failed and len(failed) == len(outcomes):
        message = f"no path was found: {failed[0].reason}"
        raise CalculationError(message)
    return Migration(plan.mobile, level.name, found)


def _in_crystal(
    crystal: CrystalToSearch, plan: MigrationPlan, level: Level, lab: BandLab, rng: np.random.Generator
) -> CrystalMigration:
    structure = crystal.structure.copy()
    structure.remove_oxidation_states()
    needs_empty = {"interstitial", "interstitialcy"} & set(plan.mechanisms)
    sites = ion_sites(structure, plan.mobile, crystal.empty if needs_empty else None)
    repeats = repeats_for(structure, plan.width_A, plan.most_atoms)
    named = named_hops(structure, sites, plan)
    asked: list[tuple[str, Hop, BandRequest | Failure]] = []
    for name, hop in named:
        try:
            ends = hop_ends(structure, sites, hop, plan.mobile, repeats)
            first_images(ends, plan.band.images, plan.band.path)
            asked.append((name, hop, BandRequest(ends, level, plan.band)))
        except InputError as error:
            asked.append((name, hop, Failure(str(error))))
    answers = iter(lab.band([one for _, _, one in asked if isinstance(one, BandRequest)]))
    outcomes = tuple(
        HopOutcome(name, hop, sites[hop.start], sites[hop.end], one if isinstance(one, Failure) else next(answers))
        for name, hop, one in asked
    )
    laws = tuple(
        carrier_law(carrier, structure, sites, outcomes, plan, rng)
        for carrier, mechanisms in CARRIERS.items()
        if set(mechanisms) & set(plan.mechanisms)
    )
    orbits = len({site.orbit for site in sites})
    return CrystalMigration(
        crystal.name, structure.composition.reduced_formula, repeats, orbits, sites, outcomes, laws
    )


def named_hops(structure: Structure, sites: Sequence[IonSite], plan: MigrationPlan) -> list[tuple[str, Hop]]:
    """Return the distinct hops of all mechanisms of the plan with their names."""
    named = []
    for mechanism in plan.mechanisms:
        if mechanism == "interstitialcy":
            hops = interstitialcy_hops(structure, sites, plan.hops)
        else:
            hops = direct_hops(structure, sites, mechanism, plan.hops)
        named += [(f"{LETTERS[mechanism]}{number}", hop) for number, hop in enumerate(hops, start=1)]
    return named


def carrier_law(
    carrier: str,
    structure: Structure,
    sites: Sequence[IonSite],
    hops: Sequence[HopOutcome],
    plan: MigrationPlan,
    rng: np.random.Generator,
) -> CarrierLaw | Failure:
    """Return what the converged hops of a carrier tell of its diffusion, or why they tell nothing."""
    own = [hop for hop in hops if hop.hop.mechanism in CARRIERS[carrier]]
    known = [
        KnownHop(hop.hop, hop.outcome.path.forward, hop.outcome.path.backward)
        for hop in own
        if isinstance(hop.outcome, FoundPath) and hop.outcome.path.converged
    ]
    missing = tuple(hop.name for hop in own if isinstance(hop.outcome, Failure) or not hop.outcome.path.converged)
    if not known:
        return Failure(f"no hop of the {carrier} has a barrier")
    places = np.array([site.fractional for site in sites])
    used = sorted({int(site) for one in known for site in one.hop.copies[:, :2].ravel()})
    network = hop_network(np.array(structure.lattice.matrix), places[used], _renumbered(known, used))
    percolation = percolation_energies(network)
    if all(isinstance(energy, Failure) for energy in percolation.values()):
        return Failure(f"the hops of the {carrier} do not connect the crystal along any lattice vector")
    exact = tuple((t, float(np.trace(dilute_diffusivity(network, t, plan.attempt_THz))) / 3) for t in plan.at_K)
    walked = tuple(walked_diffusivity(network, t, plan.attempt_THz, rng, plan.walkers) for t in plan.at_K)
    activation = activation_energy(network, plan.at_K[0])
    return CarrierLaw(carrier, percolation, activation, exact, walked, network.misfit, missing)


def _renumbered(known: Sequence[KnownHop], used: Sequence[int]) -> list[KnownHop]:
    """Return the hops with the sites of the carrier numbered from 0."""
    number = {site: k for k, site in enumerate(used)}
    renumbered = []
    for one in known:
        copies = one.hop.copies.copy()
        copies[:, :2] = [[number[int(site)] for site in row] for row in copies[:, :2]]
        renumbered.append(replace(one, hop=replace(one.hop, copies=copies)))
    return renumbered
