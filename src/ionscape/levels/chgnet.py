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
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ionscape.errors import CalculationError, InputError, nearest
from ionscape.levels.devices import AUTO, device_name, torch_device
from ionscape.levels.registry import refuse_unknown
from ionscape.structures.exchange import to_structure

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

        super().__init__()
        torch.set_num_threads(threads)
        self._device = torch_device(device, WHERE)
        self._model = _load(model, self._device)

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results`` with energy (eV), forces (eV/Å, (n, 3)) and stress (eV/Å³, Voigt)."""
        import torch
        from chgnet.model.model import BatchedGraph

        super().calculate(atoms, properties, system_changes)
        model = self._model
        graph = self._graph()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad")
            batch = BatchedGraph.from_graphs(
                [graph],
                bond_basis_expansion=model.bond_basis_expansion,
                angle_basis_expansion=model.angle_basis_expansion,
                compute_stress=True,
            )
        count = len(self.atoms)
        energy = model._compute(batch)["e"].sum() * count  # noqa: SLF001  the network without its force passes
        gradient, strain_gradient = torch.autograd.grad(energy, [batch.atom_positions[0], batch.strains[0]])
        offset = model.composition_model([graph]).sum() * count
        stress = strain_gradient.cpu().numpy().astype(float) / self.atoms.get_volume()
        self.results = {
            "energy": float(energy.detach()) + float(offset),
            "forces": -gradient.cpu().numpy().astype(float),
            "stress": full_3x3_to_voigt_6_stress((stress + stress.T) / 2),
        }

    def _graph(self) -> Any:
        try:
            return self._model.graph_converter(to_structure(self.atoms)).to(self._device)
        except ValueError as error:  # an atom without neighbours: outside what the network was trained on
            raise CalculationError(str(error)) from None


def _load(model: str, device: str) -> Any:
    import torch
    from chgnet.model import CHGNet

    # CHGNet's own loader unpickles whatever the file holds; its packaged files hold nothing but weights
    state = torch.load(_weights(model), map_location="cpu", weights_only=True)
    with contextlib.redirect_stdout(io.StringIO()):
        network = CHGNet.from_dict(state["model"], mlp_out_bias=model == "0.2.0", version=model).to(device)
    network.eval()
    network.requires_grad_(requires_grad=False)
    network.graph_converter.set_isolated_atom_response("error")
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
