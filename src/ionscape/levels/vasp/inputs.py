"""INCAR, KPOINTS, POSCAR and the titles of POTCAR for one structure; and where they differ from the public set.

Both presets start from pymatgen's ``MPRelaxSet``. A level evaluates structures as they stand (the optimiser or the
dynamics is ours), so IBRION, NSW and ISIF are always those of a single point with stress.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.vasp.inputs import Incar, Kpoints, Poscar
from pymatgen.io.vasp.sets import MPRelaxSet

from ionscape.errors import InputError
from ionscape.levels.hubbard import shell_of
from ionscape.levels.kpoints import grid_of_density, wants_gamma
from ionscape.levels.moments import starting_moments
from ionscape.levels.vasp.settings import WHERE, VASPSettings
from ionscape.units import Indices

#: A single point with forces and stress, whatever the preset.
_SINGLE_POINT = {"IBRION": -1, "NSW": 0, "ISIF": 2, "LWAVE": False, "LCHARG": False}
#: What the study asks beside the public set: tighter, and a smearing that also serves metals.
_STUDY = {"EDIFF": 1e-6, "ISMEAR": 0, "SIGMA": 0.05, "ALGO": "Normal", "LREAL": False}
#: Moment that atoms without one start from, so that they may find one, μB.
_SEED_MOMENT = 0.6


@dataclass(frozen=True)
class VASPInputs:
    """Inputs of one calculation.

    Attributes
    ----------
    incar
        Keys and values.
    kpoints
        The grid and its centre, in pymatgen's type.
    potcars
        Titles of POTCAR, in the order of the elements in POSCAR.
    structure
        Atoms grouped by element, as POSCAR has them.
    order
        Index of each of them in the structure that was asked about, (atoms,).
    """

    incar: Mapping[str, Any]
    kpoints: Kpoints
    potcars: tuple[str, ...]
    structure: Structure
    order: Indices

    def write(self, folder: Path) -> None:
        """Write INCAR, KPOINTS, POSCAR and POTCAR.spec (the titles) into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        Incar(dict(self.incar)).write_file(str(folder / "INCAR"))
        self.kpoints.write_file(str(folder / "KPOINTS"))
        Poscar(self.structure, sort_structure=False).write_file(str(folder / "POSCAR"), significant_figures=16)
        (folder / "POTCAR.spec").write_text("\n".join(self.potcars) + "\n", encoding="utf-8")


def inputs_of(structure: Structure, settings: VASPSettings) -> VASPInputs:
    """Return the inputs for `structure`.

    Raises
    ------
    InputError
        If an element has no POTCAR in the public set and none is given.
    """
    symbols = [site.specie.symbol for site in structure]
    elements = list(dict.fromkeys(symbols))
    order = np.array([i for element in elements for i, symbol in enumerate(symbols) if symbol == element])
    plain = Structure(structure.lattice, [symbols[i] for i in order], structure.frac_coords[order])
    titles = _titles(elements, settings)
    public = _public(plain)
    incar = {**public.incar, **_SINGLE_POINT, "ENCUT": settings.cutoff_eV}
    if settings.preset == "study":
        incar = {**_without_u(incar), **_STUDY, **_hubbard(elements, settings)}
    moments = starting_moments([symbols[i] for i in order], settings.magnetic_moments)
    if settings.preset == "study" or settings.magnetic_moments:
        incar["MAGMOM"] = [float(moment) or _SEED_MOMENT for moment in moments]
    incar |= settings.incar
    return VASPInputs(incar, _kpoints(plain, public, settings), titles, plain, order)


def differences(structure: Structure, settings: VASPSettings) -> dict[str, tuple[Any, Any]]:
    """Return every input that differs from ``MPRelaxSet``: (here, there), None where one has no such key."""
    ours = inputs_of(structure, settings)
    public = _public(ours.structure)
    theirs = public.incar
    found = {
        key: (ours.incar.get(key), theirs.get(key))
        for key in sorted(set(ours.incar) | set(theirs))
        if not _same(ours.incar.get(key), theirs.get(key))
    }
    grids = [(kpoints.kpts[0], kpoints.style.name) for kpoints in (ours.kpoints, public.kpoints)]
    if grids[0] != grids[1]:
        found["KPOINTS"] = (grids[0], grids[1])
    return found if ours.potcars == public.titles else {**found, "POTCAR": (ours.potcars, public.titles)}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return one == other
    return bool(one == other)


@dataclass(frozen=True)
class _PublicSet:
    incar: dict[str, Any]
    kpoints: Kpoints
    titles: tuple[str, ...]


def _public(structure: Structure) -> _PublicSet:
    """Return ``MPRelaxSet`` of `structure`; what it warns about is decided here."""
    public = MPRelaxSet(structure, sort_structure=False, user_potcar_functional="PBE")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _PublicSet(dict(public.incar), public.kpoints, tuple(public.potcar_symbols))


def _without_u(incar: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in incar.items() if not key.startswith("LDAU")}


def _hubbard(elements: list[str], settings: VASPSettings) -> dict[str, Any]:
    """Return the keys of +U; as in the public set it acts in oxides and fluorides only."""
    values = [settings.hubbard_U_eV.get(element, 0.0) for element in elements]
    if not any(values) or not {"O", "F"} & set(elements):
        return {}
    shells = [
        -1 if not U else "spdf".index(shell_of(element)) for element, U in zip(elements, values, strict=True)
    ]
    return {
        "LDAU": True,
        "LDAUTYPE": 2,
        "LDAUL": shells,
        "LDAUU": values,
        "LDAUJ": [0] * len(values),
        "LDAUPRINT": 1,
        "LMAXMIX": 6 if 3 in shells else 4,
    }


def _kpoints(structure: Structure, public: _PublicSet, settings: VASPSettings) -> Kpoints:
    cell = structure.lattice.matrix
    if settings.preset == "materials-project" and settings.kpoints is None:
        return public.kpoints
    grid = settings.kpoints or grid_of_density(cell, len(structure), settings.kpoint_density)
    scheme = settings.kpoint_scheme
    if scheme == "gamma" or (scheme == "auto" and wants_gamma(cell)):
        return Kpoints.gamma_automatic(grid)
    return Kpoints.monkhorst_automatic(grid)


def _titles(elements: list[str], settings: VASPSettings) -> tuple[str, ...]:
    public = MPRelaxSet.CONFIG["POTCAR"]
    missing = [element for element in elements if element not in settings.potcars and element not in public]
    if missing:
        raise InputError(
            f"no POTCAR is known for {', '.join(missing)}",
            where=WHERE,
            expected="elements of the public set, or a title for each of the others",
            remedy="Name it in potcars, as { X = 'X_sv' }.",
        )
    return tuple(settings.potcars.get(element, public.get(element)) for element in elements)
