"""Integrators of the ensembles: those of ASE, with the degrees of freedom that the motion really has.

Two things are set right here. ASE counts 3N degrees of freedom in its Nosé–Hoover and Martyna–Tobias–Klein
integrators; with the centre of mass at rest, which internal forces keep so, there are 3N − 3, and the atoms would
be too hot by N/(N − 1). And it counts nine for the full cell; the stress is symmetric, and so is the momentum of
the cell, which has six: the cell would be at 1.5 times the temperature.

Sources: Martyna, Klein & Tuckerman, doi:10.1063/1.463940; Martyna, Tobias & Klein, doi:10.1063/1.467468; Langevin
propagator: Vanden-Eijnden & Ciccotti, doi:10.1016/j.cplett.2006.07.086.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import MTKNPT, IsotropicMTKNPT, NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet

from ionscape.dynamics.settings import DynamicsSettings
from ionscape.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_PER_A3, Array, Count, Energy, Stress, Temperature

_CHAIN = ("_thermostat._eta", "_thermostat._p_eta")
_BAROSTAT = ("_barostat._xi", "_barostat._p_xi")


def degrees_of_freedom(atoms: Count) -> Count:
    """Return the number of degrees of freedom of `atoms` whose centre of mass is at rest: 3N − 3."""
    return 3 * atoms - 3


def temperature(atoms: Any) -> Temperature:
    """Return the instantaneous temperature of ASE `atoms` (centre of mass at rest), 2 E_kin / (N_f k_B), K."""
    return float(2 * atoms.get_kinetic_energy() / (degrees_of_freedom(len(atoms)) * BOLTZMANN_EV_PER_K))


def pressure(atoms: Any) -> Stress:
    """Return the instantaneous pressure of ASE `atoms`, −tr σ / 3 with the kinetic part in it, eV/Å³."""
    return float(-np.trace(atoms.get_stress(voigt=False, include_ideal_gas=True)) / 3)


def draw_velocities(atoms: Any, temperature_K: Temperature, rng: np.random.Generator) -> None:
    """Give ASE `atoms` momenta of the Maxwell–Boltzmann distribution, with the centre of mass at rest."""
    masses = atoms.get_masses()[:, None]
    velocities = rng.standard_normal((len(atoms), 3)) * np.sqrt(units.kB * temperature_K / masses)
    velocities -= (masses * velocities).sum(axis=0) / masses.sum()
    atoms.set_momenta(masses * velocities)


@dataclass(frozen=True)
class Integrator:
    """An integrator of ASE whose whole state can be taken out and put back.

    Attributes
    ----------
    dynamics
        The integrator of ASE.
    names
        Its variables besides positions, momenta and cell.
    conserves
        Whether some energy is conserved.
    """

    dynamics: Any
    names: tuple[str, ...]
    conserves: bool

    def step(self) -> None:
        """Make one time step."""
        self.dynamics.step()

    def conserved_energy(self) -> Energy:
        """Return the conserved energy: of the atoms, of thermostat and barostat, and P V, eV."""
        if isinstance(self.dynamics, VelocityVerlet):
            atoms = self.dynamics.atoms
            return float(atoms.get_potential_energy(force_consistent=True) + atoms.get_kinetic_energy())
        return float(self.dynamics.get_conserved_energy())

    def state(self) -> dict[str, Array]:
        """Return copies of positions, momenta, cell and all variables of thermostat and barostat."""
        atoms = self.dynamics.atoms
        own = {name: np.array(_variable(self.dynamics, name)) for name in self.names}
        cell = atoms.cell.array.copy()
        return {"positions": atoms.get_positions(), "momenta": atoms.get_momenta(), "cell": cell, **own}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Put back what `state` returned."""
        atoms = self.dynamics.atoms
        atoms.set_cell(state["cell"], scale_atoms=False)
        atoms.set_positions(state["positions"], apply_constraint=False)
        atoms.set_momenta(state["momenta"], apply_constraint=False)
        for name in self.names:
            value = np.array(state[name])
            _set_variable(self.dynamics, name, value if value.ndim else float(value))


