"""Sparse regression against a plain dense Gaussian process, batch fits, and a dense marginal likelihood."""

from __future__ import annotations

import dataclasses
import functools
import tracemalloc

import numpy as np
import pytest
from ase.build import bulk
from made_frames import SMALL, alloy, frames
from scipy.linalg import block_diag
from scipy.stats import multivariate_normal

from ionscape.errors import InputError
from ionscape.potential import labels, training, whitening
from ionscape.potential.active_fit import GrowingFit
from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.evidence import Noise, Sums, most_likely_noise
from ionscape.potential.frames import Frame
from ionscape.potential.kernel import DotProductKernel
from ionscape.potential.labels import ENERGY, FORCE, STRESS, Rows, frame_rows
from ionscape.potential.regression import SparseRegression
from ionscape.potential.settings import TrainingSettings
from ionscape.potential.training import baseline_of, first_guess, kernel_matrix, train
from ionscape.potential.uncollapsed import potential_of
from ionscape.potential.whitening import OFFSET_SPREAD, WhitenedSpace

#: So few features that the environments of some frames span all that the kernel can tell apart.
TINY = SMALL.model_copy(update={"n_max": 1, "l_max": 1})
POWERS = (0.4, 0.6)
H = 1e-4


def everything_induces():
    settings = TrainingSettings(descriptor=TINY, powers=POWERS, inducing=1000, rank=0, held_out=0.0)
    return train(frames(14), settings)


def feature_map(descriptor, potential, positions, cell):
    """Return the sum over atoms of what the kernel is a dot product of, species by species: p and p ⊗ p."""
    species = descriptor.indices(list(alloy(0).symbols), "")
    p = potential.descriptors(positions, cell, species).features
    parts = []
    for kind in range(len(descriptor.species)):
        here = p[species == kind]
        pairs = np.einsum("ia,ib->ab", here, here).ravel()
        parts += [np.sqrt(POWERS[0]) * here.sum(axis=0), np.sqrt(POWERS[1]) * pairs]
    return np.concatenate(parts)


def plain_rows(descriptor, potential, frame):
    """Return feature-space rows of energy per atom, forces and stresses of a frame, by central differences."""

    def phi(x, h):
        return feature_map(descriptor, potential, x, h)

    x, cell, count = frame.positions, frame.cell, len(frame.positions)
    rows = [phi(x, cell) / count]
    for i, k in np.ndindex(count, 3):
        step = np.zeros_like(x)
        step[i, k] = H
        rows.append(-(phi(x + step, cell) - phi(x - step, cell)) / (2 * H))
    for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        strain = np.zeros((3, 3))
        strain[a, b] += H / 2
        strain[b, a] += H / 2
        ends = [phi(x @ (np.eye(3) + s * strain), cell @ (np.eye(3) + s * strain)) for s in (1, -1)]
        rows.append((ends[0] - ends[1]) / (2 * H) / frame.volume)
    return np.array(rows)


def plain_labels(baseline, frame, species, guess):
    mean = baseline.evaluate(frame.positions, frame.cell, species)
    energy = (frame.energy - mean.atom_energies.sum() - guess[species].sum()) / len(species)
    stress = frame.stress + mean.virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / frame.volume
    return np.concatenate([[energy], (frame.forces - mean.forces).ravel(), stress])


