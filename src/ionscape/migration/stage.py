"""The migration stage: sites, hops, barriers and the network they make, for every crystal of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np

from ionscape.errors import CalculationError, InputError
from ionscape.migration.contact_stage import AskedContact, ContactMigration, ContactToSearch, asked_contact
from ionscape.migration.hop_ends import hop_ends, repeats_for
from ionscape.migration.hops import Hop, Mechanism, direct_hops, interstitialcy_hops
from ionscape.migration.network import (
    Axis,
    KnownHop,
    activation_energy,
    dilute_diffusivity,
    hop_network,
    percolation_energies,
)
from ionscape.migration.plan import MigrationPlan
from ionscape.migration.requests import AskedHop, BandLab, FoundPath, answers_to, asked_hop
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
class PlacesToSearch:
    """Where hops are looked for: in crystals, and across contacts."""

    crystals: tuple[CrystalToSearch, ...] = ()
    contacts: tuple[ContactToSearch, ...] = ()


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
    """Migration in all crystals of a study, and across its contacts."""

    mobile: str
    level: str
    crystals: tuple[CrystalMigration, ...]
    contacts: tuple[ContactMigration, ...] = ()


def find_migration(
    places: PlacesToSearch, plan: MigrationPlan, level: Level, lab: BandLab, rng: np.random.Generator
) -> Migration:
    """Return the barriers of all distinct hops in crystals and across contacts, and what follows from them.

    All paths are asked for at once: an engine with several workers finds them side by side.

    Raises
    ------
    CalculationError
        If no path was found at all.
    """
    crystals = [_asked(crystal, plan, level) for crystal in places.crystals]
    contacts = [asked_contact(contact, plan, level) for contact in places.contacts]
    everything: list[_AskedCrystal | AskedContact] = [*crystals, *contacts]
    _check_names(plan.only, [name for one in everything for name in one.names])
    answers = answers_to(lab, [one.asked for one in everything])
    outcomes = [outcome for group in answers for outcome in group]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if failed and len(failed) == len(outcomes):
        message = f"no path was found: {failed[0].reason}"
        raise CalculationError(message)
    within, across = answers[: len(crystals)], answers[len(crystals) :]
    return Migration(
        mobile=plan.mobile,
        level=level.name,
        crystals=tuple(one.answered(group, plan, rng) for one, group in zip(crystals, within, strict=True)),
        contacts=tuple(one.answered(group) for one, group in zip(contacts, across, strict=True)),
    )


@dataclass(frozen=True)
class _AskedCrystal:
    """What is asked of the laboratory for one crystal: its hops by name, each with the request for its path."""

    name: str
    structure: Structure
    repeats: tuple[int, int, int]
    sites: tuple[IonSite, ...]
    hops: tuple[tuple[str, Hop], ...]
    asked: tuple[AskedHop, ...]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.hops]

    def answered(
        self, answers: Sequence[FoundPath | Failure], plan: MigrationPlan, rng: np.random.Generator
    ) -> CrystalMigration:
        sites = self.sites
        outcomes = tuple(
            HopOutcome(name, hop, sites[hop.start], sites[hop.end], answer)
            for (name, hop), answer in zip(self.hops, answers, strict=True)
        )
        laws = tuple(
            carrier_law(carrier, self.structure, sites, outcomes, plan, rng)
            for carrier, mechanisms in CARRIERS.items()
            if set(mechanisms) & set(plan.mechanisms)
        )
        formula, orbits = self.structure.composition.reduced_formula, len({site.orbit for site in sites})
        return CrystalMigration(self.name, formula, self.repeats, orbits, sites, outcomes, laws)


def _check_names(wanted: Sequence[str], found: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(
            f"no hop '{missing[0]}'",
            where="hops whose paths are wanted",
            expected="names of hops, as `ionscape neb STRUCTURE --hops --list` tells them",
            remedy="Correct the name, or look for longer hops.",
        )


def _asked(crystal: CrystalToSearch, plan: MigrationPlan, level: Level) -> _AskedCrystal:
    structure = crystal.structure.copy()
    structure.remove_oxidation_states()
    needs_empty = {"interstitial", "interstitialcy"} & set(plan.mechanisms)
    sites = ion_sites(structure, plan.mobile, crystal.empty if needs_empty else None)
    repeats = repeats_for(structure, plan.width_A, plan.most_atoms)
    named = tuple(one for one in named_hops(structure, sites, plan) if plan.wants(one[0]))
    asked: list[AskedHop] = []
    for _, hop in named:
        try:
            asked.append(asked_hop(hop_ends(structure, sites, hop, plan.mobile, repeats), plan.band, level))
        except InputError as error:
            asked.append(Failure(str(error)))
    return _AskedCrystal(crystal.name, structure, repeats, sites, named, tuple(asked))


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
