"""Single points: energy, forces and stress of structures as they stand, and a level's errors against labels."""

from __future__ import annotations

import gzip
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from pymatgen.core import Structure

from ionscape.errors import CalculationError, InputError, IonscapeError, unreadable
from ionscape.files import Wanted, check_file
from ionscape.potential.errors_of_model import error_summary
from ionscape.structures.exchange import replacing, to_atoms
from ionscape.structures.file_checks import check_xyz
from ionscape.units import GPA_PER_EV_PER_A3, Force

LABELS = {"energy", "forces", "stress", "positions", "cell"}
#: No position (Å), energy (eV) or force (eV/Å) of a frame is larger.
LARGEST_NUMBER = 1e9
FRAMES = Wanted(
    "frames", "extxyz, .traj, vasprun.xml or another format that ASE reads", "Check the path and the format.", 4096
)


def begin_calculation(calculator: Any) -> None:
    """Tell `calculator` that another calculation begins, so that nothing of the last one shapes its result.

    Calculators that keep something from one geometry to the next (a density, a grid of k-points) have a method
    ``begin`` for this; the others keep nothing.
    """
    begin = getattr(calculator, "begin", None)
    if begin is not None:
        begin()


def evaluate_structure(structure: Structure, calculator: Any) -> dict[str, Any]:
    """Return energy (eV), forces (eV/Å, (n, 3)) and stress (eV/Å³, Voigt) of `structure` as plain lists.

    Raises
    ------
    InputError
        If the calculator gives no stress.
    CalculationError
        If any of them is not finite: the structure is outside the domain of the level.
    """
    begin_calculation(calculator)
    energy, forces, stress = _evaluate(to_atoms(structure), calculator)
    answer = {"energy_eV": energy, "forces_eV_per_A": forces.tolist(), "stress_eV_per_A3": stress.tolist()}
    told = getattr(calculator, "told", None)
    return {**answer, "told": told} if told else answer


def require_stress(calculator: Any, where: str = "level of theory") -> None:
    """Raise `InputError` unless `calculator` gives stress beside energy and forces.

    Relaxations and single points report the largest stress, which is never made up.
    """
    if "stress" in getattr(calculator, "implemented_properties", ["stress"]):
        return
    raise InputError(
        f"its calculator ({type(calculator).__name__}) gives no stress",
        where=where,
        expected="an ASE calculator of energy, forces and stress",
        remedy="Let the factory return ase.calculators.fd.FiniteDifferenceCalculator(calculator, eps_disp=None), "
        "with force_consistent=False if it has no free energy.",
    )


def require_elements(calculator: Any, symbols: Iterable[str], where: str) -> None:
    """Raise `InputError` if `calculator` tells which elements it knows, and one of `symbols` is none of them."""
    known = getattr(calculator, "known_elements", None)
    unknown = [] if known is None else sorted(set(symbols) - set(known))
    if unknown:
        raise InputError(
            f"atoms of {', '.join(unknown)}",
            where=where,
            expected=f"the elements the potential knows: {', '.join(known or ())}",
            remedy="Train the potential on frames with these elements in them.",
        )


def largest_deviations(frames: Sequence[Any], calculator: Any) -> list[Force]:
    """Return the largest standard deviation of a force component that a potential expects in each frame, eV/Å.

    Empty unless `calculator` is a potential whose uncertainty was calibrated.
    """
    from ionscape.potential.calculator import DEVIATIONS

    if not getattr(calculator, "is_calibrated", False):
        return []
    return [float(max(calculator.get_property(DEVIATIONS, frame.copy()), default=0.0)) for frame in frames]


def _evaluate(atoms: Any, calculator: Any) -> tuple[float, Any, Any]:
    require_stress(calculator)
    atoms.calc = calculator
    energy = float(atoms.get_potential_energy())
    forces, stress = np.asarray(atoms.get_forces()), np.asarray(atoms.get_stress())
    if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
        message = "the energy, a force or the stress is not a finite number"
        raise CalculationError(message)
    return energy, forces, stress


