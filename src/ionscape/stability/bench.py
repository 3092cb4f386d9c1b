"""The competing phases, reactants and errors of energies that a study's stages of stability work with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pymatgen.core import Composition

from ionscape.errors import InputError, MissingReferenceError
from ionscape.levels.calculation import Lab, RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.phases.competing import CompetingPhases
from ionscape.phases.scheme import require_same_scheme, scheme_of_level
from ionscape.phases.sources import PhaseSource, competing_phases
from ionscape.phases.table import reduced_formula, unabbreviated
from ionscape.phases.uncertainty import EnergyErrors, energy_errors
from ionscape.results import Failure
from ionscape.stability.conditions import conditions_in_words, under_conditions, without_excluded
from ionscape.stability.mobile import ion_charge
from ionscape.stability.sampling import SampledEnergies, sampled_energies
from ionscape.stability.settings import StabilitySettings
from ionscape.stability.system import Reactant, reactant

#: An amount of nothing in a formula, as in ``Li2O0``.
ZERO_AMOUNT = re.compile(r"(?<![\d.])0+(\.0*)?(?![\d.])")


class PhaseBench:
    """The competing phases that a user asks for, at one level of theory.

    Phases of a chemical system are looked up once.

    Parameters
    ----------
    settings
        Source of the phases, those excluded, temperature and pressures of gases.
    level, relaxation, lab
        Level of theory of what is judged; how and where phases without energies are relaxed, None: nowhere.
    base
        Folder at which relative paths of the source start.

    Raises
    ------
    InputError
        If the settings name no source.
    """

    def __init__(
        self,
        settings: StabilitySettings,
        level: Level,
        relaxation: RelaxationSettings | None = None,
        lab: Lab | None = None,
        base: Path | None = None,
    ) -> None:
        self.settings = settings
        self.level = level
        self.source = PhaseSource.of(
            settings.phases, settings.mixing, relax_missing=settings.relax_missing, base=base
        )
        self._relaxation = relaxation
        self._lab = lab
        self._found: dict[frozenset[str], CompetingPhases] = {}

    @property
    def calculates(self) -> bool:
        """Whether phases may have to be relaxed at the level before they can be told."""
        kinds = {part.kind for part in self.source.parts()}
        return self.settings.relax_missing or bool(kinds & {"optimade", "structures"})

    def phases(self, elements: Iterable[str]) -> CompetingPhases:
        """Return the phases of `elements` but for those excluded, gases in their reference state.

        Errors are those of `competing_phases` and `without_excluded`.
        """
        return without_excluded(self.all_phases(elements), self.settings.exclude)

    def all_phases(self, elements: Iterable[str]) -> CompetingPhases:
        """Return the phases of `elements`, those excluded as well; errors of `competing_phases`."""
        system = frozenset(elements)
        if system not in self._found:
            self._found[system] = competing_phases(
                self.source, self.level, system, lab=self._lab, relaxation=self._relaxation
            )
        return self._found[system]

    def at_conditions(self, phases: CompetingPhases) -> CompetingPhases:
        """Return `phases` with the gases at the temperature and pressures of the settings, if they have any."""
        temperature = self.settings.temperature_K
        if temperature is None:
            return phases
        return under_conditions(phases, temperature, self.settings.pressures_bar)

    def conditions(self, phases: CompetingPhases) -> str:
        """Return temperature and pressures of the gases among `phases` in words; "" in their reference state."""
        temperature = self.settings.temperature_K
        return "" if temperature is None else conditions_in_words(phases, temperature, self.settings.pressures_bar)

    def require_same_scheme(self, phases: CompetingPhases) -> None:
        """Raise `InputError` unless energies relaxed at the level may be compared with `phases`."""
        require_same_scheme(phases, self.level)

    def errors(self, phases: CompetingPhases) -> EnergyErrors | Failure:
        """Return the errors of the energies of `phases`; a failure says why they are not known."""
        if phases.scheme != scheme_of_level(self.level):
            return Failure(f"the errors of energies of '{phases.scheme}' are not known")
        try:
            return energy_errors(self.level)
        except MissingReferenceError as error:
            return Failure(f"the errors of the energies are not known: {error.found}")


def composition_named(text: str) -> Composition:
    """Return the composition that a formula, or a name of the phase table, stands for.

    Raises
    ------
    InputError
        If it is no formula, or an amount in it is 0.
    """
    reduced_formula(text)
    formula = unabbreviated(text)
    if ZERO_AMOUNT.search(formula):
        raise InputError(
            f"'{text}' has an amount of 0",
            where="formula",
            expected="amounts above 0, e.g. Li0.5CoO2",
            remedy="Leave the element out.",
        )
    return Composition(formula)


def elements_of(given: Iterable[str | Reactant], mobile: str = "") -> set[str]:
    """Return the elements of formulas and reactants, and the mobile ion's if there is one.

    Raises
    ------
    InputError
        If a formula is none, or `mobile` is no mobile ion.
    """
    if mobile:
        ion_charge(mobile)
    elements = {mobile} - {""}
    for one in given:
        amounts = composition_named(one).get_el_amt_dict() if isinstance(one, str) else one.composition
        elements |= set(amounts)
    return elements


def reactants_of(given: Iterable[str | Reactant], phases: CompetingPhases, bench: PhaseBench) -> list[Reactant]:
    """Return formulas as reactants; those that are reactants already must have energies of the scheme of `phases`.

    Of several of one label the first is taken.

    Raises
    ------
    InputError
        If a formula is none, or energies of reactants are of another scheme than `phases`.
    """
    found: dict[str, Reactant] = {}
    for one in given:
        if isinstance(one, Reactant):
            bench.require_same_scheme(phases)
        known = reactant(one, phases) if isinstance(one, str) else one
        found.setdefault(known.label, known)
    return list(found.values())


def drawn_energies(
    phases: CompetingPhases,
    reactants: Sequence[Reactant],
    samples: int,
    bench: PhaseBench,
    rng: np.random.Generator,
) -> SampledEnergies | Failure:
    """Return `samples` joint draws of the energies with their errors; a failure says why there are none."""
    if not samples:
        return Failure("no draws of the errors were asked for")
    errors = bench.errors(phases)
    return errors if isinstance(errors, Failure) else sampled_energies(phases, reactants, errors, samples, rng)
