"""Guards: why a run has to stop, before it goes on to numbers that mean nothing.

A guard looks at the state and says nothing, or says in one sentence what is wrong, with the numbers. All that a
guard remembers is part of the checkpoint, so that a continued run stops where the uninterrupted one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from numba import njit

from ionscape.dynamics.settings import DynamicsSettings
from ionscape.dynamics.unwrapping import nearest_images
from ionscape.units import (
    Array,
    CellArray,
    Count,
    Energy,
    FractionalArray,
    Indices,
    Length,
    LengthArray,
    Number,
    Temperature,
    Time,
)

#: Added to the highest temperature allowed, K: a start from an unrelaxed structure is no runaway.
UNRELAXED_K = 1000.0
#: A drift is judged after this time, fs, and so many frames.
DRIFT_AFTER_FS, DRIFT_AFTER_FRAMES = 500.0, 20
#: A drift counts if it exceeds the scatter about it by this factor.
DRIFT_ABOVE_SCATTER = 4.0


@dataclass(frozen=True)
class Sample:
    """State of a run at a frame.

    Attributes
    ----------
    time
        Since the start of the phase (equilibration or production), fs.
    positions
        Unwrapped, Å, (atoms, 3).
    cell
        Lattice vectors as rows, Å, (3, 3).
    energy
        Potential energy, eV.
    temperature
        Instantaneous temperature, K.
    conserved
        The conserved energy, eV; None if the integrator conserves none.
    """

    time: Time
    positions: LengthArray
    cell: CellArray
    energy: Energy
    temperature: Temperature
    conserved: Energy | None = None


class DriftLine:
    """Least-squares line through an energy against time, kept as six sums."""

    def __init__(self) -> None:
        self.sums = np.zeros(7)  # n, first energy, Σt, Σe, Σtt, Σte, Σee; energies counted from the first

    def add(self, time: Time, energy: Energy) -> None:
        """Add a point, fs and eV."""
        if not self.sums[0]:
            self.sums[1] = energy
        e = energy - self.sums[1]
        self.sums += (1, 0, time, e, time * time, time * e, e * e)

    def slope(self) -> Number:
        """Return the slope, eV/fs; 0 with fewer than two points."""
        n, _, t, e, tt, te, _ = self.sums
        spread = n * tt - t * t
        return float((n * te - t * e) / spread) if spread > 0 else 0.0

    def scatter(self) -> Energy:
        """Return the root-mean-square distance from the line, eV."""
        n, _, t, e, _, te, ee = self.sums
        if n < 3:
            return 0.0
        rest = (ee - e * e / n) - self.slope() * (te - t * e / n)
        return float(np.sqrt(max(rest, 0.0) / n))


class Guards:
    """All guards of a phase of a run.

    Parameters
    ----------
    settings
        Their limits, and the conditions they refer to.
    symbols
        Element of every atom.
    positions, cell
        At the start of the phase: the reference of the host and of the volume, Å.
    """

    def __init__(
        self, settings: DynamicsSettings, symbols: tuple[str, ...], positions: LengthArray, cell: CellArray
    ) -> None:
        self._settings = settings
        self._limits = settings.guards
        self._symbols = symbols
        self._radii = np.array([covalent_radii[atomic_numbers[symbol]] for symbol in symbols])
        self._host = np.array([symbol not in settings.mobile for symbol in symbols])
        self._masses = _masses(symbols)
        self.drift = DriftLine()
        self._place(positions, cell)

    def _place(self, positions: LengthArray, cell: CellArray) -> None:
        self._start, self._cell = positions.copy(), cell.copy()
        self._spacing = _neighbour_distance(self._start[self._host], self._cell) if self._watches_host() else 0.0

    def _watches_host(self) -> bool:
        return bool(self._settings.mobile) and int(self._host.sum()) > 1

    def state(self) -> dict[str, Array]:
        """Return all that the guards remember."""
        return {"guard_start": self._start, "guard_cell": self._cell, "guard_drift": self.drift.sums}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Put back what `state` returned."""
        self._place(state["guard_start"], state["guard_cell"])
        self.drift.sums = np.array(state["guard_drift"])

    def glance(self, energy: Energy, temperature: Temperature) -> str:
        """Return what is wrong with energy (eV) and temperature (K) after a step; empty if nothing."""
        if not (np.isfinite(energy) and np.isfinite(temperature)):
            return f"energy not finite (potential energy {energy} eV, temperature {temperature} K)"
        if temperature > self.hottest:
            return f"temperature runaway: {temperature:.0f} K, limit {self.hottest:.0f} K"
        return ""

    @property
    def hottest(self) -> Temperature:
        """Largest instantaneous temperature, K."""
        degrees = max(3 * len(self._symbols) - 3, 1)
        factor = self._limits.hottest + 6 * np.sqrt(2 / degrees)  # fluctuations of a small cell are no runaway
        return float(factor * self._settings.temperature_K + UNRELAXED_K)

    def closest(self, kinds: Indices, count: Count) -> LengthArray:
        """Return the smallest distance of atoms of each two of `count` kinds, Å, (count, count).

        Parameters
        ----------
        kinds
            Number of each atom's kind, one kind an element, (atoms,).
        count
            Number of kinds; 0 Å where there is no atom of one.
        """
        radii = np.zeros(count)
        radii[kinds] = self._radii
        there = np.outer(radii > 0, radii > 0)
        return np.where(there, self._limits.closest_approach * (radii[:, None] + radii), 0.0)

    def approach(self, i: int, j: int, distance: Length) -> str:
        """Return what is wrong with atoms `i` and `j` at a distance, Å."""
        limit = self._limits.closest_approach * (self._radii[i] + self._radii[j])
        return (
            f"atoms too close: {self._symbols[i]}{i} and {self._symbols[j]}{j} at {distance:.2f} Å, "
            f"limit {limit:.2f} Å"
        )

    def look(self, sample: Sample, *, at_distances: bool = True) -> str:
        """Return what is wrong at a frame; empty if nothing.

        Distances are left out without `at_distances`: an engine may have looked at them already, at lower cost.
        """
        found = self._volume(sample) or (at_distances and self._distances(sample)) or self._molten(sample)
        if found or sample.conserved is None:
            return found
        self.drift.add(sample.time, sample.conserved)
        return self._drifting(sample)

    def _volume(self, sample: Sample) -> str:
        ratio = float(np.linalg.det(sample.cell) / np.linalg.det(self._cell))
        if 1 / self._limits.volume_factor < ratio < self._limits.volume_factor:
            return ""
        return f"the volume changed by a factor of {ratio:.2f}, limit {self._limits.volume_factor:g}"

    def _distances(self, sample: Sample) -> str:
        fractional = sample.positions @ np.linalg.inv(sample.cell)
        i, j, part = closest_pair(fractional, sample.cell, self._radii)
        if part >= self._limits.closest_approach:
            return ""
        return self.approach(i, j, part * (self._radii[i] + self._radii[j]))

    def _molten(self, sample: Sample) -> str:
        if not self._watches_host():
            return ""
        moved = (sample.positions @ np.linalg.inv(sample.cell)) - (self._start @ np.linalg.inv(self._cell))
        moved = (moved @ sample.cell)[self._host]
        weights = self._masses[self._host] / self._masses[self._host].sum()
        msd = float(((moved - weights @ moved) ** 2).sum(axis=1).mean())
        limit = self._limits.host_melts_at * self._spacing
        if msd <= limit**2:
            return ""
        return (
            f"host melted: mean-square displacement of its {int(self._host.sum())} atoms {msd:.2f} Å² after "
            f"{sample.time / 1000:.2f} ps, limit {limit**2:.2f} Å² ({self._limits.host_melts_at:g} of the mean "
            f"distance of neighbours {self._spacing:.2f} Å, squared)"
        )

    def _drifting(self, sample: Sample) -> str:
        line = self.drift
        if sample.time < DRIFT_AFTER_FS or line.sums[0] < DRIFT_AFTER_FRAMES:
            return ""
        rate = 1e6 * line.slope() / len(self._symbols)
        gained = abs(line.slope()) * sample.time
        limit = self._limits.largest_drift_meV_per_atom_per_ps
        if abs(rate) <= limit or gained <= DRIFT_ABOVE_SCATTER * line.scatter():
            return ""
        return f"the conserved energy drifts by {rate:.3g} meV/atom/ps, limit {limit:g}"


