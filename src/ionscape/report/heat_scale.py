"""Colours of a heat map of reaction energies: perceptually uniform, told apart with every colour vision.

The scale is matplotlib's *magma* without its ends (S. van der Walt & N. Smith, 2015): its lightness is monotonic,
so it can be read in grey. On white, the paler the weaker the reaction; on dark ground, the darker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex, to_rgb

#: Reaction energies that differ by less than this from none cannot be told from none, meV/atom.
NO_REACTION = 1.0
#: The scale ends at a multiple of this, meV/atom.
_STEP = 50.0
_DAY, _NIGHT = (0.985, 0.22), (0.14, 0.93)


@dataclass(frozen=True)
class HeatScale:
    """Colours between no reaction and the strongest one.

    Attributes
    ----------
    lowest
        Reaction energy at the end of the scale, meV/atom, negative.
    """

    lowest: float

    @classmethod
    def over(cls, lowest: float) -> HeatScale:
        """Return the scale that reaches the energy `lowest`, meV/atom, ending at the next multiple of 50."""
        return cls(-_STEP * max(1, math.ceil(round(-lowest / _STEP, 9))))

    def share(self, energy: float) -> float:
        """Return where `energy`, meV/atom, lies between no reaction (0) and the end of the scale (1)."""
        return float(np.clip(energy / self.lowest, 0.0, 1.0))

    def day(self, energy: float) -> str:
        """Return the colour of `energy` on white ground."""
        return to_hex(_magma(*_DAY)(self.share(energy)))

    def night(self, energy: float) -> str:
        """Return the colour of `energy` on dark ground."""
        return to_hex(_magma(*_NIGHT)(self.share(energy)))


def _magma(start: float, end: float) -> Colormap:
    colours = mpl.colormaps["magma"](np.linspace(start, end, 128))
    return LinearSegmentedColormap.from_list("reaction", colours, N=128)


def day_map() -> Colormap:
    """Return the colours on white ground, strongest reaction first, as matplotlib counts energies upwards."""
    return _magma(*_DAY).reversed()


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2), 0 for black and 1 for white."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (WCAG 2.2), from 1 to 21; text needs at least 4.5."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def readable(ground: str) -> str:
    """Return the colour of text, black or white, that contrasts most with `ground`: at least 4.5 on any."""
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, ground))
