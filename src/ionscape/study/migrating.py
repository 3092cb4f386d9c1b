"""The migration stage in a study: its crystals, its level, and its record."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ionscape.errors import InputError
from ionscape.migration.contact_stage import ContactMigration, ContactToSearch, CrossingOutcome
from ionscape.migration.images import write_images
from ionscape.migration.requests import FoundPath
from ionscape.migration.sites import IonSite
from ionscape.migration.stage import (
    CarrierLaw,
    CrystalMigration,
    CrystalToSearch,
    HopOutcome,
    Migration,
    PlacesToSearch,
    find_migration,
)
from ionscape.results import Failure, to_json
from ionscape.structures.voids import find_empty_sites
from ionscape.study.interfaces import StudiedContact

if TYPE_CHECKING:
    from ionscape.migration.result import MigrationPath
    from ionscape.study.crystals import RelaxedCrystal
    from ionscape.study.pipeline import Run
    from ionscape.study.schema import MigrationTable

#: Å²/fs in cm²/s.
CM2_PER_S = 0.1
#: Contradiction of barriers beyond which it is told, eV.
MISFIT = 0.05


def migrate(run: Run) -> Migration:
    """Find the barriers of all distinct hops in the host and the cathode, and across contacts, as asked for."""
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
    places = PlacesToSearch(
        tuple(CrystalToSearch(one.name, one.structure, _empty_sites(run, one, table)) for one in relaxed),
        _contacts(run, table),
    )
    return find_migration(places, table, run.levels[table.level], run.lab, run.rng("migration"))


def _contacts(run: Run, table: MigrationTable) -> tuple[ContactToSearch, ...]:
    """Return the contacts whose registry was found; the ion leaves the slab that the table names."""
    wanted = {"none": 0, "first": 1, "all": None}[table.contacts]
    found = [one for one in run.findings.get("interface", ())[:wanted] if isinstance(one, StudiedContact)]
    contacts = []
    for one in found:
        interface = one.interface
        sites = interface.substrate_sites if table.crossing.start == "substrate" else interface.film_sites
        structure = one.strength.search.structure
        contacts.append(ContactToSearch(one.name, structure, np.isin(np.arange(len(structure)), sites)))
    return tuple(contacts)


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
        "contacts": [_contact(contact, folder) for contact in found.contacts],
        "classes": [row for contact in found.contacts for row in _classes(contact)],
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
    }
    return {**head, **_outcome(hop.outcome, f"{crystal.name} {hop.name}", folder)}


def _contact(contact: ContactMigration, folder: Path) -> dict[str, Any]:
    return {
        "name": contact.name,
        "formula": contact.formula,
        "repeats": list(contact.repeats),
        "hops": [_crossing(one, contact, folder) for one in contact.hops],
        **({"unavailable": contact.reason} if contact.reason else {}),
    }


def _crossing(one: CrossingOutcome, contact: ContactMigration, folder: Path) -> dict[str, Any]:
    head = {
        "name": one.hop.name,
        "mechanism": "vacancy",
        "start": one.hop.start_label,
        "end": one.hop.end_label,
        "length": to_json(one.hop.length, "Å"),
    }
    return {**head, **_outcome(one.outcome, f"{contact.name} {one.hop.name}", folder)}


def _classes(contact: ContactMigration) -> list[dict[str, Any]]:
    """Return the path of lowest forward barrier of every pair of coordinations, of those that converged."""
    best: dict[str, tuple[float, str, MigrationPath]] = {}
    for one in contact.hops:
        if isinstance(one.outcome, FoundPath) and one.outcome.path.converged:
            name = f"{contact.name}, {one.hop.start_label} → {one.hop.end_label}"
            path = one.outcome.path
            if name not in best or path.forward < best[name][0]:
                best[name] = (path.forward, one.hop.name, path)
    return [
        {
            "name": name,
            "hop": hop,
            "forward": to_json(path.forward, "eV"),
            "backward": to_json(path.backward, "eV"),
            "site_difference": to_json(path.site_difference, "eV"),
        }
        for name, (_, hop, path) in best.items()
    ]


def _outcome(outcome: FoundPath | Failure, name: str, folder: Path) -> dict[str, Any]:
    """Return the path of a hop, its images written into `folder` under `name`, or why there is none."""
    if not isinstance(outcome, FoundPath):
        return {"key": outcome.key, "unavailable": outcome.reason}
    path = outcome.path
    return {
        "key": outcome.key,
        **({} if path.converged else {"unconverged": path.state}),
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
        "path_file": str(write_images(path, folder / "paths" / f"{_stem(name)}.extxyz").relative_to(folder)),
        **({} if path.modes is None else {"modes": to_json(path.modes)}),
    }


def _stem(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


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
        texts += [_trouble(f"{crystal.name}, hop {hop.name}", hop.outcome) for hop in crystal.hops]
        for law in crystal.laws:
            if isinstance(law, Failure):
                texts.append(f"{crystal.name}: {law.reason}")
            elif law.misfit > MISFIT:
                texts.append(
                    f"{crystal.name}: barriers of the {law.carrier} contradict one another by {law.misfit:.2f} eV."
                )
    for contact in found.contacts if found else ():
        texts += [_trouble(f"{contact.name}, hop {one.hop.name}", one.outcome) for one in contact.hops]
        texts += [f"{contact.name}: no hops across: {contact.reason}"] if contact.reason else []
    return [text for text in texts if text]


def _trouble(name: str, outcome: FoundPath | Failure) -> str:
    if isinstance(outcome, Failure):
        return f"{name}: no path: {outcome.reason}"
    return "" if outcome.path.converged and outcome.path.resolved else f"{name}: {outcome.path.state}"
