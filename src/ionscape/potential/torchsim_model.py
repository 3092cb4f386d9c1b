"""A sparse-GP potential as a model of TorchSim: many cells as one batch, on a GPU or not."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers

from ionscape.errors import InputError
from ionscape.potential.evaluation import Precision
from ionscape.potential.model import SparseModel
from ionscape.potential.torch_calculator import Structure, batch_of, torch_calculator
from ionscape.potential.torch_module import forces_of


def torchsim_model(model: SparseModel, device: str = "cpu", precision: Precision = "double") -> Any:
    """Return `model` as a `torch_sim.models.interface.ModelInterface`.

    It gives energies of systems (eV, (systems,)), forces (eV/Å, (atoms, 3)) and stresses (eV/Å³, (systems, 3, 3);
    zero unless all three directions are periodic). Neighbours are listed on the CPU at every evaluation.

    Parameters
    ----------
    model
        The potential; its kernel must have no power above two.
    device
        As PyTorch names it.
    precision
        Of features and gradients; states are in double precision.

    Raises
    ------
    InputError
        If TorchSim is not installed, the model does not collapse or the device is not there; on evaluation, if an
        element is not the model's.
    """
    require_torchsim("model of TorchSim")
    interface = importlib.import_module("torch_sim.models.interface").ModelInterface  # not typed, not always there
    return type("BatchedPotential", (_Batched, interface), {})(model, device, precision)


def require_torchsim(where: str) -> None:
    """Raise `InputError` unless TorchSim is installed; `where` tells what asks for it."""
    if importlib.util.find_spec("torch_sim") is None:
        raise InputError(
            "torch-sim-atomistic is not installed",
            where=where,
            expected="TorchSim",
            remedy="Install it: pip install 'ionscape[torchsim]'.",
        )


class _Batched:
    """What a model of TorchSim does; its interface is the other base."""

    def __init__(self, model: SparseModel, device: str, precision: Precision) -> None:
        super().__init__()
        self.potential = torch_calculator(model, device, precision).potential
        self._device, self._dtype = self.potential.offsets.device, torch.float64
        self._compute_stress = self._compute_forces = True
        self._model = model
        self._symbols = {atomic_numbers[symbol]: symbol for symbol in model.descriptor.species}

    @property
    def known_elements(self) -> tuple[str, ...]:
        """Elements of the potential, by atomic number."""
        return self._model.descriptor.species

    def forward(self, state: Any, **_: Any) -> dict[str, torch.Tensor]:
        """Return energies, forces and stresses of the systems of a state."""
        structures = self._structures(state)
        energies, forces, virials = forces_of(self.potential, batch_of(structures, self.potential))
        totals = torch.zeros(len(structures), dtype=energies.dtype, device=energies.device)
        totals.index_add_(0, state.system_idx, energies)
        volumes = torch.linalg.det(state.row_vector_cell).abs()[:, None, None]
        periodic = torch.tensor([all(one[3]) for one in structures], device=energies.device)[:, None, None]
        stresses = torch.where(periodic, -(virials + virials.transpose(1, 2)) / (2 * volumes), 0.0)
        return {"energy": totals, "forces": forces, "stress": stresses}

    def _structures(self, state: Any) -> list[Structure]:
        positions, cells, owners, numbers = (
            one.detach().cpu().numpy()
            for one in (state.positions, state.row_vector_cell, state.system_idx, state.atomic_numbers)
        )
        symbols = [self._symbols.get(int(z), f"element {z}") for z in numbers]
        species = self._model.descriptor.indices(symbols, "state of TorchSim")
        a, b, c = (bool(flag) for flag in np.broadcast_to(np.asarray(state.pbc), 3))
        return [(positions[owners == k], cells[k], species[owners == k], (a, b, c)) for k in range(len(cells))]
