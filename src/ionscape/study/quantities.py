"""Quantities that other studies report: where each stands in ``results.json``, of what, and in which unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from ionscape.units import J_PER_M2_PER_EV_PER_A2, Number

Name = Literal[
    "a",
    "b",
    "c",
    "beta",
    "decomposition_energy",
    "reaction_energy",
    "reduction_voltage",
    "oxidation_voltage",
    "surface_energy",
    "mean_strain",
    "energy_mae",
    "energy_r2",
    "force_mae",
    "force_r2",
    "activation_energy",
    "extrapolated_conductivity",
    "conductivity",
    "tau1",
    "tau2",
    "xi",
    "d1",
    "d2",
    "work_of_adhesion",
    "segregation_energy",
    "forward_barrier",
    "backward_barrier",
    "migration_energy",
]
#: What is so or is not, of one run.
FlagName = Literal["is_diffusive", "host_is_flat"]
#: A run whose mean temperature is off by a larger share than this tells nothing of the temperature asked for: at
#: 1000 K and a barrier of 0.3 eV its diffusion coefficient is off by a factor of 1.4.
TEMPERATURE_OFF = 0.1


@dataclass(frozen=True)
class Quantity:
    """What can be compared: where it stands in ``results.json``, and its unit in the study file.

    Attributes
    ----------
    path
        Stage, and the names that lead to its rows; lists on the way are gone through.
    target
        What tells whose number a row holds, made of the keys of the row and of what it stands in.
    key
        The number in a row; a dot leads further down.
    unit, factor
        Unit of the reference, and the factor to it from the unit of the results.
    of_run
        Whether it belongs to a run at a temperature.
    """

    path: tuple[str, ...]
    target: str
    key: str
    unit: str
    factor: Number = 1.0
    of_run: bool = False


@dataclass(frozen=True)
class Found:
    """Our number of one target, in the unit of the quantity.

    Attributes
    ----------
    value
        The number (in the unit of its `Quantity`), a flag, or the reason why there is none.
    interval
        Ends of its 95 % interval, if it has one.
    temperature
        Of the run, as recorded, if it belongs to one.
    """

    target: str
    value: Number | bool | str
    interval: tuple[Number, Number] | None = None
    temperature: Mapping[str, Any] | None = None


def _cell(key: str, unit: str) -> Quantity:
    return Quantity(("host",), "{name}", f"cell.{key}", unit)


def _run(key: str, unit: str) -> Quantity:
    return Quantity(("transport", "runs"), "{material}", key, unit, of_run=True)


def _law(key: str, unit: str) -> Quantity:
    return Quantity(("transport", "laws"), "{material}", key, unit)


def _error(key: str, unit: str) -> Quantity:
    return Quantity(("potential",), "potential", f"errors.{key}", unit)


def _window(key: str) -> Quantity:
    return Quantity(("window", "windows"), "{formula}", f"{key}.voltage", "V")


QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "a": _cell("a", "Å"),
        "b": _cell("b", "Å"),
        "c": _cell("c", "Å"),
        "beta": _cell("beta", "°"),
        "decomposition_energy": Quantity(("stability", "targets"), "{name}", "e_d", "meV/atom", 1000.0),
        "reaction_energy": Quantity(
            ("contact", "matrices", "reactions"), "{cathode} | {phase}", "strongest.energy", "meV/atom", 1000.0
        ),
        "reduction_voltage": _window("reduction"),
        "oxidation_voltage": _window("oxidation"),
        "surface_energy": Quantity(("surfaces", "lowest"), "{name}", "gamma", "J/m²", J_PER_M2_PER_EV_PER_A2),
        "mean_strain": Quantity(("match", "pairs"), "{name}", "mean_strain", "%", 100.0),
        "energy_mae": _error("energy_mae", "meV/atom"),
        "energy_r2": _error("energy_r2", "1"),
        "force_mae": _error("force_mae", "eV/Å"),
        "force_r2": _error("force_r2", "1"),
        "activation_energy": _law("Ea", "eV"),
        "extrapolated_conductivity": _law("sigma", "S/cm"),
        "conductivity": _run("sigma", "S/cm"),
        "tau1": _run("tau1", "ps"),
        "tau2": _run("tau2", "ps"),
        "xi": _run("xi", "Å"),
        "d1": _run("d1", "Å"),
        "d2": _run("d2", "Å"),
        "work_of_adhesion": Quantity(("interface", "contacts"), "{name}", "work_of_adhesion", "J/m²"),
        "segregation_energy": Quantity(
            ("interface", "contacts"), "{name}", "segregation_energy_per_atom", "meV/atom", 1000.0
        ),
        "forward_barrier": Quantity(("migration", "classes"), "{name}", "forward", "eV"),
        "backward_barrier": Quantity(("migration", "classes"), "{name}", "backward", "eV"),
        "migration_energy": Quantity(
            ("migration", "crystals", "carriers"), "{name}, {carrier}", "activation", "eV"
        ),
        "is_diffusive": _run("is_diffusive", ""),
        "host_is_flat": _run("host_is_flat", ""),
    }
)


def found_in(stages: Mapping[str, Any], name: str, target: str, condition: float | None = None) -> Iterator[Found]:
    """Return what `stages` (as in ``results.json``) hold of the quantity `name` of `target`.

    `condition` is the temperature of the run, K, for quantities of one run, and for reactions the voltage at
    which the cathode is, V; without it the closed system.
    """
    quantity = QUANTITIES[name]
    for row in _rows(stages.get(quantity.path[0]), quantity.path[1:], {}):
        if _target(quantity, row) == target and _condition(quantity, row) == condition:
            yield _found(quantity, target, row)


def _rows(node: Any, path: Sequence[str], outer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the rows at the end of `path`, each with the plain values of what it stands in."""
    if isinstance(node, list):
        for one in node:
            yield from _rows(one, path, outer)
    elif isinstance(node, Mapping) and path:
        plain = {key: value for key, value in node.items() if not isinstance(value, list)}
        yield from _rows(node.get(path[0]), path[1:], {**outer, **plain})
    elif isinstance(node, Mapping):
        grouped = bool(node) and all(isinstance(value, Mapping) and "name" in value for value in node.values())
        for row in node.values() if grouped else [node]:  # crystals stand by their role
            yield {**outer, **row}


