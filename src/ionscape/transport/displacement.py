r"""Mean-square displacements over all time origins, by Fourier transform.

    M_αβ(m) = 1/(T − m) Σ_t ⟨Δr_α Δr_β⟩,    Δr = r(t + m) − r(t),    t = 0 … T − m − 1

⟨⟩ is the mean over ions. Expanding the product leaves sums of r_α(t) r_β(t), which accumulate, and a correlation,
which is a product of spectra padded to twice the length: O(T log T) for all lags (Calandrini et al., École
thématique de la Société Française de la Neutronique 12, 201 (2011), doi:10.1051/sfn/201112010). Spectra are summed
over ions before the one transform back; everything is accumulated in float64, about each ion's first position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numba as nb
import numpy as np
from scipy import fft

from ionscape.dynamics.series import release
from ionscape.errors import InputError, nearest
from ionscape.results import frozen
from ionscape.transport.diffusion import charge_positions, checked
from ionscape.units import AreaArray, Array, Count, Indices, TimeArray

#: Numbers of float64 held at once, 4 MB: what is transformed stays in the cache.
BLOCK = 500_000
#: Fewer ions than these at once would read the same memory several times.
FEWEST_IONS = 4
#: Frames that are rearranged at a time.
TILE = 64


@dataclass(frozen=True)
class Displacement:
    """Time-averaged mean-square displacement.

    Attributes
    ----------
    times
        Lags, fs, (lags,), from 0.
    tensor
        M_αβ, Å², (lags, d, d).
    n_ions, n_frames
        Size of the sample.
    """

    times: TimeArray
    tensor: AreaArray
    n_ions: Count
    n_frames: Count

    @property
    def total(self) -> Array:
        """⟨|Δr|²⟩, Å², (lags,)."""
        return np.asarray(np.einsum("maa->m", self.tensor))

    @property
    def directions(self) -> Array:
        """⟨Δr_α²⟩, Å², (lags, d)."""
        return np.asarray(np.einsum("maa->ma", self.tensor))

    @property
    def standard_error(self) -> Array:
        """Standard error of `total`, Å², (lags,), of independent random walkers.

        Var M / M² = 2 tr C²/(N tr² C) V(m): C the tensor, V(m) the relative variance of a mean over overlapping
        windows (Qian, Sheetz & Elson, Biophys. J. 60, 910 (1991), doi:10.1016/S0006-3495(91)82125-7). A scale for
        plots: errors at different lags are correlated, and few hops or ions that move together make them larger.
        The interval of D comes from `diffusion`.
        """
        squared = np.einsum("mab,mba->m", self.tensor, self.tensor)
        return np.asarray(np.sqrt(2 * squared / self.n_ions * _overlap(len(squared), self.n_frames)))


def mean_squared_displacement(
    positions: Array, frame_interval: float, *, longest: int | None = None, workers: int = 1
) -> Displacement:
    """Return the self mean-square displacement, its mean over ions.

    Parameters
    ----------
    positions
        Unwrapped Cartesian positions, Å, (frames, ions, d), float32 or float64; a memory map will do.
    frame_interval
        Time between frames, fs.
    longest
        Longest lag, frames; all by default.
    workers
        Threads of the transforms.

    Raises
    ------
    InputError
        As `ionscape.transport.diffusion.checked`.
    """
    checked(positions, frame_interval)
    frames, ions, dimensions = positions.shape
    length = fft.next_fast_len(2 * frames - 1, real=True)
    products = np.zeros((dimensions, dimensions, length // 2 + 1))
    squares = np.zeros((dimensions, dimensions, frames))
    for block in _blocks(positions, length):
        _accumulate_squares(block, squares)
        _accumulate(fft.rfft(block, axis=-1, workers=workers), products)
    correlation = fft.irfft(products, length, axis=-1)[..., :frames].transpose(2, 0, 1)
    tensor = _displacements(squares.transpose(2, 0, 1), correlation) / ions
    last = frames if longest is None else min(longest + 1, frames)
    return Displacement(
        frozen(np.asarray(np.arange(last) * frame_interval, dtype=float)), frozen(tensor[:last]), ions, frames
    )


def collective_displacement(
    positions: Array, charges: Array, frame_interval: float, *, longest: int | None = None
) -> Displacement:
    """Return the mean-square displacement of the charge, ⟨|Σ z_i Δr_i|²⟩ / Σ z_i².

    One walker instead of many: its error is about √N times that of the self displacement. `charges` z_i in e,
    (ions,); other arguments and errors as `mean_squared_displacement`.
    """
    checked(positions, frame_interval)
    return mean_squared_displacement(charge_positions(positions, charges), frame_interval, longest=longest)


def element_displacements(
    positions: Array,
    symbols: Sequence[str],
    frame_interval: float,
    *,
    longest: int | None = None,
    workers: int = 1,
) -> Mapping[str, Displacement]:
    """Return the mean-square displacement of every element in `symbols` (one per atom); as above otherwise."""
    if len(symbols) != positions.shape[1]:
        raise InputError(
            f"{len(symbols)} symbols",
            where="elements of a trajectory",
            expected=f"{positions.shape[1]}, one for every atom",
            remedy=nearest("", set(symbols)),
        )
    names = np.asarray(symbols)
    return {
        str(name): mean_squared_displacement(
            positions[:, names == name], frame_interval, longest=longest, workers=workers
        )
        for name in dict.fromkeys(symbols)
    }


def ion_displacements(positions: Array, lags: Indices, *, workers: int = 1) -> AreaArray:
    """Return the mean-square displacement of every ion over all origins, Å², (lags, ions), `lags` in frames."""
    frames, ions, _ = positions.shape
    length = fft.next_fast_len(2 * frames - 1, real=True)
    found = np.empty((len(lags), ions))
    start = 0
    for block in _blocks(positions, length):
        spectra = fft.rfft(block, axis=-1, workers=workers)
        power = (spectra.real**2 + spectra.imag**2).sum(axis=1)
        correlation = fft.irfft(power, length, axis=-1, workers=workers)[:, :frames].T
        squares = (block[..., :frames] ** 2).sum(axis=1).T
        found[:, start : start + len(block)] = _displacements(squares, correlation)[lags]
        start += len(block)
    return found


def _blocks(positions: Array, length: int) -> Iterator[Array]:
    """Yield positions of some ions about their first ones, (ions, d, length), zero beyond the last frame.

    Every block lies in the memory of the one before.
    """
    _, ions, dimensions = positions.shape
    step = min(max(FEWEST_IONS, BLOCK // (length * dimensions)), ions)
    memory = np.zeros((step, dimensions, length))
    for start in range(0, ions, step):
        block = np.asarray(positions[:, start : start + step])
        _arrange(block, memory)
        release(positions)
        yield memory[: block.shape[1]]


@nb.njit(cache=True)
def _arrange(block: Array, found: Array) -> None:
    """Write positions (frames, ions, d) about the first ones to `found`, (ions, d, length), tile by tile."""
    frames, ions, dimensions = block.shape
    for start in range(0, frames, TILE):
        for i in range(ions):
            for a in range(dimensions):
                origin = np.float64(block[0, i, a])
                for t in range(start, min(start + TILE, frames)):
                    found[i, a, t] = np.float64(block[t, i, a]) - origin


@nb.njit(cache=True)
def _accumulate_squares(block: Array, squares: Array) -> None:
    """Add Σ_i r_α r_β of every frame, `block` (ions, d, length), to `squares` (d, d, frames)."""
    ions, dimensions, _ = block.shape
    for i in range(ions):
        for a in range(dimensions):
            for b in range(a + 1):
                x, y, out = block[i, a], block[i, b], squares[a, b]
                for t in range(len(out)):
                    out[t] += x[t] * y[t]
    for a in range(dimensions):
        for b in range(a):
            squares[b, a] = squares[a, b]


def _displacements(squares: Array, correlation: Array) -> Array:
    """Return M from Σ r_α r_β of every frame and Σ_t r_α(t) r_β(t + m), both with frames or lags first."""
    frames = len(squares)
    up = np.concatenate([np.zeros_like(squares[:1]), np.cumsum(squares, axis=0)])
    first, last = up[frames - np.arange(frames)], up[-1] - up[:frames]
    origins = (frames - np.arange(frames)).reshape(-1, *[1] * (squares.ndim - 1))
    found = (first + last - 2 * correlation) / origins
    found[0] = 0.0
    return np.asarray(found)


@nb.njit(cache=True)
def _accumulate(spectra: Array, products: Array) -> None:
    """Add Re X_α X_β* of all ions, `spectra` (ions, d, frequencies), to `products` (d, d, frequencies)."""
    ions, dimensions, number = spectra.shape
    for i in range(ions):
        for a in range(dimensions):
            for b in range(dimensions):
                if b > a:
                    continue
                x, y, out = spectra[i, a], spectra[i, b], products[a, b]
                for f in range(number):
                    out[f] += x[f].real * y[f].real + x[f].imag * y[f].imag
    for a in range(dimensions):
        for b in range(a):
            products[b, a] = products[a, b]


def _overlap(lags: int, frames: int) -> Array:
    """Return the variance of a mean of squares over overlapping windows of a walk, over that of one window."""
    m = np.maximum(np.arange(lags), 1).astype(float)
    k = frames - m
    short = (4 * m**2 * k + 2 * k + m - m**3) / (6 * m * k**2)
    long = 1 + (k**3 - 4 * m * k**2 + 4 * m - k) / (6 * m**2 * k)
    return np.asarray(np.where(m <= k, short, long))
