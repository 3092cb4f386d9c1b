r"""Which of many frames tell most: greedy choice by the leverage of their environments.

For a linear model of the features p of environments of species z, with a prior of precision λ, frames taught leave
the precision :math:`A_z = \lambda 1 + \sum_i p_i p_i^T`. Another frame with features :math:`P_z` (rows) tells

.. math:: g = \sum_z \ln \det (1 + P_z A_z^{-1} P_z^T) ,

the sum over its environments of :math:`\ln(1 + \text{leverage})` where they are unlike one another. The frame of
largest g comes next (D-optimal design). g only falls when more is taught, so that frames whose last g is below the
best new one need no second look.

Sources: Podryabinkin & Shapeev, Comput. Mater. Sci. 140 (2017) 171, doi:10.1016/j.commatsci.2017.08.031; Minoux,
Optimization Techniques, Springer (1978) 234, doi:10.1007/BFb0006528.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from ionscape.potential.descriptor import Descriptor, by_atomic_number
from ionscape.potential.frames import Frame
from ionscape.potential.settings import TrainingSettings
from ionscape.potential.training import Told, baseline_of
from ionscape.units import Array, Count, Indices, Number, NumberArray

#: Precision of the prior λ: features that differ by less than its root tell the same.
PRIOR = 1e-4


def telling_frames(
    frames: Sequence[Frame], count: Count, settings: TrainingSettings, told: Told | None = None
) -> list[Count]:
    """Return the indices of the `count` frames that tell most, those that tell most first.

    Parameters
    ----------
    frames
        Labelled frames; labels play no part.
    count
        Frames to choose; all if there are no more.
    settings
        Whose descriptor is used.
    told
        Told of progress.
    """
    descriptor = Descriptor(by_atomic_number({s for frame in frames for s in frame.symbols}), settings.descriptor)
    baseline, parts = baseline_of(descriptor), []
    for number, frame in enumerate(frames):
        if told is not None:
            told("choice of frames", number, len(frames))
        kinds = descriptor.indices(list(frame.symbols), "frames")
        found = baseline.descriptors(frame.positions, frame.cell, kinds, frame.periodic).features
        parts.append(_by_species(found, kinds, len(descriptor.species)))
    return greedy(parts, count)


def greedy(frames: Sequence[Sequence[NumberArray]], count: Count) -> list[Count]:
    """Return the indices of the frames that tell most, in the order of the choice.

    Parameters
    ----------
    frames
        Features of the environments of each frame, by species, (n, D).
    count
        Frames to choose; all if there are no more.
    """
    size = [(part.shape[1]) for part in frames[0]] if frames else []
    covariances: list[Array] = [np.eye(each) / PRIOR for each in size]
    waiting = [(-np.inf, index) for index in range(len(frames))]
    chosen: list[int] = []
    while waiting and len(chosen) < count:
        _, index = heapq.heappop(waiting)
        gain = _gain(frames[index], covariances)
        if waiting and -gain > waiting[0][0]:  # another may tell more
            heapq.heappush(waiting, (-gain, index))
            continue
        chosen.append(index)
        covariances = [_after(part, one) for part, one in zip(frames[index], covariances, strict=True)]
    return chosen


def _gain(frame: Sequence[NumberArray], covariances: Sequence[Array]) -> Number:
    return sum(
        float(np.linalg.slogdet(np.eye(len(part)) + part @ one @ part.T)[1])
        for part, one in zip(frame, covariances, strict=True)
    )


def _after(part: NumberArray, covariance: Array) -> Array:
    """Return the covariance (A + Pᵀ P)⁻¹ from A⁻¹."""
    across = part @ covariance
    return np.asarray(covariance - across.T @ np.linalg.solve(np.eye(len(part)) + across @ part.T, across))


def _by_species(features: NumberArray, kinds: Indices, n_species: Count) -> list[NumberArray]:
    return [features[kinds == kind] for kind in range(n_species)]
