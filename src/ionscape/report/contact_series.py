"""What the figures of contacts and windows show, from the results of a study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pymatgen.core import Composition

from ionscape.report.contact_figures import ContactEnergies, ProfileSeries
from ionscape.report.heat_scale import NO_REACTION
from ionscape.report.records import StudyRecord
from ionscape.report.window_figures import VoltageSteps, WindowBar
from ionscape.results import Failure
from ionscape.stability.contact import ContactMatrix, MutualReaction
from ionscape.stability.window import ElectrochemicalWindow, VoltageLimit

#: Pairs, and phases, whose profiles are drawn.
_DRAWN = 4


def contact_energies(matrix: ContactMatrix) -> ContactEnergies:
    """Return the lowest reaction energies of `matrix` and the upper ends of their intervals, if all are known."""
    shape = len(matrix.cathodes), len(matrix.phases)
    lowest = [1000 * r.strongest.energy for r in matrix.reactions]
    upper = [1000 * r.interval.high95 for r in matrix.reactions if r.interval is not None]
    return ContactEnergies(
        matrix.cathodes,
        matrix.phases,
        np.reshape(lowest, shape),
        np.reshape(upper, shape) if len(upper) == len(lowest) else None,
    )


def host_phase(record: StudyRecord, matrix: ContactMatrix) -> str:
    """Return the phase of `matrix` that is the host of the study, else its first one."""
    hosts = [crystal.formula for crystal in record.crystals if crystal.role == "host"]
    return next((p for p in matrix.phases if any(_alike(p, host) for host in hosts)), matrix.phases[0])


def _alike(one: str, other: str) -> bool:
    proportions = [_composition(name) for name in (one, other)]
    known = [c.fractional_composition for c in proportions if c is not None]
    return one == other or (len(known) == 2 and known[0].almost_equals(known[1], atol=1e-6))


def _composition(formula: str) -> Composition | None:
    try:
        return Composition(formula)
    except ValueError:
        return None


def reactions_of(matrix: ContactMatrix, phase: str) -> list[MutualReaction]:
    """Return the reactions of `phase` with all cathodes, the strongest first."""
    return sorted((r for r in matrix.reactions if r.phase == phase), key=lambda r: r.strongest.energy)


def profile_series(matrix: ContactMatrix, phase: str) -> list[ProfileSeries]:
    """Return the profiles of `phase` with the cathodes it reacts with most, and of the strongest pair of all."""
    strongest = min(matrix.reactions, key=lambda r: r.strongest.energy)
    own = [
        r for r in reactions_of(matrix, phase) if r is not strongest and 1000 * r.strongest.energy < -NO_REACTION
    ]
    return [
        ProfileSeries(
            cathode=r.cathode,
            phase=r.phase,
            x=[point.x for point in r.profile],
            energies_meV_per_atom=[1000 * point.energy for point in r.profile],
            products=[tuple(point.products) for point in r.profile],
        )
        for r in [*own[: _DRAWN - 1], strongest]
    ]


def window_bars(windows: Sequence[ElectrochemicalWindow]) -> list[WindowBar]:
    """Return the bars of the electrochemical windows."""
    return [
        WindowBar(
            label=w.formula,
            reduction_V=None if isinstance(w.reduction, Failure) else w.reduction.voltage,
            oxidation_V=None if isinstance(w.oxidation, Failure) else w.oxidation.voltage,
            reduction_95=_interval(w.reduction),
            oxidation_95=_interval(w.oxidation),
            height_meV_per_atom=None
            if isinstance(w.decomposition_energy, Failure)
            else 1000 * w.decomposition_energy,
        )
        for w in windows
    ]


def _interval(limit: VoltageLimit | Failure) -> tuple[float, float] | None:
    if isinstance(limit, Failure) or limit.low95 is None or limit.high95 is None:
        return None
    return limit.low95, limit.high95


def voltage_steps(windows: Sequence[ElectrochemicalWindow]) -> list[VoltageSteps]:
    """Return the voltage profiles of the first phases that have one."""
    found = [window for window in windows if window.profile][:_DRAWN]
    return [
        VoltageSteps(
            label=window.formula,
            voltages_V=[plateau.voltage for plateau in window.profile],
            contents=[window.profile[0].mobile_from, *(plateau.mobile_to for plateau in window.profile)],
            names=[f"{plateau.voltage:.2f} V: {plateau.reaction}" for plateau in window.profile],
            as_made=_content(window),
        )
        for window in found
    ]


def _content(window: ElectrochemicalWindow) -> float | None:
    composition = _composition(window.formula)
    return None if composition is None else float(composition.as_dict().get(window.mobile, 0.0))
