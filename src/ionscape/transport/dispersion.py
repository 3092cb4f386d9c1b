r"""How far squared displacements scatter beyond normal, independent ions: few hops, ions that move together.

Over windows b of τ frames that do not overlap, c_b = Σ_i |Δr_i|². Normal walkers have Var(c)/⟨c⟩² = 2φ/(N d). Ions
that hop rarely have more: the fourth cumulant of a displacement grows with τ as the second does, so that the
number of hops in the run, not that of the windows, limits what is known. Its share of the variance of D is

    κ = max(v(τ) − 2φ/(N d), 0) (⟨c⟩ / 2 d N D τ)² τ/T,      v = Var(c)/⟨c⟩²

(the second factor because the localised part of the motion adds to ⟨c⟩ but nothing to the excess). v is taken
twice: from the sum of the variances of single ions, and from the variance of the sum. Their ratio R is 1 if ions
move independently and the size of a group if groups move together. Blocks of windows are taken together until v
stays the same: mobility that itself fluctuates slowly widens the interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ionscape.units import Area, Array, Count, Number

#: Window origins per window length: more adds little, since windows that overlap are not independent.
ORIGINS = 4
#: Fewest blocks from which a variance is taken, when ions are taken one by one.
FEWEST_BLOCKS = 6
#: Prior of R when ions move together: log-uniform up to this.
LARGEST_GROUP = 100.0


@dataclass(frozen=True)
class Dispersion:
    """Scatter of squared displacements over windows.

    Attributes
    ----------
    independent
        Relative variance of the sum over ions if they move independently, for windows of `window` frames.
    together
        The same from the sum itself.
    blocks
        Number of blocks of windows.
    window
        Length of a window, frames.
    mean
        Mean-square displacement in a window, per ion, Å².
    ions
        Number of ions.
    """

    independent: Number
    together: Number
    blocks: Count
    window: Count
    mean: Area
    ions: Count

    @property
    def ratio(self) -> float:
        """R: how much larger the variance is than that of ions that move independently."""
        return self.together / self.independent

    @property
    def probability_of_groups(self) -> float:
        """Posterior probability that ions move together, prior ½."""
        freedom = max(self.blocks - 1, 1)
        true = np.geomspace(1 / LARGEST_GROUP**0.25, LARGEST_GROUP, 120)
        likely = stats.chi2.pdf(self.ratio * freedom / true, freedom) / true
        groups = np.trapezoid(likely, np.log(true)) / np.log(true[-1] / true[0])
        alone = max(float(stats.chi2.pdf(self.ratio * freedom, freedom)), 1e-300)
        return float(groups / (groups + alone))


def dispersion(positions: Array, window: int) -> Dispersion:
    """Return the scatter of squared displacements over windows of `window` frames.

    Parameters
    ----------
    positions
        Unwrapped Cartesian positions, Å, (frames, ions, d), at least 3 windows long.
    window
        τ, frames.
    """
    origins = np.unique(np.linspace(0, window, min(ORIGINS, window), endpoint=False).astype(int))
    series = [_squared(positions, window, int(origin)) for origin in origins]
    mean = float(np.mean([c.mean() for c in series]))
    size = _block_size(series)
    independent = np.mean([_variance(_blocks(c, size)).sum() for c in series]) * size
    together = np.mean([_variance(_blocks(c, size).sum(axis=1)) for c in series]) * size
    ions = positions.shape[1]
    whole = (mean * ions) ** 2
    return Dispersion(
        max(float(independent / whole), 1e-12), float(together / whole), len(series[0]) // size, window, mean, ions
    )


def _squared(positions: Array, window: int, origin: int) -> Array:
    """Return squared displacements over the windows that begin at `origin`, (windows, ions)."""
    seen = np.asarray(positions[origin::window], dtype=float)
    return np.asarray(((seen[1:] - seen[:-1]) ** 2).sum(axis=2))


def _blocks(series: Array, size: int) -> Array:
    count = len(series) // size
    return np.asarray(series[: count * size].reshape(count, size, -1).mean(axis=1))


def _variance(values: Array) -> Array:
    return np.asarray(values.var(axis=0, ddof=1))


def _block_size(series: list[Array]) -> int:
    """Return the number of windows in a block beyond which the variance of single ions grows no more."""
    size, chosen = 1, 1
    value = float(np.mean([_variance(c).sum() for c in series]))
    while len(series[0]) // (2 * size) >= FEWEST_BLOCKS:
        size *= 2
        per_ion = np.mean([_variance(_blocks(c, size)) for c in series], axis=0) * size
        larger, share = float(per_ion.sum()), per_ion / max(float(per_ion.sum()), 1e-300)
        error = np.sqrt(2 / (len(series[0]) // size - 1) * float(share @ share))
        if larger > value * (1 + 1.5 * error):
            chosen, value = size, larger
    return chosen
