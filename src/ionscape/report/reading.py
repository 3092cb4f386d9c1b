"""The only module that knows the layout of ``results.json``: a study folder as typed records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ionscape.errors import InputError
from ionscape.files import Wanted, json_of
from ionscape.report.contact_reading import contact_matrix, electrochemical_window
from ionscape.report.electronic_records import electronic_records
from ionscape.report.interface_records import interface_records
from ionscape.report.migration_records import migration_record
from ionscape.report.potential_records import potential_record
from ionscape.report.quantity import Quantity
from ionscape.report.records import (
    Comparison,
    Crystal,
    DopedCandidate,
    DopedContent,
    EmptySite,
    EmptySites,
    FailedContent,
    JudgedStatement,
    Phase,
    Reference,
    StudyRecord,
    Target,
)
from ionscape.report.reproduction import OUTCOMES, told, verdict_of
from ionscape.report.surface_records import match_record, surfaces_record
from ionscape.report.transport_reading import dynamics_record, transport_record
from ionscape.report.values import known, plain, quantity

FORMAT = 1
STAGES = (
    "host", "voids", "doping", "stability", "contact", "window", "surfaces", "match", "interface", "potential",
    "dynamics", "transport", "migration", "electronic",
)  # fmt: skip
#: Stages that a study need not have: they are pending only where they are recorded as empty.
OPTIONAL = (
    "contact", "window", "surfaces", "match", "interface", "potential", "dynamics", "transport", "migration",
    "electronic",
)  # fmt: skip
_CELL = ("a", "b", "c", "alpha", "beta", "gamma")
_T = TypeVar("_T")
RESULTS = Wanted(
    "results of a study",
    "the folder of a study that was run",
    "Run `ionscape run STUDY.toml --out DIR` first, then `ionscape report DIR`.",
    largest_MB=1024,
)
_REMEDY = "Run `ionscape run` again; it writes results.json anew from the stored calculations."


def read_study(folder: Path) -> StudyRecord:
    """Return the record of the study in `folder`.

    Raises
    ------
    InputError
        If ``results.json`` is missing, broken, of another format, or a stage in it cannot be understood.
    """
    path = folder / "results.json"
    data = _load(path)
    recorded: Mapping[str, Any] = data.get("stages") or {}
    failed = _failed(recorded)
    stages = {stage: node for stage, node in recorded.items() if stage not in failed}

    def part(name: str, build: Callable[[Any], _T], source: Mapping[str, Any] = stages) -> _T:
        try:
            return build(source.get(name) or {})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"missing {error}" if isinstance(error, KeyError) else str(error)
            raise _refusal(f"'{name}' cannot be understood ({reason})", path) from None

    study = data.get("study") or {}
    name = str(study.get("name", folder.name))
    return StudyRecord(
        folder=folder,
        name=name,
        title=str(study.get("title") or name),
        seed=str(study.get("seed", "")),
        input_sha256=str(study.get("input_sha256", "")),
        code=part("code", lambda node: {str(k): str(v) for k, v in node.items()}, data),
        levels=part("levels", lambda node: {str(k): dict(v) for k, v in node.items()}, data),
        move=part("relaxation", lambda node: str(node.get("move") or ""), data),
        warnings=part("warnings", lambda node: tuple(map(str, node)), data),
        references=part("references", lambda node: tuple(map(_reference, node)), data),
        **_stages(part),
        comparison=part("comparison", lambda node: tuple(map(_comparison, node)), data),
        claims=part("claims", lambda node: tuple(map(_claim, node)), data),
        computed=tuple(stage for stage in STAGES if stages.get(stage)),
        failed={stage: failed[stage] for stage in STAGES if stage in failed},
        pending=tuple(stage for stage in STAGES if _is_pending(stage, recorded)),
    )


def _stages(part: Callable[..., Any]) -> dict[str, Any]:
    """Return what the stages found, by the fields of the record."""
    return {
        "crystals": part("host", _crystals),
        "empty_sites": part("voids", lambda node: _empty_sites(node) if node else None),
        "doping": part("doping", lambda node: tuple(map(_content, _cells(node, failed=False)))),
        "failed_contents": part("doping", lambda node: tuple(map(_failed_content, _cells(node, failed=True)))),
        "targets": part("stability", lambda node: _targets(node.get("targets", ()))),
        "phases": part("stability", lambda node: tuple(map(_phase, node.get("phases", ())))),
        "excluded": part(
            "stability", lambda node: {str(k): str(v) for k, v in (node.get("excluded") or {}).items()}
        ),
        "contacts": part("contact", lambda node: tuple(map(contact_matrix, node.get("matrices", ())))),
        "windows": part("window", lambda node: tuple(map(electrochemical_window, node.get("windows", ())))),
        "window_conditions": part("window", lambda node: str(node.get("conditions") or "")),
        "window_no_intervals": part("window", lambda node: str(node.get("no_intervals") or "")),
        "surfaces": part("surfaces", surfaces_record),
        "match": part("match", match_record),
        "interfaces": part("interface", interface_records),
        "potential": part("potential", potential_record),
        "dynamics": part("dynamics", dynamics_record),
        "transport": part("transport", transport_record),
        "migration": part("migration", migration_record),
        "electronic": part("electronic", electronic_records),
    }


def _failed(recorded: Mapping[str, Any]) -> dict[str, str]:
    return {
        stage: str(node["failed"])
        for stage, node in recorded.items()
        if isinstance(node, dict) and "failed" in node
    }


def _is_pending(stage: str, recorded: Mapping[str, Any]) -> bool:
    return not recorded.get(stage) and (stage in recorded or stage not in OPTIONAL)


def _refusal(found: str, path: Path) -> InputError:
    return InputError(found, where=str(path), expected=f"results of a study, format {FORMAT}", remedy=_REMEDY)


def _load(path: Path) -> dict[str, Any]:
    data = json_of(path, RESULTS)
    for name in ("study", "stages"):
        if isinstance(data, dict) and not isinstance(data.get(name) or {}, dict):
            raise _refusal(f"'{name}' cannot be understood (no table)", path)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise _refusal(f"format {found!r}", path)
    return data


def _cell(node: Mapping[str, Any]) -> dict[str, Quantity]:
    return {key: quantity(node[key], "Å" if key in "abc" else "°") for key in _CELL if node.get(key) is not None}


def _crystals(node: Mapping[str, Any]) -> tuple[Crystal, ...]:
    return tuple(_crystal(role, node[role]) for role in ("host", "cathode") if node.get(role))


def _crystal(role: str, node: Mapping[str, Any]) -> Crystal:
    measured = node.get("measured") or ()
    compared = next(iter(measured), None) or node.get("given") or {}
    return Crystal(
        role=role,
        name=str(node.get("name", "")),
        formula=str(node["formula"]),
        space_group=str(node.get("space_group", "")),
        cell=_cell(node.get("cell") or node),
        compared_cell=_cell(compared),
        compared_with="measured" if measured else "as given",
        source=str(node.get("source") or compared.get("source") or ""),
        energy_per_atom=known(node.get("energy_per_atom"), "eV/atom"),
        structure_file=str(node.get("structure_file", "")),
        key=str(node.get("key", "")),
    )


def _empty_sites(node: Mapping[str, Any]) -> EmptySites:
    return EmptySites(str(node.get("method", "")), str(node.get("source", "")), tuple(map(_site, node["sites"])))


def _site(node: Mapping[str, Any]) -> EmptySite:
    return EmptySite(
        fractional=tuple(float(x) for x in plain(node["fractional"])),
        radius=quantity(node["radius"], "Å"),
        multiplicity=int(plain(node["multiplicity"])),
        neighbours={str(k): quantity(v, "Å") for k, v in (node.get("neighbours") or {}).items()},
        density=known(node.get("density"), "e/Å³"),
    )


def _cells(node: Mapping[str, Any], *, failed: bool) -> list[Mapping[str, Any]]:
    return [cell for cell in node.get("cells", ()) if ("failure" in cell) == failed]


def _failed_content(node: Mapping[str, Any]) -> FailedContent:
    return FailedContent(
        route=str(node["route"]),
        formula=str(node["formula"]),
        x_per_formula_unit=float(plain(node["x_per_formula_unit"])),
        reason=str(node["failure"]),
    )


def _content(node: Mapping[str, Any]) -> DopedContent:
    correlation = node.get("correlation") or {}
    rho = correlation.get("rho")
    return DopedContent(
        route=str(node["route"]),
        formula=str(node["formula"]),
        x_per_formula_unit=float(plain(node["x_per_formula_unit"])),
        n_sampled=int(plain(node["n_sampled"])),
        n_unique=int(plain(node["n_unique"])),
        exhaustive=bool(node.get("exhaustive", False)),
        lowest_ewald=known(node.get("lowest_ewald"), "eV"),
        candidates=tuple(_candidate(i, c) for i, c in enumerate(node["candidates"], start=1)),
        refined=tuple(_candidate(i, c) for i, c in enumerate(node.get("refined", ()), start=1)),
        best=int(plain(node["best"])),
        rho=None if rho is None else float(plain(rho)),
        p_value=None if rho is None else float(plain(correlation["p_value"])),
        why_no_rho=str(correlation.get("unavailable") or ""),
    )


def _candidate(position: int, node: Mapping[str, Any]) -> DopedCandidate:
    return DopedCandidate(
        rank=int(plain(node.get("rank", position))),
        ewald=quantity(node["ewald"], "eV"),
        energy_per_atom=known(node.get("energy_per_atom"), "eV/atom"),
        failure=str(node.get("failure") or ""),
        origin=str(node.get("origin") or ""),
        structure_file=str(node.get("structure_file") or ""),
        key=str(node.get("key") or ""),
    )


def _targets(nodes: Iterable[Mapping[str, Any]]) -> tuple[Target, ...]:
    targets = [_target(node) for node in nodes]
    order = list(dict.fromkeys(["", *(target.route for target in targets)]))
    return tuple(sorted(targets, key=lambda target: (order.index(target.route), target.x_per_formula_unit)))


def _target(node: Mapping[str, Any]) -> Target:
    route = str(node.get("route") or "")
    return Target(
        name=str(node.get("name") or node["formula"]),
        formula=str(node["formula"]),
        route="" if route == "host" else route,
        x_per_formula_unit=float(plain(node.get("x_per_formula_unit", 0.0))),
        e_d=quantity(node["e_d"], "eV/atom"),
        products={str(k): float(plain(v)) for k, v in node["products"].items()},
        reaction=str(node.get("reaction") or ""),
    )


def _phase(node: Mapping[str, Any]) -> Phase:
    return Phase(
        formula=str(node["formula"]),
        name=str(node.get("name") or ""),
        energy_per_atom=known(node.get("energy_per_atom"), "eV/atom"),
        formation_energy=known(node.get("formation_energy"), "eV/atom"),
        height=known(node.get("height"), "eV/atom"),
    )


def _comparison(node: Mapping[str, Any]) -> Comparison:
    ours = node.get("ours") or {}
    return Comparison(
        quantity=str(node["quantity"]).replace("_", " "),
        target=str(node.get("target") or ""),
        temperature=known(node.get("temperature")),
        ours=known(ours) if "value" in ours else None,
        interval=tuple(map(quantity, node.get("interval") or ())),
        reason=str(ours.get("unavailable") or ""),
        study=quantity(node["study"]),
        verdict=verdict_of(node),
        source=str(node.get("source") or ""),
        note=str(node.get("note") or ""),
    )


def _claim(node: Mapping[str, Any]) -> JudgedStatement:
    return JudgedStatement(
        says=str(node["says"]),
        outcome=OUTCOMES[node["outcome"]],
        numbers=tuple(map(told, node["numbers"])),
        source=str(node.get("source") or ""),
        note=str(node.get("note") or ""),
    )


def _reference(node: Mapping[str, Any]) -> Reference:
    return Reference(str(node["method"]), str(node.get("citation") or ""), str(node.get("doi") or ""))
