"""The stage of contacts: mutual reactions of cathodes with phases, closed and at voltages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ionscape.errors import InputError
from ionscape.results import Failure
from ionscape.stability.bench import PhaseBench, drawn_energies, elements_of, reactants_of
from ionscape.stability.contact import ContactConditions, ContactMatrix, contact_matrix
from ionscape.stability.settings import ContactSettings
from ionscape.stability.system import Reactant


@dataclass(frozen=True)
class ContactStability:
    """Mutual reactions of cathodes with phases, one matrix for each condition.

    Attributes
    ----------
    matrices
        The closed system first, if it was asked for, then one matrix for each voltage.
    level
        Name of the level of theory of the phases.
    scheme
        What the energies of the phases are (`CompetingPhases.scheme`).
    """

    matrices: tuple[ContactMatrix, ...]
    level: str
    scheme: str


def judge_contacts(
    cathodes: Sequence[str | Reactant],
    others: Sequence[str | Reactant],
    settings: ContactSettings,
    bench: PhaseBench,
    rng: np.random.Generator,
) -> ContactStability:
    """Return the mutual reactions of every cathode with every one of `others`.

    Parameters
    ----------
    cathodes, others
        What touches: formulas or names of the phase table, or reactants with energies at the level of `bench`.
    settings
        Voltages, mobile ion, energies of the ends, draws; its lists of cathodes and phases are not looked at.
    bench
        Where the competing phases come from, and at which conditions.
    rng
        Random stream of the draws.

    Raises
    ------
    InputError
        If a formula is none, a source cannot be used, an end has no energy of its own but is asked for it, or
        nothing is left to be judged.
    MissingReferenceError
        If phases have no energy at the level and may not be relaxed; it names them.
    """
    voltages = (*([None] if settings.closed else []), *settings.voltages_V)
    _refuse_nothing(cathodes, others, voltages)
    mobile = settings.mobile if settings.voltages_V else ""
    found = bench.phases(elements_of((*cathodes, *others), mobile))
    phases = bench.at_conditions(found)
    rows, columns = (reactants_of(given, phases, bench) for given in (cathodes, others))
    sampled = drawn_energies(phases, (*rows, *columns), settings.samples, bench, rng)
    matrices = [
        contact_matrix(
            rows,
            columns,
            phases,
            ContactConditions(settings.mobile, voltage, settings.ends, bench.conditions(found)),
            None if isinstance(sampled, Failure) else sampled,
        )
        for voltage in voltages
    ]
    if isinstance(sampled, Failure):
        matrices = [replace(matrix, no_intervals=sampled.reason) for matrix in matrices]
    return ContactStability(tuple(matrices), phases.level, phases.scheme)


def _refuse_nothing(*needed: Sequence[object]) -> None:
    if not all(needed):
        raise InputError(
            "nothing to judge",
            where="contacts",
            expected="at least one cathode, one phase, and either a closed system or a voltage",
            remedy="Name cathodes and phases, or leave the contacts out.",
        )
