"""Hops across contacts of a study: which, between which structures, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import InputError
from ionscape.migration.crossing import CrossingHop, crossing_hops
from ionscape.migration.hop_ends import repeats_for
from ionscape.migration.plan import MigrationPlan
from ionscape.migration.requests import AskedHop, FoundPath, asked_hop
from ionscape.results import Failure
from ionscape.units import Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.levels.registry import Level


@dataclass(frozen=True)
class ContactToSearch:
    """A relaxed interface, and which of its sites belong to the slab that the ion leaves, (sites,)."""

    name: str
    structure: Structure
    leaving: Annotated[NDArray[np.bool_], Unit("1")]


@dataclass(frozen=True)
class CrossingOutcome:
    """A hop across a contact, and its path or why there is none."""

    hop: CrossingHop = field(metadata={"internal": True})
    outcome: FoundPath | Failure


@dataclass(frozen=True)
class ContactMigration:
    """Migration across one contact.

    Attributes
    ----------
    repeats
        Of the interface's cell in which paths were found; never along the normal.
    hops
        By kind of start and length; empty if there are none.
    reason
        Why there are none, else empty.
    """

    name: str
    formula: str
    repeats: Annotated[tuple[int, int, int], Unit("1")]
    hops: tuple[CrossingOutcome, ...]
    reason: str


@dataclass(frozen=True)
class AskedContact:
    """What is asked of the laboratory for one contact: its hops, each with the request for its path."""

    name: str
    formula: str
    repeats: Annotated[tuple[int, int, int], Unit("1")]
    hops: tuple[CrossingHop, ...]
    asked: tuple[AskedHop, ...]
    reason: str

    @property
    def names(self) -> list[str]:
        """Names of the hops."""
        return [hop.name for hop in self.hops]

    def answered(self, outcomes: Sequence[FoundPath | Failure]) -> ContactMigration:
        """Return the contact with the `outcomes` of its hops."""
        hops = tuple(CrossingOutcome(*one) for one in zip(self.hops, outcomes, strict=True))
        return ContactMigration(self.name, self.formula, self.repeats, hops, self.reason)


def asked_contact(contact: ContactToSearch, plan: MigrationPlan, level: Level) -> AskedContact:
    """Return the hops across `contact` with the requests for their paths, or why there are none.

    The cell is repeated along the interface until lattice planes are `plan.width_A` apart, within
    `plan.most_atoms`, so that a vacancy does not see its images.
    """
    structure = contact.structure.copy()
    structure.remove_oxidation_states()
    repeats = repeats_for(structure, plan.width_A, plan.most_atoms, axes=(0, 1))
    structure.make_supercell(repeats)
    leaving = np.repeat(contact.leaving, int(np.prod(repeats)))
    formula = contact.structure.composition.reduced_formula
    reason = f"no way of {plan.mobile} of {plan.crossing.longest_A:g} Å or less from one slab into the other"
    hops: tuple[CrossingHop, ...] = ()
    try:
        found = crossing_hops(structure, leaving, plan.mobile, plan.crossing)
        hops = tuple(hop for hop in found if plan.wants(hop.name))
    except InputError as error:
        reason = str(error)
    asked = tuple(asked_hop(hop.ends, plan.band, level) for hop in hops)
    return AskedContact(contact.name, formula, repeats, hops, asked, "" if hops else reason)
