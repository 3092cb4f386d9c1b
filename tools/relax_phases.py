"""Relax packaged phases at a level and write the energies file that the package ships.

    python tools/relax_phases.py Li-Zr-O-N Li-Co-O --out src/ionscape/phases/data/energies/chgnet-0.3.0.json

Chemical systems are done in the order given; ``all`` stands for the whole table, ``calibration`` for what
calibrates the gas references. The file is rewritten after every
phase, and phases that stand in it with the same facts are not done again (failures only with ``--retry``).
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pymatgen.core import Structure

from ionscape.errors import CalculationError
from ionscape.levels.calculation import Relaxation, RelaxationSettings, SinglePoint
from ionscape.levels.registry import Level
from ionscape.levels.relaxation import relax_structure
from ionscape.phases.energies import EnergyFile, relax_phases
from ionscape.phases.table import Phase, covered_elements, phase_table, phases_within
from ionscape.results import Failure

#: LBFGS needs few steps where it converges; what it does not relax is tried again with FIRE, which needs more.
ATTEMPTS = (
    RelaxationSettings(optimizer="LBFGS", max_steps=200),
    RelaxationSettings(optimizer="FIRE", max_steps=2500),
)
#: What the file tells of the relaxations: tolerances and optimisers in the order they were tried.
RELAXATION = {
    **ATTEMPTS[0].model_dump(exclude={"max_steps"}),
    "optimizer": ", else ".join(f"{one.optimizer} ({one.max_steps} steps)" for one in ATTEMPTS),
}


class Bench:
    """A `Lab` without store or engine: relaxes here and now, one after the other, on one thread."""

    def relax(
        self, structures: Sequence[Structure], level: Level, settings: RelaxationSettings
    ) -> list[Relaxation | Failure]:
        """Return the relaxation of every structure, a `Failure` for those that did not converge."""
        return [self._relax(structure, level, settings) for structure in structures]

    def evaluate(self, structures: Sequence[Structure], level: Level) -> list[SinglePoint | Failure]:
        """Not needed to relax phases."""
        raise NotImplementedError

    def _relax(self, structure: Structure, level: Level, settings: RelaxationSettings) -> Relaxation | Failure:
        with tempfile.TemporaryDirectory() as folder:
            try:
                end = relax_structure(structure, level.calculator(1), settings, Path(folder))
            except CalculationError as error:
                return Failure(str(error))
        if not end.converged:
            return Failure(f"not converged after {end.last.number} steps: max |F| {end.last.fmax:.4f} eV/Å")
        last = end.last
        return Relaxation(
            structure=end.structure,
            energy=last.energy,
            energy_per_atom=last.energy / len(structure),
            initial_energy=end.initial_energy,
            fmax=last.fmax,
            smax=last.smax,
            steps=last.number,
            converged=True,
            key="",
        )


def ordered_phases(systems: Sequence[str]) -> list[Phase]:
    """Return the phases of `systems` in their order, small cells first, each once."""
    chosen: dict[str, Phase] = {}
    for system in systems:
        for phase in sorted(_phases_of(system), key=lambda phase: phase.atoms):
            chosen.setdefault(phase.name, phase)
    return list(chosen.values())


def _phases_of(system: str) -> list[Phase]:
    if system in phase_table():
        return [phase_table()[system]]
    if system == "calibration":
        return [phase for phase in phase_table().values() if phase.role == system]
    return phases_within(covered_elements() if system == "all" else system.split("-"))


def relaxed(phase: Phase, level: Level) -> Relaxation | Failure:
    """Return the first relaxation of `phase` that converges, or the last failure."""
    for settings in ATTEMPTS:
        outcome = relax_phases([phase], level, Bench(), settings)[phase.name]
        if not isinstance(outcome, Failure):
            break
    return outcome


def main() -> None:
    """Relax what is missing, saving after every phase."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="+", help="chemical systems, phase names, calibration or all")
    parser.add_argument("--level", default="chgnet")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--atoms", type=int, default=400, help="largest conventional cell that is tried")
    parser.add_argument("--retry", action="store_true", help="try again what failed or was too large before")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    level = Level.of(arguments.level)
    store = replace(EnergyFile.read(arguments.out, level, ATTEMPTS[0]), relaxation=RELAXATION)
    for phase in ordered_phases(arguments.systems):
        too_large = phase.atoms > arguments.atoms
        done = store.energy(phase) is not None if arguments.retry else store.holds(phase)
        if done or (too_large and store.holds(phase)):
            continue
        start = time.perf_counter()
        outcome = Failure(f"not tried: {phase.atoms} atoms") if too_large else relaxed(phase, level)
        store = store.adding(phase, outcome)
        store.write(arguments.out)
        told = outcome.reason if isinstance(outcome, Failure) else f"{outcome.energy_per_atom:.5f} eV/atom"
        print(f"{phase.name:28s} {told}  {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
