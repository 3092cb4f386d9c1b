"""Grids of k-points from a density, so that cells of all sizes and shapes are sampled equally well."""

from __future__ import annotations

import numpy as np

from ionscape.units import Array, Count, Number

#: Lengths that differ by less than this part of one another count as equal, so that symmetric cells get
#: symmetric grids.
_EQUAL = 1e-4


def grid_of_density(cell: Array, atoms: Count, density: Number) -> tuple[int, int, int]:
    """Return the coarsest grid with at least `density` k-points per reciprocal atom.

    n_i = ⌈|b_i| / Δ⌉ with the largest spacing Δ along the reciprocal vectors for which N n_1 n_2 n_3 ≥ density,
    N the number of atoms. Spacing is the same in all directions, so elongated cells get few points along their
    long axis.

    Parameters
    ----------
    cell
        Lattice vectors as rows, Å, (3, 3); any shape.
    atoms
        Number of atoms in the cell.
    density
        k-points times atoms: 1000 in the source study.
    """
    lengths = np.linalg.norm(np.linalg.inv(cell), axis=0)
    most = int(np.ceil(density / atoms)) + 1
    spacings = np.unique(np.concatenate([length / np.arange(1, most + 1) for length in lengths]))[::-1]
    for spacing in spacings:
        grid = np.ceil(lengths / spacing * (1 - _EQUAL)).astype(int)
        if grid.prod() * atoms >= density:
            break
    return int(grid[0]), int(grid[1]), int(grid[2])


def wants_gamma(cell: Array) -> bool:
    """Return whether an even Monkhorst–Pack grid would break the symmetry of the lattice: an angle of 60° or 120°.

    Such grids are centred on Γ (hexagonal and face-centred lattices), as in the sets of the Materials Project.
    """
    normed = cell / np.linalg.norm(cell, axis=1)[:, None]
    cosines = np.abs([normed[0] @ normed[1], normed[0] @ normed[2], normed[1] @ normed[2]])
    return bool((np.abs(cosines - 0.5) < 0.01).any())
