r"""Band offset of two materials that meet: how far the edges of one lie above those of the other, and its margin.

Edges are those of the inner layers of each side (`states.layer_edges`), whose neighbours belong to the same side:

    ΔE = ⟨E⟩_second − ⟨E⟩_first,  margin² = s₁²/n₁ + s₂²/n₂ + 2 δ²

with the scatter s of the n layers' edges and δ what an edge is known to. With the bulk crystals calculated apart
the electrostatic potential lines their edges up (doi:10.1103/PhysRevB.35.8154):

    ΔE = (E − V̄)_second,bulk − (E − V̄)_first,bulk + ΔV̄

where ΔV̄ is the step of the layers' mean potential, with its own scatter as margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from ionscape.electronic.layers import Layers
from ionscape.electronic.states import LayerEdges
from ionscape.errors import InputError
from ionscape.units import Array, Energy, EnergyArray, Unit

#: What an edge read off projected states is known to, eV (Gaussians, grid, threshold).
EDGE_ERROR = 0.1

Kind = Literal["straddling", "staggered", "broken", "undecided"]


@dataclass(frozen=True)
class Difference:
    """Second side less first, and the margin (one standard error) to which it is known."""

    value: Energy
    margin: Energy

    @property
    def decided(self) -> bool:
        """Whether its sign is known: the value exceeds twice the margin."""
        return abs(self.value) > 2 * self.margin


@dataclass(frozen=True)
class BandOffset:
    """Offset of the bands of two sides.

    Attributes
    ----------
    valence, conduction
        Of the valence tops and conduction bottoms, second side less first.
    potential
        Step of the mean electrostatic potential of the inner layers; None without one.
    kind
        ``straddling`` (both edges of the gap on one side), ``staggered``, ``broken``, or ``undecided``.
    inner
        Which layers were used for the first and for the second side.
    """

    valence: Difference
    conduction: Difference
    potential: Difference | None
    kind: Kind
    inner: tuple[tuple[Annotated[int, Unit("1")], ...], tuple[Annotated[int, Unit("1")], ...]]

    @property
    def verdict(self) -> str:
        """Which side owns the top of the valence band, in words, with the margin."""
        told = f"{abs(self.valence.value):.2f} ± {self.valence.margin:.2f} eV"
        if not self.valence.decided:
            return f"not decided: the valence tops differ by {told}"
        return f"the valence top is on the {'second' if self.valence.value > 0 else 'first'} side, by {told}"


def band_offset(
    edges: Sequence[LayerEdges],
    layers: Layers,
    first: NDArray[np.bool_],
    potentials: EnergyArray | None = None,
) -> BandOffset:
    """Return the offset of the bands of the two sides of an interface.

    Parameters
    ----------
    edges
        Edges of all layers.
    layers
        The layers.
    first
        Which atoms belong to the first side, (atoms,).
    potentials
        Mean electrostatic potential of every layer, eV, (layers,).

    Raises
    ------
    InputError
        If a side has no layer of its own, or its layers have no edges.
    """
    inner = _inner(layers, first)
    tops = [[edges[k].valence_top for k in side] for side in inner]
    bottoms = [[edges[k].conduction_bottom for k in side] for side in inner]
    valence, conduction = (_difference(_known(one), _known(other), EDGE_ERROR) for one, other in (tops, bottoms))
    step = None
    if potentials is not None:
        step = _difference(potentials[list(inner[0])], potentials[list(inner[1])], 0.0)
    gap = float(np.mean(_known(bottoms[0])) - np.mean(_known(tops[0])))
    return BandOffset(valence, conduction, step, _kind(valence, conduction, gap), inner)


def lined_up(offset: BandOffset, first: Energy, second: Energy) -> Difference:
    """Return the offset of two bulk crystals lined up by the potential of the interface.

    Parameters
    ----------
    offset
        Of the interface, with its potential.
    first, second
        Edge above the mean potential, E − V̄, of each bulk crystal.

    Raises
    ------
    InputError
        If the interface has no potential.
    """
    if offset.potential is None:
        raise _refused("no electrostatic potential of the interface", "its LOCPOT, or a .gpw file")
    return Difference(second - first + offset.potential.value, offset.potential.margin)


def _inner(layers: Layers, first: NDArray[np.bool_]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the layers of each side whose neighbours are of the same side; all of a side that has none such."""
    count = len(layers)
    share = np.bincount(layers.of_atom, first, count) / np.bincount(layers.of_atom)
    found = []
    for own in (share > 0.5, share < 0.5):
        # the last gap is the widest: no layer lies beyond it, and what faces it is a surface or a contact
        inner = own & np.append(own[1:], False) & np.insert(own[:-1], 0, False)
        chosen = inner if inner.any() else own
        found.append(tuple(int(k) for k in np.flatnonzero(chosen)))
    if not all(found):
        raise _refused(f"{len(found[0])} and {len(found[1])} layers of the two sides", "layers of both sides")
    return found[0], found[1]


def _known(edges: Sequence[float | None]) -> Array:
    values = np.array([one for one in edges if one is not None])
    if not len(values):
        raise _refused("no edge in any inner layer of one side", "states of both sides beside the gap")
    return values


def _difference(first: Array, second: Array, own: float) -> Difference:
    spread = sum(float(np.var(one, ddof=1)) / len(one) if len(one) > 1 else 0.0 for one in (first, second))
    return Difference(float(second.mean() - first.mean()), float(np.sqrt(spread + 2 * own**2)))


def _kind(valence: Difference, conduction: Difference, gap: Energy) -> Kind:
    if not (valence.decided and conduction.decided):
        return "undecided"
    if valence.value > gap or conduction.value < -gap:
        return "broken"
    return "staggered" if valence.value * conduction.value > 0 else "straddling"


def _refused(found: str, expected: str) -> InputError:
    return InputError(
        found,
        where="band offset",
        expected=expected,
        remedy="Mark both sides by elements that only they have, and take slabs of at least three layers each.",
    )
