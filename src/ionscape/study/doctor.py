"""Self-test of an installation: each part is really used once."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ionscape.units import Seconds


@dataclass(frozen=True)
class Finding:
    """Outcome of one check: what was checked, whether it passed, what was seen, and how long it took."""

    check: str
    passed: bool
    detail: str
    seconds: Seconds


def examine() -> list[Finding]:
    """Return the findings of all checks; a check that breaks is a finding, not an error."""
    return [_finding(name, check) for name, check in CHECKS.items()]


def _finding(name: str, check: Callable[[], str]) -> Finding:
    started = time.monotonic()
    try:
        passed, detail = True, check()
    except Exception as error:  # noqa: BLE001  whatever broke is what the user wants to know
        passed, detail = False, f"{type(error).__name__}: {error}"
    return Finding(name, passed, detail, round(time.monotonic() - started, 1))


def _potential() -> str:
    from pymatgen.core import Lattice, Structure

    from ionscape.levels.evaluation import evaluate_structure
    from ionscape.levels.registry import Level

    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.03), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    energy = evaluate_structure(salt, Level.of("chgnet").calculator(1))["energy_eV"]
    return f"LiF {energy / len(salt):.3f} eV/atom"


def _kernels() -> str:
    import numpy as np

    from ionscape.doping.ewald import interaction_matrix

    fractional = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    matrix = interaction_matrix(np.eye(3) * 4.0, fractional)
    return f"interaction matrix of {len(matrix)} sites"


def _core() -> str:
    from ionscape.potential.library import unavailable

    reason = unavailable()
    if reason:
        return f"{reason}; learned potentials run with Numba, some ten times slower, and dynamics with ASE"
    from ionscape.potential.core import instructions

    return f"instructions {instructions()}"


def _phases() -> str:
    from ionscape.phases.table import phase_table

    return f"{len(phase_table())} packaged phases"


def _dft() -> str:
    from pymatgen.core import Lattice, Structure

    from ionscape.levels.evaluation import evaluate_structure
    from ionscape.levels.gpaw.datasets import missing_installation
    from ionscape.levels.registry import Level

    missing = missing_installation()
    if missing:
        return f"not installed, needed by the level gpaw only. {missing}"
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.03), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    level = Level.of("gpaw", {"cutoff_eV": 300.0, "kpoints": [1, 1, 1], "finite_basis_correction": False})
    energy = evaluate_structure(salt.get_primitive_structure(), level.calculator(1))["energy_eV"]
    return f"LiF {energy / 2:.3f} eV/atom at a small basis"


def _equilibria() -> str:
    from ionscape.levels.registry import Level
    from ionscape.phases.competing import phase_energies
    from ionscape.stability.decomposition import decomposition_energy

    phases = phase_energies(Level.of("chgnet"), ["Li", "Zr", "O"])
    height = decomposition_energy("Li2ZrO3", phases).decomposition_energy
    if abs(height) > 1e-9:
        raise RuntimeError(f"Li2ZrO3 is {1000 * height:.1f} meV/atom above the packaged hull, not on it")
    return "Li2ZrO3 on the packaged hull"


def _store() -> str:
    from ionscape.study.store import Store

    with tempfile.TemporaryDirectory() as folder:
        Store(Path(folder))
    return "made and removed"


def _workers() -> str:
    from ionscape.study.engine import EngineSettings, LocalWorkers

    engine = LocalWorkers(EngineSettings())
    with tempfile.TemporaryDirectory() as folder:
        from pymatgen.core import Lattice, Structure

        from ionscape.levels.registry import Level
        from ionscape.study.lab import Laboratory
        from ionscape.study.progress import Progress
        from ionscape.study.store import Store

        lab = Laboratory(Store(Path(folder)), engine, Progress())
        copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
        try:
            answer = lab.evaluate([copper], Level.of("ase.calculators.emt:EMT"))[0]
        finally:
            lab.close()
    if not hasattr(answer, "energy"):
        raise RuntimeError(answer.reason)
    return f"{engine.workers} workers × {engine.threads} threads"


CHECKS: dict[str, Callable[[], str]] = {
    "embedded potential": _potential,
    "compiled kernels": _kernels,
    "compiled core of learned potentials": _core,
    "density-functional theory": _dft,
    "phase table": _phases,
    "equilibria": _equilibria,
    "store": _store,
    "local workers": _workers,
}
