"""Compression of elements: which elements are mixed, and that nothing changes where nothing is left out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import reference
from made_frames import SHEAR, SMALL, alloy, frames
from pymatgen.core import Element

from ionscape.errors import InputError
from ionscape.potential.calculator import PotentialCalculator
from ionscape.potential.core import CompiledPotential
from ionscape.potential.descriptor import Descriptor
from ionscape.potential.elements import _place, alikeness, element_map
from ionscape.potential.fallback import FallbackPotential
from ionscape.potential.model import SparseModel
from ionscape.potential.model_file import read_model, write_model
from ionscape.potential.settings import DescriptorSettings, TrainingSettings
from ionscape.potential.training import train

OXYNITRIDE = ("Li", "N", "O", "Zr")


def place(seed: int, species: int = 4):
    """Return positions, cell, species and directions of ten atoms in a sheared cell smaller than the cutoff."""
    rng = np.random.default_rng(seed)
    cell = 5.0 * SHEAR
    return rng.random((10, 3)) @ cell, cell, rng.integers(0, species, 10), (True, True, True)


def test_places_are_those_of_the_periodic_table() -> None:
    elements = [element for element in Element if element.Z <= 118 and not element.is_rare_earth]
    assert len(elements) > 80
    for element in elements:
        assert _place(element.symbol) == (element.row, element.group), element


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_mixtures_are_orthonormal_and_alike_elements_share_one(channels: int) -> None:
    found = element_map(OXYNITRIDE, channels)
    np.testing.assert_allclose(found @ found.T, np.eye(channels), atol=1e-12)
    projector = found.T @ found  # how much of an element is left, and in common with others
    assert np.trace(projector) == pytest.approx(channels)
    if channels == 3:
        assert projector[1, 2] > 0.45  # N and O are told apart least
        assert np.diag(projector)[[0, 3]] == pytest.approx([1.0, 1.0], abs=1e-3)


def test_alike_are_neighbours_in_the_table() -> None:
    alike = dict(zip(OXYNITRIDE, alikeness(OXYNITRIDE)[2], strict=True))
    assert alike["O"] == 1.0
    assert alike["N"] > 0.9
    assert alike["Li"] < 0.1


@pytest.mark.parametrize("channels", [0, 5])
def test_more_channels_than_elements_are_refused(channels: int) -> None:
    with pytest.raises(InputError, match="element channels"):
        element_map(OXYNITRIDE, channels)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_compressed_features_are_those_of_the_plain_sums(channels: int) -> None:
    settings = DescriptorSettings(cutoff_A=4.0, n_max=2, l_max=2, element_channels=channels)
    descriptor, where = Descriptor(OXYNITRIDE, settings), place(channels)
    form = descriptor.form()
    assert form.n_features == 3 * (2 * channels) * (2 * channels + 1) // 2
    plain = uncompressed_then_mixed(Descriptor(OXYNITRIDE, settings), where, channels)
    for evaluator in (CompiledPotential(form, precision="double"), FallbackPotential(form, precision="double")):
        np.testing.assert_allclose(evaluator.descriptors(*where).features, plain, atol=1e-9)


def uncompressed_then_mixed(descriptor: Descriptor, where, channels: int) -> np.ndarray:
    """Return normalised features from densities of every element, mixed by loops over elements."""
    settings = descriptor.settings.model_copy(update={"element_channels": None})
    full = Descriptor(descriptor.species, settings).form()
    weights = np.array([full.mixing[0, degree, 0, 0] for degree in range(full.l_max + 1)])
    mixture, n = element_map(descriptor.species, channels), full.n_radial
    mixing = np.zeros((full.n_species, full.l_max + 1, channels * n, full.n_species * n))
    for k in range(channels):
        for s in range(full.n_species):
            for radial in range(n):
                mixing[:, :, k * n + radial, s * n + radial] = weights * mixture[k, s]
    return reference.normalised(dataclasses.replace(full, mixing=mixing), *where)[0]


def test_with_as_many_mixtures_as_elements_the_kernel_is_that_of_separate_elements() -> None:
    one, where = DescriptorSettings(cutoff_A=4.0, n_max=2, l_max=2), place(7)
    other = one.model_copy(update={"element_channels": 4})
    kernels = []
    for settings in (one, other):
        features = Descriptor(OXYNITRIDE, settings).compiled().descriptors(*where).features
        kernels.append(features @ features.T)
    assert np.ptp(kernels[0]) > 0.1
    np.testing.assert_allclose(kernels[1], kernels[0], atol=1e-12)
    fewer = one.model_copy(update={"element_channels": 2})
    features = Descriptor(OXYNITRIDE, fewer).compiled().descriptors(*where).features
    assert np.abs(features @ features.T - kernels[0]).max() > 0.01


def taught(channels: int | None) -> SparseModel:
    descriptor = SMALL.model_copy(update={"element_channels": channels})
    settings = TrainingSettings(
        descriptor=descriptor, powers=(0.3, 0.7), inducing=40, rank=0, held_out=0.0, force_noise_eV_per_A=0.05,
        energy_noise_meV_per_atom=2.0, stress_noise_GPa=0.3,
    )  # fmt: skip
    return train(frames(8), settings)


def test_a_model_of_rotated_elements_gives_the_same_forces_and_a_compressed_one_is_a_model(tmp_path) -> None:
    results = []
    for channels in (None, 2, 1):
        model = taught(channels)
        write_model(model, tmp_path / "model.sgpr")
        atoms = alloy(50)
        atoms.calc = PotentialCalculator(read_model(tmp_path / "model.sgpr"))
        results.append((atoms.get_potential_energy(), atoms.get_forces()))
    (energy, forces), (same, alike), (_, compressed) = results
    assert np.abs(forces).max() > 0.3
    assert same == pytest.approx(energy, abs=1e-4)
    np.testing.assert_allclose(alike, forces, atol=2e-4)
    assert 1e-3 < np.abs(compressed - forces).max() < 1.0  # copper and gold are in one group
