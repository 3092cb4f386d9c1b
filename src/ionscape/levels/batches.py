"""Batches of cells: energies, forces and stresses of many cells from one evaluation of a model of TorchSim."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Sequence
from typing import Any

import numpy as np

from ionscape.errors import CalculationError, InputError
from ionscape.levels.devices import device_name
from ionscape.units import Array

DISTRIBUTION = "torch-sim-atomistic"
#: What a model may raise of a cell that is astray, or of more cells than fit into the memory.
_ASTRAY = (InputError, CalculationError, ValueError, ArithmeticError, RuntimeError, MemoryError)


class BatchedForces:
    """What a model of TorchSim says of many cells at once, as ASE's calculators say it of one.

    Parameters
    ----------
    model
        A `torch_sim.models.interface.ModelInterface`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def device(self) -> str:
        """Where the model is evaluated, with the name of the GPU if it is one."""
        return device_name(str(self._model.device))

    @property
    def provenance(self) -> str:
        """Which TorchSim it is."""
        return f"{DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)}"

    @property
    def known_elements(self) -> tuple[str, ...] | None:
        """Elements of the model; None if it does not tell."""
        return getattr(self._model, "known_elements", None)

    def evaluate(self, cells: Sequence[Any]) -> list[dict[str, Any] | CalculationError]:
        """Return the results of ASE atoms, periodic in all directions: energy, forces, stress; in their order.

        Energies are in eV, forces in eV/Å, (atoms, 3), stresses in eV/Å³, (6,), Voigt. A cell that cannot be
        evaluated, or whose numbers are not finite, has the reason in its place; the others do not feel it.
        """
        try:
            return self._together(cells)
        except _ASTRAY as error:
            if len(cells) == 1:
                return [CalculationError(" ".join(str(error).split())[:200])]
        half = len(cells) // 2
        return self.evaluate(cells[:half]) + self.evaluate(cells[half:])

    def _together(self, cells: Sequence[Any]) -> list[dict[str, Any] | CalculationError]:
        found = self._model(self._state(cells))
        energies, forces, stresses = (
            found[name].detach().cpu().numpy().astype(float) for name in ("energy", "forces", "stress")
        )
        ends = np.cumsum([len(cell) for cell in cells])
        parts = np.split(forces, ends[:-1])
        return [_result(float(e), f, s) for e, f, s in zip(energies, parts, stresses, strict=True)]

    def _state(self, cells: Sequence[Any]) -> Any:
        import torch

        kind = importlib.import_module("torch_sim.state").SimState
        device, dtype = self._model.device, self._model.dtype
        rows = torch.from_numpy(np.stack([cell.cell.array for cell in cells])).to(device, dtype)
        return kind(
            positions=torch.from_numpy(np.concatenate([cell.positions for cell in cells])).to(device, dtype),
            masses=torch.from_numpy(np.concatenate([cell.get_masses() for cell in cells])).to(device, dtype),
            cell=rows.mT.contiguous(),
            pbc=True,
            atomic_numbers=torch.from_numpy(np.concatenate([cell.numbers for cell in cells])).to(device),
            system_idx=torch.repeat_interleave(torch.tensor([len(cell) for cell in cells])).to(device),
        )


def _result(energy: float, forces: Array, stress: Array) -> dict[str, Any] | CalculationError:
    if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
        return CalculationError("the energy, a force or the stress is not a finite number")
    symmetric = (stress + stress.T) / 2
    voigt = symmetric[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return {"energy": energy, "free_energy": energy, "forces": forces, "stress": voigt}
