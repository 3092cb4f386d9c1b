"""Evaluations of the level that a migration barrier costs: a surrogate-assisted band beside plain ASE NEB.

Hops in small cells (at most 60 atoms), of lithium in oxides at CHGNet and of metals at EMT, every band from the
same relaxed ends with three inner images from the image-dependent pair potential, improved tangents and a
climbing image:

- surrogate: ours, a Gaussian process of the level relaxed in between;
- plain: ASE's NEB moved by FIRE, every image evaluated in every iteration, ended by the same tolerances;
- stock: an ASE script as in its documentation, NEB(climb=True) moved by BFGS to fmax on all images of the band.

Counted are evaluations of the level for the band; those of the relaxation of the ends, which all share, stand
apart. Every barrier is the level's energy at the climbing image.

    python benchmarks/migration_bands.py --level chgnet|emt [--hops NAME …]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.mep import NEB
from ase.optimize import BFGS
from record import FOLDER, record

from ionscape.levels.registry import Level
from ionscape.migration.band import find_path
from ionscape.migration.endpoints import EndPoints
from ionscape.migration.hop_ends import hop_ends
from ionscape.migration.hops import HopSettings, direct_hops, interstitialcy_hops
from ionscape.migration.interpolation import first_images
from ionscape.migration.settings import BandSettings
from ionscape.migration.sites import ion_sites
from ionscape.structures.exchange import to_structure
from ionscape.structures.voids import find_empty_sites
from ionscape.study.inputs import structure_named

#: Hops by name: phase, mechanism, which of its hops in order of length, repeats of the cell.
CUBIC, TETRAGONAL = (2, 2, 2), (3, 3, 2)
METALS = {
    "Cu vacancy": ("Cu", "vacancy", 0, CUBIC),
    "Cu divacancy": ("Cu", "divacancy", 0, CUBIC),
    "Al vacancy": ("Al", "vacancy", 0, CUBIC),
    "Pd vacancy": ("Pd", "vacancy", 0, CUBIC),
    "Au vacancy": ("Au", "vacancy", 0, CUBIC),
    "CuAu vacancy 1": ("CuAu", "vacancy", 0, TETRAGONAL),
    "CuAu vacancy 2": ("CuAu", "vacancy", 1, TETRAGONAL),
}
OXIDES = {
    "LiCoO2 vacancy": ("LiCoO2", "vacancy", 0, (2, 2, 1)),
    "LiCoO2 divacancy": ("LiCoO2", "divacancy", 0, (2, 2, 1)),
    "Li2O vacancy": ("Li2O", "vacancy", 0, (2, 2, 1)),
    "Li3PO4 vacancy 1": ("Li3PO4", "vacancy", 0, (1, 1, 2)),
    "Li3PO4 vacancy 2": ("Li3PO4", "vacancy", 1, (1, 1, 2)),
    "Li3PO4 vacancy 4": ("Li3PO4", "vacancy", 3, (1, 1, 2)),
    "Li3PO4 interstitialcy": ("Li3PO4", "interstitialcy", 0, (1, 1, 2)),
    "Li6Zr2O7 vacancy 4": ("Li6Zr2O7", "vacancy", 3, (1, 1, 1)),
    "Li6Zr2O7 vacancy 6": ("Li6Zr2O7", "vacancy", 5, (1, 1, 1)),
}
LEVELS = {"chgnet": OXIDES, "emt": METALS}
SETTINGS = {"images": 3, "adaptive": False, "max_steps": 200}


def main() -> None:
    """Measure hop by hop, print a table, write the record after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--level", choices=list(LEVELS), default="chgnet")
    parser.add_argument("--hops", nargs="+")
    parser.add_argument("--methods", nargs="+", default=["surrogate", "plain", "stock"])
    parser.add_argument("--name", default="migration_bands")
    options = parser.parse_args()
    name = {"chgnet": "chgnet", "emt": "ase.calculators.emt:EMT"}[options.level]
    calculator = Level.of(name).calculator(1)
    hops = LEVELS[options.level]
    rows: list[dict[str, Any]] = []
    for hop in options.hops or hops:
        rows.append(_measured(hop, hops[hop], calculator, options.methods))
        print(_line(rows[-1]), flush=True)
        measured = {"settings": SETTINGS, "hops": rows, "summary": _summary(rows)}
        record(options.name, {**_measured_before(options.name), options.level: measured})


def _measured_before(name: str) -> dict[str, Any]:
    """Return what was measured at other levels."""
    path = FOLDER / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["results"] if path.is_file() else {}
    return found


def _crystal(phase: str) -> tuple[Any, str]:
    """Return a crystal and the element that hops in it."""
    if phase == "CuAu":
        layered = Atoms("CuAu", [(0, 0, 0), (1.4, 1.4, 1.85)], cell=(2.8, 2.8, 3.7), pbc=True)
        return to_structure(layered), "Cu"
    if len(phase) <= 2:
        return to_structure(bulk(phase, cubic=True)), phase
    crystal = structure_named(f"phase:{phase}")
    crystal.remove_oxidation_states()
    return crystal, "Li"