def test_sparse_is_the_full_process_when_all_environments_induce(monkeypatch):
    """Energies, forces and stresses of new frames against s² Φ* Φᵀ (s² Φ Φᵀ + Λ)⁻¹ y, N × N, nothing shared."""
    monkeypatch.setattr(whitening, "JITTER", 1e-12)  # the one thing in which the two differ
    made, taught, new = everything_induces(), frames(14), frames(2, 70)
    baseline = baseline_of(made.descriptor)
    species = made.descriptor.indices(list(taught[0].symbols), "")
    guess = first_guess(taught, [species] * len(taught), 2)
    offsets = np.zeros((31, 2))
    offsets[0] = OFFSET_SPREAD * np.bincount(species, minlength=2) / len(species)

    def rows(many):
        return np.concatenate([np.hstack([offsets, plain_rows(made.descriptor, baseline, one)]) for one in many])

    kinds = np.concatenate([[ENERGY], np.full(24, FORCE), np.full(6, STRESS)])
    noise = np.tile(made.noise.of_rows(kinds), len(taught))
    known, asked = rows(taught), rows(new)
    labels = np.concatenate([plain_labels(baseline, one, species, guess) for one in taught])
    signal = made.noise.signal**2
    full = signal * asked @ known.T @ np.linalg.solve(signal * known @ known.T + np.diag(noise**2), labels)
    potential = potential_of(made, "double")
    for number, frame in enumerate(new):
        found = potential.evaluate(frame.positions, frame.cell, species)
        bare = baseline.evaluate(frame.positions, frame.cell, species)
        energy, forces, stress = np.split(full[31 * number : 31 * (number + 1)], [1, 25])
        whole = len(species) * energy[0] + bare.atom_energies.sum() + guess[species].sum()
        assert found.atom_energies.sum() == pytest.approx(whole, abs=1e-4)
        assert np.abs(found.forces - bare.forces - forces.reshape(-1, 3)).max() < 1e-4
        virial = (found.virial - bare.virial)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        assert np.abs(-virial / frame.volume - stress).max() < 1e-5
        assert np.abs(forces).max() > 0.1


@functools.cache
def pieces(count=5, inducing=14):
    """Return kernel, features of environments, whitened space and rows of some frames."""
    made = train(frames(count), TrainingSettings(descriptor=SMALL, powers=POWERS, inducing=inducing, held_out=0.0))
    baseline, kernel = baseline_of(made.descriptor), DotProductKernel(POWERS)
    species = made.descriptor.indices(list(alloy(0).symbols), "")
    guess = first_guess(frames(count), [species] * count, 2)
    raw = [frame_rows(one, species, baseline, list(made.inducing), kernel, guess) for one in frames(count)]
    return made, kernel, guess, raw


def space_of(guess, inducing, kernel):
    return WhitenedSpace(guess, kernel_matrix(inducing, kernel), kernel.variance())


NOISE = Noise(energy=0.002, force=0.05, stress=0.001, signal=2.0)


def test_rows_added_one_by_one_are_a_batch_fit():
    """Beside the normal equations of the whole problem, solved at once."""
    made, kernel, guess, raw = pieces()
    space = space_of(guess, made.inducing, kernel)
    regression = SparseRegression(space, NOISE)
    for one in raw:
        regression.add_rows(one)
    matrix = np.concatenate([space.whitened(one) / NOISE.of_rows(one.kinds)[:, None] for one in raw])
    labels = np.concatenate([one.labels / NOISE.of_rows(one.kinds) for one in raw])
    stacked = np.vstack([matrix, np.eye(space.columns) / NOISE.signal])
    weights = np.linalg.lstsq(stacked, np.append(labels, np.zeros(space.columns)), rcond=None)[0]
    for ours, theirs in zip(regression.solution(), space.unwhitened(weights), strict=True):
        assert np.allclose(ours, theirs, rtol=1e-8, atol=1e-8 * np.abs(theirs).max())
    gram = regression.triangle.T @ regression.triangle
    assert np.allclose(gram, stacked.T @ stacked, rtol=1e-8, atol=1e-8 * np.abs(gram).max())


@pytest.mark.parametrize("at_once", [1, 7, 4096])
def test_rows_in_blocks_are_the_same_fit(monkeypatch, at_once):
    made, kernel, guess, raw = pieces()
    fits = [SparseRegression(space_of(guess, made.inducing, kernel), NOISE) for _ in range(2)]
    for one in raw:
        fits[0].add_whitened(one.kinds, one.labels, fits[0].space.whitened(one))
        monkeypatch.setattr(labels, "AT_ONCE", at_once)
        assert max(len(block.labels) for block in one.blocks()) <= at_once
        fits[1].add_rows(one)
    for ours, theirs in zip(*(fit.solution() for fit in fits), strict=True):
        assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())


