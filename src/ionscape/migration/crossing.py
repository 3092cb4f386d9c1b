"""Hops across an interface, from surface sites of one slab into the other, named as in the source study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ionscape.errors import InputError
from ionscape.migration.endpoints import EndPoints
from ionscape.migration.sites import coordination, label_of
from ionscape.settings import Settings
from ionscape.structures.supercells import images_within
from ionscape.units import Array, Count, Length

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: A boolean for every site.
Marks = NDArray[np.bool_]


class CrossingSettings(Settings):
    """Which hops across an interface are looked for."""

    start: Literal["substrate", "film"] = Field(
        "substrate", description="The slab that the ion leaves (the study: the cathode)."
    )
    longest_A: float = Field(5.0, gt=0, le=12, description="Longest hop from one slab into the other, Å.")
    per_start: int = Field(3, ge=1, le=50, description="Hops from every start, the shortest ones.")
    clearance_A: float = Field(
        0.8,
        ge=0,
        le=3,
        description="A hop whose straight line passes another site of the ion nearer than this is two, Å.",
    )


@dataclass(frozen=True)
class CrossingHop:
    """A hop across an interface by the vacancy mechanism.

    Attributes
    ----------
    name
        ``I1-2``: the second-shortest hop from the first kind of start.
    kind
        Number of the kind of start, from 1: kinds differ in coordination, the highest first.
    start, end
        Sites of the structure: the ion that hops, and the ion whose place is vacant.
    start_label, end_label
        Coordination of both, such as ``LiO6``.
    length
        Distance.
    ends
        Initial and final structure, unrelaxed.
    """

    name: str
    kind: Count
    start: Count
    end: Count
    start_label: str
    end_label: str
    length: Length
    ends: EndPoints


def crossing_hops(
    structure: Structure, sides: Sequence[bool] | Marks, ion: str, settings: CrossingSettings | None = None
) -> list[CrossingHop]:
    """Return the hops of `ion` from one slab into the other, by kind of start and length.

    Starts are ions of the first slab with a site of the other within reach. Starts of one coordination are one
    kind; of each kind the one with the shortest way is taken, and from it the shortest hops to different sites.

    Parameters
    ----------
    structure
        A relaxed interface.
    sides
        Which sites belong to the slab from which the ion comes, one for every site; the others are the other slab.
    ion
        Element that hops.
    settings
        How far, and how many.

    Raises
    ------
    InputError
        If `sides` does not divide the sites in two slabs that both hold the ion.
    """
    settings = settings or CrossingSettings()
    first = np.asarray(sides, dtype=bool)
    own = np.array([site.specie.symbol == ion for site in structure])
    _check_sides(structure, first, own, ion)
    near = {int(k): _ways(structure, int(k), own & ~first, own, settings) for k in np.flatnonzero(own & first)}
    starts = {start: ways for start, ways in near.items() if ways}
    labels = {start: _label(structure, start, ion) for start in starts}
    kinds = sorted({labels[start] for start in starts}, key=lambda label: (-label[0], label[1]))
    hops = []
    for number, kind in enumerate(kinds, start=1):
        start = min((s for s in starts if labels[s] == kind), key=lambda s: (starts[s][0][0], s))
        for rank, (length, end, vector) in enumerate(starts[start][: settings.per_start], start=1):
            hops.append(
                CrossingHop(
                    name=f"I{number}-{rank}",
                    kind=number,
                    start=start,
                    end=end,
                    start_label=kind[1],
                    end_label=_label(structure, end, ion)[1],
                    length=length,
                    ends=_ends(structure, start, end, vector),
                )
            )
    return hops


def _check_sides(structure: Structure, sides: Marks, own: Marks, ion: str) -> None:
    if sides.shape == own.shape and (own & sides).any() and (own & ~sides).any():
        return
    marked = f"{int(sides.sum())} sites" if sides.shape == own.shape else f"{sides.size} marks"
    raise InputError(
        f"{marked} for the slab that the ion leaves, of {len(structure)} sites with {int(own.sum())} {ion}",
        where="sides of the interface",
        expected=f"one boolean for every site, with {ion} in that slab and outside it",
        remedy="Mark the sites of the slab from which the ion comes.",
    )


def _ways(
    structure: Structure, start: int, goals: Marks, ions: Marks, settings: CrossingSettings
) -> list[tuple[float, int, Array]]:
    """Return length, end and vector of the hops from one ion, each end by its shortest way, nothing in between."""
    matrix = np.array(structure.lattice.matrix)
    fractional = structure.frac_coords - structure[start].frac_coords
    images, index = images_within(matrix, fractional, settings.longest_A)
    lengths = np.linalg.norm(images, axis=1)
    between = images[ions[index] & (lengths > 1e-3)]
    best: dict[int, tuple[float, int, Array]] = {}
    for k in np.argsort(lengths, kind="stable"):
        end, length = int(index[k]), float(lengths[k])
        if length > settings.longest_A:
            break
        if goals[end] and end not in best and not _passes(images[k], between, settings.clearance_A):
            best[end] = (round(length, 4), end, images[k])
    return sorted(best.values(), key=lambda way: way[:2])


def _passes(vector: Array, others: Array, clearance: float) -> bool:
    length = float(np.linalg.norm(vector))
    along = others @ vector / length
    across = np.linalg.norm(others - np.outer(along, vector) / length, axis=1)
    return bool(((along > 0.15 * length) & (along < 0.85 * length) & (across < clearance)).any())


def _label(structure: Structure, site: int, ion: str) -> tuple[int, str]:
    counts = coordination(structure, structure[site].coords, ion)
    return sum(counts.values()), label_of(ion, counts)


def _ends(structure: Structure, start: int, end: int, vector: Array) -> EndPoints:
    final = structure.copy()
    final.translate_sites([start], vector, frac_coords=False, to_unit_cell=False)
    initial = structure.copy()
    for one in (initial, final):
        one.remove_sites([end])
    displacement = np.zeros((len(structure), 3))
    displacement[start] = vector
    return EndPoints(initial, final, np.delete(displacement, end, axis=0))
