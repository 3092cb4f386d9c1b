"""The collapsed potential as it is written: obvious loops, against which the fast cores are tested."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import sph_harm_y

from ionscape.potential.form import CollapsedForm


def hermite(r, cutoff, values, slopes):
    """Return the cubic Hermite interpolants at distance `r` of (nodes, n) values and slopes."""
    h = cutoff / (len(values) - 1)
    k = min(int(r / h), len(values) - 2)
    t = r / h - k
    a, b, da, db = values[k], values[k + 1], h * slopes[k], h * slopes[k + 1]
    return a + t * (da + t * (3 * (b - a) - 2 * da - db + t * (2 * (a - b) + da + db)))


def real_harmonics(l_max, vector):
    """Return real Y_lm of the direction of `vector`, a list over l of arrays (2l + 1)."""
    x, y, z = vector
    theta, phi = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    rows = []
    for degree in range(l_max + 1):
        row = [sph_harm_y(degree, 0, theta, phi).real]
        for m in range(1, degree + 1):
            value = np.sqrt(2) * sph_harm_y(degree, m, theta, phi)
            row += [value.real, value.imag]
        rows.append(np.array(row))
    return rows


def neighbours(positions, cell, periodic, cutoff, i):
    """Yield (j, vector from i to j) of all neighbours of atom i, images of itself among them."""
    vectors = [cell[k] for k in range(3) if periodic[k]]
    reach = np.zeros(len(vectors), dtype=int)
    if vectors:
        spread = np.ptp(positions, axis=0)
        reach = np.ceil(
            (cutoff + np.linalg.norm(spread)) * np.linalg.norm(np.linalg.pinv(np.array(vectors)), axis=0)
        )
    for image in itertools.product(*(range(-int(n), int(n) + 1) for n in reach)):
        shift = sum((n * v for n, v in zip(image, vectors, strict=True)), start=np.zeros(3))
        for j, position in enumerate(positions):
            vector = position + shift - positions[i]
            if (j != i or any(image)) and np.linalg.norm(vector) < cutoff:
                yield j, vector


def spectrum(form: CollapsedForm, positions, cell, species, periodic, i):
    """Return the unnormalised features of atom i."""
    c = [np.zeros((form.n_species, form.n_radial, 2 * degree + 1)) for degree in range(form.l_max + 1)]
    for j, vector in neighbours(positions, cell, periodic, form.cutoff, i):
        radial = hermite(np.linalg.norm(vector), form.cutoff, form.radial, form.radial_slopes)
        for degree, y in enumerate(real_harmonics(form.l_max, vector)):
            c[degree][species[j]] += np.outer(radial, y)
    features = []
    for degree in range(form.l_max + 1):
        d = c[degree].reshape(-1, 2 * degree + 1)
        if form.mixing is not None:
            d = form.mixing[species[i], degree] @ d
        for q in range(len(d)):
            features += [(1 if q == r else np.sqrt(2)) * (d[q] @ d[r]) for r in range(q, len(d))]
    return np.array(features)


def normalised(form, *structure):
    """Return the normalised features of all atoms and their norms."""
    p = np.array([spectrum(form, *structure, i) for i in range(len(structure[0]))]).reshape(-1, form.n_features)
    norms = np.sqrt((p**2).sum(axis=1) + form.epsilon**2)
    return p / norms[:, None], norms


def atom_energies(form: CollapsedForm, positions, cell, species, periodic):
    """Return the energy of every atom."""
    features, _ = normalised(form, positions, cell, species, periodic)
    energies = np.zeros(len(positions))
    for i, (z, p) in enumerate(zip(species, features, strict=True)):
        energies[i] = form.offsets[z]
        if form.linear is not None:
            energies[i] += form.linear[z] @ p
        if form.quadratic is not None:
            w = (
                form.quadratic[z]
                if form.weights is None
                else (form.quadratic[z] * form.weights[z]) @ form.quadratic[z].T
            )
            energies[i] += p @ w @ p
        for j, vector in neighbours(positions, cell, periodic, form.cutoff, i):
            r = np.linalg.norm(vector)
            if form.pair is not None and r < form.pair_cutoff:
                tables = form.pair[z, species[j]][:, None], form.pair_slopes[z, species[j]][:, None]
                energies[i] += 0.5 * hermite(r, form.pair_cutoff, *tables)[0]
    return energies


def forces_by_differences(energy, positions, step=1e-4):
    """Return minus the central differences of ``energy(positions)``."""
    forces = np.zeros_like(positions)
    for i, k in np.ndindex(*positions.shape):
        ends = []
        for sign in (1, -1):
            moved = positions.copy()
            moved[i, k] += sign * step
            ends.append(energy(moved))
        forces[i, k] = -(ends[0] - ends[1]) / (2 * step)
    return forces


def virial_by_differences(energy, positions, cell, step=1e-4):
    """Return minus the central differences of ``energy(positions, cell)`` with respect to strain."""
    virial = np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step
            ends.append(energy(positions @ strain.T, cell @ strain.T))
        virial[a, b] = -(ends[0] - ends[1]) / (2 * step)
    return virial
