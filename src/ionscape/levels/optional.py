"""Universal potentials that are used when installed: MACE, SevenNet, MatGL and Orb.

Each is a thin entry: what to import, how to make the ASE calculator, and what to install when it is missing.
The weights may be fetched from the network by these packages on first use; ionscape itself never does so.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OptionalPotential:
    """Provider of a universal potential from another package.

    Attributes
    ----------
    module
        Module that must be importable.
    distribution
        Name of the package on the package index.
    default
        Name of the pretrained model when the settings name none.
    make
        Function (model name) -> ASE calculator.
    """

    module: str
    distribution: str
    default: str
    make: Callable[[str], Any]

    def available(self) -> str | None:
        """Return None if the package is installed, else the command that installs it."""
        if importlib.util.find_spec(self.module) is not None:
            return None
        return f"Install it with `pip install {self.distribution}` in the environment of ionscape."

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the model's name and the version of the package that holds it."""
        version = importlib.metadata.version(self.distribution)
        return {"model": settings.get("model", self.default), "package": f"{self.distribution} {version}"}

    def calculator(self, settings: Mapping[str, Any], threads: int) -> Any:
        """Return the ASE calculator of the model named in the settings (key ``model``)."""
        import torch

        torch.set_num_threads(threads)
        return self.make(settings.get("model", self.default))


def _mace(model: str) -> Any:
    from mace.calculators import mace_mp

    return mace_mp(model=model, default_dtype="float64")


def _sevennet(model: str) -> Any:
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(model=model)


def _matgl(model: str) -> Any:
    import matgl
    from matgl.ext.ase import PESCalculator

    return PESCalculator(matgl.load_model(model))


def _orb(model: str) -> Any:
    from orb_models.forcefield import pretrained
    from orb_models.forcefield.calculator import ORBCalculator

    return ORBCalculator(getattr(pretrained, model)(device="cpu"))


MACE = OptionalPotential("mace", "mace-torch", "medium-mpa-0", _mace)
SEVENNET = OptionalPotential("sevenn", "sevenn", "7net-0", _sevennet)
MATGL = OptionalPotential("matgl", "matgl", "TensorNet-MatPES-PBE-v2025.1-PES", _matgl)
ORB = OptionalPotential("orb_models", "orb-models", "orb_v3_conservative_inf_omat", _orb)
