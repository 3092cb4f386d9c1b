r"""Work of adhesion of an interface, its variants, and the interface energy (M10).

With E_AB the relaxed interface, E_A and E_B the two slabs relaxed alone in its cell, A its area and n its number
of contacts,

.. math:: W = \frac{E_{AB} - E_A - E_B}{n A},

negative for a bound contact: Eq. 4 of the source study. The work of separation of most textbooks is −W. Beside it:

- *cleavage*: E_A and E_B of the slabs as they stand in the interface, frozen: what breaking takes before the new
  surfaces relax; never above W (more strongly bound).
- *strain-corrected*: E_A and E_B of the slabs in their own lattices, N_A and N_B times those of the surface
cells: the elastic energy of the misfit, E_el, counts against the contact, W_sc = W + E_el.
- *interface energy*: σ = (E_AB − N_A e_A − N_B e_B)/nA, e the energies of the bulk crystals; where the cell has
vacuum its two free surfaces are taken off, γ_A + γ_B. It holds all of the elastic energy; without it, σ − E_el =
W + γ_A + γ_B (A. Dupré, Théorie mécanique de la chaleur, 1869).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ionscape.errors import CalculationError
from ionscape.interfaces.assembly import Interface
from ionscape.interfaces.slabs import Slab
from ionscape.levels.calculation import Relaxation, SinglePoint
from ionscape.results import Failure
from ionscape.units import Area, Count, Energy, EnergyPerArea, EnergyPerAtom, Indices

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.interfaces.contact_bench import ContactBench
    from ionscape.interfaces.registry import RegistrySearch
    from ionscape.interfaces.registry_settings import AdhesionSettings


@dataclass(frozen=True)
class Adhesion:
    """Work of adhesion of an interface and what belongs to it; a `Failure` stands where a variant is not known.

    Attributes
    ----------
    level
        Name of the level of all energies.
    area, n_interfaces
        Area of one contact and number of contacts in the cell.
    energy, film_energy, substrate_energy
        E_AB, E_A and E_B.
    work_of_adhesion
        W, negative for a bound contact.
    work_of_separation
        −W.
    cleavage, strain_corrected
        W with frozen slabs, and with slabs in their own lattices.
    film_surface_energy, substrate_surface_energy
        γ of each slab in its own lattice, the mean of its two faces.
    elastic_energy
        E_el: that of both slabs strained into the common cell, per contact.
    interface_energy, interface_energy_strain_corrected
        σ and σ − E_el.
    film, substrate
        The slabs relaxed alone in the cell of the interface.
    """

    level: str
    area: Area
    n_interfaces: Count
    energy: Energy
    film_energy: Energy
    substrate_energy: Energy
    work_of_adhesion: EnergyPerArea
    work_of_separation: EnergyPerArea
    cleavage: EnergyPerArea | Failure
    strain_corrected: EnergyPerArea | Failure
    film_surface_energy: EnergyPerArea | Failure
    substrate_surface_energy: EnergyPerArea | Failure
    elastic_energy: EnergyPerArea | Failure
    interface_energy: EnergyPerArea | Failure
    interface_energy_strain_corrected: EnergyPerArea | Failure
    film: Structure = field(metadata={"internal": True})
    substrate: Structure = field(metadata={"internal": True})


@dataclass(frozen=True)
class BulkEnergies:
    """Energies of the two bulk crystals at the level of the interface, or why they are not known."""

    film: EnergyPerAtom | Failure
    substrate: EnergyPerAtom | Failure


def work_of_adhesion(
    search: RegistrySearch, settings: AdhesionSettings, bench: ContactBench, bulk: BulkEnergies | None = None
) -> Adhesion:
    """Return the work of adhesion of the interface that a registry search found.

    Parameters
    ----------
    search
        The search; with rigid slabs, the slabs alone stay as they are too.
    settings
        Which variants are computed.
    bench
        Where and at which level.
    bulk
        Energies of the bulk crystals, for surface and interface energies.

    Raises
    ------
    CalculationError
        If the interface or a slab alone could not be relaxed.
    """
    interface = search.interface
    if isinstance(search.final, Failure):
        message = f"the best interface could not be relaxed with all its atoms: {search.final.reason}"
        raise CalculationError(message)
    alone = _alone(interface, bench, relaxed=search.final is not None)
    film, substrate = alone
    area = interface.area * interface.n_interfaces
    work = (search.energy - film.energy - substrate.energy) / area
    cleaved = _cleavage(interface, search, bench)
    own = _own_lattices(interface, settings, bench, relaxed=search.final is not None)
    surfaces = _surface_energies(interface, own, bulk)
    elastic = _combined(lambda a, b: (film.energy + substrate.energy - a - b) / area, own)
    corrected = _combined(lambda a, b: a + b + work, surfaces)
    return Adhesion(
        level=bench.level.name,
        area=interface.area,
        n_interfaces=interface.n_interfaces,
        energy=search.energy,
        film_energy=film.energy,
        substrate_energy=substrate.energy,
        work_of_adhesion=work,
        work_of_separation=-work,
        cleavage=cleaved,
        strain_corrected=_combined(lambda e: work + e, [elastic]),
        film_surface_energy=surfaces[0],
        substrate_surface_energy=surfaces[1],
        elastic_energy=elastic,
        interface_energy=_combined(lambda s, e: s + e, [corrected, elastic]),
        interface_energy_strain_corrected=corrected,
        film=film.structure,
        substrate=substrate.structure,
    )


def _alone(interface: Interface, bench: ContactBench, *, relaxed: bool) -> list[Relaxation | SinglePoint]:
    """Return film and substrate alone in the cell of the interface."""
    slabs = [interface.film_slab, interface.substrate_slab]
    done: list[Relaxation | SinglePoint] = []
    for name, answer in zip(("film", "substrate"), _computed(slabs, bench, relaxed=relaxed), strict=True):
        if isinstance(answer, Failure):
            message = f"the {name} alone in the cell of the interface: {answer.reason}"
            raise CalculationError(message)
        done.append(answer)
    return done


def _computed(
    structures: Sequence[Structure], bench: ContactBench, *, relaxed: bool
) -> Sequence[Relaxation | SinglePoint | Failure]:
    return bench.relax(structures) if relaxed else bench.lab.evaluate(structures, bench.level)


def _cleavage(interface: Interface, search: RegistrySearch, bench: ContactBench) -> EnergyPerArea | Failure:
    """Return W with the slabs frozen as they stand in the relaxed interface."""
    parts = [part_of(search.structure, sites) for sites in (interface.film_sites, interface.substrate_sites)]
    answers = bench.lab.evaluate(parts, bench.level)
    energies = [one if isinstance(one, Failure) else one.energy for one in answers]
    area = interface.area * interface.n_interfaces
    return _combined(lambda a, b: (search.energy - a - b) / area, energies)


def part_of(structure: Structure, sites: Indices) -> Structure:
    """Return the sites of one slab of an interface alone in the same cell, none of them held."""
    from pymatgen.core import Structure as Crystal

    chosen = [structure[int(i)] for i in sites]
    return Crystal(
        structure.lattice,
        [site.specie for site in chosen],
        np.array([site.coords for site in chosen]),
        coords_are_cartesian=True,
    )


def _own_lattices(
    interface: Interface, settings: AdhesionSettings, bench: ContactBench, *, relaxed: bool
) -> list[Energy | Failure]:
    """Return the energies of film and substrate in their own lattices, as many atoms as in the interface."""
    if not settings.own_lattices:
        return [Failure("slabs in their own lattices were not asked for")] * 2
    slabs = [interface.film.structure, interface.substrate.structure]
    copies = [
        copies_of(interface.film, interface.film_slab),
        copies_of(interface.substrate, interface.substrate_slab),
    ]
    answers = _computed(slabs, bench, relaxed=relaxed)
    return [one if isinstance(one, Failure) else n * one.energy for n, one in zip(copies, answers, strict=True)]


def copies_of(slab: Slab, strained: Structure) -> int:
    """Return how many surface cells of a slab the interface holds."""
    return round(len(strained) / len(slab.structure))


def _surface_energies(
    interface: Interface, own: Sequence[Energy | Failure], bulk: BulkEnergies | None
) -> list[EnergyPerArea | Failure]:
    """Return γ of film and substrate in their own lattices: the energy over the bulk by the area of both faces."""
    if bulk is None:
        return [Failure("the energies of the bulk crystals were not asked for")] * 2
    found: list[EnergyPerArea | Failure] = []
    for slab, strained, energy, each in (
        (interface.film, interface.film_slab, own[0], bulk.film),
        (interface.substrate, interface.substrate_slab, own[1], bulk.substrate),
    ):
        if not slab.stoichiometric:
            formula = slab.structure.composition.reduced_formula
            reason = f"the slab of {formula} is not stoichiometric: its surfaces depend on chemical potentials"
            found.append(Failure(reason))
            continue
        faces = 2 * slab.area * copies_of(slab, strained)
        atoms = len(strained)
        found.append(_combined(lambda e, b, n=atoms, a=faces: (e - n * b) / a, [energy, each]))
    return found


def _combined(formula: Callable[..., float], parts: Sequence[float | Failure]) -> float | Failure:
    """Return `formula` of numbers, or the first of them that is a failure."""
    failed = next((part for part in parts if isinstance(part, Failure)), None)
    return failed if failed is not None else float(formula(*parts))
