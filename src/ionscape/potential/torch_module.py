"""The collapsed form as a PyTorch module: the same numbers on a GPU, in batches, and wherever TorchScript runs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ionscape.potential.evaluation import Precision
from ionscape.potential.form import CollapsedForm
from ionscape.potential.neighbour_sums import harmonic_factors, hermite_cells
from ionscape.units import Array, Count, Indices

#: Pairs whose densities are held in memory at once by `forces_of`.
PAIRS_AT_ONCE = 2**18


class Batch(NamedTuple):
    """Structures one after another: atoms are counted through all of them.

    Attributes
    ----------
    positions
        Å, (atoms, 3), double precision.
    cells
        Lattice vectors as rows, Å, (structures, 3, 3), double precision.
    species
        Species of the atoms, 0 … S − 1, (atoms,).
    structure
        Structure of each atom, (atoms,).
    pairs
        Centre and neighbour of all pairs, each counted from either side, sorted by centre, (2, pairs); some may be
        farther apart than the cutoff.
    images
        Lattice vectors of the neighbour's image, (pairs, 3), in the type of the cells.
    """

    positions: Tensor
    cells: Tensor
    species: Tensor
    structure: Tensor
    pairs: Tensor
    images: Tensor


class BatchForces(NamedTuple):
    """Energies, forces and virials of a batch, in double precision.

    Attributes
    ----------
    atom_energies
        eV, (atoms,).
    forces
        eV/Å, (atoms, 3).
    virials
        Minus the derivative of each structure's energy with respect to strain, eV, (structures, 3, 3).
    """

    atom_energies: Tensor
    forces: Tensor
    virials: Tensor


class TorchPotential(torch.nn.Module):
    """A collapsed potential (`CollapsedForm`) of which autograd knows everything.

    Distances and sums over atoms are in double precision. On a GPU sums over neighbours have no fixed order, so
    results repeat themselves to rounding only.

    Parameters
    ----------
    form
        What to evaluate.
    precision
        Of features and gradients: ``"single"`` or ``"double"``.
    """

    def __init__(self, form: CollapsedForm, precision: Precision = "double") -> None:
        super().__init__()
        kind = torch.float32 if precision == "single" else torch.float64
        up, down, _ = harmonic_factors(form.l_max)
        self.up, self.down = up.tolist(), down.tolist()
        self.cutoff, self.pair_cutoff = float(form.cutoff), float(form.pair_cutoff if form.pair is not None else 0)
        self.l_max, self.n_species, self.n_radial = form.l_max, form.n_species, form.n_radial
        self.epsilon = float(form.epsilon)
        rows, columns = np.triu_indices(form.n_channels)
        linear = np.zeros((form.n_species, form.n_features)) if form.linear is None else form.linear
        vectors, weights = _quadratic(form)
        self.offsets = _buffer(form.offsets, torch.float64)
        self.radial = _buffer(hermite_cells(form.cutoff, form.radial, form.radial_slopes), kind)
        self.mixing, self.linear = _buffer(_mixing(form), kind), _buffer(linear, kind)
        self.vectors, self.weights = _buffer(vectors, kind), _buffer(weights, kind)
        self.pair, self.pair_intervals = _buffer(_pair(form).reshape(-1, 4, 1), kind), _pair(form).shape[1]
        self.rows, self.columns = _buffer(rows, torch.int64), _buffer(columns, torch.int64)
        self.scale = _buffer(np.where(rows == columns, 1.0, np.sqrt(2.0)), kind)

    def forward(
        self, positions: Tensor, cells: Tensor, species: Tensor, structure: Tensor, pairs: Tensor, images: Tensor
    ) -> Tensor:
        """Return the energies of all atoms, eV, (atoms,), double precision; arguments as the fields of `Batch`."""
        vectors = displacements(positions, cells, structure, pairs, images)
        return self.atom_energies(vectors, pairs[0], species[pairs[1]], species)

    @torch.jit.export
    def atom_energies(self, vectors: Tensor, centres: Tensor, kinds: Tensor, species: Tensor) -> Tensor:
        """Return the energies of some atoms from the vectors to their neighbours, eV, (atoms,), double precision.

        Parameters
        ----------
        vectors
            From the centre to the neighbour, Å, (pairs, 3).
        centres
            Centre of each pair, as its place among the atoms, (pairs,).
        kinds
            Species of the neighbour of each pair, (pairs,).
        species
            Species of the atoms, (atoms,).
        """
        near = torch.nonzero((vectors.detach() ** 2).sum(dim=1) < self.cutoff**2).flatten()
        centres, kinds, vectors = centres[near], kinds[near], vectors[near]
        distances = torch.sqrt((vectors**2).sum(dim=1))
        r = distances.to(self.radial.dtype)
        harmonics = real_harmonics((vectors / distances[:, None]).to(r.dtype), self.l_max, self.up, self.down)
        products = interpolated(self.radial, r, self.cutoff)[:, :, None] * harmonics[:, None, :]
        c = torch.zeros(
            (species.shape[0] * self.n_species, self.n_radial, harmonics.shape[1]), dtype=r.dtype, device=r.device
        ).index_add(0, centres * self.n_species + kinds, products)
        c = c.reshape(species.shape[0], self.n_species * self.n_radial, harmonics.shape[1])
        energies = self.offsets[species]
        if self.pair_cutoff > 0.0:
            pairs = self._pair_energies(r, species[centres], kinds)
            energies = energies.index_add(0, centres, pairs.to(torch.float64))
        for z in range(self.n_species):
            here = torch.nonzero(species == z).flatten()
            energies = energies.index_add(0, here, self._many_body(c[here], z).to(torch.float64))
        return energies

    def _many_body(self, c: Tensor, z: int) -> Tensor:
        """Return the energies of atoms of species `z` without offsets and pairs from their densities."""
        degrees = []
        for l in range(self.l_max + 1):  # noqa: E741 # the field's name
            d = torch.matmul(self.mixing[z, l], c[:, :, l * l : (l + 1) * (l + 1)])
            degrees.append(torch.matmul(d, d.transpose(1, 2))[:, self.rows, self.columns] * self.scale)
        p = torch.cat(degrees, dim=1)
        p = p / torch.sqrt((p**2).sum(dim=1, keepdim=True) + self.epsilon**2)
        squares = torch.matmul(p, self.vectors[z]) ** 2
        return torch.matmul(p, self.linear[z]) + torch.matmul(squares, self.weights[z])

    def _pair_energies(self, r: Tensor, z: Tensor, s: Tensor) -> Tensor:
        """Return the centre's half of pair energies."""
        close = torch.nonzero(r.detach() < self.pair_cutoff).flatten()
        tables = (z[close] * self.n_species + s[close]) * self.pair_intervals
        energies = interpolated(self.pair, r[close], self.pair_cutoff, tables, self.pair_intervals)
        return torch.zeros_like(r).index_add(0, close, energies[:, 0] / 2)


