"""The laboratory, which stages ask for calculations.

It looks in the store, sends what is missing to the engine, and returns results in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ionscape.levels.calculation import Broken, Relaxation, RelaxationSettings, SinglePoint, Unconverged
from ionscape.levels.registry import Level
from ionscape.results import Failure
from ionscape.study import tasks
from ionscape.study.batches import batches_of, keys_of
from ionscape.study.store import Store, request_key

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.dynamics.runs import RunRequest, SimulatedRun
    from ionscape.migration.requests import BandRequest, FoundPath
    from ionscape.potential.frames import Frame
    from ionscape.study.engine import Engine
    from ionscape.study.learned import LearnedPotential, LearningRequest
    from ionscape.study.progress import Progress
    from ionscape.transport.stage import AnalysedRun, TransportRequest


class Laboratory:
    """Answers for calculations: from the store when finished, else through the engine.

    Parameters
    ----------
    store
        Where finished calculations are.
    engine
        What runs the others.
    progress
        What shows how far they are.

    Attributes
    ----------
    computed, reused
        Number of calculations that this laboratory ran, and of those it found finished.
    seeds
        Seeds of all calculations it was asked for that have any, by their keys.
    """

    def __init__(self, store: Store, engine: Engine, progress: Progress) -> None:
        self._store = store
        self._engine = engine
        self._progress = progress
        self.computed = 0
        self.reused = 0
        self.seeds: dict[str, list[int]] = {}

    def relax(
        self, structures: Sequence[Structure], level: Level, settings: RelaxationSettings
    ) -> list[Relaxation | Failure]:
        """Relax every structure; a relaxation that failed or did not converge is a `Failure` in its place."""
        requests = [tasks.relaxation_request(structure, level, settings) for structure in structures]
        return [_relaxation(key, result) for key, result in self._results(requests)]

    def evaluate(self, structures: Sequence[Structure], level: Level) -> list[SinglePoint | Failure]:
        """Evaluate every structure as it stands."""
        requests = [tasks.single_point_request(structure, level) for structure in structures]
        answers = self._results(requests)
        return [
            _single_point(key, result, structure)
            for (key, result), structure in zip(answers, structures, strict=True)
        ]

    def simulate(self, requests: Sequence[RunRequest], *, together: bool = False) -> list[SimulatedRun | Failure]:
        """Carry out every run; one that was stopped is a `StoppedRun` in its place, one that broke a `Broken`.

        Those of one level are a batch if they are to run `together`; else they run side by side.
        """
        from ionscape.study.simulated import simulated_run

        answers = self._results([tasks.dynamics_request(request) for request in requests], together=together)
        return [simulated_run(key, result, self._store) for key, result in answers]

    def analyse(self, requests: Sequence[TransportRequest]) -> list[AnalysedRun | Failure]:
        """Analyse the transport in every run; an analysis that could not be done is a failure in its place."""
        from ionscape.study.simulated import analysed_run

        answers = self._results([tasks.transport_request(request) for request in requests])
        return [analysed_run(key, result, self._store) for key, result in answers]

    def band(self, requests: Sequence[BandRequest]) -> list[FoundPath | Failure]:
        """Find every path; one that broke is a failure in its place, one that did not converge says so itself."""
        from ionscape.study.bands import found_path

        answers = self._results([tasks.band_request(request) for request in requests])
        return [found_path(key, result) for key, result in answers]

    def label(self, structures: Sequence[Structure], level: Level) -> list[Frame | Failure]:
        """Label every structure with the energy, forces and stress of `level`."""
        answers = self._results([tasks.single_point_request(structure, level) for structure in structures])
        return [
            _labelled(key, result, structure, level.name)
            for (key, result), structure in zip(answers, structures, strict=True)
        ]

    def learn(self, request: LearningRequest, materials: Sequence[str]) -> LearnedPotential | Failure:
        """Learn a potential for `materials`, the names of the cells of the request."""
        from ionscape.study.simulated import learned_potential

        ((key, result),) = self._results([tasks.learning_request(request)])
        return learned_potential(key, result, self._store, request.level.name, tuple(materials))

    def close(self) -> None:
        """End the engine."""
        self._engine.close()

    def _results(
        self, requests: Sequence[dict[str, Any]], *, together: bool = False
    ) -> list[tuple[str, dict[str, Any]]]:
        keys = [request_key(request) for request in requests]
        self.seeds |= {
            key: seeds for key, request in zip(keys, requests, strict=True) if (seeds := seeds_in(request))
        }
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in self._store}
        self.reused += len(set(keys)) - len(missing)
        errors = self._run(missing, together=together) if missing else {}
        return [(key, {"error": errors[key]} if key in errors else self._store.read(key)) for key in keys]

    def _run(self, missing: dict[str, dict[str, Any]], *, together: bool) -> dict[str, str]:
        asked = batches_of(list(missing.values())) if together else list(missing.values())
        self._progress.begin(
            {key: tasks.size(request, self._store) for key, request in missing.items()},
            {key: tasks.expected_steps(request, self._store) for key, request in missing.items()},
            tasks.pace(next(iter(missing.values()))),
            {key: tasks.title(request) for key, request in missing.items()},
        )
        errors = {}
        with self._progress.watching(self._store.root / "working"):
            for ended in self._engine.run(asked, self._store.root):
                if ended is None:
                    continue
                for key in keys_of(asked[ended.index]):
                    if ended.error and key not in self._store:
                        errors[key] = ended.error
                    self._progress.finish(key, 0 if key in errors else self._store.read(key).get("steps", 1))
                    self.computed += 1
        return errors


def seeds_in(request: Any) -> list[int]:
    """Return the seeds in a request, wherever they stand in it, in their order."""
    if isinstance(request, Mapping):
        own = [request["seed"]] if isinstance(request.get("seed"), int) else []
        return own + [seed for value in request.values() for seed in seeds_in(value)]
    if isinstance(request, list) and request and isinstance(request[0], Mapping):
        return [seed for value in request for seed in seeds_in(value)]
    return []


def _relaxation(key: str, result: dict[str, Any]) -> Relaxation | Failure:
    if "error" in result:
        return Broken(result["error"], key)
    if "failure" in result:
        return Failure(result["failure"], key)
    structure = tasks.structure_from_json(result["structure"])
    relaxation = Relaxation(
        structure=structure,
        energy=result["energy_eV"],
        energy_per_atom=result["energy_eV"] / len(structure),
        initial_energy=result["initial_energy_eV"],
        fmax=result["fmax_eV_per_A"],
        smax=result["smax_eV_per_A3"],
        steps=result["steps"],
        converged=result["converged"],
        key=key,
    )
    if relaxation.converged:
        return relaxation
    told = (
        f"not converged after {relaxation.steps} steps (largest force {relaxation.fmax:.3f} eV/Å, "
        f"largest stress {relaxation.smax:.5f} eV/Å³)"
    )
    return Unconverged(told, key, relaxation=relaxation)


def _single_point(key: str, result: dict[str, Any], structure: Structure) -> SinglePoint | Failure:
    if "error" in result:
        return Broken(result["error"], key)
    if "failure" in result:
        return Failure(result["failure"], key)
    forces, stress = np.array(result["forces_eV_per_A"]), np.array(result["stress_eV_per_A3"])
    return SinglePoint(
        structure=structure,
        energy=result["energy_eV"],
        energy_per_atom=result["energy_eV"] / len(structure),
        fmax=float(np.sqrt((forces**2).sum(axis=1).max())),
        smax=float(np.abs(stress).max()),
        key=key,
    )


def _labelled(key: str, result: dict[str, Any], structure: Structure, level: str) -> Frame | Failure:
    from ionscape.potential.frames import Frame

    if "error" in result:
        return Broken(result["error"], key)
    if "failure" in result:
        return Failure(result["failure"], key)
    return Frame(
        symbols=tuple(site.specie.symbol for site in structure),
        positions=structure.cart_coords,
        cell=structure.lattice.matrix,
        periodic=(True, True, True),
        energy=result["energy_eV"],
        forces=np.array(result["forces_eV_per_A"]),
        stress=np.array(result["stress_eV_per_A3"]),
        level=level,
    )
