"""The report: one HTML page that needs nothing but itself, from the results of a study folder."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Template
from markupsafe import Markup

from ionscape.report.contact_table import conditions_html, contact_table
from ionscape.report.electronic_figures import planar_stem, states_stem
from ionscape.report.figures import (
    DECOMPOSITION,
    EWALD,
    PROFILES,
    VOLTAGES,
    WINDOW,
    cheap_level_name,
    dopant,
    heat_map_stem,
    level_name,
    structure_stem,
    write_figures,
)
from ionscape.report.interactive.figures import interactive_figures
from ionscape.report.interface_figures import ADHESION, REGISTRY, SEGREGATION, interface_stem
from ionscape.report.interface_records import WORKS
from ionscape.report.learning_figures import CALIBRATION, LEARNING, PARITY, series_stem
from ionscape.report.migration_figures import path_stem, profile_stem
from ionscape.report.migration_records import CrystalHops
from ionscape.report.models import models
from ionscape.report.movies import write_movies
from ionscape.report.quantity import Quantity
from ionscape.report.questions import answered
from ionscape.report.reading import read_study
from ionscape.report.records import Crystal, StudyRecord
from ionscape.report.reported import beside, difference
from ionscape.report.reproduction import write_reproduction
from ionscape.report.run_figures import (
    ARRHENIUS,
    CHANNELS,
    CONDUCTIVITY,
    CORRELATION,
    DISPLACEMENTS,
    density_stem,
    van_hove_stem,
)
from ionscape.report.scripting import LIBRARIES, PRINTED, embedded, library, licence, own_script, policy
from ionscape.report.surface_figures import layers_stem, shape_stem
from ionscape.report.templating import templates
from ionscape.report.transport_records import DynamicsRun
from ionscape.report.transport_table import SPEEDS, WAYS, estimate_html
from ionscape.report.typography import decimals
from ionscape.report.vector import inline_svg
from ionscape.report.verdict import contact_warnings, products_html, verdict
from ionscape.structures.exchange import replacing

#: What relaxations moved, as said on the page.
MOVED = {"positions": "Positions relaxed", "cell": "Cell relaxed", "positions+cell": "Positions and cell relaxed"}
#: What each stage is called on the page.
STAGE_NAMES = {
    "host": "relaxation of host and cathode",
    "voids": "empty sites",
    "doping": "doped cells",
    "stability": "decomposition energies",
    "contact": "contact reactions",
    "window": "electrochemical windows",
    "surfaces": "surface energies",
    "match": "coherent interface",
    "interface": "interfaces",
    "potential": "learned potential",
    "dynamics": "molecular dynamics",
    "transport": "ion transport",
    "migration": "migration barriers",
    "electronic": "electronic structure",
}
#: Sections of the page by their anchors, as its bar calls them.
SECTIONS = {
    "host": "Crystals",
    "voids": "Empty sites",
    "doping": "Doped cells",
    "stability": "Stability",
    "contact": "Contacts",
    "window": "Windows",
    "surfaces": "Surfaces",
    "match": "Match",
    "interface": "Interfaces",
    "potential": "Potential",
    "dynamics": "Dynamics",
    "transport": "Transport",
    "migration": "Migration",
    "electronic": "Electrons",
    "comparison": "Comparison",
    "provenance": "Provenance",
}
#: Stems of the figures that the templates show.
NAMES = {
    "decomposition": DECOMPOSITION,
    "ewald": EWALD,
    "structure": structure_stem,
    "heat_map": heat_map_stem,
    "profiles": PROFILES,
    "window": WINDOW,
    "voltages": VOLTAGES,
    "layers": layers_stem,
    "shape": shape_stem,
    "adhesion": ADHESION,
    "registry": REGISTRY,
    "segregation": SEGREGATION,
    "interface": interface_stem,
    "parity": PARITY,
    "calibration": CALIBRATION,
    "learning": LEARNING,
    "series": series_stem,
    "displacements": DISPLACEMENTS,
    "arrhenius": ARRHENIUS,
    "conductivity": CONDUCTIVITY,
    "correlation": CORRELATION,
    "channels": CHANNELS,
    "van_hove": van_hove_stem,
    "density": density_stem,
    "states": states_stem,
    "planar": planar_stem,
    "paths": path_stem,
    "path_profiles": profile_stem,
}


def build_page(folder: Path) -> Path:
    """Write ``folder/report/index.html`` (and the figures it shows) from ``folder/results.json``; return its path.

    The page is one file: styles, drawings, data and scripts are part of it, it loads nothing; without scripts it
    shows all numbers and the figures as files show them. Stages that were not computed are named as pending, those
    that failed with their reasons. The same results give the same bytes.

    Raises
    ------
    InputError
        If the results or a structure file are missing or cannot be understood.
    """
    record = read_study(Path(folder))
    write_figures(record)
    write_movies(record)
    target = record.folder / "report" / "index.html"
    with replacing(target) as part:
        part.write_text(_template().render(_content(record)), encoding="utf-8")
    write_reproduction(record.folder)
    return target


def _content(record: StudyRecord) -> dict[str, Any]:
    return {
        "record": record,
        "questions": answered(record, verdict(record), STAGE_NAMES),
        "sections": [(name, SECTIONS[name]) for name, shown in _shown(record).items() if shown],
        "plots": {stem: plot.as_data() for stem, plot in interactive_figures(record).items()},
        "models": models(record),
        "beside": functools.partial(beside, record),
        "difference": difference,
        "scripts": {"own": own_script(), "libraries": {name: library(name) for name in LIBRARIES}},
        "licences": [licence(name) for name in LIBRARIES],
        "policy": policy(),
        "printed": PRINTED,
        "embedded": embedded,
        "warnings": [*record.warnings, *contact_warnings(record)],
        "pending": [STAGE_NAMES[stage] for stage in record.pending],
        "failed": [(STAGE_NAMES[stage], reason) for stage, reason in record.failed.items()],
        "relaxed": MOVED.get(record.move, "Relaxed"),
        "figure": functools.partial(_figure, record),
        "download": functools.partial(_download, record),
        "download_figures": functools.partial(_download_figures, record),
        "names": NAMES,
        "contact_table": contact_table,
        "conditions": conditions_html,
        "level": level_name(record),
        "cheap_level": cheap_level_name(record),
        "dopant": dopant(record),
        "levels": {name: flattened(identity) for name, identity in record.levels.items()},
        "files": any(record.crystals) or bool(record.doping),
        "activation_of_runs": functools.partial(_activation_of_runs, record),
        "gated": _gated(record),
        "speeds": SPEEDS,
        "ways": WAYS,
        "works": WORKS,
    }


def _shown(record: StudyRecord) -> dict[str, Any]:
    """Return what each section of the page shows, nothing where it is left out."""
    return {
        "host": record.crystals,
        "voids": record.empty_sites,
        "doping": record.doping or record.failed_contents,
        "stability": record.targets or record.phases,
        "contact": record.contacts,
        "window": record.windows,
        "surfaces": record.surfaces,
        "match": record.match,
        "interface": record.interfaces,
        "potential": record.potential or _gated(record),
        "dynamics": record.dynamics,
        "transport": record.transport,
        "migration": record.migration,
        "electronic": record.electronic,
        "comparison": record.comparison or record.claims,
        "provenance": True,
    }


def _gated(record: StudyRecord) -> list[DynamicsRun]:
    return [run for run in record.dynamics.runs if run.gate] if record.dynamics else []


def _template() -> Template:
    environment = templates()
    environment.filters |= {
        "wrapped": lambda data: {"data": data},
        "products": products_html,
        "cell_rows": cell_rows,
        "film": film_file,
        "estimate": estimate_html,
    }
    return environment.get_template("page.html")


def _figure(record: StudyRecord, stem: str, description: str) -> Markup | None:
    path = record.folder / "figures" / f"{stem}.svg"
    return inline_svg(path, description) if path.is_file() else None


def _activation_of_runs(record: StudyRecord, crystal: CrystalHops) -> list[tuple[str, Markup]]:
    """Return material and activation energy of the laws of molecular dynamics if the hops shown are the host's."""
    hosts = [one.name for one in record.crystals if one.role == "host"]
    if record.transport is None or crystal.name not in hosts:
        return []
    laws = [law for law in record.transport.laws if law.activation_energy.value]
    return [(law.material, Markup(estimate_html(law.activation_energy))) for law in laws]  # noqa: S704  ours


