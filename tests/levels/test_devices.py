"""The setting ``device``: what ``auto`` takes, what is refused, what the provenance tells; no GPU is needed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ionscape.errors import InputError
from ionscape.levels import chgnet
from ionscape.levels.chgnet import FrozenCHGNet
from ionscape.levels.devices import torch_device
from ionscape.levels.registry import Level
from ionscape.potential.calculator import PotentialCalculator
from ionscape.potential.model_file import write_model
from ionscape.potential.torch_calculator import TorchCalculator

sys.path.insert(0, str(Path(__file__).parents[1] / "potential"))
from made_frames import alloy, model


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch says that it sees a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"model of {device}")


@pytest.fixture
def potential(tmp_path: Path) -> str:
    write_model(model(), tmp_path / "alloy.sgpr")
    return f"sgpr:{tmp_path / 'alloy.sgpr'}"


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for seen, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda seen=seen: seen)
        assert torch_device("auto", "here") == device
    assert torch_device("meta", "here") == "meta"


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "cpu:x"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(InputError, match="device") as caught:
        torch_device(device, "level 'x', setting 'device'")
    assert "such as cpu, cuda" in str(caught.value)


@pytest.mark.usefixtures("gpu")
def test_levels_tell_the_device_that_they_take(potential: str) -> None:
    assert Level.of("chgnet").device() == "cuda (model of cuda)"
    assert Level.of("chgnet", {"device": "cpu"}).device() == "cpu"
    assert Level.of(potential).device() == "cpu"
    assert Level.of(potential, {"device": "auto"}).device() == "cuda (model of cuda)"
    assert Level.of("ase.calculators.lj:LennardJones").device() == "cpu"


@pytest.mark.usefixtures("gpu")
def test_chgnet_loads_its_weights_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, load = [], chgnet._load

    def loaded(model: str, device: str) -> object:
        asked.append((model, device))
        return load(model, "cpu")

    monkeypatch.setattr(chgnet, "_load", loaded)
    FrozenCHGNet()
    FrozenCHGNet(device="cpu")
    assert asked == [("0.3.0", "cuda"), ("0.3.0", "cpu")]


def test_the_device_is_no_part_of_what_defines_the_energies(potential: str) -> None:
    for name in ("chgnet", potential):
        assert Level.of(name, {"device": "cpu"}).identity() == Level.of(name).identity()


def test_a_potential_on_another_device_is_evaluated_in_pytorch(
    potential: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(Level.of(potential, {"device": "auto"}).own_calculator(1), PotentialCalculator)
    # a second name of the same processor stands for a GPU
    monkeypatch.setattr("ionscape.levels.sgpr.torch_device", lambda asked, where: asked)
    other = Level.of(potential, {"device": "cpu:0", "precision": "double"}).own_calculator(1)
    assert isinstance(other, TorchCalculator)
    atoms, core = alloy(5), alloy(5)
    atoms.calc, core.calc = other, Level.of(potential, {"precision": "double"}).own_calculator(1)
    assert np.abs(core.get_forces()).max() > 1e-3
    assert atoms.get_potential_energy() == pytest.approx(core.get_potential_energy(), rel=1e-9)
    np.testing.assert_allclose(atoms.get_forces(), core.get_forces(), atol=1e-8)
    assert other.known_elements == core.calc.known_elements
    with pytest.raises(InputError, match="watch_every"):
        Level.of(potential, {"device": "cpu:0", "watch_every": 10}).own_calculator(1)