def _target(quantity: Quantity, row: Mapping[str, Any]) -> str | None:
    try:
        return quantity.target.format_map(row)
    except KeyError:
        return None


def _condition(quantity: Quantity, row: Mapping[str, Any]) -> float | None:
    """Return the temperature a run was asked for (without a thermostat the mean is another), or the voltage."""
    if quantity.of_run:
        return _asked(row)
    voltage = row.get("voltage") if "{cathode}" in quantity.target else None
    return None if voltage is None else float(voltage["value"] if isinstance(voltage, Mapping) else voltage)


def _asked(row: Mapping[str, Any]) -> float:
    return float(row.get("asked_temperature", row["temperature"])["value"])


def _elsewhere(row: Mapping[str, Any]) -> str:
    """Return why a run tells nothing of the temperature it was asked for; empty if it was near enough.

    Without a thermostat, and without equilibration, half of the kinetic energy goes into the bonds.
    """
    mean, asked = float(row["temperature"]["value"]), _asked(row)
    if abs(mean - asked) <= TEMPERATURE_OFF * asked:
        return ""
    return f"the run was at {mean:.0f} K, not at the {asked:g} K that it was asked for"


def _found(quantity: Quantity, target: str, row: Mapping[str, Any]) -> Found:
    temperature = row["temperature"] if quantity.of_run else None
    elsewhere = _elsewhere(row) if quantity.of_run else ""
    if elsewhere:
        return Found(target, elsewhere, None, temperature)
    node: Any = row
    for key in quantity.key.split("."):
        if "unavailable" in node:  # a row without the number says itself why it has none
            return Found(target, str(node["unavailable"]), None, temperature)
        node = node.get(key, {"unavailable": "this was not asked for"})
    if isinstance(node, bool):
        return Found(target, node, None, temperature)
    if "unavailable" in node:
        return Found(target, str(node["unavailable"]), None, temperature)
    if isinstance(node["value"], Mapping):
        ends = tuple(quantity.factor * float(node[end]["value"]) for end in ("low95", "high95"))
        return Found(target, quantity.factor * float(node["value"]["value"]), (ends[0], ends[1]), temperature)
    return Found(target, quantity.factor * float(node["value"]), None, temperature)
