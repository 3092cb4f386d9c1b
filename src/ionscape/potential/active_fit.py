"""A fit that grows: frames and inducing environments are added as they come; all is fitted anew now and then."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.descriptor import Descriptor
from ionscape.potential.evidence import Noise
from ionscape.potential.frames import Frame
from ionscape.potential.inducing import LEAST_VARIANCE, shared_choice
from ionscape.potential.kernel import DotProductKernel
from ionscape.potential.labels import frame_rows
from ionscape.potential.model import SparseModel
from ionscape.potential.regression import SparseRegression
from ionscape.potential.training import (
    WhitenedRows,
    baseline_of,
    candidate_environments,
    first_guess,
    kept_in_memory,
    kernel_matrix,
    noise_of,
    provenance_of,
)
from ionscape.potential.uncertainty import covariance_loss, whitened_kernels
from ionscape.potential.whitening import WhitenedSpace
from ionscape.units import GPA_PER_EV_PER_A3, Indices, NumberArray

#: Usual scatter of labels about a potential, kept for the kinds of which there are few: meV/atom, eV/Å, GPa.
_USUAL = Noise(energy=1e-3, force=0.05, stress=0.1 / GPA_PER_EV_PER_A3, signal=1.0)
#: Frames before the scatter of energies and stresses can be told from the data.
_ENOUGH = 10
#: Part of the inducing environments that is filled by share; the rest is for what is new.
_FILLED = 0.8


class GrowingFit:
    """A sparse-GP potential to which frames are added.

    A fit from the beginning is a function of the frames alone, and each frame after it adds to it: the same frames
    in the same order always give the same bits.

    Parameters
    ----------
    species
        Symbols of the potential, by atomic number.
    settings
        Descriptor, kernel, size, growth.
    """

    def __init__(self, species: tuple[str, ...], settings: LearningSettings) -> None:
        self._settings, asked = settings, settings.training
        self.descriptor = Descriptor(species, asked.descriptor)
        self.kernel = DotProductKernel(asked.powers)
        self.baseline = baseline_of(self.descriptor)
        self.frames: list[Frame] = []
        self._regression: SparseRegression
        self._kinds: list[Indices] = []

    def refit(self, frames: Sequence[Frame]) -> None:
        """Choose inducing environments and noise for `frames`, and fit to them from the beginning."""
        if self.frames:
            del self._regression  # it keeps all rows, as the new one will
        self.frames = list(frames)
        self._kinds = [self.descriptor.indices(list(one.symbols), "frames of the dear level") for one in frames]
        self._inducing = self._chosen()
        self._owner = np.repeat(np.arange(len(self._inducing)), [len(q) for q in self._inducing])
        guess = first_guess(self.frames, self._kinds, len(self._inducing))
        self._space = WhitenedSpace(guess, kernel_matrix(self._inducing, self.kernel), self.kernel.variance())
        count = len(self.frames)
        held = kept_in_memory(self.frames, self._space.columns)
        rows = [list(self._rows(number)) for number in range(held)]
        made_anew = (self._rows(number) for number in range(held, count))
        seen = itertools.chain.from_iterable(itertools.chain(rows, made_anew))
        few = count < _ENOUGH
        noise = noise_of(seen, self._space.columns, self._settings.training, _USUAL, (few, False, few))
        self._regression = SparseRegression(self._space, noise, grows=self._room() > 0)
        for number in range(count):  # each is let go once it is in: they are as large as the fit
            for block in rows.pop(0) if rows else self._rows(number):
                self._regression.add_whitened(*block)

    def add(self, frame: Frame, model: SparseModel) -> None:
        """Add `frame`, and its environments that the last `model` knows too little of."""
        kinds = self.descriptor.indices(list(frame.symbols), "frame of the dear level")
        self.frames.append(frame)
        self._kinds.append(kinds)
        rows = frame_rows(frame, kinds, self.baseline, self._inducing, self.kernel, self._space.guess)
        arrival = np.argsort(np.argsort(self._owner, kind="stable"), kind="stable")
        rows = type(rows)(rows.kinds, rows.labels, rows.offsets, rows.kernels[:, arrival])
        self._regression.add_rows(rows)
        features = self.baseline.descriptors(frame.positions, frame.cell, kinds, frame.periodic).features
        new = self._unknown(model, features, kinds)
        if len(new):
            self._induce(features[new], kinds[new])

    def model(self, level: str, spread: tuple[float, ...]) -> SparseModel:
        """Return the potential as it is now, calibrated by `spread` (`calibration`)."""
        offsets, weights = self._regression.solution()
        places: list[Indices] = [np.flatnonzero(self._owner == kind) for kind in range(len(self._inducing))]
        return SparseModel(
            descriptor=self.descriptor,
            kernel=self.kernel,
            inducing=tuple(self._inducing),
            weights=tuple(weights[each] for each in places),
            offsets=offsets,
            noise=self._regression.noise,
            factors=tuple(self._space.factor[np.ix_(each, each)] for each in places),
            triangle=self._regression.triangle,
            columns=tuple(np.asarray(each + len(offsets)) for each in places),
            provenance=provenance_of(
                self.frames, self._kinds, len(self._inducing), self._settings.training, level
            ),
            spread=spread,
            rank=self._settings.training.rank,
        )

    def _rows(self, number: int) -> Iterator[WhitenedRows]:
        frame, kinds = self._frame(number)
        raw = frame_rows(frame, kinds, self.baseline, self._inducing, self.kernel, self._space.guess)
        return ((block.kinds, block.labels, self._space.whitened(block)) for block in raw.blocks())

    def _room(self) -> int:
        return self._settings.training.inducing - len(self._owner)

    def _frame(self, number: int) -> tuple[Frame, Indices]:
        return self.frames[number], self._kinds[number]

    def _least(self, environments: int, there: int = 0) -> int:
        """Return how many of some environments become inducing at least, when so many are there already."""
        room = round(_FILLED * self._settings.training.inducing) - there
        return max(0, min(round(self._settings.environment_share * environments), room))

    def _chosen(self) -> list[NumberArray]:
        rng = np.random.default_rng((self._settings.training.seed, len(self.frames)))
        candidates = candidate_environments(self.frames, self._kinds, self.baseline, rng)
        most, level = self._settings.training.inducing, self._settings.environment_loss
        chosen = shared_choice(candidates, self.kernel, most, level)
        least = self._least(sum(len(kinds) for kinds in self._kinds))
        if sum(len(rows) for rows in chosen) < least:
            chosen = shared_choice(candidates, self.kernel, least)
        return [each[rows] for each, rows in zip(candidates, chosen, strict=True)]

    def _unknown(self, model: SparseModel, features: NumberArray, kinds: Indices) -> Indices:
        """Return the atoms whose environments are to become inducing: greedy, until none has too much loss."""
        most = min(self._room(), self._settings.environments_per_frame)
        loss, known = covariance_loss(model, features, kinds), np.zeros((0, len(kinds)))
        taken: list[int] = []
        variance = self.kernel.variance()
        level, least = self._settings.environment_loss, min(most, self._least(len(kinds), len(self._owner)))
        while len(taken) < most and loss.max() > (level if len(taken) >= least else LEAST_VARIANCE):
            pivot = int(loss.argmax())
            row = self._residual(model, features, kinds, pivot) - known[:, pivot] @ known
            row /= np.sqrt(loss[pivot] * variance)
            known = np.concatenate([known, row[None]])
            loss = np.maximum(loss - row**2 / variance, 0.0)
            loss[pivot] = 0.0
            taken.append(pivot)
        return np.array(taken, dtype=np.int64)

    def _residual(self, model: SparseModel, features: NumberArray, kinds: Indices, pivot: int) -> NumberArray:
        """Return the covariances of all environments with one, given the inducing ones."""
        same = np.flatnonzero(kinds == kinds[pivot])
        known = whitened_kernels(model, int(kinds[pivot]), features[same])
        row = np.zeros(len(kinds))
        here = int(np.flatnonzero(same == pivot)[0])
        row[same] = self.kernel(features[same] @ features[pivot]) - known[:, here] @ known
        return row

    def _induce(self, features: NumberArray, kinds: Indices) -> None:
        """Add inducing environments, with their kernel sums in all frames."""
        species = len(self._inducing)
        order = np.argsort(kinds, kind="stable")
        parts = [features[order][kinds[order] == kind] for kind in range(species)]
        sums = np.concatenate(
            [
                frame_rows(*self._frame(number), self.baseline, parts, self.kernel, self._space.guess).kernels
                for number in range(len(self.frames))
            ]
        )
        features, kinds = features[order], kinds[order]
        kernels = np.zeros((len(kinds), len(self._owner) + len(kinds)))
        for kind, part in enumerate(parts):
            of_kind = np.flatnonzero(kinds == kind)
            known = np.concatenate([self._owner, kinds]) == kind
            mine = np.concatenate([self._inducing[kind], part])
            kernels[np.ix_(of_kind, np.flatnonzero(known))] = self.kernel(part @ mine.T)
            self._inducing[kind] = mine
        self._regression.add_inducing(kernels, sums)
        self._owner = np.concatenate([self._owner, kinds])
