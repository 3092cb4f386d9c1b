"""ASE calculator of the level: writes the inputs, runs the user's VASP, reads the results."""

from __future__ import annotations

import gzip
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from ionscape.errors import CalculationError, InputError
from ionscape.levels.vasp.inputs import VASPInputs, inputs_of
from ionscape.levels.vasp.outputs import read_results
from ionscape.levels.vasp.settings import WHERE, VASPSettings
from ionscape.structures.exchange import to_structure

COMMAND = "ASE_VASP_COMMAND"
#: Layouts of folders of POTCARs: ASE's VASP_PP_PATH and pymatgen's PMG_VASP_PSP_DIR.
_LAYOUTS = (
    "{title}/POTCAR", "potpaw_PBE/{title}/POTCAR", "potpaw_PBE.54/{title}/POTCAR", "potpaw_PBE.64/{title}/POTCAR",
    "POT_GGA_PAW_PBE/{title}/POTCAR", "POT_GGA_PAW_PBE/POTCAR.{title}", "POT_GGA_PAW_PBE_54/POTCAR.{title}",
)  # fmt: skip


class VASPCalculator(Calculator):
    """Energy (extrapolated to no smearing), forces and stress by VASP, one run for each geometry.

    Parameters
    ----------
    settings
        What is computed, and how VASP is run.

    Raises
    ------
    InputError
        If no command or no POTCAR is found.
    CalculationError
        If VASP fails or does not converge.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, settings: VASPSettings) -> None:
        super().__init__()
        self._settings = settings
        self._command = command_of(settings)

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results``."""
        super().calculate(atoms, properties, system_changes)
        inputs = inputs_of(to_structure(self.atoms), self._settings)
        if self._settings.keep_folder is None:
            with tempfile.TemporaryDirectory() as folder:
                results = self._run(inputs, Path(folder))
        else:
            results = self._run(inputs, _next_folder(Path(self._settings.keep_folder)))
        forces = np.empty_like(results["forces"])
        forces[inputs.order] = results["forces"]
        self.results = {**results, "forces": forces}

    def _run(self, inputs: VASPInputs, folder: Path) -> dict[str, Any]:
        inputs.write(folder)
        write_potcar(inputs.potcars, self._settings, folder / "POTCAR")
        if self._settings.error_handlers:
            _with_custodian(self._command, folder)
        else:
            _plainly(self._command, folder)
        return read_results(folder)


def command_of(settings: VASPSettings) -> str:
    """Return what runs VASP.

    Raises
    ------
    InputError
        If neither the settings nor the environment tell.
    """
    command = settings.command or os.environ.get(COMMAND)
    if command:
        return command
    raise InputError(
        "no command that runs VASP",
        where=WHERE,
        expected=f"the setting command, or {COMMAND} in the environment",
        remedy='Set command = "mpiexec -n 16 vasp_std", as your machine needs it.',
    )


def write_potcar(titles: tuple[str, ...], settings: VASPSettings, path: Path) -> None:
    """Write the POTCARs of `titles` one after the other to `path`.

    Raises
    ------
    InputError
        If one is not found.
    """
    roots = [settings.potcar_folder, os.environ.get("VASP_PP_PATH"), os.environ.get("PMG_VASP_PSP_DIR")]
    folders = [Path(root) for root in roots if root]
    with path.open("wb") as file:
        for title in titles:
            file.write(_potcar(title, folders))


def _potcar(title: str, folders: list[Path]) -> bytes:
    for folder in folders:
        for layout in _LAYOUTS:
            plain = folder / layout.format(title=title)
            for candidate in (plain, plain.with_name(f"{plain.name}.gz")):
                if candidate.is_file():
                    data = candidate.read_bytes()
                    return gzip.decompress(data) if candidate.suffix == ".gz" else data
    raise InputError(
        f"no POTCAR '{title}' in {', '.join(map(str, folders)) or 'no folder'}",
        where=WHERE,
        expected="the PBE POTCARs of your VASP licence",
        remedy="Set potcar_folder, VASP_PP_PATH or PMG_VASP_PSP_DIR to the folder that holds them.",
    )


def _next_folder(root: Path) -> Path:
    taken = [int(path.name) for path in root.glob("[0-9]*") if path.name.isdigit()]
    return root / f"{max(taken, default=0) + 1:05d}"


def _plainly(command: str, folder: Path) -> None:
    with (folder / "vasp.out").open("wb") as output:
        try:
            done = subprocess.run(
                shlex.split(command), cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        except OSError as error:
            message = f"VASP cannot be started with '{command}': {error.strerror}"
            raise CalculationError(message) from None
    if done.returncode:
        told = (folder / "vasp.out").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        message = f"VASP ended with code {done.returncode}: {' '.join(told)[:200]}"
        raise CalculationError(message)


def _with_custodian(command: str, folder: Path) -> None:
    try:
        from custodian import Custodian
        from custodian.vasp.handlers import NonConvergingErrorHandler, UnconvergedErrorHandler, VaspErrorHandler
        from custodian.vasp.jobs import VaspJob
    except ImportError:
        raise InputError(
            "error_handlers without custodian",
            where=WHERE,
            expected="custodian in the environment of ionscape",
            remedy="Run `pip install custodian`, or leave error_handlers out.",
        ) from None
    handlers = [kind() for kind in (VaspErrorHandler, UnconvergedErrorHandler, NonConvergingErrorHandler)]
    job = VaspJob(
        shlex.split(command), output_file="vasp.out", final=True, backup=False, auto_npar=False, auto_gamma=False
    )
    try:
        Custodian(handlers, [job], max_errors=5, directory=str(folder)).run()
    except Exception as error:
        message = f"VASP failed under custodian: {' '.join(str(error).split())[:200]}"
        raise CalculationError(message) from error
