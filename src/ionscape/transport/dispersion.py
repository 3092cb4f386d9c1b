r"""Variance of a diffusion coefficient from the run itself: few hops, ions that move together, changing mobility.

The estimate is, for small changes, a sum over modes of the power of displacements, and this one over time,

    2 D δ = Σ_p h_p S_p = 1/(N d) Σ_i Σ_t z_i(t),    z_i(t) = v_i(t) · w_i(t),    w_i the modes of v_i times h_p

h the influence of every mode (`extrapolation`). Its variance is the power of z at frequency zero, whatever the
statistics of the displacements (the sandwich estimate with a long-run variance: Newey & West, Econometrica 55, 703
(1987), doi:10.2307/1913610),

    Var = n P(0) / (N d²),    P(k) = 1/N Σ_i ẑ_ik²,    ẑ_ik the k-th cosine mode of z_i over the run of n frames

Of normal walkers P is known from the spectrum S of displacements; hops, of which there are few, and mobility that
fluctuates, of relaxation rate s, add to it:

    P(k)/P_n(0) = f(k) + x [1 − a + a s²/(g_k + s²) + b g_k/(g_k + s²)]
    f(k) = Σ_p (h_p + h_{p+k})² S_p S_{p+k} / Σ_p 4 h_p² S_p²

(a or b is 0: b > 0 where bounded motion, flips between two places, is not normal and averages out). x, a, b and
s have a posterior; those of x are the excess of the variance over that of normal walkers. The scatter from ion
to ion over the whole run, k = 0, is not used: ions may differ for ever. The modes of the sum over ions, (Σ_i
ẑ_ik)²/N, have one degree of freedom instead of N, but hold for ions that move together: in groups of R ions (R
times P), or by turns (another x). The three are weighed by their evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft

from ionscape.results import frozen
from ionscape.transport.relaxation import Observed, observed
from ionscape.transport.spectrum import DisplacementSpectrum, amplitude_blocks, bin_edges
from ionscape.units import Array, Number, NumberArray

#: Parts of the run whose means are held, and the share of their modes that the averaging leaves as they are.
PARTS, SHARE = 1024, 0.25
#: Excess x at which the posterior is evaluated; its prior is 1/(1 + x)².
EXCESSES = np.concatenate(
    [np.linspace(0.01, 0.5, 14, endpoint=False), np.geomspace(0.5, 60, 48), np.geomspace(70, 1e5, 30)]
)
#: Shares a, rises b, and the number of rates s between `SLOWEST` modes and all of them.
FALLS = (0.25, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.94, 0.97, 1.0)
RISES, RATES, SLOWEST = (0.5, 2.0, 8.0), 20, 1.0
#: Sizes of groups: log-uniform.
GROUPS = np.geomspace(1.0, 100.0, 60)
#: Levels of the quantiles by which posteriors are given.
LEVELS = (np.arange(31) + 0.5) / 31


@dataclass(frozen=True)
class Dispersion:
    """Variance of 2 D δ over that of normal, independent walkers.

    Attributes
    ----------
    normal
        Variance of 2 D δ of normal, independent walkers, Å⁴.
    independent
        x if ions move independently: quantiles of its posterior.
    in_turns
        x from the sum over ions.
    banded
        Σ_k x a s²/(g_k + s²) over k ≥ 1, every term less the last one, if ions move independently: how far powers
        of neighbouring modes fluctuate together. Median of its posterior, 0 where scatter that falls is not
        more probable than that it does not.
    probability_of_groups, probability_of_turns
        Posterior probabilities that ions move in groups, and that they are mobile at the same time; 0 for one ion.
    group_size
        R, the most likely one.
    """

    normal: Number
    independent: NumberArray
    in_turns: NumberArray
    banded: Number
    probability_of_groups: Number
    probability_of_turns: Number
    group_size: Number


def dispersion(
    positions: Array, spectrum: DisplacementSpectrum, influence: Array, phi: Array, workers: int = 1
) -> Dispersion:
    """Return the variance of Σ_p h_p S_p as the run shows it.

    Parameters
    ----------
    positions
        Unwrapped Cartesian positions, Å, (frames, ions, d).
    spectrum
        Power of their displacements.
    influence
        h_p of the lowest modes, (modes used,).
    phi
        Variance of the power of every mode over that of equal ions, (modes,).
    workers
        Threads of the transforms.
    """
    n, ions = spectrum.modes, spectrum.ions
    weight = np.zeros(n)
    weight[: len(influence)] = influence
    size = max(n // PARTS, 1)
    own, summed = _modes(positions, weight, size, workers)
    power = np.repeat(spectrum.binned(spectrum.power), np.diff(spectrum.edges))
    normal = 2 * float((weight * power) ** 2 @ phi) / (ions * spectrum.dimensions)
    unit = normal * ions * spectrum.dimensions**2 / (n * size)
    shape = _normal_shape(weight, power, len(own))
    own, summed, shape = own / unit, summed / unit, shape[1:]
    apart = _seen(own.mean(axis=1), _effective(own))
    joined = _seen(summed / ions, 1.0)
    known = np.add.reduceat(shape, bin_edges(len(shape))[:-1]) / joined.widths
    alone, turns = _Posterior(apart, known), _Posterior(joined, known)
    groups = np.array([_log_likelihood(joined, size * alone.fitted) for size in GROUPS])
    odds = _odds(_log_likelihood(joined, alone.fitted), groups, turns) if ions > 1 else (0.0, 0.0)
    return Dispersion(
        normal=normal,
        independent=frozen(alone.quantiles(LEVELS)),
        in_turns=frozen(turns.quantiles(LEVELS)),
        banded=alone.banded(),
        probability_of_groups=odds[0],
        probability_of_turns=odds[1],
        group_size=float(GROUPS[np.argmax(groups)]),
    )


def shape_noise(shapes: Dispersion) -> float:
    """Return 1 + x, x the excess of the variance of what tells shapes apart (`extrapolation.Limit.unseen`).

    Hops that come in pairs, there and back, and hops that stay are counted each for itself; their numbers are as
    uncertain as few hops are, and the low modes against the high ones with them. A likelihood of normal amplitudes
    takes that for shape. It is raised to the power 1/(1 + x), so that the ratio of likelihoods of two shapes has
    the variance that it should have (Chandler & Bate, Biometrika 94, 167 (2007), doi:10.1093/biomet/asm015).
    """
    return 1.0 if shapes.probability_of_groups > 0.5 else 1 + float(np.median(shapes.independent))


def _modes(positions: Array, weight: Array, size: int, workers: int) -> tuple[Array, Array]:
    """Return ẑ² of the means of z over `size` frames by mode and ion, and of their sum by mode, without k = 0."""
    n, ions = len(weight), positions.shape[1]
    parts = n // size
    most = max(parts // 2 if size == 1 else round(SHARE * parts), 2)
    own, total, start = np.empty((most, ions)), np.zeros(parts), 0
    for moved, amplitude in amplitude_blocks(positions, workers):
        filtered = fft.dst(amplitude * weight, type=1, norm="ortho", axis=-1, workers=workers, overwrite_x=True)
        z = np.einsum("iat,iat->it", moved, filtered)[:, : parts * size].reshape(-1, parts, size).mean(axis=2)
        own[:, start : start + len(z)] = (fft.dct(z, type=2, norm="ortho", axis=1)[:, 1 : most + 1] ** 2).T
        total += z.sum(axis=0)
        start += len(z)
    return own, np.asarray(fft.dct(total, type=2, norm="ortho")[1 : most + 1] ** 2)


def _normal_shape(weight: Array, power: Array, most: int) -> Array:
    """Return f(k) for k = 0 … `most`, 1 for k = 0.

    Pairs of modes p, q with |p − q| = k, and, at the ends of the spectrum, p + q = k and 2(n + 1) − k.
    """
    n = len(weight)
    length = fft.next_fast_len(2 * n + 2, real=True)
    flat, once, twice = (fft.rfft(np.append(0.0, weight**j * power), length) for j in range(3))
    apart = fft.irfft(2 * (twice * flat.conj()).real + 2 * np.abs(once) ** 2, length)
    summed = fft.irfft(twice * flat + once**2, length)
    k = np.arange(most + 1)
    found = apart[k] + np.where(k > 0, summed[k] + summed[2 * (n + 1) - np.maximum(k, 2)], 0.0)
    return np.asarray(found / apart[0])


def _effective(own: Array) -> float:
    """Return the number of ions that share the scatter equally, from its power by mode and ion."""
    share = own.sum(axis=0) / max(float(own.sum()), 1e-300)
    noise = 1 + 2 / len(own)
    return max(noise / max(float(share @ share), 1e-300), 1.0)


def _seen(power: Array, freedom: float) -> Observed:
    edges = bin_edges(len(power))
    return observed(power, edges, np.full(len(edges) - 1, freedom))


class _Posterior:
    """Posterior of the excess x of a spectrum in units of the normal one, `known` its shape in the bins."""

    def __init__(self, seen: Observed, known: Array) -> None:
        rates = np.geomspace(SLOWEST, max(seen.used, 2 * SLOWEST), RATES)
        squared = (np.pi * rates[:, None] / (seen.modes + 1)) ** 2
        falls = squared / (seen.shape.mean(axis=1) + squared)
        forms = [1 + a * (fall - 1) for a in FALLS for fall in falls]
        forms += [1 + b * (1 - fall) for b in RISES for fall in falls]
        # white, falling and rising scatter have the prior probabilities ½, ¼, ¼
        chance = np.repeat(
            [0.25 / (len(FALLS) * RATES), 0.25 / (len(RISES) * RATES), 0.5],
            [len(FALLS) * RATES, len(RISES) * RATES, 1],
        )
        forms.append(np.ones(len(known)))
        fallen = np.array([a * (fall - fall[-1]) @ seen.widths for a in FALLS for fall in falls])
        self._fallen = np.append(fallen, np.zeros(len(forms) - len(fallen)))
        mean = known + EXCESSES[:, None, None] * np.array(forms)
        likelihood = -(np.log(mean) + seen.power / mean) @ seen.weight
        best = np.unravel_index(np.argmax(likelihood), likelihood.shape)
        prior = np.gradient(EXCESSES / (1 + EXCESSES))
        joint = np.exp(likelihood - likelihood[best]) * chance * prior[:, None]
        probability = joint.sum(axis=1)
        self._joint = joint / joint.sum()
        self.fitted = mean[best]
        self.log_evidence = float(likelihood[best] + np.log(probability.sum()))
        self._summed = np.cumsum(probability) / probability.sum()

    def banded(self) -> float:
        """Return the median of x times the sum over the falling part of its form."""
        values = np.outer(EXCESSES, self._fallen).ravel()
        order = np.argsort(values)
        summed = np.cumsum(self._joint.ravel()[order])
        return float(values[order[min(int(np.searchsorted(summed, 0.5)), len(order) - 1)]])

    def quantiles(self, levels: Array) -> Array:
        return np.interp(levels, np.append(0.0, self._summed), np.append(0.0, EXCESSES))


def _log_likelihood(seen: Observed, mean: Array) -> float:
    return -float(seen.weight @ (np.log(mean) + seen.power / mean))


def _odds(alone: float, groups: Array, turns: _Posterior) -> tuple[float, float]:
    """Return the probabilities of groups and of turns; prior ¼ each, ½ that ions move independently."""
    best = max(alone, groups.max(), turns.log_evidence)
    shares = [0.5 * math.exp(alone - best), 0.25 * float(np.exp(groups - best).mean())]
    shares.append(0.25 * math.exp(turns.log_evidence - best))
    return shares[1] / sum(shares), shares[2] / sum(shares)
