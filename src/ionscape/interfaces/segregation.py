"""Dopants at a contact: where in a slab a dopant with its compensating ions is lowest, layer by layer (M11).

The sites of the element that is replaced are grouped into atomic layers by their distance from the contact. In
every layer the dopant is put on each of its sites, the compensating ions into empty sites near it; these
configurations are ranked by the Ewald energy of formal charges and the lowest are relaxed. The *segregation
energy* is the energy with the dopant in the layer next to the contact less that with it in the bulk region, the
layer nearest to the middle of the slab: positive where the dopant prefers the bulk.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ionscape.doping.charges import host_charges, refuse_imbalance, route_charges
from ionscape.doping.ewald import changed_energies, interaction_matrix
from ionscape.doping.settings import DopingRoute
from ionscape.errors import InputError
from ionscape.interfaces.assembly import Interface
from ionscape.levels.calculation import Relaxation
from ionscape.results import Failure
from ionscape.settings import Settings
from ionscape.structures.voids import VoidSettings, find_empty_sites
from ionscape.units import Array, Count, Energy, EnergyPerAtom, Indices, Length

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.interfaces.contact_bench import ContactBench

#: Most configurations of compensating ions about one dopant that are ranked.
MOST_CONFIGURATIONS = 200_000


class SegregationSettings(Settings):
    """Where dopants are put at a contact, and how many configurations of each layer are relaxed (M11)."""

    route: str = Field("", description="Name of the doping route; the first of [doping] if empty.")
    slab: Literal["film", "substrate"] = Field("film", description="The slab that is doped.")
    layer_tolerance_A: float = Field(
        0.6, gt=0, le=5, description="Sites whose distances from the contact differ by less are one layer, Å."
    )
    max_layers: int = Field(6, ge=2, le=100, description="Most layers, evenly chosen from contact to bulk.")
    reach_A: float = Field(
        4.5, gt=0.5, le=20, description="Farthest that a compensating ion is put from the dopant, Å."
    )
    min_distance_A: float = Field(
        1.5, ge=0, le=5, description="Shortest distance of a compensating ion to any atom before relaxation, Å."
    )
    keep: int = Field(2, ge=1, le=100, description="Configurations of lowest Ewald energy relaxed per layer.")


@dataclass(frozen=True)
class DopedLayer:
    """The dopant in one layer.

    Attributes
    ----------
    distance
        Distance of the layer from the contact.
    n_sites, n_configurations
        Sites of the layer, and configurations ranked.
    ewald
        Lowest Ewald energy, above that of the bulk layer.
    energy
        Energy of the lowest relaxed configuration, or why there is none.
    relative
        The same above that of the bulk layer.
    relative_per_atom
        The same per atom of the cell.
    structure
        The relaxed interface, None without one.
    """

    distance: Length
    n_sites: Count
    n_configurations: Count
    ewald: Energy
    energy: Energy | Failure
    relative: Energy | Failure
    relative_per_atom: EnergyPerAtom | Failure
    structure: Structure | None = field(metadata={"internal": True})


@dataclass(frozen=True)
class Segregation:
    """A dopant layer by layer, from the contact to the bulk region.

    Attributes
    ----------
    route, formula
        The doping route and the formula of the doped cell.
    slab
        The slab that is doped, ``film`` or ``substrate``.
    layers
        From the contact inwards; the last is the bulk region.
    segregation_energy
        Energy with the dopant next to the contact less that in the bulk region; positive: it prefers the bulk.
    segregation_energy_per_atom
        The same per atom of the cell.
    """

    route: str
    formula: str
    slab: str
    layers: tuple[DopedLayer, ...]
    segregation_energy: Energy | Failure
    segregation_energy_per_atom: EnergyPerAtom | Failure


@dataclass(frozen=True)
class _Layer:
    distance: Length
    sites: Indices


@dataclass(frozen=True)
class _Proposed:
    """Configurations of one layer, the lowest first: changed sites (k,) each, with their Ewald energies."""

    layer: _Layer
    changed: Indices
    ewald: Array
    n_ranked: Count


def segregation_profile(
    interface: Interface,
    structure: Structure,
    route: DopingRoute,
    settings: SegregationSettings,
    bench: ContactBench,
) -> Segregation:
    """Return the energies of a dopant layer by layer.

    Parameters
    ----------
    interface
        The interface, for which sites are whose.
    structure
        The same, relaxed; sites in the same order.
    route
        One replacement, and what is inserted or removed with each dopant.
    settings
        Layers, reach and number of relaxations.
    bench
        Where and at which level.

    Raises
    ------
    InputError
        If the route is not one replacement with insertions, the charges do not balance, or a slab has no layers of
        the element, or no room for the compensating ions.
    """
    work = _Doping(interface, structure, route, settings)
    proposals = [work.propose(layer) for layer in work.layers()]
    structures = [[work.doped(row) for row in proposal.changed] for proposal in proposals]
    flat = [one for group in structures for one in group]
    outcomes = iter(bench.relax(flat))
    relaxed = [[next(outcomes) for _ in group] for group in structures]
    lowest = [_lowest(group) for group in relaxed]
    reference = lowest[-1]
    layers = tuple(
        _doped_layer(proposal, outcome, reference, proposals[-1], len(flat[0]))
        for proposal, outcome in zip(proposals, lowest, strict=True)
    )
    return Segregation(
        route=route.name,
        formula=flat[0].composition.reduced_formula,
        slab=settings.slab,
        layers=layers,
        segregation_energy=layers[0].relative,
        segregation_energy_per_atom=layers[0].relative_per_atom,
    )


def _lowest(outcomes: Sequence[Relaxation | Failure]) -> Relaxation | Failure:
    done = [one for one in outcomes if isinstance(one, Relaxation)]
    if done:
        return min(done, key=lambda one: one.energy)
    failed = [one for one in outcomes if isinstance(one, Failure)]
    return Failure("; ".join(dict.fromkeys(one.reason for one in failed)), failed[0].key)


def _doped_layer(
    proposal: _Proposed, outcome: Relaxation | Failure, bulk: Relaxation | Failure, deepest: _Proposed, atoms: int
) -> DopedLayer:
    failed = next((one for one in (outcome, bulk) if isinstance(one, Failure)), None)
    relative: Energy | Failure
    if failed is not None:
        relative = failed
    else:
        assert isinstance(outcome, Relaxation)  # noqa: S101  neither is a failure
        assert isinstance(bulk, Relaxation)  # noqa: S101
        relative = outcome.energy - bulk.energy
    return DopedLayer(
        distance=proposal.layer.distance,
        n_sites=len(proposal.layer.sites),
        n_configurations=proposal.n_ranked,
        ewald=float(proposal.ewald[0] - deepest.ewald[0]),
        energy=outcome if isinstance(outcome, Failure) else outcome.energy,
        relative=relative,
        relative_per_atom=relative if isinstance(relative, Failure) else relative / atoms,
        structure=None if isinstance(outcome, Failure) else outcome.structure,
    )


class _Doping:
    """One dopant in one slab of an interface: layers, empty sites, Ewald energies of configurations."""

    def __init__(
        self, interface: Interface, structure: Structure, route: DopingRoute, settings: SegregationSettings
    ) -> None:
        self.settings, self.route, self.structure = settings, route, structure
        film = settings.slab == "film"
        slab = interface.film if film else interface.substrate
        self.sites = interface.film_sites if film else interface.substrate_sites
        self.old, self.new = _replacement(route)
        host = slab.structure
        given = dict(slab.charges)
        self.charges = route_charges(route, host_charges(host, given) if slab.stoichiometric else given, given)
        refuse_imbalance(route, 1, self.charges)
        self.all_charges = {**interface.substrate.charges, **interface.film.charges, **self.charges}
        self.inserted = [e for e, n in route.insert.items() for _ in range(round(n))]
        self.heights = np.array(structure.cart_coords)[:, 2]
        self.face = self._face(interface)
        self.empty = self._empty()
        self.fractional = np.vstack([structure.frac_coords, self.empty])
        self.matrix = interaction_matrix(structure.lattice.matrix, self.fractional)
        own = np.array([_charge_of(interface, i, site.specie.symbol) for i, site in enumerate(structure)])
        # a slab that is not stoichiometric has a net charge; spread evenly it shifts all configurations alike
        self.base = np.concatenate([own - own.sum() / len(own), np.zeros(len(self.empty))])

    def _face(self, interface: Interface) -> float:
        """Return the height of the contact: the middle between the facing atoms."""
        below, above = self.heights[interface.substrate_sites].max(), self.heights[interface.film_sites].min()
        return float(0.5 * (below + above))

    def _empty(self) -> Array:
        """Return the empty sites inside the slab at which the compensating ions can sit, fractional (m, 3)."""
        if not self.inserted:
            return np.empty((0, 3))
        voids = VoidSettings(method="geometric", min_distance_A=self.settings.min_distance_A)
        found = find_empty_sites(self.structure, voids, charges=self.all_charges)
        charge = self.charges[self.inserted[0]]
        suited = found.suitable_for(charge, self.settings.min_distance_A).all_fractional
        places = suited if len(suited) else found.all_fractional
        places = places - np.floor(places + 1e-9)
        height = (places @ self.structure.lattice.matrix)[:, 2]
        own = self.heights[self.sites]
        return np.asarray(places[(height > own.min() - 0.5) & (height < own.max() + 0.5)])

    def layers(self) -> list[_Layer]:
        """Return the layers of the replaced element from the contact to the middle of the slab."""
        symbols = np.array([site.specie.symbol for site in self.structure])
        chosen = self.sites[symbols[self.sites] == self.old]
        depth = np.abs(self.heights[chosen] - self.face)
        own = np.abs(self.heights[self.sites] - self.face)
        inner = depth <= 0.5 * (own.min() + own.max()) + self.settings.layer_tolerance_A
        chosen, depth = chosen[inner], depth[inner]
        if not len(chosen):
            raise InputError(
                f"no {self.old} between the contact and the middle of the {self.settings.slab}",
                where=f"doping route '{self.route.name}'",
                expected="sites of the element that is replaced",
                remedy="Dope the other slab, or correct the route.",
            )
        order = np.argsort(depth, kind="stable")
        ends = np.flatnonzero(np.diff(depth[order]) > self.settings.layer_tolerance_A) + 1
        groups = np.split(order, ends)
        found = [_Layer(float(depth[group].mean()), chosen[group]) for group in groups]
        if len(found) < 2:
            raise InputError(
                f"one layer of {self.old} between the contact and the middle of the {self.settings.slab}",
                where=f"doping route '{self.route.name}'",
                expected="at least two: one at the contact and one in the bulk region",
                remedy="Cut a thicker slab, or lower `layer_tolerance_A`.",
            )
        count = min(self.settings.max_layers, len(found))
        return [found[k] for k in np.linspace(0, len(found) - 1, count).round().astype(int)]

    def propose(self, layer: _Layer) -> _Proposed:
        """Return the configurations of lowest Ewald energy with the dopant in `layer`."""
        rows = [row for site in layer.sites for row in self._around(int(site))]
        if not rows:
            raise InputError(
                f"no empty sites for {' + '.join(self.inserted)} within {self.settings.reach_A:g} Å of the layer "
                f"at {layer.distance:.1f} Å",
                where=f"doping route '{self.route.name}'",
                expected="room for the compensating ions near the dopant",
                remedy="Raise `reach_A` or lower `min_distance_A`.",
            )
        changed = np.array(rows, dtype=np.int64)
        changes = np.array(
            [self.charges[self.new] - self.charges[self.old], *(self.charges[e] for e in self.inserted)]
        )
        energies = changed_energies(self.matrix, self.base, changed, changes)
        order = np.argsort(energies, kind="stable")[: self.settings.keep]
        return _Proposed(layer, changed[order], energies[order], len(rows))

    def _around(self, site: int) -> list[tuple[int, ...]]:
        """Return the dopant's site with every choice of empty sites near it."""
        if not self.inserted:
            return [(site,)]
        lattice = self.structure.lattice
        distances = lattice.get_all_distances(self.fractional[[site]], self.empty)[0]
        near = np.flatnonzero(distances <= self.settings.reach_A)
        near = near[np.argsort(distances[near])]
        while len(near) > len(self.inserted) and len(near) ** len(self.inserted) > MOST_CONFIGURATIONS:
            near = near[:-1]
        start = len(self.structure)
        picks = itertools.permutations(near, len(self.inserted))
        return [(site, *(start + int(k) for k in pick)) for pick in picks]

    def doped(self, changed: Indices) -> Structure:
        """Return the interface with the dopant and its compensating ions."""
        made: Structure = self.structure.copy()
        made.replace(int(changed[0]), self.new, properties=dict(made[int(changed[0])].properties))
        for element, place in zip(self.inserted, changed[1:], strict=True):
            properties = {name: [True] * 3 for name in made.site_properties}
            made.append(element, self.fractional[int(place)], properties=properties)
        return made


def _replacement(route: DopingRoute) -> tuple[str, str]:
    whole = all(abs(n - round(n)) < 1e-9 for n in route.insert.values())
    if len(route.replace) == 1 and not route.remove and whole:
        return next(iter(route.replace.items()))
    raise InputError(
        f"replace = {route.replace}, insert = {route.insert}, remove = {route.remove}",
        where=f"doping route '{route.name}'",
        expected="one replacement and whole numbers of inserted ions, nothing removed, for dopants at a contact",
        remedy="Name another route, e.g. replace = { O = 'N' }, insert = { Li = 1 }.",
    )


def _charge_of(interface: Interface, index: int, symbol: str) -> float:
    charges: Mapping[str, float] = (
        interface.film.charges if index in interface.film_sites else interface.substrate.charges
    )
    return float(charges.get(symbol, 0.0))
