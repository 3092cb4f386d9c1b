"""The evaluation of a collapsed potential in Numba and NumPy, for machines without the compiled core.

The same numbers as `ionscape.potential.core`, some ten times slower in single precision and six in double, on one
thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.neighborlist import primitive_neighbor_list

from ionscape.potential.evaluation import Descriptors, DesignRows, Forces, Periodic, Precision, Species, checked
from ionscape.potential.form import CollapsedForm
from ionscape.potential.neighbour_sums import (
    Basis,
    Pairs,
    add_forces,
    add_pairs,
    densities,
    displacements,
    harmonic_factors,
    hermite_cells,
    mix,
    spectra,
    spectra_adjoint,
)
from ionscape.units import Array, CellArray, EnergyArray, ForceArray, Indices, Length, LengthArray, NumberArray

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class FallbackPotential:
    """A collapsed potential without compiled code; arguments and results as those of `CompiledPotential`.

    Parameters
    ----------
    form
        What to evaluate.
    precision
        ``"single"`` or ``"double"``.
    skin
        Neighbours are listed this far beyond the cutoff and the list is kept while it holds, Å.
    """

    def __init__(self, form: CollapsedForm, precision: Precision = "single", skin: Length = 0.0) -> None:
        self.form, self.precision, self._skin = form, precision, skin
        kind: Any = np.float32 if precision == "single" else np.float64
        radial = hermite_cells(form.cutoff, form.radial, form.radial_slopes).astype(kind)
        factors = (one.astype(kind) for one in harmonic_factors(form.l_max))
        self._kind, self._basis = kind, Basis(kind(form.cutoff), form.l_max, radial, *factors)
        degrees = np.repeat(np.arange(form.l_max + 1), 2 * np.arange(form.l_max + 1) + 1)
        # (S, Q, S N, lm): the matrix of a degree stands once for each m, so that lm is the innermost loop.
        self._mixing = (
            None if form.mixing is None else np.moveaxis(form.mixing[:, degrees], 1, -1).astype(kind, "C")
        )
        self._pair_cells = np.zeros(0)
        if form.pair is not None and form.pair_slopes is not None:
            by_node = (np.moveaxis(one, 2, 0) for one in (form.pair, form.pair_slopes))
            self._pair_cells = np.moveaxis(hermite_cells(form.pair_cutoff, *by_node), (0, 1), (2, 3)).copy()
        self._triangle = np.triu_indices(form.n_channels)
        self._list: tuple[Any, ...] | None = None

    def evaluate(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic = (True, True, True)
    ) -> Forces:
        """Return energies, forces and virial."""
        pairs = self._pairs(positions, cell, species, periodic)
        d, features, norms = self._features(pairs)
        energies, gradient = self._energies(features, pairs.species)
        forces, virial = self._back(pairs, d, features, norms, gradient)
        if self.form.pair is not None:
            add_pairs(pairs, self.form.pair_cutoff, self._pair_cells, (energies, forces, virial))
        return Forces(energies, forces, virial)

    def descriptors(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic = (True, True, True)
    ) -> Descriptors:
        """Return the normalised power spectra of all atoms."""
        _, features, norms = self._features(self._pairs(positions, cell, species, periodic))
        return Descriptors(features.astype(float), norms.astype(float))

    def adjoint(
        self,
        gradient: EnergyArray,
        positions: LengthArray,
        cell: CellArray,
        species: Species,
        periodic: Periodic = (True, True, True),
    ) -> tuple[ForceArray, EnergyArray]:
        """Return forces and virial of an energy whose derivative with respect to the features is given."""
        pairs = self._pairs(positions, cell, species, periodic)
        d, features, norms = self._features(pairs)
        return self._back(
            pairs, d, features, norms, checked(gradient, features.shape, "gradient").astype(self._kind)
        )

    def kernel_sums(
        self,
        frame: tuple[LengthArray, CellArray, Species, Periodic],
        inducing: list[NumberArray],
        amplitudes: Array,
    ) -> DesignRows:
        """Return what `design_rows` does, of arguments that fit."""
        pairs = self._pairs(*frame)
        d, features, norms = self._features(pairs)
        first = np.cumsum([0, *(len(one) for one in inducing)])
        rows = DesignRows(np.zeros((1 + 3 * len(d) + 6, first[-1])))
        energy, forces, virial = rows.energy, rows.forces.reshape(len(d), 3, -1), rows.virial
        squares = [self._square(one) for one in inducing]
        own = self._square(features)
        for i, z in enumerate(pairs.species):
            here = slice(first[z], first[z + 1])
            s = inducing[z] @ features[i]
            powers = [a * s**k for k, a in enumerate(amplitudes)]
            energy[here] += s * sum(powers)
            steepness = sum((k + 1) * one for k, one in enumerate(powers)) / norms[i]
            h = steepness[:, None, None] * (
                self._times(squares[z], d[i]) - s[:, None, None] * self._times(own[i], d[i])
            )
            h = h if self._mixing is None else np.einsum("qcl,mql->mcl", self._mixing[z], h, optimize=True)
            begin, end = pairs.start[i], pairs.start[i + 1]
            r, j = pairs.vectors[begin:end], pairs.neighbour[begin:end]
            pull = self._pulls(r, pairs.species[j], h)
            np.subtract.at(forces[:, :, here], j, pull)
            forces[i, :, here] += pull.sum(axis=0)
            for k, (a, b) in enumerate(_VOIGT):
                virial[k, here] -= r[:, a] @ pull[:, b]
        return rows

    def _pulls(self, vectors: Array, kinds: Indices, h: Array) -> Array:
        """Return dk/dr of pairs, (pairs, 3, M), from dk/dc (M, S N, lm)."""
        displacement = displacements(vectors, self._basis)
        gradient = h.reshape(len(h), self.form.n_species, self.form.n_radial * h.shape[2])
        pull = np.empty((len(vectors), 3, len(h)))
        for s in np.unique(kinds):
            chosen = kinds == s
            pull[chosen] = displacement[chosen].reshape(-1, 3, gradient.shape[2]) @ gradient[:, s].T
        return pull

    def _features(self, pairs: Pairs) -> tuple[Array, Array, Array]:
        """Return d (atoms, Q, lm), normalised features and their norms."""
        c = densities(pairs, self._basis, self.form.n_species)
        d = c if self._mixing is None else mix(self._mixing, pairs.species, c)
        p = spectra(d, self.form.l_max)
        norms = np.sqrt((p**2).sum(axis=1) + self._kind(self.form.epsilon) ** 2)
        return d, p / norms[:, None], norms

    def _energies(self, features: Array, species: Indices) -> tuple[Array, Array]:
        form, gradient = self.form, np.zeros_like(features)
        energies = form.offsets[species]
        for z in np.unique(species):
            here = species == z
            p, g = features[here], np.zeros_like(features[here])
            if form.quadratic is not None:
                v = form.quadratic[z].astype(self._kind)
                g = p @ v if form.weights is None else p @ v * form.weights[z].astype(self._kind) @ v.T
            energies[here] += (p * g).sum(axis=1)
            g = 2 * g
            if form.linear is not None:
                w = form.linear[z].astype(self._kind)
                energies[here] += p @ w
                g += w
            gradient[here] = g
        return energies, gradient

    def _back(
        self, pairs: Pairs, d: Array, features: Array, norms: Array, gradient: Array
    ) -> tuple[ForceArray, EnergyArray]:
        along = (features * gradient).sum(axis=1, keepdims=True)
        h = spectra_adjoint(d, (gradient - along * features) / norms[:, None], self.form.l_max)
        if self._mixing is not None:
            h = mix(self._mixing.swapaxes(1, 2).copy(), pairs.species, h)
        forces, virial = np.zeros((len(d), 3)), np.zeros((3, 3))
        add_forces(pairs, self._basis, h, forces, virial)
        return forces, virial

    def _square(self, features: Array) -> Array:
        """Return A(p), (…, L + 1, Q, Q), with d(p . p(d))/dd = A(p) d for fixed p."""
        (q, r), degrees = self._triangle, self.form.l_max + 1
        square = np.zeros((len(features), degrees, self.form.n_channels, self.form.n_channels))
        square[:, :, q, r] = features.reshape(-1, degrees, len(q)) * np.where(q == r, 1, np.sqrt(2))
        return square + square.swapaxes(2, 3)

    def _times(self, square: Array, d: Array) -> Array:
        parts = [square[..., k, :, :] @ d[:, k * k : (k + 1) ** 2] for k in range(self.form.l_max + 1)]
        return np.concatenate(parts, axis=-1)

    def _pairs(self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic) -> Pairs:
        x, h = checked(positions, (len(species), 3), "positions"), checked(cell, (3, 3), "cell")
        kinds = np.ascontiguousarray(species, dtype=np.int64)
        if not self._list_covers(x, h, kinds, periodic):
            i, j, image = primitive_neighbor_list("ijS", periodic, h, x, self.form.cutoff + self._skin)
            self._list = (
                x.copy(),
                h.copy(),
                kinds,
                tuple(periodic),
                np.searchsorted(i, np.arange(len(x) + 1)),
                i,
                j,
                image,
            )
        *_, start, i, j, image = self._list or ()
        return Pairs(start, j, (x[j] - x[i] + image @ h).astype(self._kind), kinds)

    def _list_covers(self, x: Array, h: Array, kinds: Indices, periodic: Periodic) -> bool:
        if self._list is None or self._skin <= 0 or self._list[3] != tuple(periodic):
            return False
        if not (np.array_equal(self._list[1], h) and np.array_equal(self._list[2], kinds)):
            return False
        return float(((x - self._list[0]) ** 2).sum(axis=1).max(initial=0)) < (self._skin / 2) ** 2
