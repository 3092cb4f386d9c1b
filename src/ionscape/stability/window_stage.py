"""The stage of electrochemical windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ionscape.errors import InputError
from ionscape.results import Failure
from ionscape.stability.bench import PhaseBench, drawn_energies, elements_of, reactants_of
from ionscape.stability.settings import WindowSettings
from ionscape.stability.system import Reactant
from ionscape.stability.window import ElectrochemicalWindow, electrochemical_window


@dataclass(frozen=True)
class WindowTable:
    """Electrochemical windows of phases.

    Attributes
    ----------
    windows
        In the order in which the phases were given.
    level
        Name of the level of theory of the phases.
    scheme
        What the energies of the competing phases are (`CompetingPhases.scheme`).
    excluded
        Competing phases that take no part, and why.
    conditions
        Temperature and pressures of the gases, in words; "" in their reference state.
    no_intervals
        Why the limits carry no intervals; "" if they do.
    """

    windows: tuple[ElectrochemicalWindow, ...]
    level: str
    scheme: str
    excluded: Mapping[str, str]
    conditions: str = ""
    no_intervals: str = ""


def judge_windows(
    given: Sequence[str | Reactant], settings: WindowSettings, bench: PhaseBench, rng: np.random.Generator
) -> WindowTable:
    """Return the electrochemical windows of the phases `given`.

    Parameters
    ----------
    given
        Formulas or names of the phase table, or reactants with energies at the level of `bench`.
    settings
        Mobile ion and draws; its list of phases is not looked at.
    bench
        Where the competing phases come from, and at which conditions.
    rng
        Random stream of the draws.

    Raises
    ------
    InputError
        If a formula is none, a source cannot be used, a phase holds nothing but the mobile ion, or none is given.
    MissingReferenceError
        If phases have no energy at the level and may not be relaxed; it names them.
    """
    if not given:
        raise InputError(
            "no phase",
            where="electrochemical windows",
            expected="at least one phase",
            remedy="Name phases, or leave the windows out.",
        )
    found = bench.phases(elements_of(given, settings.mobile))
    phases = bench.at_conditions(found)
    reactants = reactants_of(given, phases, bench)
    sampled = drawn_energies(phases, reactants, settings.samples, bench, rng)
    energies = None if isinstance(sampled, Failure) else sampled
    return WindowTable(
        windows=tuple(electrochemical_window(one, settings.mobile, phases, energies) for one in reactants),
        level=phases.level,
        scheme=phases.scheme,
        excluded=phases.excluded,
        conditions=bench.conditions(found),
        no_intervals=sampled.reason if isinstance(sampled, Failure) else "",
    )
