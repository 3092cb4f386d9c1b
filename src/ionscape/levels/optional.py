"""Universal potentials that are used when installed: MACE, SevenNet, MatGL and Orb.

Each is a thin entry: what to import, how to make the ASE calculator, and what to install when it is missing.
The weights may be fetched from the network by these packages on first use; ionscape itself never does so.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ionscape.levels.registry import refuse_unknown


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
        """Return the model's name, the version of the package, and the hash of weights that are a local file."""
        model = self._model(settings)
        version = importlib.metadata.version(self.distribution)
        identity = {"model": model, "package": f"{self.distribution} {version}"}
        file = Path(model).expanduser()
        if file.is_file():
            status = file.stat()
            identity["weights_sha256"] = _file_hash(file, status.st_mtime_ns, status.st_size)
        return identity

    def calculator(self, settings: Mapping[str, Any], threads: int) -> Any:
        """Return the ASE calculator of the model named in the settings (key ``model``)."""
        import torch

        model = self._model(settings)
        torch.set_num_threads(threads)
        return self.make(model)

    def _model(self, settings: Mapping[str, Any]) -> str:
        refuse_unknown(settings, ["model"], f"level of the package '{self.distribution}'")
        return str(settings.get("model", self.default))


@functools.cache
def _file_hash(file: Path, modified: int, size: int) -> str:
    del modified, size  # part of the key of the cache only: a file that was written again is read again
    return hashlib.sha256(file.read_bytes()).hexdigest()


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
    import torch
    from orb_models.forcefield import pretrained
    from orb_models.forcefield.calculator import ORBCalculator

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return ORBCalculator(getattr(pretrained, model)(device=device), device=device)


MACE = OptionalPotential("mace", "mace-torch", "medium-mpa-0", _mace)
SEVENNET = OptionalPotential("sevenn", "sevenn", "7net-0", _sevennet)
MATGL = OptionalPotential("matgl", "matgl", "TensorNet-MatPES-PBE-v2025.1-PES", _matgl)
ORB = OptionalPotential("orb_models", "orb-models", "orb_v3_conservative_inf_omat", _orb)
