"""A potential as a model of TorchSim: the numbers of the compiled core, and several temperatures as one batch."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from made_frames import alloy, model

from ionscape.errors import InputError
from ionscape.potential.calculator import CalculatorSettings, PotentialCalculator
from ionscape.potential.torchsim_model import torchsim_model

#: TorchSim 0.3.0 imports vesin and compiles functions in ways that these packages warn of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
installed = pytest.mark.skipif(
    importlib.util.find_spec("torch_sim") is None, reason="pip install 'ionscape[torchsim]'"
)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="torch-sim-atomistic is not installed") as caught:
        torchsim_model(model())
    assert "ionscape[torchsim]" in str(caught.value)


@installed
def test_a_batch_gives_what_the_core_gives_for_each() -> None:
    import torch_sim

    cells = [alloy(1), alloy(2).repeat((2, 1, 1)), alloy(3)]
    state = torch_sim.initialize_state(cells, torch.device("cpu"), torch.float64)
    found = torchsim_model(model())(state)
    for k, atoms in enumerate(cells):
        atoms.calc = PotentialCalculator(model(), CalculatorSettings(precision="double"))
        assert float(found["energy"][k]) == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        own = found["forces"][state.system_idx == k].numpy()
        assert np.abs(own).max() > 0.1
        np.testing.assert_allclose(own, atoms.get_forces(), atol=1e-9)
        np.testing.assert_allclose(found["stress"][k].numpy(), atoms.get_stress(voigt=False), atol=1e-10)


@installed
def test_several_temperatures_run_as_one_batch() -> None:
    import torch_sim
    from torch_sim.integrators.nvt import nvt_langevin
    from torch_sim.units import MetalUnits

    kelvin = torch.tensor([300.0, 1200.0], dtype=torch.float64)
    time = torch.tensor(float(MetalUnits.time), dtype=torch.float64)  # of a picosecond
    start, step = nvt_langevin(
        model=torchsim_model(model()),
        kT=kelvin * float(MetalUnits.temperature),
        dt=1e-3 * time,
        gamma=100 / time,
        seed=3,
    )
    torch.manual_seed(3)
    cells = [alloy(1).repeat((2, 2, 1)), alloy(2).repeat((2, 2, 1))]
    state = start(torch_sim.initialize_state(cells, torch.device("cpu"), torch.float64))
    seen = []
    for _ in range(60):
        state = step(state)
        kinetic = (state.momenta**2).sum(dim=1) / state.masses
        seen.append(torch.zeros(2, dtype=torch.float64).index_add_(0, state.system_idx, kinetic))
    found = torch.stack(seen[20:]).mean(dim=0) / (3 * 32) / float(MetalUnits.temperature)
    np.testing.assert_allclose(found.numpy(), kelvin.numpy(), rtol=0.25)