def _masses(symbols: tuple[str, ...]) -> Array:
    from ionscape.dynamics.drift import masses_of

    return masses_of(symbols)


def _neighbour_distance(positions: LengthArray, cell: CellArray) -> Length:
    """Return the mean over atoms of the distance to the nearest other atom, Å."""
    nearest = []
    for index, position in enumerate(positions):
        images = nearest_images(np.delete(positions, index, axis=0) - position, cell)
        nearest.append(np.sqrt((images**2).sum(axis=1).min()))
    return float(np.mean(nearest))


def closest_pair(fractional: FractionalArray, cell: CellArray, radii: LengthArray) -> tuple[int, int, Number]:
    """Return the two atoms that are closest in parts of the sum of their radii, and that part.

    Exact while their distance is below half of the smallest distance of lattice planes; images of an atom itself
    are left out.

    Parameters
    ----------
    fractional
        Fractional positions in any image, (atoms, 3).
    cell
        Lattice vectors as rows, Å, (3, 3).
    radii
        Radii of the atoms, Å, (atoms,).
    """
    i, j, part = _closest(np.ascontiguousarray(fractional), np.ascontiguousarray(cell), radii)
    return int(i), int(j), float(part)


@njit(cache=True, nogil=True)
def _closest(s, h, radii):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    first, second, best = 0, 0, np.inf
    for i in range(len(s)):
        for j in range(i):
            a = s[i, 0] - s[j, 0]
            b = s[i, 1] - s[j, 1]
            c = s[i, 2] - s[j, 2]
            a -= np.rint(a)
            b -= np.rint(b)
            c -= np.rint(c)
            x = a * h[0, 0] + b * h[1, 0] + c * h[2, 0]
            y = a * h[0, 1] + b * h[1, 1] + c * h[2, 1]
            z = a * h[0, 2] + b * h[1, 2] + c * h[2, 2]
            reach = radii[i] + radii[j]
            part = (x * x + y * y + z * z) / (reach * reach)
            if part < best:
                first, second, best = i, j, part
    return first, second, np.sqrt(best)
