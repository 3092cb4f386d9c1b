"""The compiled evaluation of a collapsed potential: energies, forces, virials, descriptors and design rows."""

from __future__ import annotations

import ctypes
import weakref

import numpy as np

from ionscape.errors import CalculationError, InputError
from ionscape.potential.evaluation import (
    Descriptors,
    DesignRows,
    Evaluator,
    Forces,
    Periodic,
    Precision,
    Species,
    checked,
)
from ionscape.potential.form import CollapsedForm
from ionscape.potential.library import load, made
from ionscape.potential.neighbours import NeighbourList
from ionscape.units import Array, CellArray, Count, EnergyArray, ForceArray, Length, LengthArray, NumberArray

_Pointer = ctypes.c_void_p


class _Form(ctypes.Structure):
    """``ionscape::Form`` of form.hpp."""

    _fields_ = (
        *((name, ctypes.c_int) for name in (
            "n_species", "n_radial", "l_max", "n_mixed", "n_nodes", "rank", "pair_nodes"
        )),
        *((name, ctypes.c_double) for name in ("cutoff", "pair_cutoff", "epsilon")),
        *((name, _Pointer) for name in (
            "radial", "radial_slope", "mixing", "offset", "linear", "quadratic", "weights", "pair", "pair_slope"
        )),
    )  # fmt: skip


class CompiledPotential:
    """A collapsed potential in compiled code; one structure at a time, and one Python thread.

    Parameters
    ----------
    form
        What to evaluate.
    precision
        ``"single"``: features and gradients in 32 bits, sums over atoms in 64; ``"double"``: all in 64.
    threads
        Threads that share the atoms. Results do not depend on earlier calls, but their last bits on this number.
    skin
        Neighbours are listed this far beyond the cutoff and the list is kept while it holds, Å; 0 lists them anew
        each time, so that the same structure always gives the same bits.

    Raises
    ------
    InputError
        If the compiled core is missing.
    CalculationError
        If there is no memory or no thread left.
    """

    def __init__(
        self, form: CollapsedForm, precision: Precision = "single", threads: Count = 1, skin: Length = 0.0
    ) -> None:
        self.form, self.precision, self.threads = form, precision, int(threads)
        self._library, self._skin = _declared(), skin
        if self.threads < 1 or precision not in {"single", "double"}:
            raise InputError(
                f"{threads} threads, precision '{precision}'",
                where="compiled potential",
                expected="at least one thread, 'single' or 'double'",
                remedy="Change the setting.",
            )
        self.address = made(
            self._library.ionscape_potential_new(ctypes.byref(_as_c(form)), precision == "single", self.threads),
            f"a potential of {self.threads} threads",
        )
        self._finalizer = weakref.finalize(self, self._library.ionscape_potential_free, self.address)
        self._list: NeighbourList | None = None
        self._listed: tuple[bytes, Periodic] = (b"", (False, False, False))

    def evaluate(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic = (True, True, True)
    ) -> Forces:
        """Return energies, forces and virial.

        Parameters
        ----------
        positions
            Å, (atoms, 3), in any image of the cell.
        cell
            Lattice vectors as rows, Å, (3, 3); those of directions that are not periodic may be zero.
        species
            Species of the atoms, 0 … S − 1, (atoms,).
        periodic
            Which directions are.

        Raises
        ------
        InputError
            If species are unknown, the cell is flat or a number is not finite.
        CalculationError
            If there is no memory left, or in a process that was forked no thread.
        """
        x, h, neighbours = self._listed_of(positions, cell, species, periodic)
        energies, forces, virial = np.empty(len(x)), np.empty((len(x), 3)), np.empty((3, 3))
        self._asked(
            "evaluate", neighbours, x.ctypes.data, h.ctypes.data,
            forces.ctypes.data, virial.ctypes.data, energies.ctypes.data,
        )  # fmt: skip
        return Forces(energies, forces, virial)

    def descriptors(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic = (True, True, True)
    ) -> Descriptors:
        """Return the normalised power spectra of all atoms; arguments as those of `evaluate`."""
        x, h, neighbours = self._listed_of(positions, cell, species, periodic)
        features, norms = np.empty((len(x), self.form.n_features)), np.empty(len(x))
        self._asked(
            "descriptors", neighbours, x.ctypes.data, h.ctypes.data, features.ctypes.data, norms.ctypes.data
        )
        return Descriptors(features, norms)

    def adjoint(
        self,
        gradient: EnergyArray,
        positions: LengthArray,
        cell: CellArray,
        species: Species,
        periodic: Periodic = (True, True, True),
    ) -> tuple[ForceArray, EnergyArray]:
        r"""Return forces and virial of an energy whose derivative with respect to the features is given.

        Parameters
        ----------
        gradient
            :math:`\partial E / \partial \hat p`, eV, (atoms, D).
        positions, cell, species, periodic
            As those of `evaluate`.
        """
        x, h, neighbours = self._listed_of(positions, cell, species, periodic)
        g = checked(gradient, (len(x), self.form.n_features), "gradient")
        forces, virial = np.empty((len(x), 3)), np.empty((3, 3))
        self._asked(
            "adjoint", neighbours, x.ctypes.data, h.ctypes.data,
            g.ctypes.data, forces.ctypes.data, virial.ctypes.data,
        )  # fmt: skip
        return forces, virial

    @property
    def function(self) -> int:
        """Address of the ``ionscape_forces`` of ``dynamics.hpp`` whose context is `address`."""
        return int(ctypes.cast(self._library.ionscape_potential_forces, _Pointer).value or 0)

    def kernel_sums(
        self,
        frame: tuple[LengthArray, CellArray, Species, Periodic],
        inducing: list[NumberArray],
        amplitudes: Array,
    ) -> DesignRows:
        """Return what `design_rows` does, of arguments that fit: features in C order, four amplitudes."""
        x, h, neighbours = self._listed_of(*frame)
        q, counts = np.concatenate(inducing), np.array([len(one) for one in inducing], dtype=np.int32)
        rows = DesignRows(np.empty((1 + 3 * len(x) + 6, len(q))))
        self._asked(
            "rows", neighbours, x.ctypes.data, h.ctypes.data, q.ctypes.data, counts.ctypes.data,
            amplitudes.ctypes.data, rows.energy.ctypes.data, rows.forces.ctypes.data, rows.virial.ctypes.data,
        )  # fmt: skip
        return rows

    def _asked(self, what: str, *addresses: int) -> None:
        """Call a function of the core with the potential and addresses of numbers."""
        if not getattr(self._library, f"ionscape_potential_{what}")(self.address, *addresses):
            message = "the potential could not be evaluated: there is no memory, or no thread, left for it"
            raise CalculationError(message)

    def _listed_of(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic
    ) -> tuple[LengthArray, CellArray, int]:
        x = np.ascontiguousarray(positions, dtype=float).reshape(-1, 3)
        h = checked(cell, (3, 3), "cell")
        kinds = np.ascontiguousarray(species, dtype=np.int32)
        checked(kinds.astype(float), (len(x),), "species")
        key = (kinds.tobytes(), (bool(periodic[0]), bool(periodic[1]), bool(periodic[2])))
        if self._list is None or key != self._listed:
            self._list = NeighbourList(kinds, self.form.n_species, self.form.cutoff, self._skin, key[1])
            self._listed = key
        if self._skin > 0:
            self._list.update(x, h)
        else:
            self._list.build(x, h)
        return x, h, self._list.address


