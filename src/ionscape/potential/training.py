"""Training of a sparse-GP potential from labelled frames, off line."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ionscape.errors import InputError
from ionscape.potential.baseline import screened_nuclei
from ionscape.potential.descriptor import Descriptor, by_atomic_number
from ionscape.potential.evaluation import Evaluator, evaluator
from ionscape.potential.evidence import Noise, Sums, most_likely_noise
from ionscape.potential.frames import Frame, training_set_hash
from ionscape.potential.held_out import tested
from ionscape.potential.inducing import shared_choice
from ionscape.potential.kernel import DotProductKernel
from ionscape.potential.labels import count_of, frame_rows
from ionscape.potential.model import Provenance, SparseModel
from ionscape.potential.regression import SparseRegression
from ionscape.potential.settings import TrainingSettings
from ionscape.potential.whitening import WhitenedSpace
from ionscape.units import GPA_PER_EV_PER_A3, Array, Count, EnergyArray, Indices, NumberArray

#: Candidates for inducing environments, of every species.
CANDIDATES = 4000
#: Rows of the linear model are kept between the search for the noise and the fit up to this size, bytes;
#: those of more frames are made anew.
ROWS_IN_MEMORY = 10**9
#: Where the search for the noise begins: meV/atom, eV/Å, GPa are usual errors of a potential.
_START = Noise(energy=1e-3, force=0.08, stress=0.1 / GPA_PER_EV_PER_A3, signal=1.0)
#: Told what is being done, with which frame, and how many there are.
Told = Callable[[str, Count, Count], None]


def _silence(what: str, frame: Count, total: Count) -> None:
    """Tell nobody."""


WhitenedRows = tuple[Indices, Array, NumberArray]


def train(frames: Sequence[Frame], settings: TrainingSettings, told: Told = _silence) -> SparseModel:
    """Return the potential fitted to `frames`, tested and calibrated on those held out (at random).

    Parameters
    ----------
    frames
        Labelled frames of one level of theory (`frames.labelled_frames`).
    settings
        Descriptor, kernel, size, noise.
    told
        Told of progress.

    Raises
    ------
    InputError
        If there is no frame, or none is left beside those held out.
    """
    rng = np.random.default_rng(settings.seed)
    taught, held_out = split(frames, settings.held_out, rng)
    if not taught:
        raise InputError(
            f"{len(frames)} frames, all of them held out" if frames else "no frames",
            where="training frames",
            expected="frames to be taught beside those held out",
            remedy="Label more frames, or hold out a smaller part.",
        )
    fit = _Fit(taught, settings, rng, told)
    model = fit.model()
    return tested(model, held_out)[0] if held_out else model


def split(frames: Sequence[Frame], part: float, rng: np.random.Generator) -> tuple[list[Frame], list[Frame]]:
    """Return the frames to be taught and those held out, `part` of all drawn at random."""
    order = rng.permutation(len(frames))
    held = set(order[: round(part * len(frames))].tolist())
    taught = [frame for index, frame in enumerate(frames) if index not in held]
    return taught, [frame for index, frame in enumerate(frames) if index in held]


@dataclass
class _Fit:
    """A fit in progress."""

    frames: Sequence[Frame]
    settings: TrainingSettings
    rng: np.random.Generator
    told: Told = _silence
    species: list[Indices] = field(default_factory=list)

    def model(self) -> SparseModel:
        descriptor = Descriptor(
            by_atomic_number({s for f in self.frames for s in f.symbols}), self.settings.descriptor
        )
        kernel = DotProductKernel(self.settings.powers)
        self.species = [descriptor.indices(list(frame.symbols), "training frames") for frame in self.frames]
        baseline = baseline_of(descriptor)
        inducing = self._inducing(baseline, kernel)
        guess = first_guess(self.frames, self.species, len(descriptor.species))
        space = WhitenedSpace(guess, kernel_matrix(inducing, kernel), kernel.variance())
        noise, regression = self._regression(
            space, lambda index: self._rows(index, baseline, inducing, kernel, space)
        )
        offsets, weights = regression.solution()
        ends = np.cumsum([len(q) for q in inducing])
        return SparseModel(
            descriptor=descriptor,
            kernel=kernel,
            inducing=tuple(inducing),
            weights=tuple(np.split(weights, ends[:-1])),
            offsets=offsets,
            noise=noise,
            factors=tuple(_block(space.factor, end - len(q), end) for q, end in zip(inducing, ends, strict=True)),
            triangle=regression.triangle,
            columns=tuple(np.split(np.arange(len(weights)) + len(offsets), ends[:-1])),
            provenance=provenance_of(self.frames, self.species, len(offsets), self.settings, self.frames[0].level),
            rank=self.settings.rank,
        )

    def _rows(
        self,
        index: int,
        baseline: Evaluator,
        inducing: list[NumberArray],
        kernel: DotProductKernel,
        space: WhitenedSpace,
    ) -> Iterator[WhitenedRows]:
        raw = frame_rows(self.frames[index], self.species[index], baseline, inducing, kernel, space.guess)
        return ((block.kinds, block.labels, space.whitened(block)) for block in raw.blocks())

    def _regression(
        self, space: WhitenedSpace, rows_of: Callable[[int], Iterator[WhitenedRows]]
    ) -> tuple[Noise, SparseRegression]:
        """Return noise and fit; the noise from frames drawn at random, as many as memory keeps, one at least."""
        order = self.rng.permutation(len(self.frames)).tolist()
        held = kept_in_memory([self.frames[index] for index in order], space.columns)
        rows: list[list[WhitenedRows]] = []
        for number, index in enumerate(order[:held]):
            self.told("kernels", number, len(order))
            rows.append(list(rows_of(index)))
        self.told("noise", 0, len(order))
        seen = itertools.chain.from_iterable(rows) if held else rows_of(order[0])
        noise = noise_of(seen, space.columns, self.settings, _START)
        regression = SparseRegression(space, noise)
        for number, index in enumerate(order):
            self.told("fit", number, len(order))
            for block in rows[number] if number < held else rows_of(index):
                regression.add_whitened(*block)
        return noise, regression

    def _inducing(self, baseline: Evaluator, kernel: DotProductKernel) -> list[NumberArray]:
        candidates = candidate_environments(self.frames, self.species, baseline, self.rng, self.told)
        chosen = shared_choice(candidates, kernel, self.settings.inducing)
        return [each[rows] for each, rows in zip(candidates, chosen, strict=True)]


def kept_in_memory(frames: Sequence[Frame], columns: Count) -> Count:
    """Return of how many of the first `frames` the rows of so many columns are kept, those of others made anew."""
    counts = np.cumsum([count_of(frame) for frame in frames])
    return int(np.searchsorted(counts, ROWS_IN_MEMORY // (8 * columns), side="right"))


def noise_of(
    rows: Iterable[WhitenedRows],
    columns: Count,
    asked: TrainingSettings,
    usual: Noise,
    kept: tuple[bool, bool, bool] = (False, False, False),
) -> Noise:
    """Return the noise that `asked` gives, and for the rest the most likely one.

    Parameters
    ----------
    rows
        Kinds, labels and whitened columns, in blocks.
    columns
        How many columns there are.
    asked
        Noise that the user gave.
    usual
        Where the search begins.
    kept
        Whether the usual scatter of energies, forces, stresses is kept, whatever the rows say.
    """
    given = (
        _over(asked.energy_noise_meV_per_atom, 1000.0),
        asked.force_noise_eV_per_A,
        _over(asked.stress_noise_GPa, GPA_PER_EV_PER_A3),
    )
    start = (usual.energy, usual.force, usual.stress)
    energy, force, stress = (value or other for value, other in zip(given, start, strict=True))
    sums = Sums(columns)
    for one in rows:
        sums.add(*one)
    fixed = [value is not None or keep for value, keep in zip(given, kept, strict=True)]
    return most_likely_noise(sums, Noise(energy, force, stress, usual.signal), fixed)


def provenance_of(
    frames: Sequence[Frame], species: Sequence[Indices], n_species: Count, settings: TrainingSettings, level: str
) -> Provenance:
    """Return where a model comes from that `frames` of a `level` taught, with no errors told."""
    compositions = {tuple(np.bincount(kinds, minlength=n_species).tolist()) for kinds in species}
    return Provenance(
        level=level,
        n_frames=len(frames),
        training_set=training_set_hash(frames),
        settings=settings.model_dump(mode="json"),
        errors={},
        compositions=tuple(sorted(compositions)),
    )


def candidate_environments(
    frames: Sequence[Frame],
    species: Sequence[Indices],
    baseline: Evaluator,
    rng: np.random.Generator,
    told: Told = _silence,
) -> list[NumberArray]:
    """Return features of environments drawn from frames, about `CANDIDATES` of every species at most."""
    features: list[list[NumberArray]] = [[] for _ in range(baseline.form.n_species)]
    counts = np.array([np.bincount(kinds, minlength=len(features)) for kinds in species]).sum(axis=0)
    keep = np.minimum(1.0, CANDIDATES / np.maximum(counts, 1))
    for number, (frame, kinds) in enumerate(zip(frames, species, strict=True)):
        told("environments", number, len(frames))
        found = baseline.descriptors(frame.positions, frame.cell, kinds, frame.periodic).features
        taken = rng.random(len(kinds)) < keep[kinds]
        for one in range(len(features)):
            features[one].append(found[taken & (kinds == one)])
    return [np.concatenate(each) for each in features]


def baseline_of(descriptor: Descriptor) -> Evaluator:
    """Return the descriptor with the repulsion of the mean function, compiled in double precision."""
    pairs = screened_nuclei(descriptor.species)
    form = dataclasses.replace(
        descriptor.form(), pair_cutoff=pairs.cutoff, pair=pairs.values, pair_slopes=pairs.slopes
    )
    return evaluator(form, precision="double")


def first_guess(frames: Sequence[Frame], species: Sequence[Indices], n_species: Count) -> EnergyArray:
    """Return energies of single atoms, eV, (S,): least squares of the frames' energies, of smallest norm."""
    counts = np.array([np.bincount(kinds, minlength=n_species) for kinds in species], dtype=float)
    energies = np.array([frame.energy for frame in frames])
    return np.asarray(np.linalg.lstsq(counts, energies, rcond=1e-6)[0])


def kernel_matrix(inducing: Sequence[NumberArray], kernel: DotProductKernel) -> NumberArray:
    """Return the kernel matrix of all inducing environments, zero between species."""
    ends = np.cumsum([len(q) for q in inducing])
    matrix = np.zeros((ends[-1], ends[-1]))
    for q, end in zip(inducing, ends, strict=True):
        matrix[end - len(q) : end, end - len(q) : end] = kernel(q @ q.T)
    return matrix


def _block(matrix: Array, start: int, end: int) -> Array:
    return np.array(matrix[start:end, start:end])


def _over(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
