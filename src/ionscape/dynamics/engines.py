"""Engines of molecular dynamics: ASE's integrators around any calculator, or compiled code around compiled forces.

Both have the same ensembles and give the same trajectories for the same forces. Compiled code is used where the
calculator offers compiled forces (`ionscape.potential.compiled_dynamics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ionscape.dynamics.guards import Guards
from ionscape.dynamics.independence import IndependentCalculator
from ionscape.dynamics.integrators import integrator, pressure, temperature
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.errors import CalculationError
from ionscape.potential.compiled_dynamics import (
    CompiledDynamics,
    CompiledForces,
    Conditions,
    MovingAtoms,
    OffersCompiledForces,
)
from ionscape.units import GPA_PER_EV_PER_A3, CellArray, Count, Energy, LengthArray, Stress, Temperature

#: What an integrator or a level may raise once the atoms are where they should never be.
_ASTRAY = (CalculationError, FloatingPointError, OverflowError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Moment:
    """What an engine knows of the atoms between two steps.

    Attributes
    ----------
    positions
        Unwrapped, Å, (atoms, 3).
    cell
        Lattice vectors as rows, Å, (3, 3).
    energy
        Potential energy, eV.
    temperature
        Instantaneous temperature with the centre of mass at rest, K.
    pressure
        Instantaneous pressure, eV/Å³.
    conserved
        The conserved energy, eV; None if the ensemble conserves none.
    """

    positions: LengthArray
    cell: CellArray
    energy: Energy
    temperature: Temperature
    pressure: Stress
    conserved: Energy | None


class Engine(Protocol):
    """Moves atoms; all of its state can be taken out and put back."""

    @property
    def name(self) -> str:
        """Which engine: a checkpoint of one is not continued by another."""
        ...

    @property
    def longest(self) -> Count:
        """Number of steps that it is worth asking for at a time; how many are asked for makes no difference."""
        ...

    @property
    def sees_distances(self) -> bool:
        """Whether atoms that are too close end an advance."""
        ...

    @property
    def conserves(self) -> bool:
        """Whether some energy is conserved."""
        ...

    def advance(self, steps: Count) -> tuple[Count, str]:
        """Make up to `steps` steps; return how many, and what is wrong after the last one (empty if nothing)."""
        ...

    def moment(self) -> Moment:
        """Return what is known of the atoms now."""
        ...

    def move(self, atoms: Any) -> None:
        """Give ASE `atoms` the positions, momenta and cell of now."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that the next step depends on, by name."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `state` returned."""
        ...


@dataclass(frozen=True)
class EngineMaker:
    """Makes engines for a calculator: compiled ones if it offers compiled forces, else ASE's.

    Attributes
    ----------
    calculator
        ASE calculator without memory, such as an `IndependentCalculator`.
    forces
        Compiled forces of the same level; None if it has none.
    """

    calculator: Any
    forces: CompiledForces | None

    @classmethod
    def of(cls, calculator: Any, symbols: tuple[str, ...], *, forget: bool) -> EngineMaker:
        """Return the maker for a new ASE `calculator` and these elements; `forget` as in `independence`."""
        offers = isinstance(calculator, OffersCompiledForces)
        forces = calculator.compiled_forces(symbols) if offers else None
        return cls(IndependentCalculator(calculator, forget=forget), forces)

    def make(self, atoms: Any, settings: DynamicsSettings, rng: np.random.Generator, guards: Guards) -> Engine:
        """Return an engine that goes on from ASE `atoms`, which carry momenta.

        Parameters
        ----------
        atoms
            At least two atoms; their present cell is the reference of the barostat.
        settings
            Ensemble, conditions and time constants.
        rng
            Source of the Langevin forces and of the first momenta of the thermostat.
        guards
            Say what is wrong after a step.
        """
        if self.forces is None:
            atoms.calc = self.calculator
            return AseEngine(atoms, settings, rng, guards)
        start = MovingAtoms(atoms.get_positions(), atoms.get_momenta(), atoms.cell.array, atoms.get_masses())
        return CompiledEngine(
            CompiledDynamics(self.forces, start, _conditions(settings, guards, self.forces), rng), guards
        )


class AseEngine:
    """ASE's integrators around the calculator of `atoms`, which move; the guards glance at each step."""

    name, longest, sees_distances = "ase", 1, False

    def __init__(self, atoms: Any, settings: DynamicsSettings, rng: np.random.Generator, guards: Guards) -> None:
        atoms.set_constraint()
        self._atoms, self._guards = atoms, guards
        self._integrator = integrator(atoms, settings, rng)
        self.conserves = self._integrator.conserves

    def advance(self, steps: Count) -> tuple[Count, str]:
        """Make up to `steps` steps; return how many, and what is wrong after the last one (empty if nothing)."""
        made, found = 0, ""
        while made < steps and not found:
            made += 1
            try:
                self._integrator.step()
                found = self._guards.glance(float(self._atoms.get_potential_energy()), temperature(self._atoms))
            except _ASTRAY as error:
                found = f"the level gave up ({error})"
        return made, found

    def moment(self) -> Moment:
        """Return what is known of the atoms now."""
        return Moment(
            positions=self._atoms.get_positions(),
            cell=self._atoms.cell.array.copy(),
            energy=float(self._atoms.get_potential_energy()),
            temperature=temperature(self._atoms),
            pressure=pressure(self._atoms),
            conserved=self._integrator.conserved_energy() if self.conserves else None,
        )

    def move(self, atoms: Any) -> None:
        """Give ASE `atoms` the positions, momenta and cell of now."""
        if atoms is not self._atoms:
            _move(atoms, self._integrator.state())

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that the next step depends on, by name."""
        return dict(self._integrator.state())

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `state` returned."""
        self._integrator.restore(state)


