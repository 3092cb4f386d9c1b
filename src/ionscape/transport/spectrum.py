r"""Power spectrum of displacements: what a run tells about diffusion, in nearly independent numbers.

The displacements from frame to frame, v_t = r_{t+1} − r_t, t = 0 … n − 1, are projected on sines,

    V_p = √(2/(n+1)) Σ_t v_t sin(π p (t+1)/(n+1)),        S_p = ⟨V_p²⟩ per ion and direction,   p = 1 … n

For a random walk of diffusivity D seen with independent noise of variance u² in every position the V_p are
*exactly* independent and normal, S_p = 2 D δ + u² g_p with g_p = 4 sin²(π p / 2(n+1)): the sines diagonalise the
covariance of the displacements (Vestergaard, Blainey & Flyvbjerg, Phys. Rev. E 89, 022726 (2014),
doi:10.1103/PhysRevE.89.022726). For any motion that is diffusive in the long run, S_p → 2 D δ for p → 0, and
rattling and back-jumps show as a rise with p. Means of squared displacements over all origins carry the same
information, but their errors at different lags are strongly correlated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft

from ionscape.dynamics.series import release
from ionscape.results import frozen
from ionscape.units import AreaArray, Array, Count, Indices, NumberArray

#: Modes below this number stay alone; above, bins widen by 2^(1/4).
SINGLE_MODES = 12
BINS_PER_OCTAVE = 4
#: Numbers of float64 held at once while modes are computed, 64 MB.
BLOCK = 8_000_000


@dataclass(frozen=True)
class DisplacementSpectrum:
    """Power of displacements by mode.

    Attributes
    ----------
    power
        S_p, mean over ions and directions, Å², (modes,).
    tensor
        ⟨V_pα V_pβ⟩, mean over ions, in bins, Å², (bins, d, d).
    scatter
        Σ_i ½ (S_{p+1,i} − S_{p,i})² over the ions, S_{p,i} summed over directions: the variance of the power of
        mode p if ions are independent, from the data alone; Å⁴, (modes − 1,).
    edges
        First mode of every bin, and the number of modes, (bins + 1,).
    ions
        Number of ions.
    dimensions
        Number of directions d.
    """

    power: AreaArray
    tensor: AreaArray
    scatter: AreaArray
    edges: Indices
    ions: Count
    dimensions: Count

    @property
    def modes(self) -> int:
        """Number of modes n: one less than the number of frames."""
        return len(self.power)

    @property
    def noise_shape(self) -> NumberArray:
        """g_p = 4 sin²(π p / 2(n+1)), the spectrum of independent noise in the positions, (modes,)."""
        return noise_shape(self.modes)

    def binned(self, values: Array) -> Array:
        """Return means of `values` (…, modes) over the bins, (…, bins)."""
        return np.add.reduceat(values, self.edges[:-1], axis=-1) / np.diff(self.edges)


def noise_shape(modes: int) -> Array:
    """Return g_p = 4 sin²(π p / 2(n+1)) for p = 1 … n."""
    return np.asarray(4 * np.sin(np.pi * np.arange(1, modes + 1) / (2 * (modes + 1))) ** 2)


def displacement_spectrum(positions: Array, workers: int = 1) -> DisplacementSpectrum:
    """Return the power of the displacements of ions by mode.

    Parameters
    ----------
    positions
        Unwrapped Cartesian positions, Å, (frames, ions, d); float32 or float64, a memory map will do: ions are
        read in blocks of at most 64 MB.
    workers
        Threads of the transforms.
    """
    frames, ions, dimensions = positions.shape
    modes = frames - 1
    edges = bin_edges(modes)
    power, scatter = np.zeros(modes), np.zeros(modes - 1)
    tensor = np.zeros((len(edges) - 1, dimensions, dimensions))
    for _, amplitude in amplitude_blocks(positions, workers):
        for one in amplitude:
            own = (one**2).sum(axis=0)
            power += own
            scatter += 0.5 * np.diff(own) ** 2
            for a in range(dimensions):
                for b in range(a + 1):
                    tensor[:, a, b] += np.add.reduceat(one[a] * one[b], edges[:-1]) / np.diff(edges)
    tensor += np.tril(tensor, -1).transpose(0, 2, 1)
    return DisplacementSpectrum(
        frozen(power / (ions * dimensions)), frozen(tensor / ions), frozen(scatter), edges, ions, dimensions
    )


def amplitude_blocks(positions: Array, workers: int = 1) -> Iterator[tuple[Array, Array]]:
    """Yield displacements v and their modes V of some ions, both (ions, d, modes); arguments as above."""
    frames, ions, dimensions = positions.shape
    step = max(1, BLOCK // (frames * dimensions))
    for start in range(0, ions, step):
        block = np.asarray(positions[:, start : start + step], dtype=float)
        release(positions)
        moved = np.ascontiguousarray(np.diff(block, axis=0).transpose(1, 2, 0))
        yield moved, fft.dst(moved, type=1, norm="ortho", axis=-1, workers=workers)


def bin_edges(modes: int) -> Indices:
    """Return the first mode of every bin and, last, the number of modes; single modes first, then wider bins."""
    edges = list(range(min(SINGLE_MODES, modes) + 1))
    while edges[-1] < modes:
        wider = round(edges[-1] * 2 ** (1 / BINS_PER_OCTAVE))
        edges.append(min(modes, max(edges[-1] + 1, wider)))
    return np.array(edges)
