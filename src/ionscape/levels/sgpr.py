"""The learned level: a sparse-GP potential from a file that `ionscape train` wrote, named ``sgpr:FILE``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ionscape.errors import InputError, nearest
from ionscape.levels.devices import AUTO, device_name, torch_device
from ionscape.levels.registry import Provider
from ionscape.potential.calculator import CalculatorSettings, PotentialCalculator
from ionscape.potential.model_file import content_hash, read_model

WHERE = "level 'sgpr', setting 'device'"


class SparsePotentials:
    """The levels ``sgpr:FILE``."""

    def available(self) -> str | None:
        """Return None: the potentials come with ionscape."""
        return None

    def member(self, argument: str) -> tuple[str, Provider]:
        """Return the absolute path of a model file, and its provider.

        Raises
        ------
        InputError
            If no file is named, or it cannot be read as a model.
        """
        if not argument:
            raise InputError(
                "names no model file",
                where="level 'sgpr'",
                expected="sgpr:FILE, with a file that `ionscape train` wrote",
                remedy="Name the file behind a colon.",
            )
        path = Path(argument).expanduser().resolve()
        content_hash(path)
        return str(path), SparsePotential(path)


@dataclass(frozen=True)
class SparsePotential:
    """Provider of the potential in one file; settings are those of `CalculatorSettings`.

    Attributes
    ----------
    path
        The file.
    """

    path: Path

    def available(self) -> str | None:
        """Return None: what it needs comes with ionscape."""
        return None

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the hash of the file's content, for its name too, and how it is evaluated."""
        status = self.path.stat() if self.path.is_file() else None
        key = (status.st_mtime_ns, status.st_size) if status else (0, 0)
        content = _hash(self.path, *key)
        return {
            "name": f"sgpr:{content}",
            "model": "sparse Gaussian-process potential",
            "content_sha256": content,
            **_settings(settings).model_dump(mode="json", exclude={"device"}),
        }

    def calculator(self, settings: Mapping[str, Any], threads: int) -> Any:
        """Return the calculator of the potential: of the compiled core, or in PyTorch on another device."""
        chosen = _settings(settings)
        device = torch_device(chosen.device, WHERE)
        if device == "cpu":
            return PotentialCalculator(read_model(self.path), chosen, threads)
        from ionscape.potential.torch_calculator import torch_calculator

        _refuse_watching(chosen, device)
        return torch_calculator(read_model(self.path), device, chosen.precision)

    def check_batched(self, settings: Mapping[str, Any]) -> None:
        """Raise `InputError` if batches cannot have these settings."""
        chosen = _settings(settings)
        _refuse_watching(chosen, chosen.device)

    def torchsim_model(self, settings: Mapping[str, Any], threads: int) -> Any:
        """Return the potential as a model of TorchSim, on a GPU where there is one unless ``device`` is set."""
        import torch

        from ionscape.potential.torchsim_model import torchsim_model

        chosen = _settings(settings)
        device = torch_device(chosen.device if "device" in settings else AUTO, WHERE)
        torch.set_num_threads(threads)
        return torchsim_model(read_model(self.path), device, chosen.precision)

    def device(self, settings: Mapping[str, Any]) -> str:
        """Return where the potential is evaluated here, with the name of the GPU if it is one."""
        return device_name(torch_device(_settings(settings).device, WHERE))


@functools.cache
def _hash(path: Path, modified: int, size: int) -> str:
    del modified, size  # part of the key of the cache only: a file that was written again is read again
    return content_hash(path)


def _refuse_watching(chosen: CalculatorSettings, device: str) -> None:
    if chosen.watch_every:
        raise InputError(
            f"watch_every = {chosen.watch_every} in PyTorch, on device {device}",
            where="level 'sgpr'",
            expected="watch_every = 0 where the potential is not evaluated by the compiled core",
            remedy="Set device = cpu and run no batch, or do not watch.",
        )


def _settings(settings: Mapping[str, Any]) -> CalculatorSettings:
    try:
        return CalculatorSettings(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{name} = {first['input']!r}",
            where="level 'sgpr'",
            expected=first["msg"].removeprefix("Input should be "),
            remedy=nearest(name, CalculatorSettings.model_fields),
        ) from None


PROVIDER = SparsePotentials()