def test_many_rows_take_the_memory_of_a_block():
    made, kernel, guess, _ = pieces()
    regression = SparseRegression(space_of(guess, made.inducing, kernel), NOISE)
    rng, count = np.random.default_rng(0), 20 * labels.AT_ONCE
    rows = Rows(
        kinds=np.full(count, FORCE),
        labels=rng.normal(size=count),
        offsets=np.zeros((count, 2)),
        kernels=rng.normal(size=(count, made.n_inducing)),
    )
    tracemalloc.start()
    regression.add_rows(rows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < rows.kernels.nbytes / 2


@pytest.mark.parametrize("room", [0, 8_000])
def test_rows_that_are_not_kept_are_made_anew(monkeypatch, room):
    """Room for none of the frames, and for some."""
    settings = TrainingSettings(descriptor=SMALL, powers=POWERS, inducing=14, held_out=0.0)
    monkeypatch.setattr(training, "noise_of", lambda rows, *_: [*rows] and NOISE)
    kept = train(frames(5), settings)
    monkeypatch.setattr(training, "ROWS_IN_MEMORY", room)
    assert training.kept_in_memory(frames(5), 16) < 5
    made_anew = train(frames(5), settings)
    assert all(np.array_equal(*pair) for pair in zip(kept.weights, made_anew.weights, strict=True))


def test_a_growing_fit_forgets_no_row_that_is_not_kept(monkeypatch):
    asked = TrainingSettings(descriptor=SMALL, powers=POWERS, inducing=14)

    def model():
        fit = GrowingFit(("Cu", "Au"), LearningSettings(training=asked))
        fit.refit(frames(12))
        return fit.model("emt", ())

    kept = model()
    monkeypatch.setattr(training, "ROWS_IN_MEMORY", 16_000)
    assert 0 < training.kept_in_memory(frames(12), 16) < 12
    assert model().noise == kept.noise
    assert all(np.array_equal(*pair) for pair in zip(kept.weights, model().weights, strict=True))


def test_environments_added_later_are_a_batch_fit():
    made, kernel, guess, raw = pieces()
    counts = [len(q) for q in made.inducing]
    assert min(counts) > 3
    first = [q[:2] for q in made.inducing]
    order = [*range(2), *range(counts[0], counts[0] + 2)]
    later = [(0, k) for k in range(2, counts[0])] + [(1, k) for k in range(2, counts[1])]
    later = [later[k] for k in np.random.default_rng(0).permutation(len(later))]
    space = space_of(guess, first, kernel)
    growing = SparseRegression(space, NOISE, grows=True)
    early, late = raw[:3], raw[3:]

    def restricted(one, columns):
        return dataclasses.replace(one, kernels=one.kernels[:, columns])

    for one in early:
        growing.add_rows(restricted(one, order))
    for kind, k in later:
        column = k + kind * counts[0]
        kernels = np.array(
            [
                kernel(made.inducing[kind][k] @ made.inducing[kind][other - kind * counts[0]])
                if (other >= counts[0]) == bool(kind)
                else 0.0
                for other in order
            ]
        )
        growing.add_inducing(kernels, np.concatenate([one.kernels[:, column] for one in early]))
        order.append(column)
    for one in late:
        growing.add_rows(restricted(one, order))
    batch = SparseRegression(space_of(guess, made.inducing, kernel), NOISE)
    for one in raw:
        batch.add_rows(one)
    offsets, weights = growing.solution()
    expected_offsets, expected = batch.solution()
    assert np.allclose(offsets, expected_offsets, rtol=1e-8)
    sums = np.concatenate([one.kernels for one in raw])
    assert np.abs(sums[:, order] @ weights - sums @ expected).max() < 1e-8
    assert np.abs(sums @ expected).max() > 0.1


def test_regression_that_does_not_grow_says_so():
    made, kernel, guess, _ = pieces()
    with pytest.raises(ValueError, match="grows=True"):
        SparseRegression(space_of(guess, made.inducing, kernel), NOISE).add_inducing(np.zeros(14), np.zeros(0))


def log_evidence(matrix, labels, kinds, noise):
    covariance = noise.signal**2 * matrix @ matrix.T + np.diag(noise.of_rows(kinds) ** 2)
    return multivariate_normal(np.zeros(len(labels)), covariance).logpdf(labels)


def test_noise_is_a_maximum_of_the_marginal_likelihood():
    """Beside the dense Gaussian density of all labels; each scale a fifth off is less likely."""
    made, kernel, guess, raw = pieces()
    space = space_of(guess, made.inducing, kernel)
    matrix = np.concatenate([space.whitened(one) for one in raw])
    labels, kinds = (np.concatenate([getattr(one, name) for one in raw]) for name in ("labels", "kinds"))
    sums = Sums(space.columns)
    for one in raw:
        sums.add(one.kinds, one.labels, space.whitened(one))
    best = most_likely_noise(sums, NOISE, [False, False, False])
    height = log_evidence(matrix, labels, kinds, best)
    assert height > log_evidence(matrix, labels, kinds, NOISE)
    for name in ("force", "stress", "signal"):
        for factor in (0.8, 1.25):
            moved = dataclasses.replace(best, **{name: factor * getattr(best, name)})
            assert log_evidence(matrix, labels, kinds, moved) < height, (name, factor)


def test_labels_that_energies_of_atoms_explain_leave_a_finite_model():
    """Perfect crystals: nothing is left for the environments, and the signal has no scale."""
    settings = TrainingSettings(descriptor=TINY, inducing=20, held_out=0.0)
    atoms = bulk("Cu", a=4.2, cubic=True)
    still = Frame(("Cu",) * 4, atoms.positions, atoms.cell.array, (True, True, True), -3.0, np.zeros((4, 3)))
    model = train([still, still], settings)
    assert model.noise.signal > 0
    kinds = model.descriptor.indices(list(still.symbols), "")
    found = potential_of(model, "double").evaluate(still.positions, still.cell, kinds)
    assert found.atom_energies.sum() == pytest.approx(-3.0, abs=1e-3)
    assert np.abs(found.forces).max() < 1e-3


@pytest.mark.parametrize(("count", "told"), [(0, "no frames"), (1, "1 frames, all of them held out")])
def test_training_without_a_frame_is_refused(count, told):
    settings = TrainingSettings(descriptor=TINY, held_out=0.9)
    with pytest.raises(InputError, match=told):
        train(frames(count), settings)


def test_noise_that_is_given_stays():
    made, kernel, guess, raw = pieces()
    space = space_of(guess, made.inducing, kernel)
    sums = Sums(space.columns)
    for one in raw:
        sums.add(one.kinds, one.labels, space.whitened(one))
    found = most_likely_noise(sums, NOISE, [True, False, True])
    assert (found.energy, found.stress) == (NOISE.energy, NOISE.stress)
    assert found.force != NOISE.force


def test_the_triangle_is_the_posterior_covariance():
    made, kernel, guess, raw = pieces()
    space = space_of(guess, made.inducing, kernel)
    regression = SparseRegression(space, NOISE)
    regression.add_rows(raw[0])
    before = np.linalg.inv(regression.triangle.T @ regression.triangle)
    regression.add_rows(raw[1])
    after = np.linalg.inv(regression.triangle.T @ regression.triangle)
    assert (np.diag(after) > 0).all()
    assert (np.diag(after) <= np.diag(before) * (1 + 1e-9)).all()
    assert (np.diag(before) <= NOISE.signal**2 * (1 + 1e-9)).all()


def test_kernel_matrix_is_zero_between_species():
    made, kernel, _, _ = pieces()
    blocks = block_diag(*[kernel(q @ q.T) for q in made.inducing])
    assert np.array_equal(kernel_matrix(made.inducing, kernel), blocks)
