"""The embedded level: the CHGNet universal potential (doi:10.1038/s42256-023-00716-3).

CHGNet 0.3.0 was trained on the Materials Project's PBE and PBE+U relaxations (MPtrj) with the energy corrections
of the 2020 scheme, so its energies mix GGA and GGA+U consistently. The calculator here evaluates the published
network and weights; only what surrounds them is ours: weights are frozen, energy, forces and stress come from one
backward pass without a graph for second derivatives, and threads are set by the engine.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ionscape.errors import InputError, nearest
from ionscape.levels.devices import AUTO, device_name, torch_device
from ionscape.levels.registry import refuse_unknown

MODELS = ("0.3.0", "0.2.0", "r2scan")
WHERE = "level 'chgnet', setting 'device'"


class FrozenCHGNet(Calculator):
    """ASE calculator of CHGNet with frozen weights.

    Energy E(R, ε), forces −∂E/∂R and stress (1/V) ∂E/∂ε from one forward and one backward pass.

    Parameters
    ----------
    model
        Version of the pretrained weights, one of `MODELS`.
    threads
        Number of threads of PyTorch in this process.
    device
        Where it is evaluated: ``cpu``, ``cuda``, …; ``auto``: a GPU if PyTorch sees one.

    Raises
    ------
    InputError
        If PyTorch cannot use the device.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, model: str = "0.3.0", threads: int = 1, device: str = AUTO) -> None:
        import torch

        from ionscape.levels.chgnet_network import SplitNetwork

        super().__init__()
        torch.set_num_threads(threads)
        self._device = torch_device(device, WHERE)
        network = _load(model, self._device)
        self._network = SplitNetwork(network)
        self._cutoffs = (network.graph_converter.atom_graph_cutoff, network.graph_converter.bond_graph_cutoff)

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results`` with energy (eV), forces (eV/Å, (n, 3)) and stress (eV/Å³, Voigt)."""
        import torch

        from ionscape.levels.chgnet_graph import crystal_graph

        super().calculate(atoms, properties, system_changes)
        graph = crystal_graph(self.atoms, *self._cutoffs, self._device)
        strain = graph.vectors.new_zeros((3, 3), requires_grad=True)
        shift = graph.vectors.new_zeros((len(self.atoms), 3), requires_grad=True)
        energy = self._network.energy(graph, strain, shift)
        gradient, strain_gradient = torch.autograd.grad(energy, [shift, strain])
        stress = strain_gradient.cpu().numpy().astype(float) / self.atoms.get_volume()
        self.results = {
            "energy": float(energy.detach()) + self._network.free_atoms(graph),
            "forces": -gradient.cpu().numpy().astype(float),
            "stress": full_3x3_to_voigt_6_stress((stress + stress.T) / 2),
        }


def _load(model: str, device: str) -> Any:
    import torch
    from chgnet.model import CHGNet

    # CHGNet's own loader unpickles whatever the file holds; its packaged files hold nothing but weights
    state = torch.load(_weights(model), map_location="cpu", weights_only=True)
    with contextlib.redirect_stdout(io.StringIO()):
        network = CHGNet.from_dict(state["model"], mlp_out_bias=model == "0.2.0", version=model).to(device)
    network.eval()
    network.requires_grad_(requires_grad=False)
    return network


@functools.cache
def _weights_hash(model: str) -> str:
    return hashlib.sha256(_weights(model).read_bytes()).hexdigest()


def _weights(model: str) -> Path:
    import chgnet

    return next((Path(chgnet.__file__).parent / "pretrained" / model).glob("*.pth.tar"))


class CHGNetProvider:
    """Provider of the level ``chgnet``.

    Setting ``model`` chooses the weights (default 0.3.0), ``device`` where they are evaluated (default ``auto``: a
    GPU if PyTorch sees one). The device is no part of the identity: results agree to rounding.
    """

    def available(self) -> str | None:
        """CHGNet is a dependency of ionscape: always available."""
        return None

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return model version, hash of the weights and version of the package that evaluates them."""
        model = _model_of(settings)
        return {
            "model": f"CHGNet {model}",
            "weights_sha256": _weights_hash(model),
            "package": f"chgnet {importlib.metadata.version('chgnet')}",
            "reference": "doi:10.1038/s42256-023-00716-3",
        }

    def calculator(self, settings: Mapping[str, Any], threads: int) -> FrozenCHGNet:
        """Return the calculator of the chosen weights."""
        return FrozenCHGNet(_model_of(settings), threads, _device_of(settings))

    def device(self, settings: Mapping[str, Any]) -> str:
        """Return where the level is evaluated here, with the name of the GPU if it is one."""
        return device_name(torch_device(_device_of(settings), WHERE))


def _model_of(settings: Mapping[str, Any]) -> str:
    refuse_unknown(settings, ["model", "device"], "level 'chgnet'")
    model = settings.get("model", "0.3.0")
    if model not in MODELS:
        raise InputError(
            f"unknown CHGNet model '{model}'",
            where="level 'chgnet', setting 'model'",
            expected=f"one of {', '.join(MODELS)}",
            remedy=nearest(str(model), MODELS),
        )
    return str(model)


def _device_of(settings: Mapping[str, Any]) -> str:
    return str(settings.get("device", AUTO))


PROVIDER = CHGNetProvider()