def _measured(name: str, hop_of: tuple[Any, ...], calculator: Any, methods: list[str]) -> dict[str, Any]:
    phase, mechanism, which, repeats = hop_of
    crystal, ion = _crystal(phase)
    empty = find_empty_sites(crystal).suitable_for(1.0).all_fractional if "inter" in mechanism else None
    sites = ion_sites(crystal, ion, empty)
    if mechanism == "interstitialcy":
        hop = interstitialcy_hops(crystal, sites, HopSettings())[which]
    else:
        hop = direct_hops(crystal, sites, mechanism, HopSettings())[which]
    ends = hop_ends(crystal, sites, hop, ion, repeats)
    row: dict[str, Any] = {
        "hop": name,
        "atoms": len(ends.initial),
        "from_to": [sites[hop.start].label, sites[hop.end].label],
        "length_A": hop.length,
    }
    for method in methods:
        started = time.process_time()
        row[method] = _stock(ends, row, calculator) if method == "stock" else _ours(ends, method, calculator)
        row[method]["cpu_seconds"] = round(time.process_time() - started, 1)
        ends = row[method].pop("ends", ends)
    return row


def _ours(ends: EndPoints, method: str, calculator: Any) -> dict[str, Any]:
    settings = BandSettings(**SETTINGS, method=method)
    with tempfile.TemporaryDirectory() as folder:
        path = find_path(ends, calculator, settings, Path(folder))
    moved = path.images[-1].cart_coords - path.images[0].cart_coords
    return {
        "calls": path.n_force_calls,
        "end_calls": path.n_end_calls,
        "forward_eV": path.forward,
        "backward_eV": path.backward,
        "saddle_force_eV_per_A": path.saddle_force,
        "path_force_eV_per_A": path.path_force,
        "converged": path.converged,
        "energies_eV": path.profile.energies.tolist(),
        "ends": EndPoints(path.images[0], path.images[-1], moved),
    }


class _Counting(Calculator):
    """The level, with its own results for every image, counted."""

    implemented_properties = ("energy", "forces")
    calls = 0

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner = inner

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        copy = atoms.copy()
        copy.calc = self._inner
        self.results = {"energy": copy.get_potential_energy(), "forces": copy.get_forces()}
        _Counting.calls += 1


def _stock(ends: EndPoints, row: dict[str, Any], calculator: Any) -> dict[str, Any]:
    """Return what ASE's own script gives from ends that were relaxed before."""
    del row
    images = first_images(ends, SETTINGS["images"], "idpp")
    for image in (images[0], images[-1]):
        image.calc = calculator
        frozen = {"energy": image.get_potential_energy(), "forces": image.get_forces()}
        image.calc = SinglePointCalculator(image, **frozen)
    _Counting.calls = 0
    for image in images[1:-1]:
        image.calc = _Counting(calculator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        band = NEB(images, k=0.1, climb=True, method="improvedtangent")
        converged = BFGS(band, logfile=None).run(fmax=BandSettings().fmax_eV_per_A, steps=SETTINGS["max_steps"])
    energies = np.array([image.get_potential_energy() for image in images])
    return {
        "calls": _Counting.calls,
        "forward_eV": float(energies.max() - energies[0]),
        "backward_eV": float(energies.max() - energies[-1]),
        "converged": bool(converged),
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ratios of evaluations and the differences of barriers, for hops whose bands converged."""
    summary: dict[str, Any] = {}
    for peer in ("plain", "stock"):
        done = [row for row in rows if all(row.get(m, {}).get("converged") for m in ("surrogate", peer))]
        if not done:
            continue
        ratios = [row[peer]["calls"] / row["surrogate"]["calls"] for row in done]
        apart = [abs(row[peer]["forward_eV"] - row["surrogate"]["forward_eV"]) for row in done]
        summary[peer] = {
            "hops": len(done),
            "ratio_median": float(np.median(ratios)),
            "ratio_min": min(ratios),
            "ratio_total": sum(r[peer]["calls"] for r in done) / sum(r["surrogate"]["calls"] for r in done),
            "largest_difference_meV": 1000 * max(apart),
        }
    return summary


def _line(row: dict[str, Any]) -> str:
    parts = [
        f"{m}: {row[m]['calls']} calls, {row[m]['forward_eV']:.4f}/{row[m]['backward_eV']:.4f} eV, "
        f"{'' if row[m]['converged'] else 'NOT '}converged, {row[m]['cpu_seconds']} s"
        for m in ("surrogate", "plain", "stock")
        if m in row
    ]
    return f"{row['hop']} ({row['atoms']} atoms)  " + "  |  ".join(parts)


if __name__ == "__main__":
    main()
