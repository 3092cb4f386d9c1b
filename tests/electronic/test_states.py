"""States of made-up layers, whose edges and owners were put in."""

from __future__ import annotations

import numpy as np
import pytest

from ionscape.electronic.layers import find_layers
from ionscape.electronic.states import (
    EDGE_STATES,
    ProjectedStates,
    layer_edges,
    layer_states,
    orbital_states,
    valence_owner,
)
from ionscape.errors import InputError

ENERGIES = np.arange(-8.0, 8.0, 0.01)
CELL = np.array([[4.0, 0.5, 0.0], [-0.4, 4.5, 0.0], [5.0, 2.0, 12.0]])
SYMBOLS = ("Co", "O", "Zr", "O")
#: Fractional heights: Co and O in one layer, Zr and O in another.
POSITIONS = np.array([[0.1, 0.2, 0.2], [0.6, 0.7, 0.22], [0.3, 0.1, 0.7], [0.8, 0.5, 0.71]]) @ CELL


def band(low: float, high: float, states: float) -> np.ndarray:
    inside = (low <= ENERGIES) & (high >= ENERGIES)
    return np.where(inside, states / (high - low), 0.0)


def made(tops: tuple[float, float], leak: float = 0.0, spins: int = 1) -> ProjectedStates:
    """Return states whose valence band ends at `tops` in two layers; `leak` of the first stands in the second."""
    values = np.zeros((4, 4, spins, len(ENERGIES)))
    for spin in range(spins):
        values[0, 2, spin] = band(-4, tops[0], 6.0) + band(2.0, 4.0, 4.0)
        values[1, 1, spin] = band(-5, tops[0] - 0.5, 6.0)
        values[2, 2, spin] = band(3.5, 5.0, 10.0)
        values[3, 1, spin] = band(-5, tops[1], 6.0) + leak * band(tops[1], tops[0], 1.0)
    return ProjectedStates(ENERGIES, values, SYMBOLS, max(tops), 2.0, "made up")


@pytest.fixture
def layers():
    found = find_layers(CELL, POSITIONS)
    assert len(found) == 2
    return found


def layer_of(layers, atom: int) -> int:
    return int(layers.of_atom[atom])


@pytest.mark.parametrize("spins", [1, 2])
def test_sums_by_layer_and_orbital_are_all_states(layers, spins):
    states = made((0.0, -1.0), spins=spins)
    assert layer_states(states, layers).sum(axis=0) == pytest.approx(states.values.sum(axis=(0, 1)))
    orbitals = orbital_states(states, np.arange(4))
    assert sum(values.sum() for values in orbitals.values()) == pytest.approx(states.values.sum())
    assert orbitals["Zr d"].sum() * 0.01 == pytest.approx(10.0 * spins, rel=0.02)


def test_edges_are_those_that_were_put_in(layers):
    edges = layer_edges(made((0.0, -1.2)), layers)
    cobalt, zirconium = edges[layer_of(layers, 0)], edges[layer_of(layers, 2)]
    assert (cobalt.formula, zirconium.formula) == ("Co1O1", "O1Zr1")
    assert cobalt.valence_top == pytest.approx(0.0, abs=0.05)
    assert zirconium.valence_top == pytest.approx(-1.2, abs=0.06)
    assert cobalt.conduction_bottom == pytest.approx(2.0, abs=0.05)
    assert zirconium.conduction_bottom == pytest.approx(3.5, abs=0.05)


def test_a_tail_of_the_neighbour_is_no_edge(layers):
    states = made((0.0, -1.2), leak=EDGE_STATES)
    assert layer_edges(states, layers)[layer_of(layers, 2)].valence_top == pytest.approx(-1.2, abs=0.08)


@pytest.mark.parametrize(("tops", "atom", "owner"), [((0.0, -1.0), 0, ("Co", "d")), ((-1.0, 0.0), 3, ("O", "p"))])
def test_the_owner_of_the_top_is_told_with_its_margin(layers, tops, atom, owner):
    found = valence_owner(made(tops), layers)
    assert found.layer == layer_of(layers, atom)
    assert (found.species, found.orbital) == owner
    assert found.margin == pytest.approx(1.0, abs=0.1)
    assert found.layer_share > 0.95


def test_a_layer_without_states_has_no_edge(layers):
    states = made((0.0, -1.0))
    states.values[2:, :] = 0.0
    edge = layer_edges(states, layers)[layer_of(layers, 2)]
    assert edge.valence_top is None
    assert edge.conduction_bottom is None
    assert valence_owner(states, layers).margin is None


def test_a_metal_is_refused(layers):
    states = made((0.0, -1.0))
    metal = ProjectedStates(states.energies, states.values, SYMBOLS, 0.1, 0.1, "metal")
    assert metal.gap == 0.0
    with pytest.raises(InputError, match="no gap"):
        layer_edges(metal, layers)
