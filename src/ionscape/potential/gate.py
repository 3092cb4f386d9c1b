"""The gate: whether a learned potential may be believed about a run, judged on dear frames of that run.

Errors on held-out training frames say nothing of where a run went. Here frames of the run itself are labelled by
the dear level and compared. The slope of predicted against dear forces tells softening: potentials that average
over what they do not know are too soft, and ions in them too fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from ionscape.errors import CalculationError, InputError
from ionscape.potential.calibration import Calibration, calibration, spread_of
from ionscape.potential.errors_of_model import Predictions, errors_of, predictions
from ionscape.potential.frames import Frame, labelled_frames
from ionscape.potential.model import SparseModel
from ionscape.settings import Settings
from ionscape.units import GPA_PER_EV_PER_A3, Count, EnergyPerAtom, Force, ForceArray, Indices, Number, Stress


class GateSettings(Settings):
    """How many frames of a run are labelled, and the limits that the potential must keep on them.

    R² of energies has no limit: at one temperature energies vary so little that it says nothing of the potential.
    """

    frames: int = Field(50, ge=2, le=10_000, description="Frames of the run that the dear level labels.")
    energy_mae_meV_per_atom: float = Field(
        3.0, gt=0, description="Largest mean absolute error of energies, meV/atom."
    )
    force_mae_eV_per_A: float = Field(0.12, gt=0, description="Largest mean absolute error of forces, eV/Å.")
    stress_mae_GPa: float = Field(0.5, gt=0, description="Largest mean absolute error of stresses, GPa.")
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
        Of the components of the forces.
    softening
        Least-squares slope of predicted against dear force components; below 1: too soft.
    stress_mae
        Of the components of the stress; None if the dear level gave none.
    energy_r2
        Of the energies per atom; None if all dear energies are equal.
    calibration
        Predicted standard deviations against errors of forces, with the factors of the model; with those that
        these frames suggest if it has none, so that coverage then tells of nothing but the shape of the
        distribution.
    failures
        Each limit that is not kept, in words; none: the potential passes.
    """

    frames: Count
    energy_mae: EnergyPerAtom
    energy_rmse: EnergyPerAtom
    energy_shift: EnergyPerAtom
    force_mae: Force
    force_rmse: Force
    force_r2: Number
    softening: Number
    stress_mae: Stress | None
    energy_r2: Number | None
    calibration: Calibration
    failures: tuple[str, ...]

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
    spread = model.spread or spread_of(found.losses, found.force_errors, found.species, len(model.inducing))
    deviations = np.array(spread)[found.species] * np.sqrt(found.losses)
    result = GateResult(
        frames=len(frames),
        energy_mae=errors["energy_mae_meV_per_atom"] / 1000,
        energy_rmse=errors["energy_rmse_meV_per_atom"] / 1000,
        energy_shift=float((found.energies[0] - found.energies[1]).mean()),
        force_mae=errors["force_mae_eV_per_A"],
        force_rmse=errors["force_rmse_eV_per_A"],
        force_r2=_r2_of_forces(found),
        softening=softening(ours, dear),
        stress_mae=errors["stress_mae_GPa"] / GPA_PER_EV_PER_A3 if "stress_mae_GPa" in errors else None,
        energy_r2=errors.get("energy_r2"),
        calibration=calibration(deviations, found.force_errors),
        failures=(),
    )
    return _judged(result, settings)


def softening(predicted: ForceArray, dear: ForceArray) -> Number:
    r"""Return the least-squares slope through the origin of predicted against dear force components.

    .. math:: s = \sum_k F_k^{pred} F_k^{dear} \Big/ \sum_k (F_k^{dear})^2

    Source: Deng et al., npj Comput. Mater. 11 (2025) 9, doi:10.1038/s41524-024-01500-6.
    """
    return float((predicted * dear).sum() / (dear**2).sum()) if np.any(dear) else 1.0


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


def _r2_of_forces(found: Predictions) -> Number:
    ours, dear = found.forces
    spread = float(((dear - dear.mean()) ** 2).sum())
    return 1 - float(((ours - dear) ** 2).sum()) / spread if spread > 0 else 0.0


def _judged(result: GateResult, limits: GateSettings) -> GateResult:
    import dataclasses

    stress = 0.0 if result.stress_mae is None else GPA_PER_EV_PER_A3 * result.stress_mae
    compared = (
        ("energy error", 1000 * result.energy_mae, limits.energy_mae_meV_per_atom, "meV/atom"),
        ("force error", result.force_mae, limits.force_mae_eV_per_A, "eV/Å"),
        ("stress error", stress, limits.stress_mae_GPa, "GPa"),
        ("distance of the force slope from 1", abs(result.softening - 1), limits.softening, ""),
    )
    failures = [
        f"{name} {value:.3g} {unit}".strip() + f" (limit {limit:g})"
        for name, value, limit, unit in compared
        if not value <= limit
    ]
    if not result.force_r2 >= limits.force_r2:
        failures.append(f"R² of forces {result.force_r2:.3f} (limit {limits.force_r2:g})")
    return dataclasses.replace(result, failures=tuple(failures))
