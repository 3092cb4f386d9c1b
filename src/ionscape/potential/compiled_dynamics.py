"""Molecular dynamics in compiled code: a calculator's own compiled forces, and integrators around them.

A calculator that has compiled forces offers them by a method ``compiled_forces(symbols)``
(`OffersCompiledForces`); `CompiledDynamics` then makes step after step without Python. Ensembles, equations, order
of splitting and degrees of freedom are those of `ionscape.dynamics.integrators`, whose trajectories it reproduces.

Everything that the next step depends on is in `CompiledDynamics.state`: also the places that the neighbour list
was built from, since the order of its pairs is the order of the sums. A run that is continued therefore goes on
bit for bit, and how many steps are asked for at a time makes no difference.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from ase import units
from numpy.typing import NDArray

from ionscape.errors import CalculationError
from ionscape.potential.library import load, made
from ionscape.potential.neighbours import SKIN
from ionscape.units import (
    BOLTZMANN_EV_PER_K,
    Array,
    CellArray,
    Count,
    Energy,
    ForceArray,
    Indices,
    Length,
    LengthArray,
    MassArray,
    Stress,
    Temperature,
    Time,
    Unit,
)

#: ``double forces(context, list, positions, cell, forces, virial)`` of ``core/dynamics.hpp``.
FORCES = ctypes.CFUNCTYPE(
    ctypes.c_double,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_double),
    ctypes.POINTER(ctypes.c_double),
    ctypes.POINTER(ctypes.c_double),
    ctypes.POINTER(ctypes.c_double),
)
MomentumArray = Annotated[Array, Unit("√(eV amu)")]
Ensemble = Literal["nve", "nvt", "nvt-langevin", "npt", "npt-isotropic"]
_NUMBERS: dict[str, int] = {"nve": 0, "nvt": 1, "nvt-langevin": 2, "npt": 3, "npt-isotropic": 4}


@dataclass(frozen=True)
class CompiledForces:
    """Forces that compiled code can ask for.

    Attributes
    ----------
    function
        Address of a function of the type ``ionscape_forces`` (``core/dynamics.hpp``): energy in eV, forces in
        eV/Å, virial −∂E/∂ε in eV. The same arguments and list give the same bits.
    context
        Its first argument.
    species
        Index of each atom's species in the neighbour list, (atoms,).
    n_species
        Number of species in the neighbour list.
    cutoff
        Of the neighbour list, Å.
    owner
        What has to live as long as the address is used.
    """

    function: Count
    context: Count
    species: Indices
    n_species: Count
    cutoff: Length
    owner: Any = None


@runtime_checkable
class OffersCompiledForces(Protocol):
    """A calculator with compiled forces."""

    def compiled_forces(self, symbols: tuple[str, ...]) -> CompiledForces | None:
        """Return forces for atoms of these elements; None if there is no compiled core."""
        ...


@dataclass(frozen=True)
class Conditions:
    """Ensemble, its conditions and time constants, and what ends a run at once.

    Attributes
    ----------
    ensemble
        As in `ionscape.dynamics.settings`.
    timestep, thermostat_time, barostat_time
        fs.
    temperature
        Of the thermostat, K.
    pressure
        Of the barostat, eV/Å³.
    closest
        Distance of each two species that no two atoms may fall below, Å, (species, species).
    hottest
        Largest instantaneous temperature, K.
    """

    ensemble: Ensemble
    timestep: Time
    temperature: Temperature
    pressure: Stress
    thermostat_time: Time
    barostat_time: Time
    closest: LengthArray
    hottest: Temperature


@dataclass(frozen=True)
class MovingAtoms:
    """Atoms at a moment.

    Attributes
    ----------
    positions
        Unwrapped, Å, (atoms, 3).
    momenta
        In ASE's unit √(eV amu), (atoms, 3).
    cell
        Lattice vectors as rows, Å, (3, 3); periodic.
    masses
        amu, (atoms,).
    """

    positions: LengthArray
    momenta: MomentumArray
    cell: CellArray
    masses: MassArray


@dataclass(frozen=True)
class Halt:
    """Why a run ended before its time: ``kind``, and the pair that is too close with its distance, Å."""

    kind: Literal["not finite", "too hot", "too close", "no list"]
    pair: tuple[int, int]
    distance: Length


class _Request(ctypes.Structure):
    _fields_: ClassVar = [
        *[(name, ctypes.c_int32) for name in ("ensemble", "n_atoms", "n_species")],
        *[(name, ctypes.c_void_p) for name in ("species", "periodic", "masses", "closest")],
        *[(name, ctypes.c_double) for name in ("timestep", "kT", "pressure", "thermostat_time", "barostat_time")],
        *[(name, ctypes.c_double) for name in ("hottest_kT", "cutoff", "skin")],
        ("seed", ctypes.c_uint64),
        ("forces", ctypes.c_void_p),
        ("context", ctypes.c_void_p),
    ]


class CompiledDynamics:
    """A run of molecular dynamics in compiled code.

    Parameters
    ----------
    forces
        Where energy, forces and virial come from.
    atoms
        The start; its cell is the reference of the barostat.
    conditions
        Ensemble and limits.
    rng
        Source of the first momenta of the thermostat's chain, or of the seed of the Langevin forces.
    skin
        Of the neighbour list, Å.

    Raises
    ------
    CalculationError
        If the neighbours of the start cannot be listed.
    """

    PARTS = (
        "positions", "momenta", "cell", "thermostat", "barostat", "cell_momentum", "strain", "start_cell",
        "list_positions", "list_cell",
    )  # fmt: skip
    _SHAPES: ClassVar = {
        "cell": (3, 3), "cell_momentum": (3, 3), "start_cell": (3, 3), "list_cell": (3, 3),
        "positions": (-1, 3), "momenta": (-1, 3), "list_positions": (-1, 3),
    }  # fmt: skip

    def __init__(
        self,
        forces: CompiledForces,
        atoms: MovingAtoms,
        conditions: Conditions,
        rng: np.random.Generator,
        skin: Length = SKIN,
    ) -> None:
        self._library = _declared()
        self._forces = forces
        self._ensemble = conditions.ensemble
        self._masses = np.array(atoms.masses, dtype=float)
        seed = int(rng.integers(2**64, dtype=np.uint64)) if conditions.ensemble == "nvt-langevin" else 0
        request = self._request(conditions, seed, skin)
        self._address = made(self._library.ionscape_dynamics_new(ctypes.byref(request)), "compiled dynamics")
        self._finalizer = weakref.finalize(self, self._library.ionscape_dynamics_free, self._address)
        for name, value in (
            ("positions", atoms.positions), ("momenta", atoms.momenta), ("cell", atoms.cell),
            ("start_cell", atoms.cell), ("list_positions", atoms.positions), ("list_cell", atoms.cell),
        ):  # fmt: skip
            self._view(name)[...] = value
        if conditions.ensemble in {"nvt", "npt", "npt-isotropic"}:
            width = request.kT * request.thermostat_time * np.sqrt([3 * len(self._masses), 1, 1])
            self._view("thermostat")[3:] = width * rng.standard_normal(3)
        self._settle()

    def _request(self, conditions: Conditions, seed: Count, skin: Length) -> _Request:
        forces, fs = self._forces, units.fs
        self._kept = (
            np.ascontiguousarray(forces.species, dtype=np.int32),
            np.ones(3, dtype=np.uint8),
            self._masses,
            np.minimum(np.ascontiguousarray(conditions.closest, dtype=float), forces.cutoff),
        )
        return _Request(
            _NUMBERS[conditions.ensemble],
            len(self._masses),
            forces.n_species,
            *[array.ctypes.data for array in self._kept],
            conditions.timestep * fs,
            units.kB * conditions.temperature,
            conditions.pressure,
            conditions.thermostat_time * fs,
            conditions.barostat_time * fs,
            BOLTZMANN_EV_PER_K * conditions.hottest,
            forces.cutoff,
            skin,
            seed,
            forces.function,
            forces.context,
        )

    def _view(self, name: str) -> Array:
        size = ctypes.c_int()
        pointer = self._library.ionscape_dynamics_part(self._address, self.PARTS.index(name), ctypes.byref(size))
        return np.ctypeslib.as_array(pointer, (size.value,)).reshape(self._SHAPES.get(name, (-1,)))

    def _random(self) -> NDArray[np.uint64]:
        return np.ctypeslib.as_array(self._library.ionscape_dynamics_random(self._address), (2,))

    def _settle(self) -> None:
        if not self._library.ionscape_dynamics_settle(self._address):
            raise CalculationError(
                "the neighbours of the atoms cannot be listed: is the cell flat or far too small?"
            )

    @property
    def conserves(self) -> bool:
        """Whether some energy is conserved."""
        return self._ensemble != "nvt-langevin"

    def advance(self, steps: Count) -> Count:
        """Make `steps` steps, fewer if something is wrong then (`halt`); return how many."""
        return int(self._library.ionscape_dynamics_advance(self._address, steps))

    @property
    def halt(self) -> Halt | None:
        """What is wrong after the last step; None if nothing."""
        pair, distance = (ctypes.c_int * 2)(), ctypes.c_double()
        number = self._library.ionscape_dynamics_halt(self._address, pair, ctypes.byref(distance))
        if not number:
            return None
        kinds: tuple[Any, ...] = ("not finite", "too hot", "too close", "no list")
        return Halt(kinds[number - 1], (pair[0], pair[1]), distance.value)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that the next step depends on, by name."""
        return {**{name: self._view(name).copy() for name in self.PARTS}, "random": self._random().copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `state` returned."""
        for name in self.PARTS:
            self._view(name)[...] = state[name]
        self._random()[...] = state["random"]
        self._settle()

    @property
    def positions(self) -> LengthArray:
        """Unwrapped positions, Å, (atoms, 3)."""
        return self._view("positions").copy()

    @property
    def momenta(self) -> Array:
        """Momenta in ASE's unit, (atoms, 3)."""
        return self._view("momenta").copy()

    @property
    def cell(self) -> CellArray:
        """Lattice vectors as rows, Å, (3, 3)."""
        return self._view("cell").copy()

    def _observed(self) -> Array:
        four = np.empty(4)
        self._library.ionscape_dynamics_observe(self._address, four.ctypes.data)
        return four

    @property
    def energy(self) -> Energy:
        """Potential energy, eV."""
        return float(self._observed()[0])

    @property
    def temperature(self) -> Temperature:
        """Instantaneous temperature with the centre of mass at rest, K."""
        return float(2 * self._observed()[1] / (3 * (len(self._masses) - 1)) / BOLTZMANN_EV_PER_K)

    @property
    def pressure(self) -> Stress:
        """Instantaneous pressure with its kinetic part, eV/Å³."""
        return float(self._observed()[3])

    def conserved_energy(self) -> Energy:
        """Return the conserved energy: of the atoms, of thermostat and barostat, and P V, eV."""
        return float(self._observed()[2])

    @property
    def forces(self) -> ForceArray:
        """Forces on the atoms, eV/Å, (atoms, 3)."""
        pointer = self._library.ionscape_dynamics_forces(self._address)
        return np.ctypeslib.as_array(pointer, (len(self._masses), 3)).copy()

    def normals(self, step: Count) -> Array:
        """Return the standard normal numbers of a step's Langevin forces: of velocities, of places, (2, n, 3)."""
        numbers = np.empty((2, len(self._masses), 3))
        self._library.ionscape_dynamics_normals(self._address, step, numbers.ctypes.data)
        return numbers


def _declared() -> ctypes.CDLL:
    library = load()
    pointer, doubles = ctypes.c_void_p, ctypes.POINTER(ctypes.c_double)
    for name, arguments, result in (
        ("new", [pointer], pointer),
        ("free", [pointer], None),
        ("advance", [pointer, ctypes.c_long], ctypes.c_long),
        ("settle", [pointer], ctypes.c_int),
        ("part", [pointer, ctypes.c_int, pointer], doubles),
        ("random", [pointer], ctypes.POINTER(ctypes.c_uint64)),
        ("halt", [pointer, pointer, pointer], ctypes.c_int),
        ("observe", [pointer, pointer], None),
        ("forces", [pointer], doubles),
        ("normals", [pointer, ctypes.c_uint64, pointer], None),
    ):
        function = getattr(library, f"ionscape_dynamics_{name}")
        function.argtypes, function.restype = arguments, result
    return library
