"""The states of an interface layer by layer: edges, who owns the valence band, and the offset of its two sides."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np

from ionscape.electronic.layers import DEFAULT_GAP, Layers, find_layers
from ionscape.electronic.offset import BandOffset, band_offset
from ionscape.electronic.outputs import ElectronicOutput
from ionscape.electronic.profile import layer_average
from ionscape.electronic.states import (
    LayerEdges,
    Owner,
    ProjectedStates,
    layer_edges,
    orbital_states,
    valence_owner,
)
from ionscape.structures.exchange import replacing
from ionscape.structures.sides import first_side
from ionscape.units import Count, EnergyArray, Length, Unit


@dataclass(frozen=True)
class LayeredStates:
    """What the layers of an interface tell.

    Attributes
    ----------
    states, layers
        The projected states, and which atom belongs to which layer.
    edges
        Band edges of every layer.
    owner
        Who owns the top of the valence band.
    potentials
        Mean electrostatic potential of every layer, (layers,); None without one.
    offset
        Offset of the bands of the two sides; None where the sides were not marked.
    """

    states: ProjectedStates = field(metadata={"internal": True})
    layers: Layers = field(metadata={"internal": True})
    edges: tuple[LayerEdges, ...]
    owner: Owner
    potentials: Annotated[EnergyArray | None, Unit("eV")]
    offset: BandOffset | None


def analyse_layers(
    output: ElectronicOutput,
    axis: Count = 2,
    gap: Length = DEFAULT_GAP,
    sides: tuple[str, str] | None = None,
) -> LayeredStates:
    """Return the states of an interface layer by layer.

    Parameters
    ----------
    output
        The finished calculation.
    axis
        Lattice vector that leads out of the interface.
    gap
        Gap along the normal that divides layers.
    sides
        Elements that only the first and only the second side has (`structures.sides.first_side`).

    Raises
    ------
    InputError
        If there is no gap in the bands, or none between layers, or the marks are none.
    """
    structure, states = output.structure, output.states
    layers = find_layers(structure.lattice.matrix, structure.cart_coords, axis, gap)
    edges, owner = layer_edges(states, layers), valence_owner(states, layers)
    potentials = None if output.potential is None else layer_average(output.potential, layers, axis)
    offset = None
    if sides is not None:
        offset = band_offset(edges, layers, first_side(structure, *sides), potentials)
    return LayeredStates(states, layers, edges, owner, potentials, offset)


def write_states(found: LayeredStates, path: Path) -> Path:
    """Write states per eV by layer, element with orbital, and spin, over energies from the valence top."""
    states, layers = found.states, found.layers
    rows = [
        {
            "layer": number,
            "states_per_eV": {
                name: np.round(values, 5).tolist()
                for name, values in orbital_states(states, np.flatnonzero(layers.of_atom == number)).items()
                if values.any()
            },
        }
        for number in range(len(layers))
    ]
    energies = np.round(states.energies - states.valence_top, 5).tolist()
    with replacing(path) as part:
        part.write_text(json.dumps({"energy_from_valence_top_eV": energies, "layers": rows}), encoding="utf-8")
    return path