def _variable(owner: Any, path: str) -> Any:
    for name in path.split("."):
        owner = getattr(owner, name)
    return owner


def _set_variable(owner: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        owner = getattr(owner, name)
    setattr(owner, last, value)


def integrator(atoms: Any, settings: DynamicsSettings, rng: np.random.Generator) -> Integrator:
    """Return the integrator of the ensemble for ASE `atoms`, which carry calculator and momenta.

    Parameters
    ----------
    atoms
        At least two atoms; their present cell is the reference of the barostat.
    settings
        Ensemble, conditions and time constants.
    rng
        Source of the Langevin forces.
    """
    return _MAKERS[settings.ensemble](atoms, settings, rng)


def _verlet(atoms: Any, settings: DynamicsSettings, _: np.random.Generator) -> Integrator:
    return Integrator(VelocityVerlet(atoms, settings.timestep_fs * units.fs), (), conserves=True)


def _langevin(atoms: Any, settings: DynamicsSettings, rng: np.random.Generator) -> Integrator:
    atoms.set_constraint(FixCom())
    dynamics = Langevin(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.temperature_K,
        friction=1 / (settings.thermostat_time_fs * units.fs),
        fixcm=False,
        rng=rng,
    )
    return Integrator(dynamics, (), conserves=False)


def _nose_hoover(atoms: Any, settings: DynamicsSettings, rng: np.random.Generator) -> Integrator:
    dynamics = NoseHooverChainNVT(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.temperature_K,
        tdamp=settings.thermostat_time_fs * units.fs,
    )
    _settle(dynamics, rng)
    return Integrator(dynamics, ("_q", "_p", *_CHAIN), conserves=True)


def _settle(dynamics: Any, rng: np.random.Generator) -> None:
    """Set the degrees of freedom of the thermostat right, and draw the momenta of its chain at the temperature."""
    chain = dynamics._thermostat  # noqa: SLF001  see the module
    chain._num_atoms_global = len(dynamics.atoms) - 1  # noqa: SLF001
    chain._p_eta = np.sqrt(chain._Q * chain._kT) * rng.standard_normal(len(chain._Q))  # noqa: SLF001


def _barostatted(
    kind: Callable[..., Any], atoms: Any, settings: DynamicsSettings, rng: np.random.Generator
) -> Any:
    dynamics = kind(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.temperature_K,
        pressure_au=settings.pressure_GPa / GPA_PER_EV_PER_A3,
        tdamp=settings.thermostat_time_fs * units.fs,
        pdamp=settings.barostat_time_fs * units.fs,
    )
    _settle(dynamics, rng)
    dynamics._num_atoms_global = len(atoms) - 1  # noqa: SLF001
    return dynamics


def _isotropic(atoms: Any, settings: DynamicsSettings, rng: np.random.Generator) -> Integrator:
    dynamics = _barostatted(IsotropicMTKNPT, atoms, settings, rng)
    return Integrator(dynamics, ("_q", "_p", "_eps", "_p_eps", *_CHAIN, *_BAROSTAT), conserves=True)


def _full_cell(atoms: Any, settings: DynamicsSettings, rng: np.random.Generator) -> Integrator:
    dynamics = _barostatted(MTKNPT, atoms, settings, rng)
    barostat = dynamics._barostat  # noqa: SLF001
    barostat._R[0] *= 6 / barostat._cell_dof  # noqa: SLF001  see the module
    barostat._cell_dof = 6  # noqa: SLF001
    return Integrator(dynamics, ("_q", "_p", "_h", "_p_g", *_CHAIN, *_BAROSTAT), conserves=True)


_MAKERS: dict[str, Callable[[Any, DynamicsSettings, np.random.Generator], Integrator]] = {
    "nve": _verlet,
    "nvt": _nose_hoover,
    "nvt-langevin": _langevin,
    "npt": _full_cell,
    "npt-isotropic": _isotropic,
}
