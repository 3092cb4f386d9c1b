"""A nudged elastic band of which every image is evaluated in every iteration.

Improved tangents (doi:10.1063/1.1323224) and a climbing image (doi:10.1063/1.1329672), through ASE.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.mep import NEB
from ase.optimize import FIRE

from ionscape.migration.settings import BandSettings
from ionscape.migration.state import BandState, band_state, climbing_image

#: Largest force of the band, eV/Å, below which its highest image begins to climb.
CLIMB_BELOW = 0.5
#: Longest step of an atom in one iteration, Å.
LONGEST_STEP = 0.1


def iterations(images: list[Atoms], settings: BandSettings) -> Iterator[BandState]:
    """Yield the state of the band before its first and after every iteration; `images` move in place.

    Parameters
    ----------
    images
        Ends and inner images, each with its own calculator.
    settings
        Springs, climbing and tolerances.
    """
    band = NEB(images, k=settings.spring_eV_per_A2, climb=False, method="improvedtangent")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = FIRE(band, logfile=None, dt=0.1, maxstep=LONGEST_STEP)
        for _ in optimizer.irun(fmax=0.0, steps=settings.max_steps):
            yield band_state(images, climb=settings.climb)
            band.climb = _may_climb(band, images, settings)


def _may_climb(band: NEB, images: list[Atoms], settings: BandSettings) -> bool:
    energies = np.array([image.get_potential_energy() for image in images])
    if climbing_image(energies, climb=settings.climb) is None:
        return False
    largest = float(np.sqrt((band.get_forces() ** 2).sum(axis=1).max()))
    return bool(band.climb) or largest < CLIMB_BELOW