def _download(record: StudyRecord, relative: str) -> str:
    """Address, relative to the page, of a file of the study; empty if it is not there."""
    return f"../{quote(relative)}" if record.file(relative) else ""


def film_file(trajectory_file: str) -> str:
    """Return where the film of a run lies (`movies`), from where its trajectory lies."""
    return trajectory_file.removesuffix(".trajectory") + ".extxyz" if trajectory_file else ""


def _download_figures(record: StudyRecord, *stems: str) -> list[tuple[str, str]]:
    """Names and addresses, relative to the page, of the figures among `stems` that there are."""
    files = [f"{stem}.svg" for stem in stems]
    return [(name, f"../figures/{quote(name)}") for name in files if (record.folder / "figures" / name).is_file()]


def cell_rows(crystal: Crystal) -> list[tuple[str, Quantity, Quantity | None, str]]:
    """Lattice parameters: symbol, ours, the one compared with, and the deviation of lengths in percent."""
    symbols = {"alpha": "α", "beta": "β", "gamma": "γ"}
    rows = []
    for key, ours in crystal.cell.items():
        other = crystal.compared_cell.get(key)
        percent = 100 * (ours.value / other.value - 1) if other and key in "abc" else None
        deviation = "" if percent is None else f"{'+' if percent > 0 else ''}{decimals(percent, 2)}\u2009%"
        rows.append((symbols.get(key, key), ours, other, deviation))
    return rows


def flattened(node: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings as one level of texts, keys joined with dots."""
    flat: dict[str, str] = {}
    for key, value in node.items():
        name = f"{prefix}{key}"
        flat |= flattened(value, f"{name}.") if isinstance(value, Mapping) else {name: str(value)}
    return flat
