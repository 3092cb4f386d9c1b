r"""Whether the energy of molecular dynamics at constant energy stays: its drift, with an error, over picoseconds.

Velocity Verlet keeps not the energy E but, to the order Δt⁴, an energy that differs from it by the known term

    Ẽ = E + Δt² [ vᵀ U″ v / 12 − Fᵀ M⁻¹ F / 24 ],    vᵀ U″ v = −v · dF/dt

(Hairer, Lubich & Wanner, Acta Numer. 12, 399 (2003), doi:10.1017/S0962492902000144). E fluctuates by that term, Ẽ
hardly at all, and neither can drift without the other. Positions are recorded in double precision at every step:
their second difference over Δt² is then M⁻¹F, exactly, and the first one v. What is left of the energy wanders
like a random walk. The slope of a line through one has the variance 6/5 q/T over a run of length T, q the variance
of its increments per time; it is taken from the means of `BLOCKS` parts of the run.

    python benchmarks/nve_drift.py [--time-ps 5] [--temperature-K 600] [--timestep-fs 1] [--keep DIR]

`--keep` keeps the run in a folder; the same command goes on with it where it was interrupted.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ase import units
from record import record
from scipy import stats

from ionscape.dynamics.recording import read_header, record_blocks
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.dynamics.simulate import PRODUCTION, simulate
from ionscape.levels.registry import Level
from ionscape.study.inputs import packaged_phase

#: Largest drift that is accepted, eV/atom/ps.
ACCEPTED = 1e-5
#: Parts of a run whose means are compared.
BLOCKS = 24


def main() -> int:
    """Run, print the table, write the record; return 0 if the drift is accepted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase", default="Li6Zr2O7")
    parser.add_argument("--time-ps", type=float, default=5.0)
    parser.add_argument("--equilibration-ps", type=float, default=0.4)
    parser.add_argument("--temperature-K", type=float, default=600.0)
    parser.add_argument("--timestep-fs", type=float, default=1.0)
    parser.add_argument("--level", default="chgnet")
    parser.add_argument("--keep", type=Path, help="folder in which the run stays")
    options = parser.parse_args()
    structure = packaged_phase(options.phase).structure().get_primitive_structure()
    settings = DynamicsSettings(
        ensemble="nve",
        temperature_K=options.temperature_K,
        timestep_fs=options.timestep_fs,
        equilibration_ps=options.equilibration_ps,
        production_ps=options.time_ps,
        frame_interval_fs=options.timestep_fs,
        precision="double",
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        end = simulate(structure, Level.of(options.level).own_calculator(1), settings, folder, options.level)
        drifts = slopes(folder / PRODUCTION)
    results = {
        "phase": options.phase,
        "level": options.level,
        "atoms": len(structure),
        "timestep_fs": options.timestep_fs,
        "production_ps": options.time_ps,
        "stopped": end.stopped,
        "ms_per_step": round(end.ms_per_step, 1),
        **drifts,
    }
    for name, value in results.items():
        print(f"{name:45s} {value}")
    print(f"written: {record('nve_drift', results)}")
    low, high = drifts["kept_energy_drift_interval95_eV_per_atom_per_ps"]
    return 0 if max(abs(low), abs(high)) < ACCEPTED and not end.stopped else 1


def slopes(path: Path) -> dict[str, Any]:
    """Return the slopes of E and Ẽ of a recorded run at constant energy, with errors, and their fluctuations."""
    header = read_header(path)
    parts = list(record_blocks(path))
    shift, energy = (np.concatenate([part[name] for part in parts]) for name in ("shift", "energy"))
    step, masses, atoms = header.frame_interval * units.fs, header.masses[:, None], len(header.symbols)
    velocity = (shift[2:] - shift[:-2]) / (2 * step)
    acceleration = (shift[2:] - 2 * shift[1:-1] + shift[:-2]) / step**2
    plain = energy[1:-1] + 0.5 * (masses * velocity**2).sum(axis=(1, 2))
    jerk = (acceleration[2:] - acceleration[:-2]) / (2 * step)
    inner = slice(1, -1)
    term = -(masses * velocity[inner] * jerk).sum(axis=(1, 2)) / 12
    term -= (masses * acceleration[inner] ** 2).sum(axis=(1, 2)) / 24
    kinetic = (masses * velocity**2).sum(axis=(1, 2))
    found: dict[str, Any] = {"mean_temperature_K": round(float(kinetic.mean()) / (3 * atoms - 3) / units.kB, 1)}
    for name, series in (("energy", plain[inner]), ("kept_energy", plain[inner] + step**2 * term)):
        per_atom = series / atoms
        slope, error, low, high = line(per_atom, header.frame_interval / 1000)
        found[f"{name}_drift_eV_per_atom_per_ps"] = slope
        found[f"{name}_drift_error_eV_per_atom_per_ps"] = error
        found[f"{name}_drift_interval95_eV_per_atom_per_ps"] = [low, high]
        found[f"{name}_wander_meV_per_atom_per_root_ps"] = (
            1000 * error * np.sqrt(len(per_atom) * header.frame_interval / 1200)
        )
        found[f"{name}_rms_fluctuation_meV_per_atom"] = 1000 * float(per_atom.std())
    return found


def line(values: np.ndarray, interval_ps: float) -> tuple[float, float, float, float]:
    """Return slope per ps, standard error and 95 % interval of a line through the means of `BLOCKS` parts."""
    size = len(values) // BLOCKS
    means = values[: size * BLOCKS].reshape(BLOCKS, size).mean(axis=1)
    part = size * interval_ps
    slope = float(np.polyfit((np.arange(BLOCKS) + 0.5) * part, means, 1)[0])
    spread = float(np.diff(means).var(ddof=1)) / part
    error = float(np.sqrt(1.2 * spread / (BLOCKS * part)))
    width = float(stats.t.ppf(0.975, BLOCKS - 2)) * error
    return slope, error, slope - width, slope + width


if __name__ == "__main__":
    raise SystemExit(main())
