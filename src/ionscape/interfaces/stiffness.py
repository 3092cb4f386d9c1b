r"""Stiffness of the crystals on both sides, and the sharing of the misfit that costs least.

Elastic constants by central differences of the stress, C_ij = (σ_i(+h) − σ_i(−h)) / 2h in Voigt order, with the
strain in the axes of the surface; free normal stresses leave the plane's own

    C = C_pp − C_pn C_nn⁻¹ C_np,    p = (xx, yy, xy), n = (zz, yz, xz)

Ions keep their fractional coordinates, which makes crystals with soft internal modes look stiffer than they are.
With thicknesses t, in the film's axes, and the misfit e = P − 1, the energy over the area

    w = ½ t_f e_fᵀ C_f e_f + ½ t_s e_sᵀ C_s e_s,    e_f − e_s = e

is least for e_f = (t_f C_f + t_s C_s)⁻¹ t_s C_s e. Linear elasticity: strains of a few per cent at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np

from ionscape.errors import CalculationError
from ionscape.interfaces.matching import Match, misfit
from ionscape.interfaces.strain import stretches
from ionscape.levels.registry import Level
from ionscape.potential.frames import Frame
from ionscape.results import Failure, frozen
from ionscape.units import Array, Length, Number, StressArray, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Largest component of the strains at which stresses are calculated.
STEP = 0.004
#: Rows and columns of the Voigt order xx, yy, zz, yz, xz, xy.
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
IN_PLANE, NORMAL = (0, 1, 5), (2, 3, 4)


class Labeller(Protocol):
    """What calculates energies, forces and stresses: the laboratory."""

    def label(self, structures: Sequence[Structure], level: Level) -> list[Frame | Failure]:
        """Return energy, forces and stress of every structure at `level`, in order."""
        ...


@dataclass(frozen=True)
class Stiffness:
    """How a slab resists strain in its plane.

    Attributes
    ----------
    plane
        Elastic constants of the plane in the slab's axes, engineering shear last, (3, 3).
    thickness
        Thickness of the slab.
    """

    plane: StressArray
    thickness: Length


def elastic_constants(bulk: Structure, frame: Array, level: Level, lab: Labeller) -> Array:
    """Return the elastic constants (6, 6) of `bulk` in eV/Å³, in rotated axes.

    Parameters
    ----------
    bulk
        The crystal, in equilibrium at the level.
    frame
        Rows are the axes wanted, in the axes of `bulk`, (3, 3).
    level, lab
        Level of theory, and what calculates.

    Raises
    ------
    CalculationError
        If a stress could not be calculated.
    """
    answers = lab.label([_strained(bulk, frame, k, sign) for k in range(6) for sign in (1, -1)], level)
    stresses = []
    for answer in answers:
        if isinstance(answer, Failure) or answer.stress is None:
            reason = answer.reason if isinstance(answer, Failure) else "the level gives no stress"
            message = f"elastic constants of {bulk.composition.reduced_formula}: {reason}"
            raise CalculationError(message)
        turned = frame @ np.asarray(answer.stress) @ frame.T
        stresses.append([turned[i, j] for i, j in VOIGT])
    up, down = np.array(stresses[::2]), np.array(stresses[1::2])
    constants = (up - down) / (2 * STEP)
    return np.asarray((constants + constants.T) / 2)


def _strained(bulk: Structure, frame: Array, component: int, sign: int) -> Structure:
    from pymatgen.core import Structure as Crystal

    strain = np.zeros((3, 3))
    i, j = VOIGT[component]
    strain[i, j] += sign * STEP / 2
    strain[j, i] += sign * STEP / 2
    deformed = bulk.lattice.matrix @ (np.eye(3) + frame.T @ strain @ frame)
    return Crystal(deformed, bulk.species, bulk.frac_coords)


def plane_constants(constants: Array) -> StressArray:
    """Return the elastic constants (3, 3) of the plane z = 0 with free normal stresses from all (6, 6)."""
    pp = constants[np.ix_(IN_PLANE, IN_PLANE)]
    pn = constants[np.ix_(IN_PLANE, NORMAL)]
    nn = constants[np.ix_(NORMAL, NORMAL)]
    return frozen(pp - pn @ np.linalg.solve(nn, pn.T))


def least_energy(match: Match, film: Stiffness, substrate: Stiffness) -> Match:
    """Return `match` with the misfit shared so that the elastic energy is least, and that energy."""
    stretch, rotation = misfit(match)
    total = _voigt(stretch - np.eye(2))
    turn = np.diag([1.0, 1.0, -1.0]) if match.mirrored else np.eye(3)
    own = film.thickness * turn @ film.plane @ turn
    # strain of the substrate in the film's axes, from its own: e = R e' Rᵀ
    to_own = _rotation(rotation)
    other = substrate.thickness * to_own.T @ substrate.plane @ to_own
    taken = np.asarray(np.linalg.solve(own + other, other @ total), dtype=np.float64)
    left = taken - total
    strained = (
        match.film_vectors * (np.array([1.0, -1.0]) if match.mirrored else 1.0) @ (np.eye(2) + _tensor(taken))
    )
    substrate_stretch, _ = stretches(match.substrate_vectors[None], strained[None])
    return replace(
        match,
        film_strain=frozen(_tensor(taken)),
        substrate_strain=frozen(substrate_stretch[0] - np.eye(2)),
        elastic_energy=float(taken @ own @ taken + left @ other @ left) / 2,
    )


def elastic_energy(match: Match, film: Stiffness, substrate: Stiffness) -> Annotated[Number, Unit("eV/Å²")]:
    """Return the elastic energy over the area with the strains that `match` has."""
    turn = np.diag([1.0, 1.0, -1.0]) if match.mirrored else np.eye(3)
    e_f, e_s = _voigt(match.film_strain), _voigt(match.substrate_strain)
    own = film.thickness * e_f @ turn @ film.plane @ turn @ e_f
    return float(own + substrate.thickness * e_s @ substrate.plane @ e_s) / 2


def _voigt(strain: Array) -> Array:
    return np.array([strain[0, 0], strain[1, 1], strain[0, 1] + strain[1, 0]])


def _tensor(voigt: Array) -> Array:
    return np.array([[voigt[0], voigt[2] / 2], [voigt[2] / 2, voigt[1]]])


def _rotation(rotation: Array) -> Array:
    """Return the matrix that takes strains in the film's axes (Voigt) into e' = Rᵀ e R, the substrate's axes."""
    columns = [_voigt(rotation.T @ _tensor(unit) @ rotation) for unit in np.eye(3)]
    return np.array(columns).T
