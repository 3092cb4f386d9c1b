"""A nudged elastic band that is relaxed on a Gaussian process of the level, which is asked only where it matters.

After GP-NEB (Koistinen et al., doi:10.1063/1.4986787) and ML-NEB (Garrido Torres et al.,
doi:10.1103/PhysRevLett.122.156001). The process learns from every evaluation of the path and of the relaxation
of its ends. The band moves on it until it is relaxed or an image leaves what is known; then one image is
evaluated at the level. It ends when the forces *of the level* are within the tolerances, so that the process
decides how many evaluations a path costs, never what it gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from ase import Atoms

from ionscape.migration.array_band import relax_band
from ionscape.migration.gaussian_process import SurfaceProcess
from ionscape.migration.pair_trend import PairTrend
from ionscape.migration.settings import BandSettings
from ionscape.migration.state import BandState, band_state, climbing_image
from ionscape.migration.surface import LevelSurface, Sample, SurfaceCalculator
from ionscape.units import Array

#: Images whose energy is less certain than this are evaluated before the band goes on, eV.
UNSURE = 0.05
#: No atom of an image moves farther than this from the nearest evaluation before it is evaluated itself, Å.
FARTHEST = 0.5
#: Frames of the relaxation of an end that the process learns from, the last ones.
END_FRAMES = 8
#: The band is relaxed on the process to this part of the tolerance of the level.
TIGHTER = 0.3
#: Steps of the band on one process.
STEPS = 250
#: A band whose longest segment is longer than the shortest by this factor has gone astray.
UNEVEN = 2.5
#: Length scales that are tried, Å.
LENGTHS = np.geomspace(0.3, 6.0, 14)
#: Later ones among which the most likely is taken, as parts of the last.
NEXT_LENGTHS = np.array([0.8, 1.0, 1.25])

#: Why an image is evaluated: the process is not sure of it; it climbs, and decides; only the others are left.
Reason = Literal["unsure", "saddle", "rest"]


class _Known:
    """A Gaussian process of the free coordinates of all images."""

    def __init__(self, samples: list[Sample], free: Array, lengths: Array, trend: PairTrend) -> None:
        self.free = free
        self._points = np.array([sample.positions[free] for sample in samples])
        gradients = -np.array([sample.forces[free] for sample in samples])
        energies = np.array([sample.energy for sample in samples])
        self.process = SurfaceProcess(self._points, energies, gradients, lengths, trend)

    def farthest(self, points: Array) -> tuple[int, float]:
        """Return the inner one of `points` that is farthest from the nearest evaluation, and how far it is, Å."""
        apart = np.abs(points[1:-1, None] - self._points[None]).max(axis=-1).min(axis=1)
        return 1 + int(np.argmax(apart)), float(apart.max())


def evaluations(
    images: list[Atoms], surface: LevelSurface, start: list[Sample], settings: BandSettings
) -> Iterator[BandState | None]:
    """Yield after every evaluation: the state of the band at the level once all images were evaluated, else None.

    Parameters
    ----------
    images
        Ends and inner images; these move in place. Ends have calculators.
    surface
        The level.
    start
        Evaluations to begin with, of both ends at least.
    settings
        Springs, climbing and tolerances.
    """
    free = free_coordinates(images[0])
    first, samples = surface.calls, list(start)
    laid = np.array([image.positions[free] for image in images])
    surface.at(images[len(images) // 2].positions)
    yield None
    settled, lengths = False, LENGTHS
    trend = PairTrend(images, free)
    while True:
        known = _Known([*samples, *surface.samples[first:]], free, lengths, trend)
        lengths = known.process.length * NEXT_LENGTHS
        chosen = None if settled else _relaxed(images, laid, known, settings)
        why: Reason = "unsure"
        if chosen is None:
            chosen, why = _next(images, surface, known, settings)
        if chosen is None:
            settled = False
            yield _at_level(images, surface, settings)
            continue
        sample = surface.at(images[chosen].positions)
        settled = settled or why == "rest" or (why == "saddle" and _is_saddle(sample, free, settings))
        yield None


def free_coordinates(atoms: Atoms) -> Array:
    """Return which coordinates may move, (atoms, 3)."""
    probe = np.ones((len(atoms), 3))
    for constraint in atoms.constraints:
        constraint.adjust_forces(atoms, probe)
    return probe != 0


def _relaxed(images: list[Atoms], laid: Array, known: _Known, settings: BandSettings) -> int | None:
    """Relax the band on the process; return the image that left what is known, if one did.

    It goes on from where the last process left it, unless that led its images astray: then from where it was laid.
    """
    tight = TIGHTER * settings.fmax_eV_per_A, TIGHTER * settings.path_fmax_eV_per_A
    far = None

    def watch(points: Array, climbing: int | None, forces: Array) -> bool:
        nonlocal far
        image, distance = known.farthest(points)
        if distance > FARTHEST:
            far = image
            return True
        left = np.abs(forces).max(axis=1)
        allowed = np.where(np.arange(1, len(points) - 1) == climbing, *tight)
        return bool((left <= (allowed if climbing is not None else tight[0])).all())

    start = np.array([image.positions[known.free] for image in images])
    steps = np.linalg.norm(np.diff(start, axis=0), axis=1)
    start = start if steps.max() < UNEVEN * steps.min() else laid
    relaxed = relax_band(start, known.process.predict, settings.spring_eV_per_A2, STEPS, settings.climb, watch)
    for image, point in zip(images[1:-1], relaxed[1:-1], strict=True):
        positions = image.positions.copy()
        positions[known.free] = point
        image.set_positions(positions, apply_constraint=False)
    return far


def _next(
    images: list[Atoms], surface: LevelSurface, known: _Known, settings: BandSettings
) -> tuple[int | None, Reason]:
    """Return the image to evaluate next (None once all are), and why.

    The least certain one as long as it is not sure; then the climbing one, which decides; then the others.
    """
    unknown = [k for k in range(1, len(images) - 1) if not surface.knows(images[k].positions)]
    if not unknown:
        return None, "rest"
    points = np.array([image.positions[known.free] for image in images])
    climbing = climbing_image(known.process.predict(points)[0], climb=settings.climb)
    unsure = {k: known.process.deviation(points[k]) for k in unknown}
    worst = max(unsure, key=lambda k: unsure[k])
    if unsure[worst] > UNSURE:
        return worst, "saddle" if worst == climbing else "unsure"
    return (climbing, "saddle") if climbing in unknown else (worst, "rest")


def _is_saddle(sample: Sample, free: Array, settings: BandSettings) -> bool:
    """Tell whether the forces that the level gives at the climbing image are within the tolerance."""
    forces = np.where(free, sample.forces, 0.0)
    return float(np.sqrt((forces**2).sum(axis=1).max())) <= settings.fmax_eV_per_A


def _at_level(images: list[Atoms], surface: LevelSurface, settings: BandSettings) -> BandState:
    for image in images[1:-1]:
        image.calc = SurfaceCalculator(surface)
    return band_state(images, climb=settings.climb)
