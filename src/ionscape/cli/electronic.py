"""The command about the electronic structure of interfaces: electronic."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command, whole_number
from ionscape.cli.output import Answer, table
from ionscape.errors import InputError

if TYPE_CHECKING:
    from ionscape.electronic.layers import Layers
    from ionscape.electronic.states import ProjectedStates
    from ionscape.structures.density import DensityGrid


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    electronic = command(
        commands, "electronic", _electronic, "states by layer, gap, owner of the valence band; density differences"
    )
    electronic.add_argument(
        "outputs",
        nargs="+",
        metavar="OUTPUT",
        help=".gpw or vasprun.xml; three (.gpw, CHGCAR or cube) AB A B for the density difference",
    )
    electronic.add_argument("--axis", type=whole_number, default=2, help="lattice vector out of the interface (2)")
    electronic.add_argument(
        "--layer-gap-A", type=float, default=0.8, help="gap that divides layers, Å (default 0.8)"
    )
    electronic.add_argument("--out", type=Path, default=Path("electronic"), help="folder of the files")


def _electronic(options: argparse.Namespace) -> Answer:
    if len(options.outputs) not in {1, 3} or options.axis > 2:
        raise InputError(
            f"{len(options.outputs)} outputs, axis {options.axis}",
            where="command electronic",
            expected="one output, or three (AB A B); axis 0, 1 or 2",
            remedy="Give the whole interface, or it and its two parts.",
        )
    options.out.mkdir(parents=True, exist_ok=True)
    payload: dict[str, Any] = {"files": []}
    if not _is_density(options.outputs[0]):
        payload |= _states(options)
    if len(options.outputs) == 3:
        payload |= _difference(options, payload["files"])
    rows = [(name, f"{value:.4g}" if isinstance(value, float) else value) for name, value in payload.items()]
    shown = [row for row in rows if not isinstance(row[1], list)]
    shown += [(f"layer {one['layer']} {one['formula']}", _edges(one)) for one in payload.get("layers", [])]
    return Answer(payload, table(("quantity", "value"), shown))


def _edges(layer: dict[str, Any]) -> str:
    parts = [f"{name} {layer[name]:.2f}" for name in ("valence_top_eV", "conduction_bottom_eV") if name in layer]
    return ", ".join(parts) or "no states at the edges"


def _is_density(path: str) -> bool:
    name = Path(path).name.lower()
    return ".cub" in name or "chg" in name or "aeccar" in name


def _states(options: argparse.Namespace) -> dict[str, Any]:
    from ionscape.electronic.layers import find_layers
    from ionscape.electronic.states import layer_edges, valence_owner

    states, cell, positions, potential = _read(options.outputs[0])
    layers = find_layers(cell, positions, options.axis, options.layer_gap_A)
    edges, owner = layer_edges(states, layers), valence_owner(states, layers)
    found: list[dict[str, Any]] = []
    for one, height in zip(edges, layers.heights, strict=True):
        row = {"layer": one.layer, "formula": one.formula, "height_A": float(height)}
        row |= {} if one.valence_top is None else {"valence_top_eV": one.valence_top}
        row |= {} if one.conduction_bottom is None else {"conduction_bottom_eV": one.conduction_bottom}
        found.append(row)
    if potential is not None:
        from ionscape.electronic.profile import layer_average

        for row, value in zip(found, layer_average(potential, layers, options.axis), strict=True):
            row["potential_eV"] = float(value)
    return {
        "gap_eV": states.gap,
        "vbm_layer": owner.layer,
        "vbm_species": owner.species,
        "vbm_orbital": owner.orbital,
        "vbm_layer_share": owner.layer_share,
        "vbm_species_share": owner.species_share,
        **({} if owner.margin is None else {"vbm_margin_eV": owner.margin}),
        "layers": found,
        "files": [_written(states, layers, options.out / "states.json")],
    }


def _read(path: str) -> tuple[ProjectedStates, Any, Any, Any]:
    """Return states, lattice vectors, positions, and the potential where the output has one."""
    if not path.endswith(".gpw"):
        from ionscape.electronic.from_vasp import read_vasprun

        return (*read_vasprun(path), None)
    from ionscape.electronic.from_gpaw import open_calculation, potential_of, states_of

    calculator = open_calculation(path)
    atoms = calculator.atoms
    return states_of(calculator, path), atoms.cell.array, atoms.positions, potential_of(calculator)


def _written(states: ProjectedStates, layers: Layers, path: Path) -> str:
    """Write states per eV by layer, element with orbital, and spin, over energies from the valence top."""
    import numpy as np

    from ionscape.electronic.states import orbital_states
    from ionscape.structures.exchange import replacing

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
    return str(path)


def _difference(options: argparse.Namespace, files: list[str]) -> dict[str, Any]:
    from ionscape.electronic.difference import density_difference, write_difference
    from ionscape.structures.exchange import replacing

    whole, first, second = (_density(path) for path in options.outputs)
    found = density_difference(whole, (first, second), options.axis)
    cube = write_difference(found, whole, options.out / "difference.cube")
    planar = options.out / "planar.json"
    with replacing(planar) as part:
        part.write_text(json.dumps({"height_A": found.heights.tolist(), "e_per_A": found.planar.tolist()}))
    return {
        "moved_e": found.moved,
        "difference_integral_e": found.total,
        "files": [*files, str(cube), str(planar)],
    }


def _density(path: str) -> DensityGrid:
    if not path.endswith(".gpw"):
        from ionscape.structures.density import read_density

        return read_density(path)
    from ionscape.electronic.from_gpaw import density_of, open_calculation

    return density_of(open_calculation(path), path)
