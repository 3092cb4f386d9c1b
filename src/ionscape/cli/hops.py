"""The answer of ``neb --hops``: hops found in one structure, a crystal or an interface, and their barriers."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.migration import path_payload
from ionscape.cli.options import laboratory, level_of, settings_from
from ionscape.cli.output import Answer, table
from ionscape.errors import InputError
from ionscape.migration.contact_stage import ContactMigration, ContactToSearch, CrossingOutcome, asked_contact
from ionscape.migration.images import write_images
from ionscape.migration.plan import MigrationPlan
from ionscape.migration.requests import FoundPath
from ionscape.migration.stage import (
    CarrierLaw,
    CrystalMigration,
    CrystalToSearch,
    HopOutcome,
    PlacesToSearch,
    find_migration,
    named_hops,
)
from ionscape.results import Failure
from ionscape.study.migrating import CM2_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from ionscape.levels.registry import Level
    from ionscape.migration.crossing import CrossingHop
    from ionscape.migration.hops import Hop
    from ionscape.migration.settings import BandSettings
    from ionscape.migration.sites import IonSite


def find_hops(options: argparse.Namespace, band: BandSettings) -> Answer:
    """Return the hops in the structure of the options, with their barriers unless only a list is asked for."""
    import numpy as np

    from ionscape.structures.exchange import check_writable, read_structure

    if options.final is not None or (options.leaving is None) != (options.entering is None):
        raise InputError(
            "two structures" if options.final is not None else "one of --from and --to",
            where="command neb --hops",
            expected="one structure; of an interface the marks of both slabs",
            remedy="Leave FINAL or --hops out; give both --from and --to, or none.",
        )
    structure, plan, level = read_structure(options.initial), _plan(options, band), level_of(options)
    structure.remove_oxidation_states()
    places = _places(options, structure, plan)
    if options.listed:
        return _listed(structure, places, plan, level)
    folder = options.out or Path(f"{options.initial.stem}-hops")
    check_writable(folder / "x.extxyz")
    with laboratory(options) as lab:
        found = find_migration(places, plan, level, lab, np.random.default_rng(options.seed))
    if found.contacts:
        return _across(found.contacts[0], plan, folder)
    return _within(found.crystals[0], plan, folder)


def _plan(options: argparse.Namespace, band: BandSettings) -> MigrationPlan:
    from ionscape.migration.crossing import CrossingSettings
    from ionscape.migration.hops import HopSettings

    reach = {} if options.longest_A is None else {"longest_A": options.longest_A}
    across, within = (
        {} if options.per_site is None else {name: options.per_site} for name in ("per_start", "per_site")
    )
    plan: MigrationPlan = settings_from(
        MigrationPlan,
        "option",
        mobile=options.mobile,
        mechanisms=tuple(options.mechanism or ("vacancy",)),
        hops=settings_from(HopSettings, "option", **reach, **within),
        crossing=settings_from(CrossingSettings, "option", **reach, **across),
        band=band,
        width_A=options.width_A,
        most_atoms=options.most_atoms,
        only=tuple(options.only),
    )
    return plan


def _places(options: argparse.Namespace, structure: Structure, plan: MigrationPlan) -> PlacesToSearch:
    from ionscape.structures.sides import first_side

    name = options.initial.stem
    if options.leaving is not None:
        leaving = first_side(structure, options.leaving, options.entering)
        return PlacesToSearch(contacts=(ContactToSearch(name, structure, leaving),))
    return PlacesToSearch(crystals=(CrystalToSearch(name, structure, _empty_sites(structure, plan)),))


def _empty_sites(structure: Structure, plan: MigrationPlan) -> Any:
    import numpy as np

    from ionscape.structures.voids import find_empty_sites

    if not {"interstitial", "interstitialcy"} & set(plan.mechanisms):
        return np.empty((0, 3))
    found = find_empty_sites(structure)
    return found.suitable_for(found.charges.get(plan.mobile, 0.0)).all_fractional


def _listed(structure: Structure, places: PlacesToSearch, plan: MigrationPlan, level: Level) -> Answer:
    from ionscape.migration.sites import ion_sites

    if places.contacts:
        asked = asked_contact(places.contacts[0], plan, level)
        hops = [_crossing(hop, asked.repeats) for hop in asked.hops]
        return _answer({**_head(asked, plan), **_reason(asked.reason), "hops": hops})
    sites = ion_sites(structure, plan.mobile, places.crystals[0].empty)
    named = named_hops(structure, sites, plan)
    payload = {"mobile": plan.mobile, "formula": structure.composition.reduced_formula, "sites": _sites(sites)}
    return _answer({**payload, "hops": [_hop(name, hop, sites) for name, hop in named]})


def _head(found: Any, plan: MigrationPlan) -> dict[str, Any]:
    return {"mobile": plan.mobile, "formula": found.formula, "repeats": list(found.repeats)}


def _reason(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def _within(found: CrystalMigration, plan: MigrationPlan, folder: Path) -> Answer:
    hops = [
        {**_hop(one.name, one.hop, found.sites), **_outcome(one.outcome, folder / f"{one.name}.extxyz")}
        for one in found.hops
    ]
    carriers = [_carrier(law) for law in found.laws]
    payload = {**_head(found, plan), "sites": _sites(found.sites), "hops": hops, "carriers": carriers}
    return _answer(payload, found.hops)


def _across(found: ContactMigration, plan: MigrationPlan, folder: Path) -> Answer:
    hops = [
        {**_crossing(one.hop, found.repeats), **_outcome(one.outcome, folder / f"{one.hop.name}.extxyz")}
        for one in found.hops
    ]
    return _answer({**_head(found, plan), **_reason(found.reason), "hops": hops}, found.hops)


def _sites(sites: Sequence[IonSite]) -> list[dict[str, Any]]:
    kinds: dict[int, list[IonSite]] = {}
    for site in sites:
        kinds.setdefault(site.orbit, []).append(site)
    return [
        {
            "label": kind[0].label,
            "occupied": kind[0].occupied,
            "multiplicity": len(kind),
            "fractional": kind[0].fractional.tolist(),
        }
        for kind in kinds.values()
    ]


def _hop(name: str, hop: Hop, sites: Sequence[IonSite]) -> dict[str, Any]:
    return {
        "name": name,
        "mechanism": hop.mechanism,
        "start": sites[hop.start].label,
        "end": sites[hop.end].label,
        "length_A": hop.length,
        "multiplicity": len(hop.copies),
        "symmetric": hop.symmetric,
    }


def _crossing(hop: CrossingHop, repeats: tuple[int, int, int]) -> dict[str, Any]:
    copies = math.prod(repeats)  # a repeated cell has the copies of a site one after the other
    return {
        "name": hop.name,
        "mechanism": "vacancy",
        "start": hop.start_label,
        "end": hop.end_label,
        "length_A": hop.length,
        "start_site": hop.start // copies,
        "end_site": hop.end // copies,
    }


def _outcome(outcome: FoundPath | Failure, file: Path) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {"failure": outcome.reason}
    return {**path_payload(outcome.path), "path": str(write_images(outcome.path, file)), "key": outcome.key}


def _carrier(law: CarrierLaw | Failure) -> dict[str, Any]:
    if isinstance(law, Failure):
        return {"failure": law.reason}
    return {
        "carrier": law.carrier,
        "percolation_eV": {
            axis: {"unavailable": energy.reason} if isinstance(energy, Failure) else energy
            for axis, energy in law.percolation.items()
        },
        "activation_eV": law.activation,
        "misfit_eV": law.misfit,
        "missing": list(law.missing),
        "diffusivity": [
            {
                "temperature_K": temperature,
                "exact_cm2_per_s": CM2_PER_S * exact,
                "walked_cm2_per_s": {
                    "value": CM2_PER_S * walked.value,
                    "low95": CM2_PER_S * walked.low95,
                    "high95": CM2_PER_S * walked.high95,
                },
            }
            for (temperature, exact), walked in zip(law.exact, law.walked, strict=True)
        ],
    }


def _answer(payload: dict[str, Any], outcomes: Sequence[HopOutcome | CrossingOutcome] = ()) -> Answer:
    """Return the answer; exit code 3 if a path was not found or did not converge."""
    poor = [one for one in outcomes if isinstance(one.outcome, Failure) or not one.outcome.path.converged]
    rows = [
        (hop["name"], f"{hop['start']} → {hop['end']}", f"{hop['length_A']:.2f}", *_barriers(hop))
        for hop in payload["hops"]
    ]
    text = table(("hop", "sites", "length Å", "forward eV", "backward eV", "state"), rows)
    for law in payload.get("carriers", []):
        text += "\n" + _law(law)
    return Answer(payload, "\n".join(filter(None, [text, payload.get("reason", "")])), 3 if poor else 0)


def _barriers(hop: dict[str, Any]) -> tuple[str, str, str]:
    if "forward_eV" not in hop:
        return "", "", hop.get("failure", "")
    return f"{hop['forward_eV']:.3f}", f"{hop['backward_eV']:.3f}", hop["state"].partition(":")[0]


def _law(law: dict[str, Any]) -> str:
    if "failure" in law:
        return str(law["failure"])
    along = ", ".join(
        f"{axis} {value:.3f} eV" if isinstance(value, float) else f"{axis} none"
        for axis, value in law["percolation_eV"].items()
    )
    return f"{law['carrier']}: percolation along {along}; migration {law['activation_eV']:.3f} eV"
