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
    from ionscape.electronic.analysis import LayeredStates
    from ionscape.electronic.offset import BandOffset


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    electronic = command(
        commands,
        "electronic",
        _electronic,
        "states by layer, gap, owner of the valence band; charges",
    )
    electronic.add_argument(
        "outputs",
        nargs="+",
        metavar="OUTPUT",
        help=".gpw, vasprun.xml, vaspout.h5, OUTCAR, or the folder of a VASP run; three (.gpw, CHGCAR or cube) "
        "AB A B for the density difference",
    )
    electronic.add_argument("--axis", type=whole_number, default=2, help="lattice vector out of the interface (2)")
    electronic.add_argument(
        "--layer-gap-A", type=float, default=0.8, help="gap that divides layers, Å (default 0.8)"
    )
    electronic.add_argument(
        "--sides", nargs=2, metavar="MARKS", help="elements that only either side has (Co Zr), for the band offset"
    )
    electronic.add_argument("--potential", metavar="LOCPOT", help="potential (default: LOCPOT beside the output)")
    electronic.add_argument(
        "--bulk", nargs=2, metavar="OUTPUT", help="both bulk crystals, with potentials, to line their edges up"
    )
    _with_charges(electronic)
    electronic.add_argument("--out", type=Path, default=Path("electronic"), help="folder of the files")


def _with_charges(electronic: argparse.ArgumentParser) -> None:
    electronic.add_argument("--charges", choices=("hirshfeld", "bader"), help="charges of the atoms of a density")
    electronic.add_argument(
        "--density", metavar="FILE", help="density for the charges (default: OUTPUT where it is one)"
    )
    electronic.add_argument(
        "--reference", nargs="+", default=[], metavar="FILE",
        help="densities whose sum has the basins of Bader charges: AECCAR0 AECCAR2",
    )  # fmt: skip
    electronic.add_argument(
        "--valence", metavar="EL=N,…", help="electrons of each neutral atom in the density (ZVAL); all without it"
    )


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
    if _is_potential(options.outputs[0]):
        payload |= _potential(options)
    elif not _is_density(options.outputs[0]):
        payload |= _of_states(options)
    if len(options.outputs) == 3:
        payload |= _difference(options, payload["files"])
    if options.charges:
        payload |= _charges(options)
    rows = [(name, f"{value:.4g}" if isinstance(value, float) else value) for name, value in payload.items()]
    shown = [row for row in rows if not isinstance(row[1], list | dict)]
    shown += [(f"layer {one['layer']} {one['formula']}", _edges(one)) for one in payload.get("layers", [])]
    shown += [(f"charge of {name}", f"{value:+.3f} e") for name, value in payload.get("charges_e", {}).items()]
    return Answer(payload, table(("quantity", "value"), shown))


def _edges(layer: dict[str, Any]) -> str:
    parts = [f"{name} {layer[name]:.2f}" for name in ("valence_top_eV", "conduction_bottom_eV") if name in layer]
    return ", ".join(parts) or "no states at the edges"


def _is_density(path: str) -> bool:
    name = Path(path).name.lower()
    return ".cub" in name or "chg" in name or "aeccar" in name


def _is_potential(path: str) -> bool:
    return "locpot" in Path(path).name.lower()


def _of_states(options: argparse.Namespace) -> dict[str, Any]:
    from ionscape.electronic.analysis import analyse_layers, write_states
    from ionscape.electronic.outputs import read_output

    if _is_lonely_outcar(options.outputs[0]):
        return _gap_alone(options.outputs[0])
    output = read_output(options.outputs[0], options.potential)
    found = analyse_layers(output, options.axis, options.layer_gap_A, options.sides and tuple(options.sides))
    owner = found.owner
    return {
        "gap_eV": found.states.gap,
        "vbm_layer": owner.layer,
        "vbm_species": owner.species,
        "vbm_orbital": owner.orbital,
        "vbm_layer_share": owner.layer_share,
        "vbm_species_share": owner.species_share,
        **({} if owner.margin is None else {"vbm_margin_eV": owner.margin}),
        **({} if found.offset is None else _offset(found.offset, options)),
        "layers": _layers(found),
        "files": [str(write_states(found, options.out / "states.json"))],
    }


def _is_lonely_outcar(path: str) -> bool:
    file = Path(path)
    beside = any((file.parent / name).is_file() for name in ("vasprun.xml", "vasprun.xml.gz", "vaspout.h5"))
    return file.name.upper().startswith("OUTCAR") and not beside


def _gap_alone(path: str) -> dict[str, Any]:
    """Return what an OUTCAR alone tells: its band edges, and that it knows no layers."""
    from ionscape.electronic.from_outcar import read_band_edges

    top, bottom = read_band_edges(path)
    told = "an OUTCAR has no projected states: give vasprun.xml or vaspout.h5 (LORBIT = 11) for layers"
    return {
        "gap_eV": max(bottom - top, 0.0),
        "valence_top_eV": top,
        "conduction_bottom_eV": bottom,
        "unavailable": told,
    }