def design_rows(
    potential: Evaluator,
    frame: tuple[LengthArray, CellArray, Species, Periodic],
    inducing: list[NumberArray],
    amplitudes: tuple[float, ...],
) -> DesignRows:
    r"""Return the kernel sums of a frame with inducing environments, and their derivatives.

    The kernel is :math:`k(\hat p, q) = \sum_{\zeta} a_\zeta (\hat p \cdot q)^\zeta` between environments of one
    central species.

    Parameters
    ----------
    potential
        Its descriptor is used, in double precision; its energies are not.
    frame
        Positions (Å, (atoms, 3)), cell (Å, (3, 3)), species (atoms,) and which directions are periodic.
    inducing
        Normalised features of the inducing environments of every species, (M_z, D) each; M_z may be 0.
    amplitudes
        a₁, a₂ …, at most four.

    Raises
    ------
    InputError
        If the potential is of single precision, or shapes do not belong together.
    """
    if potential.precision != "double" or len(inducing) != potential.form.n_species or len(amplitudes) > 4:
        raise InputError(
            f"a potential of {potential.precision} precision, inducing environments of {len(inducing)} species, "
            f"{len(amplitudes)} amplitudes",
            where="design rows",
            expected=f"double precision, {potential.form.n_species} species and at most four amplitudes",
            remedy="Make the potential with precision='double'.",
        )
    environments = [
        checked(one, (len(one), potential.form.n_features), "inducing environments") for one in inducing
    ]
    return potential.kernel_sums(
        frame, environments, np.pad(np.array(amplitudes, float), (0, 4 - len(amplitudes)))
    )


def instructions() -> str:
    """Return the name of the instruction set that compiled potentials use on this machine."""
    return str(_declared().ionscape_instructions().decode())


def _as_c(form: CollapsedForm) -> _Form:
    # The arrays of `form` are read-only copies in C order, and outlive the call that reads them.
    arrays = (
        form.radial, form.radial_slopes, form.mixing, form.offsets, form.linear, form.quadratic, form.weights,
        form.pair, form.pair_slopes,
    )  # fmt: skip
    pair_nodes = 0 if form.pair is None else form.pair.shape[2]
    return _Form(
        form.n_species, form.n_radial, form.l_max, form.n_channels, len(form.radial), form.rank, pair_nodes,
        form.cutoff, form.pair_cutoff, form.epsilon,
        *(None if array is None else array.ctypes.data for array in arrays),
    )  # fmt: skip


def _declared() -> ctypes.CDLL:
    library = load()
    library.ionscape_instructions.restype = ctypes.c_char_p
    library.ionscape_potential_new.argtypes = [_Pointer, ctypes.c_int, ctypes.c_int]
    library.ionscape_potential_new.restype = _Pointer
    library.ionscape_potential_free.argtypes = [_Pointer]
    library.ionscape_potential_free.restype = None
    for name, arguments in (("evaluate", 7), ("descriptors", 6), ("adjoint", 7), ("rows", 10)):
        function = getattr(library, f"ionscape_potential_{name}")
        function.argtypes = [_Pointer] * arguments
        function.restype = ctypes.c_int
    return library
