"""The gate: whether a learned potential may be believed about a run, judged on dear frames of that run.

Errors on held-out training frames say nothing of where a run went. Here frames of the run itself are labelled by
the dear level and compared. The slope of predicted against dear forces tells softening: potentials that average
over what they do not know are too soft, and ions in them too fast.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from ionscape.errors import CalculationError, InputError
from ionscape.potential.calibration import Calibration, calibration, spread_of
from ionscape.potential.errors_of_model import errors_of, predictions, with_unknown
from ionscape.potential.frames import Frame, labelled_frames
from ionscape.potential.model import ErrorsByName, SparseModel
from ionscape.results import Failure
from ionscape.settings import Settings
from ionscape.units import GPA_PER_EV_PER_A3, Count, EnergyPerAtom, Force, ForceArray, Indices, Number, Stress


class GateSettings(Settings):
    """How many frames of a run are labelled, and the limits that the potential must keep on them.

    What has a limit and cannot be compared fails; a limit of inf (of R²: -inf) lets it be.
    R² of energies has no limit: at one temperature energies vary so little that it says nothing of the potential.
    """

    frames: int = Field(50, ge=2, le=10_000, description="Frames of the run that the dear level labels.")
    energy_mae_meV_per_atom: float = Field(
        3.0, gt=0, description="Largest mean absolute error of energies, meV/atom."
    )
    force_mae_eV_per_A: float = Field(0.12, gt=0, description="Largest mean absolute error of forces, eV/Å.")
    stress_mae_GPa: float = Field(
        0.5, gt=0, description="Largest mean absolute error of stresses, GPa; inf if the dear level gives none."
    )
    force_r2: float = Field(0.95, le=1, description="Smallest R² of force components.")
    softening: float = Field(
        0.05, gt=0, description="Largest distance from 1 of the slope of predicted against dear forces."
    )


@dataclass(frozen=True)
class GateResult:
    """Errors of a potential on frames of a run, and what fails.

    Attributes
    ----------
    frames
        Frames that were compared.
    energy_mae, energy_rmse
        Of the energies.
    energy_shift
        Mean of predicted less dear energies: a constant, which moves no atom.
    force_mae, force_rmse
        Of the components of the forces.
    force_r2
        Of the components of the forces; a failure if all dear ones are equal.
    softening
        Least-squares slope of predicted against dear force components; below 1: too soft. A failure if no dear
        force acts.
    stress_mae
        Of the components of the stress; a failure if the dear level gave none.
    energy_r2
        Of the energies per atom; a failure if all dear ones are equal.
    calibration
        Predicted standard deviations against errors of forces, with the factors of the model; with those that
        these frames suggest if it has none, so that coverage then tells of nothing but the shape of the
        distribution.
    failures
        Each limit that is not kept, in words; none: the potential passes.
    unjudged
        What could not be compared and has no limit that would let it fail, in words: it passes without.
    """

    frames: Count
    energy_mae: EnergyPerAtom
    energy_rmse: EnergyPerAtom
    energy_shift: EnergyPerAtom
    force_mae: Force
    force_rmse: Force
    force_r2: Number | Failure
    softening: Number | Failure
    stress_mae: Stress | Failure
    energy_r2: Number | Failure
    calibration: Calibration
    failures: tuple[str, ...]
    unjudged: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all limits are kept."""
        return not self.failures


def score(model: SparseModel, frames: Sequence[Frame], settings: GateSettings) -> GateResult:
    """Return the errors of `model` on dear frames of a run, and the limits that they do not keep.

    Parameters
    ----------
    model
        The potential that made the run.
    frames
        Frames of the run with the labels of the dear level, none of which was taught.
    settings
        Limits.

    Raises
    ------
    InputError
        If there are no frames, or one has an element that the model does not know.
    """
    if not frames:
        raise InputError(
            "no frames", where="gate", expected="frames of the run with dear labels", remedy="Label some frames."
        )
    found = predictions(model, frames)
    errors = errors_of(found)
    ours, dear = found.forces
    r2 = with_unknown(errors)
    spread = model.spread or spread_of(found.losses, found.force_errors, found.species, len(model.inducing))
    deviations = np.array(spread)[found.species] * np.sqrt(found.losses)
    result = GateResult(
        frames=len(frames),
        energy_mae=errors["energy_mae_meV_per_atom"] / 1000,
        energy_rmse=errors["energy_rmse_meV_per_atom"] / 1000,
        energy_shift=float((found.energies[0] - found.energies[1]).mean()),
        force_mae=errors["force_mae_eV_per_A"],
        force_rmse=errors["force_rmse_eV_per_A"],
        force_r2=r2["force_r2"],
        softening=softening(ours, dear),
        stress_mae=_stress_error(errors, frames),
        energy_r2=r2["energy_r2"],
        calibration=calibration(deviations, found.force_errors),
        failures=(),
        unjudged=(),
    )
    return _judged(result, settings)


