"""ASE calculator of a sparse-GP potential."""

from __future__ import annotations

import ctypes
import itertools
from typing import Any, ClassVar, Literal

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from pydantic import Field

from ionscape.errors import CalculationError, InputError
from ionscape.potential.compiled_dynamics import CompiledForces
from ionscape.potential.core import CompiledPotential
from ionscape.potential.library import load
from ionscape.potential.model import SparseModel
from ionscape.potential.uncertainty import force_standard_deviations
from ionscape.potential.uncollapsed import potential_of
from ionscape.settings import Settings
from ionscape.units import Count, ForceArray, Indices

#: Name of the extra result of the calculator.
DEVIATIONS = "force_standard_deviations"


class CalculatorSettings(Settings):
    """How a potential is evaluated, and when it refuses."""

    precision: Literal["single", "double"] = Field(
        "single", description="Of features and gradients; energies and forces are summed in double precision."
    )
    device: str = Field(
        "cpu",
        min_length=1,
        description="Where it is evaluated: cpu by the compiled core, others (cuda, cuda:1) by PyTorch; auto: a "
        "GPU if PyTorch sees one. For cells of a few hundred atoms the core is the faster.",
    )
    skin_A: float = Field(
        0.0,
        ge=0,
        le=5,
        description="Neighbours are listed this far beyond the cutoff and the list is kept while it holds, Å; 0 "
        "lists them anew each time, so that a structure always gives the same bits. Compiled dynamics has one.",
    )
    watch_every: int = Field(
        0,
        ge=0,
        description="Every so many evaluations the uncertainty is looked at; 0: never. Where it is, molecular "
        "dynamics runs on ASE's integrators.",
    )
    largest_deviation_eV_per_A: float = Field(
        0.5, gt=0, description="Calibrated standard deviation of a force beyond which a watched potential refuses."
    )


class PotentialCalculator(Calculator):
    r"""Energies, forces and stress of a sparse-GP potential.

    Results: ``energy`` and ``free_energy`` (eV), ``energies`` (of atoms, eV), ``forces`` (eV/Å), ``stress``
    (eV/Å³, only where all three directions are periodic) and, on request, ``force_standard_deviations``: for
    every atom the standard deviation of a component of the force on it that is to be expected (`uncertainty`),
    eV/Å, (atoms,).

    Parameters
    ----------
    model
        The potential.
    settings
        Precision and watch.
    threads
        Threads of the compiled core.

    Raises
    ------
    InputError
        If a model that was not calibrated is to be watched or asked for standard deviations; on evaluation, if an
        element is not the model's.
    CalculationError
        On evaluation, if a number is not finite or a watched model extrapolates too far.
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy", "free_energy", "energies", "forces", "stress", DEVIATIONS
    ]  # fmt: skip

    def __init__(self, model: SparseModel, settings: CalculatorSettings | None = None, threads: Count = 1) -> None:
        super().__init__()
        self.model, self.settings = model, settings or CalculatorSettings()
        self._potential = potential_of(model, self.settings.precision, threads, self.settings.skin_A)
        self._evaluations = itertools.count()  # an iterator: those who put attributes back do not turn it back
        if self.settings.watch_every and not model.spread:
            raise InputError(
                "a model whose uncertainty was not calibrated",
                where="watched potential",
                expected="a model with errors on held-out frames",
                remedy="Train it with --held-out, or set watch_every = 0.",
            )

    @property
    def known_elements(self) -> tuple[str, ...]:
        """Elements of the potential, by atomic number."""
        return self.model.descriptor.species

    @property
    def is_calibrated(self) -> bool:
        """Whether the potential tells standard deviations of forces."""
        return bool(self.model.spread)

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results``; the standard deviations only if `properties` ask for them."""
        super().calculate(atoms, properties, system_changes)
        place = self._place()
        found = self._potential.evaluate(*place)
        energy = float(found.atom_energies.sum())
        if not (np.isfinite(energy) and np.isfinite(found.forces).all()):
            message = "the energy or a force of the potential is not a finite number"
            raise CalculationError(message)
        self.results = {
            "energy": energy, "free_energy": energy, "energies": found.atom_energies, "forces": found.forces
        }  # fmt: skip
        if all(self.atoms.pbc):
            stress = -(found.virial + found.virial.T) / 2 / self.atoms.get_volume()
            self.results["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        every = self.settings.watch_every
        watched = bool(every) and next(self._evaluations) % every == 0
        if watched or DEVIATIONS in (properties or ()):
            deviations = self._deviations()
            if watched:
                self._check(deviations)
            self.results[DEVIATIONS] = deviations

    def compiled_forces(self, symbols: tuple[str, ...]) -> CompiledForces | None:
        """Return forces that compiled dynamics can ask for; None where there are none.

        There are none without the core, for a kernel that does not collapse, and for a watched potential.

        Raises
        ------
        InputError
            If an element is not the model's.
        """
        species = self._species(list(symbols))
        potential = self._potential
        if self.settings.watch_every or not isinstance(potential, CompiledPotential):
            return None
        function = ctypes.cast(load().ionscape_potential_forces, ctypes.c_void_p).value
        form = potential.form
        return CompiledForces(
            function or 0, potential.address, species, form.n_species, form.cutoff, owner=potential
        )

    def _place(self) -> tuple[Any, Any, Indices, tuple[bool, bool, bool]]:
        a, b, c = (bool(flag) for flag in self.atoms.pbc)
        species = self._species(self.atoms.get_chemical_symbols())
        return self.atoms.positions, self.atoms.cell.array, species, (a, b, c)

    def _species(self, symbols: list[str]) -> Indices:
        return self.model.descriptor.indices(symbols, "structure")

    def _deviations(self) -> ForceArray:
        place = self._place()
        features = self._potential.descriptors(*place).features
        return force_standard_deviations(self.model, features, place[2])

    def _check(self, deviations: ForceArray) -> None:
        limit = self.settings.largest_deviation_eV_per_A
        worst = int(deviations.argmax()) if len(deviations) else 0
        if not len(deviations) or deviations[worst] <= limit:
            return
        symbol = self.atoms.get_chemical_symbols()[worst]
        message = (
            f"the potential extrapolates: the force on atom {worst} ({symbol}, counted from 0) has a standard "
            f"deviation of {deviations[worst]:.2f} eV/Å, the limit is {limit:g} eV/Å. "
            "Teach it frames like this one."
        )
        raise CalculationError(message)
