"""Full grids of relaxed energies of small interfaces, for ``benchmarks/registry_search.py``: a quarter of an hour.

Every shift that is not the same as another (`reduced_grid`, step 0.35 or 0.5 Å, and the four normal shifts of the
source study) is relaxed for STEPS steps of LBFGS at the embedded level, the outer ends of both slabs keeping the
registry; the energy before the first step is kept as well. Written to ``data/registry_NAME.npz``.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/registry_landscapes.py [NAME…]
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase.constraints import FixAtoms, FixCartesian
from ase.optimize import LBFGS
from pymatgen.core import Lattice, Structure

from ionscape.interfaces.assembly import Interface, join, shifted
from ionscape.interfaces.displacements import displacement_cell
from ionscape.interfaces.matching import lattice_matches
from ionscape.interfaces.planar_symmetry import planar_group
from ionscape.interfaces.settings import MatchSettings, SlabSettings
from ionscape.interfaces.shifts import overlapping, reduced_grid, shortest_distances
from ionscape.interfaces.slabs import slabs
from ionscape.levels.registry import Level
from ionscape.structures.exchange import to_atoms
from ionscape.study.inputs import structure_named

DATA = Path(__file__).parent / "data"
NORMALS = (0.0, 0.25, 0.5, 0.75)
#: Longest lateral step, Å; of cells larger than so many Å² the coarser one.
STEP, COARSE, LARGE = 0.35, 0.5, 12.0
CHGNET, EMT = "chgnet", "ase.calculators.emt:EMT"
#: Most steps of a relaxation by level.
STEPS = {CHGNET: 0, EMT: 20}
#: Film and substrate, with their planes, and the level. A metal is an element with its cubic lattice parameter, Å.
PAIRS = {
    "Al-110-Ag-110": (("Al", 3.99), (1, 1, 0), ("Ag", 4.06), (1, 1, 0), EMT),
    "Au-210-Ag-210": (("Au", 4.06), (2, 1, 0), ("Ag", 4.06), (2, 1, 0), EMT),
    "Ni-311-Cu-311": (("Ni", 3.48), (3, 1, 1), ("Cu", 3.59), (3, 1, 1), EMT),
    "LiCoO2-104-NiO-001": ("LiCoO2", (1, 0, 4), "NiO", (0, 0, 1), CHGNET),
    "LiCoO2-001-LiNbO3-001": ("LiCoO2", (0, 0, 1), "LiNbO3", (0, 0, 1), CHGNET),
    "LiCoO2-104-Li2S-110": ("LiCoO2", (1, 0, 4), "Li2S", (1, 1, 0), CHGNET),
    "ZrO2-001-Li3N-100": ("ZrO2", (0, 0, 1), "Li3N", (1, 0, 0), CHGNET),
}


def crystal(named: str | tuple[str, float]) -> Structure:
    """Return a packaged phase, or a face-centred cubic metal."""
    if isinstance(named, str):
        return structure_named(f"phase:{named}")
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(named[1]), [named[0]], [[0, 0, 0]])


def interface(name: str) -> Interface:
    """Return the smallest interface of a pair, of slabs of at least 5 Å, the first non-polar terminations."""
    film, film_miller, substrate, substrate_miller, _ = PAIRS[name]
    chosen = []
    for phase, miller in ((film, film_miller), (substrate, substrate_miller)):
        found = slabs(crystal(phase), miller, SlabSettings(min_thickness_A=5.0))
        chosen.append(([one for one in found if not one.polar] or found)[0])
    tolerances = MatchSettings(max_area_A2=70, length_tolerance=0.06, angle_tolerance=0.06)
    matches = lattice_matches(chosen[0].vectors, chosen[1].vectors, tolerances)
    return join(*chosen, min(matches, key=lambda match: (round(match.area, 3), match.mean_strain)))


def held(contact: Interface) -> list[Any]:
    """Return constraints: the lowest quarter of the substrate stays, the highest of the film moves along z."""
    heights = contact.structure.cart_coords[:, 2]
    below, above = heights[contact.substrate_sites], heights[contact.film_sites]
    fixed = contact.substrate_sites[below <= below.min() + 0.25 * np.ptp(below)]
    sliding = contact.film_sites[above >= above.max() - 0.25 * np.ptp(above)]
    return [FixAtoms(indices=fixed), *[FixCartesian(int(i), mask=(True, True, False)) for i in sliding]]


def relaxed(contact: Interface, shift: np.ndarray, how: tuple[Any, list[Any], int]) -> tuple[float, float]:
    """Return the energies before and after the short relaxation, eV; not a number if it broke."""
    atoms = to_atoms(shifted(contact, (float(shift[0]), float(shift[1])), float(shift[2])).structure)
    atoms.calc, constraints, steps = how
    atoms.set_constraint(constraints)
    try:
        first = float(atoms.get_potential_energy())
        if not steps:
            return first, first
        optimizer = LBFGS(atoms, logfile=None, maxstep=0.15)
        optimizer.run(fmax=0.02, steps=steps)
        return first, float(atoms.get_potential_energy())
    except (ValueError, RuntimeError, FloatingPointError):
        return np.nan, np.nan


def landscape(name: str) -> dict[str, np.ndarray]:
    """Return the grid of a pair with its energies."""
    contact = interface(name)
    cell = displacement_cell(planar_group(contact.film_slab), planar_group(contact.substrate_slab))
    shifts = reduced_grid(cell, NORMALS, COARSE if cell.area > LARGE else STEP)
    film = np.isin(np.arange(len(contact.structure)), contact.film_sites)
    clash = overlapping(
        contact.structure, film, shifts, shortest_distances(contact.film_slab, contact.substrate_slab)
    )
    print(f"{name}: {len(film)} atoms, {len(shifts)} shifts, {clash.sum()} overlapping", flush=True)
    level = PAIRS[name][-1]
    how = Level.of(level).calculator(1), held(contact), STEPS[level]
    started = time.time()
    energies = []
    for k, shift in enumerate(shifts):
        energies.append(relaxed(contact, shift, how))
        if k % 20 == 0:
            print(f"  {k} {time.time() - started:.0f} s {energies[-1]}", flush=True)
    rigid, after = np.array(energies).T
    return {
        "shifts": shifts,
        "rigid_eV": rigid,
        "relaxed_eV": after,
        "overlapping": clash,
        "vectors": np.asarray(cell.vectors),
        "rotations": np.asarray(cell.rotations),
        "translations": np.asarray(cell.shifts),
        "area_A2": np.array(contact.area),
        "n_atoms": np.array(len(film)),
    }


def main(names: list[str]) -> None:
    """Compute the grids of the pairs `names`, or of all."""
    warnings.filterwarnings("ignore")
    DATA.mkdir(exist_ok=True)
    for name in names or list(PAIRS):
        path = DATA / f"registry_{name}.npz"
        if not path.exists():
            np.savez_compressed(path, **landscape(name))


if __name__ == "__main__":
    main(sys.argv[1:])