def read_frames(path: Path) -> list[Any]:
    """Return all frames of `path` as ASE Atoms, with the energies and forces they were labelled with.

    Raises
    ------
    InputError
        If the file is missing or holds no frames that ASE can read.
    """
    from ase.io import read

    check_file(path, FRAMES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if {".xyz", ".extxyz"} & {suffix.lower() for suffix in path.suffixes[-2:]}:
                with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
                    check_xyz(lines)
            frames = read(path, index=":")
    except Exception as error:  # noqa: BLE001  parsers raise anything; one clear error leaves here
        raise unreadable(
            error, FRAMES.name, where=str(path), expected=FRAMES.expected, remedy=FRAMES.remedy
        ) from None
    if not frames:
        raise InputError(
            "holds no frames",
            where=str(path),
            expected="at least one frame",
            remedy="Check that the file was written to its end.",
        )
    for number, frame in enumerate(frames):
        _check_read(frame, f"{path}, frame {number} (counted from 0)")
    return list(frames)


def _check_read(frame: Any, where: str) -> None:
    if len(frame) and not all(frame.numbers):
        raise InputError(
            "an atom of no element ('X')",
            where=where,
            expected="elements",
            remedy="Name the element of every atom.",
        )
    labels = frame.calc.results if frame.calc is not None else {}
    numbers = {"positions": frame.positions, "cell": frame.cell.array, **labels}
    for name, given in numbers.items():
        values = np.asarray(given)
        is_number = values.dtype.kind in "fiu" or name not in LABELS
        finite = values.dtype.kind not in "fiu" or bool(np.isfinite(values).all())
        if not is_number or not finite or (is_number and _largest(values) > LARGEST_NUMBER):
            raise InputError(
                f"{name}: not finite, no number, or larger than {LARGEST_NUMBER:g}",
                where=where,
                expected="positions in Å, energies in eV, forces in eV/Å",
                remedy="Leave the frame out, or calculate it again.",
            )


def _largest(values: Any) -> float:
    return float(np.abs(values).max(initial=0.0)) if values.dtype.kind in "fiu" else 0.0


def evaluate_frames(frames: Sequence[Any], calculator: Any) -> tuple[list[Any], dict[str, float]]:
    """Return `frames` with the energies, forces and stresses of a level, and its errors against their labels.

    Mean absolute and root-mean-square errors of energies (meV/atom), of the components of forces (eV/Å) and of
    stresses (GPa), with R², for the frames that carry such labels; the keys are left out where no frame does. The
    time per evaluation is the median after one evaluation that warms up.

    Parameters
    ----------
    frames
        ASE Atoms, periodic, labelled or not; at least one.
    calculator
        ASE calculator of the level.

    Raises
    ------
    InputError
        If a frame has no atoms or is not periodic, or the calculator gives no stress.
    CalculationError
        If an energy, a force or a stress is not finite.
    """
    for number, frame in enumerate(frames):
        _check_frame(number, frame)
    if not hasattr(calculator, "begin"):  # what keeps a density is dear, and nothing in it needs to warm up
        _predicted(0, frames[0], calculator)
    predicted, seconds = [], []
    for number, frame in enumerate(frames):
        started = time.perf_counter()
        predicted.append(_predicted(number, frame, calculator))
        seconds.append(time.perf_counter() - started)
    summary = {"n_frames": len(frames), "ms_per_evaluation": 1000 * float(np.median(seconds))}
    return predicted, summary | _label_errors(frames, predicted)


def write_frames(frames: Sequence[Any], path: Path) -> None:
    """Write ASE Atoms with their results to `path` as extxyz (eV, eV/Å, eV/Å³); whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from ase.io import write

    with replacing(path) as part:
        write(part, list(frames), format="extxyz")


def _check_frame(number: int, frame: Any) -> None:
    if len(frame) and all(frame.pbc) and abs(np.linalg.det(frame.cell.array)) > 1e-6:
        return
    raise InputError(
        f"not periodic in three directions (pbc = {[bool(p) for p in frame.pbc]})" if len(frame) else "no atoms",
        where=f"frame {number} (counted from 0)",
        expected="atoms in a three-dimensional periodic cell",
        remedy="Set a cell and pbc, or leave the frame out.",
    )


def _predicted(number: int, frame: Any, calculator: Any) -> Any:
    if hasattr(calculator, "reset"):  # an equal frame evaluated before must not answer for this one: it is timed
        calculator.reset()
    begin_calculation(calculator)
    atoms = frame.copy()
    try:
        energy, forces, stress = _evaluate(atoms, calculator)
    except CalculationError as error:
        message = f"frame {number}: {error}"
        raise CalculationError(message) from None
    except (IonscapeError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  calculators of others raise anything
        message = f"frame {number}: the level cannot evaluate it ({type(error).__name__}: {error})"
        raise CalculationError(message) from None
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=stress)
    if getattr(calculator, "told", None):
        atoms.info["told"] = calculator.told
    return atoms


def _label_errors(frames: Sequence[Any], predicted: Sequence[Any]) -> dict[str, float]:
    energies: list[tuple[float, float]] = []
    forces: list[Any] = []
    stresses: list[Any] = []
    for frame, ours in zip(frames, predicted, strict=True):
        labels = frame.calc.results if frame.calc is not None else {}
        if "energy" in labels:
            energies.append((ours.calc.results["energy"] / len(frame), labels["energy"] / len(frame)))
        if "forces" in labels:
            forces.append(np.stack([ours.calc.results["forces"].ravel(), np.asarray(labels["forces"]).ravel()]))
        if "stress" in labels:
            stresses.append(np.stack([ours.calc.results["stress"], frame.get_stress()]))
    errors = error_summary(np.array(energies).T, "energy", "meV_per_atom", 1000.0) if energies else {}
    errors |= error_summary(np.concatenate(forces, axis=1), "force", "eV_per_A", 1.0) if forces else {}
    if stresses:
        errors |= error_summary(np.concatenate(stresses, axis=1), "stress", "GPa", GPA_PER_EV_PER_A3)
    return errors