def displacements(positions: Tensor, cells: Tensor, structure: Tensor, pairs: Tensor, images: Tensor) -> Tensor:
    """Return the vectors from centres to neighbours, Å, (pairs, 3); arguments as the fields of `Batch`."""
    apart = positions[pairs[1]] - positions[pairs[0]]
    if cells.shape[0] == 1:
        return apart + torch.matmul(images, cells[0])
    return apart + torch.matmul(images[:, None, :], cells[structure[pairs[0]]])[:, 0]


def real_harmonics(units: Tensor, l_max: int, up: list[list[float]], down: list[list[float]]) -> Tensor:
    """Return real Y_lm of unit vectors, (vectors, (l_max + 1)²), column l (l + 1) + m, by `harmonic_factors`."""
    x, y, z = units[:, 0], units[:, 1], units[:, 2]
    columns = [x] * ((l_max + 1) * (l_max + 1))
    cosine, sine = torch.ones_like(x), torch.zeros_like(x)
    for m in range(l_max + 1):
        below, here = torch.zeros_like(x), torch.full_like(x, up[m][m])
        for l in range(m, l_max + 1):  # noqa: E741 # the field's name
            if l > m:
                below, here = here, up[l][m] * z * here - down[l][m] * below
            columns[l * l + l - m] = here * sine
            columns[l * l + l + m] = here * cosine
        cosine, sine = x * cosine - y * sine, x * sine + y * cosine
    return torch.stack(columns, dim=1)


