"""A realistic study folder, made by a function: Li6Zr2O7-like data in the layout of results.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pymatgen.core import Lattice, Structure

from ionscape.results import Failure, to_json
from ionscape.stability.contact import ContactMatrix, EnergyInterval, MutualReaction, ReactionPoint
from ionscape.stability.window import ElectrochemicalWindow, Plateau, VoltageLimit

#: Li6Zr2O7, space group C2/c; orbits rounded to 1e-4.
SITES = {
    "Li": [(0.0614, 0.1459, 0.0876), (0.0652, 0.3982, 0.6048), (0.2046, 0.1294, 0.8932)],
    "Zr": [(0.1841, 0.3802, 0.3664)],
    "O": [(0.1219, 0.3772, 0.9796), (0.1320, 0.1315, 0.5020), (0.2484, 0.3848, 0.7449), (0.0, 0.3531, 0.25)],
}


def zirconate() -> Structure:
    species = [element for element, sites in SITES.items() for _ in sites]
    coordinates = [site for sites in SITES.values() for site in sites]
    lattice = Lattice.monoclinic(10.562, 6.076, 10.260, 100.08)
    return Structure.from_spacegroup("C2/c", lattice, species, coordinates)


def cobaltate() -> Structure:
    lattice = Lattice.hexagonal(2.816, 14.05)
    return Structure.from_spacegroup("R-3m", lattice, ["Li", "Co", "O"], [[0, 0, 0], [0, 0, 0.5], [0, 0, 0.24]])


def per_atom(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "eV/atom"}


def crystal(name: str, group: str, structure: Structure, measured: list[dict[str, Any]]) -> dict[str, Any]:
    lattice = structure.lattice
    lengths = {k: {"value": v, "unit": "Å"} for k, v in zip("abc", lattice.abc, strict=True)}
    angles = {
        k: {"value": v, "unit": "°"} for k, v in zip(("alpha", "beta", "gamma"), lattice.angles, strict=True)
    }
    return {
        "name": name, "formula": name, "space_group": group, "cell": lengths | angles, "measured": measured,
        "given": lengths | angles, "source": "Czekalla & Jeitschko 1993",
        "energy_per_atom": per_atom(-6.712), "structure_file": f"structures/{name}.cif", "key": "ab" * 32,
    }  # fmt: skip


def content(
    route: str, count: int, formula: str, offsets: list[float | None], rho: float | None
) -> dict[str, Any]:
    candidates = []
    for k, offset in enumerate(offsets):
        entry: dict[str, Any] = {"rank": k + 1, "ewald": {"value": -5200.0 + 0.37 * k**1.3, "unit": "eV"}}
        if offset is None:
            entry["failure"] = "not converged after 500 steps"
        else:
            entry |= {"energy_per_atom": per_atom(-6.70 + offset / 1000), "key": f"{k:064x}"}
            entry["structure_file"] = f"structures/{route.replace(' ', '-')}-{count}-{k + 1}.cif"
        candidates.append(entry)
    cell = {
        "route": route, "formula": formula, "count": count, "x_per_formula_unit": count / 8, "n_sampled": 500,
        "n_unique": 496, "exhaustive": False, "lowest_ewald": {"value": -5200.0, "unit": "eV"},
        "candidates": candidates, "best": min(range(len(offsets)), key=lambda k: offsets[k] or 0.0),
    }  # fmt: skip
    if rho is not None:
        n = sum(o is not None for o in offsets)
        cell["correlation"] = {"rho": {"value": rho, "unit": "1"}, "p_value": 0.02, "n": n}
    return cell


def target(formula: str, route: str, count: int, e_d: float, products: dict[str, float]) -> dict[str, Any]:
    return {
        "name": f"{route}, {count}" if route else formula, "formula": formula, "route": route or "host",
        "x_per_formula_unit": count / 8, "e_d": per_atom(e_d / 1000),
        "products": products, "reaction": f"{formula} → " + " + ".join(products),
    }  # fmt: skip


NITRIDE = {"Li6Zr2O7": 0.93, "Li2ZrN2": 0.05, "Li2O": 0.02}

#: Cathodes and phases of the heat map of the study, with a doped cell as it is usually written.
CATHODES = (
    "LiCoO2", "Li0.5CoO2", "LiNiO2", "LiNi0.33Co0.33Mn0.33O2", "LiNi0.8Co0.1Mn0.1O2", "LiMn2O4", "LiFePO4",
    "FePO4", "Li3V2(PO4)3",
)  # fmt: skip
PHASES = (
    "Li6Zr2O7", "Li6.125Zr2O6.875N0.125", "Li2O", "Li2ZrN2", "Li3PS4", "Li3YBr6", "Li7La3Zr2O12", "LiNbO3",
    "LiTaO3", "Li3PO4", "Li2PO2N",
)  # fmt: skip


def mutual_reaction(cathode: str, phase: str, depth: float, *, interval: bool = True) -> MutualReaction:
    """Return a made-up reaction whose lowest energy is −depth eV/atom at x = 0.6."""
    kinks = [(0.0, 0.0, {phase: 1.0})]
    if depth > 0:
        kinks += [
            (0.25, 0.55, {"Li2O": 0.4, "Li2ZrO3": 0.35, cathode: 0.25}),
            (0.6, 1.0, {"Li2ZrO3": 0.5, "Li5CoO4": 0.3, "CoN": 0.2}),
            (0.85, 0.5, {"Li2ZrO3": 0.3, "Li5CoO4": 0.2, cathode: 0.5}),
        ]
    kinks.append((1.0, 0.0, {cathode: 1.0}))
    profile = tuple(
        ReactionPoint(
            x, -share * depth + 0.0, f"{x:g} {cathode} + {1 - x:g} {phase} → {' + '.join(products)}", products
        )
        for x, share, products in kinks
    )
    error = EnergyInterval(-1.2 * depth - 0.012, min(0.0, -0.8 * depth + 0.012)) if interval else None
    return MutualReaction(cathode, phase, min(profile, key=lambda point: point.energy), profile, error)


def contact_matrix(
    cathodes: tuple[str, ...] = CATHODES[:3], phases: tuple[str, ...] = PHASES[:4], voltage: float | None = None
) -> ContactMatrix:
    """Return a made-up matrix: the first phase reacts with nothing, the others with up to 0.42 eV/atom."""
    reactions = tuple(
        mutual_reaction(c, p, (0.35 + 0.02 * i) * ((j * 7) % len(phases)) ** 2 / len(phases) ** 2)
        for i, c in enumerate(cathodes)
        for j, p in enumerate(phases)
    )
    return ContactMatrix(
        cathodes, phases, reactions, level="CHGNet 0.3.0", ends="hull", mobile="" if voltage is None else "Li",
        voltage=voltage, heights={"Li2ZrN2": 0.0, "LiCoO2": 0.0041}, on_hull=phases[1:2],
        excluded={"Zr8N9O2": "not at this level"},
    )  # fmt: skip


def electrochemical_windows() -> tuple[ElectrochemicalWindow, ...]:
    """Return a window of a stable phase, of one above the hull, and of one without oxidation limit."""
    plateaus = (
        Plateau(3.42, 0.0, 6.0, {"ZrO2": 2.0, "O2": 1.5}, {"Li6Zr2O7": 1.0}, "2 ZrO2 + 1.5 O2 + 6 Li → Li6Zr2O7"),
        Plateau(0.51, 6.0, 14.0, {"Li6Zr2O7": 1.0}, {"Zr": 2.0, "Li2O": 7.0}, "Li6Zr2O7 + 8 Li → 2 Zr + 7 Li2O"),
    )
    low = VoltageLimit(0.51, plateaus[1].reaction, 0.38, 0.66)
    high = VoltageLimit(3.42, "Li6Zr2O7 → 2 ZrO2 + 1.5 O2 + 6 Li", 3.20, 3.61)
    taken = Plateau(0.35, 2.0, 6.0, {"Li2ZrN2": 1.0}, {"Zr": 1.0, "Li3N": 2.0}, "Li2ZrN2 + 4 Li → Zr + 2 Li3N")
    given = Plateau(1.02, 0.0, 2.0, {"ZrN": 1.0, "N2": 0.5}, {"Li2ZrN2": 1.0}, "ZrN + 0.5 N2 + 2 Li → Li2ZrN2")
    return (
        ElectrochemicalWindow("Li6Zr2O7", "Li", low, high, 0.0, plateaus, "CHGNet 0.3.0"),
        ElectrochemicalWindow(
            "Li2ZrN2", "Li", VoltageLimit(0.35, taken.reaction),
            VoltageLimit(1.02, "Li2ZrN2 → ZrN + 0.5 N2 + 2 Li"), 0.013, (given, taken), "CHGNet 0.3.0",
        ),
        ElectrochemicalWindow(
            "ZrN", "Li", VoltageLimit(0.21, "ZrN + 3 Li → Zr + Li3N"), Failure("no Li to take out"),
            Failure("no energy of its own"), (), "CHGNet 0.3.0",
        ),
    )  # fmt: skip


def run_head(material: str, count: int, kelvin: float) -> dict[str, Any]:
    return {
        "material": material, "formula": f"Li{48 + count}Zr16O{56 - count}N{count}", "key": "cd" * 32,
        "x_per_formula_unit": {"value": count / 8, "unit": "1"}, "temperature": {"value": kelvin, "unit": "K"},
        "replica": {"value": 1, "unit": "1"},
    }  # fmt: skip


def estimate(value: float, unit: str, factor: float = 1.3) -> dict[str, Any]:
    ends = {"value": value, "low95": value / factor, "high95": value * factor}
    return {key: {"value": number, "unit": unit} for key, number in ends.items()}


def dynamics_stage() -> dict[str, Any]:
    """Return the stage of dynamics: the host and a doped cell, of which one run was stopped."""
    averages = {
        name: {"value": value, "unit": unit}
        for stem, mean, unit in (("temperature", 998.0, "K"), ("volume", 1316.0, "Å³"))
        for name, value in ((stem, mean), (f"{stem}_error", 3.0))
    }
    done = {"steps": {"value": 120000, "unit": "1"}, "averages": averages, "trajectory_file": ""}
    drift = {"drift": {"value": 2e-6, "unit": "eV/atom/ps"}}
    stopped = run_head("N on O, 4", 4, 1400.0) | done | {"unavailable": "step 512 (0.512 ps): host melted"}
    runs = [
        run_head("Li6Zr2O7", 0, 1000.0) | done | drift,
        run_head("N on O, 4", 4, 1000.0) | done | drift,
        stopped,
    ]
    return {"level": "chgnet", "ensemble": "npt", "runs": runs}


def transport_stage() -> dict[str, Any]:
    """Return the stage of transport: a host that only has a bound, a doped cell with a law, a run not analysed."""
    reason = "the ions stay where they are: their displacements reach a plateau; more than 940 ps needed"
    flat = {"host": {"Zr": {"is_flat": True}, "O": {"is_flat": True}}, "warnings": ["a note of the analysis"]}
    shared = {"run_time": {"value": 100.0, "unit": "ps"}, "d1": {"value": 2.1, "unit": "Å"}, **flat}
    host = run_head("Li6Zr2O7", 0, 1000.0) | shared | {
        "D": {"unavailable": reason}, "D_upper_bound": {"value": 2e-8, "unit": "cm²/s"},
        "sigma": {"unavailable": reason}, "sigma_upper_bound": {"value": 3e-3, "unit": "S/cm"},
        "tau1": {"unavailable": "no jumps"},
    }  # fmt: skip
    doped = run_head("N on O, 4", 4, 1000.0) | shared | {
        "D": estimate(2e-5, "cm²/s"), "sigma": estimate(1.8, "S/cm"), "tau1": estimate(5.2, "ps"),
        "percolation": {"a": {"connected": True, "barrier": {"value": 0.31, "unit": "eV"}},
                        "b": {"connected": False, "barrier": {"unavailable": "not connected"}}},
    }  # fmt: skip
    stopped = run_head("N on O, 4", 4, 1400.0) | {"unavailable": "step 512 (0.512 ps): host melted"}
    kelvin = [1000.0, 300.0]
    columns = {"temperature": (kelvin, "K"), "D": ([2e-5, 3e-9], "cm²/s"), "low95": ([1e-5, 1e-9], "cm²/s")}
    columns["high95"] = ([3e-5, 9e-9], "cm²/s")
    law = {name: run_head("N on O, 4", 4, 0.0)[name] for name in ("material", "formula", "x_per_formula_unit")} | {
        "Ea": estimate(0.32, "eV", 1.1), "sigma": estimate(4.2e-5, "S/cm", 3.0), "D": estimate(3e-9, "cm²/s", 3.0),
        "temperatures": {"value": [800.0, 1000.0], "unit": "K"}, "is_curved": False,
        "line": {name: {"value": values, "unit": unit} for name, (values, unit) in columns.items()},
    }  # fmt: skip
    none = {name: host[name] for name in ("material", "formula", "x_per_formula_unit")} | {
        "unavailable": "0 temperatures with a diffusion coefficient, 1 with a bound only"
    }
    at = {"value": 300.0, "unit": "K"}
    return {"mobile": "Li", "at": at, "runs": [host, doped, stopped], "laws": [none, law]}


def sample_results() -> dict[str, Any]:
    """Return the whole of results.json as a study of Li6Zr2O7 would write it."""
    measured = {"a": 10.445, "b": 5.989, "c": 10.2, "alpha": 90.0, "beta": 100.26, "gamma": 90.0}
    host = crystal("Li6Zr2O7", "C2/c", zirconate(), [measured])
    cathode = crystal("LiCoO2", "R-3m", cobaltate(), [])
    sites = [
        {"fractional": {"value": [0.19, 0.63, 0.13], "unit": "fractional"}, "radius": {"value": 1.42, "unit": "Å"},
         "multiplicity": 8, "neighbours": {"Li": {"value": 2.31, "unit": "Å"}, "O": {"value": 1.98, "unit": "Å"}},
         "density": {"value": 0.031, "unit": "e/Å³"}},
        {"fractional": [0.0, 0.86, 0.25], "radius": {"value": 1.31, "unit": "Å"}, "multiplicity": 4,
         "neighbours": {"Li": {"value": 2.12, "unit": "Å"}}},
    ]  # fmt: skip
    replace, insert = "N on O", "N interstitial"
    cells = [
        content(replace, 1, "Li49Zr16O55N1", [0.0, 1.1, 0.6, 2.4, 3.0, 4.4, 6.1], 0.93),
        content(replace, 2, "Li50Zr16O54N2", [0.9, 0.0, 1.6, 2.8, 2.2, None, 5.7], 0.83),
        content(replace, 4, "Li52Zr16O52N4", [2.0, 0.0, 1.2, 4.1, 3.3, 6.9, 5.2], 0.79),
        content(insert, 1, "Li51Zr16O56N1", [0.0, 2.1], None),
    ]
    targets = [
        target("Li6Zr2O7", "", 0, 0.0, {"Li6Zr2O7": 1.0}),
        target("Li49Zr16O55N1", replace, 1, 7.2, NITRIDE),
        target("Li50Zr16O54N2", replace, 2, 14.3, NITRIDE),
        target("Li52Zr16O52N4", replace, 4, 34.0, NITRIDE),
        target("Li51Zr16O56N1", insert, 1, 31.5, NITRIDE),
    ]
    phases = [
        {"formula": f, "energy_per_atom": per_atom(e), "formation_energy": per_atom(h), "height": per_atom(above)}
        for f, e, h, above in [
            ("Li2O", -4.77, -2.02, 0.0), ("ZrO2", -9.53, -3.75, 0.0), ("Li2ZrN2", -6.61, -1.31, 0.0),
            ("Li8ZrO6", -5.83, -2.61, 0.0034), ("O2", -4.95, 0.0, 0.0),
        ]
    ]  # fmt: skip
    return {
        "format": 1,
        "study": {"name": "lzon-quick", "title": "N-doped Li6Zr2O7", "seed": 7, "input_sha256": "c0ffee" * 10},
        "code": {"ionscape": "0.1.0", "python": "3.11.9"},
        "levels": {"cheap": {"name": "chgnet", "model": "CHGNet 0.3.0", "package": "chgnet 0.4.2"}},
        "relaxation": {"move": "positions+cell", "optimizer": "LBFGS"},
        "warnings": ["1 of 23 relaxations did not converge"],
        "references": [
            {"method": "CHGNet", "citation": "B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023)",
             "doi": "10.1038/s42256-023-00716-3"},
        ],
        "stages": {
            "host": {"host": host, "cathode": cathode},
            "voids": {"method": "density minima", "source": "superposed atomic densities", "sites": sites},
            "doping": {"cells": cells},
            "stability": {"targets": targets, "phases": phases, "excluded": {"Zr8N9O2": "not at this level"}},
            "contact": {
                "matrices": [to_json(contact_matrix(voltage=v)) for v in (None, 4.2)], "level": "CHGNet 0.3.0"
            },
            "window": {"windows": [to_json(window) for window in electrochemical_windows()]},
            "dynamics": dynamics_stage(),
            "transport": transport_stage(),
        },
        "comparison": [
            {"quantity": "decomposition_energy", "target": f"{route}, 1", "source": "Fig. 2a", "note": note,
             "ours": {"value": ours, "unit": "meV/atom"}, "study": {"value": study, "unit": "meV/atom"}}
            for route, ours, study, note in [(replace, 7.2, 15.3, "DFT"), (insert, 31.5, 40.0, "")]
        ] + [
            {"quantity": "tau1", "target": "N on O, 4", "source": "Fig. 5", "note": "", "temperature":
             {"value": 1000.0, "unit": "K"}, "ours": {"unavailable": "no jumps yet"}, "interval": [],
             "study": {"value": 5.1, "unit": "ps"}},
        ],
    }  # fmt: skip


def write_study(folder: Path, data: dict[str, Any]) -> Path:
    """Write a study folder that has `data` but no structure files; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return folder
