"""States projected on atoms: their sums by layer, element and orbital, and who owns the edges of the gap.

An edge of a layer is where its states, counted from inside the band outwards, are spent: the energy beyond which
fewer than `EDGE_STATES` of a state per atom of the layer lie between there and the middle of the gap. So a tail
of another layer that leaks in does not count as its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from ionscape.electronic.layers import Layers
from ionscape.errors import InputError
from ionscape.units import Array, Count, Energy, EnergyArray, Indices, Number, Unit

#: States per atom that make an edge: less is the tail of a neighbour.
EDGE_STATES = 0.02
#: Depth below the top of the valence band in which its owner is asked for, eV.
WINDOW = 0.3

StatesArray = Annotated[Array, Unit("1/eV")]
ORBITALS = "spdf"


@dataclass(frozen=True)
class ProjectedStates:
    """Density of states projected on atoms and orbitals.

    Attributes
    ----------
    energies
        Grid, eV, evenly spaced, (n,).
    values
        States per eV by atom, orbital (s, p, d, f) and spin, (atoms, orbitals, spins, n).
    symbols
        Elements of the atoms.
    valence_top, conduction_bottom
        Highest occupied and lowest empty eigenvalue, on the scale of `energies`.
    source
        Where they come from.
    """

    energies: EnergyArray
    values: StatesArray
    symbols: tuple[str, ...]
    valence_top: Energy
    conduction_bottom: Energy
    source: str

    @property
    def gap(self) -> Energy:
        """Lowest empty less highest occupied eigenvalue, eV; 0 in a metal."""
        return max(self.conduction_bottom - self.valence_top, 0.0)

    def of_atoms(self, atoms: Indices) -> StatesArray:
        """Return the states of `atoms` by spin, all orbitals, (spins, n)."""
        summed: StatesArray = self.values[atoms].sum(axis=(0, 1))
        return summed


@dataclass(frozen=True)
class LayerEdges:
    """Edges of one layer; None where it has no states in that band.

    Attributes
    ----------
    layer
        Its number.
    formula
        Its atoms.
    valence_top, conduction_bottom
        On the scale of the states, eV.
    """

    layer: Count
    formula: str
    valence_top: Energy | None
    conduction_bottom: Energy | None


@dataclass(frozen=True)
class Owner:
    """Who owns the top of the valence band.

    Attributes
    ----------
    layer, species, orbital
        With the most states in the window below the top; the layer per atom of its own.
    layer_share, species_share
        Part of all projected states in the window that are the layer's and the species' orbital.
    margin
        Edge of the owning layer less the highest edge of the others, eV: positive if it stands alone on top;
        None if it is the only one with an edge.
    """

    layer: Count
    species: str
    orbital: str
    layer_share: Number
    species_share: Number
    margin: Energy | None


def layer_states(states: ProjectedStates, layers: Layers) -> StatesArray:
    """Return states by layer and spin, (layers, spins, n)."""
    return np.array([states.of_atoms(np.flatnonzero(layers.of_atom == k)) for k in range(len(layers))])


def orbital_states(states: ProjectedStates, atoms: Indices) -> Mapping[str, StatesArray]:
    """Return the states of `atoms` by element and orbital (``Co d``), by spin, (spins, n)."""
    found: dict[str, StatesArray] = {}
    for element in dict.fromkeys(states.symbols[i] for i in atoms):
        of_element = [i for i in atoms if states.symbols[i] == element]
        for number, letter in enumerate(ORBITALS[: states.values.shape[1]]):
            found[f"{element} {letter}"] = states.values[of_element, number].sum(axis=0)
    return found


def layer_edges(states: ProjectedStates, layers: Layers) -> tuple[LayerEdges, ...]:
    """Return the band edges of every layer.

    Raises
    ------
    InputError
        If there is no gap: edges mean nothing then.
    """
    _require_gap(states)
    middle = (states.valence_top + states.conduction_bottom) / 2
    step = float(states.energies[1] - states.energies[0])
    below = np.flatnonzero(states.energies < middle)[::-1]
    above = np.flatnonzero(states.energies >= middle)
    edges = []
    for number, values in enumerate(layer_states(states, layers).sum(axis=1)):
        atoms = np.flatnonzero(layers.of_atom == number)
        per_atom = values * step / len(atoms)
        edges.append(
            LayerEdges(
                layer=number,
                formula=_formula([states.symbols[i] for i in atoms]),
                valence_top=_reached(states.energies[below], per_atom[below]),
                conduction_bottom=_reached(states.energies[above], per_atom[above]),
            )
        )
    return tuple(edges)


def valence_owner(states: ProjectedStates, layers: Layers, window: Energy = WINDOW) -> Owner:
    """Return who owns the top of the valence band: most states within `window` eV below it.

    Raises
    ------
    InputError
        If there is no gap, or no projected state in the window.
    """
    edges = layer_edges(states, layers)
    inside = (states.energies > states.valence_top - window) & (states.energies <= states.valence_top + window / 2)
    by_layer = layer_states(states, layers)[..., inside].sum(axis=(1, 2))
    if by_layer.sum() <= 0:
        raise _refused("no projected states below the top of the valence band", "states down to there")
    sizes = np.bincount(layers.of_atom)
    layer = int(np.argmax(by_layer / sizes))
    everything = orbital_states(states, np.arange(len(states.symbols)))
    shares = {name: float(values[:, inside].sum()) for name, values in everything.items()}
    best = max(shares, key=lambda name: shares[name])
    total = sum(shares.values())
    own = edges[layer].valence_top
    others = [one.valence_top for one in edges if one.layer != layer and one.valence_top is not None]
    species, orbital = best.split()
    return Owner(
        layer=layer,
        species=species,
        orbital=orbital,
        layer_share=float(by_layer[layer] / by_layer.sum()),
        species_share=shares[best] / total,
        margin=None if own is None or not others else own - max(others),
    )


def _reached(energies: EnergyArray, states: Array) -> Energy | None:
    """Return the energy at which `states`, summed outwards from the middle of the gap, reach `EDGE_STATES`."""
    sums = np.cumsum(states)
    at = int(np.searchsorted(sums, EDGE_STATES))
    return float(energies[at]) if at < len(energies) else None


def _formula(symbols: Sequence[str]) -> str:
    return "".join(f"{one}{symbols.count(one)}" for one in dict.fromkeys(sorted(symbols)))


def _require_gap(states: ProjectedStates) -> None:
    if states.gap <= 0:
        raise _refused("no gap: states at the Fermi level", "an insulator")


def _refused(found: str, expected: str) -> InputError:
    return InputError(
        found,
        where=f"electronic structure of {expected}",
        expected=expected,
        remedy="Look at the density of states, at +U, and at the smearing of the calculation.",
    )