def interpolated(
    cells: Tensor, r: Tensor, cutoff: float, first: Tensor | None = None, intervals: int = 0
) -> Tensor:
    """Return cubic interpolants at distances below `cutoff`, (distances, N).

    Parameters
    ----------
    cells
        Coefficients (`hermite_cells`) of one table, (intervals, 4, N), or of several, one behind the other.
    r
        Å, (distances,).
    cutoff
        Å.
    first, intervals
        Where there are several tables: the first row of each distance's, (distances,), and the length of each.
    """
    if first is None:
        intervals = cells.shape[0]
    place = r * (intervals / cutoff)
    k = place.detach().to(torch.int64).clamp(0, intervals - 1)
    t = (place - k.to(r.dtype))[:, None]
    c = cells[k if first is None else k + first]
    return c[:, 0] + t * (c[:, 1] + t * (c[:, 2] + t * c[:, 3]))


def forces_of(potential: TorchPotential, batch: Batch, pairs_at_once: Count = PAIRS_AT_ONCE) -> BatchForces:
    """Return energies, forces and virials of a batch by autograd, atoms in portions so that memory suffices.

    Parameters
    ----------
    potential, batch
        On one device.
    pairs_at_once
        Atoms are taken together as long as they have no more pairs than this.
    """
    vectors = displacements(batch.positions, batch.cells, batch.structure, batch.pairs, batch.images)
    gradient = torch.zeros_like(vectors)
    energies = potential.offsets[batch.species]
    for first, last in _portions(batch.pairs[0], pairs_at_once):
        part = vectors[first:last].detach().requires_grad_()
        atoms, centres = torch.unique_consecutive(batch.pairs[0, first:last], return_inverse=True)
        kinds = batch.species[batch.pairs[1, first:last]]
        found = potential.atom_energies(part, centres, kinds, batch.species[atoms])
        (gradient[first:last],) = torch.autograd.grad(found.sum(), part)
        energies[atoms] = found.detach()
    forces = torch.zeros_like(batch.positions)
    forces = forces.index_add(0, batch.pairs[0], gradient).index_add(0, batch.pairs[1], -gradient)
    virials = torch.zeros_like(batch.cells)
    outer = -vectors.detach()[:, :, None] * gradient[:, None, :]
    return BatchForces(energies, forces, virials.index_add(0, batch.structure[batch.pairs[0]], outer))


def _portions(centres: Tensor, most: Count) -> list[tuple[int, int]]:
    """Return ranges of whole atoms' pairs, of at most `most` pairs where an atom has no more."""
    counts = torch.unique_consecutive(centres, return_counts=True)[1].cpu()
    ends = torch.cumsum(counts, 0).tolist()
    portions, first, last = [], 0, 0
    for end in ends:
        if end - first > most and last > first:
            portions.append((first, last))
            first = last
        last = end
    return [*portions, (first, last)] if last > first else portions


def _buffer(array: Array | Indices, kind: torch.dtype) -> Tensor:
    return torch.nn.Buffer(torch.tensor(np.ascontiguousarray(array)).to(kind))


def _mixing(form: CollapsedForm) -> Array:
    if form.mixing is not None:
        return form.mixing
    return np.broadcast_to(np.eye(form.n_channels), (form.n_species, form.l_max + 1, *2 * [form.n_channels]))


def _quadratic(form: CollapsedForm) -> tuple[Array, Array]:
    """Return columns V, (S, D, rank), and weights, (S, rank), of the quadratic form."""
    if form.quadratic is None:
        return np.zeros((form.n_species, form.n_features, 1)), np.zeros((form.n_species, 1))
    if form.weights is None:
        values, vectors = np.linalg.eigh(form.quadratic)
        return vectors, values
    return form.quadratic, form.weights


def _pair(form: CollapsedForm) -> Array:
    """Return coefficients of pair energies, (S², intervals, 4)."""
    if form.pair is None or form.pair_slopes is None:
        return np.zeros((form.n_species**2, 1, 4))
    by_node = (np.moveaxis(one, 2, 0).reshape(one.shape[2], -1) for one in (form.pair, form.pair_slopes))
    return hermite_cells(form.pair_cutoff, *by_node).transpose(2, 0, 1)
