r"""Strain of two lattices that are brought into one.

Rows of F and S (2 × 2) are matching vectors of film and substrate. The map F⁻¹S = P R takes the film's into the
substrate's, P symmetric (the stretch, in the film's axes) and R a rotation; its principal stretches λ₁, λ₂ are the
eigenvalues of P. If the film takes the share w of the misfit, the common cell is

    C = F P^w R,    ε_film = P^w − 1,    ε_substrate = Rᵀ P^(w−1) R − 1

*Mean strain*: (|ln λ₁| + |ln λ₂|) / 2, the mean absolute principal strain of the whole misfit, whoever takes it up
and whichever crystal is called film; 0 for a rotation.
"""

from __future__ import annotations

import numpy as np

from ionscape.units import Array


def stretches(film: Array, substrate: Array) -> tuple[Array, Array]:
    """Return stretches P and rotations R with F⁻¹S = P R, (n, 2, 2) each.

    Parameters
    ----------
    film, substrate
        F and S, (n, 2, 2), Å, of the same handedness.
    """
    left, values, right = np.linalg.svd(np.linalg.solve(film, substrate))
    return left * values[..., None, :] @ left.swapaxes(-1, -2), left @ right


def powers(stretch: Array, exponent: float) -> Array:
    """Return symmetric positive matrices, (n, 2, 2), to a power."""
    values, vectors = np.linalg.eigh(stretch)
    return np.asarray(vectors * values[..., None, :] ** exponent @ vectors.swapaxes(-1, -2))


def mean_strains(film: Array, substrate: Array) -> Array:
    """Return the mean absolute principal strains, (n,), that take film lattices into the substrate's.

    Singular values of a 2 × 2 matrix in closed form; the handedness of the vectors plays no part.

    Parameters
    ----------
    film, substrate
        Matching vectors, (n, 2, 2), Å.
    """
    (f11, f12), (f21, f22) = film[:, 0].T, film[:, 1].T
    area = f11 * f22 - f12 * f21
    inverse = np.stack([f22, -f12, -f21, f11], axis=1).reshape(-1, 2, 2) / area[:, None, None]
    m11, m12, m21, m22 = (inverse @ substrate).reshape(-1, 4).T
    same, cross = np.hypot(m11 + m22, m12 - m21) / 2, np.hypot(m11 - m22, m12 + m21) / 2
    return np.asarray((np.abs(np.log(same + cross)) + np.abs(np.log(np.abs(same - cross)))) / 2)