def softening(predicted: ForceArray, dear: ForceArray) -> Number | Failure:
    r"""Return the least-squares slope through the origin of predicted against dear force components.

    A failure if no dear force acts.

    .. math:: s = \sum_k F_k^{pred} F_k^{dear} \Big/ \sum_k (F_k^{dear})^2

    Source: Deng et al., npj Comput. Mater. 11 (2025) 9, doi:10.1038/s41524-024-01500-6.
    """
    if not np.any(dear):
        return Failure("no dear force acts")
    return float((predicted * dear).sum() / (dear**2).sum())


def score_run(
    model: SparseModel,
    run: Sequence[Any],
    dear: Any,
    settings: GateSettings,
    told: Callable[[int], None] | None = None,
) -> GateResult:
    """Return the errors of `model` on frames of a run that the dear level labels here.

    Parameters
    ----------
    model
        The potential that made the run.
    run
        Frames as ASE Atoms, by index; only those that are labelled are asked for.
    dear
        ASE calculator of the dear level.
    settings
        Number of frames and limits.
    told
        Called with the number of frames labelled so far.

    Raises
    ------
    InputError
        If the run has fewer frames than are to be labelled.
    CalculationError
        If the dear level fails.
    """
    labelled = []
    for number, index in enumerate(spread_out(len(run), settings.frames)):
        labelled.append(_labelled(run[int(index)], dear, int(index)))
        if told is not None:
            told(number + 1)
    return score(model, labelled_frames(labelled, "frames of the run"), settings)


def spread_out(total: Count, count: Count) -> Indices:
    """Return `count` of `total` frames, in the middles of equal parts of the run.

    Raises
    ------
    InputError
        If there are fewer frames.
    """
    if total < count:
        raise InputError(
            f"a run of {total} frames",
            where="gate",
            expected=f"at least {count} frames",
            remedy="Run longer, record frames more often, or ask for fewer frames.",
        )
    return np.asarray(((np.arange(count) + 0.5) * total / count).astype(np.int64))


def _labelled(frame: Any, dear: Any, index: Count) -> Any:
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = frame.copy()
    atoms.info.pop("level", None)
    atoms.calc = dear
    try:
        results = {"energy": float(atoms.get_potential_energy()), "forces": np.array(atoms.get_forces())}
        if "stress" in getattr(dear, "implemented_properties", ["stress"]) and all(atoms.pbc):
            results["stress"] = np.array(atoms.get_stress())
    except InputError:
        raise
    except Exception as error:  # calculators raise anything
        message = f"the dear level failed on frame {index} of the run: {' '.join(str(error).split())[:200]}"
        raise CalculationError(message) from error
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def _stress_error(errors: ErrorsByName, frames: Sequence[Frame]) -> Stress | Failure:
    """Return the error of the stresses; a failure unless all frames carry one, for some alone judge no run."""
    without = sum(frame.stress is None for frame in frames)
    if without:
        return Failure(f"the dear level gave no stress of {without} of {len(frames)} frames")
    return errors["stress_mae_GPa"] / GPA_PER_EV_PER_A3


def _judged(result: GateResult, limits: GateSettings) -> GateResult:
    stress, slope = result.stress_mae, result.softening
    # name, what was found, limit, unit, and whether the limit is a least one
    compared: tuple[tuple[str, Number | Failure, Number, str, bool], ...] = (
        ("energy error", 1000 * result.energy_mae, limits.energy_mae_meV_per_atom, " meV/atom", False),
        ("force error", result.force_mae, limits.force_mae_eV_per_A, " eV/Å", False),
        ("stress error", _times(GPA_PER_EV_PER_A3, stress), limits.stress_mae_GPa, " GPa", False),
        ("distance of the force slope from 1", _off_one(slope), limits.softening, "", False),
        ("R² of forces", result.force_r2, limits.force_r2, "", True),
    )
    failures = [
        _failure(name, value, limit, unit)
        for name, value, limit, unit, least in compared
        if _fails(value, limit, least)
    ]
    unjudged = [
        f"{name}: {value.reason}"
        for name, value, limit, _, _ in compared
        if isinstance(value, Failure) and not np.isfinite(limit)
    ]
    return dataclasses.replace(result, failures=tuple(failures), unjudged=tuple(unjudged))


def _fails(value: Number | Failure, limit: Number, least: bool) -> bool:
    if isinstance(value, Failure):
        return bool(np.isfinite(limit))
    return not (value >= limit if least else value <= limit)


def _failure(name: str, value: Number | Failure, limit: Number, unit: str) -> str:
    told = f"unknown: {value.reason}" if isinstance(value, Failure) else f"{value:.3g}{unit}"
    return f"{name} {told} (limit {limit:g})"


def _times(factor: Number, value: Number | Failure) -> Number | Failure:
    return value if isinstance(value, Failure) else factor * value


def _off_one(slope: Number | Failure) -> Number | Failure:
    return slope if isinstance(slope, Failure) else abs(slope - 1)