def _layers(found: LayeredStates) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for one, height in zip(found.edges, found.layers.heights, strict=True):
        row = {"layer": one.layer, "formula": one.formula, "height_A": float(height)}
        row |= {} if one.valence_top is None else {"valence_top_eV": one.valence_top}
        row |= {} if one.conduction_bottom is None else {"conduction_bottom_eV": one.conduction_bottom}
        row |= {} if found.potentials is None else {"potential_eV": float(found.potentials[one.layer])}
        rows.append(row)
    return rows


def _offset(offset: BandOffset, options: argparse.Namespace) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "valence_offset_eV": offset.valence.value,
        "valence_offset_margin_eV": offset.valence.margin,
        "conduction_offset_eV": offset.conduction.value,
        "conduction_offset_margin_eV": offset.conduction.margin,
        "alignment": offset.kind,
        "offset_verdict": offset.verdict,
    }
    if offset.potential is not None:
        payload["potential_step_eV"] = offset.potential.value
        payload["potential_step_margin_eV"] = offset.potential.margin
    return payload | (_lined_up(offset, options.bulk) if options.bulk else {})


def _lined_up(offset: BandOffset, bulk: list[str]) -> dict[str, Any]:
    from ionscape.electronic.offset import lined_up
    from ionscape.electronic.outputs import read_output

    tops = []
    for path in bulk:
        output = read_output(path)
        if output.potential is None:
            raise InputError(
                "no electrostatic potential",
                where=path,
                expected="a .gpw file, or a run of VASP with its LOCPOT in the folder",
                remedy="Run it again with LVHAR = .TRUE.",
            )
        tops.append(output.states.valence_top - float(output.potential.mean()))
    found = lined_up(offset, *tops)
    return {"lined_up_valence_offset_eV": found.value, "lined_up_valence_offset_margin_eV": found.margin}


def _potential(options: argparse.Namespace) -> dict[str, Any]:
    """Return the mean potential within each layer of a LOCPOT, and its planar average as a file."""
    from ionscape.electronic.layers import find_layers
    from ionscape.electronic.outputs import read_locpot
    from ionscape.electronic.profile import layer_average, planar_average
    from ionscape.structures.exchange import replacing

    structure, values = read_locpot(options.outputs[0])
    layers = find_layers(structure.lattice.matrix, structure.cart_coords, options.axis, options.layer_gap_A)
    means, profile = layer_average(values, layers, options.axis), planar_average(values, options.axis)
    file = options.out / "potential.json"
    heights = [layers.period * k / len(profile) for k in range(len(profile))]
    with replacing(file) as part:
        part.write_text(json.dumps({"height_A": heights, "potential_eV": profile.tolist()}))
    symbols = [site.specie.symbol for site in structure]
    rows = [
        {
            "layer": number,
            "formula": "".join(sorted({s for s, k in zip(symbols, layers.of_atom, strict=True) if k == number})),
            "height_A": float(layers.heights[number]),
            "potential_eV": float(means[number]),
        }
        for number in range(len(layers))
    ]
    return {"layers": rows, "files": [str(file)]}


def _difference(options: argparse.Namespace, files: list[str]) -> dict[str, Any]:
    from ionscape.electronic.difference import density_difference, write_difference, write_planar
    from ionscape.electronic.outputs import read_output_density

    whole, first, second = (read_output_density(path) for path in options.outputs)
    found = density_difference(whole, (first, second), options.axis)
    cube = write_difference(found, whole, options.out / "difference.cube")
    return {
        "moved_e": found.moved,
        "difference_integral_e": found.total,
        "files": [*files, str(cube), str(write_planar(found, options.out / "planar.json"))],
    }


def _charges(options: argparse.Namespace) -> dict[str, Any]:
    from ionscape.electronic.charges import bader_charges, hirshfeld_charges
    from ionscape.electronic.outputs import read_output_density

    density = read_output_density(options.density or options.outputs[0])
    valence = _valence(options.valence)
    if options.charges == "hirshfeld":
        found = hirshfeld_charges(density, valence)
    else:
        reference = _summed([read_output_density(path) for path in options.reference])
        found = bader_charges(density, valence, reference)
    return {
        "charges_method": options.charges,
        "charges_e": dict(found.by_element),
        "charge_of_atoms_e": found.charges.tolist(),
        "total_charge_e": found.total,
    }


def _summed(densities: list[Any]) -> Any:
    from dataclasses import replace

    if not densities:
        return None
    return replace(densities[0], values=sum(one.values for one in densities))


def _valence(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    try:
        return {name.strip(): float(number) for name, number in (one.split("=") for one in text.split(","))}
    except ValueError:
        raise InputError(
            f"'{text}'", where="option --valence", expected="EL=N,… such as O=6,Li=3", remedy="Correct it."
        ) from None
