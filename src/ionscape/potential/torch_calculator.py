"""ASE calculator of a sparse-GP potential in PyTorch, on a GPU or not, and batches of structures for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import primitive_neighbor_list

from ionscape.errors import CalculationError, InputError
from ionscape.potential.evaluation import Periodic, Precision, Species
from ionscape.potential.library import unavailable
from ionscape.potential.model import SparseModel
from ionscape.potential.neighbours import NeighbourList
from ionscape.potential.torch_module import Batch, TorchPotential, forces_of
from ionscape.units import Array, CellArray, Indices, LengthArray

#: A structure: positions (Å, (atoms, 3)), cell (Å, (3, 3)), species (atoms,) and which directions are periodic.
Structure = tuple[LengthArray, CellArray, Species, Periodic]


def torch_calculator(model: SparseModel, device: str = "cpu", precision: Precision = "single") -> TorchCalculator:
    """Return an ASE calculator that evaluates the collapsed form of `model` in PyTorch.

    Parameters
    ----------
    model
        The potential; its kernel must have no power above two.
    device
        As PyTorch names it: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    precision
        Of features and gradients; distances and sums over atoms are in double precision.

    Raises
    ------
    InputError
        If the model does not collapse or the device is not there.
    """
    if not model.collapses:
        raise InputError(
            "a kernel with powers above two",
            where="potential in PyTorch",
            expected="a model that collapses to a quadratic form: powers 1 and 2",
            remedy="Use the compiled calculator, or train with two powers.",
        )
    return TorchCalculator(model, TorchPotential(model.collapsed(), precision).to(_device(device)))


def batch_of(structures: Sequence[Structure], potential: TorchPotential) -> Batch:
    """Return structures as a batch on the device of `potential`.

    Raises
    ------
    InputError
        If there are none, species are unknown, a cell is flat or a number is not finite.
    """
    if not structures:
        raise InputError(
            "no structures", where="batch", expected="at least one", remedy="Give the structures to evaluate."
        )
    counts = np.array([len(one[2]) for one in structures])
    pairs, images = [], []
    for first, structure in zip(np.cumsum(counts) - counts, structures, strict=True):
        found, shifts = _pairs(structure, potential)
        pairs.append(found + first)
        images.append(shifts)
    device = potential.offsets.device
    whole: list[Array] = [
        np.concatenate([one[0] for one in structures]).astype(float),
        np.stack([np.asarray(one[1], dtype=float) for one in structures]),
        np.concatenate([np.asarray(one[2], dtype=np.int64) for one in structures]),
        np.repeat(np.arange(len(structures)), counts),
        np.concatenate(pairs, axis=1),
        np.concatenate(images).astype(float),
    ]
    return Batch(*(torch.from_numpy(np.ascontiguousarray(one)).to(device) for one in whole))


class TorchCalculator(Calculator):
    """Energies, forces and stress of a sparse-GP potential in PyTorch (`torch_calculator`).

    Results: ``energy`` and ``free_energy`` (eV), ``energies`` (of atoms, eV), ``forces`` (eV/Å) and, only where
    all three directions are periodic, ``stress`` (eV/Å³).

    Parameters
    ----------
    model
        Its species and their order are used.
    potential
        Its form, on the device to be used.

    Raises
    ------
    InputError
        On evaluation, if an element is not the model's.
    CalculationError
        On evaluation, if a number is not finite.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self, model: SparseModel, potential: TorchPotential) -> None:
        super().__init__()
        self.model, self.potential = model, potential

    @property
    def known_elements(self) -> tuple[str, ...]:
        """Elements of the potential, by atomic number."""
        return self.model.descriptor.species

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results``."""
        super().calculate(atoms, properties, system_changes)
        species = self.model.descriptor.indices(self.atoms.get_chemical_symbols(), "structure")
        a, b, c = (bool(flag) for flag in self.atoms.pbc)
        structure = (self.atoms.positions, self.atoms.cell.array, species, (a, b, c))
        found = forces_of(self.potential, batch_of([structure], self.potential))
        energies, forces, virials = (one.cpu().numpy() for one in found)
        energy = float(energies.sum())
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            message = "the energy or a force of the potential is not a finite number"
            raise CalculationError(message)
        self.results = {"energy": energy, "free_energy": energy, "energies": energies, "forces": forces}
        if all(self.atoms.pbc):
            stress = -(virials[0] + virials[0].T) / 2 / self.atoms.get_volume()
            self.results["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def _pairs(structure: Structure, potential: TorchPotential) -> tuple[Indices, Indices]:
    """Return centre and neighbour, (2, pairs), and images, (pairs, 3), of one structure."""
    positions, cell, species, periodic = structure
    if unavailable():
        i, j, image = primitive_neighbor_list("ijS", periodic, cell, positions, potential.cutoff)
        return np.stack([i, j]), image
    found = NeighbourList(np.asarray(species), potential.n_species, potential.cutoff, 0.0, periodic)
    found.build(positions, cell)
    centres = np.repeat(np.arange(len(found.start) - 1) // potential.n_species, np.diff(found.start))
    return np.stack([centres, found.index]), found.image


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device '{name}' ({' '.join(str(error).split())[:120]})",
            where="potential in PyTorch",
            expected="a device that this PyTorch can use, such as cpu or cuda",
            remedy="Name another device, or install a PyTorch built for it.",
        ) from None
    return device
