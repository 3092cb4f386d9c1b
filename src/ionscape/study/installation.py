"""What this installation is: versions, cores, graphics processors, levels and optional packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ionscape.units import Count, Unit

#: Packages whose versions decide numbers.
PACKAGES = ("ase", "chgnet", "numba", "numpy", "pymatgen", "scipy", "torch")
#: Optional package: what it is for. The levels tell of themselves.
EXTRAS = {
    "pyzeo": "channel diameters of `transport` (extra channels)",
    "metatomic-torch": "`export --to metatomic` (extra export)",
    "MDAnalysis": "trajectories of simulation packages (extra trajectories)",
    "chemfiles": "trajectories of simulation packages (extra trajectories)",
    "mp-api": "`--phases mp` (make install-mp)",
}
THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Installation:
    """An installation and the machine it stands on.

    Attributes
    ----------
    versions
        Package: version, of ionscape, Python and what decides numbers.
    platform
        Operating system and processor architecture.
    cores
        Cores this process may use.
    memory_GB
        Memory of the machine, GB.
    threads
        What ``OMP_NUM_THREADS`` says, or ``"unset"``.
    gpus
        Names of the graphics processors that PyTorch can use.
    levels
        Level of theory: what must be installed before it works; empty if nothing.
    extras
        Optional package: its version, or ``"not installed: "`` and what it is for.
    """

    versions: dict[str, str]
    platform: str
    cores: Count
    memory_GB: Annotated[float, Unit("GB")]
    threads: str
    gpus: tuple[str, ...]
    levels: dict[str, str]
    extras: dict[str, str]


def installation() -> Installation:
    """Return what this installation is; nothing is calculated."""
    import psutil

    from ionscape import __version__
    from ionscape.levels.registry import availability
    from ionscape.study.engine import available_cores

    versions = {"ionscape": __version__, "python": platform.python_version()}
    return Installation(
        versions=versions | {name: version for name in PACKAGES if (version := _version(name))},
        platform=f"{platform.system()} {platform.machine()}",
        cores=available_cores(),
        memory_GB=round(psutil.virtual_memory().total / 1e9, 1),
        threads=os.environ.get(THREADS, "unset"),
        gpus=_gpus(),
        levels=availability(),
        extras={name: _version(name) or f"not installed: {purpose}" for name, purpose in EXTRAS.items()},
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _gpus() -> tuple[str, ...]:
    """Return the processors that PyTorch sees; PyTorch itself is loaded only where a driver is there."""
    if not any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")):
        return ()
    import torch

    return tuple(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
