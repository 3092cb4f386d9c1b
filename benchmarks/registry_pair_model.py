"""Energy of two rigid ionic slabs against the shift between them; needs NumPy only, so that peers can use it.

Formal charges with the damped, shifted Coulomb potential of Wolf (doi:10.1063/1.478738), cut at CUTOFF, and a
Born–Mayer repulsion that balances it at the sum of the ionic radii: smooth, corrugated like a real contact, with
steep overlaps, and fast enough for full grids. It stands for a level of theory; nothing of its numbers is physics.
"""

from __future__ import annotations

from math import erfc

import numpy as np

COULOMB, CUTOFF, DAMPING, SOFTNESS = 14.399645, 9.0, 0.25, 0.33
_RADII = np.linspace(0.05, CUTOFF, 4000)
_WOLF = np.array([erfc(DAMPING * r) / r for r in _RADII])


def pair_energy(model: dict[str, np.ndarray], shift: np.ndarray) -> float:
    """Return the energy of the contact, eV, with the film moved by `shift` (3,), Å.

    `model` holds positions ``film`` (n, 3) and ``substrate`` (m, 3), charges ``q_film``, ``q_substrate``, ionic
    radii ``r_film``, ``r_substrate``, and the in-plane ``cell`` (2, 2).
    """
    cell = model["cell"]
    reach = np.ceil((CUTOFF + 1.0) / np.abs(np.linalg.det(cell)) * np.linalg.norm(cell[::-1], axis=1)).astype(int)
    near_film = model["film"][:, 2].min() + 4.5
    near_substrate = model["substrate"][:, 2].max() - 4.5
    one, other = model["film"][:, 2] < near_film, model["substrate"][:, 2] > near_substrate
    lateral = np.asarray(shift[:2]) @ np.linalg.inv(cell)
    difference = model["film"][one][:, None] - model["substrate"][other][None]
    difference = difference + np.array([*((lateral - np.floor(lateral)) @ cell), shift[2]])
    sides = [np.arange(-n - 1, n + 2) for n in reach]
    images = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2) @ cell
    square = ((difference[None, :, :, :2] + images[:, None, None]) ** 2).sum(axis=-1) + difference[
        None, :, :, 2
    ] ** 2
    distance = np.sqrt(np.minimum(square, CUTOFF**2))
    charge = COULOMB * np.outer(model["q_film"][one], model["q_substrate"][other])
    contact = model["r_film"][one][:, None] + model["r_substrate"][other][None]
    wolf = np.interp(distance, _RADII, _WOLF) - _WOLF[-1]
    strength = COULOMB * 2.0 * SOFTNESS / contact**2
    repulsion = strength * (np.exp((contact - distance) / SOFTNESS) - np.exp((contact - CUTOFF) / SOFTNESS))
    return float((charge * wolf + repulsion).sum())
