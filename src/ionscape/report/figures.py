"""All figures: one function each, usable alone, and those of a study folder, written as SVG and PNG.

The functions of `FIGURES` take series and return a figure that notebooks show as vector graphic; `style.save`
writes it. `build_figures` draws what the results of a study allow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from matplotlib.figure import Figure

from ionscape.report.contact_figures import contact_heat_map, reaction_profile_figure
from ionscape.report.contact_series import (
    contact_energies,
    host_phase,
    profile_series,
    voltage_steps,
    window_bars,
)
from ionscape.report.content_figures import content_figure, displacement_panels
from ionscape.report.density_figures import density_figure, jump_figure
from ionscape.report.electronic_figures import electronic_figures
from ionscape.report.energy_figures import DecompositionSeries, EwaldSeries, decomposition_figure, ewald_figure
from ionscape.report.interface_figures import (
    adhesion_figure,
    interface_figures,
    regret_figure,
    segregation_figure,
)
from ionscape.report.learning_figures import learning_curve_figure, learning_figures, series_figure
from ionscape.report.migration_figures import migration_figures, profile_figure
from ionscape.report.path_figure import path_figure
from ionscape.report.potential_figures import calibration_figure, parity_figure
from ionscape.report.quantity import Quantity
from ionscape.report.reading import read_study
from ionscape.report.records import DopedContent, StudyRecord, Target
from ionscape.report.run_figures import run_figures
from ionscape.report.structure_figure import structure_figure
from ionscape.report.style import save
from ionscape.report.surface_figures import shape_figure, surface_figures, thickness_figure
from ionscape.report.transport_figures import (
    arrhenius_figure,
    channel_figure,
    displacement_figure,
    running_diffusion_figure,
)
from ionscape.report.typography import converted, significant
from ionscape.report.van_hove_figures import van_hove_figure
from ionscape.report.window_figures import voltage_profile_figure, window_figure
from ionscape.stability.contact import ContactMatrix
from ionscape.structures.exchange import read_structure

#: What each function draws. In parentheses: figures of the source study.
FIGURES: dict[str, Callable[..., Figure]] = {
    "crystal structure (1)": structure_figure,
    "decomposition energy (2a)": decomposition_figure,
    "heat map of reaction energies (2b)": contact_heat_map,
    "reaction profiles": reaction_profile_figure,
    "electrochemical windows": window_figure,
    "voltage profiles": voltage_profile_figure,
    "Ewald against relaxed energy (S5)": ewald_figure,
    "surface energy against thickness": thickness_figure,
    "Wulff shape": shape_figure,
    "registry search (S4, S6)": regret_figure,
    "works of adhesion": adhesion_figure,
    "dopant by layer": segregation_figure,
    "mean-square displacement (4a)": displacement_figure,
    "displacements of all runs (S7)": displacement_panels,
    "running diffusion coefficient": running_diffusion_figure,
    "Arrhenius plot (4b)": arrhenius_figure,
    "number against dopant content (4c)": content_figure,
    "channels against dopant content (4d, S12)": channel_figure,
    "van Hove functions (5a-d)": van_hove_figure,
    "trajectory density (5e, f, S13)": density_figure,
    "jump network": jump_figure,
    "parity (S10)": parity_figure,
    "calibration of uncertainty": calibration_figure,
    "learning curve": learning_curve_figure,
    "runs in time (S11)": series_figure,
    "migration paths (6a)": path_figure,
    "energies along paths (6b)": profile_figure,
}
#: Stems of the figure files; the page looks for them by these names.
DECOMPOSITION, EWALD = "decomposition-energy", "ewald-ranking"
HEAT_MAP, PROFILES = "contact-heat-map", "reaction-profiles"
WINDOW, VOLTAGES = "electrochemical-window", "voltage-profiles"


def build_figures(folder: Path) -> list[Path]:
    """Draw every figure that the results in `folder` allow into ``folder/figures``; return the files written.

    Structure of host and cathode (Fig. 1), decomposition energies (Fig. 2a), Ewald ranking (Fig. S5),
    mutual reaction energies (Fig. 2b) with profiles, electrochemical windows with voltage profiles, those of
    contacts (`interface_figures`), of the learned potential (`learning_figures`), of runs of molecular dynamics
    (`run_figures`), of migration paths (`migration_figures`) and of electronic structure (`electronic_figures`).

    Raises
    ------
    InputError
        If the results or a structure file are missing or cannot be understood.
    """
    return write_figures(read_study(Path(folder)))


def write_figures(record: StudyRecord) -> list[Path]:
    """Draw every figure of `record` into its folder; return the files written."""
    written: list[Path] = []
    for stem, figure in _figures(record):
        written += save(figure, record.folder / "figures" / stem)
    return written


def structure_stem(role: str) -> str:
    """Return the stem of the figure of the crystal in `role`."""
    return f"structure-{role}"


def heat_map_stem(matrix: ContactMatrix) -> str:
    """Return the stem of the heat map of `matrix`, with its voltage if it has one."""
    return HEAT_MAP if matrix.voltage is None else f"{HEAT_MAP}-{matrix.voltage:.2f}V".replace(".", "-")


def _figures(record: StudyRecord) -> Iterator[tuple[str, Figure]]:
    for crystal in record.crystals:
        path = record.file(crystal.structure_file)
        if path is not None:
            yield structure_stem(crystal.role), structure_figure(read_structure(path))
    if record.targets:
        series = decomposition_series(record)
        yield DECOMPOSITION, decomposition_figure(series, level=level_name(record), dopant=dopant(record))
    rankings = [s for s in map(ewald_series, record.doping) if s is not None]
    if rankings:
        yield EWALD, ewald_figure(rankings, level=cheap_level_name(record))
    yield from _contact_figures(record)
    yield from _window_figures(record)
    yield from surface_figures(record)
    yield from interface_figures(record)
    yield from learning_figures(record)
    yield from run_figures(record, dopant(record))
    yield from migration_figures(record)
    yield from electronic_figures(record)


def _contact_figures(record: StudyRecord) -> Iterator[tuple[str, Figure]]:
    for matrix in record.contacts:
        yield (
            heat_map_stem(matrix),
            contact_heat_map(contact_energies(matrix), level=matrix.level, note=_conditions(matrix)),
        )
    for matrix in record.contacts[:1]:
        yield (
            PROFILES,
            reaction_profile_figure(profile_series(matrix, host_phase(record, matrix)), level=matrix.level),
        )


def _conditions(matrix: ContactMatrix) -> str:
    voltage = "" if matrix.voltage is None else f"{matrix.voltage:.2f} V against {matrix.mobile} metal"
    return ", ".join(filter(None, (voltage, matrix.conditions)))


def _window_figures(record: StudyRecord) -> Iterator[tuple[str, Figure]]:
    if not record.windows:
        return
    first = record.windows[0]
    yield WINDOW, window_figure(window_bars(record.windows), mobile=first.mobile, level=first.level)
    steps = voltage_steps(record.windows)
    if steps:
        yield VOLTAGES, voltage_profile_figure(steps, mobile=first.mobile, level=first.level)


def level_name(record: StudyRecord) -> str:
    """Name of the level that all energies share: the dear one if the study has one, else the cheap one."""
    identity = record.levels.get("dear") or record.levels.get("cheap") or next(iter(record.levels.values()), {})
    return str(identity.get("model") or identity.get("name") or "")


def cheap_level_name(record: StudyRecord) -> str:
    """Name of the level at which candidates are relaxed first."""
    identity = record.levels.get("cheap") or next(iter(record.levels.values()), {})
    return str(identity.get("model") or identity.get("name") or "")


def dopant(record: StudyRecord) -> str:
    """Element that the doped cells have and the host has not, if there is exactly one."""
    host = {
        element for crystal in record.crystals if crystal.role == "host" for element in elements(crystal.formula)
    }
    doped = {element for cell in record.doping for element in elements(cell.formula)}
    added = doped - host
    return added.pop() if host and len(added) == 1 else ""


def elements(formula: str) -> set[str]:
    """Return the element symbols in `formula`."""
    return set(re.findall(r"[A-Z][a-z]?", formula))


def routes(record: StudyRecord) -> dict[str, list[Target]]:
    """Doped targets by route, in the order of the doping stage."""
    order = dict.fromkeys([cell.route for cell in record.doping] + [t.route for t in record.targets if t.route])
    grouped = {
        route: [t for t in record.targets if t.route == route and t.x_per_formula_unit > 0] for route in order
    }
    return {route: targets for route, targets in grouped.items() if targets}


def decomposition_series(record: StudyRecord) -> list[DecompositionSeries]:
    """Return our decomposition energies by route, the host at x = 0 with the first, then the study's own."""
    undoped = [t for t in record.targets if t.x_per_formula_unit == 0]
    grouped = routes(record) or {"host": []}
    ours = [
        DecompositionSeries(
            route,
            [t.x_per_formula_unit for t in points],
            [converted(t.e_d, "meV/atom") for t in points],
            [tuple(t.products) if len(t.products) > 1 else () for t in points],
        )
        for k, (route, targets) in enumerate(grouped.items())
        for points in [(undoped[:1] if k == 0 else []) + targets]
    ]
    return [s for s in ours if len(s.products)] + _reported(record, list(grouped))


def _reported(record: StudyRecord, known: list[str]) -> list[DecompositionSeries]:
    points: dict[str, list[tuple[float, Quantity]]] = {route: [] for route in known}
    targets = {target.name: target for target in record.targets}
    for entry in record.comparison:
        target = targets.get(entry.target)
        if target is not None and target.route and entry.study.unit in {"eV/atom", "meV/atom"}:
            points[target.route].append((target.x_per_formula_unit, entry.study))
    return [
        DecompositionSeries(
            route, [x for x, _ in found], [converted(e, "meV/atom") for _, e in found], reported=True
        )
        for route, found in points.items()
        if found
    ]


def ewald_series(cell: DopedContent) -> EwaldSeries | None:
    """Return the relaxed configurations of one content; nothing if there is none."""
    done = [(c.ewald.value, c.energy_per_atom.value) for c in cell.candidates if c.energy_per_atom is not None]
    if not done:
        return None
    return EwaldSeries(
        label=f"{cell.route}, x = {significant(cell.x_per_formula_unit)}",
        ewald_eV=[ewald for ewald, _ in done],
        relaxed_eV_per_atom=[energy for _, energy in done],
        rho=cell.rho,
        p_value=cell.p_value,
        n_failed=len(cell.candidates) - len(done),
    )
