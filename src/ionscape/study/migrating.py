"""The migration stage in a study: its crystals, its level, and its record."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ionscape.errors import InputError
from ionscape.migration.requests import FoundPath
from ionscape.migration.sites import IonSite
from ionscape.migration.stage import (
    CarrierLaw,
    CrystalMigration,
    CrystalToSearch,
    HopOutcome,
    Migration,
    find_migration,
)
from ionscape.results import Failure, to_json
from ionscape.structures.exchange import replacing, to_atoms
from ionscape.structures.voids import find_empty_sites

if TYPE_CHECKING:
    from ionscape.study.crystals import RelaxedCrystal
    from ionscape.study.pipeline import Run
    from ionscape.study.schema import MigrationTable

#: Å²/fs in cm²/s.
CM2_PER_S = 0.1
#: Contradiction of barriers beyond which it is told, eV.
MISFIT = 0.05


def migrate(run: Run) -> Migration:
    """Find the barriers of all distinct hops of the mobile ion in the host, and in the cathode if asked for."""
    table = run.study.migration
    assert table is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    relaxed = [
        crystal
        for crystal in run.findings["host"][: 2 if table.include_cathode else 1]
        if table.mobile in crystal.structure.symbol_set
    ]
    if not relaxed:
        raise InputError(
            f"no crystal of the study holds {table.mobile}",
            where="migration.mobile",
            expected="an element of the host or the cathode",
            remedy="Name the ion that migrates.",
        )
    crystals = [CrystalToSearch(one.name, one.structure, _empty_sites(run, one, table)) for one in relaxed]
    level = run.levels[table.level]
    return find_migration(crystals, table, level, run.lab, run.rng("migration"))


def _empty_sites(run: Run, crystal: RelaxedCrystal, table: MigrationTable) -> Any:
    """Return the empty sites that take the ion, (m, 3); none where no mechanism needs them."""
    if not {"interstitial", "interstitialcy"} & set(table.mechanisms):
        return np.empty((0, 3))
    known = run.findings.get("voids") if crystal is run.findings["host"][0] else None
    sites = known or find_empty_sites(crystal.structure, run.study.voids, charges=crystal.charges or None)
    charge = sites.charges.get(table.mobile, 0.0)
    return sites.suitable_for(charge).all_fractional


def migration_record(found: Migration, folder: Path) -> dict[str, Any]:
    """Return the stage as it stands in ``results.json``; the images of every path go to ``paths``."""
    return {
        "mobile": found.mobile,
        "level": found.level,
        "crystals": [_crystal(crystal, folder) for crystal in found.crystals],
    }


def _crystal(crystal: CrystalMigration, folder: Path) -> dict[str, Any]:
    kinds: dict[int, list[IonSite]] = {}
    for site in crystal.sites:
        kinds.setdefault(site.orbit, []).append(site)
    return {
        "name": crystal.name,
        "formula": crystal.formula,
        "repeats": list(crystal.repeats),
        "sites": [
            {
                "label": sites[0].label,
                "occupied": sites[0].occupied,
                "multiplicity": to_json(len(sites), "1"),
                "fractional": to_json(sites[0].fractional, "fractional"),
            }
            for sites in kinds.values()
        ],
        "hops": [_hop(hop, crystal, folder) for hop in crystal.hops],
        "carriers": [_law(law) for law in crystal.laws],
    }


def _hop(hop: HopOutcome, crystal: CrystalMigration, folder: Path) -> dict[str, Any]:
    head = {
        "name": hop.name,
        "mechanism": hop.hop.mechanism,
        "start": hop.start.label,
        "end": hop.end.label,
        "length": to_json(hop.hop.length, "Å"),
        "multiplicity": to_json(len(hop.hop.copies), "1"),
        "symmetric": hop.hop.symmetric,
        "key": hop.outcome.key,
    }
    if not isinstance(hop.outcome, FoundPath):
        return {**head, "unavailable": hop.outcome.reason}
    path = hop.outcome.path
    energies = {} if path.converged else {"unconverged": path.state}
    return {
        **head,
        **energies,
        "forward": to_json(path.forward, "eV"),
        "backward": to_json(path.backward, "eV"),
        "site_difference": to_json(path.site_difference, "eV"),
        "saddle_error": to_json(path.saddle_error, "eV"),
        "state": path.state,
        "resolved": path.resolved,
        "coordinates": to_json(path.profile.coordinates, "Å"),
        "energies": to_json(path.profile.energies, "eV"),
        "slopes": to_json(path.profile.slopes, "eV/Å"),
        "force_calls": to_json(path.n_force_calls, "1"),
        "path_file": _images(hop, crystal, folder),
        **({} if path.modes is None else {"modes": to_json(path.modes)}),
    }


def _images(hop: HopOutcome, crystal: CrystalMigration, folder: Path) -> str:
    from ase.io import write

    assert isinstance(hop.outcome, FoundPath)  # noqa: S101  asked by the only caller
    stem = re.sub(r"[^A-Za-z0-9]+", "-", f"{crystal.name} {hop.name}").strip("-")
    target = folder / "paths" / f"{stem}.extxyz"
    frames = [to_atoms(image) for image in hop.outcome.path.images]
    for atoms, energy in zip(frames, hop.outcome.path.profile.energies, strict=True):
        atoms.info["energy_above_initial_eV"] = float(energy)
    with replacing(target) as part:
        write(part, frames, format="extxyz")
    return str(target.relative_to(folder))


def _law(law: CarrierLaw | Failure) -> dict[str, Any]:
    if isinstance(law, Failure):
        return {"unavailable": law.reason}
    return {
        "carrier": law.carrier,
        "percolation": {
            axis: {"unavailable": energy.reason} if isinstance(energy, Failure) else to_json(energy, "eV")
            for axis, energy in law.percolation.items()
        },
        "activation": to_json(law.activation, "eV"),
        "misfit": to_json(law.misfit, "eV"),
        "missing": list(law.missing),
        "diffusivity": [
            {
                "temperature": to_json(temperature, "K"),
                "exact": to_json(CM2_PER_S * exact, "cm²/s"),
                "walked": {
                    "value": CM2_PER_S * walked.value,
                    "low95": CM2_PER_S * walked.low95,
                    "high95": CM2_PER_S * walked.high95,
                    "unit": "cm²/s",
                },
            }
            for (temperature, exact), walked in zip(law.exact, law.walked, strict=True)
        ],
    }


def warnings_of_migration(found: Migration | None) -> list[str]:
    """Return what restricts the barriers: paths not found, not converged, not resolved, contradictions."""
    texts = []
    for crystal in found.crystals if found else ():
        for hop in crystal.hops:
            name = f"{crystal.name}, hop {hop.name}"
            if isinstance(hop.outcome, Failure):
                texts.append(f"{name}: no path: {hop.outcome.reason}")
            elif not (hop.outcome.path.converged and hop.outcome.path.resolved):
                texts.append(f"{name}: {hop.outcome.path.state}")
        for law in crystal.laws:
            if isinstance(law, Failure):
                texts.append(f"{crystal.name}: {law.reason}")
            elif law.misfit > MISFIT:
                texts.append(
                    f"{crystal.name}: barriers of the {law.carrier} contradict one another by {law.misfit:.2f} eV."
                )
    return texts