class CompiledEngine:
    """Compiled code, which looks at energy, temperature and distances after every step."""

    name, longest, sees_distances = "compiled", 100, True

    def __init__(self, dynamics: CompiledDynamics, guards: Guards) -> None:
        self._dynamics, self._guards = dynamics, guards
        self.conserves = dynamics.conserves

    def advance(self, steps: Count) -> tuple[Count, str]:
        """Make up to `steps` steps; return how many, and what is wrong after the last one (empty if nothing)."""
        made, halt = self._dynamics.advance(steps), self._dynamics.halt
        if halt is None:
            return made, ""
        if halt.kind == "too close":
            return made, self._guards.approach(*halt.pair, halt.distance)
        if halt.kind == "no list":
            return made, "the cell fell flat, or an atom flew out of all bounds"
        return made, self._guards.glance(self._dynamics.energy, self._dynamics.temperature)

    def moment(self) -> Moment:
        """Return what is known of the atoms now."""
        known = self._dynamics
        conserved = known.conserved_energy() if self.conserves else None
        return Moment(known.positions, known.cell, known.energy, known.temperature, known.pressure, conserved)

    def move(self, atoms: Any) -> None:
        """Give ASE `atoms` the positions, momenta and cell of now."""
        _move(atoms, self._dynamics.state())

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that the next step depends on, by name."""
        return self._dynamics.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `state` returned."""
        self._dynamics.restore(state)


def _conditions(settings: DynamicsSettings, guards: Guards, forces: CompiledForces) -> Conditions:
    return Conditions(
        ensemble=settings.ensemble,
        timestep=settings.timestep_fs,
        temperature=settings.temperature_K,
        pressure=settings.pressure_GPa / GPA_PER_EV_PER_A3,
        thermostat_time=settings.thermostat_time_fs,
        barostat_time=settings.barostat_time_fs,
        closest=guards.closest(forces.species, forces.n_species),
        hottest=guards.hottest,
    )


def _move(atoms: Any, state: Mapping[str, NDArray[Any]]) -> None:
    atoms.set_cell(state["cell"], scale_atoms=False)
    atoms.set_positions(state["positions"], apply_constraint=False)
    atoms.set_momenta(state["momenta"], apply_constraint=False)
